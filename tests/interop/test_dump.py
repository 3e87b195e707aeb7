"""``barnabas dump`` finds what Apache Kafka's DumpLogSegments finds, in files of Barnabas and in Kafka's own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support.apache_kafka import ApacheKafka, run_tool
from support.log_files import DUMP, TIMEOUT_S, create, write
from support.process import BrokerProcess, running

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
TOPICS = (*CODECS, "append-time")
SUFFIXES = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
SMALL = {"segment.bytes": str(2**20), "index.interval.bytes": "1000"}
NONE = "OptionalLong.empty"
_FIELD = re.compile(r"(\w+): ?(\[.*?\]|[^ ]*)")

Lines = dict[str, list[dict[str, str]]]


@pytest.fixture(scope="module", params=["barnabas", "kafka"])
def data_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a broker that is running."""
    path = tmp_path_factory.mktemp(request.param) / "data"
    with running(path) if request.param == "barnabas" else ApacheKafka.running(path) as server:
        fill(server)
        yield path


def fill(server: BrokerProcess | ApacheKafka) -> None:
    for codec in CODECS:
        create(server.bootstrap, codec, SMALL)
        write(server.bootstrap, codec, 100, codec)
        abort(server.bootstrap, codec)
        write(server.bootstrap, codec, 30, codec, **{"transactional.id": codec})
        write(server.bootstrap, codec, 1500, codec)
    create(server.bootstrap, "append-time", SMALL | {"message.timestamp.type": "LogAppendTime"})
    write(server.bootstrap, "append-time", 500, "lz4")


def abort(bootstrap: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{topic}-aborted"})
    producer.init_transactions(TIMEOUT_S)
    producer.begin_transaction()
    producer.produce(topic, b"never", partition=0)
    producer.flush(TIMEOUT_S)
    producer.abort_transaction(TIMEOUT_S)


def files_of(data_dir: Path) -> list[str]:
    paths = [path for topic in TOPICS for path in sorted((data_dir / f"{topic}-0").iterdir())]
    return [str(path) for path in paths if path.suffix in SUFFIXES]


def ours(*paths: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "barnabas", "dump", "--json", "--records", "--verify", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_kafka(files: list[str]) -> Lines:
    """What DumpLogSegments says of each file: the fields of its lines by their names."""
    done = run_tool(DUMP, "--deep-iteration", "--files", ",".join(files), timeout=300)
    assert done.status == 0, done
    found: Lines = {}
    lines: list[dict[str, str]] = []
    for line in done.stdout.splitlines():
        if line.startswith("Dumping "):
            lines = found[line.removeprefix("Dumping ")] = []
        elif (names := dict(_FIELD.findall(line))) and not line.startswith("Log starting offset"):
            lines.append(names)
    return found


def as_kafka_says(one: dict[str, Any]) -> dict[str, Any]:
    """A line of ours, with Kafka's names."""
    match one["type"]:
        case "batch":
            return {
                "baseOffset": one["base_offset"],
                "lastOffset": one["last_offset"],
                "count": one["records_count"],
                "baseSequence": one["base_sequence"],
                "lastSequence": one["last_sequence"],
                "producerId": one["producer_id"],
                "producerEpoch": one["producer_epoch"],
                "partitionLeaderEpoch": one["leader_epoch"],
                "isTransactional": str(one["is_transactional"]).lower(),
                "isControl": str(one["is_control"]).lower(),
                "deleteHorizonMs": NONE if one["delete_horizon_ms"] is None else one["delete_horizon_ms"],
                "position": one["position"],
                one["timestamp_type"]: one["max_timestamp"],
                "size": one["size_bytes"],
                "magic": 2,
                "compresscodec": one["codec"],
                "crc": one["crc"],
                "isvalid": str(one["is_crc_right"]).lower(),
            }
        case "record":
            marker = {"endTxnMarker": one["control_type"], "coordinatorEpoch": one["coordinator_epoch"]}
            return {
                "offset": one["offset"],
                "keySize": one["key_size_bytes"],
                "valueSize": one["value_size_bytes"],
                "sequence": one["sequence"],
                "headerKeys": f"[{','.join(header['key'] for header in one['headers'])}]",
                **(marker if one["control_type"] else {}),
            }
        case "producer":
            first = one["current_txn_first_offset"]
            return {
                "producerId": one["producer_id"],
                "producerEpoch": one["producer_epoch"],
                "coordinatorEpoch": one["coordinator_epoch"],
                "currentTxnFirstOffset": NONE if first < 0 else f"OptionalLong[{first}]",
                "lastTimestamp": one["last_timestamp"],
            }
        case "aborted_transaction":
            return {
                "version": 0,
                "producerId": one["producer_id"],
                "firstOffset": one["first_offset"],
                "lastOffset": one["last_offset"],
                "lastStableOffset": one["last_stable_offset"],
            }
        case "offset_entry":
            return {"offset": one["offset"], "position": one["position"]}
        case _:
            return {"timestamp": one["timestamp"], "offset": one["offset"]}


def test_it_finds_in_every_file_what_kafkas_tool_finds(data_dir: Path) -> None:
    files = files_of(data_dir)
    expected = of_kafka(files)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in ours(*files):
        lines = found.setdefault(one["file"], [])
        if one["type"] not in ("file", "preallocated"):
            lines.append(one)

    assert {Path(file).suffix for file in files} == set(SUFFIXES)
    for file in files:
        lines = [line for line in expected[file] if not is_empty(line)]
        assert len(found[file]) == len(lines), file
        for one, line in zip(found[file], lines, strict=True):
            said = {name: str(value) for name, value in as_kafka_says(one).items()}
            assert said.items() <= line.items(), file
            if one["type"] == "record":
                assert str(one["timestamp"]) in (line.get("CreateTime"), line.get("LogAppendTime"))
            elif one["type"] == "producer" and "lastSequence" in line:
                assert (str(one["last_sequence"]), str(one["last_offset"]), str(one["offset_delta"])) == (
                    line["lastSequence"],
                    line["lastOffset"],
                    line["offsetDelta"],
                )


def is_empty(line: dict[str, str]) -> bool:
    """An index without entries is shown by Kafka's tool with one that is made up."""
    return (line.get("position") == "0" and len(line) == 2) or line.get("timestamp") in ("0", "-1")


def test_all_files_of_a_running_broker_are_in_order(data_dir: Path) -> None:
    found = ours(str(data_dir))

    kinds = {one["kind"] for one in found if one["type"] == "file"}
    assert len(kinds) == 9
    markers = [one["control_type"] for one in found if one["type"] == "record" and "/none-0/" in one["file"]]
    assert [marker for marker in markers if marker] == ["ABORT", "COMMIT"]

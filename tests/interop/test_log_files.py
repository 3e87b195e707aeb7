"""Apache Kafka's DumpLogSegments over the files of Barnabas: no complaint, and the records that were written."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from support.calls import wait_until
from support.log_files import FILES, TIMEOUT_S, Dumped, Written, create, dump, read, write
from support.process import BrokerProcess, running

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SMALL = {"segment.bytes": str(2**20), "index.interval.bytes": "100"}
DELETED_BEFORE = 1100
STATES = ("running", "stopped", "killed", "recovered")


class State(NamedTuple):
    """What the tool found, and what was acknowledged, by folder."""

    dumped: Dumped
    written: dict[str, list[Written]]


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, State]]:
    """A data directory while the broker runs, after it stopped, after it was killed, and after the next stop."""
    data_dir = tmp_path_factory.mktemp("log-files") / "data"
    with running(data_dir) as broker:
        yield dict(life_of(broker))


def life_of(broker: BrokerProcess) -> Iterator[tuple[str, State]]:
    written = fill(broker)
    yield "running", State(dump(broker.data_dir), dict(written))

    assert broker.stop() == 0
    yield "stopped", State(dump(broker.data_dir), dict(written))

    broker.start()
    for topic in ("none", "zstd"):
        more = write(broker.bootstrap, topic, 400, topic)
        written[f"{topic}-0"] = written[f"{topic}-0"] + more
    written["none-0"] = written["none-0"] + write(
        broker.bootstrap, "none", 10_000, until=lambda acknowledged: acknowledged > 1000 and kill(broker)
    )
    assert not broker.is_running()
    copy = broker.data_dir.with_name("killed")
    shutil.copytree(broker.data_dir, copy)
    yield "killed", State(dump(copy), dict(written))

    broker.start()
    for folder in written:
        assert read(broker.bootstrap, folder.removesuffix("-0"))
    more = write(broker.bootstrap, "lz4", 300, "lz4")
    written["lz4-0"] = written["lz4-0"] + more
    assert broker.stop() == 0
    yield "recovered", State(dump(broker.data_dir), dict(written))


def fill(broker: BrokerProcess) -> dict[str, list[Written]]:
    written: dict[str, list[Written]] = {}
    for codec in CODECS:
        create(broker.bootstrap, codec, SMALL)
        written[f"{codec}-0"] = write(broker.bootstrap, codec, 2500, codec)
    create(broker.bootstrap, "plain", SMALL)
    plain = {"enable.idempotence": False, "acks": 1, "max.in.flight": 1}
    written["plain-0"] = write(broker.bootstrap, "plain", 1500, "lz4", **plain)
    for codec in ("none", "gzip"):
        topic = f"append-time-{codec}"
        create(broker.bootstrap, topic, SMALL | {"message.timestamp.type": "LogAppendTime"})
        written[f"{topic}-0"] = write(broker.bootstrap, topic, 1500, codec)
    create(broker.bootstrap, "compressed-again", SMALL | {"compression.type": "zstd"})
    written["compressed-again-0"] = write(broker.bootstrap, "compressed-again", 1500, "lz4")
    create(broker.bootstrap, "deleted", SMALL)
    written["deleted-0"] = write(broker.bootstrap, "deleted", 2500)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    (deleted,) = admin.delete_records([TopicPartition("deleted", 0, DELETED_BEFORE)]).values()
    assert deleted.result(TIMEOUT_S).low_watermark == DELETED_BEFORE
    # The files get their other names later.
    wait_until(lambda: not (broker.data_dir / "deleted-0" / f"{0:020}.log").exists(), TIMEOUT_S)
    return written


def kill(broker: BrokerProcess) -> bool:
    broker.kill()
    return True


def test_there_are_files_of_every_kind(states: dict[str, State]) -> None:
    dumped = states["stopped"].dumped
    for codec in CODECS:
        for suffix in FILES:
            files = [file for file in dumped.files if f"/{codec}-0/" in file and file.endswith(suffix)]
            assert len(files) > 1, (codec, suffix)
        assert dumped.producers[f"{codec}-0"] >= 1
    assert not any(file.endswith(f"deleted-0/{0:020}.log") for file in dumped.files)


@pytest.mark.parametrize("state", STATES)
def test_kafka_has_no_complaint_about_any_file(states: dict[str, State], state: str) -> None:
    assert states[state].dumped.complaints == []


@pytest.mark.parametrize("state", STATES)
def test_kafka_sees_the_records_that_were_written(states: dict[str, State], state: str) -> None:
    dumped, written = states[state].dumped, states[state].written
    for folder, wanted in written.items():
        found = dumped.records[folder]
        expected = [record.dumped() for record in wanted]
        if folder == "deleted-0":
            assert found[0].offset <= DELETED_BEFORE
            expected = [record for record in expected if record.offset >= found[0].offset]
        assert [record.offset for record in found] == list(range(found[0].offset, found[-1].offset + 1)), folder
        if folder == "none-0":  # the broker may have been killed before it acknowledged what it had written
            acknowledged = {record.offset for record in expected}
            found = [record for record in found if record.offset in acknowledged]
        assert found == expected, folder


def test_kafka_would_complain_about_damage(states: dict[str, State], tmp_path: Path) -> None:
    source = next(Path(file).parent for file in states["recovered"].dumped.files if "/none-0/" in file)
    for name, suffix, damage in (
        ("value-0", ".log", lambda content: content[:50_000] + bytes([content[50_000] ^ 1]) + content[50_001:]),
        ("end-0", ".log", lambda content: content[:-10]),
        ("offset-0", ".index", lambda content: content[:3] + bytes([content[3] ^ 1]) + content[4:]),
        ("time-0", ".timeindex", lambda content: content[:7] + bytes([content[7] ^ 1]) + content[8:]),
    ):
        shutil.copytree(source, tmp_path / name)
        file = tmp_path / name / f"{0:020}{suffix}"
        file.write_bytes(damage(file.read_bytes()))
    for path in (tmp_path / "end-0").glob("*index"):
        path.unlink()  # the tool itself ends where an index points beyond the log

    complaints = "\n".join(dump(tmp_path).complaints)

    assert "isvalid: false" in complaints
    assert f"invalid bytes at the end of {0:020}.log" in complaints
    assert f"Mismatches in :{tmp_path}/offset-0/" in complaints
    assert f"Found timestamp mismatch in :{tmp_path}/time-0/" in complaints

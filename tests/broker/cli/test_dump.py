"""``barnabas dump``: what is printed, for people and for programs, and the exit status."""

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.calls import make_topic, produce_request
from support.dumps import dumped
from support.logs import START_MS, LogFolder, append, batch
from support.process import running
from support.wire import Wire

from barnabas.broker.cli.dump import run_dump
from barnabas.broker.config.command_line import DumpOptions
from barnabas.protocol.records import Record, build_batch, end_transaction_marker
from barnabas.storage.dump import BatchRecord

FIRST = f"{0:020d}"
COMMAND = (sys.executable, "-m", "barnabas", "dump")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a partition whose records have all that a terminal should not get to see."""
    data = LogFolder(tmp_path / "data")
    log = data.open()
    written = [
        Record(
            0, START_MS, b"key", "v\xe4lue\x1b[31m\r\n\x7f\x9b\u202e".encode(), [("a\x1b", b"\xff\x1b"), ("b", None)]
        ),
        Record(1, 2**62, None, b"\x00\xff\x1b[2J", [("\udcff", b"")]),
    ]
    append(
        log, bytearray(build_batch(written, producer_id=7, producer_epoch=1, base_sequence=0, is_transactional=True))
    )
    marker = end_transaction_marker(
        commit=False, producer_id=7, producer_epoch=1, coordinator_epoch=3, timestamp=START_MS
    )
    log.end_transaction(memoryview(bytearray(marker)), 0, False)
    data.close(log)
    return data.partition


def damage(folder: Path) -> None:
    with (folder / f"{FIRST}.log").open("ab") as file:
        file.write(b"no batch")


def run(capsys: pytest.CaptureFixture[str], *paths: Path, **options: Any) -> tuple[int, str, str]:
    status = run_dump(DumpOptions(tuple(map(str, paths)), **options))
    return status, *capsys.readouterr()


def objects(capsys: pytest.CaptureFixture[str], *paths: Path, **options: Any) -> list[dict[str, Any]]:
    _, out, _ = run(capsys, *paths, json=True, **options)
    return [json.loads(line) for line in out.splitlines()]


def test_people_see_the_batches(folder, capsys):
    status, out, err = run(capsys, folder / f"{FIRST}.log")
    header, first, second = out.splitlines()
    assert (status, err) == (0, "")
    assert header == f"{folder}/{FIRST}.log (segment, {(folder / f'{FIRST}.log').stat().st_size} bytes)"
    assert first.startswith("  batch position=0 size_bytes=")
    assert (
        " base_offset=0 last_offset=1 records_count=2 leader_epoch=0 producer_id=7 producer_epoch=1 base_sequence=0"
        " last_sequence=1 timestamp_type=CreateTime base_timestamp=2023-11-14T22:13:20.000Z"
        f" max_timestamp={2**62} codec=none transactional crc=0x"
    ) in first
    assert first.endswith(" (right)")
    assert " transactional control crc=0x" in second
    assert "sequence" not in second


def test_people_see_sizes_of_records_and_their_contents_when_they_ask_for_them(folder, capsys):
    _, out, _ = run(capsys, folder / f"{FIRST}.log", records=True)
    found = [line for line in out.splitlines() if line.startswith("    record ")]
    assert found == [
        "    record offset=0 timestamp=2023-11-14T22:13:20.000Z sequence=0 key_size_bytes=3 value_size_bytes=19"
        r" headers='a\x1b','b'",
        rf"    record offset=1 timestamp={2**62} sequence=1 key_size_bytes=-1 value_size_bytes=6 headers=b'\xff'",
        "    record offset=2 timestamp=2023-11-14T22:13:20.000Z key_size_bytes=4 value_size_bytes=6"
        " control_type=ABORT coordinator_epoch=3",
    ]

    _, out, _ = run(capsys, folder / f"{FIRST}.log", records=True, values=True)
    first, second, _ = [line for line in out.splitlines() if line.startswith("    record ")]
    assert first.endswith(r" key='key' value='välue\x1b[31m\r\n\x7f\x9b\u202e' headers='a\x1b':b'\xff\x1b','b':null")
    assert second.endswith(r" key=null value=b'\x00\xff\x1b[2J' headers=b'\xff':''")


def test_each_line_of_json_is_an_object_with_its_type_and_file(folder, capsys):
    damage(folder)
    found = objects(capsys, folder.parent, records=True, verify=True)
    assert [one["type"] for one in found] == [
        *("file", "file", "batch", "record", "record", "batch", "record", "problem"),
        *("file", "time_entry", "file", "aborted_transaction", "file", "producer", "file", "leader_epoch"),
    ]
    assert len(found) == len(dumped(folder.parent, records=True, verify=True))
    files = iter(sorted(folder.iterdir()))
    for one in found:
        if one["type"] == "file":
            path = str(next(files))
        assert one["file"] == path
    assert found[2]["is_crc_right"] is True
    assert found[6] | {"control_type": "ABORT", "coordinator_epoch": 3} == found[6]
    assert found[7]["bytes_left"] == 8


def test_contents_are_text_in_json_or_else_base64_under_another_name(folder, capsys):
    first, second, _ = [
        one for one in objects(capsys, folder / f"{FIRST}.log", records=True, values=True) if one["type"] == "record"
    ]
    assert (first["key"], first["value"]) == ("key", "v\xe4lue\x1b[31m\r\n\x7f\x9b\u202e")
    assert first["headers"] == [
        {"key": "a\x1b", "value_size_bytes": 2, "value_base64": "/xs="},
        {"key": "b", "value_size_bytes": -1, "value": None},
    ]
    assert (second["key"], second["value_base64"]) == (None, "AP8bWzJK")
    assert "value" not in second
    assert second["headers"] == [{"key_base64": "/w==", "value_size_bytes": 0, "value": ""}]


def test_contents_are_not_shown_unless_they_are_asked_for(folder, capsys):
    for one in objects(capsys, folder / f"{FIRST}.log", records=True):
        assert not {"key", "value", "key_base64", "value_base64"} & set(one)
        assert all(set(header) <= {"key", "key_base64", "value_size_bytes"} for header in one.get("headers", ()))


@given(key=st.none() | st.binary() | st.text().map(str.encode), value=st.none() | st.binary(), name=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_content_commands_the_terminal(tmp_path, capsys, key, value, name):
    path = tmp_path / f"{FIRST}.log"
    path.write_bytes(build_batch([Record(0, START_MS, key, value, [(name, value)])]))
    for is_json in (True, False):
        status, out, err = run(capsys, path, records=True, values=True, json=is_json)
        assert (status, err) == (0, "")
        assert out.replace("\n", "").isprintable()
        assert out.count("\n") == 3
    assert json.loads(run(capsys, path, records=True, values=True, json=True)[1].splitlines()[2])


def test_no_name_of_a_file_commands_the_terminal(tmp_path, capsys):
    folder = os.fsencode(tmp_path) + b"/\x1b[2J\n\xff-0"
    os.mkdir(folder)
    damaged = Path(os.fsdecode(folder)) / "leader-epoch-checkpoint"
    damaged.write_bytes(b"0\n1\n\x1b[2J\xff\n")
    for is_json in (True, False):
        status, out, err = run(capsys, tmp_path, damaged.with_name("\x1b.log"), json=is_json)
        assert status == 2
        assert out.replace("\n", "").isprintable()
        assert err.replace("\n", "").isprintable()
        assert (out.count("\n"), err.count("\n")) == (2, 1)


def test_room_for_more_batches_is_told(folder, capsys):
    path = folder / f"{FIRST}.log"
    size = path.stat().st_size
    os.truncate(path, size + 1000)
    status, out, _ = run(capsys, path)
    assert (status, out.splitlines()[-1]) == (0, f"  1000 bytes preallocated at position {size}")


def test_damage_is_told_with_its_place_and_what_is_left_and_ends_with_1(folder, capsys):
    size = (folder / f"{FIRST}.log").stat().st_size
    damage(folder)
    status, out, err = run(capsys, folder / f"{FIRST}.log")
    assert (status, err) == (1, "")
    assert out.splitlines()[-1] == (
        f"problem: at position {size}: no sound batch begins: 8 bytes are no batch header, which has 61;"
        " 8 bytes are left"
    )


def test_what_cannot_be_read_is_told_on_standard_error_and_ends_with_2(folder, capsys):
    damage(folder)
    status, out, err = run(capsys, folder / "none.log", folder, folder / "what.txt")
    assert status == 2
    assert "problem: " in out
    assert err == f"barnabas: {folder}/none.log: No such file or directory\n" + (
        f"barnabas: {folder}/what.txt: No such file or directory\n"
    )


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_pipe_that_is_closed_ends_it_quietly(tmp_path, options):
    path = tmp_path / f"{FIRST}.log"
    content = bytearray(batch())
    with path.open("wb") as file:
        for offset in range(20_000):
            struct.pack_into(">q", content, 0, offset)
            file.write(content)
    process = subprocess.Popen([*COMMAND, *options, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_a_full_disk_below_the_output_is_told(folder):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, folder], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "barnabas: cannot print: No space left on device\n")


def test_a_terminal_that_knows_only_ascii_gets_ascii(folder):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [*COMMAND, "--values", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert r"value='v\xe4lue" in done.stdout


def test_a_large_sparse_file_prints_at_once_and_takes_little_memory(tmp_path):
    path = tmp_path / f"{FIRST}.log"
    path.write_bytes(batch())
    os.truncate(path, 100 * 2**30)
    begin = time.monotonic()
    script = (
        "import sys\nfrom barnabas.__main__ import main\nstatus = main()\n"
        "print(*[line for line in open('/proc/self/status') if 'VmHWM' in line], file=sys.stderr)\nsys.exit(status)"
    )
    command = [sys.executable, "-c", script, "dump", "--records", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stdout.splitlines()) == 4
    assert time.monotonic() - begin < 30
    assert int(done.stderr.split()[1]) < 64 * 2**10


def test_the_files_of_a_running_broker_are_dumped(tmp_path):
    with running(tmp_path / "data") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, partitions=2)
        wire.call(produce_request(topic, (0, batch(3)), (1, batch())), 13)
        command = [*COMMAND, "--json", "--verify", "--records", broker.data_dir]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert broker.is_running()
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len([one for one in found if one["type"] == "record"]) == 4


def test_records_of_the_dump_have_a_field_for_each_of_theirs(folder, capsys):
    fields = set(BatchRecord._fields) | {"type", "file"}
    for one in objects(capsys, folder / f"{FIRST}.log", records=True, values=True):
        if one["type"] == "record":
            assert {name.removesuffix("_base64") for name in one} == fields

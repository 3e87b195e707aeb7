"""A broker that the system gives little: address space, length of files, descriptors."""

import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from support import no_shared_maps
from support.calls import (
    batch,
    commit,
    committed_offset,
    fetch,
    fetch_request,
    fetched,
    make_topic,
    now_ms,
    placed,
    produce,
    produce_request,
    wait_until,
)
from support.hostile import assert_untroubled
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.api_versions import ApiVersionsRequest
from barnabas.storage.file_pool import DESCRIPTORS_MIN

PARTITIONS = 100


def shell(limits: str) -> tuple[str, ...]:
    """Return the command that runs another one under limits."""
    return "sh", "-c", f'{limits} && exec "$@"', "sh"


@contextmanager
def limited(data_dir: Path, limits: str) -> Iterator[BrokerProcess]:
    """A broker under the limits that a shell's ``ulimit`` sets."""
    broker = BrokerProcess(data_dir, launcher=shell(limits)).start()
    try:
        yield broker
        assert_untroubled(broker)
        assert "is offline until" not in broker.log.read_text()
    finally:
        broker.stop()


def is_served(broker: BrokerProcess) -> bool:
    try:
        with Wire(broker.port, timeout_s=2) as wire:
            return wire.call(ApiVersionsRequest(), 0).error_code == 0
    except OSError:
        return False


def test_all_partitions_can_be_read_in_a_small_address_space(tmp_path):
    """All of the partitions at once do not fit into it, nor does one of them at segment.bytes."""
    content = batch(bytes(2**19), timestamp=now_ms())
    with limited(tmp_path / "data", "ulimit -v 400000") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, PARTITIONS)
        for index in range(PARTITIONS):
            (answered,) = wire.call(produce_request(topic, (index, content)), 13).responses
            assert answered.partition_responses[0].error_code == 0
        for index in range(PARTITIONS):
            (result,) = fetched(wire.call(fetch_request((topic, index, 0)), 18))
            assert result.error_code == 0
            assert result.records == placed(content, 0)
        request = fetch_request(*((topic, index, 0) for index in range(PARTITIONS)), max_bytes=2**25)
        assert sum(result.records == placed(content, 0) for result in fetched(wire.call(request, 18))) >= 50


def test_a_limit_of_the_length_of_files_only_makes_segments_shorter(tmp_path):
    content = batch(bytes(10**6), timestamp=now_ms())
    with limited(tmp_path / "data", "ulimit -f 6000") as broker, Wire(broker.port) as wire:  # in units of 512 bytes
        topic = make_topic(wire)
        for _ in range(10):
            assert produce(wire, topic, content).error_code == 0
        for offset in range(10):
            assert fetch(wire, topic, offset).records == placed(content, offset)
    sizes = [path.stat().st_size for path in (tmp_path / "data").rglob("*.log")]
    assert len(sizes) > 2
    assert max(sizes) <= 6000 * 512


@pytest.mark.parametrize("count", [DESCRIPTORS_MIN, 64])
def test_clients_do_not_take_the_descriptors_of_partitions(tmp_path, count):
    contents = [batch(b"%d" % index, timestamp=now_ms()) for index in range(count + 10)]
    with limited(tmp_path / "data", f"ulimit -n {count}") as broker, ExitStack() as stack:
        wire = stack.enter_context(Wire(broker.port))
        topic = make_topic(wire, len(contents))
        idle = [stack.enter_context(Wire(broker.port)) for _ in range(count + 10)]
        for index, content in enumerate(contents):
            (answered,) = wire.call(produce_request(topic, (index, content)), 13).responses
            assert answered.partition_responses[0].error_code == 0
        for _ in range(2):
            for index, content in enumerate(contents):
                (result,) = fetched(wire.call(fetch_request((topic, index, 0)), 18))
                assert result.records == placed(content, 0)
        assert not is_served(broker)
        for other in idle:
            other.socket.close()
        wait_until(lambda: is_served(broker))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_a_broker_without_descriptors_goes_on_when_there_are_some(tmp_path):
    content = batch(timestamp=now_ms())
    with limited(tmp_path / "data", "ulimit -n 256") as broker, Wire(broker.port) as wire:
        topic = make_topic(wire, 20)
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (10, 256))
        codes = set()
        for index in range(20):
            (answered,) = wire.call(produce_request(topic, (index, content)), 13).responses
            codes.add(answered.partition_responses[0].error_code)
        assert codes == {ErrorCode.KAFKA_STORAGE_ERROR}
        assert not is_served(broker)
        resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (256, 256))
        wait_until(lambda: is_served(broker))
        for index in range(20):
            (answered,) = wire.call(produce_request(topic, (index, content)), 13).responses
            assert answered.partition_responses[0].error_code == 0
            (result,) = fetched(wire.call(fetch_request((topic, index, 0)), 18))
            assert result.records == placed(content, 0)


def test_too_few_descriptors_are_told_at_the_start(tmp_path):
    broker = BrokerProcess(tmp_path / "data", launcher=shell(f"ulimit -n {DESCRIPTORS_MIN - 1}"))
    with pytest.raises(RuntimeError, match=r"limit of open files \(ulimit -n\) is 31, Barnabas needs 32 or more"):
        broker.start()


@pytest.mark.skipif(not no_shared_maps.is_possible(), reason="the kernel cannot be told to refuse them")
def test_a_file_system_without_shared_maps_will_do(tmp_path):
    """Such as FUSE with direct_io. All is there again after a stop and after a crash."""
    content = batch(bytes(2**17), timestamp=now_ms())
    launcher = (sys.executable, no_shared_maps.__file__)
    broker = BrokerProcess(tmp_path / "data", launcher=launcher).start()
    with Wire(broker.port) as wire:
        topic = make_topic(wire)
    count = 0
    for end in (broker.stop, broker.kill, broker.stop):
        with Wire(broker.port) as wire:
            for _ in range(20):
                assert produce(wire, topic, content).error_code == 0
            count += 20
            commit(wire, "group", topic, (0, count))
            for offset in range(count):
                assert fetch(wire, topic, offset).records[:8] == offset.to_bytes(8, "big")
        assert_untroubled(broker)
        end()
        broker.start()
        with Wire(broker.port) as wire:
            assert committed_offset(wire, "group", topic) == count
    broker.stop()
    log = broker.log.read_text()
    assert log.count("the file system has no shared memory maps") == 4
    assert "records are read by copies" in log

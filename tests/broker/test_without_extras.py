"""A broker to which nothing but its dependencies is installed: no google-re2, lz4, zstandard, uvloop."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.calls import batch, fetch_request, fetched, fresh, make_topic, produce
from support.process import BrokerProcess, running
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.consumer_groups import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse
from barnabas.protocol.messages.transaction_admin import ListTransactionsRequest
from barnabas.protocol.records import Codec, decompress, read_header

MISSING = ("re2", "lz4", "zstandard", "uvloop", "snappy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for PYTHONPATH in which these packages cannot be imported."""
    folder = tmp_path_factory.mktemp("missing")
    for name in MISSING:
        (folder / f"{name}.py").write_text(f"raise ImportError({name!r})\n")
    return folder


@pytest.fixture(scope="module")
def broker(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        with running(tmp_path_factory.mktemp("broker") / "data") as broker:
            yield broker


def join(wire: Wire, regex: str) -> ConsumerGroupHeartbeatResponse:
    request = ConsumerGroupHeartbeatRequest(
        group_id=fresh("group"),
        member_id="member",
        member_epoch=0,
        rebalance_timeout_ms=60_000,
        subscribed_topic_names=[],
        subscribed_topic_regex=regex,
        topic_partitions=[],
    )
    return wire.call(request, 1)  # type: ignore[no-any-return]


def test_the_packages_are_missing_there(folder: Path) -> None:
    for name in MISSING:
        done = subprocess.run([sys.executable, "-c", f"import {name}"], env={"PYTHONPATH": str(folder)}, check=False)
        assert done.returncode == 1


def test_a_consumer_subscribes_to_an_ordinary_pattern(broker: BrokerProcess) -> None:
    with Wire(broker.port) as wire:
        prefix = fresh("pattern")
        topic = make_topic(wire, name=f"{prefix}-a")
        make_topic(wire, name=f"x{prefix}-a")
        joined = join(wire, f"^{prefix}-.*")
    assert joined.assignment is not None
    assert [assigned.topic_id for assigned in joined.assignment.topic_partitions] == [topic.topic_id]


@pytest.mark.parametrize("regex", ["(a+)+b", "(", "[[:alpha:]]+"])
def test_another_pattern_is_refused_with_the_package_to_install(broker: BrokerProcess, regex: str) -> None:
    with Wire(broker.port) as wire:
        refused = join(wire, regex)
        listed = wire.call(ListTransactionsRequest(transactional_id_pattern=regex), 2)
    assert refused.error_code == listed.error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert refused.error_message is not None
    assert "pip install google-re2" in refused.error_message


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_batches_are_compressed_by_every_codec(broker: BrokerProcess, codec: Codec) -> None:
    with Wire(broker.port) as wire:
        topic = make_topic(wire, compression_type=codec.name.lower())
        produce(wire, topic, batch(b"x" * 1000))
        (result,) = fetched(wire.call(fetch_request((topic, 0, 0)), 12))
    header = read_header(result.records)
    assert header.codec is codec
    assert b"x" * 1000 in decompress(codec, result.records[61:])

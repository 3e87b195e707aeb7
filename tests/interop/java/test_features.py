"""kafka-features: levels are lowered and raised, and Java's producer speaks the transactions of the level."""

import re
from collections.abc import Iterator

import pytest
from support.kafka_tools import Tools

TRANSACTION_MS = 50


@pytest.fixture
def run(run: Tools) -> Iterator[Tools]:
    """The tools; all levels are as they were afterwards."""
    yield run
    for feature in ("transaction.version=2", "group.version=1"):
        run(f"kafka-features upgrade --feature {feature}")


def level(run: Tools, feature: str) -> str:
    described = "\n".join(run("kafka-features describe").lines)
    found = re.search(rf"Feature: {re.escape(feature)} .* FinalizedVersionLevel: (\S+)", described)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("unsafe", ["", " --unsafe"])
def test_a_feature_is_downgraded_and_upgraded(run: Tools, unsafe: str) -> None:
    checked = run(f"kafka-features downgrade --feature transaction.version=1{unsafe} --dry-run")
    assert checked.lines == ["transaction.version can be downgraded to 1."]
    assert level(run, "transaction.version") == "2"

    lowered = run(f"kafka-features downgrade --feature transaction.version=1{unsafe}")
    assert (lowered.lines, lowered.status) == (["transaction.version was downgraded to 1."], 0)
    assert level(run, "transaction.version") == "1"

    raised = run("kafka-features upgrade --feature transaction.version=2")
    assert raised.lines == ["transaction.version was upgraded to 2."]
    assert level(run, "transaction.version") == "2"


def test_a_feature_is_disabled(run: Tools) -> None:
    assert run("kafka-features disable --feature group.version").lines == ["group.version was disabled."]
    assert level(run, "group.version") == "0"


def test_an_upgrade_does_not_lower(run: Tools) -> None:
    refused = run("kafka-features upgrade --feature transaction.version=1")
    assert refused.status == 1
    assert (refused.lines + refused.errors)[0] == (
        "Could not upgrade transaction.version to 1. The update failed for all features since the following feature"
        " had an error: Invalid update version 1 for feature transaction.version. Can't downgrade the version of this"
        " feature without setting the upgrade type to either safe or unsafe downgrade."
    )


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_producer_speaks_the_transactions_of_the_level(run: Tools, topic: str, name: str, version: int) -> None:
    """With version 2 each transaction has an epoch of its own (KIP-890)."""
    if version < 2:
        assert run(f"kafka-features downgrade --feature transaction.version={version}").status == 0
    sent = run(
        f"kafka-producer-perf-test --topic {topic} --num-records 60 --record-size 10 --throughput 200"
        f" --transactional-id {name} --transaction-duration-ms {TRANSACTION_MS}"
    )
    assert sent.status == 0, sent
    head, values = (line.split() for line in run(f"kafka-transactions describe --transactional-id {name}").lines)
    described = dict(zip(head, values, strict=False))
    assert described["TransactionState"] == "CompleteCommit"
    assert (int(described["ProducerEpoch"]) > 0) == (version == 2)

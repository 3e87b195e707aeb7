"""kafka-transactions: what operators see of transactions, and how they end those that nobody else ends (KIP-664)."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.apache_kafka import ApacheKafka
from support.calls import BROKER, Topic, batch, configure, produce_request, wait_until
from support.kafka_tools import Printed, Tools
from support.log_files import HOUR_MS, read
from support.process import BrokerProcess
from support.wire import Wire

TIMEOUT_S = 20
LIST_HEAD = "TransactionalId Coordinator ProducerId TransactionState"
DESCRIBE_HEAD = (
    "CoordinatorId TransactionalId ProducerId ProducerEpoch TransactionState TransactionTimeoutMs "
    "CurrentTransactionStartTimeMs TransactionDurationMs TopicPartitions"
)
PRODUCERS_HEAD = (
    "ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp CurrentTransactionStartOffset"
)
HANGING_HEAD = "Topic Partition ProducerId ProducerEpoch CoordinatorEpoch StartOffset LastTimestamp Duration(min)"
# The last version of Produce that says nothing to the coordinator; from the next one on partitions are added.
PRODUCE_VERSION_1 = 11
UNKNOWN_PRODUCER = 2**33  # an id that no broker has given out
VERIFICATION = "transaction_partition_verification_enable"


@dataclass
class Transactions:
    """Holds transactions open: each transactional id is the one of a test with a word behind it."""

    bootstrap: str
    test: str
    producers: list[Producer] = field(default_factory=list)

    def id(self, word: str) -> str:
        return f"{self.test}-{word}"

    def producer(self, word: str, timeout_ms: int = 50_000) -> Producer:
        settings = {"transactional.id": self.id(word), "transaction.timeout.ms": timeout_ms}
        producer = Producer({"bootstrap.servers": self.bootstrap, **settings})
        producer.init_transactions(TIMEOUT_S)
        self.producers.append(producer)
        return producer

    def begin(self, word: str, timestamp: int = 0, timeout_ms: int = 50_000) -> Producer:
        """Write two records into partition 0 of the topic of the test, in a transaction that stays open."""
        producer = self.producer(word, timeout_ms)
        producer.begin_transaction()
        for number in range(2):
            producer.produce(self.test, f"{word} {number}", partition=0, timestamp=timestamp)
        assert producer.flush(TIMEOUT_S) == 0
        return producer

    def values(self, isolation_level: str = "read_committed") -> list[str]:
        return [(record.value or b"").decode() for record in read(self.bootstrap, self.test, isolation_level)]


@pytest.fixture
def transactions(server: BrokerProcess | ApacheKafka, name: str) -> Iterator[Transactions]:
    """Transactions in a topic of the test's name, which keeps records of any age."""
    admin = AdminClient({"bootstrap.servers": server.bootstrap})
    created = admin.create_topics([NewTopic(name, num_partitions=1, config={"retention.ms": "-1"})])
    created[name].result(TIMEOUT_S)
    transactions = Transactions(server.bootstrap, name)
    yield transactions
    for producer in transactions.producers:
        producer.purge()


@pytest.fixture
def impatient(tmp_path: Path) -> str:
    """The command, with settings that let it give up soon."""
    file = tmp_path / "impatient.properties"
    file.write_text("default.api.timeout.ms=2000\nrequest.timeout.ms=2000\n")
    return f"kafka-transactions --command-config {file}"


@dataclass
class Hanging:
    """An open transaction of which no coordinator knows."""

    producer_id: int
    timestamp: int


@pytest.fixture
def hanging(server: BrokerProcess | ApacheKafka, transactions: Transactions) -> Hanging:
    """Three records of an hour ago, in a transaction that a broker lets through which does not verify it."""
    made = Hanging(producer_id=UNKNOWN_PRODUCER, timestamp=int(time.time() * 1000) - HOUR_MS)
    records = batch(
        timestamp=made.timestamp,
        producer_id=made.producer_id,
        producer_epoch=7,
        base_sequence=0,
        is_transactional=True,
    )
    request = produce_request(Topic(transactions.test, bytes(16)), (0, records))
    request.transactional_id = transactions.id("unknown")
    with Wire(server.port) as wire:
        configure(wire, BROKER, "", **{VERIFICATION: "false"})

        def is_taken() -> bool:
            (answered,) = wire.call(request, PRODUCE_VERSION_1).responses
            return answered.partition_responses[0].error_code == 0

        try:
            wait_until(is_taken)  # Kafka takes a moment to learn of the setting
        finally:
            configure(wire, BROKER, "", **{VERIFICATION: None})
    return made


def plain(printed: Printed) -> list[str]:
    """The lines in order, the head first, with times that were taken as TIME."""
    assert printed.status == 0, printed
    head, *rows = [re.sub(r"\b\d{13}\b", "TIME", line) for line in printed.lines]
    return [head, *sorted(rows)]


def failure(printed: Printed) -> str:
    """What the tool said when it failed, for which the log of its client may have a line as well."""
    assert (printed.status, printed.lines) == (1, []), printed
    return printed.errors[-1].removesuffix(" Enable debug logging for additional detail.")


def producer_ids(run: Tools, transactions: Transactions) -> dict[str, str]:
    lines = run(f"kafka-transactions list --transactional-id-pattern {transactions.id('.*')}").lines
    return {line.split()[0].removeprefix(transactions.id("")): line.split()[2] for line in lines[1:]}


def state_of(run: Tools, transactional_id: str) -> list[str]:
    """The row that describes it, its times as TIME and DURATION; the end of its transaction is waited for."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        head, row = plain(run(f"kafka-transactions describe --transactional-id {transactional_id}"))
        assert head == DESCRIBE_HEAD
        if " Prepare" not in row or time.monotonic() > deadline:
            return re.sub(r"TIME \d+", "TIME DURATION", row).split()


def test_transactions_are_listed(run: Tools, transactions: Transactions) -> None:
    transactions.producer("fresh")
    transactions.begin("open")
    transactions.begin("committed").commit_transaction(TIMEOUT_S)
    transactions.begin("aborted").abort_transaction(TIMEOUT_S)
    ids = producer_ids(run, transactions)

    def listed(options: str) -> list[str]:
        head, *rows = plain(run(f"kafka-transactions list {options}"))
        assert head == LIST_HEAD
        return [row.removeprefix(transactions.id("")) for row in rows if row.startswith(transactions.id(""))]

    wait_until(lambda: "Prepare" not in str(listed("")), TIMEOUT_S)
    assert listed("") == [
        f"aborted 1 {ids['aborted']} CompleteAbort",
        f"committed 1 {ids['committed']} CompleteCommit",
        f"fresh 1 {ids['fresh']} Empty",
        f"open 1 {ids['open']} Ongoing",
    ]
    assert len(set(ids.values())) == 4
    assert listed(f"--transactional-id-pattern {transactions.id('[ao].*')}") == [
        f"aborted 1 {ids['aborted']} CompleteAbort",
        f"open 1 {ids['open']} Ongoing",
    ]
    assert listed("--transactional-id-pattern open") == []
    assert listed("--duration-filter -1") == listed("")


def test_transactions_are_listed_by_the_time_since_they_began(run: Tools, transactions: Transactions) -> None:
    # Kafka counts on when a transaction has ended, and an id that never had one has begun none since ever.
    transactions.producer("fresh")
    transactions.begin("open")
    transactions.begin("committed").commit_transaction(TIMEOUT_S)
    pattern = f"--transactional-id-pattern {transactions.id('.*')}"

    def listed(duration_ms: int) -> list[str]:
        lines = plain(run(f"kafka-transactions list {pattern} --duration-filter {duration_ms}"))
        return [line.split()[0].removeprefix(transactions.id("")) for line in lines[1:]]

    assert listed(1) == ["committed", "fresh", "open"]
    assert listed(HOUR_MS) == ["fresh"]


def test_a_pattern_that_is_none_is_refused(run: Tools) -> None:
    printed = run("kafka-transactions list --transactional-id-pattern [")

    assert failure(printed).startswith(
        "Failed to list transactions: ListTransactions request sent to broker 1 failed"
    )
    assert printed.errors[0].endswith("an unexpected error INVALID_REGULAR_EXPRESSION")


def test_an_open_transaction_is_described(run: Tools, transactions: Transactions) -> None:
    transactions.begin("open")
    producer_id = producer_ids(run, transactions)["open"]

    assert state_of(run, transactions.id("open")) == (
        f"1 {transactions.id('open')} {producer_id} 0 Ongoing 50000 TIME DURATION {transactions.test}-0".split()
    )


def test_the_offsets_of_a_group_are_described_as_a_partition(run: Tools, transactions: Transactions) -> None:
    producer = transactions.begin("open")
    group = Consumer({"bootstrap.servers": transactions.bootstrap, "group.id": transactions.test})
    offsets = [TopicPartition(transactions.test, 0, 1)]
    producer.send_offsets_to_transaction(offsets, group.consumer_group_metadata(), TIMEOUT_S)

    partitions = state_of(run, transactions.id("open"))[-1].split(",")

    of_group, of_topic = sorted(partitions)
    assert re.fullmatch(r"__consumer_offsets-\d+", of_group)
    assert of_topic == f"{transactions.test}-0"
    group.close()


def test_a_transaction_that_takes_too_long_is_aborted_with_the_next_epoch(
    run: Tools, transactions: Transactions
) -> None:
    transactions.begin("open", timeout_ms=1000)
    transactions.begin("behind").commit_transaction(TIMEOUT_S)

    wait_until(lambda: transactions.values() == ["behind 0", "behind 1"], TIMEOUT_S)

    assert state_of(run, transactions.id("open"))[3:] == ["1", "CompleteAbort", "1000", "TIME", "DURATION"]


@pytest.mark.parametrize(("end", "state"), [("commit", "CompleteCommit"), ("abort", "CompleteAbort")])
def test_a_transaction_that_has_ended_has_no_partitions(
    run: Tools, transactions: Transactions, end: str, state: str
) -> None:
    producer = transactions.begin("ended")
    {"commit": producer.commit_transaction, "abort": producer.abort_transaction}[end](TIMEOUT_S)

    assert state_of(run, transactions.id("ended"))[3:] == ["0", state, "50000", "TIME", "DURATION"]


def test_a_producer_without_a_transaction_has_an_epoch_per_start(run: Tools, transactions: Transactions) -> None:
    for epoch in ("0", "1"):
        transactions.producer("fresh")

        assert state_of(run, transactions.id("fresh"))[3:] == [epoch, "Empty", "50000", "None", "None"]


def test_a_producer_of_kafka_has_an_epoch_per_transaction(run: Tools, transactions: Transactions) -> None:
    # KIP-890, version 2: the epoch is a new one with each end.
    transactional_id = transactions.id("perf")
    for epoch in ("1", "3"):  # the start of the second producer takes one, too
        sent = run(
            f"kafka-producer-perf-test --topic {transactions.test} --num-records 5 --record-size 10 --throughput -1"
            f" --transactional-id {transactional_id} --transaction-duration-ms 60000"
        )
        assert sent.status == 0, sent

        assert state_of(run, transactional_id)[3:] == [epoch, "CompleteCommit", "60000", "TIME", "DURATION"]


def test_an_unknown_transactional_id_is_not_described(run: Tools, name: str) -> None:
    for transactional_id, reason in (
        (name, "because the ID could not be found."),
        ("''", "due to unexpected error."),
    ):
        given = transactional_id.strip("'")

        assert failure(run(f"kafka-transactions describe --transactional-id {transactional_id}")) == (
            f"Failed to describe transaction state of transactional-id `{given}`: "
            f"DescribeTransactions request for transactionalId `{given}` failed {reason}"
        )


def test_the_producers_of_transactions_are_described(run: Tools, transactions: Transactions) -> None:
    transactions.begin("committed", timestamp=1000).commit_transaction(TIMEOUT_S)
    transactions.begin("open", timestamp=2000)
    ids = producer_ids(run, transactions)
    of_partition = f"--topic {transactions.test} --partition 0"
    # Of one that has ended its transaction, the time is that of the marker.
    rows = sorted([f"{ids['committed']} 0 0 1 TIME None", f"{ids['open']} 0 -1 1 2000 3"])

    for options in ("", "--broker-id 1"):
        assert plain(run(f"kafka-transactions describe-producers {of_partition} {options}")) == [
            PRODUCERS_HEAD,
            *rows,
        ]


def test_producers_where_there_is_no_partition_are_not_described(
    run: Tools, transactions: Transactions, impatient: str
) -> None:
    topic = transactions.test
    for where, broker in (
        ("--topic nosuch --partition 0", "leader"),
        (f"--topic {topic} --partition 5", "leader"),
        (f"--topic {topic} --partition 0 --broker-id 7", "broker 7"),
    ):
        _, name, _, partition, *_ = where.split()

        assert failure(run(f"{impatient} describe-producers {where}")).startswith(
            f"Failed to describe producers for partition {name}-{partition} on {broker}: "
        )


def test_a_transaction_that_the_coordinator_knows_does_not_hang(run: Tools, transactions: Transactions) -> None:
    transactions.begin("open", timestamp=1000)

    for scope in (f"--topic {transactions.test}", f"--topic {transactions.test} --partition 0"):
        assert run(f"kafka-transactions find-hanging {scope}").lines == [HANGING_HEAD]


def test_a_hanging_transaction_is_found_and_aborted(run: Tools, transactions: Transactions, hanging: Hanging) -> None:
    topic = transactions.test
    transactions.begin("behind").commit_transaction(TIMEOUT_S)
    find, at = "kafka-transactions find-hanging", f"--topic {topic} --partition 0"
    row = f"{topic} 0 {hanging.producer_id} 7 -1 0 {hanging.timestamp} 60"
    assert transactions.values() == []

    for scope in (f"--topic {topic}", at, "--broker-id 1", f"{at} --broker-id 1 --max-transaction-timeout 50"):
        assert [line for line in run(f"{find} {scope}").lines if line.startswith(f"{topic} ")] == [row]
    for scope in (f"{at} --max-transaction-timeout 70", "--broker-id 7"):
        assert run(f"{find} {scope}").lines == [HANGING_HEAD]
    aborted = run(f"kafka-transactions abort {at} --start-offset 0")

    assert (aborted.status, aborted.lines, aborted.errors) == (0, [], [])
    assert run(f"{find} {at}").lines == [HANGING_HEAD]
    assert f"{hanging.producer_id} 7 0 2 TIME None" in plain(run(f"kafka-transactions describe-producers {at}"))
    assert transactions.values() == ["behind 0", "behind 1"]
    assert transactions.values("read_uncommitted") == ["a", "b", "c", "behind 0", "behind 1"]


@pytest.mark.parametrize(
    "how", ["--start-offset 0", "--producer-id {} --producer-epoch 0 --coordinator-epoch -1"], ids=["new", "old"]
)
def test_an_aborted_transaction_holds_nobody_up(run: Tools, transactions: Transactions, how: str) -> None:
    transactions.begin("open")
    transactions.begin("behind").commit_transaction(TIMEOUT_S)
    assert transactions.values() == []
    which = how.format(producer_ids(run, transactions)["open"])

    aborted = run(f"kafka-transactions abort --topic {transactions.test} --partition 0 {which}")

    assert (aborted.status, aborted.lines, aborted.errors) == (0, [], [])
    assert transactions.values() == ["behind 0", "behind 1"]


def test_the_coordinator_is_not_told_that_a_transaction_was_aborted(run: Tools, transactions: Transactions) -> None:
    producer = transactions.begin("open")
    run(f"kafka-transactions abort --topic {transactions.test} --partition 0 --start-offset 0")
    assert state_of(run, transactions.id("open"))[4] == "Ongoing"

    producer.commit_transaction(TIMEOUT_S)

    assert state_of(run, transactions.id("open"))[4] == "CompleteCommit"
    assert transactions.values() == []
    producer.begin_transaction()
    producer.produce(transactions.test, "next", partition=0)
    producer.commit_transaction(TIMEOUT_S)
    wait_until(lambda: transactions.values() == ["next"], TIMEOUT_S)


def test_an_abort_is_refused_where_no_transaction_begins(run: Tools, transactions: Transactions) -> None:
    transactions.begin("open")
    partition = f"{transactions.test}-0"

    for offset in (1, 2, 100):
        assert (
            failure(
                run(f"kafka-transactions abort --topic {transactions.test} --partition 0 --start-offset {offset}")
            )
            == f"Could not find any open transactions starting at offset {offset} on partition {partition}"
        )


def test_an_abort_in_no_partition_is_given_up(run: Tools, name: str, impatient: str) -> None:
    at = f"--topic {name} --partition 0"

    assert failure(run(f"{impatient} abort {at} --start-offset 0")).startswith(
        f"Failed to validate producer state for partition {name}-0: "
    )
    assert failure(
        run(f"{impatient} abort {at} --producer-id 1 --producer-epoch 0 --coordinator-epoch 0")
    ).startswith(f"Failed to abort transaction AbortTransactionSpec(topicPartition={name}-0, producerId=1, ")


def test_an_abort_with_an_epoch_of_the_past_is_refused(run: Tools, transactions: Transactions) -> None:
    abort = f"kafka-transactions abort --topic {transactions.test} --partition 0 --producer-id {UNKNOWN_PRODUCER}"
    assert run(f"{abort} --producer-epoch 3 --coordinator-epoch 5").status == 0  # of a producer nobody knows

    for epochs, reason in (
        ((2, 5), "failed due an invalid producer epoch."),
        ((3, 4), "failed since the provided coordinator epoch 4 has been fenced by the active coordinator."),
    ):
        producer_epoch, coordinator_epoch = epochs
        spec = (
            f"AbortTransactionSpec(topicPartition={transactions.test}-0, producerId={UNKNOWN_PRODUCER}, "
            f"producerEpoch={producer_epoch}, coordinatorEpoch={coordinator_epoch})"
        )
        assert (
            failure(run(f"{abort} --producer-epoch {producer_epoch} --coordinator-epoch {coordinator_epoch}"))
            == f"Failed to abort transaction {spec}: WriteTxnMarkers request with {spec} {reason}"
        )
    assert plain(run(f"kafka-transactions describe-producers --topic {transactions.test} --partition 0")) == [
        PRODUCERS_HEAD,
        f"{UNKNOWN_PRODUCER} 3 5 -1 TIME None",
    ]


def test_a_transaction_is_terminated_and_its_producer_fenced(run: Tools, transactions: Transactions) -> None:
    producer = transactions.begin("open")
    transactional_id = transactions.id("open")
    producer_id = producer_ids(run, transactions)["open"]

    terminated = run(f"kafka-transactions forceTerminateTransaction --transactionalId {transactional_id}")

    assert (terminated.status, terminated.lines, terminated.errors) == (0, [], [])
    # The tool is the next producer: one epoch for the end of the transaction, one for itself, and its own timeout.
    assert state_of(run, transactional_id) == f"1 {transactional_id} {producer_id} 2 Empty 30000 None None".split()
    assert transactions.values() == []
    with pytest.raises(KafkaException) as refused:
        producer.commit_transaction(TIMEOUT_S)
    assert refused.value.args[0].code() == KafkaError._FENCED
    again = transactions.begin("open")
    again.commit_transaction(TIMEOUT_S)
    wait_until(lambda: transactions.values() == ["open 0", "open 1"], TIMEOUT_S)


def test_a_transactional_id_that_is_terminated_need_not_have_a_transaction(
    run: Tools, transactions: Transactions
) -> None:
    for epoch in ("0", "1"):  # the first makes it
        terminate = f"kafka-transactions forceTerminateTransaction --transactionalId {transactions.id('any')}"
        assert run(terminate).status == 0

        assert state_of(run, transactions.id("any"))[3:] == [epoch, "Empty", "30000", "None", "None"]


@pytest.mark.parametrize(
    ("isolation_level", "words"),
    [("read_committed", ["committed"]), ("read_uncommitted", ["aborted", "committed", "open"])],
)
def test_the_console_consumer_shows_what_was_committed_when_it_is_told_to(
    run: Tools, transactions: Transactions, isolation_level: str, words: list[str]
) -> None:
    transactions.begin("aborted").abort_transaction(TIMEOUT_S)
    transactions.begin("committed").commit_transaction(TIMEOUT_S)
    transactions.begin("open")
    wait_until(lambda: transactions.values() == ["committed 0", "committed 1"], TIMEOUT_S)

    consumed = run(
        f"kafka-console-consumer --topic {transactions.test} --from-beginning --timeout-ms 5000"
        f" --isolation-level {isolation_level}"
    )

    assert consumed.lines == [f"{word} {number}" for word in words for number in range(2)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("nosuch", "error: invalid choice: 'nosuch'"),
        ("describe", "error: argument --transactional-id is required"),
        ("describe-producers --topic t", "error: argument --partition is required"),
        ("describe-producers --topic t --partition x", "error: argument --partition: could not convert 'x'"),
        ("find-hanging", "The `find-hanging` command requires either --topic or --broker-id"),
        ("find-hanging --broker-id 1 --partition 0", "The --partition argument requires --topic to be provided"),
        ("abort --topic t", "error: argument --partition is required"),
        ("abort --topic t --partition 0", "The transaction to abort must be identified either with --start-offset"),
        ("abort --topic t --partition 0 --producer-id 1", "Missing required argument --producer-epoch"),
        (
            "abort --topic t --partition 0 --producer-id 1 --producer-epoch 0",
            "Missing required argument --coordinator-epoch",
        ),
        ("forceTerminateTransaction", "error: argument --transactionalId is required"),
    ],
)
def test_wrong_arguments_are_refused(run: Tools, arguments: str, complaint: str) -> None:
    printed = run(f"kafka-transactions {arguments}")

    assert (printed.status, printed.lines) == (1, [])
    assert complaint in " ".join(printed.errors)


def test_topics_that_do_not_exist_are_not_searched(run: Tools, name: str) -> None:
    assert failure(run(f"kafka-transactions find-hanging --topic {name}")) == (
        "Failed to describe 1 topics: This server does not host this topic-partition.."
    )

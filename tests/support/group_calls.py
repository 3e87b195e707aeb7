"""The same groups, commits and deletions for any broker, by stock clients."""

import json
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from .apache_kafka import run_tool

TIMEOUT_S = 60
LEFT = ("deleted", "modern-deleted")
PARTITIONS = 3


def _consumer(at: str, group: str, **settings: Any) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": at,
            "group.id": group,
            "client.id": f"client-of-{group}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **settings,
        }
    )


def _commit(at: str, group: str, *offsets: TopicPartition) -> None:
    consumer = _consumer(at, group)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            consumer.commit(offsets=list(offsets), asynchronous=False)
            break
        except KafkaException:  # Kafka has just started, and the group has no coordinator yet
            assert time.monotonic() < deadline
            time.sleep(0.2)
    consumer.close()


def _read(at: str, group: str, subscription: str, **settings: Any) -> None:
    """Read a record of each partition as a member of the group, commit, and leave."""
    consumer = _consumer(at, group, **settings)
    consumer.subscribe([subscription])
    deadline, seen = time.monotonic() + TIMEOUT_S, set()
    while len(seen) < PARTITIONS:
        assert time.monotonic() < deadline, seen
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            seen.add(message.partition())
    consumer.commit(asynchronous=False)
    consumer.close()


def make_groups(at: str) -> None:
    """Make the groups of COMMITTED; those of LEFT are deleted again. Each has committed something."""
    admin = AdminClient({"bootstrap.servers": at})
    for made in admin.create_topics([NewTopic("t", PARTITIONS, 1), NewTopic("gone", 1, 1)]).values():
        made.result(TIMEOUT_S)
    producer = Producer({"bootstrap.servers": at})
    for index in range(PARTITIONS):
        producer.produce("t", b"value", partition=index)
    assert producer.flush(TIMEOUT_S) == 0
    _commit(at, "simple", TopicPartition("t", 0, 1), TopicPartition("t", 1, 7), TopicPartition("gone", 0, 3))
    _commit(at, "simple", TopicPartition("t", 0, 2))
    _commit(at, "deleted", TopicPartition("t", 0, 1))
    for deleted in admin.delete_topics(["gone"]).values():
        deleted.result(TIMEOUT_S)
    _read(at, "classic", "t")
    modern = {"group.protocol": "consumer"}
    _read(at, "modern", "t", **modern)
    _read(at, "regex", "^t.*", **modern)
    _read(at, "modern-deleted", "t", **modern)
    for deleted in admin.delete_consumer_groups(list(LEFT)).values():
        deleted.result(TIMEOUT_S)
    transactional = Producer({"bootstrap.servers": at, "transactional.id": "x"})
    transactional.init_transactions(TIMEOUT_S)
    for end, offset in ((transactional.commit_transaction, 5), (transactional.abort_transaction, 9)):
        transactional.begin_transaction()
        consumer = _consumer(at, "transactional")
        metadata = consumer.consumer_group_metadata()
        transactional.send_offsets_to_transaction([TopicPartition("t", 2, offset)], metadata, TIMEOUT_S)
        end(TIMEOUT_S)
        consumer.close()


COMMITTED = {
    "simple": {("t", 0): 2, ("t", 1): 7},
    "classic": {("t", index): 1 for index in range(PARTITIONS)},
    "modern": {("t", index): 1 for index in range(PARTITIONS)},
    "regex": {("t", index): 1 for index in range(PARTITIONS)},
    "transactional": {("t", 2): 5},
    "deleted": {},
    "modern-deleted": {},
}


def committed(at: str) -> dict[str, dict[tuple[str, int], int]]:
    """Return what the groups have committed."""
    admin = AdminClient({"bootstrap.servers": at})
    found: dict[str, dict[tuple[str, int], int]] = {}
    for group in COMMITTED:
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
        found[group] = {
            (each.topic, each.partition): each.offset for each in asked.result(TIMEOUT_S).topic_partitions
        }
    return found


Shown = dict[str, dict[str, Any] | None]
# What depends on the clock and on chance, or is another number for the same thing.
_OF_ITS_OWN = {
    *("version", "commitTimestamp", "currentStateTimestamp", "timestamp", "topicId", "metadataHash"),
    *("assignmentTimestamp", "memberId", "leader", "previousMemberEpoch"),
}


def shown(data: Any) -> Any:
    """Return what a tool shows without what differs between any two runs."""
    if isinstance(data, dict):
        return {name: shown(value) for name, value in data.items() if name not in _OF_ITS_OWN}
    return [shown(each) for each in data] if isinstance(data, list) else data


def _newest(records: list[tuple[Any, Any]], *, with_gone: bool = False) -> Shown:
    """Return the newest value of each key of these groups; ``with_gone``: also what tombstones have taken away."""
    newest: Shown = {}
    for key, value in records:
        data = key["data"]
        if (data.get("group") or data.get("groupId")) in COMMITTED and not (with_gone and value is None):
            newest[f"{key['type']} {json.dumps(shown(data), sort_keys=True)}"] = value and shown(value["data"])
    return {key: value for key, value in newest.items() if value is not None}


def formatted(at: str, formatter: str) -> Shown:
    """Return what the console consumer shows with a formatter for ``__consumer_offsets``."""
    consumed = run_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", at, "--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", "10000"),
        *("--formatter", f"org.apache.kafka.tools.consumer.{formatter}"),
    )
    decoder, position, records = json.JSONDecoder(), 0, []
    text = consumed.stdout.strip()
    while position < len(text):
        record, position = decoder.raw_decode(text, position)
        records.append((record["key"], record["value"]))
    return _newest(records)


def dumped(data_dir: Path) -> Shown:
    """Return what DumpLogSegments shows of ``__consumer_offsets``, the last value that each key has had."""
    files = ",".join(str(path) for path in sorted(data_dir.glob("__consumer_offsets-*/*.log")))
    tool = ("org.apache.kafka.tools.DumpLogSegments", "--offsets-decoder", "--print-data-log", "--files", files)
    records = []
    for line in run_tool(*tool).stdout.splitlines():
        _, found, record = line.partition(" key: ")
        key, _, payload = record.partition(" payload: ")
        if found:
            records.append((json.loads(key), None if payload == "<DELETE>" else json.loads(payload)))
    return _newest(records, with_gone=True)

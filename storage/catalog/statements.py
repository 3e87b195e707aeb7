"""The SQL of every change, and rows of the catalog as values.

A writer returns what follows from its change beyond what the change says.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from .changes import (
    Change,
    ClassicMember,
    CommittedOffset,
    Consequence,
    ConsumerGroupStored,
    ConsumerMember,
    ConsumerMembersRemoved,
    ConsumerMembersStored,
    CoordinatorEpochRaised,
    Erased,
    FeaturesFinalized,
    GroupForgotten,
    GroupRemoved,
    GroupStored,
    LeaderEpochsBumped,
    OffsetsCommitted,
    OffsetsDecided,
    OffsetsPrepared,
    OffsetsRemoved,
    Partitions,
    PartitionsAdded,
    QuotasStored,
    ResourceConfigured,
    ScramCredentialRemoved,
    ScramCredentialStored,
    StoredTransaction,
    TargetsStored,
    TopicConfigured,
    TopicCreated,
    TopicRemoved,
    TransactionRemoved,
    TransactionStored,
)

OFFSET_COLUMNS = "topic, partition, offset, leader_epoch, metadata, commit_ms, expire_ms"


def _create_topic(db: sqlite3.Connection, change: TopicCreated) -> None:
    topic = change.topic
    db.execute(
        "INSERT INTO topics (topic_id, name, partition_count, leader_epoch, configs) VALUES (?, ?, ?, ?, ?)",
        (*topic[:4], json.dumps(dict(topic.configs))),
    )


def _remove_topic(db: sqlite3.Connection, change: TopicRemoved) -> Iterable[Consequence]:
    db.execute("DELETE FROM topics WHERE name = ?", change)
    db.execute("DELETE FROM pending_offsets WHERE topic = ?", change)
    gone = db.execute("DELETE FROM offsets WHERE topic = ? RETURNING group_id, topic, partition", change).fetchall()
    return _removed(gone)


def _removed(rows: Iterable[tuple[str, str, int]]) -> list[Consequence]:
    """``rows``: group id, topic and partition of each offset that went."""
    by_group = groupby(sorted(rows), key=lambda row: row[0])
    return [OffsetsRemoved(group_id, [row[1:] for row in group]) for group_id, group in by_group]


def _configure_topic(db: sqlite3.Connection, change: TopicConfigured) -> None:
    db.execute("UPDATE topics SET configs = ? WHERE name = ?", (json.dumps(dict(change.configs)), change.name))


def _add_partitions(db: sqlite3.Connection, change: PartitionsAdded) -> None:
    db.execute("UPDATE topics SET partition_count = ? WHERE name = ?", (change.partition_count, change.name))


def _configure_resource(db: sqlite3.Connection, change: ResourceConfigured) -> None:
    if change.configs:
        stored = (change.resource_type, change.resource_name, json.dumps(dict(change.configs)))
        db.execute("INSERT OR REPLACE INTO configs VALUES (?, ?, ?)", stored)
    else:
        db.execute("DELETE FROM configs WHERE resource_type = ? AND resource_name = ?", change[:2])


def _store_quotas(db: sqlite3.Connection, change: QuotasStored) -> None:
    entity = json.dumps(change.entity)
    if change.quotas:
        db.execute("INSERT OR REPLACE INTO quotas VALUES (?, ?)", (entity, json.dumps(dict(change.quotas))))
    else:
        db.execute("DELETE FROM quotas WHERE entity = ?", (entity,))


def _store_scram_credential(db: sqlite3.Connection, change: ScramCredentialStored) -> None:
    db.execute("INSERT OR REPLACE INTO scram_credentials VALUES (?, ?, ?, ?, ?, ?)", change.credential)


def _remove_scram_credential(db: sqlite3.Connection, change: ScramCredentialRemoved) -> None:
    db.execute("DELETE FROM scram_credentials WHERE user = ? AND mechanism = ?", change)


def _finalize_features(db: sqlite3.Connection, change: FeaturesFinalized) -> None:
    stored = json.dumps([change.epoch, dict(change.levels)])
    db.execute("INSERT OR REPLACE INTO meta VALUES ('features', ?)", (stored,))


def _bump_leader_epochs(db: sqlite3.Connection, change: LeaderEpochsBumped) -> None:
    db.execute("UPDATE topics SET leader_epoch = leader_epoch + 1 WHERE name = coalesce(?, name)", change)


def _store_group(db: sqlite3.Connection, change: GroupStored) -> None:
    group = change.group
    db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?, ?, ?)", group[:6])
    db.execute("DELETE FROM group_members WHERE group_id = ?", (group.group_id,))
    db.executemany(
        "INSERT INTO group_members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(group.group_id, *member) for member in group.members],
    )


def _remove_group(db: sqlite3.Connection, change: GroupRemoved) -> Iterable[Consequence]:
    forgotten = _forget_group(db, GroupForgotten(change.group_id))
    db.execute("DELETE FROM pending_offsets WHERE group_id = ?", change)
    gone = db.execute(
        "DELETE FROM offsets WHERE group_id = ? RETURNING group_id, topic, partition", change
    ).fetchall()
    return [*_removed(gone), *forgotten]


def _forget_group(db: sqlite3.Connection, change: GroupForgotten) -> Iterable[Consequence]:
    def delete(table: str, column: str) -> list[tuple[str]]:
        return db.execute(f"DELETE FROM {table} WHERE group_id = ? RETURNING {column}", change).fetchall()

    db.execute("DELETE FROM group_members WHERE group_id = ?", change)
    classic, consumer = delete("groups", "group_id"), delete("consumer_groups", "resolved")
    member_ids = [member_id for (member_id,) in delete("consumer_members", "member_id")]
    return [Erased(change.group_id, bool(classic), bool(consumer), member_ids, _regexes(consumer))]


def _store_consumer_group(db: sqlite3.Connection, change: ConsumerGroupStored) -> Iterable[Consequence]:
    group = change.group
    before = db.execute("SELECT resolved FROM consumer_groups WHERE group_id = ?", group[:1]).fetchall()
    encoded = json.dumps({regex: sorted(names) for regex, names in group.resolved.items()})
    row = (*group[:4], encoded, group.empty_since_ms)
    db.execute("INSERT OR REPLACE INTO consumer_groups VALUES (?, ?, ?, ?, ?, ?)", row)
    gone = _regexes(before) - group.resolved.keys()
    return [Erased(group.group_id, False, False, (), gone)] if gone else ()


def _regexes(rows: Iterable[tuple[str]]) -> set[str]:
    return {regex for (text,) in rows for regex in resolved(text)}


def _store_consumer_members(db: sqlite3.Connection, change: ConsumerMembersStored) -> None:
    for member in change.members:
        row = dict(zip(_MEMBER_COLUMNS, (change.group_id, *_member_row(member)), strict=True))
        db.execute(_STORE_MEMBER, row)


def _remove_consumer_members(db: sqlite3.Connection, change: ConsumerMembersRemoved) -> None:
    db.executemany(
        "DELETE FROM consumer_members WHERE group_id = ? AND member_id = ?",
        [(change.group_id, member_id) for member_id in change.member_ids],
    )


def _store_targets(db: sqlite3.Connection, change: TargetsStored) -> None:
    db.executemany(
        "UPDATE consumer_members SET target = ? WHERE group_id = ? AND member_id = ?",
        [(_dumped(target), change.group_id, member_id) for member_id, target in change.targets.items()],
    )


_MEMBER_COLUMNS = ("group_id", *ConsumerMember._fields)
_STORE_MEMBER = (
    f"INSERT INTO consumer_members ({', '.join(_MEMBER_COLUMNS)})"
    f" VALUES ({', '.join(f':{column}' for column in _MEMBER_COLUMNS)})"
    " ON CONFLICT (group_id, member_id) DO UPDATE SET "
    + ", ".join(f"{column} = :{column}" for column in _MEMBER_COLUMNS[2:])
)


def _member_row(member: ConsumerMember) -> tuple[Any, ...]:
    encoded: dict[str, Any] = member._asdict()
    encoded["topic_names"] = json.dumps(list(member.topic_names))
    encoded["assigned"], encoded["revoking"] = _dumped(member.assigned), _dumped(member.revoking)
    if member.classic is not None:
        session_timeout_ms, protocols = member.classic
        encoded["classic"] = json.dumps([session_timeout_ms, [[name, data.hex()] for name, data in protocols]])
    return tuple(encoded.values())


def consumer_member(row: Sequence[Any]) -> ConsumerMember:
    """Return the member of a row: the columns after the group id, without the target."""
    encoded = dict(zip(ConsumerMember._fields, row, strict=True))
    encoded["topic_names"] = tuple(json.loads(encoded["topic_names"]))
    encoded["assigned"], encoded["revoking"] = partitions(encoded["assigned"]), partitions(encoded["revoking"])
    if encoded["classic"] is not None:
        session_timeout_ms, protocols = json.loads(encoded["classic"])
        pairs = [(name, bytes.fromhex(data)) for name, data in protocols]
        encoded["classic"] = ClassicMember(session_timeout_ms, tuple(pairs))
    return ConsumerMember(**encoded)


def _dumped(partitions: Partitions) -> str:
    return json.dumps({topic_id.hex(): sorted(indexes) for topic_id, indexes in partitions.items()})


def partitions(text: str) -> Partitions:
    """Return what ``_dumped`` made a text of."""
    return {bytes.fromhex(topic_id): frozenset(indexes) for topic_id, indexes in json.loads(text).items()}


def resolved(text: str) -> dict[str, frozenset[str]]:
    """Return the topics of each regular expression."""
    return {regex: frozenset(names) for regex, names in json.loads(text).items()}


def _commit_offsets(db: sqlite3.Connection, change: OffsetsCommitted) -> None:
    db.executemany(
        f"INSERT OR REPLACE INTO offsets (group_id, {OFFSET_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(change.group_id, *offset) for offset in change.offsets],
    )


def _remove_offsets(db: sqlite3.Connection, change: OffsetsRemoved) -> None:
    db.executemany(
        "DELETE FROM offsets WHERE group_id = ? AND topic = ? AND partition = ?",
        [(change.group_id, *partition) for partition in change.partitions],
    )


def _prepare_offsets(db: sqlite3.Connection, change: OffsetsPrepared) -> None:
    db.executemany(
        f"INSERT OR REPLACE INTO pending_offsets (producer_id, group_id, {OFFSET_COLUMNS})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(change.producer_id, change.group_id, *offset) for offset in change.offsets],
    )


def _decide_offsets(db: sqlite3.Connection, change: OffsetsDecided) -> Iterable[Consequence]:
    pending = f"SELECT group_id, {OFFSET_COLUMNS} FROM pending_offsets WHERE producer_id = ?"
    rows = db.execute(f"{pending} ORDER BY group_id", (change.producer_id,)).fetchall()
    wanted = change.group_ids
    decided = [row for row in rows if wanted is None or row[0] in wanted]
    db.executemany(
        "DELETE FROM pending_offsets WHERE producer_id = ? AND group_id = ? AND topic = ? AND partition = ?",
        [(change.producer_id, *row[:3]) for row in decided],
    )
    if not change.is_commit:
        return ()
    committed = [
        OffsetsCommitted(group_id, [CommittedOffset(*row[1:]) for row in group])
        for group_id, group in groupby(decided, key=lambda row: row[0])
    ]
    for each in committed:
        _commit_offsets(db, each)
    return committed


def _store_transaction(db: sqlite3.Connection, change: TransactionStored) -> None:
    row = change.transaction._asdict()
    row["partitions"] = json.dumps(sorted(change.transaction.partitions))
    row["groups"] = json.dumps(sorted(change.transaction.groups))
    db.execute(_STORE_TRANSACTION, tuple(row.values()))


def _remove_transaction(db: sqlite3.Connection, change: TransactionRemoved) -> None:
    db.execute("DELETE FROM transactions WHERE transactional_id = ?", change)


def _raise_coordinator_epoch(db: sqlite3.Connection, change: CoordinatorEpochRaised) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES ('coordinator_epoch', ?)", change)


_STORE_TRANSACTION = (
    f"INSERT OR REPLACE INTO transactions VALUES ({', '.join('?' for _ in StoredTransaction._fields)})"
)


def transaction(row: Sequence[Any]) -> StoredTransaction:
    """Return the transaction of a row."""
    encoded = dict(zip(StoredTransaction._fields, row, strict=True))
    encoded["partitions"] = frozenset((topic, index) for topic, index in json.loads(encoded["partitions"]))
    encoded["groups"] = frozenset(json.loads(encoded["groups"]))
    return StoredTransaction(**encoded)


WRITERS: dict[type[Change], Callable[[sqlite3.Connection, Any], Iterable[Consequence] | None]] = {
    TopicCreated: _create_topic,
    TopicRemoved: _remove_topic,
    TopicConfigured: _configure_topic,
    PartitionsAdded: _add_partitions,
    ResourceConfigured: _configure_resource,
    QuotasStored: _store_quotas,
    ScramCredentialStored: _store_scram_credential,
    ScramCredentialRemoved: _remove_scram_credential,
    FeaturesFinalized: _finalize_features,
    LeaderEpochsBumped: _bump_leader_epochs,
    GroupStored: _store_group,
    GroupRemoved: _remove_group,
    GroupForgotten: _forget_group,
    ConsumerGroupStored: _store_consumer_group,
    ConsumerMembersStored: _store_consumer_members,
    ConsumerMembersRemoved: _remove_consumer_members,
    TargetsStored: _store_targets,
    OffsetsCommitted: _commit_offsets,
    OffsetsRemoved: _remove_offsets,
    OffsetsPrepared: _prepare_offsets,
    OffsetsDecided: _decide_offsets,
    TransactionStored: _store_transaction,
    TransactionRemoved: _remove_transaction,
    CoordinatorEpochRaised: _raise_coordinator_epoch,
}

"""The SQLite catalog does what a dict does, through restarts and refusals."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalog_contents import CONSUMERS, EMPTY, PARTS, READER, TRANSACTION, dump

from barnabas.storage.catalog import (
    Change,
    CommittedOffset,
    ConsumerGroupStored,
    ConsumerMembersRemoved,
    ConsumerMembersStored,
    CoordinatorEpochRaised,
    FeaturesFinalized,
    GroupForgotten,
    GroupMember,
    GroupRemoved,
    GroupStored,
    LeaderEpochsBumped,
    OffsetsCommitted,
    OffsetsDecided,
    OffsetsPrepared,
    OffsetsRemoved,
    PartitionsAdded,
    QuotasStored,
    ResourceConfigured,
    ScramCredential,
    ScramCredentialRemoved,
    ScramCredentialStored,
    StoredGroup,
    StoredTopic,
    TargetsStored,
    TopicConfigured,
    TopicCreated,
    TopicRemoved,
    TransactionRemoved,
    TransactionStored,
)
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import CatalogError

NAMES = st.sampled_from(["a", "b", "c"])
GROUPS = st.sampled_from(["g", "h"])
PRODUCERS = st.sampled_from([7, 8])
TOPICS = st.builds(
    StoredTopic,
    st.binary(min_size=16, max_size=16),
    NAMES,
    st.integers(1, 100),
    st.integers(0, 10),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
)
MEMBERS = st.builds(
    GroupMember, st.text(max_size=5), st.none() | st.text(max_size=5), *[st.text(max_size=5)] * 2,
    *[st.integers(0, 2**31 - 1)] * 2, *[st.binary(max_size=9)] * 2,
)  # fmt: skip
STORED_GROUPS = st.builds(
    StoredGroup, GROUPS, st.text(max_size=5), st.integers(-1, 2**31 - 1), st.none() | st.text(max_size=5),
    st.none() | st.text(max_size=5), st.integers(0, 2**63 - 1),
    st.lists(MEMBERS, max_size=3, unique_by=lambda member: member.member_id),
)  # fmt: skip
OFFSETS = st.builds(
    CommittedOffset, NAMES, st.integers(0, 3), st.integers(0, 2**63 - 1), st.integers(-1, 5), st.text(max_size=5),
    st.integers(0, 2**63 - 1), st.integers(-1, 2**63 - 1),
)  # fmt: skip
SCRAM = st.builds(
    ScramCredential,
    NAMES,
    st.integers(1, 2),
    st.integers(4096, 16384),
    st.binary(max_size=3),
    st.binary(max_size=3),
    st.binary(max_size=3),
)
READERS = st.builds(READER._replace, member_id=NAMES, epoch=st.integers(-2, 9))
CHANGES = st.one_of(
    st.builds(TopicCreated, TOPICS),
    st.builds(TopicRemoved, NAMES),
    st.builds(TopicConfigured, NAMES, st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)),
    st.builds(PartitionsAdded, NAMES, st.integers(5, 9)),
    st.builds(
        ResourceConfigured,
        st.sampled_from([4, 32]),
        NAMES,
        st.dictionaries(st.text(max_size=5), st.text(), max_size=2),
    ),
    st.builds(
        QuotasStored,
        st.tuples(st.tuples(st.just("user"), st.none() | NAMES)),
        st.dictionaries(NAMES, st.floats(0, 9)),
    ),
    st.builds(ScramCredentialStored, SCRAM),
    st.builds(ScramCredentialRemoved, NAMES, st.integers(1, 2)),
    st.builds(ConsumerGroupStored, st.builds(CONSUMERS._replace, group_id=GROUPS, epoch=st.integers(0, 9))),
    st.builds(ConsumerMembersStored, GROUPS, st.lists(READERS, max_size=2)),
    st.builds(ConsumerMembersRemoved, GROUPS, st.lists(NAMES, max_size=2)),
    st.builds(TargetsStored, GROUPS, st.dictionaries(NAMES, st.just(PARTS), max_size=2)),
    st.builds(GroupForgotten, GROUPS),
    st.builds(LeaderEpochsBumped, st.none() | NAMES),
    st.builds(GroupStored, STORED_GROUPS),
    st.builds(GroupRemoved, GROUPS),
    st.builds(OffsetsCommitted, GROUPS, st.lists(OFFSETS, max_size=4)),
    st.builds(OffsetsPrepared, GROUPS, PRODUCERS, st.lists(OFFSETS, max_size=4)),
    st.builds(OffsetsDecided, PRODUCERS, st.booleans()),
    st.builds(TransactionStored, st.builds(TRANSACTION._replace, transactional_id=NAMES, epoch=st.integers(0, 9))),
    st.builds(TransactionRemoved, NAMES),
    st.builds(FeaturesFinalized, st.integers(1, 9), st.dictionaries(NAMES, st.integers(0, 9), max_size=2)),
    st.builds(CoordinatorEpochRaised, st.integers(1, 2**31 - 1)),
    st.builds(OffsetsRemoved, GROUPS, st.lists(st.tuples(NAMES, st.integers(0, 3)), max_size=3)),
)


class Refused(Exception):
    """The model does not take a change."""


def forget(model: dict[str, Any], group_id: str) -> None:
    model["groups"].pop(group_id, None)
    model["consumers"].pop(group_id, None)
    for key in [key for key in model["members"] if key[0] == group_id]:
        del model["members"][key]


def change_model(model: dict[str, Any], change: Change) -> None:
    topics, groups, offsets = model["topics"], model["groups"], model["offsets"]
    match change:
        case TopicCreated(topic):
            if topic.name in topics or any(topic.topic_id == other.topic_id for other in topics.values()):
                raise Refused
            topics[topic.name] = topic
        case TopicRemoved(name):
            topics.pop(name, None)
            for committed in (*offsets.values(), *model["prepared"].values()):
                for key in [key for key in committed if key[0] == name]:
                    del committed[key]
        case TopicConfigured(name, configs):
            if name in topics:
                topics[name] = topics[name]._replace(configs=configs)
        case PartitionsAdded(name, count):
            if name in topics:
                topics[name] = topics[name]._replace(partition_count=count)
        case ResourceConfigured(resource_type, name, configs):
            model["configs"].pop((resource_type, name), None)
            if configs:
                model["configs"][resource_type, name] = configs
        case QuotasStored(entity, quotas):
            model["quotas"].pop(entity, None)
            if quotas:
                model["quotas"][entity] = quotas
        case FeaturesFinalized(epoch, levels):
            model["features"] = {"epoch": epoch, "levels": dict(levels)}
        case ScramCredentialStored(credential):
            model["scram"][credential[:2]] = credential
        case ScramCredentialRemoved(user, mechanism):
            model["scram"].pop((user, mechanism), None)
        case ConsumerGroupStored(group):
            model["consumers"][group.group_id] = group
        case ConsumerMembersStored(group_id, members):
            for member in members:
                _, target = model["members"].get((group_id, member.member_id), (None, {}))
                model["members"][group_id, member.member_id] = (member, target)
        case ConsumerMembersRemoved(group_id, member_ids):
            for member_id in member_ids:
                model["members"].pop((group_id, member_id), None)
        case TargetsStored(group_id, targets):
            for member_id in targets.keys() & {key[1] for key in model["members"] if key[0] == group_id}:
                member, _ = model["members"][group_id, member_id]
                model["members"][group_id, member_id] = (member, targets[member_id])
        case GroupForgotten(group_id):
            forget(model, group_id)
        case LeaderEpochsBumped(bumped):
            for name, topic in topics.items():
                if bumped in (None, name):
                    topics[name] = topic._replace(leader_epoch=topic.leader_epoch + 1)
        case GroupStored(group):
            groups[group.group_id] = group._replace(members=sorted(group.members, key=lambda m: m.member_id.encode()))
        case GroupRemoved(group_id):
            forget(model, group_id)
            offsets.pop(group_id, None)
            for key in [key for key in model["prepared"] if key[1] == group_id]:
                del model["prepared"][key]
        case OffsetsPrepared(group_id, producer_id, prepared):
            model["prepared"].setdefault((producer_id, group_id), {}).update({o[:2]: o for o in prepared})
        case OffsetsDecided(producer_id, is_commit):
            for key in [key for key in model["prepared"] if key[0] == producer_id]:
                decided = model["prepared"].pop(key)
                if is_commit:
                    offsets.setdefault(key[1], {}).update(decided)
        case TransactionStored(transaction):
            model["transactions"][transaction.transactional_id] = transaction
        case TransactionRemoved(transactional_id):
            model["transactions"].pop(transactional_id, None)
        case CoordinatorEpochRaised(epoch):
            model["coordinator"]["epoch"] = epoch
        case OffsetsCommitted(group_id, committed):
            offsets.setdefault(group_id, {}).update({o[:2]: o for o in committed})
        case OffsetsRemoved(group_id, partitions):
            for partition in partitions:
                offsets.get(group_id, {}).pop(partition, None)


@given(commits=st.lists(st.lists(CHANGES, min_size=1, max_size=3), max_size=12), data=st.data())
@settings(max_examples=60, deadline=None)
def test_it_does_what_a_dict_does(tmp_path_factory, commits, data):
    path = tmp_path_factory.mktemp("model") / "catalog.sqlite"
    catalog = SqliteCatalog(path, ManualClock())
    model: dict[str, Any] = {kind: {} for kind in (*EMPTY, "prepared")}
    for changes in commits:
        changed = copy.deepcopy(model)
        try:
            for change in changes:
                change_model(changed, change)
        except Refused:
            with pytest.raises(CatalogError):
                catalog.commit(*changes)
        else:
            catalog.commit(*changes)
            model = changed
        model["offsets"] = {group_id: rows for group_id, rows in model["offsets"].items() if rows}
        match data.draw(st.sampled_from(["go on", "reopen", "checkpoint"])):
            case "reopen":
                catalog.close()
                catalog = SqliteCatalog(path, ManualClock())
            case "checkpoint":
                catalog.checkpoint()
        pending: dict[str, set[tuple[str, int]]] = {}
        for (_, group_id), rows in model["prepared"].items():
            pending.setdefault(group_id, set()).update(rows)
        model["pending"] = {group_id: sorted(keys) for group_id, keys in pending.items() if keys}
        assert dump(catalog) | {"prepared": model["prepared"]} == model
    catalog.close()

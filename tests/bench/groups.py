"""Groups: commits, rebalances, and heartbeats of groups in which nothing happens."""

import statistics
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bench import load
from bench.servers import ROUNDS, SECONDS, broker, plain_server
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.protocol.messages.consumer_groups import ConsumerGroupHeartbeatRequest, TopicPartitions
from barnabas.protocol.messages.group_membership import (
    HeartbeatRequest,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
)
from barnabas.protocol.messages.group_offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)

MEMBERS, PARTITIONS, GROUPS = 100, 1000, 1000
# Unless told otherwise: by their own heartbeat.interval.ms, and by ours.
HEARTBEAT_INTERVALS_S = {"classic": 3.0, "consumer": 5.0}
COMMIT_VERSION, HEARTBEAT_VERSION, JOIN_VERSION, SYNC_VERSION, CONSUMER_VERSION = 9, 4, 9, 5, 1
TIMEOUT_MS = 300_000


class Member(NamedTuple):
    """``owned``: what a member of the consumer protocol has; None when the broker knows."""

    member_id: str
    epoch: int
    owned: list[TopicPartitions] | None
    assigned: list[TopicPartitions]


def newcomer(member_id: str) -> Member:
    return Member(member_id, 0, [], [])


def heartbeat(member: Member, group_id: str = "g") -> ConsumerGroupHeartbeatRequest:
    """Return how the member joins (epoch 0), or what it says from then on."""
    joins = member.epoch == 0
    return ConsumerGroupHeartbeatRequest(
        group_id=group_id,
        member_id=member.member_id,
        member_epoch=member.epoch,
        rebalance_timeout_ms=TIMEOUT_MS if joins else -1,
        subscribed_topic_names=["t"] if joins else None,
        topic_partitions=member.owned,
    )


def settle(ours: BrokerProcess, wire: Wire, members: dict[str, Member]) -> float:
    """Let all members send heartbeats in turns until nobody is told anything new, each at once when it has to
    confirm. Return the milliseconds of CPU until the last of them was told."""
    begin = used = load.cpu_seconds(ours.pid)
    moved = True
    while moved:
        moved = False
        for member_id in members:
            while True:
                member = members[member_id]
                answer = wire.call(heartbeat(member), CONSUMER_VERSION)
                assert not answer.error_code, answer.error_message
                moved |= answer.member_epoch != member.epoch
                members[member_id] = member._replace(epoch=answer.member_epoch, owned=None)
                if answer.assignment is None:
                    break
                moved, owned = True, answer.assignment.topic_partitions
                members[member_id] = Member(member_id, answer.member_epoch, owned, owned)
        if moved:
            used = load.cpu_seconds(ours.pid)
    return (used - begin) * 1e3


def commits() -> None:
    """Members of one group, each with a connection, commit what they have read of one partition each."""
    ratios, results = [], []
    for _ in range(ROUNDS):
        with broker() as ours, Wire(ours.port) as wire:
            load.create_topic(ours.port, "t", MEMBERS)
            members = {f"m{n:03}": newcomer(f"m{n:03}") for n in range(MEMBERS)}
            settle(ours, wire, members)
            frames = [wire.frame(commit(member), COMMIT_VERSION) for member in members.values()]
            size = load.answer_bytes(ours.port, frames[0])
            result = load.blast(ours.port, ours.pid, frames, SECONDS)
        with plain_server("echo", len(frames[0]), size) as (port, pid):
            base = load.blast(port, pid, frames, SECONDS)
        ratios.append(result.requests_per_s / base.requests_per_s)
        results.append(result)
    best = max(results)
    print(f"{'commits of 100 consumers':34} {best.requests_per_s:9.0f}/s {'':12} {best.cpu_us:7.1f} us cpu"
          f"   ratio {statistics.median(ratios):5.2f} (target 10,000/s)")  # fmt: skip


def commit(member: Member) -> OffsetCommitRequest:
    (index,) = member.assigned[0].partitions
    partition = OffsetCommitRequestPartition(
        partition_index=index, committed_offset=10_000, committed_leader_epoch=0, committed_metadata=""
    )
    return OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=member.epoch,
        member_id=member.member_id,
        topics=[OffsetCommitRequestTopic(name="t", partitions=[partition])],
    )


def rebalances() -> None:
    """What the broker spends until everyone has what it should have, after one more member has come."""
    for name, cost_ms in (("consumer", consumer_rebalance), ("classic", classic_rebalance)):
        with broker("-c", "group.initial.rebalance.delay.ms=500") as ours:
            load.create_topic(ours.port, "t", PARTITIONS)
            costs = list(cost_ms(ours))
        print(f"rebalance of 100 members over 1,000 partitions, {name:8}  {statistics.median(costs):5.1f} ms cpu"
              f" (target 50)")  # fmt: skip


def consumer_rebalance(ours: BrokerProcess) -> Iterator[float]:
    members = {f"m{n:03}": newcomer(f"m{n:03}") for n in range(MEMBERS)}
    with Wire(ours.port) as wire:
        formed = settle(ours, wire, members)
        print(f"a group of 100 forms over 1,000 partitions, one by one   {formed:5.1f} ms cpu")
        for number in range(ROUNDS * 3):
            gone, _ = members.popitem()
            wire.call(heartbeat(newcomer(gone)._replace(epoch=-1)), CONSUMER_VERSION)
            settle(ours, wire, members)
            members[f"n{number}"] = newcomer(f"n{number}")
            yield settle(ours, wire, members)


def classic_rebalance(ours: BrokerProcess) -> Iterator[float]:
    wires = [Wire(ours.port) for _ in range(MEMBERS)]
    ids = [wire.call(joining(""), JOIN_VERSION).member_id for wire in wires]
    assigned = bytes(8 + 4 * PARTITIONS // MEMBERS)
    for _ in range(ROUNDS * 3):
        used = load.cpu_seconds(ours.pid)
        joined = ask_all(wires, [joining(member_id) for member_id in ids], JOIN_VERSION)
        leader = joined[0].leader
        shares = [SyncGroupRequestAssignment(member_id=member_id, assignment=assigned) for member_id in ids]
        syncs = [
            SyncGroupRequest(
                group_id="classic",
                generation_id=answer.generation_id,
                member_id=answer.member_id,
                protocol_type="consumer",
                protocol_name="range",
                assignments=shares if answer.member_id == leader else [],
            )
            for answer in joined
        ]
        assert {len(answer.assignment) for answer in ask_all(wires, syncs, SYNC_VERSION)} == {len(assigned)}
        yield (load.cpu_seconds(ours.pid) - used) * 1e3


def joining(member_id: str, group_id: str = "classic") -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=TIMEOUT_MS,
        rebalance_timeout_ms=TIMEOUT_MS,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff")],
    )


def ask_all(wires: list[Wire], requests: list[Any], version: int) -> list[Any]:
    """Send each on a connection of its own and return the answers, none of which may be an error."""
    for wire, request in zip(wires, requests, strict=True):
        wire.send(request, version)
    answers = [wire.receive(type(request), version) for wire, request in zip(wires, requests, strict=True)]
    assert not any(answer.error_code for answer in answers), answers
    return answers


def idle() -> None:
    """Groups of one member that only says that it is alive: what that costs a second, one heartbeat after the other,
    and in the pace of real clients, where most of it is waking up (an echo does that too)."""
    for name, interval_s in HEARTBEAT_INTERVALS_S.items():
        with broker("-c", "group.initial.rebalance.delay.ms=0") as ours:
            load.create_topic(ours.port, "t")
            wires = [Wire(ours.port) for _ in range(GROUPS)]
            frames = list(idle_heartbeats(wires, name))
            size = load.answer_bytes(ours.port, frames[0])
            busy, paced = (heartbeats_cost(ours.pid, wires, frames, rest) for rest in (0.0, interval_s / GROUPS))
        with plain_server("echo", len(frames[0]), size) as (port, pid):
            wires, same = [Wire(port) for _ in range(GROUPS)], frames[:1] * GROUPS
            plain, paced_plain = (heartbeats_cost(pid, wires, same, rest) for rest in (0.0, interval_s / GROUPS))
        rate = GROUPS / interval_s
        print(f"1,000 idle groups, {name:8}   {rate:3.0f} heartbeats/s x {busy * 1e6:3.0f} us cpu = {rate * busy:.1%}"
              f" of a core, an echo {rate * plain:.1%} (target 2 %); in their pace {rate * paced:.1%},"
              f" an echo {rate * paced_plain:.1%}")  # fmt: skip


def heartbeats_cost(pid: int, wires: list[Wire], frames: list[bytes], rest_s: float) -> float:
    """Return the seconds of CPU that the server spends on one, when they come ``rest_s`` apart on all connections."""
    begin, used, beats = time.perf_counter(), load.cpu_seconds(pid), 0
    while time.perf_counter() - begin < SECONDS:
        wire = wires[beats % GROUPS]
        wire.socket.sendall(frames[beats % GROUPS])
        wire.receive_frame()
        beats += 1
        if rest_s:
            time.sleep(max(0.0, begin + beats * rest_s - time.perf_counter()))
    return (load.cpu_seconds(pid) - used) / beats


def idle_heartbeats(wires: list[Wire], protocol: str) -> Iterator[bytes]:
    """Make a group for each connection, and return what its only member says from then on."""
    for number, wire in enumerate(wires):
        group_id = f"{protocol}-{number}"
        if protocol == "consumer":
            epoch = wire.call(heartbeat(newcomer("m"), group_id), CONSUMER_VERSION).member_epoch
            alive = ConsumerGroupHeartbeatRequest(
                group_id=group_id, member_id="m", member_epoch=epoch, topic_partitions=None
            )
            yield wire.frame(alive, CONSUMER_VERSION)
        else:
            member_id = wire.call(joining("", group_id), JOIN_VERSION).member_id
            generation = wire.call(joining(member_id, group_id), JOIN_VERSION).generation_id
            share = SyncGroupRequestAssignment(member_id=member_id, assignment=b"")
            identity = {"group_id": group_id, "generation_id": generation, "member_id": member_id}
            spoken = {"protocol_type": "consumer", "protocol_name": "range"}
            answer = wire.call(SyncGroupRequest(**identity, **spoken, assignments=[share]), SYNC_VERSION)
            assert not answer.error_code
            yield wire.frame(HeartbeatRequest(**identity), HEARTBEAT_VERSION)

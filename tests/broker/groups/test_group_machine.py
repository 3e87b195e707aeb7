"""Many clients, dynamic and static, that join, crash, restart, lose answers and commit, against one coordinator."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from barnabas.protocol.errors import ErrorCode as E

REBALANCE_TIMEOUT_MS = 20_000
CLIENTS_MAX = 6
COUNTS = itertools.count(1)


@dataclass(eq=False)
class Client:
    """A consumer as far as the coordinator can tell one from a real one."""

    instance_id: str | None
    version: int
    slowness: int  # heartbeats between join and sync
    member_id: str = ""
    generation_id: int = -1
    subscription: int = 0
    leads: bool = False
    heartbeats_to_sync: int = 0
    joining: Any = None
    syncing: Any = None
    proposal: dict[str, bytes] = field(default_factory=dict)
    assignment: bytes | None = None

    def forget(self) -> None:
        """Give up what it had, but not its member id."""
        self.generation_id, self.joining, self.syncing, self.assignment = -1, None, None, None

    def identity(self) -> tuple[str, int, str | None]:
        return self.member_id, self.generation_id, self.instance_id


class Machine(RuleBasedStateMachine):
    def __init__(self, groups: Any) -> None:
        super().__init__()
        self.groups = groups
        self.clients: list[Client] = []
        self.answers: list[tuple[float, Any]] = []
        self.given: dict[int, dict[str, bytes]] = {}  # generation -> member id or instance id -> assignment
        self.fenced: set[tuple[str, int, str | None]] = set()
        self.committed = -1
        self.seen_generation = 0
        self.stored_generation = 0

    # What clients do

    def ask(self, answer: Any) -> Any:
        self.answers.append((self.groups.clock.monotonic(), answer))
        return answer

    def join(self, client: Client) -> None:
        names = ("range", "sticky") if client.version % 2 else ("sticky", "range")
        previous = self.owner(client.instance_id) if client.instance_id and not client.member_id else None
        client.joining = self.ask(
            self.groups.join(
                client.member_id,
                group_instance_id=client.instance_id,
                rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
                protocols=[(name, b"%d" % client.subscription) for name in names],
                requires_known_member_id=client.version >= 4,
                supports_skipping_assignment=client.version >= 9,
            )
        )
        if previous is not None and self.owner(client.instance_id) != previous:
            self.fenced.add((previous, self.group.generation_id, client.instance_id))
            self.fenced.add((previous, self.group.generation_id, None))

    def joined(self, client: Client) -> None:
        result, client.joining = client.joining, None
        if result.error in (E.NONE, E.MEMBER_ID_REQUIRED):
            client.member_id = result.member_id
        elif result.error in (E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID):
            client.member_id = ""
        else:
            assert result.error in (E.REBALANCE_IN_PROGRESS, E.COORDINATOR_NOT_AVAILABLE)
        if result.error is not E.NONE:
            return
        client.generation_id = result.generation_id
        client.leads = result.leader == client.member_id and not result.skip_assignment
        client.proposal = {}
        if client.leads:
            assert client.member_id in [member.member_id for member in result.members]
            for member in result.members:
                client.proposal[member.member_id] = b"%d" % next(COUNTS)
                if member.group_instance_id:
                    client.proposal[member.group_instance_id] = client.proposal[member.member_id]
        client.heartbeats_to_sync = client.slowness

    def sync(self, client: Client) -> None:
        was_completing = self.groups.state() == "CompletingRebalance"
        client.syncing = self.ask(self.groups.sync(client, client.proposal, group_instance_id=client.instance_id))
        if client.leads:
            assert not client.syncing.waits
            if client.syncing.error is E.NONE and was_completing:
                assert client.generation_id not in self.given
                self.given[client.generation_id] = client.proposal

    def synced(self, client: Client) -> None:
        result, client.syncing = client.syncing, None
        if result.error is E.NONE:
            client.assignment = result.assignment
            place = client.instance_id or client.member_id
            assert result.assignment == self.given[client.generation_id][place]
        else:
            self.refused(client, result.error)

    def refused(self, client: Client, error: E) -> None:
        client.forget()
        if error in (E.UNKNOWN_MEMBER_ID, E.FENCED_INSTANCE_ID):
            client.member_id = ""
        else:
            assert error in (E.REBALANCE_IN_PROGRESS, E.ILLEGAL_GENERATION, E.COORDINATOR_NOT_AVAILABLE)

    def act(self, client: Client) -> None:
        """Do the next thing a consumer does."""
        if client.joining is not None:
            if not client.joining.waits:
                self.joined(client)
        elif client.syncing is not None:
            if not client.syncing.waits:
                self.synced(client)
        elif client.generation_id < 0:
            self.join(client)
        elif client.assignment is None and client.heartbeats_to_sync == 0:
            self.sync(client)
        elif error := self.groups.heartbeat(client, client.instance_id):
            self.refused(client, error)
        else:
            client.heartbeats_to_sync = max(client.heartbeats_to_sync - 1, 0)

    @property
    def group(self) -> Any:
        return self.groups.coordinator._groups["g"]

    def owner(self, instance_id: str | None) -> str | None:
        group = self.groups.coordinator._groups.get("g")
        return group.static_members.get(instance_id) if group else None

    # What happens to them

    @precondition(lambda self: len(self.clients) < CLIENTS_MAX)
    @rule(version=st.sampled_from([2, 3, 5, 8, 9]), slowness=st.sampled_from([0, 0, 14]))
    def start_dynamic(self, version, slowness):
        self.clients.append(Client(None, version, slowness))

    @rule(version=st.sampled_from([5, 8, 9]), instance_id=st.sampled_from("xyz"))
    def start_or_restart_static(self, version, instance_id):
        self.clients = [client for client in self.clients if client.instance_id != instance_id]
        self.clients.append(Client(instance_id, version, 0))

    @initialize(versions=st.lists(st.sampled_from([2, 9]), max_size=3), is_static=st.booleans())
    def begin_with_some(self, versions, is_static):
        self.clients = [Client(None, version, 0) for version in versions]
        if is_static:
            self.clients.append(Client("x", 9, 0))
        self.all_who_live_end_up_in_one_stable_group()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def step(self, data):
        self.act(data.draw(st.sampled_from(self.clients)))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def stop_without_a_word(self, data):
        self.clients.remove(data.draw(st.sampled_from(self.clients)))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def leave(self, data):
        client = data.draw(st.sampled_from(self.clients))
        if client.member_id:
            self.groups.leave(client.member_id, client.instance_id)
            assert client.member_id not in self.groups.members() or self.owner(client.instance_id)
            self.fenced.add(client.identity())
        self.clients.remove(client)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def lose_an_answer(self, data):
        data.draw(st.sampled_from(self.clients)).forget()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def subscribe_to_something_else(self, data):
        client = data.draw(st.sampled_from(self.clients))
        client.subscription += 1
        client.forget()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def commit(self, data):
        client = data.draw(st.sampled_from(self.clients))
        if client.generation_id < 0:
            return
        offset = next(COUNTS)
        error = self.groups.commit(client.member_id, client.generation_id, offset, client.instance_id)
        if error is E.NONE:
            assert client.member_id in self.groups.members()
            assert client.generation_id == self.group.generation_id
            self.committed = offset

    @rule()
    def those_who_were_replaced_or_left_try_to_commit(self):
        for member_id, generation_id, instance_id in self.fenced:
            if generation_id >= 0:
                error = self.groups.commit(member_id, generation_id, next(COUNTS), instance_id)
                assert error in (E.FENCED_INSTANCE_ID, E.UNKNOWN_MEMBER_ID)

    @rule(seconds=st.integers(1, 15))
    def everybody_lives_on(self, seconds):
        for _ in range(seconds):
            self.groups.wait(1)
            for client in self.clients:
                self.act(client)

    @rule(seconds=st.sampled_from([0.5, 3, 9, 11, 21]))
    def nobody_does_anything(self, seconds):
        self.groups.wait(seconds)

    @rule()
    def crash_the_broker(self):
        self.groups.crash()
        self.answers.clear()
        self.fenced.clear()  # a takeover that was not stored is undone
        for client in self.clients:
            if client.joining is not None or client.syncing is not None:
                client.forget()
        self.seen_generation = self.stored_generation

    @rule(is_full=st.booleans())
    def fill_or_clear_the_disk(self, is_full):
        self.groups.catalog.is_full = is_full

    @rule()
    def all_who_live_end_up_in_one_stable_group(self):
        self.groups.catalog.is_full = False
        for _ in range(200):
            if self.is_settled():
                break
            self.everybody_lives_on(1)
        assert self.is_settled()
        generation = self.group.generation_id if self.clients else 0
        for client in self.clients:
            assert client.generation_id == generation
            assert client.assignment == self.given[generation][client.instance_id or client.member_id]

    def is_settled(self) -> bool:
        members = {client.member_id for client in self.clients}
        return set(self.groups.members()) == members and (
            not members
            or (self.groups.state() == "Stable" and all(client.assignment is not None for client in self.clients))
        )

    # What holds

    @invariant()
    def generations_only_grow(self):
        group = self.groups.coordinator._groups.get("g")
        if group is not None:
            assert group.generation_id >= self.seen_generation
            self.seen_generation = group.generation_id
        for stored in self.groups.catalog.groups():
            assert stored.generation_id >= self.stored_generation
            self.stored_generation = stored.generation_id
        assert max(self.given, default=0) <= self.stored_generation

    @invariant()
    def nobody_waits_for_longer_than_a_rebalance_may_take(self):
        self.answers = [(since, answer) for since, answer in self.answers if answer.waits]
        now = self.groups.clock.monotonic()
        assert all(now - since <= REBALANCE_TIMEOUT_MS / 1000 + 0.01 for since, _ in self.answers)
        group = self.groups.coordinator._groups.get("g")
        held = len(group.waiting_joins) + len(group.waiting_syncs) if group else 0
        assert held == len(self.answers)

    @invariant()
    def everything_that_may_never_come_has_a_deadline(self):
        group = self.groups.coordinator._groups.get("g")
        if group is None:
            return
        armed = self.groups.coordinator._timers._armed
        assert (("g", "join") in armed) is (group.state.value == "PreparingRebalance")
        assert (("g", "sync") in armed) is bool(group.pending_sync_members)
        expected = {m for m in group.members if m not in group.waiting_joins and m not in group.waiting_syncs}
        sessions = {key[2] for key in armed if key[1] == "session"}
        assert expected | group.pending_members <= sessions <= set(group.members) | group.pending_members

    @invariant()
    def what_was_committed_stays_committed(self):
        assert self.groups.committed() == self.committed

    def teardown(self):
        self.all_who_live_end_up_in_one_stable_group()


@pytest.mark.parametrize("delay_ms", [0, 3_000])
def test_no_member_is_forgotten_whatever_happens(make_groups, delay_ms):
    run_state_machine_as_test(
        lambda: Machine(make_groups(group_initial_rebalance_delay_ms=delay_ms)),
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

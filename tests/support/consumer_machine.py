"""Many members of the consumer protocol that join, stall, crash, lose answers and commit, against one coordinator:
what they do and what has to hold, as a rule machine."""

import itertools
from collections.abc import Callable
from typing import Any

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
from support.consumer_members import (
    ConsumerMember,
    Subscription,
    check_balance,
    flat,
    read_everything_once,
    restarted_copy,
)

from barnabas.broker import patterns
from barnabas.broker.errors import ApiError
from barnabas.broker.groups import LeavingMember
from barnabas.broker.groups.consumer.deadlines import Deadline
from barnabas.protocol.errors import ErrorCode as E
from barnabas.storage.errors import CatalogError

SESSION_S = 45
INTERVAL_S = 5
CLIENTS_MAX = 5
ROUNDS_MAX = 60
OFFSETS = itertools.count(1)
TOPICS = ["a", "b", "ab"]
SUBSCRIPTIONS = [
    Subscription(("a", "b"), ""),
    Subscription(("a",), ""),
    Subscription((), "a.*"),
    Subscription(("b", "missing"), "a.*"),
]


class ConsumerMachine(RuleBasedStateMachine):
    def __init__(self, groups: Any) -> None:
        super().__init__()
        self.groups = groups
        self.clients: list[ConsumerMember] = []
        self.made = 0
        self.retired: set[tuple[str, int]] = set()
        self.committed = -1
        self.epochs: dict[str, int] = {}  # of members, by id
        self.group_epoch = 0
        groups.topics.make("a", 3)

    @property
    def group(self) -> Any:
        return self.groups.coordinator._consumer.get("g")

    @property
    def members(self) -> dict[str, Any]:
        return {} if self.group is None else self.group.members

    # What clients do

    def ask(self, client: ConsumerMember, is_lost: bool = False) -> None:
        """Send a heartbeat; ``is_lost``: the coordinator acts on it, but the client does not see the answer."""
        request, said = client.request(), (client.subscription, client.owned)
        if request.member_epoch == 0:
            self.epochs.pop(client.member_id, None)
        before, known = (client.member_id, client.epoch), self.members.get(client.member_id)
        try:
            result = self.groups.coordinator.consumer_heartbeat(request, 1)
        except CatalogError:
            assert self.groups.catalog.is_full
            client.said = None
            return
        except ApiError as refusal:
            self.refused(client, refusal.code)
            return
        client.heard_s = self.groups.clock.monotonic()
        assert result.member_id == client.member_id
        assert client.epoch == 0 or client.epoch in (known.epoch, known.previous_epoch)
        if is_lost:
            client.said = None
            return
        if 0 < client.epoch < result.member_epoch:
            self.retired.add(before)
        client.said = said
        client.take(result.member_epoch, result.assignment)

    def refused(self, client: ConsumerMember, code: E) -> None:
        if client.epoch > 0:
            self.retired.add((client.member_id, client.epoch))
        if not client.refused(code):
            self.clients.remove(client)

    def live(self, rounds: int) -> None:
        for _ in range(rounds):
            self.groups.wait(INTERVAL_S)
            for client in list(self.clients):
                if not client.is_paused:
                    client.work()
                    self.ask(client)

    def pick(self, data: Any) -> ConsumerMember:
        return self.clients[data.draw(st.sampled_from(range(len(self.clients))))]

    # What happens to them

    @initialize(
        subscriptions=st.lists(st.sampled_from(SUBSCRIPTIONS), max_size=3), instance_id=st.sampled_from([None, "x"])
    )
    def begin_with_some(self, subscriptions, instance_id):
        for number, subscription in enumerate(subscriptions):
            self.start(None if number else instance_id, None, number % 2, subscription)
        self.live(2)

    @precondition(lambda self: len(self.clients) < CLIENTS_MAX)
    @rule(
        instance_id=st.sampled_from([None, None, "x", "y"]),
        assignor=st.sampled_from([None, None, "uniform", "range"]),
        slowness=st.sampled_from([0, 0, 1, 14]),
        subscription=st.sampled_from(SUBSCRIPTIONS),
    )
    def start(self, instance_id, assignor, slowness, subscription):
        """A static one may start while its predecessor is there, or was a moment ago."""
        self.made += 1
        member_id = f"{'zyxwvu'[self.made % 6]}{self.made}"
        self.clients.append(ConsumerMember(member_id, instance_id, assignor, slowness, subscription, delay=slowness))

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), is_lost=st.booleans())
    def step(self, data, is_lost):
        client = self.pick(data)
        client.work()
        self.ask(client, is_lost)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), epoch=st.sampled_from([-1, -2, None]))
    def leave_or_stop_without_a_word(self, data, epoch):
        client = self.clients.pop(self.clients.index(self.pick(data)))
        if client.epoch == 0 or epoch is None:
            return
        epoch = epoch if client.instance_id else -1
        request = client.request()._replace(member_epoch=epoch, owned=None)
        try:
            result = self.groups.coordinator.consumer_heartbeat(request, 1)
            assert (result.member_epoch, result.heartbeat_interval_ms, result.assignment) == (epoch, 0, None)
        except CatalogError:
            assert self.groups.catalog.is_full
        except ApiError as refusal:
            client.refused(refusal.code)
        else:
            self.retired.add((client.member_id, client.epoch))
            self.epochs.pop(client.member_id, None)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), subscription=st.sampled_from(SUBSCRIPTIONS))
    def subscribe_to_something_else(self, data, subscription):
        self.pick(data).subscription = subscription

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def pause_or_go_on(self, data):
        client = self.pick(data)
        client.is_paused = not client.is_paused

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), skew=st.sampled_from([0, 0, 1, -1]))
    def commit(self, data, skew):
        client = self.pick(data)
        epoch = client.epoch + skew
        if client.epoch == 0 or epoch < 1:
            return
        error = self.commit_as(client.member_id, epoch)
        known = self.members.get(client.member_id)
        if error is E.NONE:
            assert known.epoch == epoch
        elif known is not None and not self.groups.catalog.is_full:
            assert (error, known.epoch == epoch) == (E.STALE_MEMBER_EPOCH, False)

    @rule()
    def those_who_left_or_went_on_try_to_commit(self):
        for member_id, epoch in self.retired:
            known = self.members.get(member_id)
            if known is None or known.epoch != epoch:
                error = self.commit_as(member_id, epoch)
                assert error in (E.STALE_MEMBER_EPOCH, E.UNKNOWN_MEMBER_ID, E.GROUP_ID_NOT_FOUND)

    def commit_as(self, member_id: str, epoch: int) -> E:
        offset = next(OFFSETS)
        error: E = self.groups.commit(member_id, epoch, offset, api_version=9)
        if error is E.NONE:
            self.committed = offset
        return error

    @rule(rounds=st.integers(1, 4))
    def everybody_lives_on(self, rounds):
        self.live(rounds)

    @rule(seconds=st.sampled_from([1, 6, 21, SESSION_S + 1]))
    def nobody_does_anything(self, seconds):
        self.groups.wait(seconds)

    @rule(name=st.sampled_from(TOPICS), change=st.sampled_from(["make", "grow", "delete", "make again"]))
    def change_a_topic(self, name, change):
        topics, known = self.groups.topics, self.groups.topics.get(name)
        if known is None:
            topics.make(name, 2)
        elif change == "grow" and known.partition_count < 6:
            topics.grow(name, known.partition_count + 2)
        elif change == "delete":
            topics.delete(name)
        elif change == "make again":
            topics.delete(name)
            topics.make(name, 3)

    @rule(is_full=st.booleans())
    def fill_or_clear_the_disk(self, is_full):
        self.groups.catalog.is_full = is_full

    @rule(protocol_type=st.sampled_from(["consumer", "connect"]))
    def a_classic_member_that_does_not_fit_tries_to_join(self, protocol_type):
        """What it sends is no consumer's subscription."""
        was_held = bool(self.members)
        answer = self.groups.join(rebalance_timeout_ms=5_000, protocol_type=protocol_type)
        if was_held:
            assert answer.error in (E.INCONSISTENT_GROUP_PROTOCOL, E.UNKNOWN_SERVER_ERROR)
            return
        self.groups.wait(0.1)
        if not answer.waits and answer.error is E.NONE:
            self.groups.leave(answer.member_id)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def an_administrator_removes_a_member(self, data):
        member = self.members[data.draw(st.sampled_from(sorted(self.members)))]
        leaving = LeavingMember("" if member.instance_id else member.member_id, member.instance_id)
        try:
            self.groups.coordinator.leave_group("g", [leaving])
        except CatalogError:
            assert self.groups.catalog.is_full
        else:
            assert member.member_id not in self.members
            if member.epoch > 0 and member.classic is None:
                self.retired.add((member.member_id, member.epoch))

    @rule()
    def delete_the_group(self):
        was_held = bool(self.members)
        ((_, error),) = self.groups.coordinator.delete_groups(["g"])
        if error is E.NONE:
            assert not was_held
            self.committed = -1

    # Restarts

    def view(self) -> Any:
        """Return everything that anybody can learn about the group."""
        listed = sorted(self.groups.coordinator.list_groups())
        if self.group is None:
            return listed
        described = self.groups.coordinator.describe_consumer_group("g")
        members = sorted(described.members, key=lambda member: member.member_id)
        return listed, described._replace(members=members), self.members, self.group.stored, self.group._owners

    @rule()
    def crash(self):
        before, is_consumer_group, is_full = self.view(), self.group is not None, self.groups.catalog.is_full
        self.groups.crash()
        self.groups.catalog.is_full = is_full
        assert not is_consumer_group or self.view() == before

    def knows_its_topics(self) -> bool:
        """Say whether the expressions were matched with all topics; after a restart that is done at once."""
        resolved = self.group.stored.resolved
        return resolved == patterns.resolve(resolved, [topic.name for topic in self.groups.topics])

    @precondition(lambda self: self.group is not None and self.knows_its_topics())
    @rule()
    def whoever_asks_after_a_restart_gets_the_same_answers(self):
        twin, catalog = restarted_copy(self.groups)
        self.groups.catalog.is_full = False
        for client in list(self.clients):
            request = client.request()
            try:
                answer: Any = twin.consumer_heartbeat(request, 1)
            except ApiError as refusal:
                answer = refusal.code
            known = len(self.clients)
            self.ask(client)
            if isinstance(answer, E):
                assert client.epoch == 0 or len(self.clients) < known
            else:
                assert client.epoch == answer.member_epoch
                assert answer.assignment is None or client.told == flat(answer.assignment)
            theirs = twin._consumer.get("g")
            if self.group is not None and theirs is not None:
                assert (self.members, self.group.targets) == (theirs.members, theirs.targets)
        catalog.close()

    # What holds

    @rule()
    def all_who_live_come_to_rest(self):
        self.groups.catalog.is_full = False
        self.clients = list({client.instance_id or client.member_id: client for client in self.clients}.values())
        for client in self.clients:
            client.is_paused = False
        for _ in range(ROUNDS_MAX):
            self.live(1)
            if self.is_settled():
                break
        assert self.is_settled()
        self.live(3)
        assert self.is_settled()
        self.check_balance()

    def check_balance(self) -> None:
        check_balance(self.clients, {member.assignor for member in self.members.values()}, self.groups.topics)

    def is_settled(self) -> bool:
        if set(self.members) != {client.member_id for client in self.clients}:
            return False
        if not self.members:
            return True
        return (
            self.group.state == "Stable"
            and all(client.epoch == self.group.epoch for client in self.clients)
            and all(client.owned == flat(self.members[client.member_id].assigned) for client in self.clients)
            and read_everything_once(self.clients, self.groups.topics)
        )

    @invariant()
    def nobody_has_what_somebody_else_has(self):
        held: dict[tuple[bytes, int], int] = {}
        for member in self.members.values():
            for partition in flat(member.assigned) | flat(member.revoking):
                assert partition not in held
                held[partition] = member.epoch
            assert not flat(member.assigned) & flat(member.revoking)
        assert self.group is None or self.group._owners == held

    @invariant()
    def nobody_believes_to_have_what_somebody_else_believes_to_have(self):
        alive_since = self.groups.clock.monotonic() - SESSION_S
        alive = [
            client for client in self.clients if client.heard_s > alive_since and client.member_id in self.members
        ]
        owned = [partition for client in alive for partition in client.owned]
        assert len(owned) == len(set(owned))

    @invariant()
    def epochs_only_grow(self):
        if self.group is None:
            self.epochs.clear()
            self.group_epoch = 0
            return
        assert self.group.epoch >= self.group_epoch
        assert self.group.assignment_epoch <= self.group.epoch
        self.group_epoch = self.group.epoch
        for member_id, member in self.members.items():
            assert member.epoch <= self.group.assignment_epoch
            if member.epoch >= 0:
                assert member.epoch >= self.epochs.get(member_id, 0)
                self.epochs[member_id] = member.epoch

    @invariant()
    def whoever_may_never_speak_again_has_a_deadline(self):
        armed = self.groups.coordinator._timers._armed
        assert {key[2] for key in armed if key[:2] == ("g", Deadline.SESSION)} >= set(self.members)
        revoking = {each for each, member in self.members.items() if member.state == "unrevoked" and member.epoch > 0}
        assert {key[2] for key in armed if key[:2] == ("g", Deadline.REVOCATION)} >= revoking

    @invariant()
    def what_was_committed_stays_committed(self):
        assert self.groups.committed() == self.committed

    def teardown(self):
        self.all_who_live_come_to_rest()
        self.groups.catalog.close()


def play(machine: Callable[[], RuleBasedStateMachine], examples: int, steps: int) -> None:
    options = {"deadline": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps, **options))

"""Members of both protocols in one group, which changes its kind as they come and go."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from support.classic_members import ClassicConsumer
from support.consumer_machine import OFFSETS, SESSION_S, ConsumerMachine, play
from support.consumer_members import Subscription, flat, read_everything_once

from barnabas.broker.groups.consumer.deadlines import Deadline
from barnabas.protocol.errors import ErrorCode as E

CLASSICS_MAX = 4
SUBSCRIPTIONS = [Subscription(("a", "b"), ""), Subscription(("a",), ""), Subscription(("b", "missing"), "")]


class MixedMachine(ConsumerMachine):
    """All classic ones are of one kind: their protocols have to have one in common."""

    def __init__(self, groups: Any, is_cooperative: bool) -> None:
        super().__init__(groups)
        self.is_cooperative = is_cooperative
        self.classics: list[ClassicConsumer] = []
        self.generation = 0
        self.member_ids: set[str] = set()
        self.group_then: Any = None

    @property
    def classic_group(self) -> Any:
        return self.groups.coordinator._groups.get("g")

    def everybody(self) -> list[Any]:
        return [*self.clients, *self.classics]

    def ask(self, client, is_lost=False):
        self.epochs_only_grow()
        super().ask(client, is_lost)

    def live(self, rounds):
        for _ in range(rounds):
            super().live(1)
            for classic in self.classics:
                self.epochs_only_grow()
                if not classic.is_paused:
                    classic.act()
            self.classics = [classic for classic in self.classics if not classic.is_fenced]

    # What happens to the classic ones

    @precondition(lambda self: len(self.classics) < CLASSICS_MAX)
    @rule(instance_id=st.sampled_from([None, None, "x", "y"]), subscription=st.sampled_from(SUBSCRIPTIONS))
    def start_classic(self, instance_id, subscription):
        # A leader that comes back as a static member is not asked to assign, whatever it subscribes to now.
        subscription = SUBSCRIPTIONS[0] if instance_id else subscription
        self.classics.append(ClassicConsumer(self.groups, instance_id, self.is_cooperative, subscription))

    @precondition(lambda self: self.classics)
    @rule(data=st.data(), is_lost=st.booleans())
    def classic_step(self, data, is_lost):
        classic = data.draw(st.sampled_from(self.classics))
        classic.act()
        if is_lost:
            classic.lose_answer()

    @precondition(lambda self: self.classics)
    @rule(data=st.data(), says_so=st.booleans())
    def classic_leaves(self, data, says_so):
        classic = data.draw(st.sampled_from(self.classics))
        if says_so and classic.member_id:
            try:
                self.groups.leave(classic.member_id, classic.instance_id)
            except Exception:
                assert self.groups.catalog.is_full
        self.classics.remove(classic)

    @precondition(lambda self: self.classics)
    @rule(data=st.data(), subscription=st.sampled_from(SUBSCRIPTIONS))
    def classic_subscribes_to_something_else(self, data, subscription):
        classic = data.draw(st.sampled_from(self.classics))
        if classic.instance_id is None:
            classic.lose_answer()
            classic.subscription, classic.must_join = subscription, True

    @precondition(lambda self: self.classics)
    @rule(data=st.data())
    def classic_pauses_or_goes_on(self, data):
        classic = data.draw(st.sampled_from(self.classics))
        classic.is_paused = not classic.is_paused

    @precondition(lambda self: self.classics)
    @rule(data=st.data(), skew=st.sampled_from([0, 0, 1, -1]))
    def classic_commits(self, data, skew):
        classic = data.draw(st.sampled_from(self.classics))
        generation = classic.generation_id + skew
        if classic.generation_id < 0 or generation < 0:
            return
        offset = next(OFFSETS)
        error = self.groups.commit(classic.member_id, generation, offset, classic.instance_id, api_version=8)
        if error is E.NONE:
            self.committed = offset
            member = self.members.get(classic.member_id)
            current = self.classic_group.generation_id if member is None else member.epoch
            assert generation == current

    def a_classic_member_that_does_not_fit_tries_to_join(self, protocol_type):
        """No rule here: these would keep the group classic for ever."""

    @precondition(lambda self: any(member.classic is None for member in self.members.values()))
    @rule(data=st.data())
    def an_administrator_removes_a_member(self, data):
        super().an_administrator_removes_a_member(data)

    def is_classic(self, member_id: str) -> bool:
        return any(classic.member_id == member_id for classic in self.classics)

    @rule()
    def crash(self):
        super().crash()
        for classic in self.classics:
            classic.lose_answer()
        self.member_ids.clear()  # a classic group may have lost a generation that nobody was told

    # What holds

    @rule()
    def all_who_live_come_to_rest(self):
        instances = {client.instance_id for client in self.clients} - {None}
        for classic in list(self.classics):
            classic.is_paused = False
            if classic.instance_id in instances:
                self.classics.remove(classic)
            elif classic.instance_id:
                instances.add(classic.instance_id)
        super().all_who_live_come_to_rest()

    def check_balance(self) -> None:
        if not self.classics:
            super().check_balance()

    def is_settled(self) -> bool:
        if not all(classic.is_at_rest for classic in self.classics):
            return False
        if not self.clients and self.group is not None:
            return not self.classics and not self.members
        if self.group is None:
            return self.is_classic_settled()
        return (
            set(self.members) == {each.member_id for each in self.everybody()}
            and self.group.state == "Stable"
            and all(each.epoch == self.group.epoch for each in self.everybody())
            and all(each.owned == flat(self.members[each.member_id].assigned) for each in self.everybody())
            and read_everything_once(self.everybody(), self.groups.topics)
        )

    def is_classic_settled(self) -> bool:
        group = self.classic_group
        members = set() if group is None else set(group.members)
        if self.clients or members != {classic.member_id for classic in self.classics}:
            return False
        return not members or (
            group.state.value == "Stable"
            and all(classic.generation_id == group.generation_id for classic in self.classics)
            and read_everything_once(self.classics, self.groups.topics)
        )

    @invariant()
    def nobody_believes_to_have_what_somebody_else_believes_to_have(self):
        """A static member of a classic group may miss a rebalance and stay; it does not count then."""
        alive_since, classic = self.groups.clock.monotonic() - SESSION_S, self.classic_group
        members = self.members if classic is None else classic.members
        alive = [each for each in self.everybody() if each.heard_s > alive_since and each.member_id in members]
        if classic is not None:
            alive = [each for each in alive if not each.instance_id or each.epoch == classic.generation_id]
        owned = [partition for each in alive for partition in each.owned]
        assert len(owned) == len(set(owned))

    @invariant()
    def epochs_only_grow(self):
        """Also from kind to kind, as long as anybody stays in the group."""
        group = self.group or self.classic_group
        member_ids = set() if group is None else {each for each in group.members if self.is_classic(each)}
        generation = 0 if group is None else group.epoch if self.group else group.generation_id
        assert generation >= self.generation or not member_ids & self.member_ids
        self.generation, self.member_ids = generation, member_ids
        if self.group is not self.group_then:
            self.group_then, self.group_epoch = self.group, 0
            self.epochs.clear()
        super().epochs_only_grow()

    @invariant()
    def whoever_may_never_speak_again_has_a_deadline(self):
        armed = self.groups.coordinator._timers._armed
        sessions = {key[2] for key in armed if key[:2] in (("g", Deadline.SESSION), ("g", "session"))}
        assert sessions >= set(self.members)


@pytest.fixture(params=[False, True], ids=["eager", "cooperative"])
def machine(make_groups, request):
    return lambda: MixedMachine(make_groups(group_initial_rebalance_delay_ms=0), request.param)


def test_both_protocols_in_one_group(machine):
    play(machine, examples=100, steps=40)


@pytest.mark.slow
def test_both_protocols_in_one_group_for_thousands_of_steps(machine):
    play(machine, examples=1_000, steps=80)

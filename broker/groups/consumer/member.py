"""A member of a consumer group, and how it comes from the partitions it has to those it should have."""

from __future__ import annotations

from collections.abc import Callable, Set
from enum import StrEnum

from ....storage.catalog import ConsumerMember
from .assignors import Assignment

# The epoch of a static member that said it would be back (KIP-848).
AWAY_EPOCH = -2
# The epoch of a partition that nobody has.
UNOWNED = -1


class MemberState(StrEnum):
    """How far a member is: it has what it should; it has to give partitions up; it waits for others to do so."""

    STABLE = "stable"
    UNREVOKED = "unrevoked"
    UNRELEASED = "unreleased"


def new_member(member_id: str) -> ConsumerMember:
    """Return a member that has nothing yet."""
    return ConsumerMember(member_id, None, None, "", "", -1, (), "", None, 0, 0, MemberState.STABLE, {}, {}, None)


def successor(member: ConsumerMember, member_id: str) -> ConsumerMember:
    """Return the static member as it is when it comes back under another id."""
    return member._replace(member_id=member_id, epoch=0, previous_epoch=0, state=MemberState.STABLE)


def is_reconciled(member: ConsumerMember, target_epoch: int) -> bool:
    """Say whether the member has what it should have since ``target_epoch``."""
    return member.state == MemberState.STABLE and member.epoch == target_epoch


class Reconciliation:
    """One step of one member towards its target (Kafka's CurrentAssignmentBuilder).

    ``topic_ids``: what the member is subscribed to. ``owned``: what it says it has, None when it says nothing.
    ``epoch_of``: the epoch of a partition's present owner, UNOWNED when there is none.
    """

    def __init__(
        self,
        member: ConsumerMember,
        target: Assignment,
        target_epoch: int,
        topic_ids: Set[bytes],
        owned: Assignment | None,
        epoch_of: Callable[[bytes, int], int],
    ) -> None:
        self._member = member
        self._target = target
        self._target_epoch = target_epoch
        self._topic_ids = topic_ids
        self._owned = owned
        self._epoch_of = epoch_of

    def step(self, subscription_changed: bool) -> ConsumerMember:
        """Return the member after the step; the same one when it has to wait."""
        member = self._member
        match member.state:
            case MemberState.STABLE:
                if member.epoch != self._target_epoch:
                    return self._approach(member.epoch)
                return self._shrink() if subscription_changed else member
            case MemberState.UNREVOKED:
                if self._still_has(member.revoking):
                    return self._shrink() if subscription_changed else member
                # It may have come here because its subscription changed, before there was a new target.
                return self._approach(min(member.epoch + 1, self._target_epoch))
            case _:
                return self._approach(member.epoch)

    def _still_has(self, revoking: Assignment) -> bool:
        """Say whether the member has any of these; one that says nothing may."""
        if self._owned is None:
            return True
        return any(revoking.get(topic_id, frozenset()) & indexes for topic_id, indexes in self._owned.items())

    def _shrink(self) -> ConsumerMember:
        """Take away the topics that the member does not want any more, before there is a new target."""
        member = self._member
        gone = {topic_id: parts for topic_id, parts in member.assigned.items() if topic_id not in self._topic_ids}
        if not gone:
            return member
        assigned = {topic_id: parts for topic_id, parts in member.assigned.items() if topic_id not in gone}
        revoking = union(member.revoking, gone)
        if self._still_has(revoking):
            return member._replace(state=MemberState.UNREVOKED, assigned=assigned, revoking=revoking)
        return member._replace(assigned=assigned)

    def _approach(self, epoch: int) -> ConsumerMember:
        """Go on towards the target; partitions are given up first, and taken when nobody has them."""
        member = self._member
        assigned: dict[bytes, frozenset[int]] = {}
        revoking: dict[bytes, frozenset[int]] = {}
        must_wait = False
        for topic_id in self._target.keys() | member.assigned.keys():
            none = frozenset[int]()
            target = self._target.get(topic_id, none) if topic_id in self._topic_ids else none
            present = member.assigned.get(topic_id, none)
            kept, lost = present & target, present - target
            own = member.revoking.get(topic_id, none)
            free = frozenset(
                index for index in target - kept if index in own or self._epoch_of(topic_id, index) == UNOWNED
            )
            must_wait |= len(free) < len(target - kept)
            if lost:
                revoking[topic_id] = lost
            if kept or free:
                assigned[topic_id] = kept | free
        if revoking and self._still_has(revoking):
            kept_only = {
                topic_id: kept
                for topic_id, parts in member.assigned.items()
                if (kept := parts - revoking.get(topic_id, frozenset()))
            }
            return _at(member, epoch)._replace(state=MemberState.UNREVOKED, assigned=kept_only, revoking=revoking)
        state = MemberState.UNRELEASED if must_wait else MemberState.STABLE
        return _at(member, self._target_epoch)._replace(state=state, assigned=assigned, revoking={})


def _at(member: ConsumerMember, epoch: int) -> ConsumerMember:
    return member._replace(epoch=epoch, previous_epoch=member.epoch)


def union(one: Assignment, other: Assignment) -> Assignment:
    return {
        topic_id: one.get(topic_id, frozenset()) | other.get(topic_id, frozenset())
        for topic_id in one.keys() | other.keys()
    }

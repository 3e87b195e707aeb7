"""Until when members of consumer groups have to be heard of, and to have done what they were told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from ....storage.catalog import ConsumerMember
from ....storage.errors import CatalogError
from ...timers import Timers
from ..config import STEP_MS_MIN
from .group import ConsumerGroup
from .member import MemberState

# When to try again to let a member go, if that could not be stored.
RETRY_MS = 1_000

logger = logging.getLogger(__name__)


class Deadline(StrEnum):
    """What a member is let go for. Those who speak the classic protocol have to join again, then to sync."""

    SESSION = "its session timed out"
    REVOCATION = "it did not give up its partitions in time"
    REJOIN = "it did not join again in time"
    SYNC = "it did not ask for its assignment in time"


class GroupTimes(NamedTuple):
    """What a group's settings say, in ms."""

    session_timeout_ms: int
    heartbeat_interval_ms: int


class Deadlines:
    """See the module. ``times_of``: the settings of a group by its id. ``let_go`` takes members out, for a reason."""

    def __init__(
        self,
        timers: Timers,
        times_of: Callable[[str], GroupTimes],
        let_go: Callable[[ConsumerGroup, list[str], str], None],
    ) -> None:
        self._timers = timers
        self._times_of = times_of
        self._let_go = let_go

    def keep_alive(self, group: ConsumerGroup, member_id: str) -> None:
        """Begin the member's session timeout anew."""
        member = group.members[member_id]
        timeout_ms = self._times_of(group.group_id).session_timeout_ms
        if member.classic is not None:
            timeout_ms = member.classic.session_timeout_ms
        self._arm(group, member_id, Deadline.SESSION, timeout_ms)

    def take_up(self, group: ConsumerGroup) -> None:
        """Give each member of a group that was loaded, or changed its kind, its whole time again."""
        for member in group.members.values():
            self.keep_alive(group, member.member_id)
            self.watch_revocation(group, member)

    def watch_revocation(self, group: ConsumerGroup, member: ConsumerMember) -> None:
        """Begin the time in which a member has to give something up, or end it."""
        # Who speaks the classic protocol has its time to join again instead.
        if member.state != MemberState.UNREVOKED or member.classic is not None:
            self.cancel(group, member, Deadline.REVOCATION)
        else:
            self.begin(group, member, Deadline.REVOCATION)

    def begin(self, group: ConsumerGroup, member: ConsumerMember, deadline: Deadline) -> None:
        """Let the member go unless this is cancelled within its rebalance timeout."""
        self._arm(group, member.member_id, deadline, max(member.rebalance_timeout_ms, STEP_MS_MIN))

    def is_running(self, group: ConsumerGroup, member: ConsumerMember, deadline: Deadline) -> bool:
        return self._timers.is_armed((group.group_id, deadline, member.member_id))

    def cancel(self, group: ConsumerGroup, member: ConsumerMember, deadline: Deadline) -> None:
        self._timers.cancel((group.group_id, deadline, member.member_id))

    def forget(self, group_id: str, member_id: str) -> None:
        """Cancel all deadlines of a member."""
        for deadline in Deadline:
            self._timers.cancel((group_id, deadline, member_id))

    def _arm(self, group: ConsumerGroup, member_id: str, deadline: Deadline, delay_ms: int) -> None:
        key = (group.group_id, deadline, member_id)
        self._timers.arm(key, delay_ms, partial(self._expire, group, member_id, deadline))

    def _expire(self, group: ConsumerGroup, member_id: str, deadline: Deadline) -> None:
        if member_id not in group.members:
            return
        try:
            self._let_go(group, [member_id], deadline.value)
        except CatalogError as error:
            message = "group %s: member %s stays for now although %s: %s"
            logger.warning(message, group.group_id, member_id, deadline, error)
            self._arm(group, member_id, deadline, RETRY_MS)

"""A classic group as it lives in memory, and its way into the catalog and out of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ...protocol.errors import ErrorCode
from ...storage.catalog import GroupMember, StoredGroup
from .results import DescribedGroup, DescribedMember, JoinedMember, JoinReply, JoinResult, SyncReply, SyncResult
from .subscription import CONSUMER_PROTOCOL_TYPE, subscribed_topics

Protocols = tuple[tuple[str, bytes], ...]


class GroupState(StrEnum):
    """Kafka's states of a classic group, spelled as they stand on the wire."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(slots=True)
class Member:
    """One member. ``protocols``: (name, metadata), the preferred one first.

    ``is_new``: its first join was not answered yet, so it may not even know its id.
    """

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    assignment: bytes = b""
    is_new: bool = False

    def metadata(self, protocol_name: str | None) -> bytes:
        """Return what the member sent for ``protocol_name``; the generation's protocol is one that all have."""
        return next((metadata for name, metadata in self.protocols if name == protocol_name), b"")

    def protocol_names(self) -> set[str]:
        return {name for name, _ in self.protocols}

    def stored(self, protocol_name: str | None, assignment: bytes) -> GroupMember:
        """Return the member as the catalog keeps it."""
        return GroupMember(
            self.member_id,
            self.group_instance_id,
            self.client_id,
            self.client_host,
            self.session_timeout_ms,
            self.rebalance_timeout_ms,
            self.metadata(protocol_name),
            assignment,
        )


class Group:
    """The state of one group, and only what keeps it consistent with itself; the rules are in the protocol.

    ``pending_members``: ids that were handed out with MEMBER_ID_REQUIRED and have not joined yet.
    ``pending_sync_members``: who got the present generation and has not asked for its assignment.
    ``subscribed_topics``: None when unknown.
    """

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.previous_state = GroupState.DEAD
        self.rebalance_reason = ""
        self.state_since_ms = now_ms
        self.generation_id = 0
        self.protocol_type: str | None = None
        self.protocol_name: str | None = None
        self.leader_id: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        self.pending_members: set[str] = set()
        self.pending_sync_members: set[str] = set()
        self.waiting_joins: dict[str, JoinReply] = {}
        self.waiting_syncs: dict[str, SyncReply] = {}
        self.new_member_added = False
        self.subscribed_topics: frozenset[str] | None = None
        self._supported: Counter[str] = Counter()

    @classmethod
    def load(cls, stored: StoredGroup) -> "Group":
        """Return the group as it was after its last completed generation."""
        group = cls(stored.group_id, stored.state_since_ms)
        group.generation_id = stored.generation_id
        group.protocol_type = stored.protocol_type or None
        group.protocol_name = stored.protocol_name
        group.leader_id = stored.leader_id
        for kept in stored.members:
            protocols = ((stored.protocol_name or "", kept.metadata),)
            group.add(Member(*kept[:6], protocols=protocols, assignment=kept.assignment), stored.protocol_type)
        group.state = GroupState.STABLE if group.members else GroupState.EMPTY
        group.find_subscribed_topics()
        return group

    def stored(self, assignments: Mapping[str, bytes], now_ms: int) -> StoredGroup:
        """Return the present generation as the catalog keeps it; whom the leader forgot gets nothing."""
        members = [
            member.stored(self.protocol_name, assignments.get(member.member_id, b""))
            for member in self.members.values()
        ]
        return self._stored(members, self.leader_id, now_ms)

    def stored_with(self, old_member_id: str, member: Member) -> StoredGroup:
        """Return the present generation with ``member`` in the place of ``old_member_id``."""
        members = [
            (member if each.member_id == old_member_id else each).stored(self.protocol_name, each.assignment)
            for each in self.members.values()
        ]
        leader_id = member.member_id if self.leader_id == old_member_id else self.leader_id
        return self._stored(members, leader_id, self.state_since_ms)

    def stored_empty(self, now_ms: int) -> StoredGroup:
        """Return the generation after this one, in which nobody is left."""
        return StoredGroup(self.group_id, self.protocol_type or "", self.generation_id + 1, None, None, now_ms, ())

    def _stored(self, members: Sequence[GroupMember], leader_id: str | None, since_ms: int) -> StoredGroup:
        return StoredGroup(
            self.group_id,
            self.protocol_type or "",
            self.generation_id,
            self.protocol_name,
            leader_id,
            since_ms,
            members,
        )

    # Who is in it

    def add(self, member: Member, protocol_type: str) -> None:
        """Take the member in; the first one decides on the protocol type and leads."""
        if not self.members:
            self.protocol_type = protocol_type
        if self.leader_id is None:
            self.leader_id = member.member_id
        if member.group_instance_id is not None:
            self.static_members[member.group_instance_id] = member.member_id
        self.members[member.member_id] = member
        self._supported.update(member.protocol_names())
        self.pending_members.discard(member.member_id)

    def remove(self, member_id: str) -> None:
        """Let a member or a pending member go; what waits for its answers must have been answered."""
        self.pending_members.discard(member_id)
        self.pending_sync_members.discard(member_id)
        member = self.members.pop(member_id, None)
        if member is None:
            return
        self._count_out(member)
        if member.group_instance_id is not None:
            del self.static_members[member.group_instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)

    def replace(self, old_member_id: str, member: Member) -> None:
        """Give the place of ``old_member_id`` to the same static member under its new id."""
        self._count_out(self.members[old_member_id])
        self._supported.update(member.protocol_names())
        places = (member if each.member_id == old_member_id else each for each in self.members.values())
        self.members = {each.member_id: each for each in places}
        assert member.group_instance_id is not None
        self.static_members[member.group_instance_id] = member.member_id
        if self.leader_id == old_member_id:
            self.leader_id = member.member_id
        if old_member_id in self.pending_sync_members:
            self.pending_sync_members.remove(old_member_id)
            self.pending_sync_members.add(member.member_id)

    def update(
        self, member: Member, protocols: Protocols, session_timeout_ms: int, rebalance_timeout_ms: int
    ) -> None:
        """Replace what the member sent when it joined last."""
        self._count_out(member)
        member.protocols = protocols
        member.session_timeout_ms = session_timeout_ms
        member.rebalance_timeout_ms = rebalance_timeout_ms
        self._supported.update(member.protocol_names())

    def _count_out(self, member: Member) -> None:
        for name in member.protocol_names():
            self._supported[name] -= 1
            if not self._supported[name]:
                del self._supported[name]

    def check_member(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """Return NONE for a member that speaks for itself, else why it may not."""
        if group_instance_id is not None:
            owner = self.static_members.get(group_instance_id)
            if owner is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if owner != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def has_all_joined(self) -> bool:
        return len(self.waiting_joins) == len(self.members) and not self.pending_members

    def rebalance_timeout_ms(self) -> int:
        """Return the longest time a member asked for, 0 when there is none."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def elect_joined_leader(self) -> bool:
        """Make sure that the leader is one who joined; False when nobody did."""
        if self.leader_id not in self.waiting_joins:
            joined = next(iter(self.waiting_joins), None)
            if joined is None:
                return False
            self.leader_id = joined
        return True

    # What they speak

    def supports(self, protocol_type: str, protocol_names: set[str]) -> bool:
        """Tell whether somebody with these protocols can be a member along with everybody else."""
        if self.state is GroupState.EMPTY:
            return bool(protocol_type) and bool(protocol_names)
        return protocol_type == self.protocol_type and any(
            self._supported[name] == len(self.members) for name in protocol_names
        )

    def find_subscribed_topics(self) -> None:
        """Work out ``subscribed_topics`` for the present generation."""
        self.subscribed_topics = None
        if self.protocol_type != CONSUMER_PROTOCOL_TYPE:
            return
        try:
            self.subscribed_topics = frozenset().union(
                *(subscribed_topics(member.metadata(self.protocol_name)) for member in self.members.values())
            )
        except ValueError:
            pass  # a client of its own making: nobody knows what it reads

    def is_subscribed_to(self, topic: str) -> bool:
        """Tell whether a member reads ``topic``; yes when consumers hide what they read."""
        if self.subscribed_topics is None:
            return self.protocol_type == CONSUMER_PROTOCOL_TYPE
        return topic in self.subscribed_topics

    # Where it stands

    def transition_to(self, state: GroupState, now_ms: int) -> None:
        self.previous_state, self.state, self.state_since_ms = self.state, state, now_ms

    def begin_generation(self, now_ms: int) -> None:
        """Close the join phase: everybody who is a member now is in the next generation."""
        self.generation_id += 1
        self.pending_sync_members = set(self.members)
        self.protocol_name = select_protocol(self.members.values()) if self.members else None
        self.find_subscribed_topics()
        after = GroupState.COMPLETING_REBALANCE if self.members else GroupState.EMPTY
        self.transition_to(after, now_ms)

    # Who waits

    def wait_for_join(self, member_id: str, reply: JoinReply) -> None:
        """Keep ``reply`` until the join phase ends. An older request of the same member need not wait any more."""
        self.answer_join(member_id, JoinResult(ErrorCode.REBALANCE_IN_PROGRESS, member_id))
        self.waiting_joins[member_id] = reply

    def wait_for_sync(self, member_id: str, reply: SyncReply) -> None:
        """Keep ``reply`` until the leader has spoken. See ``wait_for_join``."""
        self.answer_sync(member_id, SyncResult(ErrorCode.REBALANCE_IN_PROGRESS))
        self.waiting_syncs[member_id] = reply

    def answer_join(self, member_id: str, result: JoinResult) -> bool:
        """Answer the member's waiting JoinGroup, if there is one; tell whether there was."""
        reply = self.waiting_joins.pop(member_id, None)
        if reply is not None:
            reply(result)
        return reply is not None

    def answer_sync(self, member_id: str, result: SyncResult) -> bool:
        """Answer the member's waiting SyncGroup, if there is one; tell whether there was."""
        reply = self.waiting_syncs.pop(member_id, None)
        if reply is not None:
            reply(result)
        return reply is not None

    def joined(self, member_id: str) -> JoinResult:
        """Return the present generation as ``member_id`` is told of it."""
        members = self.joined_members() if member_id == self.leader_id else ()
        return JoinResult(
            ErrorCode.NONE,
            member_id,
            self.generation_id,
            self.protocol_type,
            self.protocol_name,
            self.leader_id or "",
            members=members,
        )

    def describe(self) -> DescribedGroup:
        """Show the group as it stands; what members sent is shown only while it stands still."""
        stable = self.state is GroupState.STABLE
        members = [
            DescribedMember(
                member.member_id,
                member.group_instance_id,
                member.client_id,
                member.client_host,
                member.metadata(self.protocol_name) if stable else b"",
                member.assignment,
            )
            for member in self.members.values()
        ]
        return DescribedGroup(
            ErrorCode.NONE,
            self.group_id,
            self.state.value,
            self.protocol_type or "",
            (self.protocol_name or "") if stable else "",
            members,
        )

    def joined_members(self) -> list[JoinedMember]:
        return [
            JoinedMember(member.member_id, member.group_instance_id, member.metadata(self.protocol_name))
            for member in self.members.values()
        ]


def select_protocol(members: Iterable[Member]) -> str:
    """Let each member vote for the first of its protocols that all support; of equals the first named wins."""
    members = list(members)
    candidates = set.intersection(*(member.protocol_names() for member in members))
    votes = Counter(next(name for name, _ in member.protocols if name in candidates) for member in members)
    return max(votes, key=votes.__getitem__)

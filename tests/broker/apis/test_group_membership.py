import time
from types import SimpleNamespace
from typing import Any

import pytest
from support.calls import (
    Member,
    as_of,
    both_ends,
    every_version,
    fresh,
    join_alone,
    join_request,
    stable_alone,
)
from support.process import BrokerProcess
from support.wire import Wire

from barnabas.broker.apis.group_membership import join_group
from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_membership import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    JoinGroupResponseMember,
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
    SyncGroupRequest,
    SyncGroupRequestAssignment,
    SyncGroupResponse,
)
from barnabas.storage.errors import CatalogError

JOIN_ENDS = both_ends(JoinGroupRequest)
SYNC_ENDS = both_ends(SyncGroupRequest)
BEAT_ENDS = both_ends(HeartbeatRequest)
LEAVE_ENDS = both_ends(LeaveGroupRequest)


def refused(code: ErrorCode, version: int, member_id: str = "") -> JoinGroupResponse:
    return JoinGroupResponse(error_code=code, member_id=member_id, protocol_name=None if version >= 7 else "")


def assert_join(wire: Wire, version: int, request: JoinGroupRequest, code: ErrorCode) -> None:
    """Expect a refusal in its exact form."""
    expected = refused(code, version, request.member_id)
    assert wire.call(request, version) == as_of(expected, version)


# JoinGroup


@every_version(JoinGroupRequest)
def test_a_member_joins_alone(wire: Wire, version: int) -> None:
    group = fresh("group")
    joined = wire.call(join_request(group), version)
    if version >= 4:
        member_id = joined.member_id
        expected = refused(ErrorCode.MEMBER_ID_REQUIRED, version, member_id)
        assert joined == as_of(expected, version)
        joined = wire.call(join_request(group, member_id), version)
        assert joined.member_id == member_id
    assert joined.member_id.startswith("wire-")
    expected = JoinGroupResponse(
        generation_id=1,
        protocol_type="consumer",
        protocol_name="range",
        leader=joined.member_id,
        member_id=joined.member_id,
        members=[JoinGroupResponseMember(member_id=joined.member_id, metadata=b"metadata")],
    )
    assert joined == as_of(expected, version)


@every_version(JoinGroupRequest, since=5)
def test_a_static_member_joins_at_once_and_comes_back_without_a_rebalance(wire: Wire, version: int) -> None:
    """KIP-345, KIP-814."""
    group = fresh("group")
    request = join_request(group, group_instance_id="instance")
    first = wire.call(request, version)
    assert (first.error_code, first.generation_id) == (ErrorCode.NONE, 1)
    assert first.member_id.startswith("instance-")
    assert first.members[0].group_instance_id == "instance"
    sync(wire, 5, Member(group, first.member_id, 1), group_instance_id="instance")

    again = wire.call(request, version)

    assert (again.error_code, again.generation_id) == (ErrorCode.NONE, 1)
    assert again.member_id != first.member_id
    assert again.skip_assignment == (version >= 9)
    assert again.leader == (again.member_id if version >= 9 else first.member_id)
    assert bool(again.members) == (version >= 9)
    old = wire.call(join_request(group, first.member_id, group_instance_id="instance"), version)
    assert old.error_code == ErrorCode.FENCED_INSTANCE_ID


@JOIN_ENDS
def test_two_members_join_and_only_the_leader_learns_of_both(wire: Wire, other: Wire, version: int) -> None:
    leader = stable_alone(wire)
    second_id = ""
    if version >= 4:
        second_id = other.call(join_request(leader.group_id), version).member_id
    other.send(join_request(leader.group_id, second_id), version)
    time.sleep(0.05)
    beat = HeartbeatRequest(group_id=leader.group_id, generation_id=1, member_id=leader.member_id)
    assert all(wire.call(beat, one).error_code == ErrorCode.REBALANCE_IN_PROGRESS for one in (0, 4))

    first = wire.call(join_request(leader.group_id, leader.member_id), version)
    second = other.receive(JoinGroupRequest, version)

    assert (first.generation_id, second.generation_id) == (2, 2)
    assert first.leader == second.leader == leader.member_id
    assert {member.member_id for member in first.members} == {leader.member_id, second.member_id}
    assert second.members == []
    follower = Member(leader.group_id, second.member_id, 2)
    other.send(sync_request(follower), 5)
    given = [
        SyncGroupRequestAssignment(member_id=first.member_id, assignment=b"first"),
        SyncGroupRequestAssignment(member_id=second.member_id, assignment=b"second"),
    ]
    request = sync_request(leader._replace(generation_id=2), assignments=given)
    assert wire.call(request, 5).assignment == b"first"
    assert other.receive(SyncGroupRequest, 5).assignment == b"second"


@JOIN_ENDS
def test_a_group_has_a_name(wire: Wire, version: int) -> None:
    assert_join(wire, version, join_request(""), ErrorCode.INVALID_GROUP_ID)


@pytest.mark.parametrize("version", [6, 7, 9])
async def test_a_join_that_fails_is_refused_in_the_same_form(version: int) -> None:
    def fail(*_: Any) -> None:
        raise CatalogError("disk full")

    context: Any = SimpleNamespace(
        api_version=version,
        client_id="c",
        session=SimpleNamespace(client_host="127.0.0.1"),
        broker=SimpleNamespace(groups=SimpleNamespace(join_group=fail)),
    )
    answer = await join_group(join_request("g", "m"), context)
    assert answer == refused(ErrorCode.KAFKA_STORAGE_ERROR, version)


@JOIN_ENDS
@pytest.mark.parametrize("timeout_ms", [5_999, 1_800_001, 0, -1, 2**31 - 1])
def test_a_session_is_neither_too_short_nor_too_long(wire: Wire, version: int, timeout_ms: int) -> None:
    request = join_request(fresh("group"), session_timeout_ms=timeout_ms)
    assert_join(wire, version, request, ErrorCode.INVALID_SESSION_TIMEOUT)


@JOIN_ENDS
@pytest.mark.parametrize("exists", [True, False])
def test_a_member_that_nobody_knows_cannot_join(wire: Wire, version: int, exists: bool) -> None:
    group = stable_alone(wire).group_id if exists else fresh("group")
    assert_join(wire, version, join_request(group, "stranger"), ErrorCode.UNKNOWN_MEMBER_ID)


@JOIN_ENDS
@pytest.mark.parametrize(
    "values",
    [
        {"protocol_type": "connect"},
        {"protocols": [JoinGroupRequestProtocol(name="unheard", metadata=b"")]},
        {"protocols": []},
        {"protocol_type": ""},
    ],
)
def test_members_have_a_protocol_in_common(wire: Wire, version: int, values: dict[str, Any]) -> None:
    member = stable_alone(wire)
    assert_join(wire, version, join_request(member.group_id, **values), ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


@JOIN_ENDS
@pytest.mark.parametrize("values", [{"protocols": []}, {"protocol_type": ""}])
def test_the_first_member_names_a_protocol(wire: Wire, version: int, values: dict[str, Any]) -> None:
    assert_join(wire, version, join_request(fresh("group"), **values), ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


@both_ends(JoinGroupRequest, since=5)
def test_an_unknown_instance_cannot_join_under_a_member_id(wire: Wire, version: int) -> None:
    member = stable_alone(wire)
    request = join_request(member.group_id, member.member_id, group_instance_id="unknown")
    assert_join(wire, version, request, ErrorCode.UNKNOWN_MEMBER_ID)


# SyncGroup


def sync_request(member: Member, **values: Any) -> SyncGroupRequest:
    return SyncGroupRequest(
        **{
            "group_id": member.group_id,
            "generation_id": member.generation_id,
            "member_id": member.member_id,
            "protocol_type": "consumer",
            "protocol_name": "range",
            **values,
        }
    )


def sync(wire: Wire, version: int, member: Member, **values: Any) -> SyncGroupResponse:
    given = [SyncGroupRequestAssignment(member_id=member.member_id, assignment=b"assignment")]
    return wire.call(sync_request(member, assignments=given, **values), version)  # type: ignore[no-any-return]


@every_version(SyncGroupRequest)
def test_the_leader_hands_in_the_assignment(wire: Wire, version: int) -> None:
    member = join_alone(wire)
    expected = as_of(
        SyncGroupResponse(protocol_type="consumer", protocol_name="range", assignment=b"assignment"), version
    )
    assert sync(wire, version, member) == expected
    assert wire.call(sync_request(member), version) == expected


@SYNC_ENDS
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"group_id": "nowhere"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": ""}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation_id": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": 2}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": -1}, ErrorCode.ILLEGAL_GENERATION),
    ],
)
def test_a_sync_that_does_not_fit_is_refused(
    wire: Wire, version: int, change: dict[str, Any], code: ErrorCode
) -> None:
    member = stable_alone(wire)
    expected = SyncGroupResponse(error_code=code, protocol_type=None, protocol_name=None, assignment=b"")
    assert wire.call(sync_request(member, **change), version) == as_of(expected, version)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol_type": "connect"},
        {"protocol_name": "roundrobin"},
        {"protocol_type": None},
        {"protocol_name": None},
    ],
)
def test_from_version_5_a_sync_names_the_protocol(wire: Wire, change: dict[str, Any]) -> None:
    """KIP-559."""
    member = stable_alone(wire)
    response = wire.call(sync_request(member, **change), 5)
    assert response.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


@SYNC_ENDS
def test_a_sync_during_a_rebalance_is_told_to_rejoin(wire: Wire, other: Wire, version: int) -> None:
    member = stable_alone(wire)
    other.send(join_request(member.group_id), 3)
    time.sleep(0.05)
    assert wire.call(sync_request(member), version).error_code == ErrorCode.REBALANCE_IN_PROGRESS


@both_ends(SyncGroupRequest, since=3)
def test_the_sync_of_a_fenced_instance_is_refused(wire: Wire, version: int) -> None:
    member = stable_alone(wire, group_instance_id="instance")
    request = sync_request(member, member_id="stranger", group_instance_id="instance")
    assert wire.call(request, version).error_code == ErrorCode.FENCED_INSTANCE_ID


# Heartbeat


@every_version(HeartbeatRequest)
def test_a_heartbeat_is_heard(wire: Wire, version: int) -> None:
    member = stable_alone(wire)
    request = HeartbeatRequest(group_id=member.group_id, generation_id=1, member_id=member.member_id)
    assert wire.call(request, version) == HeartbeatResponse()


@BEAT_ENDS
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"group_id": ""}, ErrorCode.INVALID_GROUP_ID),
        ({"group_id": "nowhere"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"member_id": "stranger"}, ErrorCode.UNKNOWN_MEMBER_ID),
        ({"generation_id": 0}, ErrorCode.ILLEGAL_GENERATION),
        ({"generation_id": 2}, ErrorCode.ILLEGAL_GENERATION),
    ],
)
def test_a_heartbeat_that_does_not_fit_is_refused(
    wire: Wire, version: int, change: dict[str, Any], code: ErrorCode
) -> None:
    member = stable_alone(wire)
    values = {"group_id": member.group_id, "generation_id": 1, "member_id": member.member_id, **change}
    assert wire.call(HeartbeatRequest(**values), version) == HeartbeatResponse(error_code=code)


@BEAT_ENDS
def test_a_heartbeat_before_the_sync_is_heard(wire: Wire, version: int) -> None:
    member = join_alone(wire)
    request = HeartbeatRequest(group_id=member.group_id, generation_id=1, member_id=member.member_id)
    assert wire.call(request, version).error_code == ErrorCode.NONE


@both_ends(HeartbeatRequest, since=3)
def test_the_heartbeat_of_a_fenced_instance_is_refused(wire: Wire, version: int) -> None:
    member = stable_alone(wire, group_instance_id="instance")
    request = HeartbeatRequest(
        group_id=member.group_id, generation_id=1, member_id="stranger", group_instance_id="instance"
    )
    assert wire.call(request, version).error_code == ErrorCode.FENCED_INSTANCE_ID


# LeaveGroup


def leave_request(group_id: str, *members: tuple[str, str | None]) -> LeaveGroupRequest:
    return LeaveGroupRequest(
        group_id=group_id,
        member_id=members[0][0] if members else "",
        members=[
            MemberIdentity(member_id=member_id, group_instance_id=instance_id) for member_id, instance_id in members
        ],
    )


@every_version(LeaveGroupRequest)
def test_a_member_leaves(wire: Wire, version: int) -> None:
    member = stable_alone(wire)
    expected = LeaveGroupResponse(members=[MemberResponse(member_id=member.member_id, group_instance_id=None)])
    request = leave_request(member.group_id, (member.member_id, None))
    assert wire.call(request, version) == as_of(expected, version)
    beat = HeartbeatRequest(group_id=member.group_id, generation_id=1, member_id=member.member_id)
    assert wire.call(beat, 4).error_code == ErrorCode.UNKNOWN_MEMBER_ID


@LEAVE_ENDS
@pytest.mark.parametrize("exists", [True, False])
def test_who_is_no_member_cannot_leave(wire: Wire, version: int, exists: bool) -> None:
    """Before version 3 the error is that of the response."""
    group = stable_alone(wire).group_id if exists else "nowhere"
    response = wire.call(leave_request(group, ("stranger", None)), version)
    unknown = ErrorCode.UNKNOWN_MEMBER_ID
    if version < 3:
        assert response == LeaveGroupResponse(error_code=unknown)
    else:
        gone = MemberResponse(member_id="stranger", group_instance_id=None, error_code=unknown)
        assert response == LeaveGroupResponse(members=[gone])


@LEAVE_ENDS
def test_nobody_leaves_a_group_without_a_name(wire: Wire, version: int) -> None:
    response = wire.call(leave_request("", ("m", None)), version)
    assert response == LeaveGroupResponse(error_code=ErrorCode.INVALID_GROUP_ID)


@both_ends(LeaveGroupRequest, since=3)
def test_an_administrator_removes_static_members_by_their_instance(wire: Wire, version: int) -> None:
    """KIP-345."""
    member = stable_alone(wire, group_instance_id="instance")
    request = leave_request(member.group_id, ("", "unknown"), ("stranger", "instance"), ("", "instance"))
    response = wire.call(request, version)
    assert response.error_code == ErrorCode.NONE
    assert [(left.member_id, left.group_instance_id, left.error_code) for left in response.members] == [
        ("", "unknown", ErrorCode.UNKNOWN_MEMBER_ID),
        ("stranger", "instance", ErrorCode.FENCED_INSTANCE_ID),
        ("", "instance", ErrorCode.NONE),
    ]


@both_ends(LeaveGroupRequest, since=3)
def test_nobody_leaves_when_nobody_is_named(wire: Wire, version: int) -> None:
    assert wire.call(leave_request(stable_alone(wire).group_id), version) == LeaveGroupResponse()


# Across connections


def test_a_member_whose_connection_breaks_while_it_waits_does_not_hold_up_the_others(
    broker: BrokerProcess, wire: Wire
) -> None:
    member = stable_alone(wire)
    with Wire(broker.port) as doomed:
        doomed.send(join_request(member.group_id, session_timeout_ms=6000), 3)
        time.sleep(0.05)
    joined = wire.call(join_request(member.group_id, member.member_id), 5)
    assert (joined.error_code, joined.generation_id) == (ErrorCode.NONE, 2)


def test_a_group_is_full_at_group_max_size(tmp_path: Any) -> None:
    from support.process import running

    with (
        running(tmp_path / "data", "-c", "group.max.size=1", "-c", "group.initial.rebalance.delay.ms=0") as broker,
        Wire(broker.port) as wire,
    ):
        member = stable_alone(wire)
        for version in (0, 9):
            response = wire.call(join_request(member.group_id), version)
            assert (response.error_code, response.member_id) == (ErrorCode.GROUP_MAX_SIZE_REACHED, "")


def test_a_group_goes_on_after_a_crash(broker: BrokerProcess, wire: Wire) -> None:
    member = stable_alone(wire)
    wire.socket.close()
    broker.kill()
    broker.start()
    with Wire(broker.port) as again:
        beat = HeartbeatRequest(group_id=member.group_id, generation_id=1, member_id=member.member_id)
        assert again.call(beat, 4).error_code == ErrorCode.NONE
        assert again.call(sync_request(member), 5).assignment == b"assignment"

import time

import pytest
from support.calls import Member, as_of, both_ends, every_version, join_alone, join_request, stable_alone
from support.wire import Wire

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.group_admin import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
    ListedGroup,
    ListGroupsRequest,
    ListGroupsResponse,
)
from barnabas.protocol.messages.group_membership import LeaveGroupRequest

GROUP_OPERATIONS = sum(1 << n for n in (3, 6, 8, 10, 11))


def empty(wire: Wire) -> Member:
    """Make a group whose only member left."""
    member = stable_alone(wire)
    wire.call(LeaveGroupRequest(group_id=member.group_id, member_id=member.member_id), 0)
    return member


def listed(member: Member, state: str) -> ListedGroup:
    return ListedGroup(group_id=member.group_id, protocol_type="consumer", group_state=state, group_type="classic")


# ListGroups


@every_version(ListGroupsRequest)
def test_groups_are_listed(wire: Wire, version: int) -> None:
    groups = [listed(empty(wire), "Empty"), listed(stable_alone(wire), "Stable")]
    groups.append(listed(join_alone(wire), "CompletingRebalance"))
    response = wire.call(ListGroupsRequest(), version)
    assert (response.error_code, response.throttle_time_ms) == (0, 0)
    for group in as_of(ListGroupsResponse(groups=groups), version).groups:
        assert group in response.groups


@every_version(ListGroupsRequest, since=4)
@pytest.mark.parametrize(
    ("states", "found"),
    [
        (["Stable"], {"Stable"}),
        (["sTaBlE", "Empty"], {"Stable", "Empty"}),
        (["Unheard"], set()),
        (["Unheard", "Empty"], {"Empty"}),
    ],
)
def test_groups_are_listed_by_state(wire: Wire, version: int, states: list[str], found: set[str]) -> None:
    """KIP-518."""
    empty(wire)
    stable_alone(wire)
    response = wire.call(ListGroupsRequest(states_filter=states), version)
    assert {group.group_state for group in response.groups} == found


@pytest.mark.parametrize(
    ("types", "any_found"), [(["classic"], True), (["CLASSIC"], True), (["consumer"], False), (["unheard"], False)]
)
def test_groups_are_listed_by_type(wire: Wire, types: list[str], any_found: bool) -> None:
    """KIP-848."""
    stable_alone(wire)
    response = wire.call(ListGroupsRequest(types_filter=types), 5)
    assert (response.error_code, bool(response.groups)) == (0, any_found)


# DescribeGroups


def describe(wire: Wire, version: int, *groups: str, operations: bool = False) -> DescribeGroupsResponse:
    request = DescribeGroupsRequest(groups=list(groups), include_authorized_operations=operations)
    return wire.call(request, version)  # type: ignore[no-any-return]


@every_version(DescribeGroupsRequest)
def test_a_stable_group_is_described_with_its_members(wire: Wire, version: int) -> None:
    member = stable_alone(wire, group_instance_id="instance")
    expected = DescribedGroup(
        group_id=member.group_id,
        group_state="Stable",
        protocol_type="consumer",
        protocol_data="range",
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id="instance",
                client_id="wire",
                client_host="/127.0.0.1",
                member_metadata=b"metadata",
                member_assignment=b"assignment",
            )
        ],
        authorized_operations=GROUP_OPERATIONS if version >= 3 else -(2**31),
    )
    response = describe(wire, version, member.group_id, operations=version >= 3)
    assert response == as_of(DescribeGroupsResponse(groups=[expected]), version)


@every_version(DescribeGroupsRequest)
def test_a_group_that_does_not_exist_is_dead(wire: Wire, version: int) -> None:
    """KIP-1043: an error from version 6 on."""
    expected = DescribedGroup(group_id="nowhere", group_state="Dead")
    if version >= 6:
        expected.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        expected.error_message = "Group nowhere not found."
    assert describe(wire, version, "nowhere") == as_of(DescribeGroupsResponse(groups=[expected]), version)


@both_ends(DescribeGroupsRequest)
def test_an_empty_group_is_described(wire: Wire, version: int) -> None:
    member = empty(wire)
    expected = DescribedGroup(group_id=member.group_id, group_state="Empty", protocol_type="consumer")
    assert describe(wire, version, member.group_id) == DescribeGroupsResponse(groups=[expected])


@both_ends(DescribeGroupsRequest)
def test_a_group_in_a_rebalance_is_described_without_what_is_not_settled(
    wire: Wire, other: Wire, version: int
) -> None:
    completing, preparing = join_alone(wire), stable_alone(wire)
    other.send(join_request(preparing.group_id), 3)
    time.sleep(0.05)
    groups = describe(wire, version, completing.group_id, preparing.group_id).groups
    assert [(group.group_state, group.protocol_data, group.error_code) for group in groups] == [
        ("CompletingRebalance", "", 0),
        ("PreparingRebalance", "", 0),
    ]
    assert len(groups[1].members) == 2
    assert all(member.member_metadata == b"" for group in groups for member in group.members)


@both_ends(DescribeGroupsRequest)
def test_a_group_that_is_named_twice_is_described_once(wire: Wire, version: int) -> None:
    """Else a small request for a large group has a huge answer."""
    member = stable_alone(wire)
    groups = describe(wire, version, member.group_id, "nowhere", member.group_id).groups
    assert [group.group_id for group in groups] == [member.group_id, "nowhere"]


@both_ends(DescribeGroupsRequest)
def test_no_groups_are_described_with_none(wire: Wire, version: int) -> None:
    assert describe(wire, version) == DescribeGroupsResponse()


# DeleteGroups


@every_version(DeleteGroupsRequest)
def test_empty_groups_are_deleted_and_the_others_stay(wire: Wire, version: int) -> None:
    gone, busy, joining = empty(wire), stable_alone(wire), join_alone(wire)
    names = [gone.group_id, busy.group_id, "nowhere", joining.group_id, ""]
    codes = [
        ErrorCode.NONE,
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.GROUP_ID_NOT_FOUND,
        ErrorCode.NON_EMPTY_GROUP,
        ErrorCode.GROUP_ID_NOT_FOUND,
    ]
    expected = DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=name, error_code=code) for name, code in zip(names, codes, strict=True)
        ]
    )
    assert wire.call(DeleteGroupsRequest(groups_names=names), version) == expected
    states = [group.group_state for group in describe(wire, 5, gone.group_id, busy.group_id).groups]
    assert states == ["Dead", "Stable"]


@both_ends(DeleteGroupsRequest)
def test_a_group_that_is_named_twice_is_deleted_once(wire: Wire, version: int) -> None:
    group = empty(wire).group_id
    results = wire.call(DeleteGroupsRequest(groups_names=[group, "nowhere", group, "nowhere"]), version).results
    assert [(result.group_id, result.error_code) for result in results] == [
        (group, ErrorCode.NONE),
        ("nowhere", ErrorCode.GROUP_ID_NOT_FOUND),
    ]


@both_ends(DeleteGroupsRequest)
def test_no_groups_to_delete_is_no_error(wire: Wire, version: int) -> None:
    assert wire.call(DeleteGroupsRequest(), version) == DeleteGroupsResponse()

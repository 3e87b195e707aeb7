"""A coordinator on a manual clock over a real catalog, and a short way to say what its clients do."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.topics import KnownTopics, default_times

from barnabas.broker.groups import (
    GroupCoordinator,
    GroupCoordinatorConfig,
    JoinRequest,
    LeavingMember,
    OffsetToCommit,
    SyncRequest,
)
from barnabas.protocol.errors import ErrorCode
from barnabas.storage.catalog.sqlite import SqliteCatalog
from barnabas.storage.clock import ManualClock
from barnabas.storage.errors import CatalogError

RANGE = (("range", b"r"),)


class Answer:
    """Takes a reply, once."""

    def __init__(self) -> None:
        self.result: Any = None

    def __call__(self, result: Any) -> None:
        assert self.result is None, f"answered twice: {self.result}, then {result}"
        self.result = result

    @property
    def waits(self) -> bool:
        return self.result is None

    def __getattr__(self, name: str) -> Any:
        assert not self.waits, "no answer yet"
        return getattr(self.result, name)


class FlakyCatalog(SqliteCatalog):
    """A catalog whose disk can be full."""

    is_full = False

    def commit(self, *changes: Any) -> None:
        if self.is_full:
            raise CatalogError("disk full")
        super().commit(*changes)


class Groups:
    """One broker's groups, and what is done to the group "g" unless another is named."""

    def __init__(self, folder: Path, **config: int) -> None:
        self.path = folder / "catalog.db"
        self.clock = ManualClock()
        self.config = config
        self.topics = KnownTopics()
        self.open()

    def open(self) -> None:
        self.catalog = FlakyCatalog(self.path, self.clock)
        self.coordinator = GroupCoordinator(
            self.catalog, self.clock, GroupCoordinatorConfig(**self.config), self.topics, default_times
        )

    def crash(self, **config: int) -> None:
        """Lose what is in memory and start again over the same catalog, perhaps configured otherwise."""
        self.catalog.close()
        self.config |= config
        self.open()

    def wait(self, seconds: float) -> None:
        """Let time pass, with the event loop awake at every deadline."""
        end = self.clock.monotonic() + seconds
        while (deadline := self.coordinator.next_deadline()) is not None and deadline <= end:
            self.clock.advance(max(deadline - self.clock.monotonic(), 0) + 1e-6)
            self.coordinator.advance()
        self.clock.advance(max(end - self.clock.monotonic(), 0))

    def join(self, member_id: str = "", **fields: Any) -> Answer:
        answer = Answer()
        request = JoinRequest(
            **{
                "group_id": "g",
                "member_id": member_id,
                "group_instance_id": None,
                "client_id": "client",
                "client_host": "/127.0.0.1",
                "session_timeout_ms": 10_000,
                "rebalance_timeout_ms": 60_000,
                "protocol_type": "consumer",
                "protocols": RANGE,
                **fields,
            }
        )
        self.coordinator.join_group(request, answer)
        return answer

    def sync(self, joined: Any, assignments: dict[str, bytes] | None = None, **fields: Any) -> Answer:
        """Sync as the member that got ``joined``; ``assignments`` when it is the leader."""
        answer = Answer()
        request = SyncRequest(
            **{
                "group_id": "g",
                "member_id": joined.member_id,
                "group_instance_id": None,
                "generation_id": joined.generation_id,
                "protocol_type": None,
                "protocol_name": None,
                "assignments": assignments or {},
                **fields,
            }
        )
        self.coordinator.sync_group(request, answer)
        return answer

    def heartbeat(self, joined: Any, instance_id: str | None = None, generation_id: int | None = None) -> ErrorCode:
        generation_id = joined.generation_id if generation_id is None else generation_id
        return self.coordinator.heartbeat("g", joined.member_id, instance_id, generation_id)

    def leave(self, member_id: str, instance_id: str | None = None) -> ErrorCode:
        result = self.coordinator.leave_group("g", [LeavingMember(member_id, instance_id)])
        return result.error or result.members[0].error

    def commit(
        self,
        member_id: str = "",
        generation_id: int = -1,
        offset: int = 1,
        instance_id: str | None = None,
        **fields: Any,
    ) -> ErrorCode:
        (error,) = self.coordinator.commit_offsets(
            fields.pop("group_id", "g"),
            member_id,
            instance_id,
            generation_id,
            [OffsetToCommit("t", 0, offset)],
            **fields,
        )
        return error

    def committed(self, group_id: str = "g") -> int:
        (fetched,) = self.coordinator.fetch_offsets(group_id, [("t", 0)])
        assert fetched.error is ErrorCode.NONE
        return fetched.offset

    def state(self, group_id: str = "g") -> str:
        return self.coordinator.describe_groups([group_id])[0].state

    def members(self) -> dict[str, bytes]:
        """Return the assignment of each member."""
        return {m.member_id: m.assignment for m in self.coordinator.describe_groups(["g"])[0].members}

    def joined(self, *members: dict[str, Any]) -> list[Answer]:
        """Bring new members through the first join phase; the first is the leader."""
        answers = [self.join(**fields) for fields in members]
        while answers[0].waits:
            deadline = self.coordinator.next_deadline()
            assert deadline is not None
            self.wait(deadline - self.clock.monotonic() + 1e-6)
        assert self.state() == "CompletingRebalance"
        return answers

    def stable(self, *members: dict[str, Any]) -> list[Answer]:
        """Bring new members into a Stable group; the n-th is assigned the number n."""
        answers = self.joined(*members)
        assignments = {answer.member_id: b"%d" % number for number, answer in enumerate(answers)}
        syncs = [self.sync(answer, assignments if number == 0 else None) for number, answer in enumerate(answers)]
        assert [sync.assignment for sync in syncs] == list(assignments.values())
        assert self.state() == "Stable"
        return answers


@pytest.fixture
def make_groups(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Groups]]:
    made: list[Groups] = []

    def make(**config: int) -> Groups:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Groups(folder, **config))
        return made[-1]

    yield make
    for groups in made:
        groups.catalog.close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def groups(make_groups: Callable[..., Groups]) -> Groups:
    return make_groups()

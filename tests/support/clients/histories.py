"""What the members of groups did and what was committed, and what must hold of it, as plain functions.

All times are seconds of the same wall clock. A value's place is its partition and offset.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

# How the clients call it when a commit is refused because the member is not, or not quite, in the group any more.
FENCED = (
    "CommitFailed",
    "FencedInstance",
    "FENCED_",
    "IllegalGeneration",
    "ILLEGAL_GENERATION",
    "StaleMemberEpoch",
    "STALE_MEMBER_EPOCH",
    "UnknownMember",
    "UNKNOWN_MEMBER_ID",
    # What librdkafka says once it knows that it has lost a partition
    "_ASSIGNMENT_LOST",
    "_NO_OFFSET",
)

# Clients that, woken after the broker put them out of the group, join again and then go on as if nothing had been;
# the broker cannot know. kafka-python 3.0.12 reads on from its old position where it gets a partition again, and the
# Java client 4.3 with the consumer protocol sends a commit from before its sleep with its new epoch. Both were seen
# in the broker's log and in their journals.
SLEEPWALKERS = ("kafka-python", "java-consumer")
WAKING_S = 2.0

Place = tuple[int, int]
Value = str


@dataclass(frozen=True)
class Processed:
    """One record of one batch, when the member had it in its hands."""

    at: float
    partition: int
    offset: int
    value: Value

    @property
    def place(self) -> Place:
        return self.partition, self.offset


@dataclass
class Commit:
    """``answered``: when; never is infinite. ``refused``: the error, empty if there was none."""

    sent: float
    offsets: Mapping[int, int]
    answered: float = inf
    refused: str = ""

    @property
    def is_acknowledged(self) -> bool:
        return self.answered < inf and not self.refused

    def covers(self, record: Processed) -> bool:
        return self.offsets.get(record.partition, -1) > record.offset

    @property
    def is_fenced(self) -> bool:
        return any(word in self.refused for word in FENCED)


@dataclass
class History:
    """The life of one member. ``pauses``: from when to when; ``died``: when it was killed."""

    name: str
    group: str
    processed: list[Processed] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)
    died: float = inf
    errors: list[str] = field(default_factory=list)

    def commit_of(self, record: Processed) -> Commit | None:
        """The first attempt to commit after it was processed."""
        later = (commit for commit in self.commits if commit.sent >= record.at and commit.covers(record))
        return next(later, None)

    def sleepwalks(self, at: float) -> bool:
        """Whether it has just woken up and is of the kind that goes on with what it had."""
        return self.name.endswith(SLEEPWALKERS) and any(
            began <= at <= ended + WAKING_S for began, ended in self.pauses
        )

    def had_trouble_before(self, at: float) -> bool:
        return self.died <= at or any(began <= at for began, _ in self.pauses)


@dataclass(frozen=True)
class SetBack:
    """A commit of a sleepwalker: from then on what had been committed up to ``highest`` comes again."""

    group: str
    partition: int
    offset: int
    highest: int
    at: float

    def excuses(self, group: str, record: Processed) -> bool:
        is_within = self.offset <= record.offset < self.highest
        return self.group == group and self.partition == record.partition and is_within and record.at >= self.at


@dataclass(frozen=True)
class Sample:
    """What was committed for a group according to the broker, asked at ``asked`` and known at ``answered``."""

    asked: float
    answered: float
    group: str
    offsets: Mapping[int, int]


def read(name: str, group: str, journal: Path) -> History:
    """The history in a journal of JSON lines, the last of which may be torn."""
    history = History(name, group)
    for line in journal.read_text().splitlines() if journal.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            break
        at = entry["at"]
        if "processed" in entry:
            history.processed += [Processed(at, *record) for record in entry["processed"]]
        elif "commits" in entry:
            history.commits.append(Commit(at, {int(p): offset for p, offset in entry["commits"].items()}))
        elif "committed" in entry:
            history.commits[-1].answered = at
        elif "refused" in entry:
            history.commits[-1].answered, history.commits[-1].refused = at, entry["refused"]
        elif "error" in entry:
            history.errors.append(entry["error"])
    return history


def unprocessed(acknowledged: Mapping[Place, Value], histories: Iterable[History]) -> Iterator[str]:
    """Values that the broker acknowledged and some group never saw."""
    for group, members in _by_group(histories).items():
        seen = {record.place for member in members for record in member.processed}
        for place, value in sorted(acknowledged.items()):
            if place not in seen:
                yield f"{group}: nobody processed {value} at {place}"


def invented(sent: set[Value], acknowledged: Mapping[Place, Value], histories: Iterable[History]) -> Iterator[str]:
    """Values that were never produced, that moved, or that are in two places."""
    values, places = dict(acknowledged), {value: place for place, value in acknowledged.items()}
    for member in histories:
        for record in member.processed:
            if record.value not in sent:
                yield f"{member.name}: {record.value} at {record.place} was never produced"
            elif values.setdefault(record.place, record.value) != record.value:
                yield f"{member.name}: {record.value} at {record.place}, where {values[record.place]} is"
            elif places.setdefault(record.value, record.place) != record.place:
                yield f"{member.name}: {record.value} at {record.place} and at {places[record.value]}"


def commits_that_went_back(histories: Iterable[History], samples: Iterable[Sample]) -> Iterator[str | SetBack]:
    """Committed offsets below one that was known to be committed when they were sent or asked for."""
    for group, members in _by_group(histories).items():
        sleepwalks = {member.name: member.sleepwalks for member in members}
        seen: dict[int, list[tuple[float, float, int, str]]] = defaultdict(list)  # known, asked, offset, by whom
        for member in members:
            for commit in member.commits:
                if commit.is_acknowledged:
                    for partition, offset in commit.offsets.items():
                        seen[partition].append((commit.answered, commit.sent, offset, member.name))
        for sample in samples:
            if sample.group == group:
                for partition, offset in sample.offsets.items():
                    seen[partition].append((sample.answered, sample.asked, offset, "OffsetFetch"))
        for partition, known in sorted(seen.items()):
            for offset, asked, name, highest, by in _steps_back(known, sleepwalks):
                if name in sleepwalks and sleepwalks[name](asked):
                    yield SetBack(group, partition, offset, highest, asked)
                else:
                    what = f"{name} has {offset} at {asked:.3f} after {by} had {highest}"
                    yield f"{group}: partition {partition}: {what}"


def _steps_back(
    known: list[tuple[float, float, int, str]], sleepwalks: Mapping[str, Callable[[float], bool]]
) -> Iterator[tuple[int, float, str, int, str]]:
    """Yield offset, when, by whom, what was higher, by whom; what a sleepwalker commits is what is known then."""
    by_answer = sorted(known)
    highest, by, position = -1, "", 0
    for _, asked, offset, name in sorted(known, key=lambda entry: entry[1]):
        while position < len(by_answer) and by_answer[position][0] < asked:
            _, _, reached, who = by_answer[position]
            if reached > highest:
                highest, by = reached, who
            position += 1
        if offset < highest:
            yield offset, asked, name, highest, by
            if name in sleepwalks and sleepwalks[name](asked):
                highest, by = offset, name
                while position < len(by_answer) and by_answer[position][0] < asked + WAKING_S:
                    position += 1  # who asked in between may have got either


def unexcused_repeats(histories: Iterable[History], set_back: Sequence[SetBack] = ()) -> Iterator[str]:
    """Records that were processed again although nothing had befallen who processed them before."""
    for group, members in _by_group(histories).items():
        by_place: dict[Place, list[tuple[Processed, History]]] = defaultdict(list)
        for member in members:
            for record in member.processed:
                by_place[record.place].append((record, member))
        for place, times in sorted(by_place.items()):
            times.sort(key=lambda entry: entry[0].at)
            for position, (again, second) in enumerate(times):
                for once, first in times[:position]:
                    if any(each.excuses(group, again) for each in set_back):
                        continue
                    if complaint := _complaint(once, first, again, second):
                        yield f"{group}: {place} by {first.name} at {once.at:.3f}, {complaint}"


def _complaint(once: Processed, first: History, again: Processed, second: History) -> str:
    """Why a repetition should not have been, or nothing.

    It may be when the first member died, was paused or was refused between its work and its commit; or when the
    second one is a ghost: paused or slow, put out of the group, it works on what it had fetched before.
    """
    committed = first.commit_of(once)
    if committed is not None and committed.refused:
        return ""
    if (committed is None or committed.answered == inf) and first.had_trouble_before(again.at):
        return ""
    if committed is not None and any(once.at <= began <= min(committed.sent, again.at) for began, _ in first.pauses):
        return ""
    if _is_ghost(again, second) or second.sleepwalks(again.at):
        return ""
    what = f"again by {second.name} at {again.at:.3f}"
    if committed is None or committed.answered == inf:
        return f"{what}, though nothing had befallen the first"
    return f"{what}, though committed at {committed.answered:.3f}"


def _is_ghost(record: Processed, member: History) -> bool:
    """Whether the member turned out not to be in the group when it processed the record."""
    commit = member.commit_of(record)
    if commit is None or commit.answered == inf:
        return any(began <= record.at for began, _ in member.pauses)
    return commit.is_fenced


def repeats(histories: Iterable[History]) -> int:
    """How many times a record was processed again in its group."""
    places = [(member.group, record.place) for member in histories for record in member.processed]
    return len(places) - len(set(places))


def _by_group(histories: Iterable[History]) -> dict[str, list[History]]:
    groups: dict[str, list[History]] = defaultdict(list)
    for history in histories:
        groups[history.group].append(history)
    return groups

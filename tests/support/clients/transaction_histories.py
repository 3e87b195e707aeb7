"""What transactions wrote and who read it, and what must hold of it, as plain functions (the anomalies of Jepsen).

A transaction is one batch: it reads a topic, writes a topic, and commits the offsets behind what it read. All records
it writes have its name as their key, so that each record says whose it is. A place is a partition and an offset.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import NamedTuple

from .histories import Commit, Value


class Read(NamedTuple):
    """A record that somebody has read. ``transaction``: whose it is, empty for one that was written without."""

    partition: int
    offset: int
    value: Value
    transaction: str = ""

    @property
    def place(self) -> tuple[int, int]:
        return self.partition, self.offset


@dataclass(frozen=True)
class Poll:
    """What a reader got at once. ``positioned``: the partitions in which it did not go on where it was."""

    at: float
    reads: Sequence[Read]
    positioned: frozenset[int] = frozenset()


@dataclass
class Reader:
    """Whoever reads a topic at read_committed."""

    name: str
    topic: str
    polls: list[Poll] = field(default_factory=list)

    @property
    def reads(self) -> Iterator[Read]:
        return (read for poll in self.polls for read in poll.reads)


class Outcome(Enum):
    """``UNKNOWN``: the commit was asked for, and its answer never came, or does not say."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


@dataclass
class Transaction:
    """``values``: what it was to write, by partition. ``commit``: of its offsets, None if it was never asked for."""

    name: str
    values: Mapping[int, Sequence[Value]]
    commit: Commit | None = None
    is_aborted: bool = False

    @property
    def outcome(self) -> Outcome:
        if self.is_aborted or self.commit is None:
            return Outcome.ABORTED
        return Outcome.COMMITTED if self.commit.is_acknowledged else Outcome.UNKNOWN


@dataclass
class Member:
    """One process: what it read, and the transactions with which it wrote to ``topic``."""

    reader: Reader
    topic: str
    transactional_id: str
    transactions: list[Transaction] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def read(name: str, source: str, topic: str, transactional_id: str, journal: Path) -> Member:
    """The history in a journal of JSON lines, the last of which may be torn."""
    member = Member(Reader(name, source), topic, transactional_id)
    positioned: set[int] = set()
    for line in journal.read_text().splitlines() if journal.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            break
        at = entry["at"]
        if "assigned" in entry:
            positioned.update(entry["assigned"])
        elif "begins" in entry:
            reads = [Read(*record) for record in entry["polled"]]
            member.reader.polls.append(Poll(at, reads, frozenset(positioned)))
            positioned -= {read.partition for read in reads}
            member.transactions.append(Transaction(entry["begins"], _by_partition(reads)))
        elif "commits" in entry:
            offsets = {int(partition): offset for partition, offset in entry["commits"].items()}
            member.transactions[-1].commit = Commit(at, offsets)
        elif "committed" in entry:
            _commit_of(member).answered = at
        elif "refused" in entry:
            if member.transactions[-1].commit is not None:
                _commit_of(member).answered, _commit_of(member).refused = at, entry["refused"]
            member.errors.append(entry["refused"])
        elif "aborted" in entry:
            member.transactions[-1].is_aborted = True
            # The member goes back to what is committed.
            positioned.update(member.transactions[-1].values)
        elif "error" in entry:
            member.errors.append(entry["error"])
    return member


def _commit_of(member: Member) -> Commit:
    commit = member.transactions[-1].commit
    assert commit is not None
    return commit


def _by_partition(reads: Iterable[Read]) -> dict[int, list[Value]]:
    values: dict[int, list[Value]] = defaultdict(list)
    for read in reads:
        values[read.partition].append(read.value)
    return values


def lost_writes(
    acknowledged: Mapping[int, Sequence[Value]], transactions: Iterable[Transaction], log: Iterable[Read]
) -> Iterator[str]:
    """Values that were acknowledged, by themselves or with their transaction, and are not in the log."""
    there = {(read.partition, read.value) for read in log}
    wanted = [(partition, value, "") for partition, values in acknowledged.items() for value in values]
    for transaction in transactions:
        if transaction.outcome is Outcome.COMMITTED:
            for partition, values in transaction.values.items():
                wanted += [(partition, value, f" of {transaction.name}") for value in values]
    for partition, value, whose in wanted:
        if (partition, value) not in there:
            yield f"{value}{whose} is lost from partition {partition}"


def duplicates(log: Iterable[Read]) -> Iterator[str]:
    """Values that are in more than one place."""
    places: dict[Value, list[Read]] = defaultdict(list)
    for read in log:
        places[read.value].append(read)
    for value, reads in places.items():
        if len(reads) > 1:
            yield f"{value} is there {len(reads)} times: " + ", ".join(
                f"{read.place} by {read.transaction or 'nobody'}" for read in reads
            )


def misplaced(acknowledged: Mapping[int, Sequence[Value]], log: Sequence[Read]) -> Iterator[str]:
    """Values whose order in their partition is not that of ``acknowledged``, or that nobody ever sent."""
    for partition, values in sorted(_by_partition(log).items()):
        rank = {value: number for number, value in enumerate(acknowledged.get(partition, ()))}
        for value in values:
            if value not in rank:
                yield f"{value} does not belong to partition {partition}"
        known = [value for value in values if value in rank]
        for before, after in pairwise(known):
            if rank[before] > rank[after]:
                yield f"{after} comes behind {before} in partition {partition}"


def aborted_reads(transactions: Iterable[Transaction], readers: Iterable[Reader]) -> Iterator[str]:
    """Values that were read though their transaction was aborted, or that no transaction wrote (Adya's G1a)."""
    by_name = {transaction.name: transaction for transaction in transactions}
    for reader in readers:
        for read in reader.reads:
            if not read.transaction:
                continue
            transaction = by_name.get(read.transaction)
            what = f"{reader.name} read {read.value} at {read.place} of {reader.topic}"
            if transaction is None or read.value not in transaction.values.get(read.partition, ()):
                yield f"{what}, which {read.transaction} did not write"
            elif transaction.outcome is Outcome.ABORTED:
                yield f"{what} of {read.transaction}, which is aborted"


def intermediate_reads(transactions: Iterable[Transaction], log: Iterable[Read]) -> Iterator[str]:
    """Transactions of which a part only is in the log (Adya's G1b)."""
    there: dict[str, Counter[tuple[int, Value]]] = defaultdict(Counter)
    for read in log:
        there[read.transaction][read.partition, read.value] += 1
    for transaction in transactions:
        found = there.get(transaction.name)
        if found is not None:
            whole = {(partition, value) for partition, values in transaction.values.items() for value in values}
            if missing := sorted(whole - found.keys()):
                yield f"of {transaction.name} {len(found)} values are there, {missing} are not"


def unfenced(members: Iterable[Member]) -> Iterator[str]:
    """Commits of a member that had been followed by another one under the same transactional id."""
    by_id: dict[str, list[tuple[str, Commit]]] = defaultdict(list)
    for member in members:
        for transaction in member.transactions:
            if transaction.commit is not None and transaction.outcome is Outcome.COMMITTED:
                by_id[member.transactional_id].append((member.reader.name, transaction.commit))
    for transactional_id, commits in by_id.items():
        first: dict[str, float] = {}  # when a member is known to have had the transactional id
        follower: dict[str, tuple[float, str]] = {}  # who is known to have had it after that, and when
        for name, commit in sorted(commits, key=lambda each: each[1].sent):
            followed, by = follower.get(name, (inf, ""))
            if commit.sent > followed:
                yield f"{transactional_id}: {name} commits at {commit.sent:.3f} after {by} did at {followed:.3f}"
            for other, since in first.items():
                if other != name and since < commit.sent:
                    follower.setdefault(other, (commit.answered, name))
            first[name] = min(commit.answered, first.get(name, inf))


def reordered_polls(reader: Reader) -> Iterator[str]:
    """Places where a reader went back in a partition without having been told to."""
    for before, after in _steps(reader):
        if after.offset <= before.offset:
            yield f"{reader.name} read {after.place} of {reader.topic} after {before.place}"


def skipping_polls(reader: Reader, log: Iterable[Read]) -> Iterator[str]:
    """Places where a reader went on behind a record that it had not seen, or saw one that is not in the log."""
    offsets: dict[int, list[int]] = defaultdict(list)
    values: dict[tuple[int, int], Value] = {}
    for read in sorted(log):
        offsets[read.partition].append(read.offset)
        values[read.place] = read.value
    following = {
        (partition, before): after for partition, each in offsets.items() for before, after in pairwise(each)
    }
    for read in reader.reads:
        if values.get(read.place) != read.value:
            yield f"{reader.name} read {read.value} at {read.place} of {reader.topic}, which is not there"
    for before, after in _steps(reader):
        expected = following.get(before.place, after.offset)
        if before.offset < expected < after.offset:
            yield f"{reader.name} read {after.place} of {reader.topic} after {before.place}, without {expected}"


def _steps(reader: Reader) -> Iterator[tuple[Read, Read]]:
    """From each record to the next that the reader got from the same partition, unless it was positioned between."""
    last: dict[int, Read] = {}
    for poll in reader.polls:
        for partition in poll.positioned:
            last.pop(partition, None)
        for read in poll.reads:
            if read.partition in last:
                yield last[read.partition], read
            last[read.partition] = read


def outcomes(transactions: Iterable[Transaction]) -> Counter[Outcome]:
    """How many ended how."""
    return Counter(transaction.outcome for transaction in transactions)

"""The judge of the runs in test_transactions.py, on histories made by hand: one without a fault, and each anomaly."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients.histories import Commit, History, commits_that_went_back
from support.clients.transaction_histories import (
    Member,
    Outcome,
    Poll,
    Read,
    Reader,
    Transaction,
    aborted_reads,
    duplicates,
    intermediate_reads,
    lost_writes,
    misplaced,
    outcomes,
    read,
    reordered_polls,
    skipping_polls,
    unfenced,
)

ANSWERED = Commit(2.0, {0: 2}, 2.5)
UNANSWERED = Commit(2.0, {0: 2})
REFUSED = Commit(2.0, {0: 2}, 2.5, "TRANSACTION_ABORTABLE")

INPUTS = {0: ["0:0", "0:1", "0:2"], 1: ["1:0", "1:1"]}
COMMITTED = Transaction("a/1", {0: ["0:0", "0:1"], 1: ["1:0"]}, ANSWERED)
ABORTED = Transaction("b/1", {0: ["0:2"], 1: ["1:1"]}, is_aborted=True)
AGAIN = Transaction("b/2", {0: ["0:2"], 1: ["1:1"]}, UNANSWERED)
TRANSACTIONS = [COMMITTED, ABORTED, AGAIN]
# In partition 0 a marker lies at 2, a record of b/1 at 3 and its marker at 4.
LOG = [
    Read(0, 0, "0:0", "a/1"),
    Read(0, 1, "0:1", "a/1"),
    Read(0, 5, "0:2", "b/2"),
    Read(1, 0, "1:0", "a/1"),
    Read(1, 4, "1:1", "b/2"),
]


def reader(*polls: list[Read], positioned: frozenset[int] = frozenset()) -> Reader:
    """Someone who got these records; before the last poll it was positioned anew in the partitions of that name."""
    last = len(polls) - 1
    return Reader(
        "r", "topic", [Poll(at, reads, positioned if at == last else frozenset()) for at, reads in enumerate(polls)]
    )


def complaints(log: list[Read], who: Reader) -> Iterator[str]:
    yield from lost_writes(INPUTS, TRANSACTIONS, log)
    yield from duplicates(log)
    yield from misplaced(INPUTS, log)
    yield from aborted_reads(TRANSACTIONS, [who])
    yield from intermediate_reads(TRANSACTIONS, log)
    yield from reordered_polls(who)
    yield from skipping_polls(who, log)


def test_a_history_without_an_anomaly_has_none() -> None:
    assert list(complaints(LOG, reader(LOG[:2], LOG[3:4], LOG[2:3] + LOG[4:]))) == []


def test_records_that_no_transaction_wrote_are_fine_where_there_are_none() -> None:
    log = [Read(0, offset, f"0:{offset}") for offset in range(3)]

    assert list(lost_writes({0: INPUTS[0]}, [], log)) == []
    assert list(aborted_reads([], [reader(log)])) == []


@pytest.mark.parametrize("missing", LOG[:2] + LOG[3:4])
def test_a_value_of_a_committed_transaction_that_is_nowhere_is_lost(missing: Read) -> None:
    log = [each for each in LOG if each is not missing]

    assert list(lost_writes({}, TRANSACTIONS, log)) == [
        f"{missing.value} of a/1 is lost from partition {missing.partition}"
    ]


def test_a_value_that_was_acknowledged_by_itself_and_is_nowhere_is_lost() -> None:
    assert list(lost_writes(INPUTS, [], LOG[:-1])) == ["1:1 is lost from partition 1"]


@pytest.mark.parametrize("commit", [UNANSWERED, REFUSED, None])
def test_a_value_whose_commit_was_not_acknowledged_may_be_nowhere(commit: Commit | None) -> None:
    assert list(lost_writes({}, [Transaction("a/1", {0: ["0:0"]}, commit)], [])) == []


def test_a_value_in_two_places_is_a_duplicate() -> None:
    assert list(duplicates([*LOG, Read(0, 7, "0:1", "b/3")])) == [
        "0:1 is there 2 times: (0, 1) by a/1, (0, 7) by b/3"
    ]


def test_values_in_another_order_than_they_were_sent_are_misplaced() -> None:
    log = [Read(0, 0, "0:1"), Read(0, 1, "0:0"), Read(0, 2, "0:2")]

    assert list(misplaced(INPUTS, log)) == ["0:0 comes behind 0:1 in partition 0"]


@pytest.mark.parametrize("value", ["1:0", "7:7"])
def test_a_value_of_another_partition_or_of_nobody_is_misplaced(value: str) -> None:
    assert list(misplaced(INPUTS, [Read(0, 0, value)])) == [f"{value} does not belong to partition 0"]


def test_a_value_of_an_aborted_transaction_must_not_be_read() -> None:
    what = "r read 0:2 at (0, 3) of topic of b/1, which is aborted"

    assert list(aborted_reads(TRANSACTIONS, [reader(LOG, [Read(0, 3, "0:2", "b/1")])])) == [what]


def test_a_value_whose_commit_was_never_asked_for_must_not_be_read() -> None:
    killed = Transaction("b/1", {0: ["0:2"]})

    assert len(list(aborted_reads([killed], [reader([Read(0, 3, "0:2", "b/1")])]))) == 1


def test_a_value_whose_commit_was_not_answered_may_be_read() -> None:
    assert list(aborted_reads(TRANSACTIONS, [reader(LOG)])) == []


@pytest.mark.parametrize("read", [Read(0, 9, "0:2", "a/1"), Read(1, 9, "0:0", "a/1"), Read(0, 9, "0:2", "z/9")])
def test_a_value_that_its_transaction_did_not_write_must_not_be_read(read: Read) -> None:
    assert len(list(aborted_reads(TRANSACTIONS, [reader([read])]))) == 1


@pytest.mark.parametrize("missing", LOG)
def test_a_transaction_is_there_as_a_whole_or_not_at_all(missing: Read) -> None:
    log = [each for each in LOG if each is not missing]
    (complaint,) = intermediate_reads(TRANSACTIONS, log)

    assert complaint.startswith(f"of {missing.transaction} ")
    assert list(intermediate_reads(TRANSACTIONS, [])) == []


@pytest.mark.parametrize(
    "polls", [[LOG[1:2], LOG[:1]], [[LOG[1], LOG[0]]], [LOG[:2], LOG[1:3]]], ids=["polls", "one-poll", "overlap"]
)
def test_a_reader_that_goes_back_has_its_polls_reordered(polls: list[list[Read]]) -> None:
    assert len(list(reordered_polls(reader(*polls)))) == 1


def test_a_reader_may_go_back_where_it_was_positioned_and_nowhere_else() -> None:
    both = [LOG[0], LOG[3]]

    assert list(reordered_polls(reader(both, both, positioned=frozenset({0, 1})))) == []
    assert list(reordered_polls(reader(both, both, positioned=frozenset({0})))) == [
        "r read (1, 0) of topic after (1, 0)"
    ]


def test_a_reader_that_goes_on_behind_a_record_skips_it() -> None:
    assert list(skipping_polls(reader(LOG[:1], LOG[2:3]), LOG)) == ["r read (0, 5) of topic after (0, 0), without 1"]
    assert list(skipping_polls(reader(LOG[:1], LOG[2:3], positioned=frozenset({0})), LOG)) == []


@pytest.mark.parametrize("seen", [Read(0, 3, "0:2", "b/1"), Read(0, 1, "0:7", "a/1")], ids=["gone", "other"])
def test_a_reader_must_not_see_what_is_not_there(seen: Read) -> None:
    assert list(skipping_polls(reader([seen]), LOG)) == [
        f"r read {seen.value} at {seen.place} of topic, which is not there"
    ]


def test_offsets_of_transactions_must_not_go_back() -> None:
    members = [
        History("a", "group", commits=[ANSWERED]),
        History("b", "group", commits=[Commit(3.0, {0: 1}, 3.5), Commit(4.0, {0: 1}, 4.5, "refused")]),
    ]

    assert list(commits_that_went_back(members, [])) == ["group: partition 0: b has 1 at 3.000 after a had 2"]


def committing(name: str, *sent: float, transactional_id: str = "id") -> Member:
    """A member whose commits are answered half a second after they were sent."""
    transactions = [Transaction(f"{name}/{at}", {}, Commit(at, {}, at + 0.5)) for at in sent]
    return Member(Reader(name, "source"), "topic", transactional_id, transactions)


def test_a_member_must_not_commit_after_its_successor_did() -> None:
    assert list(unfenced([committing("a", 1, 2, 7), committing("b", 4)])) == [
        "id: a commits at 7.000 after b did at 4.500"
    ]


@pytest.mark.parametrize(
    "members",
    [
        [committing("a", 1, 2), committing("b", 4, 5), committing("c", 7)],
        [committing("a", 1, 7), committing("b", 4, transactional_id="another")],
        [committing("a", 7, 8), committing("b", 1, 2)],
        [committing("a", 1, 4.2), committing("b", 4)],
    ],
    ids=["one-after-the-other", "another-id", "the-older-one-began-later", "overlapping"],
)
def test_members_may_follow_each_other(members: list[Member]) -> None:
    assert list(unfenced(members)) == []


def test_a_journal_is_read_up_to_where_it_is_torn(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    lines = [
        '{"at": 1, "assigned": [0, 1]}',
        '{"at": 2, "begins": "m/1", "polled": [[0, 0, "0:0", ""], [0, 1, "0:1", ""]]}',
        '{"at": 3, "commits": {"0": 2}}',
        '{"at": 4, "committed": true}',
        '{"at": 5, "begins": "m/2", "polled": [[0, 2, "0:2", "x/1"], [1, 0, "1:0", "x/1"]]}',
        '{"at": 6, "aborted": true}',
        '{"at": 7, "begins": "m/3", "polled": [[0, 2, "0:2", "x/1"]]}',
        '{"at": 8, "commits": {"0": 3}}',
        '{"at": 9, "refused": "why"}',
        '{"at": 10, "begins": "m/4", "polled": [[0, 3, "0:3", "x/2"]]}',
        '{"at": 11, "commits": {"0": 4}}',
        '{"at": 12, "commit',
    ]
    journal.write_text("\n".join(lines))

    member = read("m", "source", "topic", "id", journal)

    assert member == Member(
        Reader(
            "m",
            "source",
            [
                Poll(2, [Read(0, 0, "0:0"), Read(0, 1, "0:1")], frozenset({0, 1})),
                Poll(5, [Read(0, 2, "0:2", "x/1"), Read(1, 0, "1:0", "x/1")], frozenset({1})),
                Poll(7, [Read(0, 2, "0:2", "x/1")], frozenset({0, 1})),
                Poll(10, [Read(0, 3, "0:3", "x/2")], frozenset({1})),
            ],
        ),
        "topic",
        "id",
        [
            Transaction("m/1", {0: ["0:0", "0:1"]}, Commit(3, {0: 2}, 4)),
            Transaction("m/2", {0: ["0:2"], 1: ["1:0"]}, is_aborted=True),
            Transaction("m/3", {0: ["0:2"]}, Commit(8, {0: 3}, 9, "why")),
            Transaction("m/4", {0: ["0:3"]}, Commit(11, {0: 4})),
        ],
        ["why"],
    )
    assert outcomes(member.transactions) == {Outcome.COMMITTED: 1, Outcome.ABORTED: 1, Outcome.UNKNOWN: 2}

"""The judge of the runs in test_groups.py, on histories made by hand."""

from pathlib import Path

import pytest
from support.clients.histories import (
    Commit,
    History,
    Processed,
    Sample,
    SetBack,
    commits_that_went_back,
    invented,
    read,
    unexcused_repeats,
    unprocessed,
)

FENCED = "KafkaException(UNKNOWN_MEMBER_ID)"


def member(name: str, *deeds: Processed | Commit, **settings: object) -> History:
    history = History(name, "group", **settings)  # type: ignore[arg-type]
    for deed in deeds:
        (history.processed if isinstance(deed, Processed) else history.commits).append(deed)  # type: ignore[arg-type]
    return history


def work(at: float, offset: int = 0, value: str = "0") -> Processed:
    return Processed(at, 0, offset, value)


def commit(sent: float, offset: int = 1, **how: object) -> Commit:
    return Commit(sent, {0: offset}, **{"answered": sent + 0.5, **how})  # type: ignore[arg-type]


UNANSWERED = float("inf")
OWNER = member("owner", work(10), commit(10.1))


def test_a_value_that_every_group_processed_is_not_missed() -> None:
    others = History("other", "another group", processed=[work(3)])

    assert list(unprocessed({(0, 0): "0"}, [OWNER, others])) == []


def test_a_value_that_a_group_did_not_process_is_missed() -> None:
    others = History("other", "another group")

    assert list(unprocessed({(0, 0): "0"}, [OWNER, others])) == ["another group: nobody processed 0 at (0, 0)"]


def test_a_value_whose_acknowledgement_was_lost_may_be_processed() -> None:
    assert list(invented({"0"}, {}, [OWNER])) == []


@pytest.mark.parametrize(
    ("sent", "acknowledged", "record"),
    [
        ({"1"}, {}, work(1, value="0")),
        ({"0", "1"}, {(0, 0): "1"}, work(1, value="0")),
        ({"0"}, {(0, 7): "0"}, work(1, value="0")),
    ],
    ids=["never-produced", "another-is-there", "it-is-elsewhere"],
)
def test_a_value_that_is_not_where_it_was_produced_is_invented(sent, acknowledged, record) -> None:
    assert len(list(invented(sent, acknowledged, [member("it", record)]))) == 1


def test_commits_that_rise_and_those_that_overlap_do_not_go_back() -> None:
    members = [member("a", commit(1, 5), commit(3, 6)), member("b", commit(1.2, 4, answered=1.6))]

    assert (
        list(commits_that_went_back(members, [Sample(2, 2.1, "group", {0: 5}), Sample(5, 5.1, "group", {0: 6})]))
        == []
    )


def test_a_commit_below_one_that_was_acknowledged_before_goes_back() -> None:
    members = [member("a", commit(1, 5)), member("b", commit(2, 4))]

    assert list(commits_that_went_back(members, [])) == ["group: partition 0: b has 4 at 2.000 after a had 5"]


def test_a_commit_that_was_refused_cannot_go_back() -> None:
    members = [member("a", commit(1, 5)), member("b", commit(2, 4, refused=FENCED))]

    assert list(commits_that_went_back(members, [])) == []


def test_a_commit_that_the_broker_forgot_went_back() -> None:
    samples = [Sample(2, 2.1, "group", {0: 4})]

    assert len(list(commits_that_went_back([member("a", commit(1, 5))], samples))) == 1


def test_samples_that_fall_went_back() -> None:
    samples = [Sample(2, 2.1, "group", {0: 4}), Sample(3, 3.1, "group", {0: 3}), Sample(3, 3.1, "another", {0: 1})]

    assert len(list(commits_that_went_back([member("a")], samples))) == 1


@pytest.mark.parametrize(
    "first",
    [
        member("killed", work(1), died=2.0),
        member("killed-while-it-committed", work(1), commit(1.1, answered=UNANSWERED), died=1.2),
        member("paused", work(1), commit(20, refused=FENCED), pauses=[(1.1, 19.0)]),
        member("refused", work(1), commit(1.1, refused="REBALANCE_IN_PROGRESS")),
    ],
    ids=lambda first: first.name,
)
def test_a_record_may_be_repeated_when_its_member_was_cut_off_before_the_commit(first: History) -> None:
    assert list(unexcused_repeats([first, OWNER])) == []


@pytest.mark.parametrize(
    "first",
    [
        member("committed", work(1), commit(1.1)),
        member("committed-and-killed", work(1), commit(1.1), died=2.0),
        member("had-no-trouble", work(1)),
        member("killed-later", work(1), died=11.0),
        member("committed-later", work(1), commit(11)),
    ],
    ids=lambda first: first.name,
)
def test_a_record_may_not_be_repeated_otherwise(first: History) -> None:
    assert len(list(unexcused_repeats([first, OWNER]))) == 1


@pytest.mark.parametrize(
    "ghost",
    [
        member("fenced", work(20), commit(20.1, refused=FENCED), pauses=[(5.0, 19.0)]),
        member("slow", work(20), commit(20.1, refused=FENCED)),
        member("killed-after-its-pause", work(20), pauses=[(5.0, 19.0)], died=20.1),
    ],
    ids=lambda ghost: ghost.name,
)
def test_a_member_that_was_put_out_may_work_on_what_it_has(ghost: History) -> None:
    assert list(unexcused_repeats([OWNER, ghost])) == []


@pytest.mark.parametrize(
    "second",
    [
        member("committed", work(20), commit(20.1), pauses=[(5.0, 19.0)]),
        member("the-broker-was-away", work(20), commit(20.1, refused="TimeoutError")),
        member("owner", work(20), commit(20.1)),
    ],
    ids=lambda second: second.name,
)
def test_a_member_of_the_group_may_not_repeat_what_is_committed(second: History) -> None:
    assert len(list(unexcused_repeats([OWNER, second]))) == 1


def test_groups_do_not_repeat_each_other() -> None:
    assert list(unexcused_repeats([OWNER, History("other", "another group", processed=[work(20)])])) == []


def test_a_journal_is_read_up_to_where_it_is_torn(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    lines = [
        '{"at": 1, "processed": [[0, 0, "0"], [1, 7, "1"]]}',
        '{"at": 2, "commits": {"0": 1, "1": 8}}',
        '{"at": 3, "committed": true}',
        '{"at": 4, "commits": {"0": 2}}',
        '{"at": 5, "refused": "why"}',
        '{"at": 6, "error": "what"}',
        '{"at": 7, "commi',
    ]
    journal.write_text("\n".join(lines))

    assert read("it", "group", journal) == History(
        "it",
        "group",
        processed=[Processed(1, 0, 0, "0"), Processed(1, 1, 7, "1")],
        commits=[Commit(2, {0: 1, 1: 8}, 3), Commit(4, {0: 2}, 5, "why")],
        errors=["what"],
    )


def sleeper(name: str, *deeds: Processed | Commit) -> History:
    return member(name, *deeds, pauses=[(20.0, 140.0)])


def test_a_sleepwalker_may_set_the_group_back_just_after_it_woke_up() -> None:
    slept = sleeper("7-java-consumer", work(19, 4), commit(140.1, 5))
    others = member("1-aiokafka", *(work(30 + n, n) for n in range(9)), commit(40, 9), work(150, 6), commit(151, 7))
    went_back = list(commits_that_went_back([slept, others], []))

    assert went_back == [SetBack("group", 0, 5, 9, 140.1)]
    assert list(unexcused_repeats([slept, others], went_back)) == []
    assert list(unexcused_repeats([slept, others])) != []


@pytest.mark.parametrize(("name", "at"), [("7-java-consumer", 143.0), ("7-aiokafka", 140.1)])
def test_nobody_else_may_and_not_later(name: str, at: float) -> None:
    slept = sleeper(name, commit(at, 5))
    others = member("1-aiokafka", commit(40, 9))

    (complaint,) = commits_that_went_back([slept, others], [])
    assert isinstance(complaint, str)


def test_a_sleepwalker_may_go_on_where_it_was_and_nobody_else_may() -> None:
    others = member("1-aiokafka", work(30, 7), commit(40, 9))
    read_on = work(140.5, 7), commit(141, 8)

    assert list(unexcused_repeats([sleeper("7-kafka-python", *read_on), others])) == []
    assert list(unexcused_repeats([sleeper("7-confluent-kafka", *read_on), others])) != []

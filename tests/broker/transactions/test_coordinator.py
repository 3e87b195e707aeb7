"""What each request does to a transactional id in each of its states (Kafka's TransactionCoordinator)."""

import pytest
from support.transactions import A, B, C, Transactions, refusal

from barnabas.broker.errors import ApiError
from barnabas.broker.transactions import NO_PRODUCER_ID, Producer
from barnabas.broker.transactions.coordinator import RETRY_MS
from barnabas.broker.transactions.state import EPOCH_MAX
from barnabas.protocol.errors import ErrorCode as E
from barnabas.storage.catalog import CommittedOffset, OffsetsPrepared

STATES = ["Ongoing", "Empty", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"]


def bring_to(transactions: Transactions, state: str, version: int) -> Producer:
    """Bring "t" into a state; return its present identity."""
    producer = transactions.init()
    if state == "Empty":
        return producer
    transactions.add(producer, A, version=version)
    if state == "Ongoing":
        return producer
    if state.startswith("Prepare"):
        transactions.logs.offline.add(A)
    producer = transactions.end(producer, state.endswith("Commit"), version)
    assert transactions.state() == state
    return producer


# The end, for who speaks version 2 (KIP-890): rows by state, columns commit and abort, each with the present epoch
# and with the one before it. A state is where it leads; None says that it was done and its answer was lost.
FENCED, INVALID, BUSY = E.PRODUCER_FENCED, E.INVALID_TXN_STATE, E.CONCURRENT_TRANSACTIONS
ENDS = {
    "Ongoing": ("CompleteCommit", FENCED, "CompleteAbort", FENCED),
    "Empty": (INVALID, FENCED, "CompleteAbort", FENCED),
    "PrepareCommit": (FENCED, BUSY, FENCED, INVALID),
    "PrepareAbort": (FENCED, INVALID, FENCED, BUSY),
    "CompleteCommit": (INVALID, None, "CompleteAbort", INVALID),
    "CompleteAbort": (INVALID, INVALID, "CompleteAbort", None),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("column", range(4))
def test_the_end_in_version_2(transactions, state, column):
    present = bring_to(transactions, state, 2)
    is_commit, is_retry = column < 2, bool(column % 2)
    expected = ENDS[state][column]
    request = present._replace(epoch=present.epoch - is_retry)
    if isinstance(expected, E):
        with pytest.raises(ApiError) as error:
            transactions.end(request, is_commit)
        assert refusal(error) is expected
        assert transactions.state() == state
        return
    ended = transactions.end(request, is_commit)
    assert ended == (present if expected is None else present._replace(epoch=present.epoch + 1))
    assert transactions.state() == (expected or state)


# For who does not: by state, commit and abort; the epoch has to be the present one, and stays.
OLD_ENDS = {
    "Ongoing": ("CompleteCommit", "CompleteAbort"),
    "Empty": (INVALID, INVALID),
    "PrepareCommit": (BUSY, INVALID),
    "PrepareAbort": (INVALID, BUSY),
    "CompleteCommit": (None, INVALID),
    "CompleteAbort": (INVALID, None),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("is_commit", [True, False])
def test_the_end_in_version_1(transactions, state, is_commit):
    present = bring_to(transactions, state, 1)
    expected = OLD_ENDS[state][0 if is_commit else 1]
    for wrong in (present.epoch - 1, present.epoch + 1):
        with pytest.raises(ApiError) as error:
            transactions.end(present._replace(epoch=wrong), is_commit, 1)
        assert refusal(error) is FENCED
    if isinstance(expected, E):
        with pytest.raises(ApiError) as error:
            transactions.end(present, is_commit, 1)
        assert refusal(error) is expected
    else:
        assert transactions.end(present, is_commit, 1) == present
        assert transactions.state() == (expected or state)


@pytest.mark.parametrize("version", [1, 2])
def test_an_end_for_another_producer_or_no_transactional_id(transactions, version):
    present = bring_to(transactions, "Ongoing", version)
    for transactional_id, producer, code in (
        ("t", Producer(7, present.epoch), E.INVALID_PRODUCER_ID_MAPPING),
        ("unknown", present, E.INVALID_PRODUCER_ID_MAPPING),
        ("", present, E.INVALID_REQUEST),
    ):
        with pytest.raises(ApiError) as error:
            transactions.coordinator.end(transactional_id, producer, True, version, NO_PRODUCER_ID)
        assert refusal(error) is code


def test_the_markers_are_in_every_partition_before_it_is_complete(transactions):
    producer = transactions.init()
    transactions.add(producer, A, B)
    transactions.add(producer, C)
    transactions.end(producer, True)
    pid, epoch = producer
    assert transactions.logs.markers == [(partition, pid, epoch + 1, True) for partition in (A, B, C)]
    transactions.add(producer._replace(epoch=1), B)
    transactions.end(producer._replace(epoch=1), False)
    assert transactions.logs.markers[3:] == [(B, pid, 2, False)]


def test_a_marker_that_cannot_be_written_is_tried_again_and_the_others_are_not(transactions):
    producer = transactions.init()
    transactions.add(producer, A, B)
    transactions.logs.offline.add(B)
    ended = transactions.end(producer, True)
    assert transactions.state() == "PrepareCommit"
    with pytest.raises(ApiError) as error:
        transactions.add(ended, A)
    assert refusal(error) is BUSY
    transactions.wait(3 * RETRY_MS / 1000)
    transactions.logs.offline.clear()
    transactions.wait(RETRY_MS / 1000)
    assert transactions.state() == "CompleteCommit"
    assert [marker[0] for marker in transactions.logs.markers] == [A, B]
    transactions.add(ended, A)


def warnings(caplog):
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_a_marker_that_is_refused_every_second_is_logged_once_an_hour(transactions, caplog):
    producer = transactions.init()
    transactions.add(producer, A, B)
    transactions.logs.offline |= {A, B}
    transactions.end(producer, True)
    transactions.wait(3590)
    (warning,) = warnings(caplog)
    assert "'t'" in warning
    assert "a-0: offline; a-1: offline" in warning
    transactions.wait(20)
    assert warnings(caplog) == [warning, warning]


def test_a_refusal_is_logged_after_a_restart_too(transactions, caplog):
    bring_to(transactions, "PrepareCommit", 2)
    transactions.crash()
    transactions.wait(10)
    assert len(warnings(caplog)) == 2


def test_a_refusal_that_comes_back_or_changes_is_logged_again(transactions, caplog):
    ended = bring_to(transactions, "PrepareCommit", 2)
    transactions.logs.offline.clear()
    transactions.wait(2)
    assert transactions.state() == "CompleteCommit"
    transactions.add(ended, A, B)
    transactions.logs.offline |= {A}
    transactions.end(ended, True)
    transactions.logs.offline |= {B}
    transactions.wait(10)
    transactions.logs.offline = {B}
    transactions.wait(10)
    assert [warning.split("every second: ")[1] for warning in warnings(caplog)] == [
        "a-0: offline",
        "a-0: offline",
        "a-0: offline; a-1: offline",
        "a-1: offline",
    ]


def test_an_abort_that_cannot_be_stored_is_logged_once(transactions, caplog):
    transactions.add(transactions.init(timeout_ms=1_000), A)
    transactions.catalog.is_full = True
    transactions.wait(100)
    (warning,) = warnings(caplog)
    assert "disk full" in warning
    transactions.catalog.is_full = False
    transactions.wait(2)
    assert transactions.state() == "CompleteAbort"


@pytest.mark.parametrize("version", [1, 2])
def test_what_was_decided_is_finished_after_a_crash(transactions, version):
    producer = transactions.init()
    transactions.add(producer, A, B, version=version)
    transactions.logs.offline.add(B)
    ended = transactions.end(producer, True, version)
    transactions.logs.offline.clear()
    transactions.crash()
    assert transactions.state() == "CompleteCommit"
    assert [marker[0] for marker in transactions.logs.markers] == [A, B]
    transactions.add(ended, A)


# The time a transaction may take


@pytest.mark.parametrize("restarts", [False, True])
def test_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced(transactions, restarts):
    producer = transactions.init(timeout_ms=30_000)
    transactions.add(producer, A)
    transactions.wait(20)
    transactions.add(producer, B)
    if restarts:
        transactions.crash()
    transactions.wait(9)
    assert transactions.state() == "Ongoing"
    transactions.wait(2)
    assert transactions.state() == "CompleteAbort"
    assert transactions.logs.markers == [(each, producer.producer_id, producer.epoch + 1, False) for each in (A, B)]
    with pytest.raises(ApiError) as error:
        transactions.add(producer, A)
    assert refusal(error) is FENCED


def test_a_transaction_that_ran_out_of_time_while_the_broker_was_away_is_aborted_at_its_start(transactions):
    transactions.add(transactions.init(timeout_ms=30_000), A)
    transactions.clock.advance(60)
    transactions.crash()
    transactions.wait(0.1)
    assert transactions.state() == "CompleteAbort"


def test_only_an_open_transaction_has_a_deadline(transactions):
    producer = transactions.init(timeout_ms=30_000)
    transactions.add(producer, A)
    transactions.end(producer, True)
    transactions.wait(100)
    assert transactions.state() == "CompleteCommit"
    assert transactions.coordinator.timers.next_deadline() is None


# Who may write


def test_a_new_producer_gets_epoch_0_and_the_next_one_fences_it(transactions):
    first, second = transactions.init(), transactions.init()
    assert (first.epoch, second) == (0, first._replace(epoch=1))
    for call in (lambda: transactions.add(first, A), lambda: transactions.end(first, True)):
        with pytest.raises(ApiError) as error:
            call()
        assert refusal(error) is FENCED
    transactions.add(second, A)


def test_a_new_producer_aborts_what_its_predecessor_left_open(transactions):
    first = transactions.init()
    transactions.add(first, A)
    second = transactions.init()
    assert second == first._replace(epoch=2)
    assert transactions.logs.markers == [(A, first.producer_id, 1, False)]


def test_a_new_producer_waits_for_an_end_that_is_decided(transactions):
    bring_to(transactions, "PrepareCommit", 2)
    with pytest.raises(ApiError) as error:
        transactions.init()
    assert refusal(error) is BUSY


def test_a_producer_that_goes_on_gives_what_it_had(transactions):
    first = transactions.init()
    second = transactions.init(first)
    assert second == first._replace(epoch=1)
    assert transactions.init(first) == second  # the answer was lost
    third = transactions.init(second)
    assert third == first._replace(epoch=2)
    for stale in (first, Producer(7, 2)):
        with pytest.raises(ApiError) as error:
            transactions.init(stale)
        assert refusal(error) is FENCED


def test_a_producer_that_was_fenced_cannot_go_on(transactions):
    first = transactions.init()
    transactions.init()
    with pytest.raises(ApiError) as error:
        transactions.init(first)
    assert refusal(error) is FENCED


@pytest.mark.parametrize(
    ("transactional_id", "timeout_ms", "code"),
    [
        ("", 1, E.INVALID_REQUEST),
        ("t", 0, E.INVALID_TRANSACTION_TIMEOUT),
        ("t", -1, E.INVALID_TRANSACTION_TIMEOUT),
        ("t", 900_001, E.INVALID_TRANSACTION_TIMEOUT),
    ],
)
def test_what_is_wrong_in_itself(transactions, transactional_id, timeout_ms, code):
    with pytest.raises(ApiError) as error:
        transactions.init(timeout_ms=timeout_ms, transactional_id=transactional_id)
    assert refusal(error) is code


# Epochs that run out


def test_a_producer_whose_epochs_are_used_up_gets_another_id(transactions):
    first = transactions.init()
    last = transactions.set_epoch(EPOCH_MAX)
    assert transactions.coordinator.needs_producer_id("t")
    other = transactions.init(last)
    assert other.producer_id != first.producer_id
    assert other.epoch == 0


def test_an_end_whose_epoch_is_the_last_brings_another_id_and_its_answer_may_be_lost(transactions):
    transactions.init()
    last = transactions.set_epoch(EPOCH_MAX)
    transactions.add(last, A)
    other = transactions.end(last, True)
    assert (other.epoch, other.producer_id != last.producer_id) == (0, True)
    assert transactions.logs.markers == [(A, last.producer_id, EPOCH_MAX + 1, True)]
    assert transactions.end(last, True) == other
    transactions.add(other, B)
    transactions.end(other, False)


def test_an_abort_by_the_broker_may_take_the_last_epoch(transactions):
    transactions.init(timeout_ms=1_000)
    last = transactions.set_epoch(EPOCH_MAX)
    transactions.add(last, A)
    transactions.wait(2)
    assert transactions.state() == "CompleteAbort"
    assert transactions.init().epoch == 0


# What belongs to it


@pytest.mark.parametrize("version", [1, 2])
def test_partitions_and_groups_are_verified(transactions, version):
    producer = transactions.init()
    transactions.add(producer, A, version=version)
    transactions.coordinator.add_group("t", producer, "g", version)
    for part in (A, "g"):
        transactions.coordinator.verify("t", producer, part)
    for part in (B, "h"):
        with pytest.raises(ApiError) as error:
            transactions.coordinator.verify("t", producer, part)
        assert refusal(error) is E.TRANSACTION_ABORTABLE


def test_what_is_part_of_it_already_is_not_stored_again(transactions):
    producer = transactions.init()
    transactions.add(producer, A, B)
    transactions.catalog.is_full = True
    transactions.add(producer, A)
    with pytest.raises(ApiError) as error:
        transactions.add(producer, C)
    assert refusal(error) is E.COORDINATOR_NOT_AVAILABLE
    transactions.catalog.is_full = False
    transactions.end(producer, True)
    assert [marker[0] for marker in transactions.logs.markers] == [A, B]


@pytest.mark.parametrize("is_commit", [True, False])
def test_offsets_count_with_the_end_of_the_transaction_and_not_before(transactions, is_commit):
    producer = transactions.init()
    transactions.coordinator.add_group("t", producer, "g", 2)
    offset = CommittedOffset("a", 0, 5, -1, "", 0, -1)
    transactions.catalog.commit(OffsetsPrepared("g", producer.producer_id, [offset]))
    assert transactions.catalog.offsets("g") == []
    assert transactions.catalog.pending_offsets("g") == [("a", 0)]
    transactions.end(producer, is_commit)
    assert transactions.catalog.offsets("g") == ([offset] if is_commit else [])
    assert transactions.catalog.pending_offsets("g") == []


def test_a_decision_that_cannot_be_stored_is_none(transactions):
    producer = transactions.init()
    transactions.add(producer, A)
    transactions.catalog.is_full = True
    with pytest.raises(ApiError) as error:
        transactions.end(producer, True)
    assert refusal(error) is E.COORDINATOR_NOT_AVAILABLE
    assert transactions.logs.markers == []
    transactions.catalog.is_full = False
    transactions.end(producer, False)
    assert transactions.logs.markers[-1][3] is False


# Keeping house


def test_transactional_ids_that_nobody_uses_are_forgotten_and_open_ones_are_not(transactions):
    week_s = 604_800
    transactions.init(transactional_id="idle")
    transactions.clock.advance(week_s - 1)
    transactions.add(transactions.init(), A)
    transactions.coordinator.expire()
    assert {each.transactional_id for each in transactions.coordinator} == {"idle", "t"}
    transactions.clock.advance(2)
    transactions.coordinator.expire()
    assert {each.transactional_id for each in transactions.coordinator} == {"t"}
    transactions.clock.advance(2 * week_s)
    transactions.coordinator.expire()
    assert {each.transactional_id for each in transactions.coordinator} == {"t"}


def test_a_broker_that_stops_decides_nothing(transactions):
    producer = transactions.init()
    transactions.add(producer, A)
    transactions.coordinator.close()
    with pytest.raises(ApiError) as error:
        transactions.end(producer, True)
    assert refusal(error) is E.COORDINATOR_NOT_AVAILABLE
    transactions.wait(1000)
    assert transactions.logs.markers == []

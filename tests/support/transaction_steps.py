"""Transactions spoken over the wire in either version of the protocol (KIP-890), one request after the other."""

from typing import Any

from barnabas.protocol.errors import ErrorCode
from barnabas.protocol.messages.find_coordinator import FindCoordinatorRequest
from barnabas.protocol.messages.producer_ids import InitProducerIdRequest
from barnabas.protocol.messages.transaction_offsets import TxnOffsetCommitRequest
from barnabas.protocol.messages.transactions import AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest

from .answers import refusals, request
from .calls import Topic, batch, produce_request, wait_until
from .wire import Wire

# What passes by itself: the transaction before is not over, and Apache Kafka has made a topic before it leads it.
_BUSY = (
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.NOT_ENOUGH_REPLICAS,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.UNKNOWN_TOPIC_ID,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
)
_TIMEOUT_MS = 60_000


class Speaker:
    """A producer under a transactional id. Each step returns the name of its error, or the epoch it goes on with."""

    def __init__(self, wire: Wire, transactional_id: str, topic: Topic) -> None:
        self._wire = wire
        self._transactional_id = transactional_id
        self._topic = topic
        self._group_id = f"{transactional_id}-group"
        self._producer_id, self._epoch = -1, -1
        self._sequence = 0
        # Apache Kafka makes the topics of its coordinators when they are asked for.
        for kind, key in ((1, transactional_id), (0, self._group_id)):
            asked = request(FindCoordinatorRequest, key_type=kind, coordinator_keys=[key])
            wait_until(lambda asked=asked: not refusals(wire.call(asked, 6)))

    def __call__(self, step: str) -> str:
        """Do a step: "init", "add" (the old protocol), "produce", "offsets", "commit", "abort";
        the number behind it is the version of the protocol: "commit 2"."""
        name, _, version = step.partition(" ")
        return str(getattr(self, f"_{name}")(int(version or 1)))

    def _ask(self) -> dict[str, Any]:
        return {
            "transactional_id": self._transactional_id,
            "producer_id": self._producer_id,
            "producer_epoch": self._epoch,
        }

    def _call(self, asked: Any, version: int) -> Any:
        """Ask until the coordinator is not busy with the transaction before."""
        answer: Any = None

        def is_answered() -> bool:
            nonlocal answer
            answer = self._wire.call(asked, version)
            return not any(refusal.code in _BUSY for refusal in refusals(answer))

        wait_until(is_answered)
        return answer

    def _outcome(self, answer: Any) -> str | int:
        failed = refusals(answer)
        return failed[0].code.name if failed else self._epoch

    def _init(self, version: int) -> str | int:
        del version
        asked = request(
            InitProducerIdRequest, transactional_id=self._transactional_id, transaction_timeout_ms=_TIMEOUT_MS
        )
        answer = self._call(asked, 5)
        self._producer_id, self._epoch, self._sequence = answer.producer_id, answer.producer_epoch, 0
        return self._outcome(answer)

    def _add(self, version: int) -> str | int:
        del version
        given = {f"v3_and_below_{name}": value for name, value in self._ask().items()}
        topics = [{"name": self._topic.name, "partitions": [0]}]
        return self._outcome(self._call(request(AddPartitionsToTxnRequest, v3_and_below_topics=topics, **given), 3))

    def _produce(self, version: int) -> str | int:
        sent = batch(
            b"v",
            producer_id=self._producer_id,
            producer_epoch=self._epoch,
            base_sequence=self._sequence,
            is_transactional=True,
        )
        asked = produce_request(self._topic, (0, sent))
        asked.transactional_id = self._transactional_id
        code = ErrorCode.NONE

        def is_answered() -> bool:
            nonlocal code
            answer = self._wire.call(asked, 12 if version == 2 else 11).responses[0].partition_responses[0]
            code = ErrorCode(answer.error_code)
            return code not in _BUSY

        wait_until(is_answered)
        self._sequence += not code
        return code.name if code else self._epoch

    def _commit(self, version: int) -> str | int:
        return self._end(version, True)

    def _abort(self, version: int) -> str | int:
        return self._end(version, False)

    def _end(self, version: int, is_commit: bool) -> str | int:
        answer = self._call(request(EndTxnRequest, committed=is_commit, **self._ask()), 5 if version == 2 else 4)
        if (
            version == 2
            and not answer.error_code
            and (answer.producer_id, answer.producer_epoch)
            != (
                self._producer_id,
                self._epoch,
            )
        ):
            self._producer_id, self._epoch, self._sequence = answer.producer_id, answer.producer_epoch, 0
        return self._outcome(answer)

    def _offsets(self, version: int) -> str | int:
        if version == 1:
            added = self._call(request(AddOffsetsToTxnRequest, group_id=self._group_id, **self._ask()), 4)
            if added.error_code:
                return self._outcome(added)
        partitions = [{"partition_index": 0, "committed_offset": 5, "committed_metadata": ""}]
        asked = request(
            TxnOffsetCommitRequest,
            group_id=self._group_id,
            topics=[{"name": self._topic.name, "partitions": partitions}],
            **self._ask(),
        )
        return self._outcome(self._call(asked, 5 if version == 2 else 4))

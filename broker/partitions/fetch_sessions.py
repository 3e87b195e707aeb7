"""Fetch sessions (KIP-227): a client names its partitions once, later requests and answers carry only what changed.

The rules are those of Kafka's FetchManager and FetchSessionCacheShard; there are no followers, so no session is
privileged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ...protocol.errors import ErrorCode
from ...protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchTopic,
    ForgottenTopic,
    PartitionData,
)
from ...storage.clock import Clock
from ..errors import ApiError
from .topics import Topics

# The session epochs that ask for all partitions: to begin a session, and to have none.
INITIAL_EPOCH, FINAL_EPOCH = 0, -1
# A session is safe from others for so long after it was made, and while it is used this often (Kafka's
# MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS).
EVICTION_S = 120.0
# Over all sessions; each takes some 200 bytes. Whoever asks for more names them in every request.
PARTITIONS_MAX = 200_000
_EPOCH_MAX = 2**31 - 1

Key = tuple[str, bytes, int]


class WantedTopic(NamedTuple):
    """Partitions of one topic to read, named as the client names the topic."""

    topic: str
    topic_id: bytes
    partitions: list[FetchPartition]


class _Remembered:
    """What was asked of a partition last, and what the client was told of it last."""

    __slots__ = ("asked", "high_watermark", "log_start_offset")

    def __init__(self, asked: FetchPartition) -> None:
        self.asked = asked
        self.high_watermark = -1
        self.log_start_offset = -1

    def tell(self, result: PartitionData) -> bool:
        """Note what the client is told now; return False when that is nothing new."""
        is_new = (
            bool(result.records)
            or bool(result.error_code)
            or result.high_watermark != self.high_watermark
            or result.log_start_offset != self.log_start_offset
            or result.diverging_epoch.epoch >= 0
        )
        # After an error the partition has to be told again.
        self.high_watermark = -1 if result.error_code else result.high_watermark
        self.log_start_offset = result.log_start_offset
        return is_new


class FetchSession:
    """The partitions that one client reads, in the order in which they get their turn.

    ``epoch``: which the next request has to carry. ``made_s``, ``used_s``: on the monotonic clock.
    """

    __slots__ = ("_names", "_partitions", "_topics", "epoch", "made_s", "session_id", "used_s", "uses_topic_ids")

    def __init__(self, session_id: int, uses_topic_ids: bool, now_s: float, topics: Topics) -> None:
        self.session_id = session_id
        self._topics = topics
        self._names: dict[bytes, str] = {}
        self.uses_topic_ids = uses_topic_ids
        self.epoch = INITIAL_EPOCH + 1
        self.made_s = self.used_s = now_s
        self._partitions: dict[Key, _Remembered] = {}

    def __len__(self) -> int:
        return len(self._partitions)

    def add(self, topics: Iterable[FetchTopic]) -> None:
        """Take in what a request adds or changes."""
        for topic in topics:
            known = self._topics.with_id(topic.topic_id)
            if known is not None:
                self._names[topic.topic_id] = known.name
            for asked in topic.partitions:
                key = (topic.topic, topic.topic_id, asked.partition)
                remembered = self._partitions.get(key)
                if remembered is None:
                    self._partitions[key] = _Remembered(asked)
                else:
                    remembered.asked = asked

    def forget(self, topics: Iterable[ForgottenTopic]) -> None:
        """Drop what a request does not want any more."""
        for forgotten in topics:
            for index in forgotten.partitions:
                self._partitions.pop((forgotten.topic, forgotten.topic_id, index), None)

    def code_for_lost(self, topic_id: bytes) -> ErrorCode:
        """Return what to say of a topic that is not there: the session may have known it by its name."""
        name = self._names.get(topic_id)
        if name is None:
            return ErrorCode.UNKNOWN_TOPIC_ID
        is_made_again = self._topics.get(name) is not None
        return ErrorCode.INCONSISTENT_TOPIC_ID if is_made_again else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    def advance(self) -> None:
        self.epoch = 1 if self.epoch == _EPOCH_MAX else self.epoch + 1

    def wanted(self) -> list[WantedTopic]:
        """Return all partitions in their order."""
        wanted: list[WantedTopic] = []
        last: WantedTopic | None = None
        for (topic, topic_id, _), remembered in self._partitions.items():
            if last is None or last.topic_id != topic_id or last.topic != topic:
                last = WantedTopic(topic, topic_id, [])
                wanted.append(last)
            last.partitions.append(remembered.asked)
        return wanted

    def told(self, responses: Iterable[FetchableTopicResponse]) -> None:
        """Note that the client is told everything."""
        for response in responses:
            for result in response.partitions:
                self._partitions[response.topic, response.topic_id, result.partition_index].tell(result)

    def tell(self, responses: Iterable[FetchableTopicResponse]) -> list[FetchableTopicResponse]:
        """Return what of ``responses`` is news to the client; who got records now gets its next turn last."""
        partitions = self._partitions
        told = []
        for response in responses:
            news = []
            for result in response.partitions:
                key = (response.topic, response.topic_id, result.partition_index)
                remembered = partitions.get(key)
                if remembered is not None and remembered.tell(result):
                    news.append(result)
                    if result.records:
                        partitions[key] = partitions.pop(key)
            if news:
                response.partitions = news
                told.append(response)
        return told


class FetchSessions:
    """All sessions of a broker. ``slots_max``: ``max.incremental.fetch.session.cache.slots``."""

    def __init__(self, slots_max: int, topics: Topics, clock: Clock) -> None:
        self._slots_max = slots_max
        self._topics = topics
        self._clock = clock
        self._sessions: dict[int, FetchSession] = {}  # the one not used for longest comes first
        self._partition_count = 0

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, request: FetchRequest, uses_topic_ids: bool) -> FetchSession | None:
        """Return the session of a request that asks for what changed, with what it changes taken in.

        None: it asks for all that it names; a session that it mentions is closed. Raises ApiError:
        FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
        """
        if request.session_epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            if request.session_id:
                self._remove(request.session_id)
            return None
        session = self._sessions.get(request.session_id)
        if session is None:
            raise ApiError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise ApiError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            raise ApiError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        before = len(session)
        session.add(request.topics)
        session.forget(request.forgotten_topics_data)
        self._partition_count += len(session) - before
        if not len(session):
            self._remove(session.session_id)
            return None
        if self._partition_count > PARTITIONS_MAX:
            self._remove(session.session_id)
            raise ApiError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        session.advance()
        session.used_s = self._clock.monotonic()
        self._sessions[session.session_id] = self._sessions.pop(session.session_id)
        return session

    def make(
        self, request: FetchRequest, uses_topic_ids: bool, responses: Iterable[FetchableTopicResponse]
    ) -> FetchSession | None:
        """Return a new session over the partitions of ``request``, which ``responses`` tell of; None: no room."""
        size = sum(len(topic.partitions) for topic in request.topics)
        now_s = self._clock.monotonic()
        if self._partition_count + size > PARTITIONS_MAX or not self._has_slot(size, now_s):
            return None
        session = FetchSession(self._new_id(), uses_topic_ids, now_s, self._topics)
        session.add(request.topics)
        session.told(responses)
        self._sessions[session.session_id] = session
        self._partition_count += len(session)
        return session

    def _has_slot(self, size: int, now_s: float) -> bool:
        """Say whether there is room for one more session, if need be in the place of one that is worth less."""
        sessions = self._sessions
        if len(sessions) < self._slots_max:
            return True
        stalest = next(iter(sessions.values()), None)
        if stalest is None:
            return False
        if now_s - stalest.used_s > EVICTION_S:
            self._remove(stalest.session_id)
            return True
        old = (session for session in sessions.values() if now_s - session.made_s > EVICTION_S)
        smallest = min(old, key=len, default=None)
        if smallest is None or size < len(smallest):
            return False
        self._remove(smallest.session_id)
        return True

    def _new_id(self) -> int:
        while True:
            drawn = int.from_bytes(self._clock.random_bytes(4), "big") >> 1
            if drawn and drawn not in self._sessions:
                return drawn

    def _remove(self, session_id: int) -> None:
        session = self._sessions.pop(session_id, None)
        if session is not None:
            self._partition_count -= len(session)

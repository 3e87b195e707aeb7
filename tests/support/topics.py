"""Topics and settings for a group coordinator without a broker."""

from collections.abc import Iterator

from barnabas.broker.groups import GroupTimes


class KnownTopic:
    """A topic as groups see it."""

    def __init__(self, name: str, topic_id: bytes, partition_count: int) -> None:
        self.name, self.topic_id, self.partition_count = name, topic_id, partition_count


class KnownTopics:
    """Topics that come, grow and go."""

    def __init__(self) -> None:
        self.version = 0
        self._by_name: dict[str, KnownTopic] = {}
        self._made = 0

    def make(self, name: str, partition_count: int) -> bytes:
        self._made += 1
        self._by_name[name] = KnownTopic(name, self._made.to_bytes(16, "big"), partition_count)
        self.version += 1
        return self._by_name[name].topic_id

    def grow(self, name: str, partition_count: int) -> None:
        self._by_name[name].partition_count = partition_count
        self.version += 1

    def delete(self, name: str) -> None:
        del self._by_name[name]
        self.version += 1

    def get(self, name: str) -> KnownTopic | None:
        return self._by_name.get(name)

    def with_id(self, topic_id: bytes) -> KnownTopic | None:
        return next((topic for topic in self if topic.topic_id == topic_id), None)

    def __iter__(self) -> Iterator[KnownTopic]:
        return iter(self._by_name.values())


def default_times(group_id: str) -> GroupTimes:
    return GroupTimes(45_000, 5_000)

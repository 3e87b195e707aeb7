"""Taking in partition folders that belong to no topic: copied out of Apache Kafka, say, or left of a lost catalog."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ...storage.catalog import PartitionsAdded, StoredTopic, TopicCreated
from ...storage.clock import Clock
from ...storage.datadir import DataDir
from ...storage.errors import LogOffline, StorageError
from ...storage.layout import folders, topic_id_in
from ...storage.recovery import leader_epoch_in, producer_id_max_in
from ...storage.segment import LOG_SUFFIX
from ..config import BrokerConfig, TopicConfig
from ..errors import ApiError
from ..offsets_topic.adoption import FoundGroups, Taken
from .internal import CONSUMER_OFFSETS, TRANSACTION_STATE, creation_of
from .topics import CLUSTER_METADATA_TOPIC, Topics

# Of no use without the broker that wrote them.
KAFKAS_OWN = {TRANSACTION_STATE, CLUSTER_METADATA_TOPIC, "__share_group_state"}


# No coordinator gets as far as this; ids beyond are somebody's invention.
PRODUCER_ID_LIMIT = 2**62
# Settings with which nothing goes, whatever the broker's own are.
KEEPS_ALL = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class Adopted(NamedTuple):
    """What became of the folders of one topic. ``problem``: why they are still not served, else empty.

    ``partitions``: how many were taken in; ``records``: from log start offsets to log end offsets, all of them.
    ``groups``: what was taken out of __consumer_offsets, None for other topics.
    """

    topic: str
    partitions: int
    records: int
    problem: str
    groups: Taken | None = None


def adopt(data_dir: DataDir, clock: Clock) -> Iterator[Adopted]:
    """Make topics of the folders that belong to none, checking every batch; yield what became of each topic.

    The topics keep their ids. Their settings are not in the folders, so they keep their records until somebody says
    what is to become of those. __consumer_offsets comes last: groups and the offsets that they have committed for
    topics that are there then are taken out of it. A topic whose adoption fails can be adopted again: the catalog
    gets it last, and __consumer_offsets together with its groups.
    """
    topics = Topics(data_dir.catalog, data_dir, BrokerConfig(), clock)
    found = [
        (name, index, folder)
        for name, index, folder in folders(data_dir.path)
        if ((known := topics.get(name)) is None or index >= len(known.partitions))
        and next(folder.glob(f"*{LOG_SUFFIX}"), None) is not None
    ]
    found.sort(key=lambda item: (item[0] == CONSUMER_OFFSETS, *item))
    for name, group in groupby(found, key=lambda item: item[0]):
        of_topic = {index: folder for _, index, folder in group}
        try:
            yield _adopt(name, of_topic, topics, data_dir, clock)
        except (ApiError, StorageError, OSError) as error:
            yield Adopted(name, 0, 0, str(error))


def _adopt(name: str, found: dict[int, Path], topics: Topics, data_dir: DataDir, clock: Clock) -> Adopted:
    if name in KAFKAS_OWN:
        raise StorageError("only Kafka itself uses this topic")
    ids = {topic_id_in(folder) for folder in found.values()} - {None}
    known = topics.get(name)
    if len(ids) > 1 or (known is not None and ids - {known.topic_id}):
        raise StorageError("its folders belong to different topics of that name")
    # A new producer that was given the id of an old one would find its records taken for repetitions.
    producer_id = max(producer_id_max_in(folder, PRODUCER_ID_LIMIT) for folder in found.values())
    data_dir.catalog.skip_producer_ids(producer_id)
    count = max(found) + 1
    change: TopicCreated | PartitionsAdded
    if known is not None:
        topic_id = known.topic_id
        change = PartitionsAdded(name, count)
    else:
        topics.check_name(name)
        topic_id = next(iter(ids), None) or topics.new_id()
        if topics.with_id(topic_id) is not None:
            raise StorageError("another topic has its id")
        epoch = max(leader_epoch_in(folder) for folder in found.values()) + 1
        settings = creation_of(name, BrokerConfig())[1] if name == CONSUMER_OFFSETS else KEEPS_ALL
        change = TopicCreated(StoredTopic(topic_id, name, count, epoch, settings))
    config = TopicConfig({}, BrokerConfig())
    records, offline = 0, 0
    groups = FoundGroups()
    for index in sorted(found):
        try:
            log = data_dir.open_log(name, index, topic_id, config, is_sound=False)
        except LogOffline:  # said by the data directory
            if name == CONSUMER_OFFSETS:
                raise  # the groups in it can only be taken out before there is a topic
            offline += 1
        else:
            records += log.log_end_offset - log.log_start_offset
            if name == CONSUMER_OFFSETS:
                groups.read(log)
    taken = None
    if name == CONSUMER_OFFSETS:
        taken = groups.store(data_dir.catalog, clock.now_ms(), change)
    else:
        data_dir.catalog.commit(change)
    return Adopted(name, len(found), records, f"{offline} of them cannot be opened" if offline else "", taken)

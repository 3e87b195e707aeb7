"""The data directory: who may use it, what it remembers from start to start, and the logs in it.

Laid out as Kafka's ``log.dirs``: a folder per partition, ``meta.properties``, ``recovery-point-offset-checkpoint``,
``.kafka_cleanshutdown``, ``.lock``; and ``catalog.sqlite``, which is ours.
"""

import base64
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from . import files
from .catalog.sqlite import SqliteCatalog
from .checkpoints import Key
from .clock import Clock
from .disposal import Disposal, unlink_segments
from .errors import FULL, CatalogError, DataDirLost, LogOffline, StorageError
from .file_pool import FilePool
from .flusher import Flusher
from .journal import Journal, Redo, left_in
from .known_offsets import KnownOffsets
from .layout import (
    CATALOG_FILE,
    CLEAN_FILE,
    DELETED_SUFFIX,
    LOCK_FILE,
    META_FILE,
    PARTITION_FILE,
    STRAY_SUFFIX,
    encode_id,
    folders,
    lock,
    read_properties,
    topic_id_in,
)
from .log import NEVER, LogSettings
from .presence import GrowingFiles, Presence
from .recovery import open_log
from .segment import LOG_SUFFIX, Segment
from .segments import SegmentedLog
from .sync_job import LogId, Syncable, SyncJob

logger = logging.getLogger(__name__)

_FOLDER_NAME_MAX = 255
# How often to say that logs cannot be opened for want of space or descriptors.
OPEN_COMPLAINT_INTERVAL_S = 5.0
# Of how many partitions that have lost records there is a line in the log.
LOSSES_TOLD_MAX = 20


class DataDir:
    """A data directory in use by this process. Raises DataDirLocked, CatalogError, StorageError when opened."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        node_id: int,
        deliver: Callable[[Callable[[], None]], object],
        cluster_id: str | None = None,
    ) -> None:
        """``cluster_id``: for a directory that has none yet; None draws one."""
        self.path = path
        self._clock = clock
        self.logs: dict[Key, SegmentedLog] = {}
        # How many of the logs that were opened have lost records.
        self.lossy_logs = 0
        self._by_key: dict[LogId, SegmentedLog] = {}
        # Why the directory cannot be used any more; empty while it can.
        self.lost = ""
        self._complained_s = float("-inf")
        self._has_complained = False
        self.growing_files = GrowingFiles(self.logs)
        self._flush_at: dict[SegmentedLog, float] = {}
        try:
            files.make_directories(path.parent)
            files.make_directory(path)
            self._lock = lock(path / LOCK_FILE)
        except OSError as error:
            who = f" (for user id {os.getuid()})" if isinstance(error, PermissionError) else ""
            raise StorageError(f"cannot use the data directory {path.absolute()}: {error.strerror}{who}") from error
        try:
            cluster_id = read_properties(path / META_FILE).get("cluster.id", cluster_id)
            self.catalog = SqliteCatalog(path / CATALOG_FILE, clock, cluster_id)
            try:
                self._write_meta(node_id)
                self.was_clean = (path / CLEAN_FILE).exists()
                self.known = KnownOffsets(path, self._latest_points)
                self.was_clean = self.was_clean and self.known.has_recovery_points
                self._journal = Journal(path, self._left_in_journal(), self._has_all, self._sync_logs)
                if not self._journal.left:
                    self._journal.remove()
                files.unlink(path / CLEAN_FILE)
                files.sync_directory(path)  # the mark must not come back after a power failure
                self.presence = Presence(path, (CATALOG_FILE, f"{CATALOG_FILE}-wal"))
            except BaseException:
                self.catalog.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise
        self.flusher = Flusher(deliver, self._journal)
        self.disposal = Disposal(clock, self.known.log_starts.write)
        self._pool = FilePool()
        for left in path.glob(f"*{DELETED_SUFFIX}"):
            self.disposal.remove(partial(files.remove_tree, left), 0)

    def _latest_points(self) -> dict[Key, int]:
        return {key: log.recovery_point for key, log in list(self.logs.items())}

    def _left_in_journal(self) -> dict[LogId, Redo]:
        """Return what logs may have lost in a crash: ours, and those of folders that are no topic's yet."""
        left = left_in(self.path)
        if not left:
            return {}
        known = {topic.topic_id for topic in self.catalog.topics()}
        wanted: set[bytes | None] = set() if self.was_clean else {*known}
        if any(topic_id not in known for topic_id, _ in left):
            for _, _, folder in folders(self.path):
                with suppress(OSError):  # it makes the partition offline, and not the broker
                    wanted |= {topic_id_in(folder)} - known
        return {key: redo for key, redo in left.items() if key[0] in wanted}

    def _write_meta(self, node_id: int) -> None:
        """Note whose directory this is; Kafka's tools look for it. Raises StorageError when it is another node's."""
        path = self.path / META_FILE
        known = read_properties(path)
        if "node.id" in known and known["node.id"].strip() != str(node_id):
            raise StorageError(
                f"the data directory {self.path} belongs to node.id {known['node.id'].strip()}, not {node_id}"
                f" (it says so in {META_FILE})"
            )
        if "node.id" not in known:
            directory_id = known.get("directory.id") or encode_id(self._clock.random_bytes(16))
            texts = (f"cluster.id={self.catalog.cluster_id()}", f"directory.id={directory_id}", f"node.id={node_id}")
            files.replace(path, "\n".join([*texts, "version=1", ""]).encode(), is_synced=True)

    @property
    def directory_id(self) -> bytes:
        """Return the 16 bytes by which the directory is known, zeros when nobody gave it any."""
        text = read_properties(self.path / META_FILE).get("directory.id", "")
        try:
            return base64.urlsafe_b64decode(f"{text.strip()}==").ljust(16, b"\0")[:16]
        except ValueError:
            return bytes(16)

    def unwritten(self, topic: str, partition: int, topic_id: bytes) -> Path | None:
        """Return the folder that a partition will have if nothing was ever written to it, else None."""
        key, folder = (topic, partition), self.path / f"{topic}-{partition}"
        known = self.known.recovery_points.get(key) or self.known.log_starts.get(key)
        if self.lost or known or (topic_id, partition) in self._journal.left:
            return None
        try:
            os.lstat(folder)
        except FileNotFoundError:
            return folder
        except OSError:
            pass  # opening it says what is wrong
        return None

    def open_log(
        self, topic: str, partition: int, topic_id: bytes, settings: LogSettings, is_sound: bool = True
    ) -> SegmentedLog:
        """Open or make the log of a partition. Raises LogOffline when its files cannot be used.

        ``is_sound``: False when nothing is known about the files, and every batch has to be checked.
        """
        if self.lost:
            raise LogOffline(self.lost)
        folder = self.path / f"{topic}-{partition}"
        recovery_point = None if self.was_clean else self.known.recovery_points.get((topic, partition))
        if not is_sound:
            recovery_point = 0
        known_end = self.known.recovery_points.get((topic, partition)) if is_sound else 0
        # Kafka leaves gaps between segments that were compacted. Behind those a gap is what the power has taken.
        gaps_end = self.known.clean_offsets.get((topic, partition))
        if not (is_sound and self.known.has_recovery_points):
            gaps_end = NEVER
        elif settings.is_compacted or gaps_end:
            gaps_end = max(gaps_end, recovery_point or 0)
        try:
            self.known.settle((topic, partition))
            if self._claim(folder, topic_id):
                known_end = 0  # that was the other's
            log = open_log(
                folder,
                settings,
                self._clock,
                self.flusher.request,
                recovery_point,
                self.known.log_starts.get((topic, partition)),
                partial(self._retire, (topic, partition)),
                self._pool,
                gaps_end,
                self._journal.left.get((topic_id, partition)),
                known_end,
            )
        except (OSError, StorageError) as error:
            may_pass = isinstance(error, OSError) and error.errno in FULL
            how_long = "for now" if may_pass else "until the next start"
            if not may_pass or self._may_complain():
                logger.error("partition %s is offline %s: %s", folder.name, how_long, error)
            raise LogOffline(f"{folder.name}: {error}", may_pass) from error
        if self._has_complained:
            self._has_complained = False
            logger.info("partitions can be opened again (%s is open)", folder.name)
        self.logs[topic, partition] = log
        log.key = topic_id, partition
        self._by_key[log.key] = log
        self._journal.recovered(log.key, log.log_end_offset)
        if log.loss:
            self._tell_of_loss(log)
            self._note_loss((topic, partition), log)
        return log

    def _note_loss(self, key: Key, log: SegmentedLog) -> None:
        """Write down the new recovery point before new records take the offsets of the lost ones."""
        self.known.recovery_points.note(key, log.recovery_point)
        try:
            self.known.recovery_points.write(is_synced=False)
        except OSError as error:
            logger.warning("cannot write a checkpoint in %s: %s", self.path, error)
        self.flusher.request(self)

    def _tell_of_loss(self, log: SegmentedLog) -> None:
        self.lossy_logs += 1
        is_told = self.lossy_logs <= LOSSES_TOLD_MAX
        logger.log(logging.ERROR if is_told else logging.DEBUG, "%s: %s", log.directory.name, log.loss)

    def _may_complain(self) -> bool:
        """Say whether it is time to log again an error that meets every partition and is tried again and again."""
        now_s = self._clock.monotonic()
        if now_s - self._complained_s < OPEN_COMPLAINT_INTERVAL_S:
            return False
        self._complained_s = now_s
        self._has_complained = True
        return True

    def _claim(self, folder: Path, topic_id: bytes) -> bool:
        """Make the folder the topic's own; put aside one that belongs to another topic of that name.

        Returns whether there was one.
        """
        metadata = folder / PARTITION_FILE
        owner = topic_id_in(folder)
        if owner == topic_id:
            return False
        if owner is not None:
            aside = folder.with_name(self._aside_name(folder.name, STRAY_SUFFIX))
            logger.warning("%s belongs to another topic: moved to %s", folder, aside.name)
            files.rename(folder, aside)
        elif metadata.exists():
            logger.warning("%s names no topic id; the topic of this name takes the folder", metadata)
        self.presence.check()  # no folder may be made in another directory
        files.make_directory(folder)
        files.replace(metadata, f"version: 0\ntopic_id: {encode_id(topic_id)}\n".encode())
        return owner is not None

    def _aside_name(self, name: str, suffix: str) -> str:
        unique = self._clock.random_bytes(16).hex()
        return f"{name[: _FOLDER_NAME_MAX - len(unique) - len(suffix) - 1]}.{unique}{suffix}"

    def remove_log(self, topic: str, partition: int, topic_id: bytes | None = None) -> None:
        """Delete a partition's folder: out of sight at once, from the disk in the background.

        ``topic_id``: for one whose log was not opened.
        """
        log = self.logs.pop((topic, partition), None)
        if log is not None:
            self._flush_at.pop(log, None)
            if log.key is not None:
                self._by_key.pop(log.key, None)
        elif topic_id is not None:
            self._journal.forget((topic_id, partition))
        self.known.recovery_points.forget((topic, partition), is_in_use=log is not None)
        self.known.clean_offsets.forget((topic, partition))
        if self.known.log_starts.forget((topic, partition)):
            self.flusher.request(self.known.log_starts)
        self.flusher.request(self)  # a new topic of that name must not find the old recovery point after a crash
        folder = self.path / f"{topic}-{partition}"
        gone = folder.with_name(self._aside_name(folder.name, DELETED_SUFFIX))
        try:
            if log is not None:
                log.delete(gone)
            else:
                files.rename(folder, gone)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.error("cannot delete %s: %s", folder, error)
            return
        delay_ms = 0
        if log is not None:
            self.disposal.remove(log.let_go, 0)
            delay_ms = log.settings.file_delete_delay_ms
        self.disposal.remove(partial(files.remove_tree, gone), delay_ms)

    def _has_all(self, key: LogId, end_offset: int) -> bool:
        """Say whether a log's own files have all before an offset on the disk, or the log is not there any more."""
        log = self._by_key.get(key)
        return log is None or log.recovery_point >= end_offset

    def _sync_logs(self, keys: Iterable[LogId]) -> None:
        for key in keys:
            log = self._by_key.get(key)
            if log is not None and log.is_dirty:
                self.flusher.request(log)

    def _retire(self, key: Key, log: SegmentedLog, segments: list[Segment]) -> None:
        self.known.log_starts.note(key, log.log_start_offset)
        self.disposal.retire(log, segments)
        self.flusher.request(self.disposal)

    def note_log_starts(self) -> Syncable:
        """Take note of where each log begins now, and return what makes it last when it is synced."""
        for key, log in self.logs.items():
            if log.log_start_offset:  # also where a segment begins: the one before may not be gone when we die
                self.known.log_starts.note(key, log.log_start_offset)
        return self.known.log_starts

    def clean_offset(self, topic: str, partition: int) -> int:
        """Return up to where an open log was compacted, or where it begins if that is later or not known."""
        log = self.logs[topic, partition]
        found = self.known.clean_offsets.get((topic, partition))
        return found if log.log_start_offset <= found <= log.log_end_offset else log.log_start_offset

    def note_clean_offset(self, topic: str, partition: int, offset: int) -> None:
        """Remember up to where a log was compacted."""
        self.known.note_clean_offset((topic, partition), offset)

    def adopt(self, log: SegmentedLog, segment: Segment, replaced: list[Segment]) -> None:
        """Treat a cleaned segment as any other from now on, and remove those it has replaced."""
        segment.file.join_pool(self._pool)
        self.disposal.remove(partial(unlink_segments, replaced), log.settings.file_delete_delay_ms)

    def size_bytes(self, topic: str, partition: int) -> int:
        """Return how many bytes of batches a partition has, whether its log is open or not. Raises OSError."""
        log = self.logs.get((topic, partition))
        if log is not None:
            return log.size_bytes
        folder = self.path / f"{topic}-{partition}"
        return sum(path.stat().st_size for path in folder.glob(f"*{LOG_SUFFIX}"))

    def flush_due(self) -> None:
        """Request a sync of every log whose ``flush.ms`` has passed, and of the catalog when much was committed;
        remove the files whose time has come."""
        self.disposal.remove_due()
        self._journal.tidy()
        if self.catalog.is_grown:
            self.flusher.request(self.catalog)
        now = self._clock.monotonic()
        for log in self.logs.values():
            log.tell_recovery()
            if not log.is_dirty:
                self._flush_at.pop(log, None)
            elif self._flush_at.setdefault(log, now + log.settings.flush_ms / 1000) <= now:
                del self._flush_at[log]
                self.flusher.request(log)

    def expire_producers(self, expiration_ms: int) -> None:
        """Forget the producers that have written nothing for ``expiration_ms`` (``producer.id.expiration.ms``)."""
        before_ms = self._clock.now_ms() - expiration_ms
        for log in self.logs.values():
            log.producers.expire(before_ms)

    def checkpoint(self) -> None:
        """Bring dirty logs to the disk, then note how far they are there; so that recovery has little to check.

        Only requests it: the work happens in the flusher's thread.
        """
        for log in self.logs.values():
            if log.is_dirty:
                self.flusher.request(log)
        self.flusher.request(self)

    def sync_job(self) -> SyncJob:
        """Write the recovery points (as a ``Syncable``, so that it follows the syncs requested before it)."""
        logs = list(self.logs.values())

        def work() -> None:
            self.presence.check()
            for log in logs:
                try:
                    if log.offline is None:
                        log.checkpoint()
                except OSError as error:
                    logger.warning("the indexes of %s were not written: %s", log.directory.name, error)
            self.known.recovery_points.write()
            self.catalog.sync()
            self.catalog.checkpoint()

        def fail(error: OSError) -> StorageError:
            logger.error("cannot write a checkpoint in %s: %s", self.path, error)
            return StorageError(str(error))

        return SyncJob(work, lambda: None, fail)

    def give_up(self, reason: str) -> None:
        """Take nothing any more: what was taken stays in files that are not found here again."""
        self.lost = reason
        for log in self.logs.values():
            log.offline = log.offline or reason
        self.catalog.refuse(reason)

    def _abandon(self) -> None:
        """Let go of everything and write nothing: another directory may be at this path."""
        self.flusher.stop()
        for log in self.logs.values():
            log.let_go()
        self.disposal.stop()
        self._journal.close()
        self.catalog.abandon()
        os.close(self._lock)

    def close(self) -> None:
        """Bring everything to the disk and leave the directory so that the next start has nothing to check."""
        try:
            self.presence.check()
        except DataDirLost as error:
            self.lost = self.lost or str(error)
        if self.lost:
            logger.error("not closed cleanly: %s", self.lost)
            self._abandon()
            return
        self.flusher.stop()
        clean = True
        for log in self.logs.values():
            try:
                if log.offline is not None:
                    clean = False
                elif log.is_dirty:
                    job = log.sync_job()
                    job.work()
                    job.finish()
                log.close()
            except OSError as error:
                logger.error("cannot close %s cleanly: %s", log.directory, error)
                clean = False
        self.disposal.stop()
        try:
            clean = clean and self._is_recovered()
            self.known.recovery_points.write()
            self.catalog.sync()
            self.catalog.close()
            self._journal.close()
            if clean:
                if not self._journal.left:
                    self._journal.remove()
                files.replace(self.path / CLEAN_FILE, b'{"version":0,"brokerEpoch":-1}', is_synced=True)
        except (OSError, CatalogError) as error:
            logger.error("cannot close %s cleanly: %s", self.path, error)
        finally:
            os.close(self._lock)

    def _is_recovered(self) -> bool:
        """Say whether every log that a crash left was opened since. Raises CatalogError."""
        return self.was_clean or all(
            (topic.name, partition) in self.logs or not (self.path / f"{topic.name}-{partition}").exists()
            for topic in self.catalog.topics()
            for partition in range(topic.partition_count)
        )

"""The catalog of one machine: an SQLite file in WAL mode.

A commit appends to the write-ahead log and returns (about 10 us, performance.md 8), so it may happen in the
event loop. The checkpoint takes milliseconds and happens in a thread, on a connection of its own.
"""

import base64
import json
import logging
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import files
from ..clock import Clock
from ..errors import CatalogError
from ..sync_job import SyncJob
from .changes import (
    Change,
    CommittedOffset,
    Consequence,
    ConsumerMember,
    GroupMember,
    Partitions,
    QuotaEntity,
    ScramCredential,
    StoredConsumerGroup,
    StoredGroup,
    StoredTopic,
    StoredTransaction,
)
from .statements import OFFSET_COLUMNS, WRITERS, consumer_member, partitions, resolved, transaction

logger = logging.getLogger(__name__)

# Entry n brings a catalog of schema version n to version n + 1. Entries are never edited once released.
MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE topics (
        name TEXT PRIMARY KEY, topic_id BLOB NOT NULL UNIQUE, partition_count INTEGER NOT NULL,
        leader_epoch INTEGER NOT NULL, configs TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE groups (
        group_id TEXT PRIMARY KEY, protocol_type TEXT NOT NULL, generation_id INTEGER NOT NULL,
        protocol_name TEXT, leader_id TEXT, state_since_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE group_members (
        group_id TEXT NOT NULL, member_id TEXT NOT NULL, group_instance_id TEXT, client_id TEXT NOT NULL,
        client_host TEXT NOT NULL, session_timeout_ms INTEGER NOT NULL, rebalance_timeout_ms INTEGER NOT NULL,
        metadata BLOB NOT NULL, assignment BLOB NOT NULL, PRIMARY KEY (group_id, member_id)
    ) WITHOUT ROWID;
    CREATE TABLE offsets (
        group_id TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL,
        leader_epoch INTEGER NOT NULL, metadata TEXT NOT NULL, commit_ms INTEGER NOT NULL,
        expire_ms INTEGER NOT NULL, PRIMARY KEY (group_id, topic, partition)
    ) WITHOUT ROWID;
    CREATE INDEX offsets_by_topic ON offsets (topic);
    """,
    """
    CREATE TABLE configs (
        resource_type INTEGER NOT NULL, resource_name TEXT NOT NULL, configs TEXT NOT NULL,
        PRIMARY KEY (resource_type, resource_name)
    ) WITHOUT ROWID;
    CREATE TABLE quotas (entity TEXT PRIMARY KEY, quotas TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE scram_credentials (
        user TEXT NOT NULL, mechanism INTEGER NOT NULL, iterations INTEGER NOT NULL, salt BLOB NOT NULL,
        stored_key BLOB NOT NULL, server_key BLOB NOT NULL, PRIMARY KEY (user, mechanism)
    ) WITHOUT ROWID;
    CREATE TABLE consumer_groups (
        group_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, assignment_epoch INTEGER NOT NULL,
        metadata_hash INTEGER NOT NULL, resolved TEXT NOT NULL, empty_since_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE consumer_members (
        group_id TEXT NOT NULL, member_id TEXT NOT NULL, instance_id TEXT, rack_id TEXT, client_id TEXT NOT NULL,
        client_host TEXT NOT NULL, rebalance_timeout_ms INTEGER NOT NULL, topic_names TEXT NOT NULL,
        regex TEXT NOT NULL, assignor TEXT, epoch INTEGER NOT NULL, previous_epoch INTEGER NOT NULL,
        state TEXT NOT NULL, assigned TEXT NOT NULL, revoking TEXT NOT NULL, classic TEXT,
        target TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (group_id, member_id)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE transactions (
        transactional_id TEXT PRIMARY KEY, producer_id INTEGER NOT NULL, previous_producer_id INTEGER NOT NULL,
        next_producer_id INTEGER NOT NULL, epoch INTEGER NOT NULL, last_epoch INTEGER NOT NULL,
        timeout_ms INTEGER NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, partitions TEXT NOT NULL,
        groups TEXT NOT NULL, start_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE pending_offsets (
        producer_id INTEGER NOT NULL, group_id TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
        offset INTEGER NOT NULL, leader_epoch INTEGER NOT NULL, metadata TEXT NOT NULL, commit_ms INTEGER NOT NULL,
        expire_ms INTEGER NOT NULL, PRIMARY KEY (producer_id, group_id, topic, partition)
    ) WITHOUT ROWID;
    CREATE INDEX pending_offsets_by_group ON pending_offsets (group_id);
    """,
)

# Each commit adds one page or more to the write-ahead log: some 20 MB between two checkpoints.
COMMITS_PER_CHECKPOINT = 5_000

# What SQLite says when it cannot share memory through a file beside the catalog, as on FUSE with direct_io.
_EXCLUSIVE = "the file system has no shared memory maps; no other program can read the catalog while the broker runs"
_NO_SHARED_MEMORY = (sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)


class SqliteCatalog:
    """A ``Catalog`` in one file. All methods but ``sync`` and ``checkpoint`` belong to one thread."""

    def __init__(self, path: Path, clock: Clock, cluster_id: str | None = None) -> None:
        """Open or make the catalog at ``path``; a new one gets ``cluster_id``, or draws one.

        Raises CatalogError when it is damaged or from a newer Barnabas.
        """
        self._path = path
        self._closed = threading.Lock()
        self._commits = 0
        self.revision = 1
        self._synced_revision = 0  # what an earlier process committed may not be on the disk either
        self._failure: OSError | None = None
        # Whether no other connection is let in. SQLite then needs no memory that is shared through a mapped file.
        self._is_exclusive = False
        self.on_commit: Callable[[Sequence[Change | Consequence]], None] | None = None
        try:
            try:
                self._open(clock, cluster_id)
            except sqlite3.Error as error:
                if error.sqlite_errorcode not in _NO_SHARED_MEMORY:
                    raise
                self._is_exclusive = True
                logger.warning("%s: %s", path.parent, _EXCLUSIVE)
                self._open(clock, cluster_id)
        except sqlite3.Error as error:
            raise CatalogError(f"cannot open the catalog {path}: {error}") from error

    def _open(self, clock: Clock, cluster_id: str | None) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            if self._is_exclusive:
                self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint = 0")
            self._migrate(clock, cluster_id)
            self._wal_fd = files.open_file(f"{self._path}-wal", files.UPDATE)
        except BaseException:
            self._db.close()
            raise

    def _migrate(self, clock: Clock, cluster_id: str | None) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise CatalogError(
                f"the catalog {self._path} has schema version {version}, this Barnabas knows {len(MIGRATIONS)}:"
                " it was written by a newer version"
            )
        for number in range(version, len(MIGRATIONS)):
            self._db.execute("BEGIN IMMEDIATE")
            for statement in MIGRATIONS[number].split(";"):
                self._db.execute(statement)
            if number == 0:
                cluster_id = cluster_id or base64.urlsafe_b64encode(clock.random_bytes(16)).decode().rstrip("=")
                self._db.execute("INSERT INTO meta VALUES ('cluster_id', ?)", (cluster_id,))
            self._db.execute(f"PRAGMA user_version = {number + 1}")
            self._db.execute("COMMIT")

    def commit(self, *changes: Change) -> None:
        db = self._db
        self._check_usable()
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                made: list[Change | Consequence] = []
                for change in changes:
                    made.append(change)
                    if (more := WRITERS[type(change)](db, change)) is not None:
                        made += more
                db.execute("COMMIT")
                self._commits += 1
                self.revision += 1
            except BaseException:
                db.rollback()
                raise
        except sqlite3.Error as error:
            raise CatalogError(f"the catalog {self._path} refused a commit: {error}") from error
        if self.on_commit is not None:
            self.on_commit(made)

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise CatalogError(f"the catalog {self._path} cannot be used until the restart: {self._failure}")

    def refuse(self, reason: str) -> None:
        self._failure = self._failure or OSError(reason)

    def sync(self) -> None:
        """Flush the write-ahead log: what SQLite finds in it at the next start is committed.

        The kernel forgets what it could not write and says so once, so after an error this fails until the restart.
        """
        revision = self.revision
        with self._closed:
            if self._failure is not None:
                raise self._failure
            if self._wal_fd >= 0:
                try:
                    files.sync(self._wal_fd)
                except OSError as error:
                    self._failure = error
                    raise
                self._synced_revision = revision

    @property
    def is_synced(self) -> bool:
        return self._synced_revision == self.revision

    def sync_job(self) -> SyncJob:
        is_grown = self.is_grown

        def work() -> None:
            self.sync()
            if is_grown:
                self.checkpoint()

        def finish() -> None:
            # With no writer at work this gets what came while the thread was busy, and the log begins anew.
            if is_grown and self._wal_fd >= 0:
                self._commits = 0
                self._rows("PRAGMA wal_checkpoint(PASSIVE)")

        return SyncJob(work, finish, _not_synced)

    @property
    def is_grown(self) -> bool:
        return self._commits > COMMITS_PER_CHECKPOINT

    def checkpoint(self) -> None:
        """Move what was committed from the write-ahead log to the database, on a connection of its own.

        Without shared memory no other connection can open the database. The ``sync_job`` of a grown catalog moves it
        then, in the owner's thread.
        """
        if self._wal_fd < 0 or self._is_exclusive:
            return
        self._commits = 0
        try:
            # Not to be made anew, should the data directory have been replaced by another.
            other = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", isolation_level=None, uri=True)
            try:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            finally:
                other.close()
        except sqlite3.Error as error:
            raise CatalogError(f"the catalog {self._path} was not checkpointed: {error}") from error

    def _rows(self, sql: str, parameters: Sequence[str | int] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise CatalogError(f"cannot read the catalog {self._path}: {error}") from error

    def cluster_id(self) -> str:
        ((value,),) = self._rows("SELECT value FROM meta WHERE name = 'cluster_id'")
        return str(value)

    @property
    def copied_to(self) -> str:
        rows = self._rows("SELECT value FROM meta WHERE name = 'copied_to'")
        return str(rows[0][0]) if rows else ""

    def note_copied_to(self, place: str) -> None:
        try:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('copied_to', ?)", (place,))
        except sqlite3.Error as error:
            raise CatalogError(f"the catalog {self._path} was not changed: {error}") from error

    def skip_producer_ids(self, largest: int) -> None:
        self._check_usable()
        try:
            self._db.execute(
                "INSERT INTO meta VALUES ('next_producer_id', :next)"
                " ON CONFLICT (name) DO UPDATE SET value = MAX(CAST(value AS INTEGER), :next)",
                {"next": largest + 1},
            )
        except sqlite3.Error as error:
            raise CatalogError(f"the catalog {self._path} cannot skip producer ids: {error}") from error

    def allocate_producer_ids(self, count: int) -> int:
        self._check_usable()
        try:
            (after,) = self._db.execute(
                "INSERT INTO meta VALUES ('next_producer_id', :count)"
                " ON CONFLICT (name) DO UPDATE SET value = value + :count RETURNING value",
                {"count": count},
            ).fetchone()
        except sqlite3.Error as error:
            raise CatalogError(f"the catalog {self._path} gave no producer ids: {error}") from error
        return int(after) - count

    def topics(self) -> list[StoredTopic]:
        rows = self._rows("SELECT topic_id, name, partition_count, leader_epoch, configs FROM topics ORDER BY name")
        return [StoredTopic._make((*row[:4], json.loads(row[4]))) for row in rows]

    def configs(self) -> dict[tuple[int, str], dict[str, str]]:
        rows = self._rows("SELECT resource_type, resource_name, configs FROM configs")
        return {(resource_type, name): json.loads(configs) for resource_type, name, configs in rows}

    def quotas(self) -> dict[QuotaEntity, dict[str, float]]:
        rows = self._rows("SELECT entity, quotas FROM quotas")
        return {
            tuple((kind, name) for kind, name in json.loads(entity)): json.loads(quotas) for entity, quotas in rows
        }

    def scram_credentials(self) -> list[ScramCredential]:
        return [ScramCredential(*row) for row in self._rows("SELECT * FROM scram_credentials")]

    def features(self) -> tuple[int, dict[str, int]]:
        rows = self._rows("SELECT value FROM meta WHERE name = 'features'")
        if not rows:
            return 0, {}
        epoch, levels = json.loads(rows[0][0])
        return epoch, levels

    def groups(self, group_id: str | None = None) -> list[StoredGroup]:
        members: dict[str, list[GroupMember]] = {}
        for owner, *row in self._of_group("group_members", group_id, "group_id, member_id"):
            members.setdefault(owner, []).append(GroupMember(*row))
        rows = self._of_group("groups", group_id, "group_id")
        return [StoredGroup._make((*row, members.get(row[0], []))) for row in rows]

    def consumer_groups(self, group_id: str | None = None) -> list[StoredConsumerGroup]:
        return [
            StoredConsumerGroup._make((*row[:4], resolved(row[4]), row[5]))
            for row in self._of_group("consumer_groups", group_id, "group_id")
        ]

    def consumer_members(self, group_id: str | None = None) -> list[tuple[str, ConsumerMember, Partitions]]:
        return [
            (row[0], consumer_member(row[1:16]), partitions(row[16]))
            for row in self._of_group("consumer_members", group_id, "group_id, member_id")
        ]

    def _of_group(self, table: str, group_id: str | None, order: str) -> list[Any]:
        """Return rows of one group, or of all of them."""
        if group_id is None:
            return self._rows(f"SELECT * FROM {table} ORDER BY {order}")
        return self._rows(f"SELECT * FROM {table} WHERE group_id = ? ORDER BY {order}", (group_id,))

    def group_ids(self) -> list[str]:
        tables = ("groups", "consumer_groups", "offsets")
        rows = self._rows(" UNION ".join(f"SELECT group_id FROM {table}" for table in tables))
        return [group_id for (group_id,) in rows]

    def offsets(self, group_id: str) -> list[CommittedOffset]:
        rows = self._rows(f"SELECT {OFFSET_COLUMNS} FROM offsets WHERE group_id = ?", (group_id,))
        return [CommittedOffset(*row) for row in rows]

    def offset(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        rows = self._rows(
            f"SELECT {OFFSET_COLUMNS} FROM offsets WHERE group_id = ? AND topic = ? AND partition = ?",
            (group_id, topic, partition),
        )
        return CommittedOffset(*rows[0]) if rows else None

    def groups_with_offsets(self) -> list[str]:
        rows = self._rows("SELECT group_id FROM offsets UNION SELECT group_id FROM pending_offsets")
        return [group_id for (group_id,) in rows]

    def groups_pending(self, producer_id: int) -> list[str]:
        rows = self._rows("SELECT DISTINCT group_id FROM pending_offsets WHERE producer_id = ?", (producer_id,))
        return [group_id for (group_id,) in rows]

    def pending_offsets(self, group_id: str) -> list[tuple[str, int]]:
        return self._rows("SELECT DISTINCT topic, partition FROM pending_offsets WHERE group_id = ?", (group_id,))

    def transactions(self) -> list[StoredTransaction]:
        return [transaction(row) for row in self._rows("SELECT * FROM transactions ORDER BY transactional_id")]

    def coordinator_epoch(self) -> int:
        rows = self._rows("SELECT value FROM meta WHERE name = 'coordinator_epoch'")
        return int(rows[0][0]) if rows else 0

    def abandon(self) -> None:
        """Let go of a database that is not at its path any more, and leave its write-ahead log as it is.

        A checkpoint at the end would remove that by its name, which may be another's now.
        """
        if sys.version_info >= (3, 12):
            self._db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        self.close()

    def close(self) -> None:
        with self._closed:
            if self._wal_fd >= 0:
                files.close(self._wal_fd)
                self._wal_fd = -1
                self._db.close()


def _not_synced(error: OSError) -> CatalogError:
    logger.error("the catalog did not reach the disk: %s", error)
    return CatalogError(str(error))

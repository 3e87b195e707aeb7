"""The broker: owner of all state, one field per kind; handlers get at it through their context."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..storage.catalog import Catalog
from ..storage.clock import Clock, SystemClock
from ..storage.datadir import DataDir
from ..storage.errors import DataDirLost, LogOffline
from ..storage.layout import folders
from ..storage.sync_job import Done, Syncable
from .config import BrokerConfig, Given, GroupConfig
from .dispatch import Dispatcher
from .features import Features
from .groups import GroupCoordinator, GroupCoordinatorConfig, GroupTimes
from .net.listener import Server
from .offsets_topic import OffsetsTopic
from .partitions.cleaning import Cleaning
from .partitions.fetch_sessions import FetchSessions
from .partitions.markers import PartitionMarkers
from .partitions.producer_ids import ProducerIds
from .partitions.retention import Retention
from .partitions.topics import Topics
from .quotas import ClientQuotas
from .registry import collect
from .resources import ResourceType, StoredConfigs
from .security.scram import ScramCredentials
from .startup_settings import StartupSettings
from .timers import Timers
from .transactions import TransactionCoordinator, TransactionCoordinatorConfig

if TYPE_CHECKING:
    from .metrics.endpoint import MetricsEndpoint

R = TypeVar("R")

logger = logging.getLogger(__name__)

# How often housekeeping looks for idle connections and for logs whose flush.ms has passed.
HOUSEKEEPING_S = 1.0
# No turn of the event loop without a rest, whatever log.cleaner.backoff.ms is.
CLEANER_BACKOFF_MIN_S = 0.01


class Broker:
    """A broker over one data directory. ``start`` opens it and listens, ``stop`` leaves it as it should be left."""

    def __init__(self, config: BrokerConfig, clock: Clock | None = None, cluster_id: Given | None = None) -> None:
        """``cluster_id``: for a new data directory; one that has another keeps it, and the log says so."""
        self.config = config
        self._wanted_cluster_id = cluster_id
        self.clock = clock or SystemClock()
        self.node_id = config.int("node.id")
        self.acknowledge_durable = config.bool("barnabas.acknowledge.durable")
        self.dispatcher = Dispatcher(collect(f"{__package__}.apis"))
        self.is_stopping = False
        # Set when the data directory is gone: nothing is taken any more, and the process has to end.
        self.lost = asyncio.Event()
        # Held from looking at settings until they are stored, which may have to wait for a look-up of an address.
        self.configuring = asyncio.Lock()
        self.metrics: MetricsEndpoint | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._to_sync: dict[Syncable, list[Done]] = {}
        self._alarms: dict[GroupCoordinator | Timers, asyncio.TimerHandle] = {}

    data_dir: DataDir
    catalog: Catalog
    cluster_id: str
    stored_configs: StoredConfigs
    client_quotas: ClientQuotas
    scram_credentials: ScramCredentials
    features: Features
    topics: Topics
    retention: Retention
    cleaning: Cleaning
    fetch_sessions: FetchSessions
    groups: GroupCoordinator
    transactions: TransactionCoordinator
    offsets_topic: OffsetsTopic
    producer_ids: ProducerIds
    server: Server

    async def start(self) -> None:
        """Open the data directory, recover what a crash left, and listen.

        Raises StorageError, OSError with a text for people; nothing is left open then.
        """
        self._loop = asyncio.get_running_loop()
        wanted = self._wanted_cluster_id
        self.data_dir = DataDir(
            Path(self.config.data_dir),
            self.clock,
            self.node_id,
            self._loop.call_soon_threadsafe,
            wanted.value if wanted is not None else None,
        )
        try:
            self.catalog = self.data_dir.catalog
            self.cluster_id = self.catalog.cluster_id()
            if wanted is not None and wanted.value != self.cluster_id:
                logger.warning(
                    "%s=%s has no effect: the data directory %s belongs to the cluster %s",
                    wanted.origin,
                    wanted.value,
                    self.data_dir.path.absolute(),
                    self.cluster_id,
                )
            self.stored_configs = StoredConfigs(self.catalog)
            self.client_quotas = ClientQuotas(self.catalog)
            self.scram_credentials = ScramCredentials(self.catalog)
            self.features = Features(self.catalog)
            stored = self.stored_configs.dynamics(self.node_id)
            settings = StartupSettings(self.config, stored, self.data_dir.path)
            self.config = settings.config()
            self.stored_configs.leave_out_what_does_not_fit(self.config)
            self.topics = Topics(self.catalog, self.data_dir, self.config, self.clock)
            self.retention = Retention(self.topics, self.data_dir, self.clock)
            self.cleaning = Cleaning(self.topics, self.data_dir, self.clock, lambda: self.config, self.request_sync)
            slots = self.config.int("max.incremental.fetch.session.cache.slots")
            self.fetch_sessions = FetchSessions(slots, self.topics, self.clock)
            await asyncio.to_thread(self._open_short if self.data_dir.was_clean else self._recover)
            if not self.data_dir.was_clean:
                self.data_dir.checkpoint()
            if self.data_dir.lossy_logs:
                lossy = self.data_dir.lossy_logs
                have = "1 partition has" if lossy == 1 else f"{lossy} partitions have"
                logger.error("%s lost records (see the errors above)", have)
            self._report_orphans()
            self.groups = GroupCoordinator(
                self.catalog, self.clock, _group_config(self.config), self.topics, self._times_of_group
            )
            self.transactions = TransactionCoordinator(
                self.catalog, self.clock, _transaction_config(self.config), PartitionMarkers(self)
            )
            self.transactions.take_up()
            for owner in (self.groups, self.transactions.timers):
                owner.on_deadline_changed = partial(self._arm, owner)
                self._arm(owner)
            self.producer_ids = ProducerIds(self.catalog, self.synced)
            self.data_dir.flusher.attach(self._loop)
            self.server = Server(self)
            self.metrics = await self._serve_metrics()
            self.offsets_topic = OffsetsTopic(self, self._loop)
            try:
                await settings.listen(self.server, self.config, self.configure)
                self.offsets_topic.start()
            except BaseException:
                self.offsets_topic.close()  # while its logs are open
                raise
        except BaseException:
            await self._close_metrics()
            self.data_dir.flusher.detach()
            self.data_dir.close()
            raise
        milliseconds = self.config.int
        self._every(HOUSEKEEPING_S, self._keep_house)
        self._every(HOUSEKEEPING_S, self._in_turn(self._watch_files))
        self._every(milliseconds("log.flush.offset.checkpoint.interval.ms") / 1000, self.data_dir.checkpoint)
        self._every(milliseconds("producer.id.expiration.check.interval.ms") / 1000, self._expire_producers)
        retention_s = milliseconds("log.retention.check.interval.ms") / 1000
        first_retention_s = min(retention_s, milliseconds("log.initial.task.delay.ms") / 1000)
        self._every(retention_s, self._in_turn(self.retention.delete_expired), first_retention_s)
        self._every(self._cleaner_backoff_s, self._in_turn(self.cleaning.clean))
        self._every(milliseconds("offsets.retention.check.interval.ms") / 1000, self.groups.expire)
        cleanup = "transaction.remove.expired.transaction.cleanup.interval.ms"
        self._every(milliseconds(cleanup) / 1000, self.transactions.expire)

    async def _serve_metrics(self) -> MetricsEndpoint | None:
        address = self.config.string("barnabas.metrics.listener")
        if not address:
            return None
        from .metrics.endpoint import MetricsEndpoint  # what it needs takes 60 ms to import

        try:
            return await asyncio.to_thread(MetricsEndpoint, address, self.topics, self._loop)
        except OSError as error:
            given = self.config.given("barnabas.metrics.listener")
            assert given is not None  # by default there is no address
            raise OSError(error.errno, f"{error.strerror} (from {given.origin})") from None

    async def _close_metrics(self) -> None:
        if self.metrics is not None:
            await asyncio.to_thread(self.metrics.close)

    def _report_orphans(self) -> None:
        """Say which partition folders are not served: the catalog was lost, or they were copied here."""
        orphans = [
            folder.name
            for name, index, folder in folders(self.data_dir.path)
            if (topic := self.topics.get(name)) is None or index >= len(topic.partitions)
        ]
        if orphans:
            logger.warning(
                "%d partition folders belong to no topic and are not served (barnabas adopt takes them in): %s",
                len(orphans),
                ", ".join(orphans[:5]),
            )

    def _recover(self) -> None:
        """Open every log after a crash, before anybody is served; one that cannot be opened stays offline."""
        began = self.clock.monotonic()
        self._open_all()
        if self.data_dir.logs:
            logger.info(
                "the last stop was not clean: checked %d partitions, %d bytes, in %.1f s",
                len(self.data_dir.logs),
                sum(log.size_bytes for log in self.data_dir.logs.values()),
                self.clock.monotonic() - began,
            )

    def _open_all(self) -> None:
        for topic in self.topics:
            for partition in topic.partitions:
                if self.is_stopping:
                    return
                with suppress(LogOffline):  # said by the data directory
                    partition.log  # noqa: B018

    def _open_short(self) -> None:
        """Open the logs that have lost records since the clean stop, so that the start tells of them."""
        for name, index in self.data_dir.known.plainly_short():
            topic = self.topics.get(name)
            if topic is not None and index < len(topic.partitions):
                with suppress(LogOffline):  # said by the data directory
                    topic.partitions[index].log  # noqa: B018

    def _in_turn(self, work: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
        """Return what begins ``work``, unless it is still at it."""
        tasks: list[asyncio.Task[None]] = []

        def begin() -> None:
            if not tasks:
                tasks.append(self._loop.create_task(work()))
                tasks[0].add_done_callback(ended)

        def ended(task: asyncio.Task[None]) -> None:
            tasks.clear()
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("housekeeping failed", exc_info=error)

        return begin

    def _cleaner_backoff_s(self) -> float:
        return max(CLEANER_BACKOFF_MIN_S, self.config.int("log.cleaner.backoff.ms") / 1000)

    def _every(
        self, interval_s: float | Callable[[], float], work: Callable[[], None], first_s: float | None = None
    ) -> None:
        """Do ``work`` again and again; ``interval_s`` may change while it does."""
        at = len(self._timers)
        loop = self._loop

        def seconds() -> float:
            return interval_s() if callable(interval_s) else interval_s

        def run() -> None:
            try:
                work()
            except Exception:
                logger.exception("housekeeping failed")
            self._timers[at] = loop.call_later(seconds(), run)

        if seconds() > 0:
            self._timers.append(loop.call_later(seconds() if first_s is None else first_s, run))

    def _keep_house(self) -> None:
        self.server.shared.close_idle()
        self.data_dir.flush_due()

    async def _watch_files(self) -> None:
        """Stop taking what cannot be kept, because the files for it were moved, removed or made read-only."""
        try:
            await asyncio.to_thread(self.data_dir.presence.check)
        except DataDirLost as error:
            if not self.is_stopping and not self.lost.is_set():
                logger.critical("%s: nothing can be kept any more; shutting down", error)
                self.data_dir.give_up(str(error))
                self.lost.set()
            return
        for log, segment in await asyncio.to_thread(self.data_dir.growing_files.missing):
            log.lost_file(segment)

    def _expire_producers(self) -> None:
        self.data_dir.expire_producers(self.config.int("producer.id.expiration.ms"))

    def _times_of_group(self, group_id: str) -> GroupTimes:
        config = self.config
        if overrides := self.stored_configs.of(ResourceType.GROUP, group_id):
            group = GroupConfig(overrides, config)
            return GroupTimes(group.int("consumer.session.timeout.ms"), group.int("consumer.heartbeat.interval.ms"))
        prefix = "group.consumer"
        return GroupTimes(config.int(f"{prefix}.session.timeout.ms"), config.int(f"{prefix}.heartbeat.interval.ms"))

    def _arm(self, owner: GroupCoordinator | Timers) -> None:
        """Have the event loop awake at the owner's next deadline."""
        if (alarm := self._alarms.pop(owner, None)) is not None:
            alarm.cancel()
        deadline = owner.next_deadline()
        if deadline is not None and not self.is_stopping:
            delay = max(0.0, deadline - self.clock.monotonic())
            self._alarms[owner] = self._loop.call_later(delay, owner.advance)

    def sync_soon(self, target: Syncable, done: Done) -> None:
        """Have a log or the catalog brought to the disk, with all that others append in this turn of the loop.

        ``done`` is called with None or what went wrong.
        """
        if self.data_dir.flusher.share(target, done):
            return
        if not self._to_sync:
            self._loop.call_soon(self._sync_all)
        self._to_sync.setdefault(target, []).append(done)

    def _sync_all(self) -> None:
        wanted, self._to_sync = self._to_sync, {}
        self.data_dir.flusher.request_all(wanted)

    def request_sync(self, target: Syncable) -> asyncio.Future[None]:
        """Have a log or the catalog brought to the disk; the future is done when it is there, or has the error."""
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # nobody may be waiting

        self.data_dir.flusher.request(target, done)
        return future

    def when_committed(self, response: R) -> R | Awaitable[R]:
        """Return the response, or what gives it once all that was committed to the catalog may be acknowledged.

        Only ``barnabas.acknowledge.durable`` makes it wait, for the disk; awaiting raises CatalogError.
        """
        return self._when_synced(response) if self.acknowledge_durable and not self.catalog.is_synced else response

    def after_commit(self, then: Callable[[], None]) -> None:
        """Call ``then`` once everything that was committed to the catalog may be acted on; not after an error."""
        if self.acknowledge_durable and not self.catalog.is_synced:
            synced = self.request_sync(self.catalog)
            synced.add_done_callback(lambda _: None if synced.exception() else then())
        else:
            then()

    async def _when_synced(self, response: R) -> R:
        await self.synced()
        return response

    async def committed(self) -> None:
        """Return when what was committed to the catalog may be acknowledged. Raises CatalogError."""
        if self.acknowledge_durable and not self.catalog.is_synced:
            await self.synced()

    async def synced(self) -> None:
        """Return when what was committed to the catalog is on the disk. Raises CatalogError.

        Changes of topics always wait for it: records may be durable, and then their topic has to be.
        """
        await self.request_sync(self.catalog)

    def configure(self, config: BrokerConfig) -> None:
        """Go on with other settings, which take effect at once."""
        self.config = config
        self.server.configure(config)
        self.topics.reconfigure(config)

    async def stop(self) -> None:
        """Stop accepting, answer what can be answered, close the connections, and bring everything to the disk."""
        self.is_stopping = True
        for timer in (*self._timers, *self._alarms.values()):
            timer.cancel()
        for topic in self.topics:
            for partition in topic.partitions:
                partition.forget()
        self.cleaning.stop()
        self.groups.close()
        self.transactions.close()
        await self.server.stop()
        self.offsets_topic.close()
        await self._close_metrics()
        self.data_dir.flusher.detach()
        await asyncio.to_thread(self.data_dir.close)  # so that a second signal is heard


def _transaction_config(config: BrokerConfig) -> TransactionCoordinatorConfig:
    return TransactionCoordinatorConfig(
        transaction_max_timeout_ms=config.int("transaction.max.timeout.ms"),
        transactional_id_expiration_ms=config.int("transactional.id.expiration.ms"),
    )


def _group_config(config: BrokerConfig) -> GroupCoordinatorConfig:
    return GroupCoordinatorConfig(
        group_min_session_timeout_ms=config.int("group.min.session.timeout.ms"),
        group_max_session_timeout_ms=config.int("group.max.session.timeout.ms"),
        group_max_size=config.int("group.max.size"),
        group_initial_rebalance_delay_ms=config.int("group.initial.rebalance.delay.ms"),
        offset_metadata_max_bytes=config.int("offset.metadata.max.bytes"),
        offsets_retention_minutes=config.int("offsets.retention.minutes"),
        consumer_group_max_size=config.int("group.consumer.max.size"),
        consumer_migration_policy=config.string("group.consumer.migration.policy").lower(),
        consumer_assignors=config.consumer_assignors,
    )

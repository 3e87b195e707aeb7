"""Broker settings that stand in many files and compose stacks and change nothing here.

They are checked and shown as Kafka does, so that such a file needs no edit: KRaft, replication between brokers,
threads, metrics, remote storage, TLS and SASL.
"""

from .setting import LONG_MAX, ConfigType, Dynamic, Setting, Validator, Value, at_least, list_of, one_of

BOOLEAN, STRING, INT, SHORT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT, ConfigType.SHORT
LONG, DOUBLE, LIST = ConfigType.LONG, ConfigType.DOUBLE, ConfigType.LIST
CLASS, PASSWORD = ConfigType.CLASS, ConfigType.PASSWORD
READ_ONLY, PER_BROKER, CLUSTER_WIDE = Dynamic.READ_ONLY, Dynamic.PER_BROKER, Dynamic.CLUSTER_WIDE

_POSITIVE = at_least(1)
_NOT_NEGATIVE = at_least(0)

Row = tuple[str, ConfigType, Value, Validator | None, Dynamic]


def _rows(subject: str, *rows: Row, is_internal: bool = False) -> tuple[Setting, ...]:
    """Return ``rows`` as settings whose documentation says what they are about, and that they do nothing."""
    documentation = f"Concerns {subject}; accepted and shown, without effect in Barnabas."
    return tuple(
        Setting(name, type, default, documentation, validator, dynamic, is_internal=is_internal)
        for name, type, default, validator, dynamic in rows
    )


_KRAFT = _rows(
    "Kafka's own controllers (KRaft)",
    ("controller.quorum.voters", LIST, (), None, READ_ONLY),
    ("controller.quorum.bootstrap.servers", LIST, (), None, READ_ONLY),
    ("controller.quorum.auto.join.enable", BOOLEAN, False, None, READ_ONLY),
    ("controller.quorum.election.timeout.ms", INT, 1000, _NOT_NEGATIVE, READ_ONLY),
    ("controller.quorum.election.backoff.max.ms", INT, 1000, _NOT_NEGATIVE, READ_ONLY),
    ("controller.quorum.fetch.timeout.ms", INT, 2000, _NOT_NEGATIVE, READ_ONLY),
    ("controller.quorum.request.timeout.ms", INT, 2000, _NOT_NEGATIVE, READ_ONLY),
    ("controller.quorum.retry.backoff.ms", INT, 20, _NOT_NEGATIVE, READ_ONLY),
    ("controller.quorum.append.linger.ms", INT, 25, _NOT_NEGATIVE, READ_ONLY),
    ("controller.socket.timeout.ms", INT, 30_000, None, READ_ONLY),
    ("controlled.shutdown.enable", BOOLEAN, True, None, READ_ONLY),
    ("broker.heartbeat.interval.ms", INT, 2000, None, READ_ONLY),
    ("broker.session.timeout.ms", INT, 9000, None, READ_ONLY),
    ("initial.broker.registration.timeout.ms", INT, 60_000, None, READ_ONLY),
    ("metadata.log.dir", STRING, None, None, READ_ONLY),
    ("metadata.log.segment.bytes", INT, 2**30, at_least(8 * 2**20), READ_ONLY),
    ("metadata.log.segment.ms", LONG, 604_800_000, None, READ_ONLY),
    ("metadata.log.max.record.bytes.between.snapshots", LONG, 20 * 2**20, _POSITIVE, READ_ONLY),
    ("metadata.log.max.snapshot.interval.ms", LONG, 3_600_000, _NOT_NEGATIVE, READ_ONLY),
    ("metadata.max.idle.interval.ms", INT, 500, _NOT_NEGATIVE, READ_ONLY),
    ("metadata.max.retention.bytes", LONG, 100 * 2**20, None, READ_ONLY),
    ("metadata.max.retention.ms", LONG, 604_800_000, None, READ_ONLY),
    ("controller.quorum.fetch.max.bytes", INT, 1_048_576, _NOT_NEGATIVE, READ_ONLY),
    ("controller.quorum.fetch.snapshot.max.bytes", INT, 1_048_576, _NOT_NEGATIVE, READ_ONLY),
    ("cordoned.log.dirs", LIST, (), None, PER_BROKER),
)

_REPLICATION = _rows(
    "replication between brokers",
    ("num.replica.fetchers", INT, 1, _POSITIVE, CLUSTER_WIDE),
    ("replica.fetch.backoff.ms", INT, 1000, _NOT_NEGATIVE, READ_ONLY),
    ("replica.fetch.max.bytes", INT, 2**20, _NOT_NEGATIVE, READ_ONLY),
    ("replica.fetch.min.bytes", INT, 1, None, READ_ONLY),
    ("replica.fetch.response.max.bytes", INT, 10 * 2**20, _NOT_NEGATIVE, READ_ONLY),
    ("replica.fetch.wait.max.ms", INT, 500, None, READ_ONLY),
    ("replica.high.watermark.checkpoint.interval.ms", LONG, 5000, None, READ_ONLY),
    ("replica.lag.time.max.ms", LONG, 30_000, None, READ_ONLY),
    ("replica.selector.class", STRING, None, None, READ_ONLY),
    ("replica.socket.receive.buffer.bytes", INT, 65_536, None, READ_ONLY),
    ("replica.socket.timeout.ms", INT, 30_000, None, READ_ONLY),
    ("auto.leader.rebalance.enable", BOOLEAN, True, None, READ_ONLY),
    ("leader.imbalance.check.interval.seconds", LONG, 300, _POSITIVE, READ_ONLY),
    ("num.replica.alter.log.dirs.threads", INT, None, None, READ_ONLY),
    ("replication.quota.window.num", INT, 11, _POSITIVE, READ_ONLY),
    ("replication.quota.window.size.seconds", INT, 1, _POSITIVE, READ_ONLY),
    ("alter.log.dirs.replication.quota.window.num", INT, 11, _POSITIVE, READ_ONLY),
    ("alter.log.dirs.replication.quota.window.size.seconds", INT, 1, _POSITIVE, READ_ONLY),
)

_THREADS = _rows(
    "threads and queues inside Kafka",
    ("num.network.threads", INT, 3, _POSITIVE, CLUSTER_WIDE),
    ("num.io.threads", INT, 8, _POSITIVE, CLUSTER_WIDE),
    ("background.threads", INT, 10, _POSITIVE, CLUSTER_WIDE),
    ("fetch.purgatory.purge.interval.requests", INT, 1000, None, READ_ONLY),
    ("producer.purgatory.purge.interval.requests", INT, 1000, None, READ_ONLY),
    ("delete.records.purgatory.purge.interval.requests", INT, 1, None, READ_ONLY),
    ("share.fetch.purgatory.purge.interval.requests", INT, 1000, None, READ_ONLY),
    ("socket.connection.setup.timeout.ms", LONG, 10_000, None, READ_ONLY),
    ("socket.connection.setup.timeout.max.ms", LONG, 30_000, None, READ_ONLY),
    ("add.partitions.to.txn.retry.backoff.max.ms", INT, 100, _NOT_NEGATIVE, READ_ONLY),
    ("add.partitions.to.txn.retry.backoff.ms", INT, 20, _NOT_NEGATIVE, READ_ONLY),
    ("config.providers", LIST, (), None, CLUSTER_WIDE),
)

_METRICS = _rows(
    "metrics inside Kafka",
    ("metric.reporters", LIST, ("org.apache.kafka.common.metrics.JmxReporter",), list_of(), CLUSTER_WIDE),
    ("metrics.num.samples", INT, 2, _POSITIVE, READ_ONLY),
    ("metrics.recording.level", STRING, "INFO", one_of("INFO", "DEBUG", "TRACE"), READ_ONLY),
    ("metrics.sample.window.ms", LONG, 30_000, _POSITIVE, READ_ONLY),
    ("kafka.metrics.reporters", LIST, (), list_of(), READ_ONLY),
    ("kafka.metrics.polling.interval.secs", INT, 10, _POSITIVE, READ_ONLY),
)

_SHARE_STATE = _rows(
    "the topic in which Kafka keeps the state of share groups",
    ("share.coordinator.state.topic.replication.factor", SHORT, 3, _POSITIVE, READ_ONLY),
    ("share.coordinator.state.topic.min.isr", SHORT, 2, _POSITIVE, READ_ONLY),
    ("share.coordinator.state.topic.num.partitions", INT, 50, _POSITIVE, READ_ONLY),
    ("share.coordinator.state.topic.segment.bytes", INT, 100 * 2**20, _POSITIVE, READ_ONLY),
    ("share.coordinator.append.linger.ms", INT, -1, None, READ_ONLY),
    ("share.coordinator.cached.buffer.max.bytes", INT, 1_048_588, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("share.coordinator.load.buffer.size", INT, 5_242_880, _NOT_NEGATIVE, READ_ONLY),
    ("share.coordinator.snapshot.update.records.per.snapshot", INT, 500, _NOT_NEGATIVE, READ_ONLY),
    ("share.coordinator.state.topic.compression.codec", INT, 0, _NOT_NEGATIVE, READ_ONLY),
    ("share.coordinator.threads", INT, 1, _NOT_NEGATIVE, READ_ONLY),
    ("share.coordinator.write.timeout.ms", INT, 5000, _NOT_NEGATIVE, READ_ONLY),
)

_REMOTE = _rows(
    "tiered storage",
    ("remote.log.storage.system.enable", BOOLEAN, False, None, READ_ONLY),
    ("remote.log.storage.manager.class.name", STRING, None, None, READ_ONLY),
    ("remote.log.storage.manager.class.path", STRING, None, None, READ_ONLY),
    ("remote.log.metadata.manager.listener.name", STRING, None, None, READ_ONLY),
    ("remote.log.manager.copy.max.bytes.per.second", LONG, LONG_MAX, _POSITIVE, CLUSTER_WIDE),
    ("remote.log.manager.fetch.max.bytes.per.second", LONG, LONG_MAX, _POSITIVE, CLUSTER_WIDE),
    ("follower.fetch.last.tiered.offset.enable", BOOLEAN, False, None, CLUSTER_WIDE),
    ("remote.fetch.max.wait.ms", INT, 500, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.list.offsets.request.timeout.ms", LONG, 30_000, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.log.index.file.cache.total.size.bytes", LONG, 1_073_741_824, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.log.manager.copier.thread.pool.size", INT, 10, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.log.manager.copy.quota.window.num", INT, 11, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.manager.copy.quota.window.size.seconds", INT, 1, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.manager.expiration.thread.pool.size", INT, 10, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.log.manager.fetch.quota.window.num", INT, 11, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.manager.fetch.quota.window.size.seconds", INT, 1, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.manager.follower.thread.pool.size", INT, 2, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.log.manager.task.interval.ms", LONG, 30_000, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.manager.thread.pool.size", INT, 2, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.metadata.custom.metadata.max.bytes", INT, 128, _NOT_NEGATIVE, READ_ONLY),
    (
        "remote.log.metadata.manager.class.name",
        STRING,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
        None,
        READ_ONLY,
    ),
    ("remote.log.metadata.manager.class.path", STRING, None, None, READ_ONLY),
    ("remote.log.metadata.manager.impl.prefix", STRING, "rlmm.config.", None, READ_ONLY),
    ("remote.log.reader.max.pending.tasks", INT, 100, _NOT_NEGATIVE, READ_ONLY),
    ("remote.log.reader.threads", INT, 10, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("remote.log.storage.manager.impl.prefix", STRING, "rsm.config.", None, READ_ONLY),
)

_TLS = _rows(
    "TLS, which no listener of this version speaks",
    ("ssl.client.auth", STRING, "none", one_of("required", "requested", "none"), PER_BROKER),
    ("ssl.protocol", STRING, "TLSv1.3", None, PER_BROKER),
    ("ssl.provider", STRING, None, None, PER_BROKER),
    ("ssl.enabled.protocols", LIST, ("TLSv1.2", "TLSv1.3"), list_of(), PER_BROKER),
    ("ssl.cipher.suites", LIST, (), list_of(), PER_BROKER),
    ("ssl.keystore.type", STRING, "JKS", None, PER_BROKER),
    ("ssl.keystore.location", STRING, None, None, PER_BROKER),
    ("ssl.keystore.password", PASSWORD, None, None, PER_BROKER),
    ("ssl.keystore.key", PASSWORD, None, None, PER_BROKER),
    ("ssl.keystore.certificate.chain", PASSWORD, None, None, PER_BROKER),
    ("ssl.key.password", PASSWORD, None, None, PER_BROKER),
    ("ssl.truststore.type", STRING, "JKS", None, PER_BROKER),
    ("ssl.truststore.location", STRING, None, None, PER_BROKER),
    ("ssl.truststore.password", PASSWORD, None, None, PER_BROKER),
    ("ssl.truststore.certificates", PASSWORD, None, None, PER_BROKER),
    ("ssl.endpoint.identification.algorithm", STRING, "https", None, PER_BROKER),
    ("ssl.keymanager.algorithm", STRING, "SunX509", None, PER_BROKER),
    ("ssl.trustmanager.algorithm", STRING, "PKIX", None, PER_BROKER),
    ("ssl.secure.random.implementation", STRING, None, None, PER_BROKER),
    ("ssl.engine.factory.class", CLASS, None, None, PER_BROKER),
    ("ssl.principal.mapping.rules", STRING, "DEFAULT", None, READ_ONLY),
    ("ssl.allow.dn.changes", BOOLEAN, False, None, READ_ONLY),
    ("ssl.allow.san.changes", BOOLEAN, False, None, READ_ONLY),
)

_SASL = _rows(
    "SASL and authorisation, which no listener of this version speaks",
    ("sasl.enabled.mechanisms", LIST, ("GSSAPI",), list_of(), PER_BROKER),
    ("sasl.mechanism.inter.broker.protocol", STRING, "GSSAPI", None, PER_BROKER),
    ("sasl.mechanism.controller.protocol", STRING, "GSSAPI", None, READ_ONLY),
    ("sasl.jaas.config", PASSWORD, None, None, PER_BROKER),
    ("sasl.client.callback.handler.class", CLASS, None, None, READ_ONLY),
    ("sasl.login.callback.handler.class", CLASS, None, None, READ_ONLY),
    ("sasl.login.class", CLASS, None, None, READ_ONLY),
    ("sasl.server.callback.handler.class", CLASS, None, None, READ_ONLY),
    ("sasl.server.max.receive.size", INT, 524_288, None, READ_ONLY),
    ("sasl.kerberos.service.name", STRING, None, None, PER_BROKER),
    ("sasl.oauthbearer.jwks.endpoint.url", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.token.endpoint.url", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.expected.audience", LIST, (), None, READ_ONLY),
    ("sasl.oauthbearer.expected.issuer", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.scope.claim.name", STRING, "scope", None, READ_ONLY),
    ("sasl.oauthbearer.sub.claim.name", STRING, "sub", None, READ_ONLY),
    ("connections.max.reauth.ms", LONG, 0, None, READ_ONLY),
    (
        "principal.builder.class",
        CLASS,
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder",
        None,
        PER_BROKER,
    ),
    ("authorizer.class.name", STRING, "", None, READ_ONLY),
    ("client.quota.callback.class", CLASS, None, None, READ_ONLY),
    ("delegation.token.secret.key", PASSWORD, None, None, READ_ONLY),
    ("delegation.token.max.lifetime.ms", LONG, 604_800_000, _POSITIVE, READ_ONLY),
    ("delegation.token.expiry.time.ms", LONG, 86_400_000, _POSITIVE, READ_ONLY),
    ("delegation.token.expiry.check.interval.ms", LONG, 3_600_000, _POSITIVE, READ_ONLY),
    ("sasl.kerberos.kinit.cmd", STRING, "/usr/bin/kinit", None, PER_BROKER),
    ("sasl.kerberos.min.time.before.relogin", LONG, 60_000, _NOT_NEGATIVE, PER_BROKER),
    ("sasl.kerberos.principal.to.local.rules", LIST, ("DEFAULT",), None, PER_BROKER),
    ("sasl.kerberos.ticket.renew.jitter", DOUBLE, 0.05, None, PER_BROKER),
    ("sasl.kerberos.ticket.renew.window.factor", DOUBLE, 0.8, None, PER_BROKER),
    ("sasl.login.connect.timeout.ms", INT, None, None, READ_ONLY),
    ("sasl.login.read.timeout.ms", INT, None, None, READ_ONLY),
    ("sasl.login.refresh.buffer.seconds", SHORT, 300, None, PER_BROKER),
    ("sasl.login.refresh.min.period.seconds", SHORT, 60, None, PER_BROKER),
    ("sasl.login.refresh.window.factor", DOUBLE, 0.8, None, PER_BROKER),
    ("sasl.login.refresh.window.jitter", DOUBLE, 0.05, None, PER_BROKER),
    ("sasl.login.retry.backoff.max.ms", LONG, 10_000, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.login.retry.backoff.ms", LONG, 100, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.oauthbearer.assertion.algorithm", STRING, "RS256", None, READ_ONLY),
    ("sasl.oauthbearer.assertion.claim.aud", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.claim.exp.seconds", INT, 300, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.oauthbearer.assertion.claim.iss", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.claim.jti.include", BOOLEAN, False, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.claim.nbf.seconds", INT, 60, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.oauthbearer.assertion.claim.sub", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.file", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.private.key.file", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.private.key.passphrase", PASSWORD, None, None, READ_ONLY),
    ("sasl.oauthbearer.assertion.template.file", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.client.credentials.client.id", STRING, None, None, READ_ONLY),
    ("sasl.oauthbearer.client.credentials.client.secret", PASSWORD, None, None, READ_ONLY),
    ("sasl.oauthbearer.clock.skew.seconds", INT, 30, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.oauthbearer.jwks.endpoint.refresh.ms", LONG, 3_600_000, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", LONG, 10_000, _NOT_NEGATIVE, READ_ONLY),
    ("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", LONG, 100, _NOT_NEGATIVE, READ_ONLY),
    (
        "sasl.oauthbearer.jwt.retriever.class",
        CLASS,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever",
        None,
        READ_ONLY,
    ),
    (
        "sasl.oauthbearer.jwt.validator.class",
        CLASS,
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator",
        None,
        READ_ONLY,
    ),
    ("sasl.oauthbearer.scope", STRING, None, None, READ_ONLY),
    ("security.providers", STRING, None, None, READ_ONLY),
)

# Kafka's authorizer reads these; Kafka itself does not know them and shows no more than their names.
_AUTHORIZER = _rows(
    "authorisation, which this version does not have",
    ("super.users", ConfigType.UNKNOWN, None, None, CLUSTER_WIDE),
    ("allow.everyone.if.no.acl.found", ConfigType.UNKNOWN, None, None, CLUSTER_WIDE),
    is_internal=True,
)

_UNSTABLE = _rows(
    "versions of APIs and features that a release of Kafka does not support yet",
    ("unstable.api.versions.enable", BOOLEAN, False, None, READ_ONLY),
    ("unstable.feature.versions.enable", BOOLEAN, False, None, READ_ONLY),
    is_internal=True,
)

# Kafka's DynamicConfig: kafka-reassign-partitions sets them, and they are shown only where they are set.
_THROTTLES = _rows(
    "the copying of partitions between brokers and directories",
    ("leader.replication.throttled.rate", LONG, None, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("follower.replication.throttled.rate", LONG, None, _NOT_NEGATIVE, CLUSTER_WIDE),
    ("replica.alter.log.dirs.io.max.bytes.per.second", LONG, None, _NOT_NEGATIVE, CLUSTER_WIDE),
    is_internal=True,
)

ACCEPTED_TABLE = (
    *(_KRAFT + _REPLICATION + _THREADS + _METRICS + _SHARE_STATE + _REMOTE),
    *(_TLS + _SASL + _AUTHORIZER + _UNSTABLE + _THROTTLES),
)

"""Broker settings: who this broker is, where it listens, what it lets a client do."""

from .setting import (
    INT_MAX,
    ConfigType,
    Dynamic,
    Setting,
    Validator,
    address_or_nothing,
    at_least,
    list_of,
    one_of,
)

BOOLEAN, STRING, INT = ConfigType.BOOLEAN, ConfigType.STRING, ConfigType.INT
SHORT, LONG, LIST = ConfigType.SHORT, ConfigType.LONG, ConfigType.LIST
PER_BROKER, CLUSTER_WIDE = Dynamic.PER_BROKER, Dynamic.CLUSTER_WIDE

SECURITY_PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


def connection_limits(text: str) -> dict[str, int]:
    """Return the limit of each address in ``address:count,...``. Raises ValueError (Kafka's Csv.parseCsvMap)."""
    limits = {}
    for item in filter(None, map(str.strip, text.split(","))):
        address, colon, count = item.rpartition(":")
        if not (colon and address.strip()):
            raise ValueError(item)
        limits[address.strip().strip("[]")] = int(count)
    return limits


def _are_connection_limits(text: str) -> bool:
    try:
        connection_limits(text)
    except ValueError:
        return False
    return True


SERVER_TABLE = (
    # Identity
    Setting("node.id", INT, 1, "The number of this broker in the cluster; Kafka demands one.", at_least(0)),
    Setting("broker.id", INT, 1, "The old name of node.id; both say the same.", at_least(0)),
    Setting("broker.rack", STRING, None, "Where this broker stands, for clients that fetch from nearby."),
    Setting(
        "process.roles",
        LIST,
        ("broker", "controller"),
        "The roles of this process; Barnabas is always both.",
        list_of("broker", "controller", empty_allowed=False),
    ),
    # Listeners
    Setting(
        "listeners",
        LIST,
        ("PLAINTEXT://:9092",),
        "Addresses to listen on, NAME://host:port; no host means all interfaces, port 0 a free one.",
        dynamic=PER_BROKER,
    ),
    Setting(
        "advertised.listeners",
        LIST,
        None,
        "Addresses clients are told to connect to; unset, each is told the address it came by.",
        dynamic=PER_BROKER,
    ),
    Setting(
        "listener.security.protocol.map",
        STRING,
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "The security protocol of each listener, NAME:PROTOCOL.",
        dynamic=PER_BROKER,
    ),
    Setting(
        "controller.listener.names",
        LIST,
        ("CONTROLLER",),
        "Listeners that belong to KRaft controllers; Barnabas opens none of them.",
        list_of(),
    ),
    Setting("inter.broker.listener.name", STRING, None, "The listener brokers use among themselves; accepted."),
    Setting(
        "security.inter.broker.protocol",
        STRING,
        "PLAINTEXT",
        "The security protocol brokers use among themselves; accepted.",
        one_of(*SECURITY_PROTOCOLS),
    ),
    Setting("early.start.listeners", LIST, None, "Listeners open before start-up is done; accepted."),
    # Sockets and connections
    Setting("socket.send.buffer.bytes", INT, 102_400, "SO_SNDBUF of client sockets; -1 leaves it to the system."),
    Setting(
        "socket.receive.buffer.bytes",
        INT,
        102_400,
        "SO_RCVBUF of client sockets; -1 leaves it to the system.",
    ),
    Setting(
        "socket.request.max.bytes",
        INT,
        100 * 2**20,
        "The largest request that is read; a larger one ends the connection.",
        at_least(1),
    ),
    Setting(
        "socket.listen.backlog.size",
        INT,
        50,
        "Connections that may wait to be accepted, per listener.",
        at_least(1),
    ),
    Setting(
        "connections.max.idle.ms",
        LONG,
        600_000,
        "A connection silent for this many milliseconds is closed; a negative number never closes.",
    ),
    Setting(
        "connection.failed.authentication.delay.ms",
        INT,
        100,
        "How long the answer to a failed login is held back, in milliseconds.",
        at_least(0),
    ),
    Setting(
        "max.connections",
        INT,
        INT_MAX,
        "Connections this broker holds at most; further ones are closed.",
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "max.connections.per.ip",
        INT,
        INT_MAX,
        "Connections one address may hold; further ones are closed.",
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "max.connections.per.ip.overrides",
        STRING,
        "",
        "Exceptions to max.connections.per.ip, address:count.",
        Validator(_are_connection_limits, ", a list of address:count"),
        CLUSTER_WIDE,
    ),
    Setting(
        "max.connection.creation.rate",
        INT,
        INT_MAX,
        "New connections taken per second.",
        at_least(0),
        CLUSTER_WIDE,
    ),
    Setting(
        "queued.max.requests",
        INT,
        500,
        "Requests that may wait for their turn before sockets are no longer read.",
        at_least(1),
    ),
    Setting(
        "queued.max.request.bytes",
        LONG,
        -1,
        "Bytes of requests that may wait before sockets are no longer read; -1 sets no limit.",
    ),
    # Requests
    Setting("fetch.max.bytes", INT, 55 * 2**20, "The most one fetch answers, in bytes.", at_least(1024)),
    Setting(
        "max.incremental.fetch.session.cache.slots",
        INT,
        1000,
        "Fetch sessions that are kept; with 0 every fetch names all its partitions.",
        at_least(0),
    ),
    Setting(
        "max.request.partition.size.limit",
        INT,
        2000,
        "Partitions one DescribeTopicPartitions answers at most.",
        at_least(1),
    ),
    Setting("request.timeout.ms", INT, 30_000, "How long a broker waits for another; accepted."),
    Setting("telemetry.max.bytes", INT, 2**20, "The largest metrics push taken from a client.", at_least(1)),
    # Topics
    Setting("num.partitions", INT, 1, "Partitions of a topic whose creator named no number.", at_least(1)),
    Setting(
        "default.replication.factor",
        INT,
        1,
        "Replicas of a topic whose creator named no number.",
        at_least(1),
    ),
    Setting(
        "auto.create.topics.enable",
        BOOLEAN,
        True,
        "Whether asking for a topic that does not exist creates it.",
    ),
    Setting("delete.topic.enable", BOOLEAN, True, "Whether topics can be deleted."),
    # Quotas
    Setting("quota.window.num", INT, 11, "Windows a client quota is measured over.", at_least(1)),
    Setting("quota.window.size.seconds", INT, 1, "Seconds of one client quota window.", at_least(1)),
    Setting("controller.quota.window.num", INT, 11, "Windows the mutation quota is measured over.", at_least(1)),
    Setting("controller.quota.window.size.seconds", INT, 1, "Seconds of one mutation quota window.", at_least(1)),
    # Barnabas' own
    Setting(
        "barnabas.acknowledge.durable",
        BOOLEAN,
        False,
        "Whether every acknowledgement waits until the disk has it, log and catalog alike.",
    ),
    Setting(
        "barnabas.auto.create.topics.at.once",
        BOOLEAN,
        True,
        "Whether a Metadata request that makes a topic is answered with it; else the client has to ask again.",
    ),
    Setting(
        "barnabas.metrics.listener",
        STRING,
        "",
        "Where Prometheus gets metrics over HTTP: host:port, or :port on all interfaces; nowhere when empty.",
        address_or_nothing(),
    ),
)

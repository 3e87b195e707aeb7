"""The settings of a group, KIP-848's and its successors', and of a client metrics subscription (KIP-714)."""

import re

from .setting import ConfigType, Setting, Synonym, Validator, at_least, between, list_of, one_of

INT, STRING, LIST = ConfigType.INT, ConfigType.STRING, ConfigType.LIST

# by_duration takes a duration in ISO 8601.
_OFFSET_RESET = re.compile(r"earliest|latest|by_duration:P(?!$)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.I)
_MATCH = re.compile(
    r"(client_instance_id|client_id|client_software_name|client_software_version|client_source_address"
    r"|client_source_port)\s*=\s*([^=]+)"
)


def _timing(name: str, default: int, documentation: str, low: int = 1) -> Setting:
    return Setting(name, INT, default, documentation, at_least(low), synonyms=(Synonym(f"group.{name}"),))


def _assignment_interval(kind: str) -> Setting:
    return _timing(
        f"{kind}.assignment.interval.ms", 1000, f"The least time between two assignments of a {kind} group, in ms.", 0
    )


GROUP_TABLE = (
    _assignment_interval("consumer"),
    _assignment_interval("share"),
    _assignment_interval("streams"),
    _timing("consumer.heartbeat.interval.ms", 5000, "How often a member of a consumer group says that it lives, ms."),
    _timing("consumer.session.timeout.ms", 45_000, "How long a member of a consumer group may be silent, in ms."),
    Setting(
        "share.auto.offset.reset",
        STRING,
        "latest",
        "Where a share group begins: earliest, latest, or by_duration:PnDTnHnMnS before now.",
        Validator(
            lambda value: bool(_OFFSET_RESET.fullmatch(value)),
            ": earliest, latest or by_duration:PnDTnHnMnS",
            lambda value: (
                f"Invalid value `{value}` for configuration share.auto.offset.reset. The value must be either"
                " 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."
            ),
        ),
    ),
    _timing("share.delivery.count.limit", 5, "How often a record is delivered before it is given up.", 2),
    _timing("share.partition.max.record.locks", 2000, "Records of one partition that are held at a time.", 100),
    Setting(
        "share.renew.acknowledge.enable",
        ConfigType.BOOLEAN,
        True,
        "Whether a member of a share group may prolong its hold on a record.",
    ),
    _timing("share.heartbeat.interval.ms", 5000, "How often a member of a share group says that it lives, ms."),
    Setting(
        "share.isolation.level",
        STRING,
        "read_uncommitted",
        "Whether a share group is given records of transactions before they are committed.",
        one_of("read_committed", "read_uncommitted"),
    ),
    _timing("share.record.lock.duration.ms", 30_000, "How long a share group's member keeps a record, in ms.", 1000),
    _timing("share.session.timeout.ms", 45_000, "How long a member of a share group may be silent, in ms."),
    _timing("streams.heartbeat.interval.ms", 5000, "How often a member of a streams group says that it lives, ms."),
    _timing("streams.initial.rebalance.delay.ms", 3000, "How long a new streams group waits for members, ms.", 0),
    _timing("streams.num.standby.replicas", 0, "Standby tasks of each streams task.", 0),
    _timing("streams.session.timeout.ms", 45_000, "How long a member of a streams group may be silent, in ms."),
)


def _is_pattern(text: str) -> bool:
    match = _MATCH.fullmatch(text.strip())
    if match is None:
        return False
    try:
        re.compile(match[2].strip())
    except re.error:
        return False
    return True


CLIENT_METRICS_TABLE = (
    Setting("interval.ms", INT, 300_000, "How often clients push their metrics, in ms.", between(100, 3_600_000)),
    Setting(
        "match",
        LIST,
        (),
        "Which clients: name=pattern pairs.",
        Validator(lambda values: all(map(_is_pattern, values)), " of client_id=pattern and the like"),
    ),
    Setting("metrics", LIST, (), "Prefixes of the metrics that clients push; * for all.", list_of()),
)

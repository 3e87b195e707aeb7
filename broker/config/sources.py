"""Where the broker's settings come from: flags, then BARNABAS_…, then KAFKA_…, then the properties file.

Defaults are in the table. Nothing is judged here: BrokerConfig tells what is wrong. But a name nobody knows is no
more than a warning when it stands in a file or in the environment, where Kafka ignores it too.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from .errors import ConfigError
from .table import BROKER_SETTINGS, unknown

# Variables that steer Kafka's own scripts and images, and name no setting.
NOT_SETTINGS = frozenset(
    (
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_HEAP_OPTS",
        "KAFKA_HOME",
        "KAFKA_JMX_HOSTNAME",
        "KAFKA_JMX_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_OPTS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
        "KAFKA_VERSION",
    )
)
# Variables of ours that the command line reads.
OPTIONS = frozenset(("BARNABAS_CONFIG", "BARNABAS_LOG_LEVEL", "BARNABAS_PORT"))
# The id of the cluster, strongest first: after our name those of the images of Bitnami, and of Apache and Confluent.
CLUSTER_IDS = ("BARNABAS_CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID", "CLUSTER_ID")
# Kubernetes sets these in every container beside a service named barnabas or kafka; BARNABAS_PORT is tcp://… then.
_OF_KUBERNETES = re.compile(
    r"(?:BARNABAS|KAFKA)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP)(?:_\w+)?)"
)
# Weakest first. KAFKA_CFG_ is how Bitnami's image spells it.
PREFIXES = ("KAFKA_", "KAFKA_CFG_", "BARNABAS_")


class Given(NamedTuple):
    """A value as somebody wrote it. ``origin`` says where, in words that follow "from"."""

    value: str
    origin: str


class Reading(NamedTuple):
    """All values that are given, strongest already chosen, and warnings of one line each.

    ``cluster_id``: what the environment says; it is no setting in Kafka either.
    """

    given: dict[str, Given]
    warnings: list[str]
    cluster_id: Given | None = None


def read_sources(
    flags: Iterable[tuple[str, Given]] = (),
    environ: Mapping[str, str] | None = None,
    properties_file: str | None = None,
) -> Reading:
    """Gather settings by precedence; of two equal flags the later wins.

    Raises ConfigError for an unreadable file, and for BARNABAS_PORT beside BARNABAS_LISTENERS.
    """
    environ = environ or {}
    reading = Reading({}, [])
    if properties_file is not None:
        for name, value, line in _read_file(properties_file):
            _take(reading, name, Given(value, f"{properties_file} line {line}"))
    for prefix in PREFIXES:
        for variable in sorted(environ):
            if _prefix_of(variable) == prefix and not _is_no_setting(variable, environ[variable]):
                given = Given(environ[variable], variable)
                _take(reading, setting_named_by(variable[len(prefix) :], prefix), given)
    _take_port(reading, environ)
    reading.given.update(flags)
    return reading._replace(cluster_id=_cluster_id(reading, environ))


def _is_no_setting(variable: str, value: str) -> bool:
    return (
        variable in NOT_SETTINGS
        or variable in OPTIONS
        or variable in CLUSTER_IDS
        or _OF_KUBERNETES.fullmatch(variable) is not None
        or (variable == "KAFKA_PORT" and "://" in value)
    )


def _take_port(reading: Reading, environ: Mapping[str, str]) -> None:
    """Take BARNABAS_PORT, short for a listener on all interfaces, when it is a number."""
    port = environ.get("BARNABAS_PORT", "").strip()
    if port.isascii() and port.isdigit():
        if environ.get("BARNABAS_LISTENERS"):
            raise ConfigError(["BARNABAS_PORT and BARNABAS_LISTENERS contradict each other: set one of them"])
        reading.given["listeners"] = Given(f"PLAINTEXT://:{port}", "BARNABAS_PORT")
    elif port and "://" not in port:
        reading.warnings.append(f"BARNABAS_PORT is ignored: {port} is not a number")


def _cluster_id(reading: Reading, environ: Mapping[str, str]) -> Given | None:
    """Return the id for a new cluster. As kafka-storage does, it takes any text, but not one of several lines."""
    for variable in CLUSTER_IDS:
        if value := environ.get(variable, "").strip():
            if value.isprintable():
                return Given(value, variable)
            reading.warnings.append(f"{variable} is ignored: an id has no control characters")
    return None


def setting_named_by(variable: str, prefix: str = "") -> str:
    """Return the setting a variable without its ``prefix`` stands for: LOG_RETENTION_MS is log.retention.ms.

    As in Kafka's image: _ is a dot, __ an underscore, ___ a dash. After BARNABAS_ our own settings need no second
    "barnabas", and DATA_DIR is log.dirs.
    """
    name = variable.lower().replace("_", ".").replace("...", "-").replace("..", "_")
    if prefix == "BARNABAS_":
        if name == "data.dir":
            return "log.dirs"
        if f"barnabas.{name}" in BROKER_SETTINGS:
            return f"barnabas.{name}"
    return name


def _prefix_of(variable: str) -> str:
    return next((prefix for prefix in reversed(PREFIXES) if variable.startswith(prefix)), "")


def _take(reading: Reading, name: str, given: Given) -> None:
    if name in BROKER_SETTINGS:
        reading.given[name] = given
    else:
        reading.warnings.append(f"{given.origin} is ignored: {name} {unknown(name, BROKER_SETTINGS)}")


def _read_file(path: str) -> Iterator[tuple[str, str, int]]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError([f"{path} cannot be read: {error.strerror}"]) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("iso-8859-1")
    try:
        yield from parse_properties(text)
    except ValueError as error:
        raise ConfigError([f"{path} {error}"]) from error


_LINE_END = re.compile(r"\r\n|\r|\n")
_BLANK = " \t\f"
# A key ends at the first blank, "=" or ":" that no backslash stands before; one "=" or ":" may follow blanks.
_PAIR = re.compile(r"((?:\\.|[^\\=: \t\f])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield (key, value, line number from 1) of a Java properties file. Raises ValueError for a bad \\u escape."""
    lines = enumerate(_LINE_END.split(text), 1)
    for number, line in lines:
        line = line.lstrip(_BLANK)
        if not line or line[0] in "#!":
            continue
        while (len(line) - len(line.rstrip("\\"))) % 2:  # an odd number of backslashes: the next line belongs to it
            line = line[:-1] + next(lines, (0, ""))[1].lstrip(_BLANK)
        pair = _PAIR.fullmatch(line)
        assert pair is not None  # every part of the pattern may be empty
        yield _unescape(pair[1], number), _unescape(pair[2], number), number


def _unescape(text: str, number: int) -> str:
    def replace(escape: re.Match[str]) -> str:
        code = escape[1]
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code == "u":
            raise ValueError(f"line {number}: \\u must be followed by four hexadecimal digits")
        return _LETTERS.get(code, code)

    if "\\" not in text:
        return text
    # Java writes what lies beyond U+FFFF as two escapes.
    return _ESCAPE.sub(replace, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

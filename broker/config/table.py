"""The one table of settings, put together from its parts: what a name means, for a topic and for the broker."""

import re
from collections.abc import Iterable, Mapping

from .accepted_table import ACCEPTED_TABLE
from .coordinator_table import COORDINATOR_TABLE
from .group_table import CLIENT_METRICS_TABLE, GROUP_TABLE
from .log_table import LOG_TABLE
from .server_table import SERVER_TABLE
from .setting import Setting, custom
from .topic_table import TOPIC_TABLE


def _by_name(settings: Iterable[Setting]) -> dict[str, Setting]:
    return {setting.name: setting for setting in sorted(settings, key=lambda setting: setting.name)}


TOPIC_SETTINGS = _by_name(TOPIC_TABLE)
BROKER_SETTINGS = _by_name(SERVER_TABLE + LOG_TABLE + COORDINATOR_TABLE + ACCEPTED_TABLE)
GROUP_SETTINGS = _by_name(GROUP_TABLE)
CLIENT_METRICS_SETTINGS = _by_name(CLIENT_METRICS_TABLE)


# Broker settings that say the same in other units, strongest first: log.retention.ms, .minutes, .hours.
SYNONYMS: dict[str, tuple[str, ...]] = {}
for _topic_setting in TOPIC_TABLE:
    _names = tuple(synonym.name for synonym in _topic_setting.synonyms)
    for _name in _names:
        SYNONYMS[_name] = _names

# No setting's name is half as long; comparing longer texts with all names takes time.
_MISSPELT_LENGTH_MAX = 100
_OF_A_LISTENER = re.compile(r"listener\.name\.[^.]+\.(.+)")
# A listener has these for each mechanism, as listener.name.x.plain.sasl.jaas.config (Kafka's DynamicBrokerConfig).
_OF_A_MECHANISM = (
    "connections.max.reauth.ms",
    "sasl.jaas.config",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.server.callback.handler.class",
)


def base_name(name: str) -> str:
    """Return the setting that ``name`` sets for one listener: max.connections for listener.name.x.max.connections.

    Any other name is returned as it is.
    """
    found = _OF_A_LISTENER.fullmatch(name)
    if found is None:
        return name
    return next((base for base in _OF_A_MECHANISM if found[1].endswith(base)), found[1])


def broker_setting(name: str) -> Setting:
    """Return the broker setting of that name; it may be a setting of one listener, or an unknown one."""
    base = BROKER_SETTINGS.get(base_name(name))
    if base is None:
        return custom(name)
    return base if base.name == name else Setting(name, base.type, None, base.documentation, base.validator)


def unknown(name: str, known: Mapping[str, Setting]) -> str:
    """Return what to say of a ``name`` that is not in ``known``, beginning with "is": the likely mistake, if any."""
    topic_setting = TOPIC_SETTINGS.get(name)
    if known is BROKER_SETTINGS and topic_setting is not None and topic_setting.synonyms:
        return f"is a setting of a topic; for all topics set {topic_setting.synonyms[0].name}"
    return "is not a known setting" + suggestion(name, known)


def suggestion(name: str, known: Mapping[str, Setting]) -> str:
    """Return "; did you mean ...?" where a ``name`` that is not in ``known`` is nearly one of them, else nothing."""
    if len(name) > _MISSPELT_LENGTH_MAX:
        return ""
    import difflib  # only when there is something wrong to report

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""

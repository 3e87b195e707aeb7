"""The arguments of the barnabas command."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from ... import __version__
from .broker_config import BrokerConfig
from .sources import Given, read_sources
from .without_effect import without_effect

HELP = """\
usage: barnabas [OPTION ...]             run a Kafka broker until Ctrl-C
       barnabas check DATA_DIR           verify the logs in a data directory
       barnabas adopt DATA_DIR           serve partition folders copied into it
       barnabas settings DATA_DIR        show or forget settings stored in it
       barnabas dump PATH ...            print what is in the files of a log
       barnabas COMMAND --help           describe one of these

  --data-dir DIR              where everything is kept (./barnabas-data)
  --port PORT                 where to listen (9092); short for
  --listeners LIST            PLAINTEXT://:9092, all interfaces
  --advertised-listeners LIST what clients are told to connect to
                              (the address by which each one came)
  --config FILE               a server.properties file to read
  -c NAME=VALUE               set any setting of the file; may be repeated
  --log-level LEVEL           debug, info, warning or error (info)
  --version                   say which version this is
  -h, --help                  show this help

A setting is taken from: options, then BARNABAS_* variables, then KAFKA_*
ones, then the file. num.partitions, say, is BARNABAS_NUM_PARTITIONS there.
"""

CHECK_HELP = """\
usage: barnabas check [OPTION ...] DATA_DIR

Verify every batch and index in a data directory that no broker uses. Nothing
is changed.

  --log-level LEVEL           debug, info, warning or error (info)
  -h, --help                  show this help

Exit status 0: all is well; 1: there are problems, told in lines with
"problem"; 2: the directory cannot be checked, told on standard error.
"""

ADOPT_HELP = """\
usage: barnabas adopt [OPTION ...] DATA_DIR

Make topics of the partition folders that were copied into a data directory,
from Apache Kafka or from Barnabas. No broker may use the directory meanwhile.
Every batch is verified. The topics keep all their records (retention.ms=-1)
until they are given other settings.

  --log-level LEVEL           debug, info, warning or error (info)
  -h, --help                  show this help

Exit status 0: every folder was taken, except Kafka's own; 1: others were left,
with the reason in a line for each; 2: not possible, told on standard error.
"""

SETTINGS_HELP = """\
usage: barnabas settings DATA_DIR [--forget NAME ... | --forget-all]

Show the settings that admin clients have stored in a data directory: of
brokers, topics, groups and client metrics. A stored setting comes before the
options, variables and the file that a broker is started with. No broker may
use the directory meanwhile.

  --forget NAME ...           forget these settings of brokers
  --forget-all                forget all settings of brokers
  -h, --help                  show this help

Exit status 0: done; 1: a setting to forget is not stored, so that nothing was
changed; 2: not possible, told on standard error.
"""

DUMP_HELP = """\
usage: barnabas dump [OPTION ...] PATH ...

Print what is in the files of a log: segments, indexes, snapshots, checkpoints.
A PATH is such a file, the folder of a partition, or a data directory with all
its partitions. Nothing is changed or locked: a broker may be using them, and
that may be Apache Kafka.

  --json                      one JSON object per line
  --records                   the records of each batch, too
  --values                    with their keys, values and headers
  --from OFFSET               leave out the batches before this offset
  --to OFFSET                 leave out the batches behind this offset
  --limit N                   at most N batches of each partition
  --verify                    compare indexes with the segments beside them
  -h, --help                  show this help

Exit status 0: all is well; 1: there is damage, told in lines with "problem";
2: something is not a file of a log or cannot be read, told on standard error.
"""

PORT_MAX = 65535
LOG_LEVELS = ("debug", "info", "warning", "error")


class DumpOptions(NamedTuple):
    """What ``barnabas dump`` is asked for. Offsets and ``limit``: None for all; ``values`` implies ``records``."""

    paths: tuple[str, ...]
    json: bool = False
    records: bool = False
    values: bool = False
    from_offset: int | None = None
    to_offset: int | None = None
    limit: int | None = None
    verify: bool = False


class SettingsOptions(NamedTuple):
    """What ``barnabas settings`` is to forget, nothing to show what is stored."""

    forget: tuple[str, ...] = ()
    forget_all: bool = False


class Options(NamedTuple):
    """What the command line asks for.

    ``command``: "run", "check", "adopt", "settings" or "dump". ``data_dir``: the directory it is about, "" for
    "dump", which has paths. ``log_level``: of LOG_LEVELS. ``config``: for anything but "run" nothing but defaults.
    ``warnings``: lines to log once logging is set up. ``cluster_id``: for a new data directory, None for any.
    """

    command: str
    data_dir: str
    log_level: str
    config: BrokerConfig
    warnings: tuple[str, ...]
    dump: DumpOptions | None = None
    settings: SettingsOptions = SettingsOptions()
    cluster_id: Given | None = None


class _Parser(argparse.ArgumentParser):
    text = HELP

    def format_help(self) -> str:
        return self.text

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"barnabas: {message} (see {self.prog} --help)\n")


class _CheckParser(_Parser):
    text = CHECK_HELP


class _AdoptParser(_Parser):
    text = ADOPT_HELP


class _SettingsParser(_Parser):
    text = SETTINGS_HELP


class _DumpParser(_Parser):
    text = DUMP_HELP


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return what ``argv``, without the program's name, and ``environ`` ask for.

    Raises ConfigError for wrong settings, and SystemExit as argparse does: 0 after --help and --version, 2 after one
    line on stderr when the arguments themselves make no sense.
    """
    match argv:  # these have options of their own, and settings are none of their business
        case ["dump", *rest]:
            return Options("dump", "", "info", BrokerConfig(), (), _dump(rest))
        case ["settings", *rest]:
            data_dir, settings = _settings(rest)
            return Options("settings", data_dir, "info", BrokerConfig(), (), settings=settings)
        case [("check" | "adopt") as word, *rest]:
            parser = _directory_parser(word)
            arguments = parser.parse_intermixed_args(rest)
            arguments.words.insert(0, word)
        case _:
            parser = _parser()
            # Options may stand among the words. One that does not exist is named before a word that may be its value.
            arguments = parser.parse_intermixed_args(list(argv))
    command, data_dir = _command(parser, arguments.words)
    try:
        log_level = arguments.log_level or _log_level(environ.get("BARNABAS_LOG_LEVEL") or "info")
    except argparse.ArgumentTypeError as error:
        parser.error(f"BARNABAS_LOG_LEVEL: {error}")
    if command != "run":
        return Options(command, data_dir, log_level, BrokerConfig(), ())
    origins = {given.origin for name, given in arguments.flags if name == "listeners"}
    if "--port" in origins and len(origins) > 1:
        parser.error("--port and --listeners contradict each other: give one of them")
    reading = read_sources(arguments.flags, environ, arguments.config or environ.get("BARNABAS_CONFIG") or None)
    config = BrokerConfig(reading.given)
    warnings = (*reading.warnings, *without_effect(config))
    return Options(command, config.data_dir, log_level, config, warnings, cluster_id=reading.cluster_id)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="barnabas", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"barnabas {__version__}")
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--log-level", type=_log_level)
    parser.add_argument("words", nargs="*")
    parser.set_defaults(flags=[])
    # All of these set settings; in one list, so that the last one on the line wins.
    for option, name in (
        ("--data-dir", "log.dirs"),
        ("--listeners", "listeners"),
        ("--advertised-listeners", "advertised.listeners"),
    ):
        parser.add_argument(option, dest="flags", action="append", type=_sets(name, option))
    parser.add_argument("--port", dest="flags", action="append", type=_listens_on)
    parser.add_argument("-c", dest="flags", action="append", type=_named_setting, metavar="NAME=VALUE")
    return parser


def _directory_parser(command: str) -> argparse.ArgumentParser:
    kind = _CheckParser if command == "check" else _AdoptParser
    parser = kind(prog=f"barnabas {command}", allow_abbrev=False)
    parser.add_argument("--log-level", type=_log_level)
    parser.add_argument("words", nargs="*")
    return parser


def _settings(argv: Sequence[str]) -> tuple[str, SettingsOptions]:
    parser = _settings_parser()
    arguments = parser.parse_args(list(argv))
    if arguments.forget and arguments.forget_all:
        parser.error("--forget and --forget-all contradict each other")
    if arguments.data_dir is None:
        parser.error("settings needs one DATA_DIR, before --forget")
    return arguments.data_dir, SettingsOptions(tuple(arguments.forget), arguments.forget_all)


def _settings_parser() -> argparse.ArgumentParser:
    parser = _SettingsParser(prog="barnabas settings", allow_abbrev=False)
    parser.add_argument("data_dir", nargs="?")
    parser.add_argument("--forget", nargs="+", action="extend", default=[], metavar="NAME")
    parser.add_argument("--forget-all", action="store_true")
    return parser


def _dump(argv: Sequence[str]) -> DumpOptions:
    parser = _dump_parser()
    arguments = parser.parse_intermixed_args(list(argv))
    if not arguments.paths:
        parser.error("dump needs a PATH")
    arguments.records |= arguments.values
    return DumpOptions(tuple(arguments.paths), *(getattr(arguments, name) for name in DumpOptions._fields[1:]))


def _dump_parser() -> argparse.ArgumentParser:
    parser = _DumpParser(prog="barnabas dump", allow_abbrev=False)
    parser.add_argument("paths", nargs="*")
    for name in ("json", "records", "values", "verify"):
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("from", "to"):
        parser.add_argument(f"--{name}", dest=f"{name}_offset", type=_number("an offset"), metavar="OFFSET")
    parser.add_argument("--limit", type=_number("a number of batches", least=1), metavar="N")
    return parser


def _number(what: str, least: int = 0) -> Callable[[str], int]:
    def parse_number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return int(text)

    return parse_number


def _command(parser: argparse.ArgumentParser, words: list[str]) -> tuple[str, str]:
    """Return the command and the directory it is about, "" for "run", which has settings for that."""
    match words:
        case []:
            return "run", ""
        case [("check" | "adopt") as command, data_dir]:
            return command, data_dir
        case [("check" | "adopt") as command, *rest]:
            parser.error(f"{command} needs one DATA_DIR, not {len(rest)}")
        case ["dump" | "settings" as command, *_]:
            parser.error(f"{command} must be the first argument")
        case [command, *_]:
            parser.error(f"no such command: {command!r}")
    raise AssertionError(words)


def _sets(name: str, option: str) -> Callable[[str], tuple[str, Given]]:
    return lambda value: (name, Given(value, option))


def _listens_on(port: str) -> tuple[str, Given]:
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"{port!r} is not a port: a whole number up to {PORT_MAX}")
    return "listeners", Given(f"PLAINTEXT://:{port}", "--port")


def _named_setting(text: str) -> tuple[str, Given]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name.strip(), Given(value, "-c")


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(LOG_LEVELS)}")
    return text.lower()

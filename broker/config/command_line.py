"""The arguments of the barnabas command."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from ... import __version__
from .broker_config import BrokerConfig
from .sources import Given, read_sources

HELP = """\
usage: barnabas [OPTION ...]             run a Kafka broker until Ctrl-C
       barnabas check DATA_DIR           verify the logs in a data directory
       barnabas adopt DATA_DIR           serve partition folders copied into it

  --data-dir DIR              where everything is kept (./barnabas-data)
  --port PORT                 where to listen (9092); short for
  --listeners LIST            PLAINTEXT://:9092, all interfaces
  --advertised-listeners LIST what clients are told to connect to
                              (the address by which each one came)
  --config FILE               a server.properties file to read
  -c NAME=VALUE               set any setting of the file; may be repeated
  --log-level LEVEL           debug, info, warning or error (info)
  --version                   say which version this is
  -h, --help                  say this

A setting is taken from: options, then BARNABAS_* variables, then KAFKA_*
ones, then the file. num.partitions, say, is BARNABAS_NUM_PARTITIONS there.
"""

LOG_LEVELS = ("debug", "info", "warning", "error")


class Options(NamedTuple):
    """What the command line asks for.

    ``command``: "run", "check" or "adopt". ``data_dir``: the directory it is about. ``log_level``: of LOG_LEVELS.
    ``config``: for anything but "run" nothing but defaults. ``warnings``: lines to log once logging is set up.
    """

    command: str
    data_dir: str
    log_level: str
    config: BrokerConfig
    warnings: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        return HELP

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"barnabas: {message} (see barnabas --help)\n")


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return what ``argv``, without the program's name, and ``environ`` ask for.

    Raises ConfigError for wrong settings, and SystemExit as argparse does: 0 after --help and --version, 2 after one
    line on stderr when the arguments themselves make no sense.
    """
    parser = _parser()
    # Options may stand among the words, and one that does not exist is named before a word that may be its value.
    arguments = parser.parse_intermixed_args(list(argv))
    command, data_dir = _command(parser, arguments.words)
    try:
        log_level = arguments.log_level or _log_level(environ.get("BARNABAS_LOG_LEVEL") or "info")
    except argparse.ArgumentTypeError as error:
        parser.error(f"BARNABAS_LOG_LEVEL: {error}")
    if command != "run":
        return Options(command, data_dir, log_level, BrokerConfig(), ())
    reading = read_sources(arguments.flags, environ, arguments.config or environ.get("BARNABAS_CONFIG") or None)
    config = BrokerConfig(reading.given)
    return Options(command, config.data_dir, log_level, config, tuple(reading.warnings))


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


def _command(parser: argparse.ArgumentParser, words: list[str]) -> tuple[str, str]:
    """Return the command and the directory it is about, "" for "run", which has settings for that."""
    match words:
        case []:
            return "run", ""
        case [("check" | "adopt") as command, data_dir]:
            return command, data_dir
        case [("check" | "adopt") as command, *rest]:
            parser.error(f"{command} needs one DATA_DIR, not {len(rest)}")
        case [command, *_]:
            parser.error(f"no such command: {command!r}")
    raise AssertionError(words)


def _sets(name: str, option: str) -> Callable[[str], tuple[str, Given]]:
    return lambda value: (name, Given(value, option))


def _listens_on(port: str) -> tuple[str, Given]:
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

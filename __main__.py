"""The barnabas command."""

import os
import signal
import sys
from collections.abc import Sequence

# What a shell makes of the death by SIGINT.
INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; 2 for arguments and settings that make no sense."""
    _end_quietly()
    from .broker.cli import streams

    streams.open_missing()
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
    except SystemExit as end:  # --help, and arguments that make no sense
        status = end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        status = INTERRUPTED
    return streams.finish(status)


def _end_quietly() -> None:
    """End at once when a signal comes while modules are loaded.

    The first process of a container cannot die by a signal that it does not handle. Nothing is open yet; the broker
    has handlers of its own from when there is something to close.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for number, status in ((signal.SIGHUP, 0), (signal.SIGINT, INTERRUPTED)):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and that must stay
            signal.signal(number, lambda *_, status=status: os._exit(status))


def _run(argv: Sequence[str]) -> int:
    from .broker.config import ConfigError
    from .broker.config.command_line import parse

    try:
        options = parse(argv, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(f"barnabas: {problem}", file=sys.stderr)
        return 2
    import logging

    from .broker.cli.log_output import set_up_logging

    set_up_logging(options.log_level)
    logger = logging.getLogger("barnabas")
    for warning in options.warnings:
        logger.warning("%s", warning)
    if options.command != "run":
        _end_as_usual()
    if options.command == "check":
        from .broker.cli.check import run_check

        return run_check(options.data_dir)
    if options.command == "adopt":
        from .broker.cli.adopt import run_adopt

        return run_adopt(options.data_dir)
    if options.command == "settings":
        from .broker.cli.settings import run_settings

        return run_settings(options.data_dir, options.settings)
    if options.dump is not None:
        from .broker.cli.dump import run_dump

        return run_dump(options.dump)
    from .broker.cli.run import run

    return run(options.config, options.cluster_id)


def _end_as_usual() -> None:
    """Let signals end a command that has nothing to close but what an exception closes."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, usual)


if __name__ == "__main__":
    sys.exit(main())

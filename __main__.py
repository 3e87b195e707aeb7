"""The barnabas command."""

import logging
import os
import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; 2 for arguments and settings that make no sense."""
    # The first process of a container cannot die by a signal that it does not handle. Nothing is open yet; the broker
    # has a handler of its own from when there is something to close.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from .broker.config import ConfigError
    from .broker.config.command_line import parse

    try:
        options = parse(sys.argv[1:] if argv is None else argv, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            print(f"barnabas: {problem}", file=sys.stderr)
        return 2
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logger = logging.getLogger("barnabas")
    for warning in options.warnings:
        logger.warning("%s", warning)
    if options.command != "run":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
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


if __name__ == "__main__":
    sys.exit(main())

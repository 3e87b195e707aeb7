"""``barnabas check DATA_DIR``: say what is wrong with a data directory."""

import sys
from pathlib import Path

from ...storage.checker import Report, check
from ...storage.errors import StorageError
from . import streams
from .counts import counted


def run_check(data_dir: str) -> int:
    """Print what was found and return the exit status: 0 all is well, 1 problems, 2 it cannot be checked or told."""
    try:
        report = check(Path(data_dir))
    except (StorageError, OSError) as error:
        print(f"barnabas: {error}", file=sys.stderr)
        return 2
    problems = sum(finding.is_problem for finding in report.findings)
    try:
        _print(report, problems)
    except OSError as error:
        streams.drop(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            print(f"barnabas: cannot print: {error.strerror}", file=sys.stderr)
            return streams.CANNOT_PRINT
    return 1 if problems else 0


def _print(report: Report, problems: int) -> None:
    for finding in report.findings:
        print(f"{'problem' if finding.is_problem else 'note'}: {finding.path}: {finding.text}")
    print(
        f"{counted(report.partitions, 'partition')}, {counted(report.batches, 'batch', 'batches')},"
        f" {counted(report.records, 'record')}, {counted(report.size_bytes, 'byte')}:"
        f" {counted(problems, 'problem') if problems else 'all is well'}"
    )

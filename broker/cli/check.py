"""``barnabas check DATA_DIR``: say what is wrong with a data directory."""

import sys
from pathlib import Path

from ...storage.checker import check
from ...storage.errors import StorageError
from .counts import counted


def run_check(data_dir: str) -> int:
    """Print what was found and return the exit status: 0 all is well, 1 problems, 2 it cannot be checked."""
    try:
        report = check(Path(data_dir))
    except (StorageError, OSError) as error:
        print(f"barnabas: {error}", file=sys.stderr)
        return 2
    problems = 0
    for finding in report.findings:
        problems += finding.is_problem
        print(f"{'problem' if finding.is_problem else 'note'}: {finding.path}: {finding.text}")
    print(
        f"{counted(report.partitions, 'partition')}, {counted(report.batches, 'batch', 'batches')},"
        f" {counted(report.records, 'record')}, {counted(report.size_bytes, 'byte')}:"
        f" {counted(problems, 'problem') if problems else 'all is well'}"
    )
    return 1 if problems else 0

"""``barnabas adopt DATA_DIR``: serve the partition folders that were put there."""

import sys
from pathlib import Path

from ...storage.clock import SystemClock
from ...storage.datadir import DataDir
from ...storage.errors import StorageError
from ...storage.layout import node_id_in
from ..config import BrokerConfig
from ..offsets_topic.adoption import Taken
from ..partitions.adoption import KAFKAS_OWN, adopt
from .counts import counted


def run_adopt(data_dir: str) -> int:
    """Print what became of each topic and return the exit status.

    0 all is well, 1 some were left that are not Kafka's own, 2 not possible.
    """
    path = Path(data_dir)
    if not path.is_dir():
        print(f"barnabas: {path} is not a directory", file=sys.stderr)
        return 2
    left = seen = taken = 0
    try:
        clock = SystemClock()
        node_id = node_id_in(path)
        opened = DataDir(path, clock, BrokerConfig().int("node.id") if node_id is None else node_id, lambda f: f())
        try:
            for adopted in adopt(opened, clock):
                seen += 1
                taken += adopted.partitions > 0 and adopted.groups is None
                left += bool(adopted.problem) and adopted.topic not in KAFKAS_OWN
                counts = f"{counted(adopted.partitions, 'partition')}, {counted(adopted.records, 'record')}"
                what = counts if adopted.partitions else "left"
                if adopted.groups is not None:
                    what += _of_groups(adopted.groups)
                print(f"{adopted.topic}: {what}{f': {adopted.problem}' if adopted.problem else ''}")
        finally:
            opened.close()
    except (StorageError, OSError) as error:
        print(f"barnabas: {error}", file=sys.stderr)
        return 2
    if taken:
        print(
            "barnabas: the settings of these topics are not in their folders. They keep all their records"
            " (retention.ms=-1) until they are given others.",
            file=sys.stderr,
        )
    if not seen:
        print("every partition folder belongs to a topic already")
    return 1 if left else 0


def _of_groups(taken: Taken) -> str:
    text = f"; {taken.groups} groups with {taken.offsets} committed offsets taken in"
    if taken.left_out:
        text += f", {taken.left_out} offsets of partitions that are not here left out"
    return text

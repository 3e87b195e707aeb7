"""The workload on logs that are compacted, while everything else goes on."""

import errno
from pathlib import Path
from random import Random

from barnabas.storage import swap
from barnabas.storage.compaction import Cleaned, Outcome, Plan
from barnabas.storage.retention import new_start
from barnabas.storage.segments import SegmentedLog

from .compacting import carry_out, outcome_of, plan_for, remove_cleaned
from .keyed_model import KeyedModel
from .log_model import LogModel
from .log_workload import ACTIONS, Actions, Complaints, Workload

KEYS = [*(b"%d" % number for number in range(6)), b"k" * 40]
TOMBSTONE_PROBABILITY = 0.25
DELETE_RETENTION_MS = 3000
# How often a process dies while it compacts, if it may die.
DEATH_PROBABILITY = 0.2


class CompactingWorkload(Workload):
    """All topics are compacted, some retention takes from as well. ``is_mortal``: the process may die."""

    def __init__(self, path: Path, random: Random, complaints: Complaints) -> None:
        super().__init__(path, random, complaints, KeyedModel)
        self.settings.is_compacted = True
        self.settings.retention_ms = -1
        self.settings.segment_index_bytes = random.choice([16, 10**6])
        self.settings.retention_bytes = random.choice([-1, 3 * self.settings.segment_bytes])
        self.actions = COMPACTING
        self.is_mortal = False

    def live(self, calls_max: int, actions: int, ends_well: bool) -> bool:
        self.is_mortal = not ends_well
        return super().live(calls_max, actions, ends_well)

    def _content(self, size: int) -> tuple[bytes | None, bytes | None]:
        is_tombstone = self.random.random() < TOMBSTONE_PROBABILITY
        return self.random.choice(KEYS), None if is_tombstone else self.random.randbytes(size)

    def roll(self, log: SegmentedLog, _: LogModel) -> None:
        if log.segments[-1].size:
            log.roll()

    def expire(self, log: SegmentedLog, model: LogModel) -> None:
        found = new_start(log.extents(), self.settings, self.clock.now_ms(), log.last_stable_offset)
        if found is not None:
            model.start_asked = max(model.start, found)
            model.start = model.start_asked = log.expire(found)

    def compact(self, log: SegmentedLog, model: LogModel) -> None:
        """As ``Cleaning`` does it."""
        assert self.data_dir is not None
        assert isinstance(model, KeyedModel)
        dirty_offset = self.data_dir.clean_offset("t", self.logs.index(log))
        memory_bytes = self.random.choice([0, 500, 2**20, 2**20])
        now_ms = self.clock.now_ms()
        plan = plan_for(log, now_ms, dirty_offset, None, memory_bytes, DELETE_RETENTION_MS)
        if plan.end_offset <= dirty_offset:
            return
        self._bring_to_the_disk(log)
        if self.is_mortal and self.random.random() < DEATH_PROBABILITY:
            self.calls_left = min(self.calls_left, self.random.choice([20, 60, 150]) * self.random.random())
        try:
            clean_offset = self._clean(log, model, plan)
        except OSError as error:
            if error.errno != errno.ENOENT:  # retention has taken it away meanwhile
                raise
            self.is_in_background = False
            remove_cleaned(log.directory)
            return
        if clean_offset is not None:
            self.data_dir.note_clean_offset("t", self.logs.index(log), clean_offset)

    def _bring_to_the_disk(self, log: SegmentedLog) -> None:
        """What the plan relies on: markers, and the last batches of producers."""
        assert self.data_dir is not None
        done: list[Exception | None] = []
        self.data_dir.flusher.request(log, done.append)
        while not done:
            self.flush()
            self.hear()
            self.deliver()
        assert done == [None]

    def _clean(self, log: SegmentedLog, model: KeyedModel, plan: Plan) -> int | None:
        self.is_in_background = True
        model.note_compaction(plan, outcome_of(plan))
        try:
            for step in carry_out(plan):
                self.is_in_background = False
                if isinstance(step, Outcome):
                    return step.clean_offset
                if not self._swap(log, step):
                    break
                self.is_in_background = True
        except FileNotFoundError:  # a segment has gone meanwhile
            self.is_in_background = False
        remove_cleaned(log.directory)
        return None

    def _swap(self, log: SegmentedLog, cleaned: Cleaned) -> bool:
        assert self.data_dir is not None
        self._meanwhile()
        self.is_in_background = True
        segment = swap.prepare(log.directory, cleaned.bases[0])
        self.is_in_background = False
        self._meanwhile()
        replaced = log.replace(segment, cleaned.bases)
        if replaced is None:
            segment.unlink()
            return False
        self.is_in_background = True
        swap.complete(log, segment, replaced)
        self.is_in_background = False
        self.data_dir.adopt(log, segment, replaced)
        return True

    def _meanwhile(self) -> None:
        """The other threads do something."""
        while self.random.random() < 0.5:
            self.act(MEANWHILE)


MEANWHILE: Actions = [*ACTIONS, (CompactingWorkload.expire, 2), (CompactingWorkload.roll, 4)]
COMPACTING: Actions = [*MEANWHILE, (CompactingWorkload.compact, 16)]

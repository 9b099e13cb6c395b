"""Memory of a running job: what 50 sleeping jobs add to a daemon's tree, guards and shells included."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import procfs
from bench.burst import next_instant
from bench.figures import Figure
from bench.schedulers import ALL, APSCHEDULER, CRON, CRONSTABLE, OURS, Scheduler, at, running
from tests.real.support.processes import tree, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

JOBS = 50
MIB = 1024  # KiB, the unit of smaps_rollup


def measure(asked: Asked) -> Iterator[Figure]:
    """Measure those whose jobs can be due at any second, and Debian's cron; with --long all of them."""
    for _ in range(asked.rounds or 1):
        for scheduler in ALL if asked.long else (OURS, APSCHEDULER, CRONSTABLE, CRON):
            if scheduler.is_there():
                yield from _running(scheduler)


def _running(scheduler: Scheduler) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        instant = next_instant(scheduler)
        entries = [at(instant, f"exec sleep {300 + number}") for number in range(JOBS)]
        with running(scheduler, Path(name) / "it", entries) as pid:
            time.sleep(max(0, instant - 1 - time.time()))
            idle = procfs.memory(tree(pid), "Pss")
            wait_until(lambda: len(_sleepers(pid)) >= JOBS, seconds=30, pause=0.2)
            procfs.settle(pid)
            whole = procfs.memory(tree(pid), "Pss")
            sleepers = _sleepers(pid)
            jobs = procfs.memory(sleepers, "Pss")
    if sleepers:
        count = len(sleepers)
        note = "" if count == JOBS else f"only {count} of {JOBS} ran"
        yield Figure(
            "PSS of a running job, all in", scheduler.who, "MiB", ((whole - idle) / len(sleepers) / MIB,), note
        )
        yield Figure("of it the job's own process", scheduler.who, "MiB", (jobs / count / MIB,), note)


def _sleepers(pid: int) -> list[int]:
    return [member for member, found in tree(pid).items() if found.name == "sleep"]

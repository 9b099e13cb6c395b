"""A daemon with nothing to do: its memory, its wake-ups and its processor time in a minute."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bench import procfs
from bench.figures import Figure
from bench.schedulers import ALL, APSCHEDULER, BUSYBOX, CRON, OURS, Scheduler, at, running
from tests.real.support.processes import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

MIB = 1024  # KiB, the unit of smaps_rollup
DAY = 86_400
_APART = 3_000  # seconds: 10,000 jobs fill most of a year, and none is due before tomorrow
_FEW, _MANY = 10, 10_000
_LOAD_MANY = (OURS, APSCHEDULER, CRON, BUSYBOX)  # the others read YAML: minutes for 10,000 jobs


def measure(asked: Asked) -> Iterator[Figure]:
    """Measure all of them side by side, with 10 and with 10,000 jobs: idle daemons don't disturb each other."""
    for _ in range(asked.rounds or 1):
        yield from _minute([(scheduler, _FEW) for scheduler in ALL] + [(scheduler, _MANY) for scheduler in _LOAD_MANY])


def _minute(pairs: list[tuple[Scheduler, int]]) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-idle-") as name, ExitStack() as stack:
        entries = [at(time.time() + DAY + _APART * number, "true") for number in range(_MANY)]
        pids = {
            (scheduler, jobs): stack.enter_context(
                running(scheduler, Path(name) / f"{scheduler.who}-{jobs}", entries[:jobs])
            )
            for scheduler, jobs in pairs
            if scheduler.is_there()
        }
        for pid in pids.values():
            procfs.settle(pid)
        before = {pid: (procfs.wakeups(tree(pid)), procfs.seconds_of_cpu(pid)) for pid in pids.values()}
        time.sleep(60)
        for (scheduler, jobs), pid in pids.items():
            yield from _figures(scheduler.who, f"idle with {jobs:,} jobs: ", pid, *before[pid])


def _figures(who: str, what: str, pid: int, wakeups: int, cpu: float) -> Iterator[Figure]:
    members = tree(pid)
    if members[pid].state == "Z":
        yield Figure(f"{what}RSS", who, "MiB", ())
        return
    now = procfs.wakeups(members)
    yield Figure(f"{what}RSS", who, "MiB", (procfs.memory(members, "Rss") / MIB,))
    yield Figure(f"{what}PSS", who, "MiB", (procfs.memory(members, "Pss") / MIB,))
    yield Figure(f"{what}wake-ups a minute", who, "", (now - wakeups,))
    yield Figure(f"{what}CPU a minute", who, "ms", ((procfs.seconds_of_cpu(pid) - cpu) * 1000,))

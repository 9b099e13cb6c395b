"""What running costs, as /proc says: memory, processor time, wake-ups of a process and all that descends from it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.support.processes import tree

if TYPE_CHECKING:
    from collections.abc import Iterable

TICK = os.sysconf("SC_CLK_TCK")


def seconds_of_cpu(root: int) -> float:
    """Processor time of a whole tree so far, its ended and waited-for members included."""
    return sum(found.ticks for found in tree(root).values()) / TICK


def memory(pids: Iterable[int], field: str) -> int:
    """Sum one field (Pss, Rss, Private_Dirty …) of smaps_rollup over `pids`, in KiB; the gone count nothing."""
    return sum(_rollup(pid).get(field, 0) for pid in pids)


def _rollup(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    pairs = (line.split(":") for line in lines)
    return {key: int(value.split()[0]) for key, value in pairs}


def wakeups(pids: Iterable[int]) -> int:
    """How often the threads of `pids` went to sleep of their own will, and so were woken."""
    return sum(_voluntary(task) for pid in pids for task in Path(f"/proc/{pid}/task").glob("*"))


def _voluntary(task: Path) -> int:
    lines = (task / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def settle(root: int, quiet: float = 1.0, seconds: float = 120) -> None:
    """Wait until the tree of `root` has used no processor time for `quiet` seconds: loaded, and at rest."""
    end = time.monotonic() + seconds
    before = -1.0
    while (now := seconds_of_cpu(root)) != before and time.monotonic() < end:
        before = now
        time.sleep(quiet)

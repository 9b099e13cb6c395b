"""What /proc says of processes: who descends from whom, in which state, and what was waited for."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


class Stat(NamedTuple):
    """The part of proc(5)'s /proc/PID/stat that we read; ticks include those of children waited for."""

    name: str
    state: str
    parent: int
    ticks: int
    started: int


def stat(pid: int) -> Stat | None:
    """Read one process's stat; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]  # a name may hold blanks and brackets
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(name, fields[0], int(fields[1]), sum(map(int, fields[11:15])), int(fields[19]))


def tree(root: int) -> dict[int, Stat]:
    """All living processes (zombies too) that descend from `root`, and `root` itself, which comes first."""
    stats = {pid: found for pid in _pids() if (found := stat(pid))}
    children = defaultdict(list)
    for pid, found in stats.items():
        children[found.parent].append(pid)
    return {pid: stats[pid] for pid in _descend(root, children) if pid in stats}


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _descend(root: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(children[pid])


def is_same(pid: int, before: Stat) -> bool:
    """Whether `pid` is still the process that it was, and not another that was given the number since."""
    found = stat(pid)
    return found is not None and found.started == before.started


def wait_until(true: Callable[[], object], seconds: float = 60, pause: float = 0.05) -> bool:
    """Wait until `true()` or `seconds` have passed; says which."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True

"""What this machine, or the container that we are in, has to give."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PER_RUN: Final = 8 * 1024 * 1024  # bytes: a guard has 2 to 3 MiB of its own, and a small job takes as much again
MOST: Final = 1_000  # runs at once: cron itself has no bound, but a machine with ten thousand processes is of no use
LEAST: Final = 4
CGROUP_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def sensible_parallel() -> int:
    """How many runs may go on at once where nobody says: one for each 8 MiB of memory, between 4 and 1,000."""
    return parallel_for(memory())


def parallel_for(memory_size: int) -> int:
    """How many runs a memory of so many bytes is good for."""
    return max(LEAST, min(MOST, memory_size // PER_RUN))


def memory() -> int:
    """The memory that we may use, in bytes: the machine's, or less where a container has a limit."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [int(text) for path in CGROUP_LIMITS if (text := _read(path)).isdecimal()]
    return min([pages, *(limit for limit in limits if limit > 0)])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""  # not mounted, or no such controller

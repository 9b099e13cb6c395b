"""A control group with limits: made before its first process is in it, and asked afterwards what became of them."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.cgroup import Leaf, leaf_of
from runjobs.adapters.cgroup.ground import write
from runjobs.core.limits import Memory

if TYPE_CHECKING:
    from collections.abc import Iterable

# is not there where no swap is counted, CONFIG_SWAP and swapaccount=0: then there is nothing to keep a job from
OPTIONAL: Final = frozenset({"memory.swap.max"})


class Spent(NamedTuple):
    """Seconds of CPU that all processes of a group have used, those that nobody waited for too."""

    user: float = 0.0
    system: float = 0.0


def make_limited(base: str, run_id: str, writes: Iterable[tuple[str, str]]) -> Leaf:
    """Make the group of a run, with these limits. OSError where the kernel won't have it; then there is none."""
    leaf = leaf_of(base, run_id)
    os.mkdir(leaf.path, 0o755)
    try:
        for name, text in writes:
            try:
                write(f"{leaf.path}/{name}", text)
            except OSError as error:
                if name not in OPTIONAL or error.errno != errno.ENOENT:
                    raise
    except OSError:
        leaf.remove()
        raise
    return leaf


def open_entrance(leaf: Leaf) -> int:
    """A descriptor by which a process goes into a group by itself, with what we may do, whoever it is by then."""
    return os.open(f"{leaf.path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)


def memory_of(leaf: Leaf) -> Memory:
    """What became of the memory of a group; nothing where it is not counted."""
    events = _pairs(f"{leaf.path}/memory.events")
    peak = _pairs(f"{leaf.path}/memory.peak", "peak").get("peak")  # since Linux 5.19
    return Memory(peak, events.get("oom_kill", 0), events.get("oom", 0))


def spent_by(leaf: Leaf) -> Spent:
    """The CPU time of a group."""
    stat = _pairs(f"{leaf.path}/cpu.stat")
    return Spent(stat.get("user_usec", 0) / 1e6, stat.get("system_usec", 0) / 1e6)


def _pairs(path: str, name: str = "") -> dict[str, int]:
    """The `key value` lines of a file, or the one value of a file as that of `name`; none where it is not there."""
    try:
        with open(path, encoding="ascii") as file:
            words = [[name, *line.split()][-2:] for line in file]
    except OSError:
        return {}
    return {key: int(value) for key, value in words if value.isdecimal()}

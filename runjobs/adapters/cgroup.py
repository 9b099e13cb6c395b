"""A control group per run, where version 2 is there and ours to write: one write kills all that is in it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

PREFIX = "runjobs-"


def find_base() -> str | None:
    """The folder of our own control group, below which runs can have theirs; None where that is not possible.

    On machines with both versions, version 2 is mounted somewhere below, such as /sys/fs/cgroup/unified.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mount = next((_mount(line) for line in file if " - cgroup2 " in line), None)
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            ours = next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
    except OSError:
        return None
    if mount is None or ours is None:
        return None
    root, folder = mount
    base = os.path.normpath(folder + "/" + os.path.relpath(ours, root))
    return base if os.access(base, os.W_OK) and os.access(f"{base}/cgroup.procs", os.W_OK) else None


def _mount(line: str) -> tuple[str, str]:
    """The part of the hierarchy that is mounted, and where, proc_pid_mountinfo(5)."""
    fields = line.split(" ")
    return fields[3].replace("\\040", " "), fields[4].replace("\\040", " ")


class Leaf(NamedTuple):
    """The control group of one run; it is gone when its folder is."""

    path: str

    def members(self) -> list[int]:
        """The pids in it; none when it is gone."""
        try:
            with open(f"{self.path}/cgroup.procs", encoding="ascii") as file:
                return [int(line) for line in file]
        except OSError:
            return []

    def take(self, pid: int) -> None:
        """Move a process in; one that is gone or not ours to move stays out, and the walk of the tree finds it."""
        with contextlib.suppress(OSError), open(f"{self.path}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(pid))

    def kill(self) -> None:
        """Kill every member at once, those being forked too, cgroup-v2(7)."""
        with contextlib.suppress(OSError), open(f"{self.path}/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")

    def dissolve(self) -> None:
        """Remove it; who is still in it, since a run may leave processes behind, goes back to where its runner is."""
        above = Leaf(os.path.dirname(self.path))
        for pid in self.members():
            above.take(pid)
        self.remove()

    def remove(self) -> None:
        """Remove it; while it has members it stays."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


def leaf_of(base: str, run_id: str) -> Leaf:
    """The control group that a run has or would have."""
    return Leaf(f"{base}/{PREFIX}{run_id}")


def make_leaf(base: str, run_id: str) -> Leaf | None:
    """Make the control group of a run; None where the kernel can't kill by it (before 5.14) or won't let us."""
    leaf = leaf_of(base, run_id)
    try:
        os.mkdir(leaf.path, 0o755)
    except OSError:
        return None
    if os.access(f"{leaf.path}/cgroup.kill", os.W_OK):
        return leaf
    leaf.remove()
    return None

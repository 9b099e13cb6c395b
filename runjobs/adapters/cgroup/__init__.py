"""A control group per run, where version 2 is there and ours to write: one write kills all that is in it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

PREFIX = "runjobs-"
# where runners and guards go once groups of runs have limits: a group that is divided can't have processes itself
HOME = "runjobs-runner"
SCOPE = "system.slice/runjobs-limits.scope"  # where systemd keeps all groups to itself, it makes this one for limits

ROUNDS = 200  # of moving who forks all the time: each takes them all but for the newest children


class Mount(NamedTuple):
    """Version 2 as it is mounted: the part of the hierarchy, and the folder where that is."""

    root: str
    folder: str


def find_mount() -> Mount | None:
    """Where version 2 is; None where it is not.

    On machines with both versions it is mounted somewhere below the first, such as /sys/fs/cgroup/unified.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [_mount(line) for line in file if " - cgroup2 " in line]
    except OSError:
        return None
    # one from outside of our cgroup namespace shows groups above ours, which have no names here: cgroup_namespaces(7)
    return next((mount for mount in mounts if not mount.root.startswith("/..")), None)


def _mount(line: str) -> Mount:
    """The part of the hierarchy that is mounted, and where, proc_pid_mountinfo(5)."""
    fields = line.split(" ")
    return Mount(*(field.replace("\\040", " ") for field in fields[3:5]))


def own_path() -> str | None:
    """The path of our own group in the hierarchy, as seen from here; None where there is none."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return next((line[3:].rstrip("\n") for line in file if line.startswith("0::")), None)
    except OSError:
        return None


def find_own() -> str | None:
    """The folder below which groups of runs would be, whether it is ours to write or not; None without version 2."""
    mount, ours = find_mount(), own_path()
    if mount is None or ours is None:
        return None
    own = os.path.normpath(mount.folder + "/" + os.path.relpath(ours, mount.root))
    return os.path.dirname(own) if os.path.basename(own) == HOME else own


def find_base() -> str | None:
    """The folder of our own control group, below which runs can have theirs; None where that is not possible."""
    base = find_own()
    return base if base is not None and is_writable(base) else None


def is_writable(base: str) -> bool:
    """Whether groups can be made in a group, and processes be moved there."""
    return os.access(base, os.W_OK) and os.access(f"{base}/cgroup.procs", os.W_OK)


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
        """Remove it; who is still in it, since a run may leave processes behind, goes back to where its runner is.

        Who forks meanwhile has a child in it still, which forks in turn: all are moved until nobody is left.
        """
        above = os.path.dirname(self.path)
        home = Leaf(f"{above}/{HOME}")
        back = home if os.path.isdir(home.path) else Leaf(above)
        for _ in range(ROUNDS):
            self.remove()
            members = self.members()
            if not members:
                break
            for pid in members:
                back.take(pid)
        self.remove()

    def remove(self) -> None:
        """Remove it; while it has members it stays."""
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


def leaves(base: str | None) -> list[tuple[str, Leaf]]:
    """The control groups of runs, with the runs' ids; those of other state folders' runners may be among them."""
    try:
        names = os.listdir(base) if base is not None else []
    except OSError:
        return []
    return [(name.removeprefix(PREFIX), Leaf(f"{base}/{name}")) for name in names if name.startswith(PREFIX)]


def leaf_of(base: str, run_id: str) -> Leaf:
    """The control group that a run has or would have."""
    return Leaf(f"{base}/{PREFIX}{run_id}")


def find_leaf(base: str | None, run_id: str) -> Leaf | None:
    """The control group that a run has or would have: below our own, or in the scope that systemd makes for limits."""
    if base is not None and os.path.isdir(leaf_of(base, run_id).path):
        return leaf_of(base, run_id)
    mount = find_mount()
    if mount is not None and os.path.isdir(leaf_of(f"{mount.folder}/{SCOPE}", run_id).path):
        return leaf_of(f"{mount.folder}/{SCOPE}", run_id)
    return leaf_of(base, run_id) if base is not None else None


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

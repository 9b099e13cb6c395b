"""Where groups with limits can be: in our own group, if we may divide it, or in a scope that systemd makes for us.

A group whose controllers work for the groups below it can't have processes itself ("no internal processes",
cgroup-v2.rst). So whoever divides a group moves what is in it into one below, `HOME`; in a group that is shared with
strangers it leaves that alone.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.cgroup import HOME, SCOPE, Leaf, find_mount, find_own, is_writable, own_path
from runjobs.core.limits import Lack, listed

if TYPE_CHECKING:
    from collections.abc import Collection

    from runjobs.adapters.cgroup import Mount

SYSTEMD: Final = "/run/systemd/system"  # is there where systemd is the init, sd_booted(3)
DELEGATED: Final = ("user.delegate", "trusted.delegate")  # what systemd signs groups with that it gives away
ATTEMPTS: Final = 10  # at a group in which new processes are forked while we move the others
NAMED: Final = 3
UNIFIED: Final = "boot with cgroup v2 alone: systemd.unified_cgroup_hierarchy=1 on the kernel's command line"
WRITABLE: Final = "make /sys/fs/cgroup writable in the container (docker: --privileged), or run outside of it"
OWN_SCOPE: Final = "start it in a group of its own: systemd-run --user --scope -p Delegate=yes runjobs run"
OWN_GROUP: Final = "run it as root under systemd, or first in a container whose /sys/fs/cgroup is writable"


class Ground(NamedTuple):
    """The group below which runs with limits have theirs; `is_scope`: systemd makes it when it is needed."""

    base: str
    is_scope: bool = False


def find_ground(wanted: Collection[str]) -> Ground | Lack:
    """Where runs can have groups with these controllers, or why nowhere. Nothing is changed."""
    mount = find_mount()
    if mount is None:
        return Lack("cgroup v2 is not mounted here", UNIFIED, is_final=True)
    if lost := sorted(set(wanted) - _words(f"{mount.folder}/cgroup.controllers")):
        return _lost(lost, mount)
    base = find_own()
    obstacle = _obstacle(base, wanted)
    if base is not None and not obstacle:
        return Ground(base)
    is_systemd = os.path.isdir(SYSTEMD)
    if is_systemd and os.geteuid() == 0:
        return Ground(f"{mount.folder}/{SCOPE}", is_scope=True)
    if os.statvfs(mount.folder).f_flag & os.ST_RDONLY:
        return Lack(f"{mount.folder} is mounted read-only", WRITABLE, is_final=True)
    return Lack(obstacle, OWN_SCOPE if is_systemd else OWN_GROUP)


def divide(base: str, wanted: Collection[str]) -> None:
    """Have these controllers work for the groups below one; what is in it moves into one below. OSError where not."""
    if set(wanted) <= _words(f"{base}/cgroup.subtree_control"):
        return
    for attempt in range(ATTEMPTS):
        try:
            write(f"{base}/cgroup.subtree_control", " ".join(f"+{name}" for name in wanted))
        except OSError as error:
            if error.errno != errno.EBUSY or attempt == ATTEMPTS - 1:
                raise
            _clear(base)
        else:
            return


def _clear(base: str) -> None:
    home = Leaf(f"{base}/{HOME}")
    os.makedirs(home.path, exist_ok=True)
    for pid in Leaf(base).members():
        home.take(pid)


def write(path: str, text: str) -> None:
    """Write to a file of a control group, in one write. OSError with what the kernel says to it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _lost(names: list[str], mount: Mount) -> Lack:
    """Controllers that version 2 does not have at the top: version 1 has them, or nobody."""
    taken = [name for name in names if _is_taken(name)]
    if taken:
        return Lack(f"cgroup v1 has the {listed(taken)} controller here, not v2", UNIFIED, is_final=True)
    top = f"{mount.folder} has no {listed(names)} controller"
    return Lack(top, "take a kernel with it, or have it given to the container", is_final=True)


def _is_taken(name: str) -> bool:
    """Whether a hierarchy of version 1 has a controller, proc_cgroups(5): its number is not 0."""
    try:
        with open("/proc/cgroups", encoding="ascii") as file:
            return any(line.split()[:1] == [name] and line.split()[1] != "0" for line in file)
    except OSError:
        return False


def _obstacle(base: str | None, wanted: Collection[str]) -> str:
    """What keeps a group from being divided by us; "" if nothing does."""
    if base is None:
        return "it is in no group of cgroup v2"
    if not is_writable(base) or not os.access(f"{base}/cgroup.subtree_control", os.W_OK):
        return f"its control group {base} is not its to write"
    if missing := sorted(set(wanted) - _words(f"{base}/cgroup.controllers")):
        return f"its control group {base} was not given the {listed(missing)} controller"
    if base.endswith(".service") and os.path.isdir(SYSTEMD):
        return "systemd can't start a service again whose control group is divided"
    if set(wanted) <= _words(f"{base}/cgroup.subtree_control"):
        return ""
    if others := _strangers(base):
        return f"other processes are in its control group: {', '.join(map(_named, others[:NAMED]))}"
    return ""


def _strangers(base: str) -> list[int]:
    """Who is in a group that is not given to us alone, and stands in the way of dividing it.

    A group is ours as a whole if systemd gave it away, or if it is all that a container has. The topmost group of the
    machine is the one that may have processes and be divided, too.
    """
    is_top = not os.path.exists(f"{base}/cgroup.type")
    if is_top or _is_delegated(base) or own_path() in {"/", f"/{HOME}"}:
        return []
    return [pid for pid in Leaf(base).members() if pid != os.getpid()]


def _is_delegated(base: str) -> bool:
    for name in DELEGATED:
        try:
            if os.getxattr(base, name) == b"1":
                return True
        except OSError:
            continue  # not set, or not ours to read
    return False


def _named(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f"{file.read().strip()} ({pid})"
    except OSError:
        return str(pid)


def _words(path: str) -> set[str]:
    """The words of a file; none where it is not there."""
    try:
        with open(path, encoding="ascii") as file:
            return set(file.read().split())
    except OSError:
        return set()

"""Who holds a lock, by what /proc shows: it is never taken to find out, since that might refuse it to its owner."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

FIRST_PID_NAMESPACE: Final = 0xEFFFFFFC  # its inode, PROC_PID_INIT_INO of linux/proc_ns.h


def holds(pid: int, path: Path) -> bool:
    """Whether this very process has this very file open and locked; False where we may not look."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return any(os.path.samestat(each, status) for each in _locked_by(pid, {path.name}))


def locked_inodes(folder: Path, names: Container[str]) -> set[int]:
    """The inodes of the files on the folder's disk that are locked with flock(2), of these names at the least.

    /proc/locks has every lock, proc_locks(5), under the pid of who took it: a runner, whose guard holds it on. In a pid
    namespace it hides those whose taker is gone, so there every process is asked for its descriptors. Who holds a lock
    in a namespace that can't be seen from here is not found.
    """
    try:
        disk, device = os.stat(folder).st_dev, _device(folder)
    except OSError:
        return set()  # no such folder
    found = _listed(device)
    if found is not None and os.stat("/proc/self/ns/pid").st_ino == FIRST_PID_NAMESPACE:
        return found
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    held = (status for pid in pids for status in _locked_by(pid, names))
    return (found or set()) | {status.st_ino for status in held if status.st_dev == disk}


def _listed(device: bytes) -> set[int] | None:
    """The inodes of one device in /proc/locks; a row of who waits for a lock has an arrow before its kind."""
    try:
        with open("/proc/locks", "rb") as file:
            rows = [line.split() for line in file]
    except OSError:  # a sandbox that has none; its processes tell all the same
        return None
    files = [row[5].rpartition(b":") for row in rows if row[1] == b"FLOCK"]
    return {int(inode) for where, _, inode in files if where == device}


def _device(folder: Path) -> bytes:
    """The device as /proc/locks writes it: that of the mount, which stat(2) does not tell on btrfs and on overlays."""
    fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as facts, open("/proc/self/mountinfo", "rb") as mounts:
            (mount,) = (line.split()[1] for line in facts if line.startswith(b"mnt_id:"))
            (device,) = (row[2] for row in map(bytes.split, mounts) if row[0] == mount)
        major, minor = map(int, device.split(b":"))
    except ValueError:  # a mount that is not of our namespace
        number = os.fstat(fd).st_dev
        major, minor = os.major(number), os.minor(number)
    finally:
        os.close(fd)
    return b"%02x:%02x" % (major, minor)


def _locked_by(pid: int, names: Container[str]) -> Iterator[os.stat_result]:
    """The files of these names that a process has open and locked; only these are looked at, others' disks may hang."""
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):  # closed meanwhile
                link = f"/proc/{pid}/fd/{fd}"
                if os.path.basename(os.readlink(link)) in names and _is_locked(f"/proc/{pid}/fdinfo/{fd}"):
                    yield os.stat(link)


def _is_locked(facts: str) -> bool:
    with open(facts, "rb") as file:
        return any(line.startswith(b"lock:") and b"FLOCK" in line for line in file)

"""Mounts: which folders are on a file system of this machine, so that entering them can't hang."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOUNTINFO = "/proc/self/mountinfo"
MOST_LINKS = 40  # as the kernel has it, path_resolution(7)
# All that waits for nobody but a disk; nfs, cifs, fuse, 9p, autofs and whatever is not known here may wait for ever.
LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs"),
        *("reiserfs", "rootfs", "squashfs", "tmpfs", "vfat", "xfs", "zfs"),
    }
)


# what the kernel makes up: no place for a job's folder, but nothing below it waits for anybody either
OURS = frozenset({"bpf", "cgroup", "cgroup2", "debugfs", "devpts", "devtmpfs", "mqueue", "proc", "sysfs", "tracefs"})


def read_mounts() -> dict[str, str]:
    """The file system types by their mount points, proc_pid_mountinfo(5); empty where they can't be read."""
    try:
        with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
            return dict(map(parse_mount, file))
    except OSError:
        return {}


def parse_mount(line: str) -> tuple[str, str]:
    """The mount point and the file system type in a line of mountinfo."""
    before, _, after = line.partition(" - ")
    point = before.split(" ", 5)[4]
    if "\\" in point:  # blanks, tabs, newlines and backslashes are written in octal
        point = point.encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1").decode(
            "utf-8", "surrogateescape"
        )  # fmt: skip
    return point, after.split(" ", 1)[0]


def is_local(path: str, mounts: Mapping[str, str]) -> bool:
    """Whether nothing on the way into a folder can wait for another machine; no such mount is touched to find out."""
    todo, at = _parts(path), "/"
    links = 0
    if mounts.get(at) not in LOCAL or not path.startswith("/"):
        return False
    while todo:
        name = todo.pop(0)
        at = os.path.dirname(at) if name == ".." else os.path.join(at, name)
        if mounts.get(at, "tmpfs") not in LOCAL:
            return False
        try:
            target = os.readlink(at)
        except OSError:  # no link, or nothing there: then entering it fails at once
            continue
        links += 1
        if links > MOST_LINKS:
            return False
        todo = _parts(target) + todo
        at = "/" if target.startswith("/") else os.path.dirname(at)
    return True


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def may_hang(path: str, mounts: Mapping[str, str]) -> bool:
    """Whether looking at what is at a path, and below it, can wait for another machine."""
    below = path.rstrip("/") + "/"
    foreign = (point for point, kind in mounts.items() if kind not in LOCAL and kind not in OURS)
    return not is_local(path, mounts) or any(point.startswith(below) for point in foreign)

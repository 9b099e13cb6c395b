"""Trees of processes: who descends from whom, and ending all of them."""

from __future__ import annotations

import contextlib
import functools
import os
import signal

from runjobs.core.procstat import Stat, parse_stat

ATTEMPTS = 50  # walks in one go at a tree that forks while we kill; a walk takes some 50 microseconds


def read_stat(pid: int) -> Stat | None:
    """One process now; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return parse_stat(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def every_process() -> list[Stat]:
    """Every process that /proc shows."""
    found = (read_stat(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return [stat for stat in found if stat is not None]


def children(pid: int) -> list[int]:
    """The pids of the children of a process, ended but unreaped ones too."""
    if not _kernel_lists_children():
        return [stat.pid for stat in every_process() if stat.parent == pid]
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # a child belongs to the thread that forked it
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:
                found += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended while we looked: its children are somebody else's now, and will be found there
    return found


@functools.cache
def _kernel_lists_children() -> bool:
    # CONFIG_PROC_CHILDREN, which some small kernels lack
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def descendants(root: int, *, freeze: bool = False) -> list[Stat]:
    """The living descendants of a process, parents before children; with `freeze` each is stopped before we go on.

    A process that is stopped forks nothing and reaps nothing: the list of its children is whole, and none of
    their pids can be given to a stranger before we have signalled it.
    """
    if not _kernel_lists_children():
        return _descendants_by_scan(root, freeze=freeze)
    found: list[Stat] = []
    queue = [root]
    while queue:
        for pid in children(queue.pop(0)):
            stat = read_stat(pid)
            if stat is None or not stat.is_alive:
                continue
            if freeze:
                _kill(pid, signal.SIGSTOP)
            found.append(stat)
            queue.append(pid)
    return found


def _descendants_by_scan(root: int, *, freeze: bool) -> list[Stat]:
    by_parent: dict[int, list[Stat]] = {}
    for stat in every_process():
        by_parent.setdefault(stat.parent, []).append(stat)
    found: list[Stat] = []
    queue = [root]
    while queue:
        below = [stat for stat in by_parent.get(queue.pop(0), []) if stat.is_alive]
        for stat in below if freeze else ():
            _kill(stat.pid, signal.SIGSTOP)
        found += below
        queue += [stat.pid for stat in below]
    return found


def terminate(root: int) -> None:
    """Ask every descendant to end: TERM, and CONT for those that are stopped."""
    for process in descendants(root):
        send(process, signal.SIGTERM, reaper=root)
        send(process, signal.SIGCONT, reaper=root)


def send(process: Stat, number: int, *, reaper: int) -> None:
    """Signal just this process, and nobody who was given its pid since; one that is gone is left in peace."""
    if process.parent == reaper:
        _kill(process.pid, number)  # our own child: its pid is not used again before we reap it
        return
    with contextlib.suppress(OSError):  # gone, or not ours to signal: those that stay are reported as stuck
        handle = os.pidfd_open(process.pid)
        try:
            now = read_stat(process.pid)
            if now is not None and now.start_time == process.start_time:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def kill(root: int) -> list[Stat]:
    """Stop and kill every descendant, those forked meanwhile too; those that are alive still, dying or not.

    Called by the subreaper of the tree. Whole process groups are killed as well: the kernel does that in one go,
    so that a member can't fork its way out (fork(2) waits for the signal). A group of the tree has no strangers:
    groups are joined only within a session, and each session below us was made below us.
    """
    own = os.getpgid(root)
    killed: set[tuple[int, int]] = set()
    members: list[Stat] = []
    for _ in range(ATTEMPTS):
        members = descendants(root, freeze=True)
        fresh = [member for member in members if (member.pid, member.start_time) not in killed]
        if not fresh:
            break
        for group in {member.group for member in fresh} - {own, 0}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        for member in fresh:
            _kill(member.pid, signal.SIGKILL)
        killed |= {(member.pid, member.start_time) for member in fresh}
    return members


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or another user's: told as stuck
        os.kill(pid, number)

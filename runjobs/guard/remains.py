"""What is left of a run whose guard is dead: finding it and ending it, for recovery."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import cgroup, process, tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runjobs.core.procstat import Stat
    from runjobs.core.run import ProcessId

PATIENCE = 10.0  # seconds until what is killed and still there counts as stuck
PAUSE = 0.05  # seconds between two looks


class Remains(NamedTuple):
    """What was found of a run and killed, and what of it can't be killed; pids and names."""

    killed: tuple[tuple[int, str], ...] = ()
    stuck: tuple[tuple[int, str], ...] = ()


def kill_remains(run_id: str, main: ProcessId | None, base: str | None, patience: float = PATIENCE) -> Remains:
    """Kill what is left of a run and wait until it is gone; the caller holds the run's lock.

    `main` is the job's main process as recorded, `base` the folder of control groups. Neither ourselves nor
    those we descend from are ever touched.
    """
    leaf = cgroup.leaf_of(base, run_id) if base is not None else None
    found: dict[int, Stat] = {}
    give_up = time.monotonic() + patience
    while left := find_remains(run_id, main, leaf):
        found |= {stat.pid: stat for stat in left}
        if time.monotonic() >= give_up:
            break
        if leaf is not None:
            leaf.kill()
        _kill_all(left)
    if leaf is not None:
        leaf.remove()
    stuck = {stat.pid for stat in left}
    return Remains(_named(found.values(), without=stuck), _named(left, without=set()))


def find_remains(run_id: str, main: ProcessId | None, leaf: cgroup.Leaf | None) -> list[Stat]:
    """The living processes of a run: by control group, environment, session, and descent from any of them."""
    everyone = {stat.pid: stat for stat in tree.every_process() if stat.is_alive}
    found = set(leaf.members() if leaf is not None else ()) | set(find_tagged(run_id))
    found |= _session(main, everyone, found)
    size = -1
    while size != len(found):  # until nobody new has a parent among them
        size = len(found)
        found |= {pid for pid, stat in everyone.items() if stat.parent in found}
    found -= _ourselves(everyone)
    return [everyone[pid] for pid in sorted(found) if pid in everyone]


def find_tagged(run_id: str) -> list[int]:
    """The pids of processes that were given this run's id in their environment (those we may look at)."""
    tag = f"\0RUNJOBS_RUN_ID={run_id}\0".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb", buffering=0) as file:
                if tag in b"\0" + file.readall():
                    found.append(int(name))
    return found


def _session(main: ProcessId | None, everyone: dict[int, Stat], tagged: set[int]) -> set[int]:
    """The session that the main process led, if it is still that one.

    While a session has members its number is given to no new process. Once all are gone it can be; so it counts
    only where its leader is the one we know, or the leader is gone and a member is known to be of the run.
    """
    if main is None or not process.is_here(main):
        return set()
    members = {pid for pid, stat in everyone.items() if stat.session == main.pid}
    leader = everyone.get(main.pid)
    if leader is None:
        return members if members & tagged else set()
    return members | {main.pid} if leader.start_time == main.start_time else set()


def _ourselves(everyone: dict[int, Stat]) -> set[int]:
    """We and all above us: a runner may have been started by a job itself."""
    found, pid = {os.getpid()}, os.getppid()
    while pid in everyone and pid not in found:
        found.add(pid)
        pid = everyone[pid].parent
    return found


def _kill_all(processes: list[Stat]) -> None:
    """Stop all, so that none forks on, kill all, and wait a little for them to be gone."""
    handles = [handle for handle in map(_open, processes) if handle is not None]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for handle in handles:
            with contextlib.suppress(OSError):  # gone, or not ours to signal
                signal.pidfd_send_signal(handle, number)
    poller = select.poll()
    end = time.monotonic() + PAUSE
    for handle in handles:
        poller.register(handle, select.POLLIN)
    waiting = set(handles)
    while waiting and (left := end - time.monotonic()) > 0:
        for handle, _ in poller.poll(left * 1000):
            poller.unregister(handle)
            waiting.discard(handle)
    for handle in handles:
        os.close(handle)


def _open(stat: Stat) -> int | None:
    """A pidfd of just this process; None when it is gone, and maybe its pid is somebody else's."""
    try:
        handle = os.pidfd_open(stat.pid)
    except OSError:
        return None
    now = tree.read_stat(stat.pid)
    if now is not None and now.start_time == stat.start_time:
        return handle
    os.close(handle)
    return None


def _named(processes: Iterable[Stat], *, without: set[int]) -> tuple[tuple[int, str], ...]:
    return tuple((stat.pid, stat.name) for stat in processes if stat.pid not in without)

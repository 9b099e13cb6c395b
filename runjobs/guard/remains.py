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

PATIENCE = 0.3  # seconds in a runner's loop: what was killed is gone in 10 ms, or takes long and is an undertaker's
PAUSE = 0.05  # seconds between two looks


class Remains(NamedTuple):
    """What was found of a run and killed, and what of it is still there; pids and names."""

    killed: tuple[tuple[int, str], ...] = ()
    stuck: tuple[tuple[int, str], ...] = ()


def kill_remains(run_id: str, main: ProcessId | None, base: str | None, patience: float = PATIENCE) -> Remains:
    """Kill what is left of a run and wait, at most `patience` seconds, until it is gone; the caller holds its lock.

    `main` is the job's main process as recorded, `base` the folder of control groups. Neither ourselves nor
    those we descend from are ever touched.
    """
    hunt = Hunt(run_id, main, base)
    give_up = time.monotonic() + patience
    while hunt.step(PAUSE) and time.monotonic() < give_up:
        pass
    return hunt.remains


class Hunt:
    """The search for what is left of one run, step by step: each looks anew, since what is killed may have forked."""

    def __init__(self, run_id: str, main: ProcessId | None, base: str | None) -> None:
        """Nothing is found yet; the arguments are those of `kill_remains`."""
        self._run_id = run_id
        self._main = main
        self._leaf = cgroup.find_leaf(base, run_id)
        self._found: dict[tuple[int, int], Stat] = {}
        self._left: list[Stat] = []

    def step(self, pause: float) -> bool:
        """Look; kill what is there and wait until all of it is gone, at most `pause` seconds. False: nothing was."""
        self._left = find_remains(self._run_id, self._main, self._leaf)
        self._found |= {(stat.pid, stat.start_time): stat for stat in self._left}
        if self._left and self._leaf is not None:
            self._leaf.kill()
        if self._left:
            _kill_all(self._left, pause)
        elif self._leaf is not None:
            self._leaf.remove()
        return bool(self._left)

    @property
    def remains(self) -> Remains:
        """What all steps have found: `stuck` is what the last one did."""
        stuck = {(stat.pid, stat.start_time) for stat in self._left}
        gone = [stat for key, stat in self._found.items() if key not in stuck]
        return Remains(_named(gone), _named(self._left))


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


def _kill_all(processes: list[Stat], pause: float) -> None:
    """Stop all, so that none forks on, kill all, and wait a little for them to be gone."""
    handles = [handle for handle in map(_open, processes) if handle is not None]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for handle in handles:
            with contextlib.suppress(OSError):  # gone, or not ours to signal
                signal.pidfd_send_signal(handle, number)
    poller = select.poll()
    end = time.monotonic() + pause
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


def _named(processes: Iterable[Stat]) -> tuple[tuple[int, str], ...]:
    return tuple((stat.pid, stat.name) for stat in processes)

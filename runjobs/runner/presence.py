"""That a foreground is there: one on each state folder, which holds its PID file, and can be found by it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters import pidfile, tree
from runjobs.adapters.locks.holders import holds
from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "runner.pid"  # in the state folder
BUSY: Final = 75  # EX_TEMPFAIL, sysexits(3)
PATIENCE: Final = 1.0  # seconds: a guard that is just forked by a runner that was killed lets go in a moment
PAUSE: Final = 0.01  # seconds between two tries


class Runner(NamedTuple):
    """A foreground that was found: its pid, and a pidfd by which it is signalled and waited for."""

    pid: int
    handle: int

    def send(self, *numbers: signal.Signals) -> None:
        """Send signals to this very process. PermissionError: it is another user's; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            for number in numbers:
                signal.pidfd_send_signal(self.handle, number)

    def wait(self, seconds: float) -> bool:
        """Wait so long for its end; whether it has come."""
        import select

        poller = select.poll()
        poller.register(self.handle, select.POLLIN)
        return bool(poller.poll(max(0.0, seconds) * 1000))


@contextlib.contextmanager
def present(state: Path, *others: Path) -> Iterator[None]:
    """Be the foreground of this state folder, and hold these PID files too. RunjobsError where that can't be."""
    with contextlib.ExitStack() as stack:
        mine = {pidfile.real(path): path for path in (*others, state / NAME)}  # a file has one lock, by whatever name
        for path in reversed(mine.values()):
            stack.callback(_take(path, state).close)
        yield


def _take(path: Path, state: Path) -> pidfile.PidFile:
    give_up = time.monotonic() + PATIENCE
    try:
        while (held := pidfile.take(path)) is None:
            runner = find_runner(path)
            if (runner is not None and runner.pid == pidfile.read(path)) or time.monotonic() >= give_up:
                raise _refusal(runner, path, state)
            time.sleep(PAUSE)
    except OSError as error:
        problem = "it is a symbolic link" if os.path.islink(path) else error.strerror
        hint = "name another one with --pid-file PATH, or leave that out"
        raise RunjobsError(f"the PID file {path} can't be used: {problem}", hint) from error
    return held


def _refusal(runner: Runner | None, path: Path, state: Path) -> RunjobsError:
    who = f"pid {runner.pid}" if runner is not None else "its pid can't be told from here"
    if path == state / NAME:
        message = f"a foreground runner is there already ({who}), on the state folder {state}"
        return RunjobsError(message, "runjobs reload, or runjobs shutdown; other jobs: --state DIR", exit_code=BUSY)
    message = f"the PID file {path} is held by another runner ({who})"
    return RunjobsError(message, "name another one with --pid-file PATH", exit_code=BUSY)


def find_runner(path: Path) -> Runner | None:
    """Who holds this PID file, proven; None where nobody does whom we may look at. OSError: it can't be read.

    The process is pinned by its pidfd before it is judged, so nobody can come to have its pid in between. The one
    whose pid stands in the file is asked first; in a PID namespace of its own it is another one here.
    """
    recorded = pidfile.read(path)
    if not path.exists():
        return None
    everybody = sorted(tree.every_process(), key=lambda stat: stat.start_time)  # a guard is younger than its runner
    for pid in (*([recorded] if recorded else []), *(stat.pid for stat in everybody)):
        with contextlib.suppress(OSError):  # gone, or not ours to look at
            handle = os.pidfd_open(pid)
            if holds(pid, path):
                return Runner(pid, handle)
            os.close(handle)
    return None

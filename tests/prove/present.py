"""Who is there: the guards and recorders of a stage, and all that bears the id of a run, by the word of /proc."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.real.support.processes import stat

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG = b"RUNJOBS_RUN_ID="
GUARD = "runjobs-guard"
RECORDER = b"runjobs.record"


class Present(NamedTuple):
    """A guard, or a process that records for one: its pid, its parent's, and when it started, in ticks since boot."""

    pid: int
    parent: int
    started: int

    def send(self, number: signal.Signals) -> bool:
        """Signal it, and nobody else who was given its pid since; False when it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            found = stat(self.pid)
            if found is None or found.started != self.started or found.state in "ZX":
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


def guards(root: Path) -> list[Present]:
    """The guards of the runners of this stage; their children bear their name until they are exec'd."""
    found = {one.pid: one for one, name, words in _ours(root) if name == GUARD and RECORDER not in words}
    return [one for one in found.values() if one.parent not in found]


def recorders(root: Path) -> list[Present]:
    """The programs that record an end for a guard whose runner is gone."""
    return [one for one, name, words in _ours(root) if name != GUARD and RECORDER in words]


def _ours(root: Path) -> Iterator[tuple[Present, str, list[bytes]]]:
    """Guards keep the command line of their runner, and recorders name the ledger in theirs."""
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        words: list[bytes] = []
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if any(word.startswith(os.fsencode(root)) for word in words):
            found = stat(pid)
            if found is not None and found.state not in "ZX":
                yield Present(pid, found.parent, found.started), found.name, words


def tagged() -> dict[str, list[str]]:
    """The living processes of each run, by the run's id: pid and name of each."""
    found = defaultdict(list)
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                process = stat(pid) if entry.startswith(TAG) else None
                if process is not None and process.state not in "ZX":
                    found[entry.removeprefix(TAG).decode()].append(f"{pid} {process.name}")
    return dict(found)

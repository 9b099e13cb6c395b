"""Those who call runjobs: foregrounds, passes and single jobs, with and without a control group to write to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.real.support.command_line import SILENT, environment
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from tests.real.support.command_line import Place

FOREGROUND, PASS, MANUAL = "foreground", "pass", "call"  # as the ledger has them in the names of runners
GRACE = "2s"
# in a mount namespace of its own a runner finds no hierarchy of version 2; exec keeps the pid that we know
_WITHOUT = ("unshare", "--mount", "sh", "-c", 'umount -l "$0" && exec "$@"')


class Signalled(NamedTuple):
    """A signal that was sent to one of a kind, and when, in milliseconds since the epoch."""

    kind: str
    pid: int
    at: float


class Called(NamedTuple):
    """A call that is over: `status` is as subprocess has it, a signal's number below zero."""

    kind: str
    pid: int
    status: int
    stderr: str
    job: str = ""


class Caller(NamedTuple):
    """A call in progress."""

    kind: str
    process: subprocess.Popen[bytes]
    stderr: Path
    job: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended; its exit status is taken."""
        return self.process.poll() is not None

    def called(self) -> Called:
        """What became of it; it has ended."""
        text = self.stderr.read_text(errors="replace")
        self.stderr.unlink()
        return Called(self.kind, self.process.pid, self.process.wait(), text, self.job)


class Callers:
    """All calls of one stage: those in progress, and what became of the others."""

    def __init__(self, place: Place) -> None:
        """Nobody has called yet."""
        self.present: list[Caller] = []
        self.past: list[Called] = []
        self.stops: list[Signalled] = []
        self._place = place
        self._number = 0
        for name in ("said", "held", "err", "out"):
            (place.root / name).mkdir(exist_ok=True)

    def start(self, kind: str, *words: str, cgroup: bool = True, job: str = "") -> Caller:
        """Call `runjobs run WORDS`; what a foreground tells is kept in the folder `out`."""
        self._number += 1
        stderr = self._place.root / "err" / str(self._number)
        out = self._place.root / "out" / str(self._number) if kind == FOREGROUND else Path(os.devnull)
        command = self._place.command("run", *words)
        with stderr.open("wb") as said, out.open("ab") as told:
            process = subprocess.Popen(
                command if cgroup else without_cgroup(command),
                env=environment(), stdin=SILENT, stdout=told, stderr=said,
            )  # fmt: skip
        caller = Caller(kind, process, stderr, job)
        self.present.append(caller)
        return caller

    def foreground(self, *, cgroup: bool, leaves: bool = True) -> Caller:
        """Start a runner that stays. `leaves` is whether it leaves its runs alone when it is told to stop."""
        stop = ["--on-stop", "leave"] if leaves else ["--on-stop", "stop", "--grace", GRACE]
        return self.start(FOREGROUND, "--foreground", "--log-format", "json", *stop, cgroup=cgroup)

    def stop(self, caller: Caller) -> None:
        """Tell one to stop."""
        self.stops.append(Signalled(caller.kind, caller.process.pid, time.time() * 1000))
        caller.process.send_signal(signal.SIGTERM)

    def of(self, kind: str) -> list[Caller]:
        """Those of one kind that are there."""
        self.look()
        return [caller for caller in self.present if caller.kind == kind]

    def look(self) -> None:
        """Take note of those that have ended."""
        for caller in [caller for caller in self.present if caller.is_over]:
            self.present.remove(caller)
            self.past.append(caller.called())

    def dismiss(self, seconds: float) -> list[Caller]:
        """Have the foregrounds leave, and wait for the others to end; those that have not."""
        for caller in self.of(FOREGROUND):
            self.stop(caller)
        wait_until(lambda: all(caller.is_over for caller in self.present), seconds)
        self.look()
        return self.present


@cache
def version_2() -> str:
    """Where the second version of control groups can be written to; "" where it can't, and all go without."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return ""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    return mounts[0][4] if mounts and os.access(mounts[0][4], os.W_OK) else ""


def without_cgroup(command: list[str]) -> list[str]:
    """The command that runs `command` where no control group can be written to."""
    folder = version_2()
    return [*_WITHOUT, folder, *command] if folder else command


def next_tick() -> float:
    """How many seconds it is to the next full second, at which jobs are due."""
    return 1 - time.time() % 1

"""The daemons that run jobs by the clock, ours and the peers', each started from the same entries."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench import peers
from bench.machine import plain_environment
from tests.real.support.debian_cron import in_a_namespace
from tests.real.support.processes import is_same, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAMS = Path(__file__).parent / "programs"


class Entry(NamedTuple):
    """A schedule of six fields (seconds first, UTC) and a shell command without a percent sign."""

    fields: str
    command: str

    @property
    def to_the_minute(self) -> str:
        """The five fields of a crontab."""
        return self.fields.split(maxsplit=1)[1]


class Scheduler(NamedTuple):
    """A daemon: `prepare` writes its settings into a folder and returns the command that starts it."""

    who: str
    prepare: Callable[[Path, Sequence[Entry]], list[str]]
    knows_seconds: bool
    lead: float  # seconds from its start until it has surely loaded 1,000 entries
    needs: str = ""

    def is_there(self) -> bool:
        """Whether it can be started here."""
        return not self.needs or peers.has(self.needs)


def at(instant: float, command: str) -> Entry:
    """Make an entry that is due once a year, at the second of `instant`."""
    due = datetime.fromtimestamp(instant, UTC)
    return Entry(f"{due.second} {due.minute} {due.hour} {due.day} {due.month} *", command)


def _runjobs(folder: Path, entries: Sequence[Entry]) -> list[str]:
    jobs = folder / "jobs.d"
    jobs.mkdir()
    lines = ["#: defaults fields=6", *(f"{entry.fields} {entry.command}" for entry in entries)]
    (jobs / "bench").write_text("\n".join(lines) + "\n")
    here = ["--jobs", str(jobs), "--state", str(folder / "state")]
    return [sys.executable, "-m", "runjobs", "run", "--foreground", *here]


def _apscheduler(folder: Path, entries: Sequence[Entry]) -> list[str]:
    settings = folder / "entries.json"
    settings.write_text(json.dumps(entries))
    return [str(peers.PYTHON), str(PROGRAMS / "apscheduler_daemon.py"), str(settings)]


def _cronstable(folder: Path, entries: Sequence[Entry]) -> list[str]:
    return _yaml(folder, "cronstable", [(f"{entry.fields} *", entry.command) for entry in entries])


def _yacron(folder: Path, entries: Sequence[Entry]) -> list[str]:
    return _yaml(folder, "yacron", [(entry.to_the_minute, entry.command) for entry in entries])


def _yaml(folder: Path, program: str, entries: Sequence[tuple[str, str]]) -> list[str]:
    settings = folder / f"{program}.yaml"
    jobs = [
        f"- name: job{number}\n  utc: true\n  schedule: {json.dumps(schedule)}\n  command: {json.dumps(command)}\n"
        for number, (schedule, command) in enumerate(entries)
    ]
    settings.write_text("jobs:\n" + "".join(jobs))
    return [str(peers.PYTHON), "-m", program, "-c", str(settings)]


def _cron(folder: Path, entries: Sequence[Entry]) -> list[str]:
    return in_a_namespace(folder, _crontab(entries))


def _busybox(folder: Path, entries: Sequence[Entry]) -> list[str]:
    (folder / "root").write_text(_crontab(entries))
    return [str(peers.BUSYBOX), "crond", "-f", "-L", "/dev/null", "-c", str(folder)]


def _crontab(entries: Sequence[Entry]) -> str:
    return "".join(f"{entry.to_the_minute} {entry.command}\n" for entry in entries)


OURS = Scheduler("runjobs", _runjobs, knows_seconds=True, lead=5)
APSCHEDULER = Scheduler("APScheduler", _apscheduler, knows_seconds=True, lead=5, needs="apscheduler")
CRONSTABLE = Scheduler("cronstable", _cronstable, knows_seconds=True, lead=15, needs="cronstable")
YACRON = Scheduler("yacron", _yacron, knows_seconds=False, lead=15, needs="yacron")
CRON = Scheduler("Debian cron", _cron, knows_seconds=False, lead=3, needs="cron")
BUSYBOX = Scheduler("busybox crond", _busybox, knows_seconds=False, lead=3, needs="busybox")
ALL = (OURS, APSCHEDULER, CRONSTABLE, YACRON, CRON, BUSYBOX)


@contextmanager
def running(scheduler: Scheduler, folder: Path, entries: Sequence[Entry]) -> Iterator[int]:
    """Start a scheduler on `entries`, give its pid, and end it with all that it started."""
    folder.mkdir()
    command = scheduler.prepare(folder, entries)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=peers.ROOT
        )
    try:
        yield process.pid
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pid, before in tree(process.pid).items():  # the root comes first, so nothing new is started
        if is_same(pid, before):
            os.kill(pid, signal.SIGKILL)
    process.wait()

"""A night on record: jobs of one machine, of which one failed, one was skipped, and one was cut short by a reboot.

Everything is written through the ledger and the logs as runners write them, at times of its own. Called as a program
it prints the screens that docs/answers.md shows.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from runjobs.adapters.joblog import JobLog
from runjobs.adapters.ledger import Beginning, RunnerId, Skip
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.cli import history, status, why
from runjobs.cli.recorded import Recorded, opened
from runjobs.core.answers import parse_outcomes, parse_past
from runjobs.core.crontab import parse
from runjobs.core.fire import Fire, Stretch, Trigger, milliseconds
from runjobs.core.plan import Decision, mark_after
from runjobs.core.run import ProcessId, RunEnd, Start, Started, run_id
from runjobs.render.reasons import tell
from runjobs.render.screen import Screen
from runjobs.settings import Settings
from tests.support.jobs import jobs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MORNING = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
SCREEN = Screen(pretty=True, width=80, unicode=True)
JOBS = """\
#: name=backup retries=1 retry-delay=5m
15 3 * * * /usr/local/bin/backup --all
#: name=report lock=database
30 3 * * * /usr/local/bin/report
#: name=vacuum lock=database timeout=2h
0 3 * * * /usr/local/bin/vacuum
#: name=mirror
0 4 * * * /usr/local/bin/mirror
#: name=poll
*/10 * * * * /usr/local/bin/poll
"""
FAILING = """\
copying /home
copying /srv
tar: /srv/data.img: Cannot write: No space left on device
tar: Error is not recoverable: exiting now
"""
RUNNER = RunnerId("foreground-812-3574gqn0000", "locks/runner")
LATER = RunnerId("foreground-640-3574h5k0000", "locks/runner")


class Night:
    """Writes runs into a state folder as a runner and its guards do, at any time."""

    def __init__(self, state: Path, jobs: str = JOBS) -> None:
        """Begin a ledger there, for these jobs."""
        self.state = state
        self.jobs = jobs_of(jobs)
        self.ledger: SqliteLedger = open_ledger(state / "ledger.sqlite3", announce=print)
        self._number = 0

    def claim(self, job: str, at: datetime, runner: RunnerId = RUNNER, trigger: Trigger = Trigger.SCHEDULE) -> int:
        """Claim the fire of a job at a time, a second's fraction late; the fire's id."""
        decision = Decision(job, mark_after(self.jobs[job], at), (Fire(job, trigger, at),))
        claims = self.ledger.claim(runner, at + timedelta(milliseconds=4), None, lambda _: [decision])
        return claims.claimed[0].fire_id

    def start(self, fire: int, job: str, at: datetime, attempt: int = 1, runner: RunnerId = RUNNER) -> str:
        """Start a run; its id."""
        self._number += 1
        name = run_id(milliseconds(at), self._number)
        log = str(self.state / "logs" / job / f"{name}.log")
        start = Start(name, fire, attempt, f"locks/job.{job}", log)
        assert self.ledger.start(runner, at, Beginning([start]))
        process = ProcessId(4700 + self._number, 99, "boot", 1)
        self.ledger.record([Started(name, 4600 + self._number, process, at.timestamp() + 0.004)], [])
        return name

    def end(self, run: str, began: datetime, took: timedelta, end: RunEnd, said: str = "", job: str = "") -> None:
        """End a run after so long, with what it has said."""
        if said:
            log = JobLog(str(self.state / "logs" / job / f"{run}.log"), 10_000)
            log.write(said.encode())
            log.close()
        started = began.timestamp() + 0.004
        ended = end._replace(run_id=run, started_at=started, ended_at=started + took.total_seconds())
        self.ledger.record([], [ended._replace(output_bytes=len(said.encode()))])

    def run(self, job: str, at: datetime, took: timedelta, end: RunEnd, said: str = "") -> None:
        """Run a job at its time, once."""
        self.end(self.start(self.claim(job, at), job, at), at, took, end, said, job)

    def miss(self, job: str, first: datetime, last: datetime, number: int, reason: str) -> None:
        """Miss fires that follow each other."""
        stretch = Stretch(job, Trigger.SCHEDULE, first, last, number, "missed", reason)
        decision = Decision(job, mark_after(self.jobs[job], last), (), (stretch,))
        self.ledger.claim(LATER, last, None, lambda _: [decision])


def at(clock: str, day: int = 20) -> datetime:
    """A time of that night, or of a day before."""
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def write(state: Path) -> None:
    """Put the night on record."""
    night = Night(state)
    ok = RunEnd("", "ok", exit_code=0)
    for job, clock, took in (
        ("vacuum", "3:00", 22),
        ("backup", "3:15", 12),
        ("report", "3:30", 4),
        ("mirror", "4:00", 31),
    ):
        night.run(job, at(clock, 19), timedelta(minutes=took), ok, f"{job}: done\n")
    for clock in ("3:20", "3:30", "3:40", "3:50", "4:00", "4:10"):
        night.run("poll", at(clock), timedelta(seconds=0.3), ok)
    vacuum = night.start(night.claim("vacuum", at("3:00")), "vacuum", at("3:00"))
    fail_twice(night)
    report = night.claim("report", at("3:30"))
    detail = f"the lock database is held by run {vacuum} of vacuum (pid 4611) since 2026-11-20T03:00:00+00:00"
    night.ledger.start(RUNNER, at("3:30"), Beginning(skips=[Skip(report, "skipped", "overlap", detail)]))
    night.end(vacuum, at("3:00"), timedelta(minutes=47), ok)
    mirror = night.start(night.claim("mirror", at("4:00")), "mirror", at("4:00"))
    night.end(
        mirror, at("4:00"), timedelta(minutes=41), RunEnd("", "interrupted", "reboot", "the machine was restarted"),
        "receiving file list\n", "mirror",
    )  # fmt: skip
    night.miss("poll", at("4:20"), at("4:30"), 2, "down")
    for minute in range(4 * 60 + 40, 8 * 60 + 31, 10):
        night.run("poll", at(f"{minute // 60}:{minute % 60}"), timedelta(seconds=0.3), ok)
    night.ledger.close()


def fail_twice(night: Night) -> None:
    """A backup that fails, is tried again, and fails for good."""
    failed = RunEnd("", "failed", "exit", "exit code 2", exit_code=2)
    fire = night.claim("backup", at("3:15"))
    first = night.start(fire, "backup", at("3:15"))
    took = timedelta(minutes=2, seconds=31)
    again = (at("3:15") + took + timedelta(minutes=5)).timestamp()
    night.end(first, at("3:15"), took, failed._replace(again_at=again), "copying /home\n", "backup")
    began = at("3:15") + took + timedelta(minutes=5)
    second = night.start(fire, "backup", began, 2)
    said = FAILING
    night.end(second, began, timedelta(minutes=2, seconds=44), failed, said, "backup")


def build(folder: Path) -> None:
    """Put the night on record in a new folder, beside its jobs file."""
    (folder / "state" / "locks").mkdir(parents=True)
    (folder / "jobs").write_text(JOBS)
    write(folder / "state")


@contextmanager
def recorded(folder: Path) -> Iterator[Recorded]:
    """The record of the night that was built in a folder."""
    with opened(
        Settings((str(folder / "jobs"),), "--jobs", str(folder / "state"), trust_jobs=True, local=UTC)
    ) as record:
        yield record._replace(jobs={job.name: job for job in parse(JOBS, source="jobs.d/nightly.cron").jobs})


def screens(folder: Path) -> dict[str, str]:
    """What the commands print in the morning, on a terminal of 80 columns: by their command lines."""
    with recorded(folder) as record:
        since, wanted = parse_past("22:00", MORNING, UTC), parse_outcomes("trouble,skipped")
        found = record.reader.fires((), wanted, since, None, history.MOST)
        return {
            "runjobs status": status.text(status.look(record, list(record.jobs), MORNING), UTC, SCREEN),
            "runjobs history --since 22:00 --outcome trouble,skipped": history.text(found, MORNING, UTC, SCREEN),
            "runjobs why backup": tell(why.find(record, "backup", None, MORNING), UTC, SCREEN),
        }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        for command, screen in screens(Path(name)).items():
            print(f"```\n$ {command}\n{screen}\n```\n")

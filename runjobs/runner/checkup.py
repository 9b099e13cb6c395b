"""The check-up: all that runjobs depends on is looked at, and nothing is changed."""

from __future__ import annotations

import os
import platform
import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters import ballast, cgroup, clock, host, locks, statefolder
from runjobs.adapters.ledger import LedgerError, integrity, tidings
from runjobs.adapters.statefolder import above
from runjobs.core.errors import RunjobsError
from runjobs.core.finding import Finding, fine, in_bytes, note, problem
from runjobs.core.fire import from_milliseconds, milliseconds
from runjobs.core.limits import unheld
from runjobs.core.trust import quoted
from runjobs.runner import recovery
from runjobs.runner.limits import find_lack
from runjobs.runner.secrets import read_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from runjobs.adapters.ledger.integrity import Health
    from runjobs.adapters.statefolder import StateFolder
    from runjobs.core.job import Job

    Look = Callable[["Subject"], Iterator[Finding]]

LEAST_ROOM: Final = 1024 * 1024  # bytes: a pass writes less, a ledger's log in use is up to four times that
LEAST_INODES: Final = 100
LEAST_FILES: Final = 1024  # a runner with a hundred runs to start at once has four hundred open
LEAST_PROCESSES: Final = 200
OLD_ZONES: Final = 2  # years
AHEAD: Final = timedelta(minutes=1)
SILENT: Final = timedelta(hours=1)
OVERDUE: Final = timedelta(minutes=5)  # beyond timeout and kill-after: then it can't be killed
MOST_NAMED: Final = 5


class Subject(NamedTuple):
    """What is looked at: a state folder, its jobs, and the time; `health` is the ledger's (None: there is none)."""

    state: StateFolder
    jobs: Mapping[str, Job]
    now: datetime
    environ: Mapping[str, str]
    health: Health | None = None
    known: frozenset[str] = frozenset()  # all runs on record


def examine(subject: Subject) -> Iterator[Finding]:
    """Look at everything, from the ground up."""
    if not subject.state.root.exists():
        yield note("state", f"{subject.state.root} is not there yet", "the first `runjobs run` makes it")
    else:
        yield from _folder(subject)
        if subject.state.ledger.exists():
            health = integrity.examine(subject.state.ledger, milliseconds(subject.now + AHEAD))
            subject = subject._replace(health=health, known=integrity.known_runs(subject.state.ledger))
        for look in OF_THE_FOLDER:
            yield from look(subject)
    for look in OF_THE_HOST:
        yield from look(subject)


def _folder(subject: Subject) -> Iterator[Finding]:
    state = subject.state
    try:
        statefolder.check(state.root, subject.environ)
    except RunjobsError as error:
        yield problem("state", error.message, error.hint)
    else:
        kind = statefolder.file_system(state.root)
        yield fine("state", f"{state.root} is private and can be written" + (f" ({kind})" if kind else ""))
    if loose := [str(path) for path in statefolder.loose(state.root)]:
        paths = " ".join(map(quoted, loose[:MOST_NAMED]))
        yield note("state", f"the modes of {_some(loose)} are for others too", f"chmod go-rwx {paths}")
    if os.geteuid():  # root is refused
        for doubt in above.doubts(state.root):
            yield note("state", f"{doubt.message}: they can take it away and put another in its place", doubt.hint)


def _room(subject: Subject) -> Iterator[Finding]:
    root = subject.state.root
    free, inodes = ballast.free(root), host.free_inodes(root)
    if free < LEAST_ROOM or (inodes is not None and inodes < LEAST_INODES):
        left = f"{in_bytes(free)} and {inodes} files are free" if inodes is not None else f"{in_bytes(free)} are free"
        meaning = "jobs run, but what they do may not be recorded until there is room"
        yield problem("disk", f"the disk of {root} is full: {left}; {meaning}", f"df -h {root}; make room")
    else:
        yield fine("disk", f"{in_bytes(free)} are free for {root}")
    if not ballast.is_there(subject.state.ballast):
        meaning = "no room is held back for the ledger"
        why = "it is, as soon as a pass finds 32 MiB free" if free < ballast.ROOM else "the next pass holds it back"
        yield note("disk", meaning, why)


def _ledger(subject: Subject) -> Iterator[Finding]:
    path, health = subject.state.ledger, subject.health
    broken = sorted(subject.state.root.glob(f"{path.name}.broken-*[0-9]"))
    if broken:
        size = sum(each.stat().st_size for each in subject.state.root.glob(f"{path.name}.broken-*"))
        text = f"{len(broken)} broken ledgers were set aside ({in_bytes(size)}), the last as {broken[-1].name}"
        yield note("ledger", text, f"rm {path}.broken-*, when nobody wants to look into them")
    if health is None:
        yield note("ledger", f"{path} is not there yet", "the first `runjobs run` makes it")
    elif health.is_newer:
        text = f"{path} was written by a newer runjobs (ledger version {health.version})"
        yield problem("ledger", text, "run that version, or name another state folder with --state DIR")
    elif health.faults:
        yield problem(
            "ledger", f"{path}: {'; '.join(health.faults)}", "a pass that meets it sets it aside: runjobs run"
        )
    else:
        yield fine("ledger", f"{path} is sound: {health.fires} fires, {in_bytes(path.stat().st_size)}")


def _runs(subject: Subject) -> Iterator[Finding]:
    if subject.health is None:
        return
    folder = subject.state.locks
    held = {seen.path.name for seen in locks.survey(folder) if seen.is_held}
    dead = [run for run in subject.health.unended if recovery.lock_of(folder, run.lock).name not in held]
    if dead:
        names = _some([f"{run.run_id} of {run.job}" for run in dead])
        yield note("runs", f"runs whose guard is dead have no end yet: {names}", "runjobs run")
    owners = [runner for runner, lock in subject.health.waiting if os.path.basename(lock) not in held]
    if owners:
        yield note("runs", f"fires wait for runners that are dead: {_some(owners)}", "runjobs run")
    yield from _overdue(subject, held)
    yield from _left_behind(subject)
    if not (dead or owners):
        yield fine("runs", f"{len(subject.health.unended)} runs go on, each with its guard")


def _overdue(subject: Subject, held: set[str]) -> Iterator[Finding]:
    for run in subject.health.unended if subject.health is not None else ():
        job = subject.jobs.get(run.job)
        if job is None or job.options.timeout is None or os.path.basename(run.lock) not in held:
            continue
        allowed = job.options.timeout + job.options.kill_after + OVERDUE
        if (began := locks.read(subject.state.locks / os.path.basename(run.lock)).get("since")) is None:
            continue
        if subject.now - _instant(str(began), subject.now) > allowed:
            text = f"run {run.run_id} of {run.job} is long past its timeout: its processes can't be killed"
            yield problem(
                "runs", text, f"ps -o pid,stat,wchan,args -p {run.guard_pid}; a stalled disk or mount holds them"
            )


def _instant(text: str, otherwise: datetime) -> datetime:
    from datetime import datetime

    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return otherwise


def _left_behind(subject: Subject) -> Iterator[Finding]:
    """Processes of runs that have ended: a daemon may be meant to stay, so it is a note."""
    unended = {run.run_id for run in subject.health.unended} if subject.health is not None else set()
    left = [(pid, name) for pid, (run, name) in host.tagged().items() if run in subject.known - unended]
    if left:
        names = _some([f"{name} (pid {pid})" for pid, name in left])
        hint = f"kill {' '.join(str(pid) for pid, _ in left[:MOST_NAMED])}, or leftovers=kill for their jobs"
        yield note("runs", f"processes go on though their runs have ended: {names}", hint)


def _logs(subject: Subject) -> Iterator[Finding]:
    logs = subject.state.logs
    strays = [path for path in logs.glob("*/*.log*") if path.name.partition(".")[0] not in subject.known]
    if strays:
        size = sum(path.lstat().st_size for path in strays)
        text = f"{len(strays)} log files belong to no run on record ({in_bytes(size)}), such as {strays[0]}"
        yield note("logs", text, "nothing needs them: their runs were pruned, or were in a ledger that was set aside")


def _runner(subject: Subject) -> Iterator[Finding]:
    seen = [each for each in locks.survey(subject.state.locks, "runner") if each.is_held]
    living = [str(each.record.get("runner", "")).partition("-")[0] for each in seen]
    last = subject.health.last_ms if subject.health is not None else None
    if "foreground" in living:
        yield fine("runner", "a foreground runner follows the schedules")
        return
    if last is not None and subject.now - from_milliseconds(last) <= SILENT:
        yield fine("runner", "passes run what is due")
        return
    hint = "crontab -e: * * * * * runjobs run; or a service with: runjobs run --foreground"
    yield note("runner", f"nobody has started anything for {SILENT.seconds // 3600} hour", hint)


def _news(subject: Subject) -> Iterator[Finding]:
    try:
        seen = tidings.glance(subject.state.ledger, subject.now)
    except LedgerError:
        return  # what is wrong with it is told with the ledger
    try:
        read_secrets(subject.environ)
    except RunjobsError as error:
        yield problem("news", error.message, error.hint)
    if seen.failed:
        text = f"{seen.failed} letters could not be delivered and were given up"
        yield note("news", text, "runjobs notify --list; runjobs notify --test; runjobs notify --retry")
    elif seen.waiting:
        yield note("news", f"{seen.waiting} letters wait to be sent", "runjobs notify --list says what keeps them")
    for job, since in seen.lapsed.items():
        text = f"{job} has not gone well for as long as expect-within= allows, since {since.isoformat(' ', 'seconds')}"
        yield note("news", text, f"runjobs why {job}")


def _clock(subject: Subject) -> Iterator[Finding]:
    synchronised = host.is_synchronised()
    if synchronised is False:
        text = "nothing keeps the clock right, by the word of the kernel; jobs run by the clock as it is"
        yield note("clock", text, "timedatectl set-ntp true; a container has the clock of its host")
    elif synchronised:
        yield fine("clock", "it is synchronised")
    if subject.health is not None and subject.health.ahead:
        text = f"jobs have run in the future, so the clock was set back: {_some(list(subject.health.ahead))}"
        yield note("clock", text, "runjobs why JOB; the next pass puts it right, and says so")


def _zones(subject: Subject) -> Iterator[Finding]:
    version = host.zone_version()
    if not host.has_zones():
        text = "there is no time zone data: schedules follow UTC alone"
        yield problem("zones", text, "install tzdata, by the package manager or with: pip install tzdata")
    elif version[:4].isdecimal() and int(version[:4]) <= subject.now.year - OLD_ZONES:
        text = f"the time zone data is of {version}; rules that have changed since then are not in it"
        yield note("zones", text, "update tzdata")
    else:
        zone = clock.local_zone()
        yield fine("zones", f"time zone data {version or 'of unknown age'}, local zone {getattr(zone, 'key', zone)}")


def _groups(subject: Subject) -> Iterator[Finding]:
    for unkept in unheld(subject.jobs.values(), find_lack):
        yield note("cgroup", f"{unkept.place.source}:{unkept.place.line}: {unkept.message}", unkept.hint)
    if cgroup.find_base() is not None:
        yield fine("cgroup", "each run can have a control group of its own")
        return
    text = (
        "no control groups of ours: what leaves session and environment of its run is not found after a guard's death"
    )
    yield note("cgroup", text, "Delegate=yes in the service, or a container with a writable cgroup v2")


def _limits(_: Subject) -> Iterator[Finding]:
    files, processes = host.limits()
    low = []
    if files is not None and files < LEAST_FILES:
        low.append(f"{files} open files")
    if processes is not None and processes < LEAST_PROCESSES:
        low.append(f"{processes} processes")
    if low:
        text = f"few are allowed at the most: {', '.join(low)}"
        yield note("limits", text, "LimitNOFILE= and LimitNPROC= in the service, or ulimit")
    else:
        yield fine("limits", f"{files or 'any number of'} open files, {processes or 'any number of'} processes")


def _versions(_: Subject) -> Iterator[Finding]:
    from importlib.metadata import version

    import runjobs

    packages = ", ".join(f"{name} {version(name)}" for name in ("croniter", "typer", "rich", "filelock"))
    text = f"runjobs {runjobs.__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    yield fine("versions", f"{text}, {packages}, Linux {platform.release()}")


def _some(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


OF_THE_FOLDER: Final[tuple[Look, ...]] = (_room, _ledger, _runs, _logs, _runner, _news)
OF_THE_HOST: Final[tuple[Look, ...]] = (_clock, _zones, _groups, _limits, _versions)

"""`runjobs locks`: who holds which lock, since when, and which are free; no lock is taken to find out."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from runjobs.adapters import locks
from runjobs.adapters.statefolder import folder_at
from runjobs.cli import options
from runjobs.cli.streams import complain
from runjobs.core.errors import RunjobsError, UsageError
from runjobs.core.nearest import nearest_word
from runjobs.render.screen import screen_of
from runjobs.render.table import Column, Table, draw
from runjobs.render.text import printable
from runjobs.render.times import clock, distance

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from runjobs.core.job import Job

KINDS: Final = ("runner", "job", "lock", "pool")  # what a lock file's name begins with, in the order of the table
COLUMNS = (
    Column("LOCK"),
    Column("NAME", color="bold", clipped=True),
    Column("HELD BY", clipped=True),
    Column("PID", right=True, optional=True),
    Column("SINCE", optional=True),
    Column("FOR", right=True),
)

Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Only these.", show_default=False)]


class Held(NamedTuple):
    """A lock as it is shown. `place` counts those of one name; of a free lock only kind, name and place are known.

    A lock may be held while nothing is known of who holds it: it was taken a moment ago.
    """

    kind: str
    name: str
    place: int = 1
    is_held: bool = False
    run: str | None = None
    job: str | None = None
    runner: str | None = None
    pid: int | None = None
    since: datetime | None = None


def show_locks(
    names: Names = None,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    json: options.Json = False,
) -> None:
    """Show who holds which lock, since when, and which are free: jobs, lock=NAME, places of pools, and runners.

    \b
    runjobs locks            all of them
    runjobs locks database   who holds lock=database, since when
    runjobs locks runner     which runners there are

    No lock is taken to find out, so it can be asked at any time.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    from runjobs.wiring import load_jobs

    known = load_jobs(settings).jobs
    folder = folder_at(Path(settings.state).absolute()).locks
    found = chosen(sorted(map(held_of, look(folder)), key=_order), names, known)
    pools = pools_of(found, known)
    if json:
        from runjobs.render.json import to_json

        taken = [{"name": name, "taken": taken, "size": size} for name, (taken, size) in pools.items()]
        print(to_json({"locks": [each._asdict() for each in found], "pools": taken}))
    elif found:
        print(draw(table(found, pools, settings.local, datetime.now(UTC)), screen_of(sys.stdout)))
    else:
        complain(f"runjobs: nothing has run yet in {printable(settings.state)}: there is no lock")


def look(folder: Path) -> list[locks.Seen]:
    """Every lock file of a state folder; none where there is no such folder."""
    try:
        found = locks.survey(folder)
    except OSError as error:
        message = f"the locks in {folder} can't be read: {error.strerror}"
        raise RunjobsError(message, "ask as the user who runs the jobs, or name another folder: --state DIR") from error
    return [seen for seen in found if seen.path.name.partition("+")[0].partition(".")[0] in KINDS]


def held_of(seen: locks.Seen) -> Held:
    """What a lock file says. Its record counts only where the process that it names has the lock."""
    stem, _, place = seen.path.name.partition("+")
    kind, _, name = stem.partition(".")
    bare = Held(kind, locks.name_of(name), int(place) if place.isdecimal() else 1, seen.is_held)
    if seen.pid is None:
        return bare
    run, job, runner, since = (_text(seen.record.get(key)) for key in ("run", "job", "runner", "since"))
    return bare._replace(run=run, job=job, runner=runner, pid=seen.pid, since=_instant(since))


def chosen(found: Sequence[Held], names: Sequence[str] | None, known: Iterable[Job]) -> list[Held]:
    """Return the locks of these names; one that a jobs file names and that nobody has ever taken is free."""
    if not names:
        return list(found)
    there = {each.name for each in found} | {"runner"}
    free = [each for each in named_in(known) if each.name not in there]
    everything = [*found, *free]
    for name in names:
        if not any(name in {each.name, each.kind} for each in everything) and name not in KINDS:
            raise unknown(name, {each.name for each in everything})
    return [each for each in everything if each.name in names or each.kind in names]


def named_in(known: Iterable[Job]) -> list[Held]:
    """The locks that the jobs files name, as if all were free."""
    found = {}
    for job in known:
        found[Held("job", job.name)] = True
        if job.options.lock is not None:
            found[Held("lock", job.options.lock)] = True
        if job.options.pool is not None:
            found[Held("pool", job.options.pool.name)] = True
    return list(found)


def unknown(name: str, there: Iterable[str]) -> UsageError:
    """The error for a name that no lock has: the nearest one."""
    return UsageError(f"no lock is named {name}", f"runjobs locks {nearest_word(name, there)}".rstrip())


def pools_of(found: Iterable[Held], known: Iterable[Job]) -> dict[str, tuple[int, int]]:
    """For each pool, how many of its places are taken, and how many there are: as its jobs say, or were seen."""
    pools = {job.options.pool for job in known if job.options.pool is not None}
    sizes = {pool.name: pool.size for pool in pools}
    places: dict[str, list[Held]] = {}
    for each in found:
        if each.kind == "pool":
            places.setdefault(each.name, []).append(each)
    return {
        name: (sum(each.is_held for each in some), sizes.get(name, max(each.place for each in some)))
        for name, some in places.items()
    }


def table(found: Sequence[Held], pools: dict[str, tuple[int, int]], zone: tzinfo | None, now: datetime) -> Table:
    """Return the table; of what may be held several times, free places are not shown one by one."""
    rows = []
    told: set[str] = set()
    for each in found:
        if each.kind == "pool" and each.name not in told:
            told.add(each.name)
            taken, size = pools[each.name]
            rows.append(["pool", each.name, f"{taken} of {size} taken", "", "", ""])
        if each.is_held or (each.kind in {"job", "lock"} and each.place == 1):
            rows.append(_row(each, zone, now))
    return Table(COLUMNS, rows)


def _row(each: Held, zone: tzinfo | None, now: datetime) -> list[str]:
    name = each.name if each.place == 1 and each.kind != "pool" else f"{each.name} ({each.place})"
    pid = "" if each.pid is None else str(each.pid)
    since = "" if each.since is None else clock(each.since, zone)
    lasting = "" if each.since is None else distance(now - each.since)
    return [each.kind, name.strip(), _holder(each), pid, since, lasting]


def _holder(each: Held) -> str:
    if not each.is_held:
        return "free"
    if each.runner is not None:
        return each.runner.partition("-")[0]  # its kind
    if each.run is None:
        return "taken just now"
    return f"run {each.run}" if each.kind == "job" else f"{each.job}, run {each.run}"


def _order(each: Held) -> tuple[int, str, int]:
    return KINDS.index(each.kind), each.name, each.place


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _instant(text: str | None) -> datetime | None:
    try:
        when = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return when if when.tzinfo is not None else None

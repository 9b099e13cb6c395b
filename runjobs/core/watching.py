"""What has changed at watched paths: two looks compared, sorted by what is asked for, told once all is at rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.fire import EPOCH, MILLISECOND, milliseconds
from runjobs.core.job import On
from runjobs.core.run import run_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runjobs.core.fire import Mark
    from runjobs.core.job import Job

FOLDER: Final = "d"
NOTHING: Final[Mapping[str, datetime]] = {}
MICROSECOND: Final = timedelta(microseconds=1)
SECOND_NS: Final = 1_000_000_000
# a clock that is so far ahead is set wrong, or another machine's: nobody waits for it
AHEAD: Final = timedelta(minutes=1)
# times without a fraction come from a file system that keeps whole seconds, or every other one as FAT does: within
# them a second change can't be seen, so the first is not looked at before they are over
GRAIN: Final = timedelta(seconds=2.1)
# what never comes to rest itself is told all the same, after longer than most uploads take
UNCEASING: Final = timedelta(minutes=10)
# where something never comes to rest, what has been at rest for so long is told alone
UNREST: Final = timedelta(minutes=1)
UNREST_FACTOR: Final = 10
NEW: Final = frozenset({On.CREATE, On.MOVE})
GONE: Final = frozenset({On.DELETE, On.MOVE})
REPLACED: Final = frozenset({On.WRITE, On.CREATE, On.MOVE})


class Seen(NamedTuple):
    """What tells a file from another, and from itself after a change; times in nanoseconds since the epoch.

    Of a folder only its kind and inode count: what changes in it are its entries. The device's number is no part of it,
    since a restart may give another one.
    """

    kind: str
    inode: int
    size: int = 0
    mtime: int = 0
    ctime: int = 0

    def is_renamed(self, other: Seen) -> bool:
        """Whether the other, at another path, is the same file: a new name changes nothing but its ctime."""
        return self._replace(ctime=0) == other._replace(ctime=0)


class Sight(NamedTuple):
    """One look at the paths of a job.

    `touched` is when a name came to, or went from, any of the folders last (nanoseconds). `places` are the paths at
    which a change can happen: folders, files, and what may come to be. `unread` says of paths that could not be looked
    at why; nothing is known of what is there or below. `missing` are paths that were named and lead nowhere, with the
    time at which a name came or went last where they would be. `ours` are files of a runner: nobody asks about them.
    """

    entries: Mapping[str, Seen]
    touched: int = 0
    places: frozenset[str] = frozenset()
    unread: Mapping[str, str] = {}
    missing: Mapping[str, int] = {}
    ours: frozenset[str] = frozenset()


class Tale(NamedTuple):
    """What a run was told, as paths. `fire` is the key of the run's fire.

    `losses` is how many runs, one after the other, were to be told of some of them before, and never began.
    """

    run: str
    fire: str
    told: tuple[str, ...]
    losses: int = 0


class Memory(NamedTuple):
    """What is kept of a job's paths: as they were when it was told last, and what runs were told that may matter yet.

    `restless` are paths that have not come to rest for long, and since when.
    """

    entries: Mapping[str, Seen]
    tales: tuple[Tale, ...] = ()
    restless: Mapping[str, datetime] = {}


class Verdict(NamedTuple):
    """What is to be made of two looks: the paths to tell of, and all as it is known from then on.

    `entries` None: nothing is to be kept. `again` is when it is worth another look; None: when something happens.
    `restless` are the paths that are not at rest, each with the time since when that is known.
    """

    told: tuple[str, ...] = ()
    entries: Mapping[str, Seen] | None = None
    again: datetime | None = None
    restless: Mapping[str, datetime] = {}


class Noticed(NamedTuple):
    """What came of a look at the paths of one job, for the decision on it.

    `base` is the mark that it was made by (None: the job's first). `memory` is to be kept in any case (None: what is
    kept holds). `is_due` is whether there is something to tell.
    """

    key: str
    base: Mark | None
    memory: bytes | None
    is_due: bool


def key_of(job: Job) -> str:
    """What a job watches: with another key a first look is taken anew."""
    return f"{job.schedule.key} recursive" if job.options.recursive else job.schedule.key


def mark_after(noticed: Noticed, now: datetime) -> datetime:
    """The watermark after a look: later than the one before it, in whole milliseconds as a store keeps them."""
    at = EPOCH + milliseconds(now) * MILLISECOND
    return at if noticed.base is None else max(at, noticed.base.watermark + MILLISECOND)


def instance_at(watermark: datetime) -> str:
    """The id of a fire that was noticed then; watermarks are never equal, so neither are these."""
    return run_id(milliseconds(watermark), 0)


def differences(before: Mapping[str, Seen], sight: Sight) -> dict[str, frozenset[On]]:
    """The paths that differ, each with all that may have happened to it: two looks can't always tell which.

    A file that was made can't be told from one that was moved in from elsewhere, so a new one is both. What could not
    be read has not changed.
    """
    now = sight.entries
    changes = {
        path: _change(before[path], seen) for path, seen in now.items() if path in before and before[path] != seen
    }
    changes |= {path: NEW for path in now if path not in before}
    unknown = {*sight.unread, *sight.ours}
    changes |= {path: GONE - {On.MOVE} for path in before if path not in now and not _is_unread(path, unknown)}
    for old, new in _renames(before, now, changes):
        changes[old] = changes[new] = frozenset({On.MOVE})
    return {path: kinds for path, kinds in changes.items() if kinds}


def judge(  # noqa: PLR0913  each is a fact from elsewhere
    before: Mapping[str, Seen],
    sight: Sight,
    job: Job,
    now: datetime,
    *,
    hurry: bool = False,
    restless: Mapping[str, datetime] = NOTHING,
) -> Verdict:
    """Say what is told now. What is not asked for is taken note of quietly, once it is at rest itself.

    In a `hurry` all is told that is at rest, though other changes are not: what is gone, which has no time of its own
    to go by, is told at once. What has been `restless` for too long is told too, but not taken as known: however it
    comes to rest, it is told again.
    """
    rest = job.options.settle
    changes = differences(before, sight)
    times = {path: _changed_at(path, sight, now, hurry=hurry) for path in changes}
    wanted = {path for path, kinds in changes.items() if kinds & job.options.on}
    ripe = {path for path in changes if times[path] + rest <= now}
    since = {path: min(restless.get(path, now), now) for path in wanted - ripe}
    overdue = {path for path, at in since.items() if now - at > endurance(job)}
    first = min((times[path] for path in wanted & ripe), default=now)
    if not hurry and not overdue and not wanted <= ripe and now - first <= rest + patience(job):
        ripe -= wanted
    again = max((times[path] for path in changes.keys() - ripe), default=None)
    entries = _taken(before, sight, ripe) if ripe else None
    return Verdict(tuple(sorted(wanted & ripe | overdue)), entries, None if again is None else again + rest, since)


def patience(job: Job) -> timedelta:
    """How long changes that are at rest wait for others that are not."""
    return max(UNREST, UNREST_FACTOR * job.options.settle)


def endurance(job: Job) -> timedelta:
    """How long a path is waited for that does not come to rest."""
    return max(UNCEASING, UNREST_FACTOR * job.options.settle)


def _change(old: Seen, new: Seen) -> frozenset[On]:
    if old.inode != new.inode or old.kind != new.kind:
        return REPLACED
    return frozenset({On.WRITE})


def _renames(
    before: Mapping[str, Seen], now: Mapping[str, Seen], changes: Mapping[str, frozenset[On]]
) -> Iterator[tuple[str, str]]:
    """Pairs of an old and a new path of one file."""
    gone = {before[path].inode: path for path in changes if path not in now}
    for path in changes:
        old = gone.get(now[path].inode) if path in now and path not in before else None
        if old is not None and before[old].is_renamed(now[path]):
            yield old, path


def _changed_at(path: str, sight: Sight, now: datetime, *, hurry: bool) -> datetime:
    """When a path changed last; of one that is gone, or a folder, when any name last came or went."""
    seen = sight.entries.get(path)
    has_none = seen is None or seen.kind == FOLDER
    if has_none and hurry:
        return EPOCH
    stamp = sight.missing.get(path, sight.touched) if seen is None or has_none else seen.ctime
    at = EPOCH + MICROSECOND * (stamp // 1000)
    if at > now + AHEAD:
        return EPOCH
    return at if stamp % SECOND_NS else at + GRAIN


def _taken(before: Mapping[str, Seen], sight: Sight, ripe: Iterable[str]) -> Mapping[str, Seen]:
    taken = dict(before)
    for path in ripe:
        if path in sight.entries:
            taken[path] = sight.entries[path]
        else:
            taken.pop(path, None)
    return taken


def _is_unread(path: str, unread: Iterable[str]) -> bool:
    return any(path == each or path.startswith(each.rstrip("/") + "/") for each in unread)

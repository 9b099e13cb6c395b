"""What watched paths have come to: looked at before a pass decides, and once more when a run is about to be told."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.schedule import ScheduleKind, WatchSchedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.fire import Fire, Mark
    from runjobs.core.job import Job
    from runjobs.core.plan import Look
    from runjobs.core.run import RunEnd
    from runjobs.core.watching import Memory, Noticed, Sight, Tale, Verdict
    from runjobs.runner.scouting import Scouts


BRIEFLY: Final = timedelta(seconds=5)  # how long a pass, which is to end, waits for changes that are not at rest


class Taken(NamedTuple):
    """What a run is told of, and what is to be kept of the paths from its start on (None: what is kept holds)."""

    paths: tuple[str, ...]
    state: bytes | None


class Looked(NamedTuple):
    """A look that found something to tell, what was kept at that time, and when that was."""

    state: bytes | None
    sight: Sight
    at: datetime


def watchers(jobs: Mapping[str, Job], only: Iterable[str] | None = None) -> list[str]:
    """The jobs, of these or of all, that watch paths and are not switched off."""
    names = jobs if only is None else only
    return [name for name in names if jobs[name].schedule.kind is ScheduleKind.WATCH and jobs[name].options.enabled]


class Triggers:
    """The looks of one runner at the paths of its jobs. What is told, and what is known, is in the ledger alone.

    `again` is when a job is worth another look, `held` are those with something to tell that can't be told yet,
    `places` is where their next change can happen.
    """

    def __init__(self, ledger: Ledger, state: str, warn: Callable[[str], object], own: Sequence[str] = ()) -> None:
        """Nothing was looked at. `warn` gets a sentence.

        `state` is the state folder, where nothing is ever watched, and `own` are files that runners write elsewhere.
        """
        self.again: dict[str, datetime] = {}
        self.held: set[str] = set()
        self.places: dict[str, frozenset[str]] = {}
        self._ledger = ledger
        self._state = state
        self._own = tuple(own)
        self._warn = warn
        self._looked: dict[str, Looked] = {}
        self._since: dict[str, datetime] = {}
        self._restless: dict[str, Mapping[str, datetime]] = {}
        self._told: set[tuple[str, str]] = set()
        self.scouts: Scouts | None = None  # made when there is something to look at

    def notice(self, jobs: Mapping[str, Job], look: Look, only: Sequence[str] | None = None) -> dict[str, Noticed]:
        """Look at the paths of these jobs (None: of all); what there is to decide."""
        names = watchers(jobs, only)
        if not names:
            return {}
        busy = self._ledger.open_jobs()  # first: who claims from here on moves a mark
        busy |= {name for name, pause in self._ledger.pauses().items() if pause.holds(look.now)}
        marks = self._ledger.marks(names)
        found = {name: self._notice(jobs[name], marks.get(name), look, is_busy=name in busy) for name in names}
        return {name: noticed for name, noticed in found.items() if noticed is not None}

    def _notice(self, job: Job, mark: Mark | None, look: Look, *, is_busy: bool) -> Noticed | None:
        from runjobs.core.watching import Memory, Noticed, key_of
        from runjobs.core.watchstate import pack, unpack

        key, state = key_of(job), self._ledger.watch_state(job.name)
        sight = self._look(job)
        for known in (self.again, self._looked):
            known.pop(job.name, None)
        self.held.discard(job.name)
        if sight is None:
            return None
        memory = unpack(state)
        if mark is None or mark.schedule_key != key:
            self._restless.pop(job.name, None)
            return Noticed(key, mark, pack(Memory(sight.entries, memory.tales)), is_due=False)
        verdict = self._judge(job, memory, sight, look)
        is_due = bool(verdict.told) or self._is_lost(job, memory, look.now)
        if is_busy:
            if is_due:
                self.held.add(job.name)
            return None
        if is_due:
            self._looked[job.name] = Looked(state, sight, look.now)
            return Noticed(key, mark, None, is_due=True)
        restless = _worth_keeping(verdict, memory, job, look)
        if verdict.entries is None and restless.keys() == memory.restless.keys():
            return None
        entries = memory.entries if verdict.entries is None else verdict.entries
        return Noticed(key, mark, pack(Memory(entries, memory.tales, restless)), is_due=False)

    def _judge(self, job: Job, memory: Memory, sight: Sight, look: Look) -> Verdict:
        """What is to be told by this look, and when the next one is worth while."""
        from runjobs.core.watching import judge, patience

        waited = look.now - self._since.pop(job.name, look.now)
        longest = BRIEFLY if look.since is None else patience(job)
        restless = self._known_restless(job, memory)
        verdict = judge(memory.entries, sight, job, look.now, hurry=waited > longest, restless=restless)
        self._restless[job.name] = verdict.restless
        if verdict.again is not None:
            self.again[job.name] = verdict.again
            self._since[job.name] = look.now - waited
        return verdict

    def take(self, job: Job, fire: Fire, run: str, now: datetime) -> Taken | None:
        """What a run that starts now is told, whatever made it due; None: its job watches nothing.

        To be called in the transaction that records the start: it is told to no other run. What a run was to be told
        that never began, this one is told as well, and so is a retry what its fire was told before, whatever other
        runs came in between.
        """
        if job.schedule.kind is not ScheduleKind.WATCH:
            return None
        from runjobs.core.watching import Memory, Tale, Verdict, judge
        from runjobs.core.watchstate import pack, unpack
        from runjobs.core.watchtales import pass_on

        state, looked = self._ledger.watch_state(job.name), self._looked.pop(job.name, None)
        if state is None:
            return Taken((), None)
        memory = unpack(state)
        if looked is None or looked.state != state:
            looked = Looked(state, sight, now) if (sight := self._look(job)) is not None else None
        restless = self._known_restless(job, memory)
        verdict = Verdict(restless=memory.restless)
        if looked is not None:  # its own time counts: what was just written then was not at rest
            verdict = judge(memory.entries, looked.sight, job, looked.at, hurry=True, restless=restless)
        passed = pass_on(memory.tales, fire.key, self._end_of, self._is_open)
        self.again[job.name] = now  # more may change while it runs
        paths = tuple(sorted(passed.told.union(verdict.told)))
        tales = (*passed.kept, Tale(run, fire.key, paths, passed.losses)) if paths else passed.kept
        entries = memory.entries if verdict.entries is None else verdict.entries
        told = set(verdict.told)  # and not at rest all the same: it has as much time again
        restless = {path: now if path in told else since for path, since in verdict.restless.items()}
        self._restless[job.name] = restless
        kept = {path: since for path, since in restless.items() if path in told or path in memory.restless}
        return Taken(paths, pack(Memory(entries, tales, kept)))

    def pause(self, now: datetime) -> float | None:
        """For how many seconds no look is worth while; None: nobody knows of anything."""
        return max(0.0, (min(self.again.values()) - now).total_seconds()) if self.again else None

    def _look(self, job: Job) -> Sight | None:
        """Look at a job's paths, and tell once what can't be seen; None: they do not answer."""
        paths = job.schedule.paths if isinstance(job.schedule, WatchSchedule) else ()
        sight = self._scouts().look(job.name, paths, recursive=job.options.recursive)
        if sight is None:
            self._tell(job, {"": "a file system does not answer"})
            return None
        self.places[job.name] = sight.places
        self._tell(job, sight.unread)
        return sight

    def _tell(self, job: Job, troubles: Mapping[str, str]) -> None:
        self._told = {(name, path) for name, path in self._told if name != job.name or path in troubles}
        for path, reason in troubles.items():
            if (job.name, path) not in self._told:
                self._told.add((job.name, path))
                self._warn(f"{job.name} can't see what changes at {path or 'its paths'}: {reason}")

    def _scouts(self) -> Scouts:
        if self.scouts is None:
            from runjobs.runner.scouting import Scouts

            self.scouts = Scouts(self._state, self._own)
        return self.scouts

    def _known_restless(self, job: Job, memory: Memory) -> Mapping[str, datetime]:
        """Since when paths have not come to rest, as far as this runner or the ledger knows; the later counts."""
        own = self._restless.get(job.name, {})
        return {**own, **{path: max(since, own.get(path, since)) for path, since in memory.restless.items()}}

    def _end_of(self, tale: Tale) -> RunEnd | None:
        return self._ledger.end_of(tale.run)

    def _is_open(self, tale: Tale) -> bool:
        """Whether a run of the tale's fire goes on, as far as anybody knows, or is yet to come."""
        if self._end_of(tale) is None:
            return any(run.run_id == tale.run for run in self._ledger.unended())
        return any(waiting.fire.key == tale.fire for waiting in self._ledger.waiting())

    def _is_lost(self, job: Job, memory: Memory, now: datetime) -> bool:
        """Whether something that was told reached nobody, and the time has come to tell it again."""
        if not memory.tales:
            return False
        from runjobs.core.watchtales import is_lost, retold_at

        ends = [(tale, self._end_of(tale)) for tale in memory.tales]
        times = [retold_at(tale, end, now) for tale, end in ends if end is not None and is_lost(end)]
        if not times:
            return False
        if min(times) <= now:
            return True
        self.again[job.name] = min([*times, self.again.get(job.name, times[0])])
        return False


def _worth_keeping(verdict: Verdict, memory: Memory, job: Job, look: Look) -> Mapping[str, datetime]:
    """The restless that a later runner is to know of: it goes on for long, or longer than this one will be there."""
    is_leaving = look.since is None and job.options.settle >= BRIEFLY
    return {
        path: since
        for path, since in verdict.restless.items()
        if is_leaving or path in memory.restless or look.now - since > BRIEFLY
    }

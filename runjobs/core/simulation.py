"""What a simulation goes by and what it comes to: durations learned from runs on record, and the tally of a window."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from runjobs.core.answers import Attempt
    from runjobs.core.schedule import Schedule

LEARNED: Final = 30  # newest runs of a job that its habit is taken from
SLOW: Final = 0.95  # of the runs are not longer than a slow one
TELLING: Final = frozenset({Outcome.OK.value, Outcome.FAILED.value, Outcome.TIMEOUT.value})
SHORTEST: Final = timedelta(milliseconds=1)
MINUTE: Final = timedelta(minutes=1)


class Habit(NamedTuple):
    """How the runs of a job go: how long one usually takes, a slow one, and how most of them end.

    `runs` is how many it was learned from; 0: it is assumed. `exit_code` is that of a run that fails.
    """

    took: timedelta
    slow: timedelta
    outcome: str
    runs: int
    exit_code: int = 0


def learn(runs: Iterable[Attempt], assumed: timedelta) -> Habit:
    """Learn from the newest 30 runs that ended by themselves or by their timeout: the median, the 95th percentile.

    Without any, a run is assumed to take so long and to go well. The outcome is the one that most of them had.
    """
    told = [(run.took, run) for run in runs if run.outcome in TELLING and run.took is not None][-LEARNED:]
    if not told:
        return Habit(assumed, assumed, Outcome.OK.value, 0)
    spans = sorted(took for took, _ in told)
    # a shell's code where one is known: what retry-on asks for
    outcome, code = Counter((run.outcome, run.exit_code or 0) for _, run in told).most_common(1)[0][0]
    slow = spans[min(int(len(spans) * SLOW), len(spans) - 1)]
    return Habit(max(spans[len(spans) // 2], SHORTEST), max(slow, SHORTEST), outcome, len(told), code)


def last_fire(schedule: Schedule, by: datetime, since: timedelta) -> datetime | None:
    """The last fire of a schedule up to an instant, and no longer before it than `since`; None: there is none.

    A schedule knows its next fire only, so the look back is widened until it takes in one.
    """
    back = MINUTE
    while back < 2 * since:
        found = None
        when = schedule.next(by - back)
        while when is not None and when <= by:
            found, when = when, schedule.next(when)
        if found is not None:
            return found
        back *= 2
    return None


@dataclass(slots=True)
class JobTally:
    """What became of the fires of one job: those that were scheduled within the window.

    `overlaps` counts the fires that came while an earlier run of the job went on; `waits` by what was waited for.
    `said` is the detail of the last fire that did not start.
    """

    fires: int = 0
    starts: int = 0
    tries: int = 0  # runs beyond the first of a fire
    ends: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    overlaps: int = 0
    longest_wait: timedelta = timedelta(0)
    said: str = ""


class Peak(NamedTuple):
    """The most runs at once: how many, from when to when for the first time, and of which jobs."""

    runs: int
    start: datetime
    end: datetime | None
    jobs: tuple[str, ...]


class Busiest(NamedTuple):
    """The first minute of those in which most runs were started, and how many."""

    at: datetime
    starts: int


class Tally:
    """All that is counted while a window is played; what comes before it shows only in what goes on in it."""

    def __init__(self, jobs: Iterable[str], start: datetime) -> None:
        """Nothing has happened yet; what is scheduled before `start` is not counted."""
        self.jobs = {name: JobTally() for name in jobs}
        self.start = start
        self.peak: Peak | None = None
        self._minutes: Counter[datetime] = Counter()
        self._going: dict[str, str] = {}
        self._jobs_going: Counter[str] = Counter()

    def of(self, job: str, scheduled: datetime) -> JobTally:
        """The tally of a job; of a fire from before the window one that nobody reads."""
        return self.jobs[job] if scheduled >= self.start else JobTally()

    def begin(self, run: str, job: str, now: datetime) -> None:
        """A run begins."""
        self._going[run] = job
        self._jobs_going[job] += 1
        if now >= self.start:
            self._minutes[now.replace(second=0, microsecond=0)] += 1

    def end(self, run: str) -> None:
        """A run ends."""
        self._jobs_going[self._going.pop(run)] -= 1

    def look(self, now: datetime) -> None:
        """Count what goes on, once all that happens at an instant has happened."""
        number, peak = len(self._going), self.peak
        if now < self.start:
            return
        if number > (peak.runs if peak is not None else 0):
            self.peak = Peak(number, now, None, tuple(sorted(self._going.values())))
        elif peak is not None and peak.end is None and number < peak.runs:
            self.peak = peak._replace(end=now)

    def goes_on(self, job: str) -> bool:
        """Whether a run of the job goes on."""
        return self._jobs_going[job] > 0

    @property
    def going(self) -> Sequence[str]:
        """The jobs of the runs that go on, one for each."""
        return sorted(self._going.values())

    @property
    def busiest(self) -> Busiest | None:
        """The busiest minute; None where nothing was started."""
        if not self._minutes:
            return None
        most = max(self._minutes.values())
        return Busiest(min(at for at, number in self._minutes.items() if number == most), most)

    def never(self) -> list[str]:
        """The jobs that had fires, none of which started."""
        return [name for name, job in self.jobs.items() if job.fires and not job.starts]

    def idle(self) -> list[str]:
        """The jobs that had no fire in the window."""
        return [name for name, job in self.jobs.items() if not job.fires]


def total(tallies: Collection[JobTally]) -> JobTally:
    """Add up what became of the fires of several jobs."""
    whole = JobTally()
    for each in tallies:
        whole.fires += each.fires
        whole.starts += each.starts
        whole.tries += each.tries
        whole.overlaps += each.overlaps
        for mine, other in (
            (whole.ends, each.ends),
            (whole.skipped, each.skipped),
            (whole.missed, each.missed),
            (whole.waits, each.waits),
        ):
            mine.update(other)
        whole.longest_wait = max(whole.longest_wait, each.longest_wait)
    return whole

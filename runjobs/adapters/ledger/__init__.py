"""The ledger: the durable record of fires and runs, as an interface that any store could keep.

It speaks of claims, starts, ends and recovery. Each call is one transaction: all of it or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from runjobs.adapters.ledger.pruning import Keep
    from runjobs.core.fire import Fire, Mark, WaitFor, Waiting
    from runjobs.core.metrics import Lag, Tally
    from runjobs.core.news import Terms
    from runjobs.core.once import Once, Planned
    from runjobs.core.pausing import Pause
    from runjobs.core.plan import Decision
    from runjobs.core.run import RunEnd, Start, Started, Unended

    Begin = Callable[[Sequence["Claimed"]], "Beginning"]
    Decide = Callable[[Mapping[str, Mark]], Iterable[Decision]]


class LedgerError(RunjobsError):
    """The ledger can't be read or written; the message says which file, and why."""

    def __init__(self, message: str) -> None:
        """Keep the message; the way out is always the same."""
        super().__init__(message, "name another state folder with --state DIR, or mend this one")


class RunnerId(NamedTuple):
    """A runner as the ledger knows it: what it is, its pid, and an id; it lives while its lock is held and names it."""

    id: str
    lock: str


class Claimed(NamedTuple):
    """A fire that is this runner's to start."""

    fire_id: int
    fire: Fire
    attempts: int = 0  # runs that it has had before
    since: datetime | None = None  # when it began to wait; None: it is new
    wait: WaitFor | None = None  # what it has waited for
    not_before: datetime | None = None  # of a retry: when it was due


class Orphan(NamedTuple):
    """A claim whose start was never recorded, and the runner that made it."""

    fire_id: int
    fire: Fire
    runner: str
    runner_lock: str


class Skip(NamedTuple):
    """A claimed fire that does not start: its outcome, reason and detail."""

    fire_id: int
    outcome: str
    reason: str
    detail: str = ""


class Wait(NamedTuple):
    """A claimed or waiting fire that goes on waiting: what for, and from when on it may be tried again."""

    fire_id: int
    wait: WaitFor
    not_before: datetime


class Beginning(NamedTuple):
    """What becomes of claims: runs about to start, fires that do not start, and fires that wait."""

    starts: Sequence[Start] = ()
    skips: Sequence[Skip] = ()
    waits: Sequence[Wait] = ()


class Claims(NamedTuple):
    """What a pass has claimed: the fires, what was decided for each job, and what newer fires have put an end to."""

    claimed: list[Claimed]
    decisions: list[Decision]
    superseded: list[Waiting]


class Newest(NamedTuple):
    """The newest fire of a job at or before an instant; `outcome` "" while it has not ended."""

    scheduled_at: datetime
    outcome: str
    reason: str
    ended_at: datetime | None


class Appointed(NamedTuple):
    """What can be said of a once without reading what it is to do: its number, its job's name, and when it is due."""

    id: int
    job: str
    at: datetime


class Ledger(Protocol):
    """What every ledger can do. Every call may raise LedgerError, and then nothing of it was recorded."""

    def marks(self, jobs: Sequence[str] | None = None) -> dict[str, Mark]:
        """The marks of these jobs that have one (None: of all)."""

    def claim(
        self,
        runner: RunnerId,
        now: datetime,
        jobs: Sequence[str] | None,
        decide: Decide,
        begin: Begin | None = None,
    ) -> Claims:
        """Read the marks of `jobs` (None: of all), decide on them, and write marks, misses and claims.

        A fire that somebody has claimed before is left out of the claims that come back. A decision that supersedes
        ends the older waiting fires of its job: one that has had a run keeps its outcome, the others are missed.
        `begin` is given the claims and says which start, as for `start`; it is all one transaction, so on disk by one
        sync. Within it `begin` may call `newest`, `unended_number`, `marks` and `pauses`.
        """

    def claim_one(self, runner: RunnerId, now: datetime, fire: Fire) -> Claimed | None:
        """Claim one fire that has no mark, such as a person's; None when it is known already."""

    def forget(self, jobs: Iterable[str]) -> None:
        """Drop the marks of jobs that are gone, so that their return is not taken for downtime.

        What was kept of the paths that they watch goes with them.
        """

    def watch_state(self, job: str) -> bytes | None:
        """What was kept last of the paths that a job watches, with a decision or the start of a run; None: nothing."""

    def open_jobs(self) -> set[str]:
        """The jobs that have a fire which is claimed, waits or runs."""

    def start(self, runner: RunnerId, now: datetime, beginning: Beginning) -> set[str]:
        """Record runs about to start, fires that do not, and fires that wait; the ids of runs that are ours to start.

        Fires that are not this runner's any more, claimed or waiting, are passed over.
        """

    def start_waiting(self, runner: RunnerId, now: datetime, fires: Sequence[int], begin: Begin) -> list[Claimed]:
        """Try fires that this runner has claimed or that wait for it: `begin` is given those that are still its own.

        They come oldest first. It says what becomes of them, as for `claim`; what it does not name stays as it was.
        One transaction.
        """

    def waiting(self) -> list[Waiting]:
        """Every fire that waits, oldest first, whoever owns it."""

    def adopt(self, waiting: Waiting, runner: RunnerId) -> bool:
        """Take over a waiting fire whose owner is dead; False when somebody was faster."""

    def newest(self, job: str, at: datetime) -> Newest | None:
        """The newest fire of a job scheduled at or before an instant, of whatever trigger; None: there is none.

        What a person asked for counts once it has started.
        """

    def has_newer(self, fire: Fire) -> bool:
        """Whether a newer scheduled fire of its job than this scheduled one has started, or waits to."""

    def has_older(self, fire: Fire) -> bool:
        """Whether an older scheduled fire of its job is claimed or waits, and has had no run yet."""

    def unended_number(self) -> int:
        """How many runs have no end: those that go on, and those that nobody has settled yet."""

    def cancel(self, skip: Skip, now: datetime) -> bool:
        """End a fire that waits, whoever owns it; one that has had a run keeps its outcome. False: it does not wait."""

    def pauses(self) -> dict[str, Pause]:
        """The jobs that are paused, those too whose pause is over."""

    def pause(self, pause: Pause) -> None:
        """Pause a job; a pause that it has already is replaced."""

    def resume(self, job: str) -> bool:
        """End a job's pause; False when it had none."""

    def plan_once(self, once: Once) -> Planned | None:
        """Keep what is to run once, under a number of its own, until its fire has ended.

        None where its name is taken, or was at that very time.
        """

    def appointed(self) -> list[Appointed]:
        """The numbers, names and times of all onces, those too that run now, by their numbers."""

    def onces(self) -> list[Planned]:
        """All onces, those too that run now, in the order of their times."""

    def remove_once(self, job: str) -> bool:
        """Let go of a once that has not fired; False where there is none, or its fire is claimed.

        From then on nobody can claim its fire, though he has not heard of it.
        """

    def prune_onces(self, before: datetime) -> list[str]:
        """Delete what is on record of onces that were over by then, a few hundred at the most; their jobs' names."""

    def record(self, started: Sequence[Started], ends: Sequence[RunEnd]) -> list[str]:
        """Record that runs have started and how runs ended; the first record of an end counts.

        The fire of an end with `again_at` waits from then on, and its runner owns it. The ids of those that this call
        ended.
        """

    def unended(self) -> list[Unended]:
        """Every run without an end, oldest first."""

    def end_of(self, run_id: str) -> RunEnd | None:
        """How a run ended, as it was recorded first; None while it has not, or where it is not known."""

    def orphans(self) -> list[Orphan]:
        """Every claim without a start, oldest first: a living runner's too."""

    def is_unsettled(self) -> bool:
        """Whether any run is without an end, any claim without a start, or any fire waiting."""

    def reclaim(self, orphan: Orphan, runner: RunnerId, now: datetime) -> bool:
        """Take over a dead runner's claim; False when somebody was faster."""

    def drop(self, skip: Skip, orphan: Orphan, now: datetime) -> bool:
        """End a dead runner's claim that starts no more; False when somebody was faster."""

    def counted(self, jobs: Sequence[str]) -> tuple[dict[str, Tally], list[Lag]]:
        """What is counted of each of these jobs, and how late scheduled runs started: bounds go up, the last is none.

        Pruning takes nothing away. All that `runjobs at` has asked for is counted as one job, `metrics.ONCES`.
        """

    def prune(self, keeps: Sequence[Keep], now: datetime) -> int:
        """Delete fires past what is kept of these jobs, a few hundred at the most; how many were deleted."""

    def subscriptions(self) -> dict[str, str]:
        """What is to be told of which jobs, as the text of `core.news`."""

    def subscribe(self, wanted: Mapping[str, Terms], gone: Iterable[str], now: datetime) -> None:
        """Keep what is to be told of these jobs from now on, and that nothing more is of those that are gone.

        News of ends is queued with them, whoever records them.
        """

    def news_due(self) -> datetime | None:
        """From when on a sender has something to do; None: nothing is to come."""

    def remember(self, key: str, value: str) -> None:
        """Keep a small fact over passes."""

    def recall(self, key: str) -> str | None:
        """A small fact that was kept, or None."""

    def close(self) -> None:
        """Let go of the store."""

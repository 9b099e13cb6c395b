"""The ledger: the durable record of fires and runs, as an interface that any store could keep.

It speaks of claims, starts, ends and recovery. Each call is one transaction: all of it or nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from runjobs.core.fire import Fire, Mark
    from runjobs.core.plan import Decision
    from runjobs.core.run import RunEnd, Start, Started, Unended

    Begin = Callable[[Sequence["Claimed"]], tuple[Sequence[Start], Sequence["Skip"]]]
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


class Ledger(Protocol):
    """What every ledger can do. Every call may raise LedgerError, and then nothing of it was recorded."""

    def marks(self) -> dict[str, Mark]:
        """The mark of every job that has one."""

    def claim(
        self,
        runner: RunnerId,
        now: datetime,
        jobs: Sequence[str] | None,
        decide: Decide,
        begin: Begin | None = None,
    ) -> tuple[list[Claimed], list[Decision]]:
        """Read the marks of `jobs` (None: of all), decide on them, and write marks, misses and claims.

        A fire that somebody has claimed before is left out of the claims that come back. `begin` is given them and
        says which start and which do not, as for `start`; it is all one transaction, so on disk by one sync.
        """

    def claim_one(self, runner: RunnerId, now: datetime, fire: Fire) -> Claimed | None:
        """Claim one fire that has no mark, such as a person's; None when it is known already."""

    def forget(self, jobs: Iterable[str]) -> None:
        """Drop the marks of jobs that are gone, so that their return is not taken for downtime."""

    def start(self, runner: RunnerId, now: datetime, starts: Sequence[Start], skips: Sequence[Skip]) -> set[str]:
        """Record runs about to start and fires that do not; the ids of the runs whose claim was still ours."""

    def record(self, started: Sequence[Started], ends: Sequence[RunEnd]) -> list[str]:
        """Record that runs have started and how runs ended; the first record of an end counts.

        The ids of those that this call ended.
        """

    def unended(self) -> list[Unended]:
        """Every run without an end, oldest first."""

    def orphans(self) -> list[Orphan]:
        """Every claim without a start, oldest first: a living runner's too."""

    def is_unsettled(self) -> bool:
        """Whether any run is without an end, or any claim without a start."""

    def reclaim(self, orphan: Orphan, runner: RunnerId, now: datetime) -> bool:
        """Take over a dead runner's claim; False when somebody was faster."""

    def drop(self, skip: Skip, orphan: Orphan, now: datetime) -> bool:
        """End a dead runner's claim that starts no more; False when somebody was faster."""

    def remember(self, key: str, value: str) -> None:
        """Keep a small fact over passes."""

    def recall(self, key: str) -> str | None:
        """A small fact that was kept, or None."""

    def close(self) -> None:
        """Let go of the store."""

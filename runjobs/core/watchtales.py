"""What becomes of what a run was told of watched paths: others are told it, where it never reached anybody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.fire import EPOCH
from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from runjobs.core.run import RunEnd
    from runjobs.core.watching import Tale

# a full disk, or a folder that is not there, may be mended soon, or not at all
FIRST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=1)
DOUBLINGS: Final = 6  # after which it is longer than that


class Passed(NamedTuple):
    """What a run is told of what others were told before it, and the tales that are to be kept besides its own."""

    told: frozenset[str]
    losses: int
    kept: tuple[Tale, ...]


def is_lost(end: RunEnd | None) -> bool:
    """Whether a run has ended of which nobody knows that its job began, for whatever reason."""
    return end is not None and (end.verdict is Outcome.ERROR or not end.started_at)


def retold_at(tale: Tale, end: RunEnd, now: datetime) -> datetime:
    """When it is worth a run to tell again what this one was to be told, which never began.

    At once where a runner was killed, so that the next one makes up for it; where a job can't be started, or runners
    are killed by it again and again, less and less often.
    """
    ended = EPOCH + timedelta(seconds=end.ended_at)
    doublings = tale.losses - (end.verdict is Outcome.INTERRUPTED)
    if ended > now or doublings < 0:
        return now
    return ended + min(FIRST * (1 << min(doublings, DOUBLINGS)), LONGEST)


def pass_on(
    tales: Iterable[Tale], fire: str, end_of: Callable[[Tale], RunEnd | None], is_open: Callable[[Tale], bool]
) -> Passed:
    """Say what a run of this fire is told: what its fire was told before, and what was lost.

    `is_open` is whether the fire of a tale has yet to end: its retries are told the same.
    """
    told: set[str] = set()
    losses = 0
    kept = []
    for tale in tales:
        lost = is_lost(end_of(tale))
        if lost or tale.fire == fire:
            told.update(tale.told)
        if lost:
            losses = max(losses, tale.losses + 1)
        if tale.fire != fire and is_open(tale):
            kept.append(tale)
    return Passed(frozenset(told), losses, tuple(kept))

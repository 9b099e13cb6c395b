"""Rules kept in a zone: the next fire by Debian cron's clock, and what changes of the clock do to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.rule import DAY
from runjobs.core.zone import from_seconds, to_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.rule import Rule
    from runjobs.core.zone import Zone

FIRST = -62_000_000_000  # seconds: year 5, where zones still have room to look back
LAST = 220_000_000_000  # seconds: year 8941, the same at the other end
_WALL_ZERO = datetime(1970, 1, 1)  # noqa: DTZ001  the wall clock's own zero


class Effect(StrEnum):
    """What a change of the clock does to a matching wall time."""

    SKIPPED = "skipped"
    MOVED = "moved"
    REPEATED = "repeated"


class DstEffect(NamedTuple):
    """One wall time that a change of the clock touches, and the instant (UTC) of that change."""

    instant: datetime
    effect: Effect
    wall: datetime


def first_fire(rule: Rule, zone: Zone, instant: int) -> int | None:
    """Return the first fire at or after the instant, both in seconds since the epoch; None if there is none."""
    instant = max(instant, FIRST)
    while instant < LAST:
        segment = zone.segment(instant)
        low = segment.wild_from if rule.follows_wall_clock else segment.fixed_from
        if instant > segment.start:
            low = max(low, instant + segment.offset)
        wall = rule.next_wall(low)
        if wall is not None and wall < segment.end + segment.offset:
            return max(segment.start, wall - segment.offset)
        if segment.end <= instant + 2 * DAY:  # the next segment may go back in wall time
            instant = segment.end
        elif wall is None:
            return None
        else:  # no clock goes back by 2 days, so nothing is due until 2 days before
            instant = max(segment.end, wall - segment.offset - 2 * DAY)
    return None


def effects_on(rule: Rule, zone: Zone, start: datetime, end: datetime) -> list[DstEffect]:
    """Say what changes of the clock after `start` and up to `end` do to the rule, wall time by wall time.

    A job that follows the wall clock skips what a gap skips and repeats what an overlap repeats. A fixed one is
    moved to right after a gap and runs once in an overlap, unless the clock moves by 3 hours or more.
    """
    effects: list[DstEffect] = []
    for instant, before, after in zone.changes(to_seconds(start), to_seconds(end)):
        segment = zone.segment(instant)
        low = segment.wild_from if rule.follows_wall_clock else segment.fixed_from
        old, new = instant + before, instant + after
        touched = [(wall, Effect.MOVED if wall >= low else Effect.SKIPPED) for wall in _walls(rule, old, new)]
        touched += [(wall, Effect.REPEATED) for wall in _walls(rule, max(low, new), old)]
        effects += [DstEffect(from_seconds(instant), effect, _wall(wall)) for wall, effect in touched]
    return effects


def _walls(rule: Rule, start: int, end: int) -> Iterator[int]:
    wall = rule.next_wall(start)
    while wall is not None and wall < end:
        yield wall
        wall = rule.next_wall(wall + 1)


def _wall(seconds: int) -> datetime:
    return _WALL_ZERO + timedelta(seconds=seconds)

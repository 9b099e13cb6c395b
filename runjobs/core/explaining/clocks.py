"""What the changes of the clock in one year do to a schedule, each change on its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.dst import Effect
from runjobs.core.explaining.phrases import clock, listed
from runjobs.core.schedule import CronSchedule, dst_effects
from runjobs.core.zone import from_seconds, to_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runjobs.core.dst import DstEffect
    from runjobs.core.schedule import Schedule

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  the wall clock's own zero
FEW = 4  # times of day that are named one by one


class ClockChange(NamedTuple):
    """One change of the clock: the instant (UTC), what the clock shows before and after, and what it does to fires.

    `once` are the times that come twice and at which a job of fixed time fires the first time only.
    """

    instant: datetime
    before: datetime
    after: datetime
    effects: tuple[DstEffect, ...]
    once: tuple[datetime, ...] = ()

    @property
    def is_felt(self) -> bool:
        """Whether any fire is touched by it."""
        return bool(self.effects or self.once)


def clock_changes(schedule: Schedule, year: int) -> list[ClockChange]:
    """Return the changes of the clock in a year of the schedule's zone; none for one that keeps no wall time."""
    if not isinstance(schedule, CronSchedule):
        return []
    start, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    effects = dst_effects(schedule, start, end)
    return [
        _change(schedule, instant, (before, after), effects)
        for instant, before, after in schedule.zone.changes(to_seconds(start), to_seconds(end))
    ]


def _change(
    schedule: CronSchedule, instant: int, offsets: tuple[int, int], effects: Sequence[DstEffect]
) -> ClockChange:
    before, after = (EPOCH + timedelta(seconds=instant + offset) for offset in offsets)
    mine = tuple(effect for effect in effects if effect.instant == from_seconds(instant))
    return ClockChange(
        from_seconds(instant), before, after, mine, () if mine else tuple(_between(schedule, after, before))
    )


def _between(schedule: CronSchedule, low: datetime, high: datetime) -> Iterator[datetime]:
    """The wall times of the rule that an overlap shows twice."""
    end = (high - EPOCH) // timedelta(seconds=1)
    wall = schedule.rule.next_wall((low - EPOCH) // timedelta(seconds=1))
    while wall is not None and wall < end:
        yield EPOCH + timedelta(seconds=wall)
        wall = schedule.rule.next_wall(wall + 1)


def tell_change(change: ClockChange) -> str:
    """Say what a change does, as a sentence."""
    what = f"on {change.before:%Y-%m-%d} the clock goes from {change.before:%H:%M} to {change.after:%H:%M}"
    told = [_TOLD[effect].format(**_times(change, effect)) for effect in Effect if _walls(change, effect)]
    if change.once:
        told.append(f"{_named(change.once)} {_comes(change.once)} twice, and it fires the first time only")
    return f"{what}: {'; '.join(told) or 'no fire is touched'}"


def _walls(change: ClockChange, effect: Effect) -> list[datetime]:
    return [each.wall for each in change.effects if each.effect is effect]


def _times(change: ClockChange, effect: Effect) -> dict[str, str]:
    walls = _walls(change, effect)
    return {"walls": _named(walls), "comes": _comes(walls), "does": "do" if len(walls) > 1 else "does",
            "after": f"{change.after:%H:%M}"}  # fmt: skip


_TOLD = {
    Effect.SKIPPED: "{walls} {does} not come, so it does not fire then",
    Effect.MOVED: "{walls} {does} not come, so it fires right after the jump, at {after}",
    Effect.REPEATED: "{walls} {comes} twice, and it fires both times",
}


def _comes(walls: Sequence[datetime]) -> str:
    return "come" if len(walls) > 1 else "comes"


def _named(walls: Sequence[datetime]) -> str:
    """Name wall times: all of few, else the first, the last and how many."""
    words = [clock(wall.hour, wall.minute, wall.second or None) for wall in walls]
    return listed(words) if len(words) <= FEW else f"{words[0]} to {words[-1]} ({len(words)} times)"

"""Debian cron's clock: a zone cut into stretches of constant offset, and the wall times that count in each."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import FieldError
from runjobs.core.nearest import nearest_word

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

_DAY = 86_400
_NOTHING = timedelta(0)
_CHUNK = 31_556_952  # seconds in a mean Gregorian year
_LEAD = 3 * _DAY  # a virtual clock lags 3 hours at most, so this long before a chunk it is right again
_AGES = 1 << 40  # seconds; beyond any datetime
# Debian cron 3.0pl1, main(): a clock that moved by up to 5 minutes is caught up with minute by minute, by up to
# 3 hours is a change of summer time, by more is a new clock. Its difference counts the minute that passed anyway.
_CATCH_UP = 4 * 60
_NEW_CLOCK = 180 * 60

_FIXED = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT", "Universal"})


class Segment(NamedTuple):
    """A stretch of constant offset, in seconds since the epoch: `start` included, `end` not.

    A matching wall time from `wild_from` on (for jobs that follow the wall clock) or `fixed_from` on (for the
    others) fires at `wall - offset`, but not before `start`: what a jump skipped fires right after it.
    """

    start: int
    end: int
    offset: int
    wild_from: int
    fixed_from: int


class Zone:
    """A time zone's segments, worked out year by year as they are asked for."""

    __slots__ = ("_chunks", "_fixed", "key", "tz")

    def __init__(self, tz: tzinfo) -> None:
        """Wrap a tzinfo; nothing is computed yet."""
        self.tz = tz
        self.key: str = getattr(tz, "key", None) or (str(tz) if isinstance(tz, timezone) else "local")
        self._chunks: dict[int, tuple[list[int], list[Segment]]] = {}
        self._fixed: Segment | None = None
        if isinstance(tz, timezone) or self.key in _FIXED:
            offset = self.offset(0)
            self._fixed = Segment(-_AGES, _AGES, offset, -_AGES, -_AGES)

    def offset(self, instant: int) -> int:
        """Return the seconds that the wall clock is ahead of UTC at this instant."""
        return self.offset_at(from_seconds(instant)) // SECOND

    def offset_at(self, instant: datetime) -> timedelta:
        """Return how far the wall clock is ahead of UTC at an instant, which is in UTC."""
        return instant.astimezone(self.tz).utcoffset() or _NOTHING

    def segment(self, instant: int) -> Segment:
        """Return the segment that holds the instant (seconds since the epoch)."""
        if self._fixed is not None:
            return self._fixed
        number = instant // _CHUNK
        chunk = self._chunks.get(number)
        if chunk is None:
            segments = self._segments(number * _CHUNK, (number + 1) * _CHUNK)
            chunk = self._chunks[number] = ([segment.start for segment in segments], segments)
        return chunk[1][bisect_right(chunk[0], instant) - 1]

    def changes(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the changes of offset after `start` and up to `end`: the instant, the offset before, and after."""
        segment = self.segment(start)
        while segment.end <= end:
            later = self.segment(segment.end)
            if later.offset != segment.offset:
                yield later.start, segment.offset, later.offset
            segment = later

    def instant_of(self, wall: datetime) -> datetime:
        """Return when a naive wall time is: the first of two, and right after the gap for one that is skipped."""
        found = wall.replace(tzinfo=self.tz, fold=0).astimezone(UTC)
        if found.astimezone(self.tz).replace(tzinfo=None) == wall:
            return found
        return from_seconds(self.segment(to_seconds(found)).start)

    def _transitions(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the changes of offset after `start` and up to `end`: the instant, and the offset from then on.

        zoneinfo tells no transitions, so each day is compared with the one before, and a change is closed in on.
        """
        changes = []
        before, offset = start, self.offset(start)
        while before < end:
            after = min(before + _DAY, end)
            if self.offset(after) != offset:
                after = self._close_in(before, after, offset)
                offset = self.offset(after)
                changes.append((after, offset))
            before = after
        return changes

    def _close_in(self, before: int, after: int, offset: int) -> int:
        while after - before > 1:
            middle = (before + after) // 2
            if self.offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _segments(self, start: int, end: int) -> list[Segment]:
        """Walk the transitions with Debian's virtual clock; `handled` is the wall time up to which all has run."""
        begin = start - _LEAD
        offset = self.offset(begin)
        wild = fixed = handled = begin + offset
        segments = []
        for instant, later in self._transitions(begin, end - 1):
            segments.append(Segment(begin, instant, offset, wild, fixed))
            wild, fixed, handled = _resume(instant + later, max(handled, instant + offset))
            begin, offset = instant, later
        return [*segments, Segment(begin, end, offset, wild, fixed)]


def _resume(wall: int, handled: int) -> tuple[int, int, int]:
    """Say from which wall times jobs go on after a jump to `wall`: those that follow the clock, fixed ones, and all."""
    jump = wall - handled
    if not -_NEW_CLOCK <= jump < _NEW_CLOCK:
        return wall, wall, wall
    return (handled if 0 <= jump <= _CATCH_UP else wall), handled, handled


def to_seconds(instant: datetime) -> int:
    """Return whole seconds since the epoch, rounded down."""
    return (instant - EPOCH) // SECOND


def from_seconds(seconds: int) -> datetime:
    """Return the instant in UTC."""
    return EPOCH + timedelta(seconds=seconds)


@lru_cache(maxsize=1024)
def zone_of(tz: tzinfo) -> Zone:
    """Return the zone of a tzinfo, the same one each time."""
    return Zone(tz)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> Zone:
    """Return the zone of this IANA name; FieldError with the nearest name if there is none."""
    from zoneinfo import ZoneInfo  # 2 ms that UTC alone doesn't need

    try:
        return zone_of(ZoneInfo(name))
    except (KeyError, ValueError, OSError):  # OSError: "Europe" is a folder
        nearest = nearest_zone(name)
    hint = f'did you mean "{nearest}"?' if nearest else "zones are named like Europe/Berlin or UTC"
    raise FieldError(f'there is no time zone "{name}"', hint, start=0, end=len(name))


def nearest_zone(name: str) -> str:
    """Return the zone name most like this one, or "": letters' case aside, and `Berlin` finds `Europe/Berlin`."""
    from zoneinfo import available_timezones  # reads the disk, for a mistake only

    names = {known.lower(): known for known in sorted(available_timezones())}
    last = {known.rpartition("/")[2]: known for known in names}
    wanted = name.lower().replace(" ", "_")
    found = wanted if wanted in names else last.get(wanted) or nearest_word(wanted, tuple(names))
    return names.get(found, "")

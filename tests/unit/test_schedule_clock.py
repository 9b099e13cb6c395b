"""Fires around changes of the clock, against Debian cron's main loop minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runjobs.core.schedule import Schedule, dst_effects, parse_schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00Z"),  # +60 minutes
    ("Europe/Berlin", "2026-10-25T01:00Z"),  # -60 minutes
    ("America/New_York", "2024-03-10T07:00Z"),  # +60 minutes
    ("America/St_Johns", "2009-03-08T03:31Z"),  # +60 minutes
    ("America/St_Johns", "2009-11-01T02:31Z"),  # -60 minutes
    ("America/Caracas", "2007-12-09T07:00Z"),  # -30 minutes
    ("America/Caracas", "2016-05-01T07:00Z"),  # +30 minutes
    ("America/Sao_Paulo", "2018-02-18T02:00Z"),  # -60 minutes
    ("America/Sao_Paulo", "2018-11-04T03:00Z"),  # +60 minutes
    ("America/Havana", "2024-03-10T05:00Z"),  # +60 minutes
    ("America/Havana", "2024-11-03T05:00Z"),  # -60 minutes
    ("Africa/Casablanca", "2025-02-23T02:00Z"),  # -60 minutes
    ("Africa/Casablanca", "2025-04-06T02:00Z"),  # +60 minutes
    ("Asia/Pyongyang", "2015-08-14T15:00Z"),  # -30 minutes
    ("Asia/Pyongyang", "2018-05-04T15:00Z"),  # +30 minutes
    ("Asia/Kathmandu", "1985-12-31T18:30Z"),  # +15 minutes
    ("Australia/Lord_Howe", "2026-04-04T15:00Z"),  # -30 minutes
    ("Australia/Lord_Howe", "2026-10-03T15:30Z"),  # +30 minutes
    ("Antarctica/Troll", "2026-03-29T01:00Z"),  # +120 minutes
    ("Antarctica/Troll", "2026-10-25T01:00Z"),  # -120 minutes
    ("Antarctica/Casey", "2020-03-07T16:00Z"),  # -180 minutes
    ("Antarctica/Casey", "2020-10-03T16:01Z"),  # +180 minutes
    ("Pacific/Apia", "2011-12-30T10:00Z"),  # +1440 minutes
    ("Pacific/Kwajalein", "1993-08-21T12:00Z"),  # +1440 minutes
    ("Pacific/Kwajalein", "1969-09-30T13:00Z"),  # -1380 minutes
]


class Text(NamedTuple):
    """A field as written, and the values it means, worked out here and not by what is tested."""

    text: str
    values: frozenset[int]


def texts(low: int, high: int) -> st.SearchStrategy[Text]:
    numbers = st.integers(low, high)
    whole = range(low, high + 1)
    return st.one_of(
        st.just(Text("*", frozenset(whole))),
        st.integers(1, 12).map(lambda step: Text(f"*/{step}", frozenset(whole[::step]))),
        numbers.map(lambda one: Text(str(one), frozenset({one}))),
        st.sets(numbers, min_size=2, max_size=5).map(lambda few: Text(",".join(map(str, few)), frozenset(few))),
        st.tuples(numbers, numbers)
        .map(sorted)
        .map(lambda ends: Text(f"{ends[0]}-{ends[1]}", frozenset(range(ends[0], ends[1] + 1)))),
    )


class Debian:
    """The main loop of cron 3.0pl1: one wake-up a minute, a virtual clock, and four kinds of wake-up."""

    def __init__(self, zone: str, minute: Text, hour: Text, start: int) -> None:
        self.zone = ZoneInfo(zone)
        self.minute = minute
        self.hour = hour
        self.wild = minute.text.startswith("*") or hour.text.startswith("*")
        self.virtual = self.clock(start)

    def clock(self, minute: int) -> int:
        """Return minutes of wall time since the epoch at a minute of real time."""
        offset = (EPOCH + timedelta(minutes=minute)).astimezone(self.zone).utcoffset()
        assert offset is not None
        return minute + offset // timedelta(minutes=1)

    def due(self, wall: int, *, wild: bool, fixed: bool) -> bool:
        hour, minute = divmod(wall % 1440, 60)
        return (wild if self.wild else fixed) and minute in self.minute.values and hour in self.hour.values

    def wake(self, minute: int) -> bool:
        """Wake up in a minute of real time; say whether the job was started."""
        running = self.clock(minute)
        difference = running - self.virtual
        if 0 < difference <= 5:  # on time, or a little late: run what each virtual minute has
            return True in [self.due(self.step(), wild=True, fixed=True) for _ in range(difference)]
        if 5 < difference <= 180:  # summer time began: wildcard jobs of now, fixed ones of each minute missed
            now = self.due(running, wild=True, fixed=False)
            return True in [now, *(self.due(self.step(), wild=False, fixed=True) for _ in range(difference))]
        if -180 < difference <= 0:  # summer time ended: wildcard jobs of now, until the virtual clock is reached
            return self.due(running, wild=True, fixed=False)
        self.virtual = running
        return self.due(running, wild=True, fixed=True)

    def step(self) -> int:
        self.virtual += 1
        return self.virtual

    def fires(self, start: int, end: int) -> Iterator[datetime]:
        for minute in range(start + 1, end):
            if self.wake(minute):
                yield EPOCH + timedelta(minutes=minute)


changes = st.sampled_from(CHANGES).map(lambda change: (change[0], minute_of(change[1])))


def minute_of(instant: str) -> int:
    return (datetime.fromisoformat(instant) - EPOCH) // timedelta(minutes=1)


def walk(schedule: Schedule, start: datetime, end: datetime) -> Iterator[datetime]:
    fire = schedule.next(start)
    while fire is not None and fire < end:
        yield fire
        fire = schedule.next(fire)


@given(changes, texts(0, 59), texts(0, 23), st.integers(0, 240))
@settings(max_examples=60, deadline=None)
def test_every_fire_around_a_change_is_that_of_debians_loop(
    change: tuple[str, int], minute: Text, hour: Text, before: int
) -> None:
    zone, at = change
    debian = Debian(zone, minute, hour, at - 250)
    start, end = at - before, at + 250
    for earlier in range(at - 249, start + 1):
        debian.wake(earlier)
    schedule = parse_schedule(f"{minute.text} {hour.text} * * *", tz=zone)
    found = walk(schedule, EPOCH + timedelta(minutes=start), EPOCH + timedelta(minutes=end))
    assert list(found) == list(debian.fires(start, end))


@given(changes, texts(0, 59), texts(0, 59), texts(0, 23), st.integers(0, 7200))
@settings(max_examples=30, deadline=None)
def test_with_seconds_fires_keep_their_order_and_their_wall_time(
    change: tuple[str, int], second: Text, minute: Text, hour: Text, before: int
) -> None:
    zone, at = change
    start = EPOCH + timedelta(minutes=at, seconds=-before)
    schedule = parse_schedule(f"{second.text} {minute.text} {hour.text} * * *", tz=zone, fields=6)
    fires = [fire for fire, _ in zip(walk(schedule, start, start + timedelta(days=3)), range(50), strict=False)]
    assert fires == sorted(set(fires))
    for fire in fires:
        wall = fire.astimezone(ZoneInfo(zone))
        named = wall.second in second.values and wall.minute in minute.values and wall.hour in hour.values
        assert named or fire == EPOCH + timedelta(minutes=at)  # what a gap skipped comes right after it


@given(changes, texts(0, 59), texts(0, 23), st.integers(-86_400, 86_400), st.integers(1, 86_400))
@settings(max_examples=40, deadline=None)
def test_a_later_question_never_has_an_earlier_answer(
    change: tuple[str, int], minute: Text, hour: Text, offset: int, later: int
) -> None:
    zone, at = change
    schedule = parse_schedule(f"{minute.text} {hour.text} * * *", tz=zone)
    asked = EPOCH + timedelta(minutes=at, seconds=offset)
    fire, following = schedule.next(asked), schedule.next(asked + timedelta(seconds=later))
    assert fire is not None
    assert following is not None
    assert asked < fire <= following


@pytest.mark.parametrize(
    ("expression", "tz", "year", "effects"),
    [
        ("30 2 * * *", "Europe/Berlin", 2026, ["03-29 01:00 moved 02:30"]),
        ("30 * * * *", "Europe/Berlin", 2026, ["03-29 01:00 skipped 02:30", "10-25 01:00 repeated 02:30"]),
        ("*/30 2 * * *", "Europe/Berlin", 2026, ["03-29 01:00 skipped 02:00", "03-29 01:00 skipped 02:30",
                                                 "10-25 01:00 repeated 02:00", "10-25 01:00 repeated 02:30"]),
        ("30 2 1 * *", "Europe/Berlin", 2026, []),
        ("30 12 30 * *", "Pacific/Apia", 2011, ["12-30 10:00 skipped 12:30"]),
        ("30 4 * * *", "UTC", 2026, []),
        ("@every 1h", "Europe/Berlin", 2026, []),
    ],
)  # fmt: skip
def test_what_changes_of_the_clock_do_to_a_schedule_is_told(
    expression: str, tz: str, year: int, effects: list[str]
) -> None:
    schedule = parse_schedule(expression, tz=tz)
    found = dst_effects(schedule, datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    assert [f"{effect.instant:%m-%d %H:%M} {effect.effect} {effect.wall:%H:%M}" for effect in found] == effects


def test_a_fire_far_away_is_found_across_many_changes_and_not_before_a_clock_that_goes_back() -> None:
    berlin = parse_schedule("0 0 29 2 *", tz="Europe/Berlin")
    assert berlin.next(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 28, 23, tzinfo=UTC)
    last = parse_schedule("0 30 2 25 10 * 2026", tz="Europe/Berlin", fields=7)
    assert last.next(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) is None
    assert last.next(datetime(2026, 12, 1, tzinfo=UTC)) is None
    twice = parse_schedule("0 30 * 25 10 * 2026", tz="Europe/Berlin", fields=7)
    assert twice.next(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

"""Zones as stretches of constant offset, and where Debian cron's clock resumes after each change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from runjobs.core.errors import FieldError
from runjobs.core.zone import Segment, Zone, from_seconds, to_seconds, zone_named, zone_of

MINUTE, HOUR, YEAR = 60, 3600, 31_556_952


def seconds(text: str) -> int:
    return to_seconds(datetime.fromisoformat(text))


def segment_at(name: str, text: str) -> Segment:
    return zone_named(name).segment(seconds(text))


def test_a_zone_without_changes_is_one_segment_without_end() -> None:
    for zone in (zone_named("UTC"), zone_of(UTC), zone_of(timezone(timedelta(hours=5)))):
        segment = zone.segment(0)
        assert segment.start < -(10**11)
        assert segment.end > 10**11
    assert zone_of(timezone(timedelta(hours=5))).segment(0).offset == 5 * HOUR


def test_changes_are_found_to_the_second() -> None:
    found = zone_named("Europe/Berlin").changes(seconds("2025-11-01T00:00Z"), seconds("2027-01-01T00:00Z"))
    assert list(found) == [
        (seconds("2026-03-29T01:00Z"), HOUR, 2 * HOUR),
        (seconds("2026-10-25T01:00Z"), 2 * HOUR, HOUR),
    ]


def test_a_change_at_the_end_of_a_stretch_counts_and_one_at_its_start_does_not() -> None:
    change = seconds("2026-03-29T01:00Z")
    zone = zone_named("Europe/Berlin")
    assert len(list(zone.changes(change - 1, change))) == 1
    assert list(zone.changes(change, change + HOUR)) == []


@pytest.mark.parametrize(
    ("zone", "instant", "jump", "wild", "fixed"),
    [
        pytest.param("Europe/Berlin", "2026-03-29T01:00Z", 60, 0, -60, id="a gap: fixed jobs catch up, others go on"),
        pytest.param("Europe/Berlin", "2026-10-25T01:00Z", -60, 0, 60, id="an overlap: fixed jobs wait"),
        pytest.param("Antarctica/Casey", "2016-10-21T16:00Z", 180, 0, 0, id="3 hours forwards: a new clock"),
        pytest.param("Antarctica/Casey", "2012-02-21T17:00Z", -180, 0, 180, id="3 hours backwards: not yet one"),
        pytest.param("Pacific/Apia", "2011-12-30T10:00Z", 1440, 0, 0, id="a day forwards: a new clock"),
        pytest.param("America/Juneau", "1867-10-19T00:31:13Z", -1440, 0, 0, id="a day backwards: a new clock"),
    ],
)
def test_where_the_clock_resumes_after_a_change(zone: str, instant: str, jump: int, wild: int, fixed: int) -> None:
    segment = segment_at(zone, instant)
    before = segment_at(zone, (datetime.fromisoformat(instant) - timedelta(seconds=1)).isoformat())
    wall = segment.start + segment.offset
    assert segment.start == seconds(instant)
    assert segment.offset - before.offset == jump * MINUTE
    assert (segment.wild_from - wall, segment.fixed_from - wall) == (wild * MINUTE, fixed * MINUTE)


class Machine(Zone):
    """A machine's clock, set by hand: offsets from given instants on. No zone of our day does all that clocks do."""

    __slots__ = ("settings",)

    def __init__(self, **settings: int) -> None:
        super().__init__(Nameless())
        self.settings = {seconds(f"2026-01-01T{at[1:3]}:{at[3:]}Z"): offset for at, offset in settings.items()}

    def offset(self, instant: int) -> int:
        return next((offset for at, offset in reversed(self.settings.items()) if at <= instant), 0)


class Nameless(tzinfo):
    """A tzinfo of no name and no offset."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, when: datetime | None) -> str:
        return ""


def resumes(zone: Zone, at: str) -> tuple[float, float]:
    """Return from which wall times jobs go on, in minutes of 1 January 2026: those that follow the clock, and fixed."""
    segment, midnight = zone.segment(seconds(f"2026-01-01T{at}Z")), seconds("2026-01-01T00:00Z")
    return (segment.wild_from - midnight) / MINUTE, (segment.fixed_from - midnight) / MINUTE


@pytest.mark.parametrize(("jump", "wild"), [(4, 600), (5, 605)])
def test_a_jump_of_up_to_4_minutes_is_caught_up_with_by_all_jobs(jump: int, wild: int) -> None:
    assert resumes(Machine(_1000=jump * MINUTE), "10:00") == (wild, 600)


def test_a_clock_set_twice_remembers_how_far_it_had_come() -> None:
    zone = Machine(_1000=-60 * MINUTE, _1020=-50 * MINUTE)
    assert resumes(zone, "10:00") == (540, 600)
    assert resumes(zone, "10:20") == (570, 600)


def test_a_clock_set_right_before_another_year_is_looked_at_is_remembered() -> None:
    zone = Machine(_1000=-60 * MINUTE)
    edge = (seconds("2026-01-01T10:00Z") // YEAR + 1) * YEAR  # years are cut here, at 31 December 2026, 19:44
    zone.settings = {edge - 30 * MINUTE: -60 * MINUTE}
    segment = zone.segment(edge)
    assert (segment.start, segment.fixed_from) == (edge - 30 * MINUTE, edge - 30 * MINUTE)


def test_segments_follow_each_other_without_a_hole() -> None:
    zone = zone_named("Africa/Casablanca")
    at, end = seconds("2023-01-01T00:00Z"), seconds("2026-01-01T00:00Z")
    while at < end:
        segment = zone.segment(at)
        assert segment.start <= at < segment.end
        assert zone.offset(at) == zone.offset(segment.end - 1) == segment.offset
        at = segment.end


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        ("2026-05-13T12:00", "2026-05-13T10:00Z"),
        ("2026-03-29T02:30", "2026-03-29T01:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30Z"),
    ],
)
def test_a_wall_time_is_the_first_of_two_and_right_after_the_gap_that_skips_it(wall: str, instant: str) -> None:
    found = zone_named("Europe/Berlin").instant_of(datetime.fromisoformat(wall))
    assert (found, found.tzinfo) == (datetime.fromisoformat(instant), UTC)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Berln", 'did you mean "Europe/Berlin"?'),
        ("europe/berlin", 'did you mean "Europe/Berlin"?'),
        ("Berlin", 'did you mean "Europe/Berlin"?'),
        ("New York", 'did you mean "America/New_York"?'),
        ("Europe", 'did you mean "Europe/'),
        ("../../etc/passwd", "zones are named like"),
        ("", "zones are named like"),
        ("!!!", "zones are named like"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_one(name: str, hint: str) -> None:
    with pytest.raises(FieldError) as refused:
        zone_named(name)
    assert refused.value.message == f'there is no time zone "{name}"'
    assert hint in refused.value.hint
    assert (refused.value.start, refused.value.end) == (0, len(name))


def test_a_zone_is_called_by_its_name_and_one_without_a_name_is_local() -> None:
    assert [zone_of(tz).key for tz in (UTC, ZoneInfo("Asia/Tokyo"), Nameless())] == ["UTC", "Asia/Tokyo", "local"]


def test_seconds_are_rounded_down() -> None:
    assert to_seconds(from_seconds(-5) + timedelta(microseconds=1)) == -5
    assert to_seconds(from_seconds(-5) - timedelta(microseconds=1)) == -6

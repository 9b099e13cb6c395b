"""`runjobs timeline`: a day as spans of time, and how it is drawn, whatever the clock and the screen."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.errors import FieldError
from runjobs.core.pausing import Pause
from runjobs.core.run import RunEnd
from runjobs.core.timeline import COMING, PAUSED, Span, at_once, bounds, coming, read_day
from runjobs.render.screen import Screen
from runjobs.render.text import cells
from runjobs.render.timeline import Day, draw_day, draw_way_on
from tests.support.calling import call
from tests.support.jobs import job_of
from tests.support.night import Night, at, build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = date(2026, 11, 20)
SCREEN = Screen(pretty=True, width=80, unicode=True)
PLAIN = Screen(pretty=True, width=80)
MIDNIGHT, NEXT = bounds(TODAY, UTC)
NOON = at("12:00")


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def day_of(spans: Sequence[Span], now: datetime = NOON, **more: Sequence[Span]) -> Day:
    return Day("2026-11-20", MIDNIGHT, NEXT, now, {"backup": spans, **more}, {})


def row(drawn: str, name: str = "backup") -> str:
    """The drawing of one job, without its name."""
    return next(line for line in drawn.splitlines() if line.startswith(f"{name} "))[8:].ljust(72)


def drawn_of(spans: Sequence[Span], screen: Screen = SCREEN) -> str:
    """What is drawn of a job, without ticks and the line of now."""
    return re.sub("[·│]", " ", row(draw_day(day_of(spans), UTC, screen)))


# what a day is


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", TODAY),
        (" Yesterday", date(2026, 11, 19)),
        ("tomorrow", date(2026, 11, 21)),
        ("2024-02-29", date(2024, 2, 29)),
    ],
)
def test_a_day_is_named_or_a_date(text: str, day: date) -> None:
    assert read_day(text, TODAY) == day


@pytest.mark.parametrize("text", ["", "2026-02-30", "20.11."])
def test_what_is_no_day_is_a_mistake_with_the_way_out(text: str) -> None:
    with pytest.raises(FieldError, match="is not a day") as error:
        read_day(text, TODAY)
    assert "2026-11-20" in error.value.hint


def test_the_last_day_of_the_calendar_is_refused() -> None:
    with pytest.raises(FieldError, match="out of any calendar"):
        bounds(date.max, UTC)
    with pytest.raises(FieldError, match="is not a day"):
        read_day("tomorrow", date.max)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", TODAY, 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Havana", date(2026, 3, 8), 23),
        ("Asia/Beirut", date(2026, 3, 29), 23),
    ],
    ids=["forward", "back", "as ever", "by half an hour", "at midnight", "at midnight, too"],
)
def test_a_day_has_as_many_hours_as_its_clock(zone: str, day: date, hours: float) -> None:
    start, end = bounds(day, ZoneInfo(zone))
    assert (end - start) / timedelta(hours=1) == hours
    assert start.astimezone(ZoneInfo(zone)).date() == day
    assert (start - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).date() == day - timedelta(days=1)


# what is to come


def test_what_is_to_come_lasts_as_long_as_it_usually_does() -> None:
    (span,) = coming(job_of("15 3 * * *"), MIDNIGHT, NEXT, minutes(20), None)
    assert span == Span(at("3:15"), at("3:35"), COMING)
    (unknown,) = coming(job_of("15 3 * * *"), MIDNIGHT, NEXT, None, None)
    assert unknown.start == unknown.end


def test_what_never_fires_again_has_nothing_to_come() -> None:
    assert list(coming(job_of("@at 2020-01-01T00:00Z"), MIDNIGHT, NEXT, None, None)) == []


def test_the_fires_of_one_minute_are_one_span() -> None:
    spans = list(coming(job_of("*/20 * * * * *", "fields=6"), at("3:00"), at("3:03"), minutes(0.1), None))
    assert [(span.start, span.number) for span in spans[1:]] == [(at("3:01"), 0), (at("3:02"), 0)]
    assert spans[1].end == at("3:02") + minutes(0.1)


def test_fires_of_a_pause_are_told_from_the_others() -> None:
    pause = Pause("backup", MIDNIGHT, at("2:30"), "", "anna")
    spans = list(coming(job_of("0 * * * *"), at("0:30"), at("4:30"), None, pause))
    assert [span.what for span in spans] == [PAUSED, PAUSED, COMING, COMING]
    assert [span.has_run for span in spans] == [False, False, True, True]


def test_a_jitter_makes_a_span_later() -> None:
    job = job_of("0 3 * * *", "jitter=30m")
    (span,) = coming(job, MIDNIGHT, NEXT, minutes(1), None)
    assert at("3:00") <= span.start < at("3:30")


# how many at once


def naive(spans: Sequence[Span], edges: Sequence[datetime]) -> list[int]:
    """How many at once, by looking at every instant at which one begins, or a column does."""
    ends = [max(span.end, span.start + timedelta(milliseconds=1)) for span in spans]
    found = []
    for low, high in pairwise(edges):
        looks = [low, *(span.start for span in spans if low <= span.start < high)]
        found.append(max(sum(a.start <= look < b for a, b in zip(spans, ends, strict=True)) for look in looks))
    return found


@given(
    st.lists(st.tuples(st.integers(-30, 90), st.integers(0, 50)), max_size=12),
    st.integers(1, 6),
    st.integers(5, 20),
)
def test_runs_at_once_are_counted_in_each_column(parts: list[tuple[int, int]], columns: int, width: int) -> None:
    spans = [Span(MIDNIGHT + minutes(first), MIDNIGHT + minutes(first + took), "ok") for first, took in parts]
    edges = [MIDNIGHT + minutes(width * number) for number in range(columns + 1)]
    assert at_once(spans, edges) == naive(spans, edges)


def test_what_did_not_run_is_not_counted() -> None:
    assert at_once([Span(MIDNIGHT, NOON, "missed", has_run=False)], [MIDNIGHT, NEXT]) == [0]


# the drawing


def test_a_bar_is_as_high_as_its_part_of_the_column() -> None:
    spans = [Span(at("3:00"), at("3:50"), "ok"), Span(at("6:00"), at("6:01"), "ok")]
    assert drawn_of(spans).split() == ["██▅", "▁"]
    assert drawn_of(spans, PLAIN).replace(".", " ").replace("|", " ").split() == ["##=", "_"]


def test_a_run_that_went_wrong_ends_with_its_mark() -> None:
    assert drawn_of([Span(at("3:00"), at("3:50"), "failed")]).strip() == "██✗"
    assert "##F" in drawn_of([Span(at("3:00"), at("3:50"), "failed")], PLAIN)


def test_trouble_is_seen_beside_what_went_well_in_the_same_column() -> None:
    spans = [Span(at("3:01"), at("3:02"), "failed"), Span(at("3:05"), at("3:19"), "ok")]
    assert drawn_of(spans).strip() == "✗"


def test_a_skip_does_not_hide_the_run_that_it_was_skipped_for() -> None:
    run, skip = Span(at("3:00"), at("3:40"), "ok"), Span(at("3:10"), at("3:10"), "skipped", has_run=False)
    assert drawn_of([run, skip]).strip() == "██"
    assert drawn_of([skip]).strip() == "↷"


def test_what_is_missed_is_marked_over_its_whole_stretch() -> None:
    assert drawn_of([Span(at("3:00"), at("4:50"), "missed", 0, has_run=False)]).strip() == "∅∅∅∅∅∅"


def test_a_run_over_midnight_is_drawn_up_to_the_edge() -> None:
    spans = [Span(at("23:00", 19), at("1:00"), "ok"), Span(at("23:30"), at("2:00", 21), "ok")]
    assert drawn_of(spans) == "███" + " " * 67 + "▅█"


def test_what_is_to_come_is_outlined() -> None:
    spans = [Span(at("15:00"), at("15:50"), COMING), Span(at("20:00"), at("20:01"), COMING)]
    assert drawn_of(spans).split() == ["▯▯▯", "▫"]


def test_hours_stand_above_their_columns_and_now_is_marked() -> None:
    lines = draw_day(day_of([], at("8:30")), UTC, SCREEN).splitlines()
    assert lines[0] == "Friday 2026-11-20, now 08:30"
    assert lines[1][8 + 3 * 6 :].startswith("06")
    assert lines[1].index("▼") == lines[2].index("│") == 8 + 8 * 3 + 1
    assert "▼" not in draw_day(day_of([], at("8:30", 19)), UTC, SCREEN)


@pytest.mark.parametrize(
    ("day", "hours", "said"),
    [
        (date(2026, 3, 29), "00 01 03 04", ", 23 hours: the clock is set forward"),
        (date(2026, 10, 25), "00 01 02 02 03", ", 25 hours: the clock is set back"),
    ],
)
def test_on_the_day_of_a_changed_clock_the_hours_are_those_of_the_clock(day: date, hours: str, said: str) -> None:
    start, end = bounds(day, BERLIN)
    lines = draw_day(Day("", start, end, NOON, {}, {}), BERLIN, Screen(pretty=True, width=200)).splitlines()
    assert lines[0].endswith(said)
    assert " ".join(lines[1].split()).startswith(hours)


def test_runs_at_once_stand_in_the_last_row_and_gaps_are_blank() -> None:
    one, two = [Span(at("3:00"), at("4:00"), "ok")], [Span(at("3:20"), at("3:40"), "ok")]
    many = [Span(at("9:00"), at("9:20"), "ok")] * 12
    text = draw_day(day_of([*one, *many], other=two), UTC, SCREEN)
    assert row(text, "runs").strip() == "121" + " " * 15 + "+"
    assert row(text, "runs").index("1") == 9


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 81, 132, 200])
@pytest.mark.parametrize("name", ["a", "backup", "a/very/long/name/of/a/job/that/nobody/types"])
@pytest.mark.parametrize("hours", [23, 24, 24.5, 25])
def test_no_line_of_a_day_is_wider_than_the_screen(width: int, name: str, hours: float) -> None:
    words = ("ok", "failed", "timeout", "missed", "skipped", "interrupted", COMING)
    spans = [Span(MIDNIGHT + minutes(30 * n), MIDNIGHT + minutes(30 * n + 10), what) for n, what in enumerate(words)]
    end = MIDNIGHT + timedelta(hours=hours)
    for now in (NOON, MIDNIGHT, end - minutes(1)):
        drawn = draw_day(Day("2026-11-20", MIDNIGHT, end, now, {name: spans}, {}), UTC, SCREEN._replace(width=width))
        title, *lines = drawn.splitlines()
        assert max(map(cells, lines)) <= max(width, 22)
        assert title.startswith("Friday")


def test_the_legend_is_one_line_of_what_is_there() -> None:
    spans = [Span(at("3:00"), at("3:40"), "failed"), Span(at("15:00"), at("15:40"), COMING)]
    assert draw_day(day_of(spans), UTC, SCREEN).splitlines()[-1] == "█ ran  ▯ to come  ✗ failed  a column: 20m"
    assert draw_day(day_of(spans), UTC, PLAIN).isascii()


def test_the_way_on_is_told_where_something_went_wrong() -> None:
    assert draw_way_on(day_of([Span(at("3:00"), at("3:40"), "ok")]), SCREEN) == ""
    failed = draw_way_on(day_of([Span(at("3:00"), at("3:40"), "failed")]), SCREEN)
    assert failed == "  try: runjobs history --since 2026-11-20 --outcome trouble"


def test_colours_are_the_outcomes() -> None:
    drawn = draw_day(day_of([Span(at("3:00"), at("3:40"), "ok")]), UTC, SCREEN._replace(color=True))
    assert "\x1b[32m██\x1b[0m" in drawn


# the command


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    build(tmp_path)
    return ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state"), "--trust-jobs"]


def spans_of(place: list[str], job: str, day: str = "2026-11-20") -> list[dict[str, object]]:
    (found,) = call("timeline", *place, "--day", day, "--json", job).json["jobs"]
    return [span for span in found["spans"] if span["what"] != "coming"]


def test_a_day_on_record_has_each_run_and_what_did_not_run(place: list[str]) -> None:
    assert [(span["from"][11:19], span["what"], span["run"]) for span in spans_of(place, "backup")] == [  # type: ignore[index]
        ("03:15:00", "failed", True),
        ("03:22:31", "failed", True),
    ]
    assert [span["what"] for span in spans_of(place, "report")][:1] == ["skipped"]
    missed = [span for span in spans_of(place, "poll") if span["what"] == "missed"]
    assert [(span["count"], span["run"]) for span in missed] == [(2, False)]


def test_what_goes_on_over_midnight_is_in_both_days(place: list[str], tmp_path: Path) -> None:
    story = Night(tmp_path / "state")
    story.run("vacuum", at("23:30", 20), timedelta(hours=2), RunEnd("", "ok", exit_code=0))
    story.ledger.close()
    for day in ("2026-11-20", "2026-11-21"):
        assert "2026-11-20T23:30:00" in str(spans_of(place, "vacuum", day))
    assert "2026-11-20T23:30:00" not in str(spans_of(place, "vacuum", "2026-11-22"))


def test_a_day_that_is_none_is_a_mistake_with_a_caret(place: list[str]) -> None:
    answer = call("timeline", *place, "--day", "20.11.")
    assert (answer.code, answer.out) == (2, "")
    assert "^^^^^^" in answer.err
    assert "try: yesterday, today, tomorrow" in answer.err
    assert "try: yesterday\n" in call("timeline", *place, "--day", "yesterdy").err


def test_an_unknown_job_is_a_mistake_that_names_the_nearest(place: list[str]) -> None:
    answer = call("timeline", *place, "bakcup")
    assert (answer.code, answer.out) == (2, "")
    assert "backup" in answer.err


def test_a_day_of_jobs_that_nobody_runs_is_drawn_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("#: name=off enabled=no\n0 3 * * * true\n#: name=hourly\n0 * * * * true\n")
    answer = call("timeline", "--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "none"), "--trust-jobs")
    assert (answer.code, answer.err) == (0, "")
    assert not (tmp_path / "none").exists()
    (tmp_path / "jobs").write_text("")
    empty = call("timeline", "--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "none"), "--trust-jobs")
    assert (empty.code, empty.out) == (0, "")
    assert "no jobs in" in empty.err

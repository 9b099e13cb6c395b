"""Values to text: carets, tables, widths, escapes, times, JSON."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.errors import Place, Problem, Severity
from runjobs.core.job import Overlap
from runjobs.render.json import to_json
from runjobs.render.problems import draw_problem, under_caret
from runjobs.render.screen import Screen, screen_of
from runjobs.render.table import Column, Table, draw
from runjobs.render.text import cells, clip, counted, pad, printable
from runjobs.render.times import clock, distance, instant

TERMINAL = Screen(pretty=True, width=80, color=True, unicode=True)
JOBS = (Column("JOB"), Column("NEXT"), Column("COMMAND", clipped=True), Column("WHERE", optional=True))
BERLIN = ZoneInfo("Europe/Berlin")


def marked(text: str, column: int, width: int, room: int = 76) -> str:
    """What stands above the carets."""
    excerpt = under_caret(text, Place("f", 1, column, width), room)
    start, end = excerpt.carets.index("^"), len(excerpt.carets)
    cut = ""
    for char in excerpt.text:
        if start <= cells(cut) < end:
            cut += char
        else:
            start, end = start - cells(char), end - cells(char)
    return cut


def test_a_problem_says_place_mistake_line_caret_and_the_way_out() -> None:
    place = Place("jobs.d/backup", 7, 1, 2)
    text = "75 3 * * * /usr/local/bin/backup"
    problem = Problem(place, "minute 75 is past 59", "minutes go from 0 to 59", text)
    assert draw_problem(problem, Screen()) == (
        "jobs.d/backup:7:1: error: minute 75 is past 59\n"
        "    75 3 * * * /usr/local/bin/backup\n"
        "    ^^\n"
        "  try: minutes go from 0 to 59"
    )


def test_a_problem_with_two_places_shows_both() -> None:
    problem = Problem(Place("b", 4, 9, 6), "twice", text="#: name=backup", other=Place("a", 2))
    assert "b:4:9: error: twice" in draw_problem(problem, Screen())
    assert "\n  see: a:2:1" in draw_problem(problem, Screen())


def test_a_problem_of_a_whole_line_has_no_caret() -> None:
    drawn = draw_problem(Problem(Place("f", 3), "not a job", text="hello", severity=Severity.WARNING), Screen())
    assert drawn == "f:3:1: warning: not a job\n    hello"


def test_colours_only_where_there_are_any() -> None:
    problem = Problem(Place("f", 1, 1, 1), "bad", text="x")
    assert "\x1b" not in draw_problem(problem, Screen())
    assert "\x1b[31merror:\x1b[0m" in draw_problem(problem, TERMINAL)


@pytest.mark.parametrize(
    ("text", "column", "width", "line", "carets"),
    [
        ("0\t75\t* x", 3, 2, "0       75      * x", "        ^^"),
        ("漢字 75", 4, 2, "漢字 75", "     ^^"),
        ("e\u0301 75", 4, 2, "e\u0301 75", "  ^^"),
        ("a\x1bb!", 4, 1, r"a\x1bb!", "      ^"),
        ("a\x1bb!", 2, 1, r"a\x1bb!", " ^^^^"),
        ("0 3 * * *", 10, 1, "0 3 * * *", "         ^"),
        ("75", 1, 99, "75", "^^"),
    ],
    ids=["tab", "wide", "accent", "escape before", "the escape itself", "behind the end", "wider than the line"],
)
def test_the_caret_stands_under_the_mistake(text: str, column: int, width: int, line: str, carets: str) -> None:
    excerpt = under_caret(text, Place("f", 1, column, width), 76)
    assert (excerpt.text, excerpt.carets) == (line, carets)


@pytest.mark.parametrize("filler", ["x", "漢", "* "])
@pytest.mark.parametrize("before", [0, 5, 74, 300])
@pytest.mark.parametrize("after", [0, 5, 74, 300])
def test_a_long_line_is_cut_around_the_mistake(filler: str, before: int, after: int) -> None:
    text = filler * before + "BAD" + filler * after
    excerpt = under_caret(text, Place("f", 1, len(filler) * before + 1, 3), 76)
    assert cells(excerpt.text) <= 76
    assert marked(text, len(filler) * before + 1, 3) == "BAD"
    assert ("..." in excerpt.text) == (cells(text) > 76)


@given(st.text(max_size=300), st.integers(1, 300), st.integers(1, 300), st.integers(20, 100))
def test_an_excerpt_fits_whatever_the_line_holds(text: str, column: int, width: int, room: int) -> None:
    excerpt = under_caret(text, Place("f", 1, column, width), room)
    assert cells(excerpt.text) <= room
    assert "^" in excerpt.carets
    assert len(excerpt.carets) <= room


def test_a_line_of_a_megabyte_is_drawn_like_any_other() -> None:
    assert marked("y" * 500_000 + "BAD" + "y" * 500_000, 500_001, 3) == "BAD"


@given(st.text())
def test_printable_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    shown = printable(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    shown.encode()  # no surrogates


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\udcff", r"\udcff"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u00a0b", "a\u00a0b"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_widths_are_counted_in_cells() -> None:
    assert (cells("abc"), cells("漢字"), cells("e\u0301")) == (3, 4, 1)
    assert pad("漢", 4) == "漢  "
    assert pad("漢", 4, right=True) == "  漢"


@given(st.text(st.characters(categories=["L", "N"])), st.integers(3, 40))
def test_clipped_text_fits(text: str, width: int) -> None:
    clipped = clip(text, width)
    assert cells(clipped) <= width
    assert clipped == text or clipped.endswith("...")


@pytest.mark.parametrize(("number", "words"), [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (1000, "1,000 jobs")])
def test_numbers_stand_with_their_nouns(number: int, words: str) -> None:
    assert counted(number, "job") == words


def test_a_pipe_gets_plain_aligned_columns_of_any_width() -> None:
    table = Table((*JOBS[:2], Column("N", right=True)), [["a", "x" * 200, "1"], ["漢字", "y", "10"]])
    assert draw(table, Screen()).splitlines() == [
        f"JOB   NEXT{' ' * 196}   N",
        f"a     {'x' * 200}   1",
        f"漢字  y{' ' * 199}  10",
    ]


def test_a_table_says_what_markup_would_hide() -> None:
    table = Table([Column("COMMAND")], [["[red]echo[/red] :warning: [/]"]])
    assert "[red]echo[/red] :warning: [/]" in draw(table, TERMINAL)
    assert "[red]echo[/red] :warning: [/]" in draw(table, Screen())


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_fits_the_terminal(width: int) -> None:
    rows = [["backup/backup-0a96cc", "2026-11-21 03:15", "/usr/local/bin/backup " * 9, "jobs.d/backup:12"]] * 2
    drawn = draw(Table(JOBS, rows), Screen(pretty=True, width=width, unicode=True))
    assert max(map(cells, drawn.splitlines())) <= width


def test_a_narrow_terminal_clips_commands_and_leaves_out_what_is_optional() -> None:
    rows = [["backup/backup-0a96cc", "2026-11-21 03:15", "/usr/local/bin/backup " * 9, "jobs.d/backup:12"]]
    narrow = draw(Table(JOBS, rows), Screen(pretty=True, width=80))
    wide = draw(Table(JOBS, rows), Screen(pretty=True, width=100))
    assert "WHERE" not in narrow
    assert "..." in narrow
    assert "jobs.d/backup:12" in wide
    assert len(narrow.splitlines()) == len(wide.splitlines()) == 3


def test_a_terminal_without_unicode_or_colour_gets_ascii_alone() -> None:
    drawn = draw(Table(JOBS, [["a", "b", "c", "d"]]), Screen(pretty=True))
    assert drawn.isascii()
    assert "\x1b" not in drawn
    assert "──" in draw(Table(JOBS, [["a", "b", "c", "d"]]), TERMINAL)


def test_a_table_without_rows_has_its_titles() -> None:
    assert draw(Table(JOBS, []), Screen()) == "JOB  NEXT  COMMAND  WHERE"
    assert "COMMAND" in draw(Table(JOBS, []), TERMINAL)


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "screen"),
    [
        ({"TERM": "xterm", "LANG": "de_DE.UTF-8"}, Screen(pretty=True, width=80, color=True, unicode=True)),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "COLUMNS": "132"}, Screen(True, 132, True, True)),
        ({"TERM": "xterm", "LANG": "C.UTF-8", "NO_COLOR": "1"}, Screen(True, 80, False, True)),
        ({"TERM": "dumb", "LANG": "C.UTF-8"}, Screen(True, 80, False, True)),
        ({"LANG": "C"}, Screen(True, 80, False, False)),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, Screen(True, 80, False, False)),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8", "COLUMNS": "no"}, Screen(True, 80, False, False)),
    ],
    ids=["utf-8", "COLUMNS", "NO_COLOR", "dumb", "C", "C as Python leaves it", "LC_ALL"],
)
def test_the_environment_says_what_a_terminal_can_show(environ: dict[str, str], screen: Screen) -> None:
    assert screen_of(Tty(), environ) == screen


def test_a_pipe_is_not_pretty() -> None:
    assert screen_of(io.StringIO(), {"TERM": "xterm", "LANG": "C.UTF-8"}) == Screen()


def test_times_are_in_the_zone_asked_for() -> None:
    when = datetime(2026, 7, 1, 1, 15, tzinfo=UTC)
    assert instant(when, BERLIN) == "Wed 2026-07-01 03:15:00 +02:00"
    assert clock(when, BERLIN) == "2026-07-01 03:15"
    assert clock(when + timedelta(seconds=5), UTC) == "2026-07-01 01:15:05"


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(milliseconds=-900), "now"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=2), "2m"),
        (timedelta(hours=1, minutes=1, seconds=1), "1h 1m"),
        (timedelta(days=3, hours=4, minutes=59), "3d 4h"),
        (timedelta(days=400), "400d"),
        (-timedelta(minutes=1, seconds=5), "-1m 5s"),
    ],
)
def test_a_distance_has_two_units_at_most(span: timedelta, words: str) -> None:
    assert distance(span) == words


def test_json_has_iso_times_seconds_and_plain_words_in_ascii() -> None:
    value = {"at": datetime(2026, 7, 1, tzinfo=UTC), "for": timedelta(minutes=1), "overlap": Overlap.SKIP, "é": {3, 1}}
    text = to_json(value)
    assert text.isascii()
    assert json.loads(text) == {"at": "2026-07-01T00:00:00+00:00", "for": 60.0, "overlap": "skip", "é": [1, 3]}


def test_json_refuses_what_it_has_no_form_for() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        to_json(object())

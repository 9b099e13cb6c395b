"""What people see: one look for each outcome, bars of recent runs, and the screens of docs/terminal.md."""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.cli import status
from runjobs.core.answers import Past
from runjobs.core.event import Event, Happening
from runjobs.core.outcome import Outcome, State
from runjobs.render.events import text_line
from runjobs.render.glyphs import COLORS, LOOKS, loud, mark, told
from runjobs.render.output import Lines
from runjobs.render.screen import Screen
from runjobs.render.spark import spark
from runjobs.render.standing import foremost
from runjobs.render.table import MANY, Column, Table, draw
from runjobs.render.text import Tinted, cells
from tests.support import screens
from tests.support.calling import call
from tests.support.night import MORNING, build, recorded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCREEN = Screen(pretty=True, width=80, unicode=True)
COLORED = SCREEN._replace(color=True)
ASCII = Screen(pretty=True, width=80)
PAGE = screens.PAGE.read_text(encoding="utf-8")


# the page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return screens.screens(tmp_path_factory.mktemp("weeks"))


def test_the_screens_of_the_page_are_what_the_commands_print(made: dict[str, str]) -> None:
    assert screens.fill(PAGE, made) == PAGE, "python -m tests.support.screens makes them anew"


def test_every_screen_of_the_page_is_made(made: dict[str, str]) -> None:
    assert set(re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)) == set(made)


def texts(drawing: str) -> list[str]:
    """What a picture says: without its shapes, which another version of its maker may draw otherwise."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


def test_the_pictures_of_the_page_show_what_the_commands_print(tmp_path: Path) -> None:
    made = screens.pictures(tmp_path)
    assert {path.name for path in screens.PICTURES.iterdir()} == set(made)
    for name, drawing in made.items():
        assert texts((screens.PICTURES / name).read_text(encoding="utf-8")) == texts(drawing), name
        assert f"](pictures/{name})" in PAGE


def test_a_picture_needs_nothing_from_elsewhere() -> None:
    for path in screens.PICTURES.iterdir():
        assert not re.search(r"url\((?!#)|href=|@import|@font-face", path.read_text(encoding="utf-8"))


def test_the_page_tells_the_look_of_each_outcome() -> None:
    for outcome in Outcome:
        look, word = LOOKS[outcome.value], outcome.value
        assert f"| {word} | {look.glyph} | `{loud(word)}` | `{look.letter}` | {look.color} |" in PAGE


def test_every_key_of_a_day_is_documented_and_no_other(tmp_path: Path) -> None:
    build(tmp_path)
    place = ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state"), "--trust-jobs"]
    day = call("timeline", *place, "--day", "2026-11-20", "--json").json
    job = day["jobs"][0]
    part = PAGE.partition("## timeline --json")[2]
    rows = re.findall(r"^\| (`.+?) \|", part, re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == {*day, *job, *job["spans"][0]}


# looks


def test_every_outcome_and_state_has_a_look_of_one_cell() -> None:
    words = {*(each.value for each in Outcome), *(each.value for each in State)} - {State.ENDED.value}
    assert words <= set(LOOKS)
    for look in LOOKS.values():
        assert cells(look.glyph) == 1
        assert len(look.letter) == 1
        assert look.letter.isascii()


def test_no_two_outcomes_look_the_same_without_colours() -> None:
    assert len({LOOKS[each.value].glyph for each in Outcome}) == len(Outcome)
    assert len({LOOKS[each.value].letter for each in Outcome}) == len(Outcome)


@pytest.mark.parametrize(
    ("screen", "words"),
    [
        (SCREEN, ["✓ ok", "✗ failed", "⧗ timeout", "↷ skipped", "gone"]),
        (ASCII, ["ok", "FAILED", "TIMEOUT", "skipped", "gone"]),
        (SCREEN._replace(width=40), ["ok", "FAILED", "TIMEOUT", "skipped", "gone"]),
        (Screen(unicode=True), ["ok", "failed", "timeout", "skipped", "gone"]),
    ],
    ids=["terminal", "without Unicode", "narrow", "pipe"],
)
def test_a_word_is_told_as_the_screen_can_show_it(screen: Screen, words: list[str]) -> None:
    plain = ["ok", "failed", "timeout", "skipped", "gone"]
    assert [told(word, screen) for word in plain] == words
    assert [COLORS.get(word, "") for word in words] == ["green", "red", "red", "yellow", ""]


def test_an_event_has_its_mark_on_a_terminal_and_none_in_a_pipe() -> None:
    facts = {"outcome": "failed", "detail": "exit code 2", "seconds": 3.0}
    ended = Event(MORNING, Happening.ENDED, "backup", "r1", facts)
    assert text_line(ended, UTC, SCREEN) == "08:30:00 ✗ backup: failed: exit code 2, after 3.0s"
    assert text_line(ended, UTC, Screen(unicode=True)) == "08:30:00 backup: failed: exit code 2, after 3.0s"
    reloaded = Event(MORNING, Happening.RUNNER_STOPPED, facts={"left": 0})
    assert text_line(reloaded, UTC, SCREEN) == "08:30:00   stopped"


# bars


def past(outcome: str, minutes: float | None) -> Past:
    return Past(MORNING, outcome, None if minutes is None else timedelta(minutes=minutes), 1)


def test_half_a_bar_is_the_usual_duration() -> None:
    pasts = [past("ok", minutes) for minutes in (10, 10, 20, 1, 10, 90)]
    assert spark(pasts, SCREEN) == "▅▅█▁▅█"
    assert spark(pasts, ASCII) == "==#_=#"


def test_the_colour_of_a_bar_is_the_outcome_and_without_colours_trouble_is_its_mark() -> None:
    pasts = [past("ok", 10), past("failed", 10), past("timeout", 20), past("skipped", None), past("missed", None)]
    assert spark(pasts, COLORED) == "▅▅█↷∅"
    assert spark(pasts, COLORED).tints == ("green", "red", "red", "yellow", "yellow")
    assert spark(pasts, SCREEN) == "▅✗⧗↷∅"
    assert spark(pasts, ASCII) == "=FTsm"


def test_bars_of_runs_that_took_no_time_or_have_an_outcome_of_another_version_are_drawn() -> None:
    assert spark([past("ok", 0), past("vanished", 1), past("vanished", None)], SCREEN) == "▁▅."
    assert spark([past("ok", 0)], SCREEN) == "▅"
    assert spark([], SCREEN) == ""


@pytest.mark.parametrize("rows", [1, MANY + 1])
def test_a_table_keeps_the_colours_of_each_character(rows: int) -> None:
    text = Tinted.of([("a", "red"), ("b", "red"), ("c", "")])
    drawn = draw(Table([Column("X", right=True)], [[text]] * rows), COLORED)
    assert "\x1b[31mab\x1b[0mc" in drawn


# status


def shown(folder: Path, screen: Screen) -> str:
    with recorded(folder) as record:
        return status.text(status.look(record, list(record.jobs), MORNING), UTC, screen)


def test_status_has_bars_where_there_is_room_and_none_in_a_pipe(tmp_path: Path) -> None:
    build(tmp_path)
    assert "RECENT" in shown(tmp_path, SCREEN)
    assert "▅✗" in shown(tmp_path, SCREEN)
    assert "RECENT" not in shown(tmp_path, SCREEN._replace(width=55))
    assert "RECENT" not in shown(tmp_path, Screen(width=200, unicode=True))


def test_status_tells_times_both_ways_where_there_is_room(tmp_path: Path) -> None:
    build(tmp_path)
    wide = shown(tmp_path, SCREEN._replace(width=100))
    assert re.search(r"backup .*03:15 +5h 15m .*Sat 03:15 +18h 45m", wide)
    assert "5h 15m" not in shown(tmp_path, SCREEN)


def test_the_last_fires_are_numbers_for_machines(tmp_path: Path) -> None:
    build(tmp_path)
    place = ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state"), "--trust-jobs"]
    jobs = {job["name"]: job["recent"] for job in call("status", *place, "--json").json["jobs"]}
    assert [(each["outcome"], each["seconds"]) for each in jobs["backup"]] == [("ok", 720.0), ("failed", 164.0)]
    assert [(each["outcome"], each["seconds"]) for each in jobs["report"]][-1] == ("skipped", None)
    assert len(jobs["poll"]) == 24
    assert all(each["scheduled"].startswith("2026-11-20") for each in jobs["poll"])


def test_where_not_all_jobs_have_room_those_in_trouble_come_first_in_their_order(tmp_path: Path) -> None:
    build(tmp_path)
    with recorded(tmp_path) as record:
        standings = status.look(record, list(record.jobs), MORNING).standings
    assert [each.name for each in foremost(standings, 2)] == ["backup", "mirror"]
    assert [each.name for each in foremost(standings, 3)] == ["backup", "report", "mirror"]
    assert foremost(standings, 9) == standings


@pytest.mark.parametrize(("words", "said"), [(["--watch"], "needs a terminal"), (["--watch", "--json"], "for people")])
def test_a_watch_that_can_not_be_drawn_is_a_mistake_with_the_way_out(
    words: Sequence[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "jobs").write_text("* * * * * true\n")
    answer = call("status", *words, "--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "s"), "--trust-jobs")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert "try: " in answer.err


# logs, history


def test_each_job_of_a_follow_has_its_colour() -> None:
    lines = Lines(("backup", "poll"), COLORED)
    assert lines.add("1", "backup", b"one\n") == b"\x1b[36mbackup |\x1b[0m one\n"
    assert lines.add("2", "poll", b"two\n") == b"\x1b[35mpoll   |\x1b[0m two\n"


def test_history_on_a_terminal_tells_the_way_on_from_the_last_trouble(tmp_path: Path) -> None:
    build(tmp_path)
    place = ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state"), "--trust-jobs"]
    assert 'try: runjobs why backup --at "2026-11-20 03:15"' in call("history", *place, "backup", terminal=True).out
    assert "try:" not in call("history", *place, "backup").out
    assert "try:" not in call("history", *place, "vacuum", terminal=True).out


def test_logs_of_a_run_that_went_wrong_tell_a_person_the_way_on(tmp_path: Path) -> None:
    build(tmp_path)
    place = ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state"), "--trust-jobs"]
    assert "try: runjobs why backup" in call("logs", *place, "backup", terminal=True).err
    assert call("logs", *place, "backup").err == ""


def test_the_marks_are_one_cell_on_every_screen() -> None:
    assert (mark("failed", SCREEN), mark("failed", ASCII)) == ("✗", "F")

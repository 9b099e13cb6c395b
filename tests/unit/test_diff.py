"""`runjobs diff`: two sets of jobs compared by what they do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.comparing import Change, Difference, Kind, Window, compare
from tests.support.calling import Answer, call
from tests.support.jobs import jobs_of

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 3, 10, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=10))
DAILY = "15 3 * * * backup\n"
SCHEDULES = ["15 3 * * *", "45 3 * * *", "0 */2 * * *", "@daily", "@every 7h", "0 0 29 2 *", "@reboot", "30 2 13 * fri"]


def compared(old: str, new: str) -> list[Difference]:
    return compare(jobs_of(f"CRON_TZ=UTC\n{old}"), jobs_of(f"CRON_TZ=UTC\n{new}"), WINDOW)


def only(old: str, new: str) -> Difference:
    (difference,) = compared(old, new)
    return difference


def named(options: str = "", line: str = DAILY) -> str:
    return f"#: name=a {options}\n{line}"


def test_the_same_jobs_do_not_differ() -> None:
    assert compared(named(), named()) == []


def test_an_added_job_comes_with_its_fires() -> None:
    found = only("", named())
    assert found.kinds == (Kind.ADDED,)
    assert found.fires is not None
    assert (found.fires.new, found.fires.only_new, len(found.fires.come)) == (10, 10, 3)


def test_a_removed_job_takes_its_fires_with_it() -> None:
    found = only(named(), "")
    assert found.kinds == (Kind.REMOVED,)
    assert found.fires is not None
    assert (found.fires.old, found.fires.only_old) == (10, 10)


def test_a_moved_job_shows_the_fires_that_are_gone_and_those_that_are_new() -> None:
    found = only(named(), named(line="45 3 * * * backup\n"))
    assert found.kinds == (Kind.MOVED,)
    assert found.fires is not None
    assert (found.fires.only_old, found.fires.only_new) == (10, 10)
    assert found.fires.gone[0] == START + timedelta(hours=3, minutes=15)
    assert found.fires.come[0] == START + timedelta(hours=3, minutes=45)


def test_fires_that_both_have_are_not_told() -> None:
    found = only(named(), named(line="15 3,15 * * * backup\n"))
    assert found.fires is not None
    assert (found.fires.old, found.fires.new, found.fires.only_old, found.fires.only_new) == (10, 20, 0, 10)


def test_another_zone_is_a_move() -> None:
    assert only(named(), named("tz=Europe/Berlin")).kinds == (Kind.MOVED,)


def test_the_same_fires_written_otherwise_are_told_and_count_for_nothing() -> None:
    found = only(named(line="0 0 * * 0 x\n"), named(line="@weekly x\n"))
    assert (found.kinds, found.counts) == ((Kind.REWRITTEN,), False)


def test_schedules_that_differ_after_the_window_only_are_a_move() -> None:
    assert only(named(line="0 0 1 6 * x\n"), named(line="0 0 2 6 * x\n")).kinds == (Kind.MOVED,)
    assert only(named(line="0 0 1 6 * x\n"), named(line="0 0 1 jun * x\n")).kinds == (Kind.REWRITTEN,)


def test_schedules_that_no_time_tells_of_are_a_move() -> None:
    assert only(named(line="@reboot x\n"), named(line="@watch /srv x\n")).kinds[0] is Kind.MOVED


def test_a_job_that_is_switched_off_loses_its_fires() -> None:
    found = only(named(), named("enabled=no"))
    assert found.kinds == (Kind.MOVED, Kind.CHANGED)
    assert found.changes == (Change("enabled", "yes", "no"),)
    assert found.fires is not None
    assert found.fires.only_old == 10


def test_two_jobs_that_are_switched_off_differ_by_their_schedules_as_text_only() -> None:
    old, new = named("enabled=no"), named("enabled=no", "45 3 * * * backup\n")
    assert only(old, new).kinds == (Kind.REWRITTEN,)


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (named(), named(line="15 3 * * * backup --all\n"), Change("command", "backup", "backup --all")),
        (named(), named(line="15 3 * * * backup%all\n"), Change("stdin", "", "all\n")),
        (named(), named("timeout=30m"), Change("timeout", "1d", "30m")),
        (named("timeout=30m"), named("timeout=none"), Change("timeout", "30m", "none")),
        (named("pool=p:2"), named(), Change("pool", "p:2", "none")),
        (named(), named("overlap=queue"), Change("overlap", "skip", "queue")),
        (named(), named("retry-on=75,timeout"), Change("retry-on", "none", "75,timeout")),
        (named(), named("umask=022"), Change("umask", "none", "022")),
        (named("umask=027"), named("umask=022"), Change("umask", "027", "022")),
        (named(), named("success-codes=0,3"), Change("success-codes", "0", "0,3")),
        (named(), named("retries=2"), Change("retries", "0", "2")),
        (
            named(line="@watch /srv x\n"),
            named("on=move,create", "@watch /srv x\n"),
            Change("on", "create,delete,move,write", "create,move"),
        ),
        (named(), f"A=1\n{named()}", Change("variable A", "", "set")),
        (f"A=1\n{named()}", f"A=2\n{named()}", Change("variable A", "set", "another value")),
        (f"A=1\n{named()}", named(), Change("variable A", "set", "")),
    ],
)
def test_what_else_changes_is_named_with_both_values(old: str, new: str, change: Change) -> None:
    found = only(old, new)
    assert (found.kinds, found.changes) == ((Kind.CHANGED,), (change,))


def test_the_jobs_that_one_comes_after_are_an_option_too() -> None:
    other = "#: name=dump\n0 2 * * * dump\n"
    assert only(other + named(), other + named("after=dump")).changes == (Change("after", "none", "dump"),)


def test_a_job_under_another_name_with_the_same_command_and_schedule_is_renamed() -> None:
    found = only(named(), named().replace("name=a", "name=b"))
    assert (found.kinds, found.fires) == ((Kind.RENAMED,), None)
    assert found.old is not None
    assert found.new is not None
    assert (found.old.name, found.new.name) == ("a", "b")


def test_a_renamed_job_whose_minute_is_hashed_has_moved() -> None:
    found = only(named(line="H 3 * * * x\n"), named(line="H 3 * * * x\n").replace("name=a", "name=b"))
    assert found.kinds == (Kind.RENAMED, Kind.MOVED)


def test_each_job_is_the_heir_of_one_at_most() -> None:
    found = compared(named(), named().replace("name=a", "name=b") + named().replace("name=a", "name=c"))
    assert [each.kinds for each in found] == [(Kind.RENAMED,), (Kind.ADDED,)]


@given(st.lists(st.sampled_from(SCHEDULES), max_size=4), st.lists(st.sampled_from(SCHEDULES), max_size=4))
def test_what_one_way_is_gone_is_new_the_other_way(old: list[str], new: list[str]) -> None:
    texts = ["".join(f"#: name=j{n}\n{each} c{n}\n" for n, each in enumerate(side)) for side in (old, new)]
    there, back = compared(*texts), compared(*reversed(texts))
    gone = sum(each.fires.only_old for each in there if each.fires is not None)
    assert gone == sum(each.fires.only_new for each in back if each.fires is not None)
    assert len(there) == len(back)
    assert bool(there) == (old != new)


# the command


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    old, new = tmp_path / "old.d", tmp_path / "new.d"
    for folder in (old, new):
        folder.mkdir()
        (folder / "jobs").write_text(f"CRON_TZ=UTC\n{named()}#: name=same\n0 4 * * * same\n")
    return old, new


def diff(sides: tuple[Path, Path], *words: str, terminal: bool = False) -> Answer:
    return call("diff", *map(str, sides), "--from", "2026-03-10T00:00Z", *words, terminal=terminal)


def change(side: Path, old: str, new: str) -> None:
    file = side / "jobs"
    file.write_text(file.read_text().replace(old, new))


def document(answer: Answer) -> Any:  # noqa: ANN401 a document of any shape
    assert answer.code == 1, answer.err
    return answer.json


def test_no_difference_exits_0(sides: tuple[Path, Path]) -> None:
    answer = diff(sides, "--days", "7")
    assert answer.code == 0
    assert answer.out.startswith("no job differs, 2 jobs do the same, 2026-03-10 ")


def test_a_difference_exits_1_and_is_told(sides: tuple[Path, Path]) -> None:
    change(sides[1], "15 3 * * * backup", "45 3 * * * backup")
    answer = diff(sides, "--days", "7")
    assert (answer.code, answer.err) == (1, "")
    lines = answer.out.splitlines()
    assert lines[:2] == ["~ a: moved", "    15 3 * * * (UTC) -> 45 3 * * * (UTC)"]
    assert re.fullmatch(r"    7 fires gone: .*, .*, .* \.\.\.", lines[2])
    assert lines[-1].startswith("1 job differs, 1 job does the same, ")


def test_a_rewritten_job_exits_0(sides: tuple[Path, Path]) -> None:
    change(sides[1], "15 3 * * * backup", "15 03 * * 0-7 backup")
    answer = diff(sides)
    assert answer.code == 0
    assert "= a: rewritten\n" in answer.out
    assert "    the same 31 fires\n" in answer.out


def test_a_side_with_mistakes_exits_78_and_shows_what_can_be_compared(sides: tuple[Path, Path]) -> None:
    change(sides[1], "0 4 * * * same", "75 4 * * * same")
    answer = diff(sides)
    assert answer.code == 78
    assert "minute 75 is past 59" in answer.err
    assert "- same: removed\n" in answer.out


def test_a_path_that_is_not_there_exits_78(sides: tuple[Path, Path]) -> None:
    answer = diff((sides[0], sides[1] / "nope"))
    assert answer.code == 78
    assert "the path can't be read: No such file or directory" in answer.err


def test_one_path_is_compared_with_the_jobs_in_force(sides: tuple[Path, Path]) -> None:
    change(sides[1], "#: name=same\n0 4 * * * same\n", "")
    answer = call("diff", str(sides[1]), "--jobs", str(sides[0]), "--json")
    assert [(each["job"], each["kinds"]) for each in document(answer)["jobs"]] == [("same", ["removed"])]


def test_jobs_without_a_name_are_the_same_in_a_file_of_another_name(sides: tuple[Path, Path]) -> None:
    for side, line in zip(sides, ("0 6 * * * derived", "0 7 * * * derived"), strict=True):
        change(side, "0 4 * * * same", f"0 4 * * * same\n{line}")
    (sides[1] / "jobs").rename(sides[1] / "tasks")
    (only,) = document(diff(sides, "--json"))["jobs"]
    assert (only["job"], only["kinds"]) == ("tasks/derived-" + only["job"][-6:], ["moved"])


def test_the_values_of_variables_stay_private(sides: tuple[Path, Path]) -> None:
    change(sides[0], "CRON_TZ", "TOKEN=hunter2\nCRON_TZ")
    change(sides[1], "CRON_TZ", "TOKEN=hunter3\nCRON_TZ")
    for answer in (diff(sides), diff(sides, "--json")):
        assert "hunter" not in answer.out + answer.err
        assert "TOKEN" in answer.out


def test_the_document_has_both_sides_and_the_fires(sides: tuple[Path, Path]) -> None:
    change(sides[1], "15 3 * * * backup", "45 3 * * * backup --all")
    found = document(diff(sides, "--to", "2026-03-12T00:00Z", "--json"))
    assert (found["differ"], found["old"]["jobs"], found["to"]) == (1, 2, "2026-03-12T00:00:00+00:00")
    (job,) = found["jobs"]
    assert (job["old"]["schedule"], job["new"]["schedule"]) == ("15 3 * * *", "45 3 * * *")
    assert job["fires"]["gone"] == ["2026-03-10T03:15:00+00:00", "2026-03-11T03:15:00+00:00"]
    assert job["changes"] == [{"what": "command", "old": "backup", "new": "backup --all"}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "runjobs: missing argument"),
        (["a", "b", "c"], "runjobs: diff compares two, not 3\n"),
        (["a", "b", "--jobs", "c"], "runjobs: --jobs says which jobs are the old ones, and so does the first path\n"),
        (["a", "--to", "tomorrow", "--days", "3"], "runjobs: --to and --days both say how long\n"),
        (["a", "--to", "yesterday"], "runjobs: --to yesterday is not after the start\n"),
        (["a", "--from", "soonish"], "runjobs: --from: "),
    ],
)
def test_what_cannot_be_compared_exits_2_and_says_why(words: list[str], said: str) -> None:
    answer = call("diff", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(said)


def test_a_terminal_of_80_columns_is_not_overrun(sides: tuple[Path, Path]) -> None:
    change(
        sides[1], "15 3 * * * backup", "*/15 3 * * * /usr/local/bin/backup --with-a-very-long-option --and-another-one"
    )
    change(sides[1], "name=same", "name=other")
    shown = re.sub("\x1b\\[[0-9;]*m", "", diff(sides, terminal=True).out)
    assert "> same -> other: renamed" in shown
    assert max(map(len, shown.splitlines())) <= 80

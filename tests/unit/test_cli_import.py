"""`runjobs import`: what it reads, writes, says, and how it ends."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.calling import Answer, call
from tests.support.imports import CASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = "5 4 * * * true\n"
BAD = "61 * * * * true\n"


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "jobs.d"


def take(to: Path, *words: str | Path) -> Answer:
    return call("import", "--to", str(to), *map(str, words))


def put(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_crontab_becomes_a_jobs_file_that_check_accepts(tmp_path: Path, to: Path) -> None:
    answer = take(to, put(tmp_path, "mine", GOOD))
    assert (answer.code, answer.err) == (0, "")
    assert f"{to}/mine: 1 job from {tmp_path}/mine\n1 job in 1 file written\n" in answer.out
    assert "or they run twice" in answer.out
    assert call("check", "--trust-jobs", "--jobs", str(to)).code == 0


def test_what_is_not_carried_over_is_told_with_place_and_way_out_and_ends_with_65(tmp_path: Path, to: Path) -> None:
    answer = take(to, put(tmp_path, "mine", GOOD + BAD))
    assert answer.code == 65
    assert f"{tmp_path}/mine:2:1: error: minute 61 is past 59" in answer.out
    assert "try: minutes go from 0 to 59" in answer.out
    assert "1 not carried over" in answer.out
    assert "#   61 * * * * true" in (to / "mine").read_text()


def test_nothing_is_overwritten_and_what_is_in_the_way_is_named(tmp_path: Path, to: Path) -> None:
    put(to, "mine", "mine\n")
    put(to, "more", "mine\n")
    answer = take(to, put(tmp_path, "mine", GOOD), put(tmp_path, "more", GOOD), put(tmp_path, "other", GOOD))
    assert (answer.code, f"{to}/mine and 1 more is already there" in answer.err) == (73, True)
    assert sorted(path.name for path in to.iterdir()) == ["mine", "more"]
    assert (to / "mine").read_text() == "mine\n"


def test_a_dry_run_shows_all_and_writes_nothing(tmp_path: Path, to: Path) -> None:
    answer = take(to, "--dry-run", put(tmp_path, "mine", "TOKEN=hunter2\n" + GOOD))
    assert (answer.code, to.exists()) == (0, False)
    assert f"==> {to}/mine <==" in answer.out
    assert "5 4 * * * true\n" in answer.out
    assert "1 job in 1 file would be written\n" in answer.out
    assert "hunter2" not in answer.out


def test_a_file_that_others_may_not_read_stays_private(tmp_path: Path, to: Path) -> None:
    take(to, put(tmp_path, "a", GOOD), put(tmp_path, "b", GOOD, 0o600), put(tmp_path, "c", "TOKEN=x\n" + GOOD))
    assert {path.name: path.stat().st_mode & 0o777 for path in to.iterdir()} == {"a": 0o644, "b": 0o600, "c": 0o600}


def test_json_counts_every_line(tmp_path: Path, to: Path) -> None:
    answer = take(to, "--json", put(tmp_path, "mine", "# c\n\n" + GOOD + BAD), put(tmp_path, "a~", GOOD))
    document = answer.json
    (first, second) = document["files"]
    assert first["sources"][0]["lines"] == {"carried": 1, "comment": 1, "blank": 1, "reported": 1}
    assert (first["mode"], first["jobs"], document["written"], answer.code) == ("0644", 1, True, 65)
    assert second["path"] == f"{to}/a"
    (problem,) = document["problems"]
    assert (problem["line"], problem["severity"], problem["source"]) == (4, "error", f"{tmp_path}/mine")


def test_a_folder_of_cron_d_is_read_whole_with_its_user_column(tmp_path: Path, to: Path) -> None:
    folder = tmp_path / "cron.d"
    put(folder, "a", "5 4 * * * root true\n")
    put(folder, "b.dpkg-old", "nonsense\n")
    put(folder, "c.d", "5 4 * * * root false\n")
    (folder / "sub").mkdir()
    answer = take(to, folder)
    assert answer.code == 0
    assert f"skipped: {folder}/b.dpkg-old: an editor's" in answer.out
    assert f"skipped: {folder}/sub: a folder\n" in answer.out
    assert f"{folder}/c.d: warning: Debian's cron passes over" in answer.out
    assert sorted(path.name for path in to.iterdir()) == ["a", "c.d"]
    assert "#: user-column\n" in (to / "a").read_text()


def test_names_of_jobs_that_are_there_already_are_not_given_again(tmp_path: Path, to: Path) -> None:
    put(to, "old", "#: name=a\n" + GOOD)
    answer = take(to, put(tmp_path, "anacrontab", "1 5 a true\n"), put(tmp_path, "x", "#: name=a-2\n" + GOOD))
    assert "#: name=a-2\n" in (to / "anacrontab").read_text()
    assert "a job named a-2 is already there" in answer.out


def test_two_files_of_one_name_become_two(tmp_path: Path, to: Path) -> None:
    assert take(to, put(tmp_path / "1", "x", GOOD), put(tmp_path / "2", "x", GOOD)).code == 0
    assert sorted(path.name for path in to.iterdir()) == ["x", "x-2"]
    assert call("check", "--trust-jobs", "--jobs", str(to)).code == 0


def test_a_folder_of_units_is_read_with_services_and_drop_ins(tmp_path: Path, to: Path) -> None:
    units = tmp_path / "units"
    put(units, "a.timer", "[Timer]\nOnCalendar=daily\n")
    put(units, "a.service", "[Service]\nExecStart=/bin/true\n", 0o600)
    put(units / "a.timer.d", "10.conf", "[Timer]\nOnCalendar=12:00\n")
    put(units / "a.timer.d", "README", "no\n")
    put(units, "b@.timer", "[Timer]\nOnCalendar=daily\n")
    put(units, "b@.service", "[Service]\nExecStart=/bin/echo %i\n")
    (units / "b@c.timer").symlink_to("b@.timer")
    (units / "d.timer").symlink_to("/dev/null")
    put(units, "e.timer", "[Timer]\nOnCalendar=daily\n")
    answer = take(to, units)
    assert answer.code == 65
    assert "skipped: b@.timer: a template" in answer.out
    assert "skipped: d.timer: masked" in answer.out
    assert "its service e.service is not to be found" in answer.out
    assert "0 12 * * * /bin/true" in (to / "a").read_text()
    assert (to / "a").stat().st_mode & 0o777 == 0o600
    assert "0 0 * * * /bin/echo c\n" in (to / "b-c").read_text()


def test_one_timer_can_be_named(tmp_path: Path, to: Path) -> None:
    assert take(to, CASES / "systemd" / "dpkg-db-backup.timer").code == 0
    assert "0 0 * * * /usr/libexec/dpkg/dpkg-db-backup\n" in (to / "dpkg-db-backup").read_text()
    answer = take(to, "--from", "systemd", CASES / "anacrontab")
    assert (answer.code, "this is no timer" in answer.out) == (66, True)


def test_a_yacron_folder_is_read_but_for_what_is_no_yaml(tmp_path: Path, to: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    folder = tmp_path / "yacron.d"
    put(folder, "a.yaml", "jobs:\n- {name: a, command: x, schedule: '@daily'}\n")
    put(folder, "b.yaml", "jobs: [\n")
    put(folder, "README", "no\n")
    answer = take(to, folder)
    assert answer.code == 65
    assert "skipped:" in answer.out
    assert f"{folder}/b.yaml: error: line 2:" in answer.out
    assert (to / "a.yaml").exists()


@pytest.fixture
def standard_input() -> Iterator[io.BytesIO]:
    kept, held = sys.stdin, io.BytesIO()
    sys.stdin = io.TextIOWrapper(held)
    yield held
    sys.stdin = kept


def test_a_dash_is_standard_input(to: Path, standard_input: io.BytesIO) -> None:
    standard_input.write(GOOD.encode() + b"6 4 * * * \xff\n")
    standard_input.seek(0)
    assert take(to, "-").code == 0
    assert (to / "imported").read_bytes().endswith(b"6 4 * * * \xff\n")
    assert (to / "imported").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--from", "fcron", "x"], 2, "--from 'fcron' is none of"),
        (["--from", "yacron"], 2, "where is yacron's file?"),
        (["--from", "systemd", "-"], 2, "units can't be read from standard input"),
        (["/etc/cron.daily"], 2, "holds scripts"),
        (["/dev/null"], 66, "nothing to take over"),
        (["/no/such/file"], 66, "nothing to take over"),
    ],
)
def test_what_cannot_be_is_said_with_the_way_out(to: Path, words: list[str], code: int, said: str) -> None:
    answer = take(to, *words)
    assert (answer.code, said in answer.err, "try: " in answer.err) == (code, True, True)
    assert not to.exists()


def test_one_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, to: Path) -> None:
    answer = take(to, tmp_path / "gone", put(tmp_path, "mine", GOOD))
    assert answer.code == 65
    assert f"{tmp_path}/gone: error: it can't be read: No such file" in answer.out
    assert (to / "mine").exists()

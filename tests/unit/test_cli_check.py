"""`runjobs check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.calling import call

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "#: name=good\n15 3 * * * true\n"
BAD = "75 3 * * * true\n5 25 * * * true\n"
SURPRISING = "#: name=odd\n*/45 3 * * * true\n"


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs.d"
    folder.mkdir()
    return folder


def check(jobs: Path, *words: str) -> tuple[int, str, str]:
    return call("check", "--jobs", str(jobs), "--trust-jobs", *words)


def test_all_well_is_one_sum_and_exit_0(jobs: Path) -> None:
    (jobs / "a").write_text(GOOD)
    assert check(jobs) == (0, f"jobs: {jobs} (chosen by --jobs)\n1 file, 1 job, 0 errors, 0 warnings\n", "")


def test_every_mistake_of_every_file_is_shown_at_once(jobs: Path) -> None:
    (jobs / "b").write_text(BAD)
    (jobs / "a").write_text(GOOD + BAD)
    code, out, _ = check(jobs)
    assert code == 78
    places = [line.split(": error:")[0] for line in out.splitlines() if ": error:" in line]
    assert places == [f"{jobs}/a:3:1", f"{jobs}/a:4:3", f"{jobs}/b:1:1", f"{jobs}/b:2:3"]
    assert out.endswith("2 files, 1 job, 4 errors, 0 warnings\n")


def test_two_jobs_of_one_name_show_both_places(jobs: Path) -> None:
    (jobs / "a").write_text(GOOD)
    (jobs / "b").write_text(GOOD)
    code, out, _ = check(jobs)
    assert code == 78
    assert f"{jobs}/b:2" in out
    assert f"see: {jobs}/a:2" in out


def test_a_skipped_file_is_named_with_the_reason(jobs: Path) -> None:
    (jobs / "a~").write_text(BAD)
    (jobs / ".hidden").write_text(BAD)
    code, out, _ = check(jobs)
    assert code == 0
    assert f"skipped: {jobs}/.hidden: hidden\n" in out
    assert f"skipped: {jobs}/a~: an editor's" in out


def test_a_warning_alone_is_no_error_unless_strict(jobs: Path) -> None:
    (jobs / "a").write_text(SURPRISING)
    code, out, _ = check(jobs)
    assert code == 0
    assert ": warning: */45" in out
    assert "0 errors, 1 warning\n" in out
    assert check(jobs, "--strict")[0] == 78


def test_a_command_that_is_not_there_is_a_warning(jobs: Path) -> None:
    (jobs / "a").write_text("15 3 * * * /no/such/command --all\n16 3 * * * bin/ours\n")
    _, out, _ = check(jobs)
    assert f"{jobs}/a:1:12: warning: there is no command /no/such/command" in out
    assert "bin/ours" not in out


def test_no_jobs_path_at_all_says_so(tmp_path: Path) -> None:
    code, out, _ = check(tmp_path / "none")
    assert code == 78
    assert f"{tmp_path}/none: error: " in out
    assert "  try: " in out


def test_json_holds_all_that_people_are_shown(jobs: Path) -> None:
    (jobs / "a").write_text(GOOD + BAD)
    (jobs / "b").write_text(GOOD)
    (jobs / "c~").write_text("")
    answer = call("check", "--jobs", str(jobs), "--trust-jobs", "--json")
    assert answer.code == 78
    found = answer.json
    assert (found["paths"], found["chosen_by"]) == ([str(jobs)], "--jobs")
    assert (found["jobs"], found["errors"], found["warnings"]) == (1, 3, 0)
    assert found["files"] == [f"{jobs}/a", f"{jobs}/b"]
    assert found["skipped"][0]["path"] == f"{jobs}/c~"
    first, *_, last = found["problems"]
    assert (first["severity"], first["line"], first["column"], first["width"]) == ("error", 3, 1, 2)
    assert first["text"] == "75 3 * * * true"
    assert last["other"]["source"] == f"{jobs}/a"


def test_job_text_reaches_a_terminal_as_text(jobs: Path) -> None:
    (jobs / "a").write_text("75 3 * * * echo '[red]\x1b[2J'\n")
    out = call("check", "--jobs", str(jobs), "--trust-jobs", terminal=True).out
    assert r"echo '[red]\x1b[2J'" in out
    assert "\x1b[2J" not in out

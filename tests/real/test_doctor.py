"""`runjobs doctor`: it finds what is wrong, says how to mend it, and changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.support.command_line import SILENT, Place, environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place where a pass has run one job."""
    place = Place(tmp_path)
    place.write("jobs", f"#: defaults cwd={tmp_path}\n#: name=good\n* * * * * true\n")
    assert place.call("run").returncode == 0
    return place


def examine(place: Place) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings by their areas."""
    ended = place.call("doctor", "--json")
    assert ended.stderr == ""
    areas: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(ended.stdout)["findings"]:
        areas.setdefault(finding["area"], []).append(finding)
    return ended.returncode, areas


def levels(findings: list[dict[str, Any]]) -> list[str]:
    return [finding["level"] for finding in findings]


def snapshot(place: Place) -> dict[str, tuple[int, int, bytes]]:
    """Every file of the state folder: mode, time of its last change, contents."""
    files = [path for path in place.state.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_where_all_is_well_it_says_so_and_changes_nothing(place: Place) -> None:
    before = snapshot(place)
    code, areas = examine(place)
    assert code == 0
    for area in ("jobs", "state", "disk", "ledger", "runs", "runner", "zones", "versions"):
        assert levels(areas[area]) == ["ok"], area
    assert {"clock", "cgroup", "limits"} <= areas.keys() | {"clock"}
    assert snapshot(place) == before


def test_a_folder_that_is_not_there_is_no_problem_and_is_not_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("jobs", "* * * * * true\n")
    code, areas = examine(place)
    assert code == 0
    assert levels(areas["state"]) == ["note"]
    assert not place.state.exists()


def test_a_damaged_page_that_no_pass_would_read_is_found(place: Place) -> None:
    path = place.state / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as reading:
        ((page,),) = reading.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs_of_fire'").fetchall()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    code, areas = examine(place)
    assert code == 1
    assert levels(areas["ledger"]) == ["problem"]
    assert areas["ledger"][0]["hint"]


def test_a_ledger_that_was_set_aside_is_mentioned(place: Place) -> None:
    (place.state / "ledger.sqlite3").write_bytes(b"not a database\n" * 400)
    assert "set aside" in place.call("run").stderr
    code, areas = examine(place)
    assert code == 0
    assert levels(areas["ledger"]) == ["note", "ok"]


def test_a_newer_ledger_is_a_problem(place: Place) -> None:
    with closing(sqlite3.connect(place.state / "ledger.sqlite3")) as newer:
        newer.execute("PRAGMA user_version = 999")
    code, areas = examine(place)
    assert (code, levels(areas["ledger"])) == (1, ["problem"])


def test_mistakes_in_jobs_files_are_counted_and_check_is_named(place: Place) -> None:
    place.write("more", "61 * * * * true\n99 * * * * true\n")
    code, areas = examine(place)
    assert code == 1
    assert areas["jobs"][0]["message"].startswith("2 errors")
    assert areas["jobs"][0]["hint"] == "runjobs check"


def test_a_folder_that_others_can_write_comes_with_the_command_that_mends_it(place: Place) -> None:
    place.state.chmod(0o777)
    code, areas = examine(place)
    assert (code, areas["state"][0]["level"]) == (1, "problem")
    subprocess.run(areas["state"][0]["hint"], shell=True, check=True)
    assert examine(place)[0] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root is refused")
def test_a_folder_above_that_others_can_write_is_a_note_with_the_command_that_mends_it(place: Place) -> None:
    place.root.chmod(0o777)
    _, areas = examine(place)
    assert levels(areas["state"]) == ["ok", "note"]
    assert f"others can write the folder {place.root} above the state folder" in areas["state"][1]["message"]
    subprocess.run(areas["state"][1]["hint"], shell=True, check=True)
    assert levels(examine(place)[1]["state"]) == ["ok"]


def test_a_run_whose_guard_died_and_a_mark_in_the_future_are_told(place: Place) -> None:
    with closing(sqlite3.connect(place.state / "ledger.sqlite3")) as writing, writing:
        writing.execute("UPDATE runs SET state = 'running'")
        writing.execute("UPDATE marks SET watermark = watermark + 86400000")
    code, areas = examine(place)
    assert code == 0
    assert "guard is dead" in areas["runs"][0]["message"]
    assert any("clock was set back" in finding["message"] for finding in areas["clock"])


def test_a_process_that_outlived_its_run_is_named_with_its_pid(place: Place) -> None:
    with closing(sqlite3.connect(place.state / "ledger.sqlite3")) as reading:
        ((run,),) = reading.execute("SELECT id FROM runs").fetchall()
    with subprocess.Popen(["sleep", "60"], env=environment(RUNJOBS_RUN_ID=run), stdin=SILENT) as left:
        try:
            _, areas = examine(place)
        finally:
            left.kill()
    assert f"sleep (pid {left.pid})" in areas["runs"][0]["message"]


def test_a_log_that_belongs_to_no_run_is_told(place: Place) -> None:
    (place.state / "logs" / "gone").mkdir()
    (place.state / "logs" / "gone" / "35789c25383.log").write_text("what was said")
    _, areas = examine(place)
    assert "1 log files belong to no run" in areas["logs"][0]["message"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_strangers_folder_is_a_problem(place: Place) -> None:
    os.chown(place.state, 4711, 4711)
    code, areas = examine(place)
    assert (code, areas["state"][0]["level"]) == (1, "problem")


def test_people_get_a_line_each_and_the_way_out_below(place: Place) -> None:
    place.write("more", "61 * * * * true\n")
    ended = place.call("doctor")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("jobs      problem  1 error in ")
    assert lines[1].strip() == "try: runjobs check"
    assert lines[-1].startswith("1 problem, ")

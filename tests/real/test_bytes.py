"""Names on disk are bytes: those that are not UTF-8 stop no runner, and what ran there is on record like all else."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import SILENT, Place, environment
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from pathlib import Path

ODD = os.fsdecode(b"caf\xe9")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def ends(place: Place, job: str) -> list[tuple[str, str]]:
    return [(row["outcome"], row["detail"]) for row in ledger.runs(place.state, job)]


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b"#: name=odd cwd=/nowhere/caf\xe9\n* * * * * true\n", r"/nowhere/caf\xe9: No such file or directory"),
        (b"SHELL=/bin/caf\xe9\n#: name=odd\n* * * * * true\n", r"/bin/caf\xe9: No such file or directory"),
    ],
)
def test_a_run_that_ended_over_such_a_path_is_recorded_and_the_next_runners_go_on(
    place: Place, line: bytes, detail: str
) -> None:
    place.write("odd", line)
    ended = place.call("run", "odd")
    assert ended.returncode == 126, ended.stderr
    assert ends(place, "odd") == [("error", detail)]
    assert place.call("run").returncode in {0, 1}  # it may be due
    assert {fact["detail"] for fact in json.loads(place.call("history", "--json", "odd").stdout)["fires"]} == {detail}


def test_a_once_asked_for_in_a_folder_that_is_gone_by_then_ends_and_the_next_pass_goes_on(place: Place) -> None:
    place.write("none", "")
    folder = place.root / ODD
    folder.mkdir()
    words = place.command("at", "in 1s", "--", "true")
    asked = subprocess.run(words, env=environment(), cwd=folder, stdin=SILENT, capture_output=True, check=False)
    assert asked.returncode == 0, asked.stderr
    folder.rmdir()
    assert wait_until(lambda: bool(place.call("run").returncode))
    assert ends(place, "at/1") == [("error", rf"{place.root}/caf\xe9: No such file or directory")]
    assert place.call("run").returncode == 0


def test_watched_paths_a_pause_and_a_state_folder_of_such_names_are_as_good_as_others(tmp_path: Path) -> None:
    (tmp_path / ODD).mkdir()
    place = Place(tmp_path / ODD)
    watched = os.fsencode(place.root) + b"/seen\xff"
    options = b"#: name=odd settle=100ms cwd=" + os.fsencode(place.root)
    place.write("odd", options + b"\n@watch " + watched + b" -- touch fired\n")
    assert place.call("run").returncode == 0
    assert place.call("pause", "odd", "--reason", ODD).returncode == 0
    assert r"caf\xe9" in place.call("status").stdout
    assert place.call("resume", "odd").returncode == 0
    with open(watched, "wb"):
        pass
    assert wait_until(lambda: place.call("run").returncode == 0 and (place.root / "fired").exists())
    assert ends(place, "odd") == [("ok", "")]
    assert place.call("run").returncode == 0
    assert len(ends(place, "odd")) == 1

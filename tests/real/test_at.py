"""`runjobs at`: whichever runner is there runs it, once. And over restarts, what else has no fields of time."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.support import ledger, namespaces
from tests.real.support.command_line import ROOT, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOON = 30  # seconds; by itself a foreground looks once a minute
EVERY = "#: name=often start-within=1m\n@every 2s true\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        stage.place.write("none", "")
        yield stage


def at(stage: Stage, *words: str, script: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Call `runjobs at` in the folder of the stage."""
    return subprocess.run(
        stage.place.command("at", *words), env=environment(STAGE=str(stage.root), **more), input=script,
        cwd=stage.root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def planned(stage: Stage) -> list[str]:
    found = json.loads(at(stage, "--list", "--json").stdout)["onces"]
    return [each["job"] for each in found]


def fires(stage: Stage, job: str) -> list[tuple[Any, ...]]:
    return [
        (fire["trigger"], fire["outcome"], fire["reason"])
        for fire in ledger.fires(stage.place.state)
        if fire["job"] == job
    ]


def test_a_pass_runs_what_is_due_once_where_and_as_it_was_asked_for(stage: Stage) -> None:
    script = "echo $GIVEN:$RUNJOBS_STATE:$RUNJOBS_JOB > made; umask > mask; pwd > folder"
    asked = subprocess.run(
        ["sh", "-c", 'umask 027; exec "$@"', "sh", *stage.place.command("at", "now", "--", script)],
        env=environment(STAGE=str(stage.root), GIVEN="a b", RUNJOBS_STATE="/nowhere"),
        cwd=stage.root, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "no runner is there" in asked.stderr
    assert stage.place.call("run").returncode == 0
    assert (stage.root / "made").read_text() == "a b::at/1\n"
    assert (stage.root / "mask").read_text() == "0027\n"
    assert (stage.root / "folder").read_text() == f"{os.path.realpath(stage.root)}\n"
    assert (stage.root / "made").stat().st_mode & 0o777 == 0o640
    assert stage.place.call("run").returncode == 0
    assert fires(stage, "at/1") == [("once", "ok", "")]
    assert planned(stage) == []


def test_what_it_says_is_in_its_log_and_its_failure_is_told_under_its_name(stage: Stage) -> None:
    at(stage, "now", "--name", "report", "--set", "retries=1", "--set", "retry-delay=1s", "--", "echo no luck; exit 3")
    told = stage.place.call("run")
    assert told.returncode == 1
    assert "at/report" in told.stderr
    assert [run["exit_code"] for run in ledger.runs(stage.place.state)] == [3, 3]
    assert stage.place.call("logs", "at/report").stdout == "no luck\n"
    assert "exit code 3" in stage.place.call("why", "at/report").stdout
    assert "at/report" in stage.place.call("history").stdout
    assert planned(stage) == []


def test_the_script_may_come_by_standard_input(stage: Stage) -> None:
    at(stage, "now", script="cd /\npwd > $STAGE/made\n")
    stage.place.call("run")
    assert (stage.root / "made").read_text() == "/\n"


def test_words_are_given_to_the_command_as_they_are(stage: Stage) -> None:
    at(stage, "now", "--", sys.executable, "-c", "import sys; print(sys.argv[1:])", "a  b", "$HOME", "*")
    stage.place.call("run")
    assert stage.place.call("logs", "at/1").stdout == "['a  b', '$HOME', '*']\n"


def test_a_foreground_that_sleeps_learns_of_it_at_once_and_of_its_removal_too(stage: Stage) -> None:
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        assert wait_until((stage.place.state / "runner.pid").exists)
        asked = at(stage, "now", "--", "touch done")
        assert asked.stderr == ""
        assert wait_until((stage.root / "done").exists, SOON)
        assert stage.heard("ended", job="at/1", outcome="ok")
        at(stage, "in 3 seconds", "--", "touch first")
        at(stage, "in 2 seconds", "--", "touch never")
        assert at(stage, "--remove", "3").returncode == 0
        assert stage.exists("first")
        runner.terminate()
        assert runner.wait(60) == 0
    assert not (stage.root / "never").exists()
    assert (fires(stage, "at/3"), planned(stage)) == ([], [])


def test_with_no_runner_it_is_kept_and_runs_late_by_the_next_one(stage: Stage) -> None:
    at(stage, "now", "--set", "start-within=1s", "--", "touch done")
    (once,) = json.loads(at(stage, "--list", "--json").stdout)["onces"]
    due = datetime.fromisoformat(once["at"])
    assert wait_until(lambda: datetime.now(UTC) - due > timedelta(seconds=2))
    with stage.foreground():
        assert stage.exists("done")
        assert stage.heard("ended", job="at/1", outcome="ok")
    assert fires(stage, "at/1") == [("once", "ok", "")]


def test_of_several_runners_at_once_one_runs_it(stage: Stage) -> None:
    at(stage, "now", "--", "echo ran >> made")
    with stage.foreground(), stage.start() as one, stage.start() as other:
        assert (one.wait(60), other.wait(60)) == (0, 0)
        assert stage.exists("made")
        assert wait_until(lambda: not planned(stage))
    assert (stage.root / "made").read_text() == "ran\n"
    assert fires(stage, "at/1") == [("once", "ok", "")]


def test_where_its_lock_is_held_it_runs_late_rather_than_never(stage: Stage) -> None:
    stage.jobs("#: name=long lock=db\n@daily touch begun; while ! test -e off; do sleep 0.1; done\n")
    long = stage.start("long")
    assert stage.exists("begun")
    with stage.foreground():
        assert stage.heard("runner-started")
        at(stage, "now", "--set", "lock=db", "--", "touch done")
        assert stage.heard("waiting", job="at/1")
        (stage.root / "off").touch()
        assert stage.exists("done")
        assert stage.heard("ended", job="at/1", outcome="ok")
    assert long.wait(60) == 0
    assert fires(stage, "at/1") == [("once", "ok", "")]


def test_claimed_by_a_runner_that_died_it_is_started_by_the_next_one_with_all_it_had(stage: Stage) -> None:
    at(stage, "now", "--", "echo $GIVEN > made", GIVEN="kept")
    with closing(sqlite3.connect(stage.place.state / "ledger.sqlite3")) as writing, writing:
        writing.execute(
            "INSERT INTO fires(job, trigger, key, scheduled_at, last_at, state, runner, runner_lock)"
            " SELECT job, 'once', at, at, at, 'claimed', 'pass-1-dead', '/nowhere/runner' FROM onces"
        )
    assert stage.place.call("run").returncode == 0
    assert (stage.root / "made").read_text() == "kept\n"
    assert (fires(stage, "at/1"), planned(stage)) == ([("once", "ok", "")], [])


def test_a_run_of_it_that_was_cut_short_is_run_again_with_all_it_had_where_that_is_wanted(stage: Stage) -> None:
    script = 'echo "$GIVEN" >> made; test $RUNJOBS_ATTEMPT = 2 || exec sleep 1000'
    at(stage, "now", "--set", "on-interrupt=rerun", "--", script, GIVEN="kept")
    with stage.start():
        assert stage.exists("made")
        (run,) = ledger.runs(stage.place.state)
        assert wait_until(lambda: bool(ledger.runs(stage.place.state)[0]["guard_pid"]))
        stage.clear()  # runner, guard and job: as a crash of the machine leaves it
    assert planned(stage) == ["at/1"]
    assert stage.place.call("run").returncode == 0
    assert (stage.root / "made").read_text() == "kept\nkept\n"
    assert [each["outcome"] for each in ledger.runs(stage.place.state)] == ["interrupted", "ok"]
    assert run["id"] == ledger.runs(stage.place.state)[0]["id"]
    assert planned(stage) == []


def test_a_person_may_run_it_before_its_time_and_it_stays_planned(stage: Stage) -> None:
    at(stage, "in 1h", "--", "echo now")
    assert stage.place.call("run", "at/1").stdout == "now\n"
    assert (fires(stage, "at/1"), planned(stage)) == ([("manual", "ok", "")], ["at/1"])


def test_while_it_runs_it_is_stopped_as_any_job_and_not_removed(stage: Stage) -> None:
    at(stage, "now", "--", "touch begun; exec sleep 1000")
    with stage.start() as runner:
        assert stage.exists("begun")
        refused = at(stage, "--remove", "1")
        assert (refused.returncode, "runjobs stop at/1" in refused.stderr) == (2, True)
        assert stage.place.call("stop", "at/1").returncode == 0
        runner.wait(60)
    assert fires(stage, "at/1") == [("once", "stopped", "person")]
    assert planned(stage) == []


def test_nobody_but_its_owner_can_read_what_is_kept(stage: Stage) -> None:
    at(stage, "in 1h", "--", "true", TOKEN="s3cr3t")
    assert {path.stat().st_mode & 0o077 for path in [stage.place.state, *stage.place.state.glob("ledger*")]} == {0}
    for verb in ("status", "history", "why"):
        words = ["at/1"] if verb == "why" else []
        assert "s3cr3t" not in stage.place.call(verb, *words, "--json").stdout


def test_a_pass_writes_nothing_while_the_time_has_not_come(stage: Stage) -> None:
    at(stage, "in 1h", "--", "true")
    stage.place.call("run")
    before = {path.name: path.stat().st_mtime_ns for path in stage.place.state.iterdir()}
    assert stage.place.call("run").returncode == 0
    assert {path.name: path.stat().st_mtime_ns for path in stage.place.state.iterdir()} == before


# what else fires without fields of time


def times(stage: Stage, job: str) -> list[int]:
    return [fire["scheduled_at"] for fire in ledger.fires(stage.place.state) if fire["job"] == job]


def has_more(stage: Stage, number: int) -> bool:
    return len(times(stage, "often")) > number


def has_lines(path: Path, number: int) -> bool:
    return path.exists() and len(path.read_text().splitlines()) == number


def test_every_keeps_its_multiples_over_kills_and_restarts_of_its_runner(stage: Stage) -> None:
    stage.jobs(EVERY)
    for _ in range(3):
        already = len(times(stage, "often"))
        with stage.foreground() as runner:
            assert wait_until(partial(has_more, stage, already))
            runner.kill()
    found = times(stage, "often")
    assert all(each % 2000 == 0 for each in found)
    assert len(found) == len(set(found))


def test_reboot_fires_once_for_each_start_of_the_machine_however_often_its_runner_is_restarted(stage: Stage) -> None:
    stage.jobs("#: name=boot start-within=366d\n@reboot echo boot >> boots\n")
    for _ in range(2):
        stage.place.call("run")
        with stage.foreground() as runner:
            assert stage.heard("runner-started")
            runner.kill()
    assert (stage.root / "boots").read_text() == "boot\n"
    assert [fire["trigger"] for fire in ledger.fires(stage.place.state)] == ["reboot"]


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not() or "they can be made")
def test_reboot_fires_for_each_start_of_a_container_whose_runner_is_pid_1(stage: Stage) -> None:
    stage.jobs("#: name=boot\n@reboot echo boot >> boots\n")
    command = stage.place.command("run", "--foreground")
    for number in (1, 2):
        with subprocess.Popen(
            namespaces.as_pid_1(command), env=environment(), cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as runner:  # fmt: skip
            assert wait_until(partial(has_lines, stage.root / "boots", number))
            runner.send_signal(signal.SIGKILL)
    assert len({fire["key"] for fire in ledger.fires(stage.place.state)}) == 2

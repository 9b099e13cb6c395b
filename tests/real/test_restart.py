"""Restarts: runs outlive their runner, and the next runner shows them, stops them, and learns of their ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from runjobs.core.run import RunEnd
from tests.real.support import ledger, older, restarts
from tests.real.support.command_line import ROOT, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

QUIET = "touch started; until test -e release; do sleep 0.05; done; echo end; exit 7"
STUBBORN = "trap '' TERM; (setsid sleep 1000 &); touch started; while :; do sleep 1; done"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def run_of(stage: Stage) -> sqlite3.Row:
    assert wait_until(lambda: any(run["pid"] for run in ledger.runs(stage.place.state)))
    return min(ledger.runs(stage.place.state), key=lambda run: str(run["id"]))


def left_by_a_runner(stage: Stage, command: str = QUIET, options: str = "") -> sqlite3.Row:
    """The run of a job whose runner was killed; no other fire of it comes."""
    stage.jobs(f"#: name=job {options}\n0 0 29 2 * {command}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run = run_of(stage)
        runner.kill()
    return run


def test_a_new_runner_shows_the_run_that_a_dead_one_started_and_tells_its_end(stage: Stage) -> None:
    run = left_by_a_runner(stage)
    with stage.foreground():
        assert stage.heard("adopted", job="job", run=run["id"], pid=run["guard_pid"])
        (stage.root / "release").touch()
        assert stage.heard("ended", run=run["id"], outcome="failed", exit_code=7, output_bytes=4)
    assert [(each["state"], each["exit_code"]) for each in ledger.runs(stage.place.state)] == [("ended", 7)]
    assert not stage.events("ended", recovered=True)


def test_an_adopted_run_is_told_as_ended_though_its_guard_lives_on_to_read_for_what_it_left(stage: Stage) -> None:
    run = left_by_a_runner(stage, f"sleep 1000 & {QUIET}")
    with stage.foreground():
        assert stage.heard("adopted", run=run["id"])
        (stage.root / "release").touch()
        assert stage.heard("ended", run=run["id"], outcome="failed")
        os.kill(run["guard_pid"], 0)


def test_a_runner_that_is_told_to_stop_stops_what_it_has_adopted(stage: Stage) -> None:
    run = left_by_a_runner(stage, STUBBORN)
    with stage.foreground("--grace", "2s") as runner:
        assert stage.heard("adopted", run=run["id"])
        runner.terminate()
        assert runner.wait(60) == 0
    (ended,) = ledger.runs(stage.place.state)
    assert (ended["outcome"], ended["reason"]) == ("interrupted", "shutdown")
    assert stage.heard("ended", run=run["id"], reason="shutdown")
    assert stage.events("runner-stopped")[0]["left"] == 0
    assert stage.members() == []


def test_a_runner_that_leaves_its_runs_leaves_the_adopted_too(stage: Stage) -> None:
    run = left_by_a_runner(stage)
    with stage.foreground("--on-stop", "leave") as runner:
        assert stage.heard("adopted", run=run["id"])
        runner.terminate()
        assert runner.wait(60) == 0
    assert stage.events("runner-stopped")[0]["left"] == 1
    (stage.root / "release").touch()
    assert wait_until(lambda: run_of(stage)["state"] == "ended")
    assert run_of(stage)["exit_code"] == 7


def test_the_death_of_an_adopted_guard_is_noticed_at_once_and_its_job_is_ended(stage: Stage) -> None:
    run = left_by_a_runner(stage, f"sleep 1000 & {QUIET}")
    with stage.foreground():
        assert stage.heard("adopted", run=run["id"])
        os.kill(run["guard_pid"], signal.SIGKILL)
        assert stage.heard("ended", run=run["id"], outcome="interrupted", reason="guard-died")
        (stage.root / "release").touch()  # nobody is there to see it
        assert wait_until(lambda: len(stage.members()) == 1)


def test_the_retry_of_a_run_that_outlived_its_runner_is_started_by_the_next_one(stage: Stage) -> None:
    command = "echo $RUNJOBS_ATTEMPT >>attempts; " + QUIET
    stage.jobs(f"#: name=job retries=1 retry-delay=0s\n@every 1s {command}\n")
    with stage.foreground() as runner:
        assert stage.exists("started")
        run = run_of(stage)
        runner.kill()
    stage.jobs(f"#: name=job retries=1 retry-delay=0s\n0 0 29 2 * {command}\n")
    with stage.foreground():
        assert stage.heard("adopted", run=run["id"])
        (stage.root / "release").touch()
        assert wait_until(lambda: [row["attempt"] for row in ledger.runs(stage.place.state)] == [1, 2])
        assert wait_until(lambda: all(row["state"] == "ended" for row in ledger.runs(stage.place.state)))
    assert (stage.root / "attempts").read_text().split() == ["1", "2"]
    assert [(fire["state"], fire["outcome"]) for fire in ledger.fires(stage.place.state)] == [("ended", "failed")]


def test_the_run_of_a_living_runner_is_left_to_it_and_adopted_once_that_runner_is_dead(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {QUIET}\n#: name=beat\n@every 1s true\n")
    with stage.start("job") as other, stage.foreground():
        assert stage.exists("started")
        run = run_of(stage)
        assert wait_until(lambda: len(stage.events("ended", job="beat")) > 1)
        assert not stage.events("adopted")
        other.kill()
        assert stage.heard("adopted", run=run["id"])


def test_twenty_restarts_under_load_lose_no_fire_and_no_exit_code(stage: Stage) -> None:
    restarts.write_jobs(stage, restarts.SHORT)
    restarts.restart(stage, 20, seed=7)
    assert restarts.judge(stage, restarts.SHORT) == []
    assert len(ledger.runs(stage.place.state)) > 20  # there was a load


NOTED = {"run_id": "run-noted", "outcome": "failed", "reason": "exit", "detail": "exit code 4", "exit_code": 4}
NOW = round(time.time() * 1000)


def test_what_the_version_before_left_open_is_settled_as_its_guards_noted_it(stage: Stage) -> None:
    stage.jobs("#: name=job\n0 0 29 2 * touch claimed\n")
    stage.place.state.mkdir(mode=0o700)
    fire = {"job": "job", "trigger": "schedule", "scheduled_at": NOW, "last_at": NOW, "runner": "pass-1-x"}
    fires = [
        {**fire, "id": number, "key": str(number), "state": state, "runner_lock": "/moved/locks/runner"}
        for number, state in ((1, "running"), (2, "running"), (3, "claimed"))
    ]
    run = {
        "attempt": 1,
        "state": "running",
        "log": "",
        "pid": 1,
        "start_time": 1,
        "pid_namespace": 1,
        "started_at": NOW,
    }
    noted = {**run, "id": "run-noted", "fire": 1, "lock": "/moved/locks/job.noted", "boot_id": "earlier"}
    older.write_ledger(
        stage.place.state,
        fires=fires,
        runs=[noted, {**run, "id": "run-lost", "fire": 2, "lock": "/moved/locks/job.lost", "boot_id": "earlier"}],
    )
    older.write_lock(stage.place.state / "locks" / "job.noted", {"run": "run-noted", "pid": 1, "end": NOTED})
    assert stage.place.call("run").returncode == 1
    rows = {row["id"]: (row["outcome"], row["reason"], row["exit_code"]) for row in ledger.runs(stage.place.state)}
    found = {name: row for name, row in rows.items() if name.startswith("run-")}
    assert found == {"run-noted": ("failed", "exit", 4), "run-lost": ("interrupted", "reboot", None)}
    assert [fire["outcome"] for fire in ledger.fires(stage.place.state)] == ["failed", "interrupted", "ok"]
    assert (stage.root / "claimed").exists()


def test_a_guard_records_into_a_ledger_that_is_led_to_a_new_version_meanwhile(stage: Stage) -> None:
    run = left_by_a_runner(stage)
    state = stage.place.state
    older.write_ledger(state, fires=ledger.fires(state), runs=ledger.runs(state))
    (stage.root / "release").touch()
    assert wait_until(lambda: run_of(stage)["state"] == "ended")
    (ended,) = ledger.runs(state)
    assert (ended["id"], ended["outcome"], ended["exit_code"]) == (run["id"], "failed", 7)
    assert ledger.fires(state)[0]["outcome"] == "failed"


def test_a_runner_that_leads_the_ledger_to_a_new_version_adopts_what_the_old_one_started(stage: Stage) -> None:
    run = left_by_a_runner(stage)
    state = stage.place.state
    older.write_ledger(state, fires=ledger.fires(state), runs=ledger.runs(state))
    with stage.foreground():
        assert stage.heard("adopted", run=run["id"])
        (stage.root / "release").touch()
        assert stage.heard("ended", run=run["id"], exit_code=7)


def test_an_end_as_the_version_before_tells_it_is_recorded(stage: Stage) -> None:
    run = left_by_a_runner(stage)
    facts = RunEnd(run["id"], "failed", "exit", "exit code 3", exit_code=3, ended_at=1.8e9)._asdict()
    del facts["again_at"]
    command = [sys.executable, "-m", "runjobs.record", str(stage.place.state / "ledger.sqlite3")]
    told = subprocess.run(command, input=json.dumps(facts).encode(), env=environment(), timeout=60, check=False)
    assert told.returncode == 0
    assert (run_of(stage)["outcome"], run_of(stage)["exit_code"]) == ("failed", 3)


def test_a_guard_ends_well_though_its_program_was_replaced_under_it(stage: Stage) -> None:
    stage.jobs(f"#: name=job timeout=1h\n0 0 29 2 * {QUIET}\n")
    library = stage.root / "lib"
    shutil.copytree(ROOT / "runjobs", library / "runjobs", ignore=shutil.ignore_patterns("__pycache__"))
    with (stage.root / "err").open("ab") as err:
        command, around = stage.place.command("run", "job"), environment(PYTHONPATH=str(library))
        runner = subprocess.Popen(command, env=around, cwd="/", stdin=subprocess.DEVNULL, stderr=err)
    assert stage.exists("started")
    run = run_of(stage)
    runner.kill()
    runner.wait(60)
    shutil.rmtree(library / "runjobs")
    shutil.copytree(ROOT / "runjobs", library / "runjobs", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("guard/life.py", "guard/account.py", "core/outcome.py", "adapters/joblog.py"):
        with (library / "runjobs" / name).open("a") as file:
            file.write("\nfrom pathlib import Path\nPath(__file__ + '.loaded').touch()\n")
    (stage.root / "release").touch()
    assert wait_until(lambda: run_of(stage)["state"] == "ended")
    assert (run_of(stage)["id"], run_of(stage)["exit_code"]) == (run["id"], 7)
    assert wait_until(lambda: not stage.members())
    loaded = {path.name for path in library.rglob("*.loaded")}
    assert "outcome.py.loaded" in loaded  # the end was recorded by the new program,
    assert "life.py.loaded" not in loaded  # and the guard has loaded nothing of it

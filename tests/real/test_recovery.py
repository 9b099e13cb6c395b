"""Runners and guards that are killed: nothing is lost, nothing is started twice, nothing is left behind."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters import locks
from runjobs.adapters.ledger import Beginning
from runjobs.core.fire import Fire, Trigger
from runjobs.core.run import ProcessId, RunEnd, Start, Unended
from runjobs.guard import Passthrough
from runjobs.runner import recovery, succession
from runjobs.runner.crew import Member
from runjobs.runner.engine import Engine, Manner
from runjobs.settings import resolve
from runjobs.wiring import open_state
from tests.real.support import freezing, ledger, namespaces
from tests.real.support.command_line import environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in
from tests.support.jobs import job_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.core.event import Event

# a job that works until it is let go, and of which some try to escape; its later runs only leave a mark
WORK = (
    "echo $RUNJOBS_RUN_ID >>runs; test -e first && exit 0; touch first; "
    "sleep 1000 & (setsid sleep 1000 &) ; (setsid sh -c 'trap \"\" TERM; sleep 1000; :' &) ; touch started; "
    "until test -e release; do sleep 0.05; done; exit 7"
)
QUIET = "touch started; until test -e release; do sleep 0.05; done; echo end; exit 7"

# a pass that ends at one of its own steps, as if it were killed there
KILLED = """
import os, signal, sys
from runjobs.cli.main import main
from runjobs.runner import engine, start
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
{mend}
main(sys.argv[1:])
"""
CLAIMED = (
    "engine.BATCH = start.BATCH = 0; engine.launch = die"  # what is more than a batch is claimed, and starts later
)
STARTING = "start._fork_all = die"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def run_of(stage: Stage, number: int = 0) -> sqlite3.Row:
    """A run of the stage, oldest first, once its job is known to run."""
    assert wait_until(lambda: any(run["pid"] for run in ledger.runs(stage.place.state)[number:]))
    return sorted(ledger.runs(stage.place.state), key=lambda run: str(run["id"]))[number]


def ends(stage: Stage, job: str = "%") -> list[tuple[str | None, ...]]:
    runs = sorted(ledger.runs(stage.place.state, job), key=lambda run: str(run["id"]))
    return [(run["state"], run["outcome"], run["reason"]) for run in runs]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def killed_at(stage: Stage, step: str, *words: str) -> None:
    """Call a runner that dies at this step."""
    command = [sys.executable, "-c", KILLED.format(mend=step), *stage.place.command("run", *words)[3:]]
    ended = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.parametrize("words", [("--foreground",), ("job",), ()], ids=["foreground", "person", "pass"])
def test_a_guard_whose_runner_was_killed_goes_on_and_records_alone(stage: Stage, words: tuple[str, ...]) -> None:
    stage.jobs(f"#: name=job\n* * * * * {QUIET}\n#: name=every\n@every 1s {QUIET}\n")
    with stage.start(*words) as runner:
        assert stage.exists("started")
        run = run_of(stage)
        kill(runner.pid)
    (stage.root / "release").touch()
    assert wait_until(lambda: {end[0] for end in ends(stage)} == {"ended"})
    assert set(ends(stage)) == {("ended", "failed", "exit")}
    first = run_of(stage)
    assert (first["id"], first["exit_code"], first["output_bytes"]) == (run["id"], 7, 4)
    assert wait_until(lambda: not stage.members())


def test_the_next_runner_takes_a_living_run_of_an_older_one_for_what_it_is(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n@every 1s {QUIET}\n")
    with stage.foreground() as runner:
        assert stage.exists("started")
        kill(runner.pid)
    run = run_of(stage)
    with stage.foreground() as runner:
        assert stage.heard("skipped", job="job")
        assert f"held by run {run['id']} of job (pid {run['guard_pid']})" in stage.events("skipped")[0]["detail"]
        (stage.root / "release").touch()
        assert wait_until(lambda: run_of(stage)["state"] == "ended")
        assert wait_until(lambda: len(ledger.runs(stage.place.state)) >= 2)  # and the next fire starts
    assert ends(stage)[0] == ("ended", "failed", "exit")
    assert not stage.events("ended", run=run["id"], recovered=True)


def test_the_foreground_notices_at_once_that_a_guard_was_killed_and_ends_its_job(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n@every 1s {WORK}\n")
    with stage.foreground() as runner:
        assert stage.exists("started")
        run = run_of(stage)
        kill(run["guard_pid"])
        assert stage.heard("ended", run=run["id"])
        (ended,) = stage.events("ended", run=run["id"])
        assert (ended["outcome"], ended["reason"]) == ("interrupted", "guard-died")
        assert "processes were still there and were killed" in ended["detail"]
        assert wait_until(lambda: len(ledger.runs(stage.place.state)) >= 2)  # the lock is free: the next fire starts
        runner.terminate()
        assert runner.wait(60) == 0
    assert ends(stage)[0] == ("ended", "interrupted", "guard-died")
    assert wait_until(lambda: not stage.members(), 20)


def test_a_person_whose_guard_was_killed_is_told_and_nothing_is_left(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {WORK}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        kill(run_of(stage)["guard_pid"])
        assert runner.wait(60) == 1
    assert "job interrupted: the guard of this run was killed" in stage.err
    assert ends(stage) == [("ended", "interrupted", "guard-died")]
    assert stage.members() == []


def test_a_pass_whose_guard_was_killed_tells_it_as_a_failure(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n* * * * * {WORK}\n")
    with stage.start() as runner:
        assert stage.exists("started")
        kill(run_of(stage)["guard_pid"])
        assert runner.wait(60) == 1
    assert "runjobs: job: interrupted: the guard of this run was killed" in stage.err
    assert stage.members() == []


def test_where_both_were_killed_the_next_pass_ends_what_is_left_and_the_next_fire_starts(stage: Stage) -> None:
    stage.jobs(f"#: name=job lock=database\n@every 1s {WORK}\n")
    with stage.start() as runner:
        assert stage.exists("started")
        run = run_of(stage)
        kill(runner.pid)
        kill(run["guard_pid"])
    assert stage.members()  # nobody has ended the job
    assert wait_until(lambda: stage.place.call("run").returncode is not None and len(ends(stage)) > 1)
    assert ends(stage)[0] == ("ended", "interrupted", "guard-died")
    assert set(ends(stage)[1:]) == {("ended", "ok", "")}
    assert (stage.root / "runs").read_text().split() == [row["id"] for row in ledger.runs(stage.place.state)]
    assert stage.members() == []
    assert "processes were still there and were killed" in run_of(stage)["detail"]


def test_the_pass_that_finds_it_says_so_and_the_one_after_is_silent(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {WORK}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run = run_of(stage)
        kill(runner.pid)
        kill(run["guard_pid"])
    first, second = stage.place.call("run"), stage.place.call("run")
    assert (first.returncode, first.stdout) == (1, "")
    assert "runjobs: job: interrupted: the guard of this run was killed; " in first.stderr
    assert f"(run {run['id']}, found now)" in first.stderr
    assert (second.returncode, second.stderr) == (0, "")
    assert stage.members() == []


def test_an_end_that_only_the_lock_file_knows_is_recorded_by_the_next_pass(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {QUIET}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run = run_of(stage)
        runner.send_signal(signal.SIGSTOP)  # it takes nothing down any more
        (stage.root / "release").touch()
        assert wait_until(lambda: "end" in locks.read(stage.place.state / "locks" / "job.job"))
        kill(run["guard_pid"])
        kill(runner.pid)
    assert ends(stage) == [("running", None, None)]
    ended = stage.place.call("run")
    assert ended.returncode == 1
    assert "job: failed: exit code 7" in ended.stderr
    found = run_of(stage)
    assert ends(stage) == [("ended", "failed", "exit")]
    assert (found["exit_code"], found["output_bytes"]) == (7, 4)
    assert found["ended_at"] > found["started_at"]


def test_a_runner_that_was_suspended_while_its_run_ended_records_it_afterwards(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {QUIET}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run_of(stage)
        runner.send_signal(signal.SIGSTOP)
        (stage.root / "release").touch()
        assert wait_until(lambda: "end" in locks.read(stage.place.state / "locks" / "job.job"))
        runner.send_signal(signal.SIGCONT)
        assert runner.wait(60) == 7
    assert ends(stage) == [("ended", "failed", "exit")]


def test_the_claim_of_a_runner_killed_before_its_start_is_taken_over_and_started_once(stage: Stage) -> None:
    stage.jobs("#: name=job\n* * * * * echo $RUNJOBS_SCHEDULED_AT >>runs\n")
    killed_at(stage, CLAIMED)
    assert [(fire["state"], fire["outcome"]) for fire in ledger.fires(stage.place.state)] == [("claimed", None)]
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stderr) == (0, "")
    fires = ledger.fires(stage.place.state)
    assert {fire["outcome"] for fire in fires} == {"ok"}
    assert len((stage.root / "runs").read_text().split()) == len(fires)


def test_a_claim_that_comes_too_late_to_start_is_missed(stage: Stage) -> None:
    stage.jobs("#: name=job start-within=1s\n@every 1s echo $RUNJOBS_SCHEDULED_AT >>runs\n")
    killed_at(stage, CLAIMED)
    (claimed,) = [fire for fire in ledger.fires(stage.place.state) if fire["state"] == "claimed"]
    assert wait_until(lambda: time.time() * 1000 > claimed["scheduled_at"] + 1000)
    assert stage.place.call("run").returncode == 0
    (fire,) = [fire for fire in ledger.fires(stage.place.state) if fire["id"] == claimed["id"]]
    ran = (stage.root / "runs").read_text().split() if (stage.root / "runs").exists() else []
    assert (fire["state"], fire["outcome"], fire["reason"]) == ("ended", "missed", "down")
    ok = [each for each in ledger.fires(stage.place.state) if each["outcome"] == "ok"]
    assert len(ran) == len(ok)


def test_a_run_whose_runner_was_killed_before_it_forked_the_guard_is_interrupted(stage: Stage) -> None:
    stage.jobs("#: name=job\n* * * * * echo ran >>runs\n")
    killed_at(stage, STARTING)
    assert ends(stage) == [("starting", None, None)]
    ended = stage.place.call("run")
    assert ended.returncode == 1
    assert ends(stage)[0] == ("ended", "interrupted", "guard-died")
    assert [fire["state"] for fire in ledger.fires(stage.place.state)] == ["ended"] * len(ends(stage))


def test_a_persons_call_that_was_killed_before_its_start_is_not_started_by_others(stage: Stage) -> None:
    stage.jobs("#: name=job\n0 0 29 2 * touch ran\n")
    killed_at(stage, CLAIMED, "job")
    stage.place.call("run")
    (fire,) = ledger.fires(stage.place.state)
    assert (fire["state"], fire["outcome"], fire["reason"]) == ("ended", "interrupted", "runner-died")
    assert not (stage.root / "ran").exists()


def test_of_runs_that_overlap_only_the_one_whose_guard_was_killed_is_interrupted(stage: Stage) -> None:
    stage.jobs(f"#: name=job overlap=allow\n0 0 29 2 * touch started.$RUNJOBS_RUN_ID; {QUIET}\n")
    with stage.start("job") as one, stage.start("job") as two:
        assert wait_until(lambda: len(list(stage.root.glob("started.*"))) == 2)
        assert wait_until(lambda: all(run["pid"] for run in ledger.runs(stage.place.state)))
        kill(one.pid)
        kill(two.pid)
        dead, living = ledger.runs(stage.place.state)
        kill(dead["guard_pid"])
    assert dead["lock"] != living["lock"]
    assert stage.place.call("run").returncode == 1
    (stage.root / "release").touch()
    assert wait_until(lambda: {run["state"] for run in ledger.runs(stage.place.state)} == {"ended"})
    found = {run["id"]: (run["outcome"], run["exit_code"]) for run in ledger.runs(stage.place.state)}
    assert found == {dead["id"]: ("interrupted", None), living["id"]: ("failed", 7)}


def test_a_pass_leaves_a_run_alone_whose_guard_lives(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {QUIET}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run_of(stage)
        ended = stage.place.call("run")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ends(stage) == [("running", None, None)]
        (stage.root / "release").touch()
        assert runner.wait(60) == 7


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
def test_reboot_fires_once_per_start_of_the_machine_or_container(stage: Stage) -> None:
    stage.jobs("#: name=boot\n@reboot echo $RUNJOBS_SCHEDULED_AT >>boots\n")
    twice = ["sh", "-c", '"$@" && "$@"', "sh", *stage.place.command("run")]
    for number in (1, 2):
        machine = subprocess.run(
            namespaces.as_pid_1(twice), env=environment(), stdin=subprocess.DEVNULL, timeout=120, check=False
        )
        assert machine.returncode == 0
        assert len((stage.root / "boots").read_text().split()) == number
    assert [(fire["trigger"], fire["outcome"]) for fire in ledger.fires(stage.place.state)] == [("reboot", "ok")] * 2


def test_a_run_whose_lock_outlives_its_guard_is_settled_once_the_lock_is_free(tmp_path: Path) -> None:
    events: list[Event] = []
    folder, opened = open_state(resolve([str(tmp_path)], str(tmp_path / "state")), print)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine = Engine(folder, opened, Manner("call", Passthrough.NONE, None), events.append)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    lock = locks.take(folder.locks / "job.backup")
    assert lock is not None
    fire = Fire("backup", Trigger.MANUAL, engine.now(), "asked")
    claimed = opened.claim_one(engine.runner, engine.now(), fire)
    assert claimed is not None
    opened.start(engine.runner, engine.now(), Beginning([Start("run-1", claimed.fire_id, 1, lock.path, "")]))
    engine.crew.bereaved.append(Member("run-1", job_of("@daily"), fire, str(folder.logs / "backup" / "run-1.log")))
    engine.settle_bereaved()
    assert (engine.crew.is_busy, events) == (True, [])
    os.close(lock.fd)
    engine.settle_bereaved()
    assert not engine.crew.is_busy
    assert [(event.run, event.facts["outcome"], event.facts["reason"]) for event in events] == [
        ("run-1", "interrupted", "guard-died")
    ]
    assert opened.unended() == []
    engine.close()
    opened.close()


REFUSE = "CREATE TRIGGER {} BEFORE {} ON runs WHEN NEW.state = 'ended' BEGIN SELECT RAISE(ABORT, 'no room'); END"


def on_the_ledger(stage: Stage, *statements: str) -> None:
    connection = sqlite3.connect(stage.place.state / "ledger.sqlite3", timeout=30)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_an_end_that_the_ledger_refuses_at_once_is_found_by_the_next_pass_as_it_was(stage: Stage) -> None:
    stage.jobs("#: name=job\n0 0 29 2 * sleep 1000 & echo $! >left; exit 7\n")
    stage.place.call("run")  # which makes the ledger
    on_the_ledger(stage, REFUSE.format("refuse", "UPDATE"), REFUSE.format("refuse_new", "INSERT"))
    assert stage.place.call("run", "job").returncode == 7
    assert [end[1:] for end in ends(stage)] == [(None, None)]
    on_the_ledger(stage, "DROP TRIGGER refuse", "DROP TRIGGER refuse_new")

    def is_found() -> bool:  # once its guard, which tries for itself, has let go of the lock
        stage.place.call("run")
        return ends(stage) == [("ended", "failed", "exit")]

    assert wait_until(is_found, 60)
    os.kill(int((stage.root / "left").read_text()), 0)  # what it left behind lives on


def test_a_state_folder_that_was_moved_with_a_run_open_heals_itself(stage: Stage) -> None:
    stage.jobs("#: name=job\n0 0 29 2 * touch started; sleep 1000\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        guard = run_of(stage)["guard_pid"]
        os.kill(runner.pid, signal.SIGKILL)
        os.kill(guard, signal.SIGKILL)
        runner.wait(60)
    moved = stage.place.state.with_name("moved")
    stage.place.state.rename(moved)
    found = stage.place.call("run", "--state", str(moved))
    assert found.returncode == 1
    assert "job: interrupted" in found.stderr
    assert ledger.runs(moved)[0]["outcome"] == "interrupted"


FREEZES = pytest.mark.skipif(bool(freezing.why_not()), reason=freezing.why_not())
HANGS = "echo $RUNJOBS_RUN_ID >>runs; test -e first && exit 0; touch first started; exec sleep 1000"


@FREEZES
def test_what_cant_be_killed_holds_up_nothing_but_its_own_job_until_it_is_dead(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n@every 1s {HANGS}\n#: name=beat\n@every 1s true\n")
    with stage.foreground():
        assert stage.exists("started")
        assert wait_until(lambda: ledger.runs(stage.place.state, "job")[0]["pid"])
        (run,) = ledger.runs(stage.place.state, "job")
        with freezing.frozen(run["pid"]):
            kill(run["guard_pid"])
            assert stage.heard("stuck", run=run["id"], processes=[[run["pid"], "sleep"]])
            beats = len(stage.events("ended", job="beat"))
            assert wait_until(lambda: len(stage.events("ended", job="beat")) > beats + 1)
            assert len(stage.events("stuck")) == 1
            assert not stage.events("ended", job="job")
            assert len(ledger.runs(stage.place.state, "job")) == 1  # the lock is held, so nothing starts beside it
        assert stage.heard("ended", run=run["id"], outcome="interrupted", reason="guard-died")
        assert (
            "1 of its processes were still there and were killed" in stage.events("ended", run=run["id"])[0]["detail"]
        )
        assert wait_until(lambda: len(ends(stage, "job")) > 1)
    assert ends(stage, "job")[0] == ("ended", "interrupted", "guard-died")


@FREEZES
def test_a_pass_does_not_wait_for_what_cant_be_killed_and_an_undertaker_records_its_end(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {HANGS}\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run = run_of(stage)
        kill(runner.pid)
    with freezing.frozen(run["pid"]):
        kill(run["guard_pid"])
        first, second = stage.place.call("run"), stage.place.call("run")
        assert (first.returncode, second.returncode) == (1, 0)
        assert f"can't be killed yet: sleep (pid {run['pid']})" in first.stderr
        assert second.stderr == ""
        assert stage.place.call("run", "job").returncode == 75
        assert ends(stage) == [("running", None, None)]
    assert wait_until(lambda: ends(stage) == [("ended", "interrupted", "guard-died")])
    assert wait_until(lambda: not stage.members())


@FREEZES
def test_an_undertaker_outlives_its_runner_and_where_it_is_killed_another_takes_its_place(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {HANGS}\n#: name=beat\n@every 1s true\n")
    with stage.start("job") as caller:
        assert stage.exists("started")
        run = run_of(stage)
        kill(caller.pid)
    with freezing.frozen(run["pid"]):
        kill(run["guard_pid"])
        with stage.foreground("--on-stop", "leave") as runner:
            assert stage.heard("stuck", run=run["id"])
            undertaker = locks.read(stage.place.state / "locks" / "job.job")["pid"]
            kill(undertaker)
            assert wait_until(lambda: len(stage.events("stuck", run=run["id"])) > 1)
            runner.terminate()
            assert runner.wait(60) == 0
        assert stage.events("runner-stopped")[0]["left"] == 1
        assert ends(stage, "job") == [("running", None, None)]
    assert wait_until(lambda: ends(stage, "job") == [("ended", "interrupted", "guard-died")])
    assert wait_until(lambda: not stage.members())


@FREEZES
@pytest.mark.parametrize("gained", ["its own lock", "a shared lock"])
def test_a_run_that_gains_a_lock_of_a_dead_guard_does_not_start_beside_what_is_left(stage: Stage, gained: str) -> None:
    job = "job" if gained == "its own lock" else "other"
    stage.jobs(f"#: name=job lock=disk\n0 0 29 2 * {HANGS}\n#: name=other lock=disk\n0 0 29 2 * touch other\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        run = run_of(stage)
        kill(runner.pid)
    with freezing.frozen(run["pid"]):
        kill(run["guard_pid"])
        killed_at(
            stage, "from runjobs.runner import succession; succession.recover = print; start._fork_all = die", job
        )
        (other,) = [each for each in ledger.runs(stage.place.state) if each["id"] != run["id"]]
        assert (other["job"], other["outcome"], other["reason"]) == (job, "skipped", "overlap")
        assert locks.is_held(stage.place.state / "locks" / f"job.{job}")
        assert locks.is_held(stage.place.state / "locks" / "lock.disk")
    assert wait_until(lambda: run_of(stage)["state"] == "ended")
    assert run_of(stage)["outcome"] == "interrupted"
    assert not (stage.root / "other").exists()
    assert len((stage.root / "runs").read_text().split()) == 1


RERUN = "echo $RUNJOBS_ATTEMPT >>attempts; test -e first && exit 0; touch first started; sleep 1000"


@pytest.mark.parametrize("is_runner_killed", [False, True], ids=["guard", "both"])
def test_a_run_that_was_cut_short_is_run_again_where_its_job_says_so(stage: Stage, is_runner_killed: bool) -> None:
    stage.jobs(f"#: name=job on-interrupt=rerun overlap=queue\n* * * * * {RERUN}\n")
    with stage.start() as runner:
        assert stage.exists("started")
        run = run_of(stage)
        if is_runner_killed:
            kill(runner.pid)
        kill(run["guard_pid"])
        runner.wait(60)
    if is_runner_killed:
        stage.place.call("run")
    first, second, *_ = sorted(ledger.runs(stage.place.state), key=lambda each: str(each["id"]))
    assert (first["outcome"], second["outcome"]) == ("interrupted", "ok")
    assert (first["fire"], first["attempt"], second["fire"], second["attempt"]) == (run["fire"], 1, run["fire"], 2)
    assert {fire["outcome"] for fire in ledger.fires(stage.place.state)} == {"ok"}
    assert stage.members() == []


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
def test_a_run_of_another_container_is_left_alone_while_it_lives_and_interrupted_when_it_is_gone(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n0 0 29 2 * {QUIET}\n")
    command = namespaces.as_pid_1(["sh", "-c", '"$@" & sleep 1000', "sh", *stage.place.command("run", "job")])
    with subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL) as container:
        try:
            assert stage.exists("started")
            run = run_of(stage)
            with stage.foreground():
                assert stage.heard("runner-started")
                assert stage.place.call("run").returncode == 0
                assert ends(stage) == [("running", None, None)]
        finally:
            container.kill()
    assert run["pid_namespace"] != os.stat("/proc/self/ns/pid").st_ino
    assert wait_until(lambda: stage.place.call("run").returncode == 1)
    assert ends(stage) == [("ended", "interrupted", "guard-died")]
    assert "another PID namespace" in run_of(stage)["detail"]


def test_the_end_that_another_runner_has_recorded_first_is_the_one_that_is_told(tmp_path: Path) -> None:
    events: list[Event] = []
    folder, opened = open_state(resolve([str(tmp_path)], str(tmp_path / "state")), print)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine = Engine(folder, opened, Manner("call", Passthrough.NONE, None), events.append)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    fire = Fire("backup", Trigger.MANUAL, engine.now(), "asked")
    claimed = opened.claim_one(engine.runner, engine.now(), fire)
    assert claimed is not None
    opened.start(engine.runner, engine.now(), Beginning([Start("run-1", claimed.fire_id, 1, "job.backup", "")]))
    opened.record((), [RunEnd("run-1", "failed", "exit", "exit code 3", exit_code=3, ended_at=1.0)])
    engine.crew.bereaved.append(Member("run-1", job_of("@daily"), fire, str(folder.logs / "backup" / "run-1.log")))
    engine.settle_bereaved()
    assert [(event.facts["outcome"], event.facts["exit_code"]) for event in events] == [("failed", 3)]
    engine.close()
    opened.close()


def test_a_process_that_was_gone_before_it_was_looked_up_is_no_sign_of_a_reboot(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "1000"], env={"RUNJOBS_RUN_ID": "run-gone"})
    with left:
        run = Unended("run-gone", 1, "job", 0, "job.job", None, ProcessId(1, 0, "", 0))
        end = recovery.examine(run, tmp_path, None)
        left.wait(60)
    assert isinstance(end, RunEnd)
    assert (end.outcome, end.reason) == ("interrupted", "guard-died")


FOR_ONE = REFUSE.replace("NEW.state = 'ended'", "NEW.state = 'ended' AND NEW.id = (SELECT min(id) FROM runs)")


def test_an_end_that_cant_be_recorded_is_told_and_keeps_no_other_end_waiting(tmp_path: Path) -> None:
    """As one did whose detail was no text that the ledger took: each pass and each foreground ended on it."""
    events: list[Event] = []
    folder, opened = open_state(resolve([str(tmp_path)], str(tmp_path / "state")), print)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine = Engine(folder, opened, Manner("call", Passthrough.NONE, None), events.append)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for number in (1, 2):
        fire = Fire(f"job{number}", Trigger.MANUAL, engine.now(), f"asked{number}")
        claimed = opened.claim_one(engine.runner, engine.now(), fire)
        assert claimed is not None
        start = Start(f"run-{number}", claimed.fire_id, 1, f"job.job{number}", "")
        opened.start(engine.runner, engine.now(), Beginning([start]))
    with closing(sqlite3.connect(folder.ledger)) as other, other:
        other.execute(FOR_ONE.format("refuse", "UPDATE"))
    succession.recover(engine, {})
    told = {event.happening.value: event.run or event.facts["message"] for event in events}
    assert [run.run_id for run in opened.unended()] == ["run-1"]
    assert told["warning"].startswith("how run run-1 of job1 ended can't be recorded: ")
    assert "run-2" in told.values()
    engine.close()
    opened.close()


@pytest.mark.parametrize("noted", [{"outcome": 1, "leftovers": 3}, {"leftovers": [[1]]}, {}])
def test_what_no_guard_says_of_an_end_counts_for_nothing(tmp_path: Path, noted: dict[str, Any]) -> None:
    lock = locks.take(tmp_path / "job.job")
    assert lock is not None
    locks.write(lock.fd, {"run": "run-odd", "end": noted})
    os.close(lock.fd)
    end = recovery.examine(Unended("run-odd", 1, "job", 0, "job.job", None, None), tmp_path, None)
    assert isinstance(end, RunEnd)
    assert end.reason == "guard-died"

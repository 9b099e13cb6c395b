"""Control: runs are stopped whoever started them, nobody else is signalled, and who holds a lock is seen."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters import locks
from runjobs.guard import Stop
from runjobs.runner.control import order_stop
from tests.real.support import ledger, namespaces
from tests.real.support.command_line import environment
from tests.real.support.guarding import is_alive, wait_gone
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator

IS_ROOT = os.geteuid() == 0
STOP = Stop(0.0, "stopped", "person", "stopped by a test")
NEVER = "0 0 29 2 *"
DEAF = "trap '' TERM; touch begun; while :; do sleep 0.1; done"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def of(stage: Stage, job: str = "job") -> dict[str, Any]:
    """What the ledger says of the only run of a job."""
    (run,) = ledger.runs(stage.place.state, job)
    return dict(run)


def lock_of(stage: Stage, job: str = "job") -> Path:
    return stage.place.state / "locks" / f"job.{job}"


def guard_of(stage: Stage, job: str = "job") -> int:
    """The pid of the guard, once it is on record."""
    assert wait_until(lambda: locks.survey(lock_of(stage, job).parent) and comm(holder(stage, job)) == "runjobs-guard")
    return holder(stage, job)


def holder(stage: Stage, job: str) -> int:
    return int(locks.read(lock_of(stage, job)).get("pid", 0))


def comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


@contextlib.contextmanager
def begun(
    stage: Stage, command: str = "touch begun; sleep 1000", options: str = ""
) -> Iterator[subprocess.Popen[bytes]]:
    """A person's run of a job, from when the job is there; its runner is killed when the block is left."""
    stage.jobs(f"#: name=job {options}\n{NEVER} {command}\n")
    with calling(stage, "job") as runner:
        assert stage.exists("begun")
        yield runner


@contextlib.contextmanager
def calling(stage: Stage, *jobs: str) -> Iterator[subprocess.Popen[bytes]]:
    with stage.start(*jobs) as runner:
        try:
            yield runner
        finally:
            runner.kill()


def test_a_run_that_another_call_started_is_stopped_and_the_record_says_by_whom_and_why(stage: Stage) -> None:
    with begun(stage) as runner:
        told = stage.place.call("stop", "job", "--reason", "the disk\nis needed")
        assert (told.returncode, told.stderr) == (0, "")
        assert runner.wait(60) == 143
    run = of(stage)
    assert told.stdout.startswith(f"job (run {run['id']}): stopped by ")
    assert (run["outcome"], run["reason"]) == ("stopped", "person")
    assert ": the disk is needed; ended by SIGTERM" in run["detail"]
    assert stage.members() == []


def test_a_run_is_named_by_the_beginning_of_its_id(stage: Stage) -> None:
    with begun(stage):
        run = of(stage)["id"]
        told = stage.place.call("stop", run[:9], "--json")
        assert told.returncode == 0
    assert f'"run": "{run}"' in told.stdout
    assert '"outcome": "stopped"' in told.stdout


def test_a_beginning_that_several_runs_share_is_a_mistake_that_lists_them(stage: Stage) -> None:
    stage.jobs(f"#: name=job overlap=allow\n{NEVER} echo >> begun; sleep 1000\n")
    with calling(stage, "job"), calling(stage, "job"):
        assert wait_until(lambda: (stage.root / "begun").exists() and (stage.root / "begun").stat().st_size == 2)
        first, second = (run["id"] for run in ledger.runs(stage.place.state))
        told = stage.place.call("stop", first[:3])
        assert told.returncode == 2
        assert first in told.stderr
        assert second in told.stderr
        assert stage.place.call("stop", first).returncode == 0
        assert [run["outcome"] for run in ledger.runs(stage.place.state)] == ["stopped", None]
        assert stage.place.call("stop", "job").returncode == 0
    assert [run["outcome"] for run in ledger.runs(stage.place.state)] == ["stopped", "stopped"]


def test_a_run_whose_runner_was_killed_is_stopped_and_recorded(stage: Stage) -> None:
    with begun(stage) as runner:
        guard_of(stage)
        runner.kill()
        runner.wait()
    told = stage.place.call("stop", "job", "--reason", "nobody else can")
    assert told.returncode == 0
    run = of(stage)
    assert (run["outcome"], run["reason"]) == ("stopped", "person")
    assert "nobody else can" in run["detail"]
    assert wait_until(lambda: stage.members() == [])


def test_a_run_whose_guard_was_killed_too_is_ended_by_the_stop_itself(stage: Stage) -> None:
    with begun(stage) as runner:
        guard = guard_of(stage)
        runner.kill()
        runner.wait()
        os.kill(guard, signal.SIGKILL)
        assert wait_gone(guard)
        assert stage.members() != []
        told = stage.place.call("stop", "job")
        assert told.returncode == 0
    run = of(stage)
    assert (run["outcome"], run["reason"]) == ("stopped", "person")
    assert "the guard of this run was killed" in run["detail"]
    assert stage.members() == []


def test_a_job_that_ignores_term_is_killed_after_its_kill_after(stage: Stage) -> None:
    with begun(stage, DEAF, "kill-after=1s"):
        assert stage.place.call("stop", "job").returncode == 0
    assert "ended by SIGKILL" in of(stage)["detail"]
    assert stage.members() == []


@pytest.mark.parametrize("second", [["job", "--now"], ["job"]], ids=["--now", "a second stop"])
def test_nobody_has_to_wait_for_kill_after(stage: Stage, second: list[str]) -> None:
    with begun(stage, DEAF, "kill-after=10m"):
        assert stage.place.call("stop", "job", "--no-wait", "--reason", "first").returncode == 0
        assert stage.place.call("stop", *second).returncode == 0
    run = of(stage)
    assert (run["outcome"], run["reason"]) == ("stopped", "person")
    assert "ended by SIGKILL" in run["detail"]
    assert ": first;" in run["detail"]


def test_a_foreground_loses_the_run_and_nothing_else(stage: Stage) -> None:
    stage.jobs("#: name=job fields=6\n* * * * * * touch begun; sleep 1000\n")
    with stage.foreground() as runner:
        assert stage.heard("started", job="job")
        assert stage.exists("begun")
        assert stage.place.call("stop", "job").returncode == 0
        assert stage.heard("ended", job="job", outcome="stopped", reason="person")
        assert wait_until(lambda: len(stage.events("started")) > 1)  # the schedule goes on
        assert runner.poll() is None


def test_the_others_of_a_job_that_is_not_named_go_on(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n{NEVER} touch begun; sleep 1000\n#: name=other\n{NEVER} touch other; sleep 1000\n")
    with calling(stage, "job"), calling(stage, "other") as other:
        assert stage.exists("begun")
        assert stage.exists("other")
        assert stage.place.call("stop", "job").returncode == 0
        assert is_alive(guard_of(stage, "other"))
        assert of(stage, "other")["outcome"] is None
        assert other.poll() is None


def test_a_run_that_does_not_end_is_told_and_is_a_failure(stage: Stage) -> None:
    with begun(stage, options="kill-after=0s"):
        guard = guard_of(stage)
        os.kill(guard, signal.SIGSTOP)
        told = stage.place.call("stop", "job")
        assert told.returncode == 1
        assert "goes on" in told.stderr
        os.kill(guard, signal.SIGCONT)


def test_where_the_ledger_is_refused_the_lock_files_say_what_to_stop(stage: Stage) -> None:
    with begun(stage) as runner:
        with contextlib.closing(sqlite3.connect(stage.place.state / "ledger.sqlite3")) as writing:
            (version,) = writing.execute("PRAGMA user_version").fetchone()
            writing.execute("PRAGMA user_version = 99")
        told = stage.place.call("stop", "job")
        assert told.returncode == 0
        assert "newer runjobs" in told.stderr
        assert runner.wait(60) == 143
        with contextlib.closing(sqlite3.connect(stage.place.state / "ledger.sqlite3")) as writing:
            writing.execute(f"PRAGMA user_version = {version}")
    assert stage.members() == []


def test_what_waits_to_be_tried_again_is_stopped_too(stage: Stage) -> None:
    stage.jobs("#: name=job retries=3 retry-delay=1h\n@every 1s false\n")
    with stage.foreground():
        assert wait_until(lambda: any(fire["state"] == "waiting" for fire in ledger.fires(stage.place.state)))
        (stage.place.jobs / "jobs").write_text("")
        told = stage.place.call("stop", "job")
    assert told.returncode == 0
    assert "waits no more (retry)" in told.stdout
    fire = ledger.fires(stage.place.state)[0]
    assert (fire["state"], fire["outcome"]) == ("ended", "failed")


def test_nothing_to_stop_is_no_failure_and_an_unknown_job_is_a_mistake(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n{NEVER} true\n")
    assert (stage.place.call("stop", "job").returncode, stage.place.state.exists()) == (0, False)
    told = stage.place.call("stop", "jbo")
    assert (told.returncode, told.stdout) == (2, "")
    assert "try: runjobs stop job" in told.stderr


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[locks.Lock]:
    taken = locks.take(tmp_path / "job.job")
    assert taken is not None
    yield taken
    os.close(taken.fd)


def test_a_stranger_who_has_the_recorded_pid_is_not_signalled(lock: locks.Lock, tmp_path: Path) -> None:
    named = tmp_path / "runjobs-guard"  # whatever it is called
    named.symlink_to("/bin/sleep")
    with subprocess.Popen([named, "1000"], start_new_session=True) as stranger:
        assert wait_until(lambda: comm(stranger.pid) == "runjobs-guard")
        locks.write(lock.fd, {"run": "run-1", "pid": stranger.pid})
        locks.write_pid(lock.fd, stranger.pid)
        assert not order_stop(Path(lock.path), "run-1", STOP, patience=0.0)
        assert stranger.poll() is None
        stranger.kill()


def test_a_holder_that_is_no_guard_is_not_signalled(lock: locks.Lock) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    locks.write(lock.fd, {"run": "run-1", "pid": os.getpid()})
    assert not order_stop(Path(lock.path), "run-1", STOP, patience=0.0)


GUARD = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(15, b"runjobs-guard", 0, 0, 0)
print("named", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def posing(lock: locks.Lock) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called as a guard is, and holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", GUARD], pass_fds=[lock.fd], start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as guard:  # fmt: skip
        assert guard.stdout is not None
        assert guard.stdout.readline() == b"named\n"
        yield guard
        guard.kill()


def test_a_guard_that_was_never_written_down_is_found_by_the_lock_that_it_holds(lock: locks.Lock) -> None:
    locks.write(lock.fd, {"run": "run-1", "pid": 1})
    with posing(lock) as guard:
        assert order_stop(Path(lock.path), "run-1", STOP, patience=0.0)
        assert guard.wait(60) == -signal.SIGTERM


def test_a_guard_of_another_run_than_was_meant_is_not_signalled(lock: locks.Lock) -> None:
    with posing(lock) as guard:
        locks.write(lock.fd, {"run": "run-2", "pid": guard.pid})
        assert not order_stop(Path(lock.path), "run-1", STOP, patience=0.0)
        assert locks.read_order(lock.fd) == {}
        assert guard.poll() is None


@pytest.mark.skipif(not IS_ROOT, reason="only root can mount a small file system")
def test_an_order_reaches_its_guard_on_a_full_disk(stage: Stage) -> None:
    small = stage.place.state
    small.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "small", str(small)], check=True)
    try:
        with begun(stage) as runner:
            guard_of(stage)
            with contextlib.suppress(OSError), (small / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 4096):
                    pass
            lock = lock_of(stage)
            run = locks.read(lock)["run"]
            assert order_stop(lock, run, STOP)
            assert runner.wait(60) == 137
            assert "stopped by a test; ended by SIGKILL" in stage.err  # the words came through, not the signal alone
            assert stage.members() == []
    finally:
        stage.clear()
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_locks_tells_who_holds_what_and_takes_nothing(stage: Stage) -> None:
    with begun(stage, options="lock=database pool=cpu:3"):
        guard, run = guard_of(stage), of(stage)["id"]
        told = stage.place.call("locks")
        lines = [line.split() for line in told.stdout.splitlines()]
        assert ["job", "job", "run", run, str(guard)] in [line[:5] for line in lines]
        assert ["lock", "database", "job,", "run", run, str(guard)] in [line[:6] for line in lines]
        assert ["pool", "cpu", "1", "of", "3", "taken"] in lines
        assert lines[1][:2] == ["runner", "call"]
        assert locks.take(lock_of(stage)) is None
        assert stage.place.call("stop", "job").returncode == 0
    told = stage.place.call("locks", "job", "database")
    assert [line.split() for line in told.stdout.splitlines()[1:]] == [
        ["job", "job", "free"],
        ["lock", "database", "free"],
    ]


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
def test_in_a_pid_namespace_a_lock_whose_taker_is_gone_is_seen_and_its_run_can_be_stopped(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n{NEVER} touch begun; sleep 1000\n")
    run, stop, seen = (" ".join(stage.place.command(verb)) for verb in ("run", "stop", "locks"))
    script = f"""
{run} job & runner=$!
while [ ! -e {stage.root}/begun ]; do sleep 0.1; done
kill -KILL $runner; wait $runner
{seen} job; {stop} job; {seen} job
"""
    told = subprocess.run(
        namespaces.as_pid_1(["sh", "-c", script]),
        env=environment(), cwd=stage.root, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lines = told.stdout.splitlines()
    assert "run " in lines[1], told.stderr
    assert ": stopped by " in lines[2]
    assert lines[4].split() == ["job", "job", "free"]


def test_a_paused_job_is_skipped_with_the_reason_that_was_given_until_it_is_resumed(stage: Stage) -> None:
    stage.jobs("#: name=job\n* * * * * touch begun\n")
    assert stage.place.call("pause", "job", "--reason", "the disk is full").returncode == 0
    assert stage.place.call("run").returncode == 0
    (fire,) = ledger.fires(stage.place.state)
    assert (fire["outcome"], fire["reason"]) == ("skipped", "paused")
    assert "the disk is full" in fire["detail"]
    assert not (stage.root / "begun").exists()
    assert stage.place.call("run", "job").returncode == 0  # a person who asks for it gets it
    assert (stage.root / "begun").exists()
    assert "fires again" in stage.place.call("resume", "job").stdout
    assert stage.place.call("resume", "job").stdout == "job was not paused\n"


def test_a_pause_runs_out_by_itself(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s touch begun\n")
    assert stage.place.call("pause", "job", "--for", "2s").returncode == 0
    with stage.foreground():
        assert stage.heard("skipped", job="job", reason="paused")
        assert stage.exists("begun")

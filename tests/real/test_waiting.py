"""Fires that wait: retries, order, locks, pools, the bound of a runner; the same in all three ways of running."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOON = "@every 1s"
DUE = "* * * * *"  # at the first pass, whichever minute it is: it looks back to the start of the minute
NEVER = "0 0 29 2 *"
HOLD = "echo $RUNJOBS_JOB >>began; until test -e release; do sleep 0.05; done; echo $RUNJOBS_JOB >>ended"
NOTE = "echo $RUNJOBS_JOB $RUNJOBS_ATTEMPT >>marks"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def begin_in_one_minute() -> None:
    """Wait for the next minute where this one is nearly over: two passes are to see the same fires as due."""
    assert wait_until(lambda: time.time() % 60 < 40)


def lines(stage: Stage, name: str) -> list[str]:
    path = stage.root / name
    return path.read_text().splitlines() if path.exists() else []


def outcomes(stage: Stage, job: str = "%") -> list[tuple[str, str | None, str | None]]:
    return [(fire["job"], fire["outcome"], fire["reason"]) for fire in ledger.fires(stage.place.state, job)]


def attempts(stage: Stage, job: str = "%") -> list[tuple[int, str | None]]:
    return sorted((run["attempt"], run["outcome"]) for run in ledger.runs(stage.place.state, job))


def release(stage: Stage) -> None:
    (stage.root / "release").touch()


# retries

FLAKY = f"{NOTE}; test $RUNJOBS_ATTEMPT = 3"


def test_a_pass_tries_a_failed_job_again_until_it_succeeds_and_then_is_silent(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=5 retry-delay=100ms\n{DUE} {FLAKY}\n")
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert lines(stage, "marks") == ["flaky 1", "flaky 2", "flaky 3"]
    assert outcomes(stage) == [("flaky", "ok", "")]
    assert attempts(stage) == [(1, "failed"), (2, "failed"), (3, "ok")]


def test_a_pass_whose_retries_all_fail_tells_the_last_failure_once(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=2 retry-delay=100ms\n{DUE} {NOTE}; echo said; exit $RUNJOBS_ATTEMPT\n")
    ended = stage.place.call("run")
    assert ended.returncode == 1
    assert ended.stderr.count("runjobs: flaky:") == 1
    assert "failed: exit code 3" in ended.stderr
    assert outcomes(stage) == [("flaky", "failed", "exit")]


def test_a_person_waits_for_the_retries_and_is_told_of_each(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=2 retry-delay=100ms\n{NEVER} echo try $RUNJOBS_ATTEMPT; exit $RUNJOBS_ATTEMPT\n")
    ended = stage.place.call("run", "flaky")
    assert (ended.returncode, ended.stdout) == (3, "try 1\ntry 2\ntry 3\n")
    assert ended.stderr.count("it is tried again at") == 2


def test_what_retry_on_does_not_name_is_not_tried_again(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=2 retry-delay=100ms retry-on=75\n{NEVER} {NOTE}; exit 1\n")
    assert stage.place.call("run", "flaky").returncode == 1
    assert lines(stage, "marks") == ["flaky 1"]


def test_the_foreground_tries_again_and_says_when(stage: Stage) -> None:
    stage.jobs(f"#: name=b retries=3 retry-delay=1ms\n{SOON} {FLAKY}\n")
    with stage.foreground():
        assert stage.heard("ended", job="b", outcome="ok")
    first = stage.events("ended", job="b")[0]
    assert first["outcome"] == "failed"
    assert first["again_at"] >= first["time"]


def test_a_newer_fire_cancels_the_pending_retries_of_an_older_one(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=5 retry-delay=1h\n{SOON} {NOTE}; exit 9\n")
    with stage.foreground():
        assert stage.heard("given-up", job="flaky")
    (given_up, *_) = stage.events("given-up")
    assert (given_up["reason"], given_up["detail"]) == ("superseded", "a newer fire took its place")
    first = ledger.fires(stage.place.state)[0]
    assert (first["outcome"], first["reason"]) == ("failed", "exit")
    assert first["detail"] == "exit code 9; not tried again: a newer fire took its place"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_retry_that_a_dead_runner_was_waiting_to_make_is_made_by_the_next(stage: Stage, number: int) -> None:
    stage.jobs(f"#: name=flaky retries=1 retry-delay=2s\n{DUE} {FLAKY}\n".replace("= 3", "= 2"))
    with stage.start() as runner:
        assert wait_until(lambda: [fire["state"] for fire in ledger.fires(stage.place.state, "flaky")] == ["waiting"])
        runner.send_signal(number)
    stage.jobs(f"#: name=flaky retries=1\n{NEVER} {FLAKY}\n".replace("= 3", "= 2"))
    assert stage.place.call("run").returncode == 0
    assert lines(stage, "marks") == ["flaky 1", "flaky 2"]
    assert outcomes(stage) == [("flaky", "ok", "")]


def test_what_a_killed_call_was_waiting_for_is_not_started_by_others(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=1 retry-delay=1s\n{NEVER} {NOTE}; exit 3\n")
    with stage.start("flaky") as runner:
        assert wait_until(lambda: [fire["state"] for fire in ledger.fires(stage.place.state)] == ["waiting"])
        runner.kill()
    stage.place.call("run")
    assert lines(stage, "marks") == ["flaky 1"]
    (fire,) = ledger.fires(stage.place.state)
    assert (fire["state"], fire["outcome"]) == ("ended", "failed")
    assert fire["detail"] == "exit code 3; not tried again: the call that asked for it was killed"


def test_a_pass_whose_retries_a_newer_fire_cancels_tells_its_failure(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=1 retry-delay=1h\n{DUE} echo said; exit 3\n")
    with stage.start() as runner:
        assert wait_until(lambda: [fire["state"] for fire in ledger.fires(stage.place.state)] == ["waiting"])
        assert stage.place.call("stop", "flaky", "--no-wait").returncode == 0
        assert runner.wait(60) == 1
    assert "flaky: failed: exit code 3" in stage.err
    assert "| said" in stage.err


def test_ctrl_c_ends_a_call_that_waits_for_a_retry(stage: Stage) -> None:
    stage.jobs(f"#: name=flaky retries=1 retry-delay=1h\n{NEVER} exit 3\n")
    with stage.start("flaky") as runner:
        assert wait_until(lambda: [fire["state"] for fire in ledger.fires(stage.place.state)] == ["waiting"])
        runner.send_signal(signal.SIGINT)
        assert runner.wait(60) == 130
    assert outcomes(stage) == [("flaky", "failed", "exit")]


# after


def test_jobs_of_one_instant_run_in_the_order_that_after_says(stage: Stage) -> None:
    stage.jobs(
        f"#: name=c after=a,b\n{DUE} {NOTE}\n#: name=b after=a\n{DUE} {NOTE}\n#: name=a\n{DUE} sleep 0.3; {NOTE}\n"
    )
    assert stage.place.call("run").returncode == 0
    assert lines(stage, "marks") == ["a 1", "b 1", "c 1"]


def test_a_call_that_did_not_start_keeps_nobody_from_following(stage: Stage) -> None:
    stage.jobs(f"#: name=a\n{DUE} {HOLD}\n#: name=b after=a\n{DUE} {NOTE}\n")
    with stage.start() as runner:
        assert stage.exists("began")
        assert stage.place.call("run", "a").returncode == 75
        release(stage)
        assert runner.wait(60) == 0
    assert lines(stage, "marks") == ["b 1"]


def test_a_failure_skips_all_that_comes_after_it_with_the_reason(stage: Stage) -> None:
    stage.jobs(f"#: name=a\n{DUE} exit 4\n#: name=b after=a\n{DUE} {NOTE}\n#: name=c after=b\n{DUE} {NOTE}\n")
    assert stage.place.call("run").returncode == 1
    assert lines(stage, "marks") == []
    assert sorted(outcomes(stage)) == [
        ("a", "failed", "exit"), ("b", "skipped", "dependency"), ("c", "skipped", "dependency")
    ]  # fmt: skip
    details = {fire["job"]: fire["detail"] for fire in ledger.fires(stage.place.state)}
    assert "a was failed (exit)" in details["b"]
    assert "b was skipped (dependency)" in details["c"]


def test_what_comes_after_waits_for_the_retries(stage: Stage) -> None:
    stage.jobs(f"#: name=a retries=3 retry-delay=100ms\n{DUE} {FLAKY}\n#: name=b after=a\n{DUE} {NOTE}\n")
    assert stage.place.call("run").returncode == 0
    assert lines(stage, "marks") == ["a 1", "a 2", "a 3", "b 1"]


def test_it_waits_for_a_run_of_another_runner(stage: Stage) -> None:
    begin_in_one_minute()
    stage.jobs(f"#: name=a\n{DUE} {HOLD}\n")
    with stage.start() as first:
        assert stage.exists("began")
        stage.jobs(f"#: name=a\n{DUE} {HOLD}\n#: name=b after=a\n{DUE} {NOTE}\n")
        with stage.start() as second:
            assert wait_until(lambda: any(fire["state"] == "waiting" for fire in ledger.fires(stage.place.state, "b")))
            release(stage)
            assert second.wait(60) == 0
        assert first.wait(60) == 0
    assert lines(stage, "marks") == ["b 1"]


def test_what_comes_after_a_run_whose_runner_was_killed_is_started_by_the_next(stage: Stage) -> None:
    begin_in_one_minute()
    stage.jobs(f"#: name=a\n{DUE} {HOLD}\n#: name=b after=a\n{DUE} {NOTE}\n")
    with stage.start() as runner:
        assert stage.exists("began")
        assert wait_until(lambda: any(fire["state"] == "waiting" for fire in ledger.fires(stage.place.state, "b")))
        runner.kill()
    with stage.start() as second:
        assert wait_until(lambda: len(stage.members()) > 2)
        release(stage)
        assert second.wait(60) == 0
    assert lines(stage, "marks") == ["b 1"]
    assert {outcome for _, outcome, _ in outcomes(stage)} == {"ok"}


def test_a_person_who_asks_for_a_job_need_not_wait_for_others(stage: Stage) -> None:
    stage.jobs(f"#: name=a\n{NEVER} true\n#: name=b after=a\n{NEVER} {NOTE}\n")
    assert stage.place.call("run", "b").returncode == 0
    assert lines(stage, "marks") == ["b 1"]


def test_a_pass_claims_what_its_fires_come_after_when_nobody_else_does(stage: Stage) -> None:
    stage.jobs(f"#: name=a jitter=5s\n{DUE} {NOTE}\n#: name=b after=a\n{DUE} {NOTE}\n")
    assert stage.place.call("run").returncode == 0
    assert sorted(lines(stage, "marks")) == ["a 1", "b 1"]


def test_a_pass_settles_the_run_that_its_fires_wait_for_when_all_others_are_dead(stage: Stage) -> None:
    begin_in_one_minute()
    stage.jobs(f"#: name=a\n{DUE} {HOLD}\n")
    with stage.start() as first:
        assert stage.exists("began")
        assert wait_until(lambda: any(run["guard_pid"] for run in ledger.runs(stage.place.state, "a")))
        (run,) = ledger.runs(stage.place.state, "a")
        stage.jobs(f"#: name=a\n{DUE} {HOLD}\n#: name=b after=a\n{DUE} {NOTE}\n")
        with stage.start() as second:
            assert wait_until(lambda: any(fire["state"] == "waiting" for fire in ledger.fires(stage.place.state, "b")))
            first.kill()
            os.kill(run["guard_pid"], signal.SIGKILL)
            assert second.wait(60) == 1
    assert ("b", "skipped", "dependency") in outcomes(stage)


# locks


def test_a_queued_fire_starts_when_the_run_before_it_ends(stage: Stage) -> None:
    stage.jobs(f"#: name=job overlap=queue\n{NEVER} {HOLD}\n")
    with stage.start("job") as first:
        assert stage.exists("began")
        with stage.start("job") as second:
            assert wait_until(lambda: "runjobs: job waits: the lock job is held by run" in stage.err)
            assert lines(stage, "began") == ["job"]
            release(stage)
            assert (first.wait(60), second.wait(60)) == (0, 0)
    assert lines(stage, "ended") == ["job", "job"]
    assert {outcome for _, outcome, _ in outcomes(stage)} == {"ok"}


def test_of_a_queue_only_the_newest_fire_of_a_job_waits_unless_all_are_to_be_caught_up_with(stage: Stage) -> None:
    stage.jobs(f"#: name=job overlap=queue\n{SOON} {HOLD}\n#: name=all catchup=all\n{SOON} {HOLD}\n")
    with stage.foreground() as runner:
        assert wait_until(lambda: len(ledger.fires(stage.place.state, "job")) >= 4)
        assert wait_until(lambda: len(ledger.fires(stage.place.state, "all")) >= 4)
        runner.kill()
    (first, *between, last) = ledger.fires(stage.place.state, "job")
    assert (first["state"], last["state"]) == ("running", "waiting")
    assert {(fire["outcome"], fire["reason"]) for fire in between} == {("missed", "superseded")}
    assert {fire["state"] for fire in ledger.fires(stage.place.state, "all")[1:]} == {"waiting"}


def test_who_queues_longer_than_start_within_is_skipped(stage: Stage) -> None:
    stage.jobs(f"#: name=job overlap=queue start-within=1s\n{NEVER} {HOLD}\n")
    with stage.start("job"):
        assert stage.exists("began")
        ended = stage.place.call("run", "job")
        release(stage)
    assert ended.returncode == 75
    assert "job is not started: it waited 1s for its lock" in ended.stderr
    assert sorted(outcomes(stage)) == [("job", "ok", ""), ("job", "skipped", "overlap")]


def test_a_replacing_fire_stops_the_run_and_starts_in_its_place(stage: Stage) -> None:
    stage.jobs(f"#: name=job overlap=replace\n{NEVER} {HOLD}\n")
    with stage.start("job") as first:
        assert stage.exists("began")
        with stage.start("job") as second:
            assert wait_until(lambda: len(lines(stage, "began")) == 2)
            assert first.wait(60) != 0
            release(stage)
            assert second.wait(60) == 0
    assert outcomes(stage) == [("job", "stopped", "replaced"), ("job", "ok", "")]
    assert "replaced by the fire of " in ledger.fires(stage.place.state)[0]["detail"]


def test_jobs_that_share_a_lock_queue_for_it(stage: Stage) -> None:
    jobs = "".join(
        f"#: name={name} lock=db overlap=queue\n{DUE} echo + >>marks; sleep 0.2; echo - >>marks\n" for name in "abcd"
    )
    stage.jobs(jobs)
    assert stage.place.call("run").returncode == 0
    assert "".join(lines(stage, "marks")) == "+-+-+-+-"


# pools and bounds

COUNTED = "echo + >>marks; sleep 0.3; echo - >>marks"


def most_at_once(stage: Stage) -> int:
    going = most = 0
    for line in lines(stage, "marks"):
        going += 1 if line == "+" else -1
        most = max(most, going)
    return most


def pooled(number: int, options: str) -> str:
    return "".join(f"#: name=j{each} {options}\n{DUE} {COUNTED}\n" for each in range(number))


def test_a_pool_holds_over_several_runners_at_once(stage: Stage) -> None:
    stage.jobs(pooled(4, "pool=up:2") + "#: name=m pool=up:2\n" + f"{NEVER} {COUNTED}\n")
    with stage.start() as first, stage.start("m") as second, stage.start("m") as third:
        assert first.wait(60) == 0
        assert min(second.wait(60), third.wait(60)) == 0
    assert most_at_once(stage) == 2


def test_who_waits_too_long_for_a_place_is_skipped(stage: Stage) -> None:
    stage.jobs(f"#: defaults pool=up:1 start-within=1s\n#: name=a\n{NEVER} {HOLD}\n#: name=b\n{NEVER} true\n")
    with stage.start("a"):
        assert stage.exists("began")
        ended = stage.place.call("run", "b")
        release(stage)
    assert ended.returncode == 75
    assert "b waits: no place is free in the pool up, which has 1" in ended.stderr
    assert ("b", "skipped", "pool") in outcomes(stage)


@pytest.mark.parametrize("words", [(), ("--foreground",)], ids=["pass", "foreground"])
def test_no_more_runs_go_on_at_once_than_max_parallel_allows(stage: Stage, words: tuple[str, ...]) -> None:
    stage.jobs(pooled(6, "start-within=5m").replace(DUE, SOON if words else DUE))
    with stage.start(*words, "--max-parallel", "2") as runner:
        assert wait_until(lambda: lines(stage, "marks").count("-") >= 6)
        runner.terminate()
        runner.wait(60)
    assert most_at_once(stage) == 2


def test_max_parallel_counts_the_runs_of_other_runners_too(stage: Stage) -> None:
    stage.jobs(f"#: name=a\n{NEVER} {HOLD}\n#: name=b\n{DUE} {NOTE}\n")
    with stage.start("a"):
        assert stage.exists("began")
        with stage.start("--max-parallel", "1") as runner:
            assert wait_until(lambda: any(fire["wait"] == "parallel" for fire in ledger.fires(stage.place.state, "b")))
            release(stage)
            assert runner.wait(60) == 0
    assert lines(stage, "marks") == ["b 1"]


# pauses


def test_fires_of_a_paused_job_are_skipped_until_it_is_resumed(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n{SOON} {NOTE}\n")
    with stage.foreground():
        assert stage.heard("started", job="job")
        assert stage.place.call("pause", "job", "--reason", "new disk").returncode == 0
        assert stage.heard("skipped", job="job", reason="paused")
        assert "new disk" in stage.events("skipped")[0]["detail"]
        before = len(stage.events("started"))
        assert stage.place.call("resume", "job").returncode == 0
        assert wait_until(lambda: len(stage.events("started")) > before)
    assert ("job", "skipped", "paused") in outcomes(stage)


def test_a_person_may_run_a_paused_job(stage: Stage) -> None:
    stage.jobs(f"#: name=job\n{NEVER} {NOTE}\n")
    assert stage.place.call("pause", "job").returncode == 0
    assert stage.place.call("run", "job").returncode == 0
    assert lines(stage, "marks") == ["job 1"]


# catching up


@pytest.mark.parametrize(("catchup", "starts"), [("none", 0), ("last", 1), ("all", 5)])
def test_what_was_due_while_nobody_was_there_is_caught_up_with(stage: Stage, catchup: str, starts: int) -> None:
    stage.jobs(f"#: name=job start-within=1s catchup={catchup}\n@every 100d {NOTE}\n".replace("100d", "10m"))
    stage.place.call("run")
    (stage.root / "marks").unlink(missing_ok=True)
    period = 600_000
    with closing(sqlite3.connect(stage.place.state / "ledger.sqlite3")) as book, book:
        (mark,) = book.execute("SELECT next_fire FROM marks").fetchone()
        first = mark - 5 * period
        book.execute("DELETE FROM fires")
        book.execute("UPDATE marks SET watermark = ?1 - 1, next_fire = ?1, next_start = ?1", (first,))
    assert stage.place.call("run").returncode == 0
    assert len(lines(stage, "marks")) == starts
    fires = ledger.fires(stage.place.state)
    assert sum(fire["count"] for fire in fires) == 5
    assert sum(fire["outcome"] == "ok" for fire in fires) == starts
    assert {fire["outcome"] for fire in fires} <= {"ok", "missed"}

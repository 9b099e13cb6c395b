"""The foreground: tells what happens, follows the schedules, and ends within its grace whatever its jobs do."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.processes import stat, wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OF_THE_C_LIBRARY = 0b11 << 31  # 32 and 33, which no program can set, nptl(7)
STUBBORN = "trap '' TERM; touch started; while :; do sleep 0.1; done"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def ends(stage: Stage, job: str = "%") -> set[tuple[str | None, ...]]:
    return {(run["state"], run["outcome"], run["reason"]) for run in ledger.runs(stage.place.state, job)}


def once(job: str, command: str, options: str = "") -> str:
    """A job that comes to its work once: its later runs find its mark and end."""
    return f"#: name={job} {options}\n@every 1s test -e {job}.once && exit 0; touch {job}.once; {command}\n"


def test_events_are_json_objects_in_the_order_of_what_happened(stage: Stage) -> None:
    stage.jobs("#: name=good\n@every 1s echo hello; printf 'no newline'\n#: name=bad\n@every 1s echo oh >&2; exit 3\n")
    with stage.foreground() as runner:
        assert stage.heard("ended", job="good")
        assert stage.heard("ended", job="bad")
        runner.terminate()
        assert runner.wait(60) == 0
    first, *_, before, last = stage.events()
    assert (first["event"], first["jobs"], first["pid"]) == ("runner-started", 2, runner.pid)
    assert first["state"] == str(stage.place.state)
    assert (before["event"], before["running"], last["event"], last["left"]) == (
        "runner-stopping", 0, "runner-stopped", 0,
    )  # fmt: skip
    run = stage.events("ended", job="good")[0]["run"]
    told = [each for each in stage.events() if each.get("run") == run]
    lines = [each["line"] for each in told if each["event"] == "output"]
    started, *_, ended = [each for each in told if each["event"] != "output"]
    assert lines == ["hello", "no newline"]
    assert (started["event"], ended["event"]) == ("started", "ended")
    assert datetime.fromisoformat(started["scheduled_at"]) <= datetime.fromisoformat(started["time"])
    assert (ended["outcome"], ended["exit_code"], ended["output_bytes"]) == ("ok", 0, 16)
    failed = stage.events("ended", job="bad")[0]
    assert (failed["outcome"], failed["reason"], failed["exit_code"]) == ("failed", "exit", 3)
    assert stage.err == ""


def test_as_text_every_line_says_whose_it_is(stage: Stage) -> None:
    stage.jobs(once("job", r"printf '\033[2Jone\ntwo'; exit 3"))
    with stage.start("--foreground", stdout=subprocess.PIPE) as runner:
        assert wait_until(lambda: ("ended", "failed", "exit") in ends(stage))
        runner.terminate()
        text = runner.communicate(timeout=60)[0].decode()
    lines = text.splitlines()
    assert runner.returncode == 0
    assert "runjobs follows 1 job (pid " in lines[0]
    assert [line for line in lines if line.startswith("job | ")][:2] == ["job | \x1b[2Jone", "job | two"]
    assert any(" job: started (run " in line for line in lines)
    assert any(" job: failed: exit code 3, after " in line for line in lines)
    assert lines[-2].endswith("stopping, 0 jobs running")
    assert lines[-1].endswith("stopped")


def test_every_second_is_every_second(stage: Stage) -> None:
    stage.jobs("#: name=tick\n@every 1s true\n")
    with stage.foreground() as runner:
        assert wait_until(lambda: len(stage.events("ended")) >= 4)
        runner.terminate()
        assert runner.wait(60) == 0
    fires = [fire["scheduled_at"] for fire in ledger.fires(stage.place.state)]
    assert fires == list(range(fires[0], fires[-1] + 1, 1000))
    assert ends(stage) == {("ended", "ok", "")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_told_to_stop_with_nothing_running_it_ends_with_0(stage: Stage, number: signal.Signals) -> None:
    stage.jobs("#: name=leap\n0 0 29 2 * true\n")
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        runner.send_signal(number)
        assert runner.wait(60) == 0
    assert stage.members() == []


def test_within_the_grace_a_job_may_end_by_itself(stage: Stage) -> None:
    stage.jobs(once("job", "touch started; until test -e release; do sleep 0.05; done; exit 4"))
    with stage.foreground("--grace", "1m") as runner:
        assert stage.exists("started")
        runner.terminate()
        assert stage.heard("runner-stopping", running=1)
        (stage.root / "release").touch()
        assert runner.wait(60) == 0
    assert ends(stage) == {("ended", "failed", "exit")}


def test_a_runner_that_is_told_to_stop_fires_no_more(stage: Stage) -> None:
    stage.jobs(f"{once('job', 'touch started; sleep 2.5')}#: name=tick\n@every 1s true\n")
    with stage.foreground("--grace", "1m") as runner:
        assert stage.exists("started")
        runner.terminate()
        assert stage.heard("runner-stopping")
        count = len(ledger.fires(stage.place.state))
        assert runner.wait(60) == 0
    assert len(ledger.fires(stage.place.state)) == count


def test_jobs_that_do_not_end_are_told_to_and_then_killed_and_recorded(stage: Stage) -> None:
    obedient = once("obedient", "(setsid sleep 1000 &); sleep 1000")
    stage.jobs(
        obedient + once("stubborn", STUBBORN) + once("deaf", f'nohup sh -c "{STUBBORN.replace("started", "d")}"')
    )
    with stage.foreground("--grace", "2s") as runner:
        assert stage.exists("started")
        assert stage.exists("d")
        runner.terminate()
        assert runner.wait(60) == 0
        assert stage.events("runner-stopped", left=0)
    interrupted = {("ended", "interrupted", "shutdown")}
    assert [ends(stage, job) for job in ("obedient", "stubborn", "deaf")] == [interrupted] * 3
    (deaf,) = ledger.runs(stage.place.state, "deaf")
    assert "SIGKILL" in deaf["detail"]
    assert stage.members() == []


def test_a_second_signal_kills_at_once(stage: Stage) -> None:
    stage.jobs(once("job", STUBBORN, "kill-after=1h"))
    with stage.foreground("--grace", "1h") as runner:
        assert stage.exists("started")
        runner.terminate()
        assert stage.heard("runner-stopping")
        runner.terminate()
        assert runner.wait(60) == 0
    assert ends(stage) == {("ended", "interrupted", "shutdown")}
    assert stage.members() == []


def test_jobs_that_are_left_to_their_guards_go_on_and_their_ends_are_recorded(stage: Stage) -> None:
    stage.jobs(once("job", "touch started; until test -e release; do sleep 0.05; done; echo late; exit 7"))
    with stage.foreground("--on-stop", "leave") as runner:
        assert stage.exists("started")
        runner.terminate()
        assert runner.wait(60) == 0
    assert stage.events("runner-stopped", left=1)
    assert ends(stage) == {("running", None, None)}
    (stage.root / "release").touch()
    assert wait_until(lambda: ends(stage) == {("ended", "failed", "exit")})
    (run,) = ledger.runs(stage.place.state)
    assert (run["exit_code"], run["output_bytes"]) == (7, 5)
    assert wait_until(lambda: not stage.members())


def test_a_job_has_the_limit_of_files_that_the_runner_was_given(stage: Stage) -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 5000)
    stage.jobs(once("job", "ulimit -S -n >soft; ulimit -H -n >hard; cat /proc/$PPID/limits >limits"))

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (321, hard))

    with stage.foreground(preexec_fn=limit) as runner:
        assert stage.heard("ended", job="job")
        with open(f"/proc/{runner.pid}/limits", encoding="ascii") as file:
            raised = next(line.split()[3:5] for line in file if line.startswith("Max open files"))
    assert raised == [str(hard)] * 2
    assert [(stage.root / name).read_text().strip() for name in ("soft", "hard")] == ["321", str(hard)]


def test_a_job_starts_with_nothing_ignored_nothing_held_back_and_nothing_open(stage: Stage) -> None:
    stage.jobs(once("job", "grep -E '^(SigIgn|SigBlk|SigPnd)' /proc/self/status >signals; ls -l /proc/self/fd >files"))

    def ignore() -> None:
        for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGALRM])

    with stage.foreground(preexec_fn=ignore):
        assert stage.heard("ended", job="job", outcome="ok")
    masks = [int(line.split()[1], 16) for line in (stage.root / "signals").read_text().splitlines()]
    assert [mask & ~OF_THE_C_LIBRARY for mask in masks] == [0, 0, 0]
    listed = [line.split()[-3] for line in (stage.root / "files").read_text().splitlines() if "->" in line]
    assert set(listed) <= {"0", "1", "2", "3"}  # 3 is the folder that ls reads


def test_a_reader_that_stalls_holds_no_job_up(stage: Stage) -> None:
    stage.jobs(once("loud", "seq 300000") + "#: name=tick\n@every 1s echo tick >>ticks\n")
    with stage.foreground(stdout=subprocess.PIPE) as runner:
        assert wait_until(lambda: ("ended", "ok", "") in ends(stage, "loud"))
        assert stage.exists("ticks")
        count = len((stage.root / "ticks").read_text().split())
        assert wait_until(lambda: len((stage.root / "ticks").read_text().split()) >= count + 2)
        runner.terminate()
        assert runner.wait(60) == 0  # though nobody has read a byte
        assert runner.stdout is not None
        for line in runner.stdout.read().split(b"\n")[:-1]:
            json.loads(line)  # what was passed on are whole lines
    assert ("ended", "ok", "") in ends(stage, "tick")


def test_a_reader_that_is_gone_or_never_was_costs_nothing(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s echo hello; echo ran >>marks\n")
    with stage.foreground(stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        runner.stdout.close()
        assert wait_until(lambda: len(ledger.runs(stage.place.state)) >= 2)
        runner.terminate()
        assert runner.wait(60) == 0
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *stage.place.command("run", "--foreground")]
    count = len(ledger.runs(stage.place.state))
    environ = {"PYTHONPATH": os.pathsep.join(("", os.getcwd())), **os.environ}
    with subprocess.Popen(command, env=environ) as closed:
        assert wait_until(lambda: len(ledger.runs(stage.place.state)) >= count + 2)
        closed.terminate()
        assert closed.wait(60) == 0
    assert {outcome for _, outcome, _ in ends(stage)} <= {"ok", "interrupted"}
    assert stage.err == ""


def test_a_child_that_stays_behind_ends_no_run_late_and_is_named(stage: Stage) -> None:
    stage.jobs(once("job", "sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; echo done"))
    with stage.foreground() as runner:
        assert stage.heard("ended", job="job", outcome="ok")
        runner.terminate()
        assert runner.wait(60) == 0
    first = stage.events("ended", job="job")[0]
    assert [name for _, name in first["leftovers"]] == ["sleep"]
    left = [found.name for pid in stage.members() if (found := stat(pid))]
    assert "sleep" in left  # leftovers=keep leaves it alone, and so does a stop


def test_leftovers_are_killed_where_that_is_wanted(stage: Stage) -> None:
    stage.jobs(once("job", "sleep 1000 & (setsid sleep 1000 &) ; exit 0", "leftovers=kill"))
    with stage.foreground() as runner:
        assert stage.heard("ended", job="job", outcome="ok")
        runner.terminate()
        assert runner.wait(60) == 0
    assert wait_until(lambda: not stage.members(), 20)


def test_a_job_that_is_still_running_when_it_is_due_again_is_skipped_and_told(stage: Stage) -> None:
    stage.jobs("#: name=slow\n@every 1s sleep 1.5\n")
    with stage.foreground():
        assert stage.heard("skipped", job="slow", reason="overlap")
    skip = stage.events("skipped")[0]
    started = stage.events("started")[0]
    assert f"held by run {started['run']} of slow" in skip["detail"]


def test_runs_may_overlap_where_that_is_allowed(stage: Stage) -> None:
    stage.jobs(
        "#: name=job overlap=allow\n@every 1s until test -e release; do sleep 0.1; done\n"
        "#: name=job.2\n@every 1s true\n"  # not what the second run of the other is locked by
    )
    with stage.foreground() as runner:
        assert wait_until(lambda: len(stage.events("started", job="job")) >= 3)
        assert not stage.events("ended", job="job")
        assert not stage.events("skipped")
        assert stage.events("ended", job="job.2", outcome="ok")
        (stage.root / "release").touch()
        assert wait_until(lambda: len(stage.events("ended", job="job", outcome="ok")) >= 3)
        runner.terminate()
        assert runner.wait(60) == 0


def test_jobs_that_share_a_lock_never_run_at_once(stage: Stage) -> None:
    stage.jobs(
        "#: name=a lock=database\n@every 2s touch a.started; until test -e release; do sleep 0.1; done\n"
        "#: name=b lock=database\n@every 1s touch b.started; until test -e release; do sleep 0.1; done\n"
    )
    with stage.foreground():
        assert stage.heard("skipped", reason="overlap")
        assert stage.heard("started")  # it may be told after the skip
        holder, waiting = ("a", "b") if stage.events("started", job="a") else ("b", "a")
        assert stage.heard("skipped", job=waiting)
        assert not (stage.root / f"{waiting}.started").exists()
        detail = stage.events("skipped", job=waiting)[0]["detail"]
        assert detail.startswith("the lock database is held by run ")
        assert f" of {holder} (pid " in detail
        (stage.root / "release").touch()
        assert stage.exists(f"{waiting}.started")


def test_options_of_the_foreground_that_can_not_be_are_usage_errors(stage: Stage) -> None:
    stage.jobs("")
    for words in (["--grace", "soon"], ["--on-stop", "maybe"], ["--log-format", "xml"], ["job"]):
        ended = stage.place.call("run", "--foreground", *words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "try: " in ended.stderr

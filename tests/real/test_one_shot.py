"""One pass, as the system's cron calls it: silent when all is well, a summary and exit 1 otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger, namespaces
from tests.real.support.command_line import environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BAD = 78


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def outcomes(stage: Stage, job: str = "%") -> list[tuple[str, str, str]]:
    return [(fire["state"], fire["outcome"], fire["reason"]) for fire in ledger.fires(stage.place.state, job)]


def files(stage: Stage) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in stage.place.state.glob("ledger.sqlite3*") if "shm" not in path.name
    }


def test_it_is_silent_when_all_is_well(stage: Stage) -> None:
    stage.jobs("#: name=well\n* * * * * echo hello; echo there >&2; touch ran\n")
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (stage.root / "ran").exists()
    assert ("ended", "ok", "") in outcomes(stage)
    (run,) = ledger.runs(stage.place.state)
    assert (stage.place.state / run["log"]).read_text() == "hello\nthere\n"
    assert (run["exit_code"], run["signal"], run["output_bytes"]) == (0, None, 12)


def test_it_waits_for_its_runs_to_end(stage: Stage) -> None:
    stage.jobs("#: name=slow\n* * * * * sleep 1; touch ran\n")
    assert stage.place.call("run").returncode == 0
    assert (stage.root / "ran").exists()
    assert stage.members() == []


def test_a_job_that_failed_is_told_on_stderr_with_the_tail_of_its_output(stage: Stage) -> None:
    stage.jobs(
        "#: name=bad\n* * * * * seq 1000; printf 'disk \\033[31mfull' >&2; exit 3\n#: name=well\n* * * * * echo fine\n"
    )
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stdout) == (1, "")
    first, *tail, way_on = ended.stderr.splitlines()
    assert first.startswith("runjobs: bad: failed: exit code 3, after ")
    assert way_on == "  try: runjobs why bad"
    assert [line.strip() for line in tail[:-2]] == [f"| {number}" for number in range(982, 1001)]
    assert tail[-2] == "  | disk \\x1b[31mfull"  # what a terminal would obey is shown instead
    assert tail[-1].endswith(".log")
    assert "fine" not in ended.stderr
    assert outcomes(stage, "bad") == [("ended", "failed", "exit")]


@pytest.mark.parametrize(
    ("command", "options", "said", "reason"),
    [
        ("kill -9 $$", "", "bad: failed: ended by signal 9", ("failed", "signal")),
        ("exec sleep 1000", "timeout=300ms", "bad: timeout: ran longer than 300ms", ("timeout", "timeout")),
        ("true", "cwd=/no/such/folder", "bad: error: /no/such/folder: No such file", ("error", "cwd")),
        ("true", "env-file=/no/such/file", "bad: error: /no/such/file: No such file", ("error", "env-file")),
    ],
)
def test_the_summary_says_how_it_went_wrong(
    stage: Stage, command: str, options: str, said: str, reason: tuple[str, str]
) -> None:
    stage.jobs(f"#: name=bad {options}\n* * * * * {command}\n")
    ended = stage.place.call("run")
    assert ended.returncode == 1
    assert said in ended.stderr
    assert outcomes(stage) == [("ended", *reason)]


def test_a_shell_that_is_not_there_is_an_error(stage: Stage) -> None:
    stage.jobs("SHELL=/no/such/shell\n#: name=bad\n* * * * * true\n")
    ended = stage.place.call("run")
    assert ended.returncode == 1
    assert "bad: error: /no/such/shell: No such file" in ended.stderr
    assert outcomes(stage) == [("ended", "error", "shell")]


def test_where_nothing_is_due_nothing_is_written(stage: Stage) -> None:
    stage.jobs(
        "#: name=leap\n0 0 29 2 * touch ran\n#: name=boot\n@reboot touch ran\n#: name=off enabled=no\n* * * * * x\n"
    )
    assert stage.place.call("run").returncode == 0  # it takes note of the jobs that are new
    before = files(stage)
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert files(stage) == before
    assert not (stage.root / "ran").exists() or outcomes(stage, "boot")  # on a machine that was started just now


def test_no_jobs_at_all_are_no_problem(stage: Stage) -> None:
    stage.jobs("")
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_skip_is_no_failure_and_its_record_names_the_holder(stage: Stage) -> None:
    stage.jobs("#: name=long\n@every 1s touch started; until test -e release; do sleep 0.1; done\n")
    with stage.start("long") as holder:
        assert stage.exists("started")
        ended = stage.place.call("run")
        (run,) = ledger.runs(stage.place.state, "long")
        (stage.root / "release").touch()
        assert holder.wait(60) == 0
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    (skipped,) = [fire for fire in ledger.fires(stage.place.state) if fire["outcome"] == "skipped"]
    assert skipped["reason"] == "overlap"
    since = skipped["detail"].rpartition(" since ")[2]
    assert skipped["detail"].startswith(f"the lock long is held by run {run['id']} of long (pid {run['guard_pid']})")
    assert since.endswith("+00:00")


def test_mistakes_are_told_once_and_not_in_each_pass(stage: Stage) -> None:
    stage.jobs("#: name=good\n@every 1s touch ran\n")
    bad = stage.place.write("zz", "61 * * * * true\n")
    first, second = stage.place.call("run"), stage.place.call("run")
    assert [ended.returncode for ended in (first, second)] == [BAD, BAD]
    assert "zz:1:1: error" in first.stderr
    assert second.stderr == ""
    assert (stage.root / "ran").exists()
    bad.write_text("62 * * * * true\n")
    assert "minute 62" in stage.place.call("run").stderr  # another mistake is news
    bad.unlink()
    assert (stage.place.call("run").returncode, stage.place.call("run").stderr) == (0, "")


def test_a_mistake_that_was_mended_and_made_again_is_news(stage: Stage) -> None:
    stage.jobs("")
    bad = stage.place.write("zz", "61 * * * * true\n")
    assert stage.place.call("run").stderr
    bad.write_text("")
    stage.place.call("run")
    bad.write_text("61 * * * * true\n")
    assert stage.place.call("run").stderr


def test_a_failure_weighs_more_than_a_mistake(stage: Stage) -> None:
    stage.jobs("#: name=bad\n* * * * * exit 3\n")
    stage.place.write("zz", "61 * * * * true\n")
    assert stage.place.call("run").returncode == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]
)
def test_a_signal_stops_the_runs_and_the_exit_code_says_which(stage: Stage, number: signal.Signals, code: int) -> None:
    names = ("one", "two")
    stage.jobs("".join(f"#: name={name}\n* * * * * touch {name}; sleep 1000 & sleep 1000\n" for name in names))
    with stage.start(stderr=subprocess.PIPE) as runner:
        assert all(stage.exists(name) for name in names)
        runner.send_signal(number)
        _, said = runner.communicate(timeout=60)
    assert runner.returncode == code
    how = ("interrupted", "shutdown") if number is signal.SIGTERM else ("stopped", "person")
    assert outcomes(stage) == [("ended", *how)] * 2
    assert f"by {number.name}" in said.decode()
    assert wait_until(lambda: not stage.members(), 20)


def test_a_second_signal_kills_at_once(stage: Stage) -> None:
    stage.jobs("#: name=stubborn kill-after=1h\n* * * * * trap '' TERM; touch ran; while :; do sleep 0.1; done\n")
    with stage.start() as runner:
        assert stage.exists("ran")
        runner.terminate()
        assert not wait_until(lambda: runner.poll() is not None, 0.5)
        runner.terminate()
        assert runner.wait(60) == 143
    assert outcomes(stage) == [("ended", "interrupted", "shutdown")]
    assert wait_until(lambda: not stage.members(), 20)


def test_a_signal_while_many_runs_are_being_started_stops_them_all(stage: Stage) -> None:
    stage.jobs("".join(f"#: name=job{number}\n* * * * * touch ran; exec sleep 1000\n" for number in range(120)))
    with stage.start() as runner:
        assert stage.exists("ran")
        runner.terminate()
        assert runner.wait(120) == 143
    assert {outcome for _, outcome, _ in outcomes(stage)} == {"interrupted"}
    assert len(outcomes(stage)) == 120
    assert wait_until(lambda: not stage.members(), 20)


def test_fires_that_found_no_runner_are_missed_and_told(stage: Stage) -> None:
    stage.jobs("#: name=job start-within=1ms\n@every 1s touch ran\n")
    assert wait_until(lambda: _told_of_a_miss(stage))
    missed = [fire for fire in ledger.fires(stage.place.state) if fire["outcome"] == "missed"]
    assert {fire["reason"] for fire in missed} == {"down"}
    assert all(fire["count"] >= 1 and fire["last_at"] >= fire["scheduled_at"] for fire in missed)


def _told_of_a_miss(stage: Stage) -> bool:
    ended = stage.place.call("run")
    assert ended.returncode == 0
    return "runjobs: " in ended.stderr and "missed" in ended.stderr and "(down)" in ended.stderr


def test_of_several_due_fires_the_newest_starts_and_the_others_are_superseded_in_silence(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s echo $RUNJOBS_SCHEDULED_AT >>ran\n")
    stage.place.call("run")
    assert wait_until(lambda: _call(stage) and len((stage.root / "ran").read_text().split()) >= 2)
    ok = [fire for fire in ledger.fires(stage.place.state) if fire["outcome"] == "ok"]
    rest = [fire for fire in ledger.fires(stage.place.state) if fire["outcome"] != "ok"]
    assert len(ok) == len((stage.root / "ran").read_text().split())
    assert {(fire["outcome"], fire["reason"]) for fire in rest} <= {("missed", "superseded")}


def _call(stage: Stage) -> bool:
    ended = stage.place.call("run")
    assert (ended.returncode, ended.stderr) == (0, "")
    return True


def test_the_longest_name_with_the_most_slashes_runs(stage: Stage) -> None:
    name = "a/" * 99 + "aa"
    stage.jobs(f"#: name={name} lock={name}\n* * * * * touch ran; exit 3\n")
    assert stage.place.call("run").returncode == 1
    assert (stage.root / "ran").exists()


def test_a_job_finds_in_its_environment_who_and_when_it_is_and_none_of_our_settings(stage: Stage) -> None:
    stage.jobs("#: name=who\n0 0 29 2 * env\n")
    environ = {"RUNJOBS_CWD": "/", "RUNJOBS_SECRET": "s"}
    command = ["env", *(f"{key}={value}" for key, value in environ.items()), *stage.place.command("run", "who")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment()).stdout
    ours = dict(line.split("=", 1) for line in said.splitlines() if line.startswith("RUNJOBS_"))
    (run,) = ledger.runs(stage.place.state)
    assert (ours["RUNJOBS_JOB"], ours["RUNJOBS_RUN_ID"], ours["RUNJOBS_ATTEMPT"]) == ("who", run["id"], "1")
    assert set(ours) == {"RUNJOBS_JOB", "RUNJOBS_RUN_ID", "RUNJOBS_ATTEMPT", "RUNJOBS_SCHEDULED_AT"}


FULL_DISK = """
mount -t tmpfs -o size=600k,mode=700 tmpfs "$0" || exit
"$@"; echo $?
dd if=/dev/zero of="$0/ballast" bs=4k 2>/dev/null
"$@"; echo $?
rm "$0/ballast"
until test -e new; do "$@"; done; echo $?
cp "$0"/ledger.sqlite3* .
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
def test_a_full_disk_is_told_and_once_there_is_room_all_goes_on(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s test -e ran && touch new; touch ran\n")
    stage.place.state.mkdir(mode=0o700)
    script = ["sh", "-c", FULL_DISK, str(stage.place.state), *stage.place.command("run")]
    ended = subprocess.run(
        namespaces.as_pid_1(script), cwd=stage.root, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stdout.split() == ["0", "0", "0"]
    assert ended.stderr.count(f"the ledger {stage.place.state}/ledger.sqlite3 can't be used: ") == 1
    assert "Traceback" not in ended.stderr
    assert {fire["state"] for fire in ledger.fires(stage.root)} == {"ended"}


def test_of_two_jobs_with_one_lock_that_are_due_at_once_the_second_is_told_who_was_first(stage: Stage) -> None:
    stage.jobs("#: name=a lock=db\n* * * * * touch a\n#: name=b lock=db\n* * * * * touch b\n")
    assert stage.place.call("run", "b").returncode == 0  # the lock's record tells of this run from now on
    (stage.root / "b").unlink()
    assert stage.place.call("run").returncode == 0
    (holder,) = ledger.runs(stage.place.state, "a")
    (skipped,) = [fire for fire in ledger.fires(stage.place.state, "b") if fire["outcome"] == "skipped"]
    assert skipped["detail"].startswith(f"the lock db is held by run {holder['id']} of a (pid ")
    assert not (stage.root / "b").exists()


def test_a_lock_file_that_can_be_none_is_an_error_of_its_job_alone(stage: Stage) -> None:
    stage.jobs("#: name=bad\n* * * * * touch bad\n#: name=well\n* * * * * touch well\n")
    (stage.place.state / "locks").mkdir(parents=True, mode=0o700)
    os.mkfifo(stage.place.state / "locks" / "job.bad")
    stage.place.state.chmod(0o700)
    ended, asked = stage.place.call("run"), stage.place.call("run", "bad")
    assert (ended.returncode, asked.returncode) == (1, 126)
    assert "bad: error: its lock can't be taken" in ended.stderr
    assert "its lock can't be taken" in asked.stderr
    assert (stage.root / "well").exists()
    assert not (stage.root / "bad").exists()
    assert set(outcomes(stage, "bad")) == {("ended", "error", "lock")}

"""`runjobs run JOB`: its output untouched, its own exit code, and Ctrl-C that stops all of it."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CTRL_C = b"\x03"
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def never(**commands: str) -> str:
    """A jobs file with jobs that are not due in years."""
    return "".join(f"#: name={name}\n0 0 29 2 * {command}\n" for name, command in commands.items())


def bytes_of(stage: Stage, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = stage.place.command("run", *words)
    return subprocess.run(
        command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
    )


def test_both_streams_are_passed_on_apart_and_untouched(stage: Stage) -> None:
    stage.jobs(never(job=r"printf '\0\377out\r\n\033[1mno newline'; printf 'err\200' >&2"))
    ended = bytes_of(stage, "job")
    assert ended.returncode == 0
    assert ended.stdout == b"\0\xffout\r\n\x1b[1mno newline"
    assert ended.stderr == b"err\x80"


def test_a_lot_of_output_arrives_whole_and_the_log_holds_its_ends(stage: Stage) -> None:
    stage.jobs("#: name=job log-limit=64k\n0 0 29 2 * seq 1000000\n")
    ended = bytes_of(stage, "job")
    assert ended.stdout == b"".join(b"%d\n" % number for number in range(1, 1_000_001))
    (run,) = ledger.runs(stage.place.state)
    assert run["output_bytes"] == len(ended.stdout)
    assert run["dropped_bytes"] > 6_000_000
    kept = sum(path.stat().st_size for path in (stage.place.state / "logs" / "job").iterdir())
    assert kept < 2 * 64_000


def test_its_input_is_empty_or_what_follows_the_percent_sign(stage: Stage) -> None:
    stage.jobs(never(empty="cat; echo end", given="cat%one%two"))
    assert bytes_of(stage, "empty").stdout == b"end\n"
    assert bytes_of(stage, "given").stdout == b"one\ntwo\n"


@pytest.mark.parametrize("code", [0, 1, 3, 75, 126, 255])
def test_the_jobs_own_exit_code_is_passed_on(stage: Stage, code: int) -> None:
    stage.jobs(never(job=f"exit {code}"))
    ended = bytes_of(stage, "job")
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, b"", b"")


def test_a_command_that_is_not_there_is_127_and_the_shell_says_so(stage: Stage) -> None:
    stage.jobs(never(job="nosuchcommand"))
    ended = bytes_of(stage, "job")
    assert ended.returncode == 127
    assert b"nosuchcommand" in ended.stderr


def test_a_code_that_counts_as_success_is_0(stage: Stage) -> None:
    stage.jobs("#: name=job success-codes=0,3\n0 0 29 2 * exit 3\n")
    assert bytes_of(stage, "job").returncode == 0
    assert [(run["outcome"], run["exit_code"]) for run in ledger.runs(stage.place.state)] == [("ok", 3)]


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("KILL", 9), ("INT", 2), ("SEGV", 11)])
def test_a_job_that_a_signal_ended_is_128_and_its_number(stage: Stage, name: str, number: int) -> None:
    stage.jobs(never(job=f"ulimit -c 0; kill -{name} $$"))
    ended = bytes_of(stage, "job")
    assert ended.returncode == 128 + number
    assert f"job failed: ended by signal {number}" in ended.stderr.decode()
    assert [(run["outcome"], run["reason"]) for run in ledger.runs(stage.place.state)] == [("failed", "signal")]


def test_a_job_that_takes_too_long_is_124_and_nothing_of_it_is_left(stage: Stage) -> None:
    stage.jobs("#: name=job timeout=300ms\n0 0 29 2 * sleep 1000 & setsid sleep 1000 & exec sleep 1000\n")
    ended = bytes_of(stage, "job")
    assert ended.returncode == 124
    assert "job timeout: ran longer than 300ms" in ended.stderr.decode()
    assert stage.members() == []


def test_a_job_that_runs_already_is_75_and_its_holder_is_named(stage: Stage) -> None:
    stage.jobs(never(job="touch started; until test -e release; do sleep 0.1; done", other="exit 4"))
    with stage.start("job") as holder:
        assert stage.exists("started")
        ended = bytes_of(stage, "job")
        both = bytes_of(stage, "other", "job")
        (stage.root / "release").touch()
        assert holder.wait(60) == 0
    run = next(run for run in ledger.runs(stage.place.state, "job") if run["outcome"] == "ok")
    assert (ended.returncode, ended.stdout) == (75, b"")
    assert f"job is not started: the lock job is held by run {run['id']} of job" in ended.stderr.decode()
    assert both.returncode == 4  # of several the first that was not well
    skips = [fire for fire in ledger.fires(stage.place.state, "job") if fire["outcome"] == "skipped"]
    assert [(skip["trigger"], skip["reason"]) for skip in skips] == [("manual", "overlap")] * 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("cwd=/no/such/folder", "/no/such/folder: No such file or directory"),
        ("user=nosuchuser", "there is no user nosuchuser"),
        ("env-file=/no/such/file", "/no/such/file: No such file or directory"),
        ("env-file=/", "/: "),
    ],
)
def test_a_job_that_cannot_be_started_is_126_and_it_says_why(stage: Stage, options: str, said: str) -> None:
    stage.jobs(f"#: name=job {options}\n0 0 29 2 * echo started\n")
    ended = bytes_of(stage, "job")
    assert (ended.returncode, ended.stdout) == (126, b"")
    assert f"job error: {said}" in ended.stderr.decode()
    assert [run["outcome"] for run in ledger.runs(stage.place.state)] == ["error"]


@pytest.mark.skipif(IS_ROOT, reason="root may become anybody")
def test_who_is_not_root_cannot_run_a_job_as_another_user(stage: Stage) -> None:
    stage.jobs("#: name=job user=root\n0 0 29 2 * id\n")
    ended = bytes_of(stage, "job")
    assert ended.returncode == 126
    assert "only root can run a job as root" in ended.stderr.decode()


@pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")
def test_a_job_of_another_user_has_that_users_groups_alone(stage: Stage) -> None:
    stage.jobs("#: name=job user=nobody cwd=/\n0 0 29 2 * id -un; id -Gn; echo $USER $LOGNAME\n")
    assert bytes_of(stage, "job").stdout == b"nobody\nnogroup\nnobody nobody\n"


def test_several_jobs_run_in_the_order_given_and_one_that_fails_stops_no_other(stage: Stage) -> None:
    stage.jobs(never(a="echo a", b="echo b; exit 3", c="echo c; exit 4"))
    ended = bytes_of(stage, "c", "a", "b", "a")
    assert (ended.returncode, ended.stdout) == (4, b"c\na\nb\na\n")
    assert len(ledger.runs(stage.place.state)) == 4


def test_a_job_that_is_not_there_is_a_usage_error_that_names_the_nearest(stage: Stage) -> None:
    stage.jobs(never(backup="touch ran", report="touch ran"))
    ended = bytes_of(stage, "report", "bakcup")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"there is no job 'bakcup'" in ended.stderr
    assert b"try: runjobs run backup" in ended.stderr
    assert not (stage.root / "ran").exists()  # not even the one that there is
    assert b"runjobs list" in bytes_of(stage, "zzzzz").stderr


def test_a_job_that_is_switched_off_runs_when_a_person_asks_for_it(stage: Stage) -> None:
    stage.jobs("#: name=job enabled=no\n* * * * * echo here\n")
    assert bytes_of(stage, "job").stdout == b"here\n"


def test_a_reader_that_goes_away_costs_the_job_nothing(stage: Stage) -> None:
    stage.jobs(never(job="seq 200000; exit 3"))
    with stage.start("job", stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == b"1\n"
        runner.stdout.close()
        assert runner.wait(60) == 3
    (run,) = ledger.runs(stage.place.state)
    assert (run["outcome"], run["exit_code"]) == ("failed", 3)
    assert run["output_bytes"] == len("".join(f"{number}\n" for number in range(1, 200_001)))
    assert "Traceback" not in stage.err


def test_a_slow_reader_slows_the_job_down_and_loses_nothing(stage: Stage) -> None:
    stage.jobs(never(job="seq 500000; touch written"))
    with stage.start("job", stdout=subprocess.PIPE) as runner:
        assert runner.stdout is not None
        assert wait_until(lambda: ledger.runs(stage.place.state))
        assert not wait_until((stage.root / "written").exists, 0.5)
        text = runner.stdout.read()
        assert runner.wait(60) == 0
    assert text.split(b"\n")[-2] == b"500000"
    assert len(text) == len("".join(f"{number}\n" for number in range(1, 500_001)))


def test_a_child_that_stays_behind_keeps_nobody_waiting(stage: Stage) -> None:
    stage.jobs(never(job="sleep 1000 & until grep -q sleep /proc/$!/comm; do :; done; echo done"))
    ended = bytes_of(stage, "job")
    assert (ended.returncode, ended.stdout) == (0, b"done\n")
    (run,) = ledger.runs(stage.place.state)
    assert "sleep" in run["leftovers"]


class Terminal:
    """`runjobs run WORDS` as the foreground process group of a terminal of its own."""

    def __init__(self, stage: Stage, *words: str) -> None:
        command = stage.place.command("run", *words)
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment())
        self.shown = b""

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.fd, keys)

    def read_to_the_end(self) -> int:
        """Read until nobody writes any more; the exit code of the runner."""
        while True:
            try:
                data = os.read(self.fd, 4096)
            except OSError:  # EIO: everybody has left the terminal
                break
            if not data:
                break
            self.shown += data
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_ctrl_c_stops_the_whole_tree_and_is_130(stage: Stage) -> None:
    stage.jobs(
        never(job="sleep 1000 | sleep 1000 & (setsid sleep 1000 &); touch started; sleep 1000", other="touch ran")
    )
    terminal = Terminal(stage, "job", "other")
    assert stage.exists("started")
    terminal.type(CTRL_C)
    assert terminal.read_to_the_end() == 130
    assert b"stopped by SIGINT" in terminal.shown
    assert wait_until(lambda: not stage.members(), 20)
    (run,) = ledger.runs(stage.place.state)
    assert (run["outcome"], run["reason"]) == ("stopped", "person")
    assert not (stage.root / "ran").exists()  # the jobs that were to follow don't


def test_a_job_that_ignores_it_has_its_time_and_a_second_ctrl_c_kills_at_once(stage: Stage) -> None:
    stage.jobs(
        "#: name=job kill-after=1h\n"
        "0 0 29 2 * trap 'touch asked' TERM; trap '' INT; touch started; while :; do sleep 0.1; done\n"
    )
    terminal = Terminal(stage, "job")
    assert stage.exists("started")
    terminal.type(CTRL_C)
    assert stage.exists("asked")
    assert len(stage.members()) >= 3
    terminal.type(CTRL_C)
    assert terminal.read_to_the_end() == 130
    assert wait_until(lambda: not stage.members(), 20)
    (run,) = ledger.runs(stage.place.state)
    assert (run["outcome"], run["signal"]) == ("stopped", 9)


def test_output_to_a_terminal_is_the_jobs_alone(stage: Stage) -> None:
    stage.jobs(never(job=r"printf '\033[1mbold\033[0m'; test -t 1 && echo terminal; exit 5"))
    terminal = Terminal(stage, "job")
    assert terminal.read_to_the_end() == 5
    assert terminal.shown == b"\x1b[1mbold\x1b[0m"


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ("success-codes=1", "exit 0"),
        ("", "trap 'exit 0' TERM; kill -TERM $(cut -d' ' -f4 /proc/$$/stat); sleep 100 & wait"),
    ],
    ids=["a failure by success-codes", "stopped through its guard"],
)
def test_a_run_that_is_not_ok_is_no_success_though_its_code_is_0(stage: Stage, options: str, command: str) -> None:
    stage.jobs(f"#: name=job {options}\n0 0 29 2 * {command}\n")
    assert stage.place.call("run", "job").returncode == 1


def test_a_pass_lets_go_of_what_is_past_keeping(stage: Stage) -> None:
    stage.jobs("#: name=job history=2\n0 0 29 2 * true\n")
    for _ in range(4):
        assert stage.place.call("run", "job").returncode == 0
    fires = ledger.fires(stage.place.state)
    assert [fire["outcome"] for fire in fires] == ["ok", "ok"]
    assert len(ledger.runs(stage.place.state)) == 2

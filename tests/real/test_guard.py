"""A guard from start to end: what the job is given, what is recorded, and who records it."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from runjobs.adapters import locks
from runjobs.guard import Stop
from runjobs.guard.orders import order_of
from tests.real.support.guarding import output_of, run, running, wait_gone
from tests.real.support.processes import wait_until

BOTH = pytest.mark.parametrize("starter", [False, True], ids=["started by the guard", "started by a starter"])
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


@BOTH
@pytest.mark.parametrize(("command", "expected"), [("exit 0", ("ok", 0)), ("exit 3", ("failed", 3))])
def test_the_exit_code_decides(command: str, expected: tuple[str, int], starter: bool) -> None:
    end = run(command, starter=starter)
    assert (end.outcome, end.exit_code) == expected


def test_success_codes_are_the_jobs_to_say() -> None:
    assert run("exit 3", options={"success_codes": [0, 3]}).outcome == "ok"


def test_a_signal_is_told_from_an_exit_code() -> None:
    end = run("kill -SEGV $$")
    assert (end.outcome, end.reason, end.exit_code, end.signal) == ("failed", "signal", None, signal.SIGSEGV)


@BOTH
def test_a_bare_exit_code_survives_an_inherited_ignored_sigchld(starter: bool) -> None:
    end = run("exit 3", before=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), starter=starter)
    assert (end.outcome, end.exit_code) == ("failed", 3)


@BOTH
def test_a_job_starts_with_default_signals_and_holds_none_back(starter: bool, tmp_path: Path) -> None:
    def worsen() -> None:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGTTOU, signal.SIGRTMIN):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGUSR2})

    text = output_of("cat /proc/self/status", tmp_path / "log", before=worsen, starter=starter)
    lines = [line.split() for line in text.splitlines() if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
    sets = {name: int(bits, 16) for name, bits in lines}
    of_glibc = 1 << 31 | 1 << 32  # its own two signals, which its posix_spawn(3) leaves ignored
    assert (sets["SigBlk:"], sets["SigIgn:"] & ~of_glibc, sets["SigCgt:"]) == (0, 0, 0)


@BOTH
def test_a_job_gets_the_limit_of_open_files_that_the_runner_was_given(starter: bool, tmp_path: Path) -> None:
    text = output_of("ulimit -Sn; ulimit -Hn", tmp_path / "log", nofile=(200, 300), starter=starter)
    assert text.split() == ["200", "300"]


@BOTH
def test_a_job_gets_three_descriptors_and_nothing_of_ours(starter: bool, tmp_path: Path) -> None:
    told: dict[str, Any] = {"lock": str(tmp_path / "lock"), "starter": starter}
    text = output_of("ls -l /proc/self/fd | sed -n 's/.* \\([0-9]* -> .*\\)/\\1/p'", tmp_path / "log", **told)
    lines = text.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1", "2", "3"]  # 3 is the folder that ls reads
    assert lines[0] == "0 -> /dev/null"
    assert "/proc/" in lines[3]


@BOTH
def test_a_job_leads_a_session_of_its_own(starter: bool, tmp_path: Path) -> None:
    text = output_of("echo $$ $(cut -d' ' -f6 /proc/$$/stat)", tmp_path / "log", starter=starter)
    pid, session = text.split()
    assert pid == session


@BOTH
@pytest.mark.parametrize(("stdin", "expected"), [(None, ""), ("one\ntwo", "one\ntwo"), ("x" * 300_000, "x" * 300_000)])
def test_standard_input_is_what_follows_the_percent_sign(
    stdin: str | None, expected: str, starter: bool, tmp_path: Path
) -> None:  # fmt: skip
    assert output_of("cat", tmp_path / "log", stdin=stdin, starter=starter) == expected


@BOTH
def test_umask_and_folder_are_the_jobs(starter: bool, tmp_path: Path) -> None:
    told: dict[str, Any] = {"cwd": str(tmp_path), "options": {"umask": 0o027}, "starter": starter}
    assert output_of("umask; pwd", tmp_path / "log", **told).split() == ["0027", str(tmp_path)]


def test_a_job_can_be_nice(tmp_path: Path) -> None:
    assert output_of("nice", tmp_path / "log", options={"nice": 5}, starter=True).strip() == "5"


@ROOT_ONLY
def test_another_user_has_that_users_groups_alone(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    groups = os.getgrouplist("nobody", nobody.pw_gid)

    def join() -> None:
        os.setgroups([0, 1, 2, 3])

    text = output_of("id -u; id -g; id -G", tmp_path / "log", user="nobody", starter=True, before=join)
    uid, gid, all_groups = text.splitlines()
    assert (int(uid), int(gid)) == (nobody.pw_uid, nobody.pw_gid)
    assert sorted(map(int, all_groups.split())) == sorted(groups)


@ROOT_ONLY
def test_another_users_job_ends_at_its_timeout_too() -> None:
    with running("sleep 1000 & sleep 1000", user="nobody", starter=True, options={"timeout": 0.5}) as guarded:
        assert guarded.end().outcome == "timeout"
        assert guarded.survivors() == []


@ROOT_ONLY
def test_the_folder_is_entered_as_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    end = run("true", user="nobody", cwd=str(tmp_path), starter=True)
    assert (end.outcome, end.reason, end.detail) == ("error", "cwd", f"{tmp_path}: Permission denied")


@BOTH
@pytest.mark.parametrize(
    ("told", "reason", "detail"),
    [
        ({"cwd": "/no/such/folder"}, "cwd", "/no/such/folder: No such file or directory"),
        ({"shell": "/no/such/shell"}, "shell", "/no/such/shell: No such file or directory"),
        ({"shell": "/etc/passwd"}, "shell", "/etc/passwd: Permission denied"),
        ({"environment": {"BIG": "x" * 140_000}}, "start", "the command and its environment are too long"),
        ({"command": "echo \0"}, "start", "the command or its environment can't be given to a process"),
    ],
    ids=["folder", "shell", "no program", "too long", "a NUL byte"],
)
def test_a_job_that_can_not_be_started_is_an_error_that_says_why(
    told: dict[str, Any], reason: str, detail: str, starter: bool
) -> None:  # fmt: skip
    given: dict[str, Any] = {"command": "true", "starter": starter} | told
    end = run(**given)
    assert (end.outcome, end.reason, end.exit_code) == ("error", reason, None)
    assert end.detail.startswith(detail)


def test_an_unknown_user_is_an_error_that_names_it() -> None:
    end = run("true", user="no-such-user", starter=True)
    assert (end.outcome, end.reason, end.detail) == ("error", "user", "there is no user no-such-user")


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_what_the_shell_can_not_run_is_a_failure_of_the_job(command: str, code: int) -> None:
    end = run(command)
    assert (end.outcome, end.exit_code) == ("failed", code)


def test_the_end_tells_what_the_run_used() -> None:
    end = run("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; python3 -c 'x = bytearray(60_000_000)'")
    assert end.cpu_user > 0
    assert end.max_rss > 60_000_000
    assert end.ended_at > end.started_at
    assert end.switches_voluntary > 0


def test_the_lock_is_held_until_the_end_is_recorded(tmp_path: Path) -> None:
    lock = tmp_path / "lock"

    def is_free() -> bool:
        return subprocess.run(["flock", "--nonblock", str(lock), "true"], check=False).returncode == 0

    with running("true", lock=str(lock), acknowledge=False, alone=str(tmp_path / "alone")) as guarded:
        guard = guarded.guard()
        end = guarded.end()
        assert not is_free()
        guarded.order(do="ack", run_id=end.run_id)
        guarded.hear("Closed")
        assert wait_gone(guard)
        guarded.runner.kill()  # which took the lock, and so holds it as well
        guarded.runner.wait()
        assert is_free()
    assert not (tmp_path / "alone").exists()


@pytest.mark.parametrize("moment", ["while the job runs", "after the end was told"])
def test_a_guard_whose_runner_is_killed_records_the_end_itself_and_once(moment: str, tmp_path: Path) -> None:
    alone, gate, lock = tmp_path / "alone", tmp_path / "gate", tmp_path / "lock"
    os.mkfifo(gate)
    told: dict[str, Any] = {"alone": str(alone), "acknowledge": False, "lock": str(lock)}
    with running(f"read go < {gate}; exit 7", **told) as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        if moment == "while the job runs":
            guarded.runner.kill()
            gate.write_text("go\n")
        else:
            gate.write_text("go\n")
            guarded.end()
            assert not alone.exists()
            guarded.runner.kill()
        guarded.runner.wait()
        assert wait_gone(guard)
        ends = [json.loads(line) for line in alone.read_text().splitlines()]
        assert [(end["run_id"], end["outcome"], end["exit_code"]) for end in ends] == [(guarded.run_id, "failed", 7)]
        assert subprocess.run(["flock", "--nonblock", str(lock), "true"], check=False).returncode == 0


def test_a_record_that_can_not_be_made_does_not_keep_the_guard(tmp_path: Path) -> None:
    with running("sleep 1000", alone=str(tmp_path / "no" / "such" / "folder"), acknowledge=False) as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        guarded.runner.kill()
        guarded.runner.wait()
        os.kill(guard, signal.SIGTERM)
        assert wait_gone(guard)
        assert guarded.survivors() == []


def test_a_quiet_guard_holds_none_of_the_runners_streams() -> None:
    with running("sleep 1000", streams=subprocess.PIPE) as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        links = {os.readlink(f"/proc/{guard}/fd/{number}") for number in range(3)}
        assert links == {"/dev/null"}
        guarded.stop()
        guarded.end()


def test_a_guard_is_seen_by_its_name_and_outside_of_its_runners_session() -> None:
    with running("sleep 1000") as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        assert Path(f"/proc/{guard}/comm").read_text() == "runjobs-guard\n"
        assert os.getsid(guard) == guard
        guarded.stop()
        guarded.end()


def test_zombies_of_a_job_are_reaped_while_it_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with running(f"(true & true &) ; sleep 0.1; read go < {gate}") as guarded:
        guard = guarded.guard()
        main = guarded.hear("Started")["process"][0]
        children = Path(f"/proc/{guard}/task/{guard}/children")
        assert wait_until(lambda: children.read_text().split() == [str(main)], pause=0.01)
        gate.write_text("go\n")
        assert guarded.end().outcome == "ok"


@pytest.mark.parametrize(("options", "again"), [({"retries": 1}, True), ({}, False)], ids=["retries=1", "no retries"])
def test_the_end_of_a_run_says_when_its_fire_is_tried_again(options: dict[str, Any], again: bool) -> None:
    end = run("exit 3", options=options)
    assert end.again_at == (end.ended_at + 60 if again else None)  # retry-delay is a minute


def test_a_run_that_was_stopped_is_not_tried_again() -> None:
    with running("sleep 1000", options={"retries": 3}) as guarded:
        guarded.hear("Started")
        guarded.stop(reason="person")
        end = guarded.end()
        assert (end.outcome, end.again_at) == ("stopped", None)


def test_an_order_in_the_lock_file_is_obeyed_and_a_bare_signal_says_who_sent_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_bytes(bytes(locks.FILE_SIZE))
    for order in (True, False):
        with running("sleep 1000", lock=str(lock)) as guarded:
            guard = guarded.guard()
            guarded.hear("Started")
            if order:
                said = Stop(0.0, "stopped", "replaced", "a newer one came")
                locks.write_order(lock, order_of(guarded.run_id, said, "1"))
            os.kill(guard, signal.SIGTERM)
            end = guarded.end()
            assert (end.outcome, end.reason) == ("stopped", "replaced" if order else "signal")
            told = "a newer one came; ended by SIGKILL" if order else f"stopped by SIGTERM from pid {os.getpid()}"
            assert end.detail.startswith(told)

"""The daemon and its PID file: detached, alone on its state folder, found, told; and a start that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger, namespaces
from tests.real.support.command_line import SILENT, environment
from tests.real.support.processes import stat, tree, wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAP = "#: name=leap\n0 0 29 2 * true\n"
STUBBORN = "#: name=job\n@every 1s trap '' TERM; touch started; while :; do sleep 0.1; done\n"
needs_namespaces = pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        stage.jobs(LEAP)
        yield stage


def daemon(stage: Stage, *words: str, umask: str = "0022") -> subprocess.CompletedProcess[str]:
    """Call `runjobs run --daemon` with relative paths, from a shell with a descriptor of its own."""
    here = [sys.executable, "-m", "runjobs", "run", "--jobs", "jobs.d", "--state", "state", "--daemon", *words]
    script = f'umask {umask}; exec 7>held; exec "$@"'
    return subprocess.run(
        ["sh", "-c", script, "sh", *here], cwd=stage.root, env=environment(STAGE=str(stage.root)),
        stdin=SILENT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def pid_in(path: Path) -> int:
    return int(path.read_text())


def test_a_daemon_is_detached_in_every_way(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s umask >mask; pwd >folder\n")
    started = daemon(stage)
    assert (started.returncode, started.stdout, started.stderr) == (0, "", "")
    pid = pid_in(stage.place.state / "runner.pid")
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert os.getsid(pid) not in {pid, os.getsid(0)}
    assert fields[4] == "0"  # tty_nr: no terminal
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Umask:\t0077" in status
    open_files = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    assert [os.readlink(f"/proc/{pid}/fd/{number}") for number in (0, 1, 2)] == ["/dev/null"] * 3
    assert not [path for path in open_files if path.endswith("held") or path.startswith("pipe:")]
    assert stage.exists("mask")
    assert stage.exists("folder")
    assert wait_until(lambda: (stage.root / "mask").read_text().strip() == "0022")  # as in a foreground
    log = (stage.place.state / "runner.log").read_text()
    assert f"runjobs follows 1 job (pid {pid}, state in {stage.place.state})" in log
    private = [stage.place.state / name for name in ("runner.pid", "runner.log", "ledger.sqlite3")]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


def test_a_daemon_follows_when_the_call_returns_and_reads_the_files_of_relative_paths_anew(stage: Stage) -> None:
    assert daemon(stage).returncode == 0
    log = stage.place.state / "runner.log"
    assert "runjobs follows 1 job" in log.read_text()
    stage.jobs("#: name=new\n@every 1s true\n")
    assert stage.place.call("reload").returncode == 0
    assert wait_until(lambda: "new: ok" in log.read_text())
    assert stage.place.call("shutdown").returncode == 0
    assert log.read_text().endswith(" stopped\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--log-file", "missing/log"], 78, "missing/log can't be written: No such file or directory"),
        (["--log-file", "."], 78, "can't be written: Is a directory"),
        (["--pid-file", "jobs.d"], 78, "jobs.d can't be used: Is a directory"),
        (["--pid-file", "link"], 78, "it is a symbolic link"),
        (["--log-file", "link"], 78, "it is a symbolic link"),
        (["--log-file", "pipe"], 78, "it is not a regular file"),
        (["--pid-file", "pipe"], 78, "it is not a regular file"),
        (["--strict"], 78, "--strict was given"),
        (["--grace", "soon"], 2, "--grace"),
        (["leap"], 2, "--daemon follows the schedules, so it takes no JOB"),
        (["--log-size", "1k"], 2, "--log-size 1k is less than 4096 bytes"),
        (["--log-keep", "some"], 2, "--log-keep 'some' is not a size"),
        (["--log-keep", "0"], 2, "--log-keep 0 would keep nothing"),
    ],
)  # fmt: skip
def test_a_start_that_fails_is_told_to_the_shell(stage: Stage, words: list[str], code: int, said: str) -> None:
    stage.jobs(f"{LEAP}75 * * * * true\n" if "--strict" in words else LEAP)
    (stage.root / "link").symlink_to("elsewhere")
    os.mkfifo(stage.root / "pipe")
    started = daemon(stage, *words)
    assert started.returncode == code
    assert said in started.stderr
    assert "  try: " in started.stderr
    assert wait_until(lambda: not stage.members())
    assert not (stage.root / "elsewhere").exists()


def test_a_daemon_that_dies_before_it_is_ready_is_told_of(stage: Stage) -> None:
    stage.place.state.mkdir(mode=0o700)
    os.mkfifo(stage.place.state / "ledger.sqlite3", 0o600)
    started = daemon(stage)
    assert started.returncode != 0
    assert started.stderr
    assert wait_until(lambda: not stage.members())


@pytest.mark.parametrize("second", ["--foreground", "--daemon"])
def test_a_second_runner_on_the_state_folder_is_refused_and_told_the_pid(stage: Stage, second: str) -> None:
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        refused = stage.place.call("run", second, "--pid-file", str(stage.root / "other.pid"))
        assert (refused.returncode, refused.stdout) == (75, "")
        assert f"a foreground runner is there already (pid {runner.pid})" in refused.stderr
        assert runner.poll() is None
        passed = stage.place.call("run")
        assert passed.returncode == 0
        runner.terminate()
        assert runner.wait(60) == 0
    assert not (stage.place.state / "runner.pid").exists()
    assert not (stage.root / "other.pid").exists()


def test_a_pid_file_of_ones_own_is_a_lock_across_state_folders(stage: Stage) -> None:
    path = stage.root / "mine.pid"
    with stage.foreground("--pid-file", str(path)) as runner:
        assert stage.heard("runner-started")
        assert pid_in(path) == runner.pid
        words = ["--state", str(stage.root / "another"), "--foreground", "--pid-file", str(path)]
        refused = stage.place.call("run", *words)
        assert refused.returncode == 75
        assert f"{path} is held by another runner (pid {runner.pid})" in refused.stderr


def test_its_own_pid_file_named_in_other_words_is_no_second_one(stage: Stage) -> None:
    stage.place.state.mkdir(mode=0o700)
    (stage.root / "also").symlink_to(stage.place.state)
    with stage.foreground("--pid-file", str(stage.root / "also" / "runner.pid")) as runner:
        assert stage.heard("runner-started"), stage.err
        assert pid_in(stage.place.state / "runner.pid") == runner.pid
        runner.terminate()
        assert runner.wait(60) == 0
    assert not (stage.place.state / "runner.pid").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--log-file", "state/runner.pid"],
        ["--log-file", "also/runner.pid"],
        ["--log-file", "state/ledger.sqlite3"],
        ["--log-file", "state/ledger.sqlite3-wal"],
        ["--pid-file", "state/ledger.sqlite3"],
        ["--pid-file", "state/runner.log"],
        ["--log-file", "one", "--pid-file", "one"],
    ],
)
def test_one_file_for_two_ends_is_refused_and_what_is_in_it_stays(stage: Stage, words: list[str]) -> None:
    assert stage.place.call("run").returncode == 0
    (stage.root / "also").symlink_to(stage.place.state)
    file = stage.root / words[-1]
    file.touch()
    before = file.read_bytes()
    refused = daemon(stage, *words)
    assert refused.returncode == 2
    assert f"{words[0]} {file} is " in refused.stderr
    assert "  try: " in refused.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize("stale", ["", "1\n", "999999999\n", "no number\n", "x" * 10_000])
def test_a_stale_pid_file_is_no_trouble(stage: Stage, stale: str) -> None:
    stage.place.state.mkdir(mode=0o700)
    path = stage.place.state / "runner.pid"
    path.write_text(stale)
    assert stage.place.call("reload").returncode == 1
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        assert path.read_text() == f"{runner.pid}\n"


def test_what_a_killed_runner_leaves_keeps_nobody_out_though_its_guards_go_on(stage: Stage) -> None:
    stage.jobs(STUBBORN)
    with stage.foreground() as killed:
        assert stage.exists("started")
        killed.kill()
    assert pid_in(stage.place.state / "runner.pid") == killed.pid
    assert stage.place.call("shutdown").returncode == 1
    with stage.foreground() as runner:
        assert stage.heard("adopted")
        assert pid_in(stage.place.state / "runner.pid") == runner.pid


def test_reload_and_shutdown_find_the_runner_and_wait_for_its_end(stage: Stage) -> None:
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        told = stage.place.call("reload")
        assert (told.returncode, told.stdout) == (0, f"the runner (pid {runner.pid}) was told to read its jobs files\n")
        stopped = stage.place.call("shutdown")
        assert (stopped.returncode, stopped.stdout) == (0, f"the runner (pid {runner.pid}) has stopped\n")
        assert stage.events("runner-stopped")  # it had ended before the command did
        assert runner.wait(60) == 0


@pytest.mark.parametrize("verb", ["reload", "shutdown"])
def test_where_no_runner_is_there_that_is_said(stage: Stage, verb: str) -> None:
    for words in ([], ["--pid-file", str(stage.root / "none.pid")]):
        told = stage.place.call(verb, *words)
        assert (told.returncode, told.stdout) == (1, "")
        assert "no runner stays here: nobody holds " in told.stderr
        assert "  try: " in told.stderr
    assert not stage.place.state.exists()


def test_shutdown_may_give_up_waiting_and_may_kill(stage: Stage) -> None:
    stage.jobs(STUBBORN)
    with stage.foreground("--grace", "1h") as runner:
        assert stage.exists("started")
        slow = stage.place.call("shutdown", "--timeout", "100ms")
        assert slow.returncode == 1
        assert f"the runner (pid {runner.pid}) is still stopping after 100ms" in slow.stderr
        assert runner.poll() is None
        assert stage.place.call("shutdown", "--now").returncode == 0
        assert runner.wait(60) == 0
    assert {(run["outcome"], run["reason"]) for run in ledger.runs(stage.place.state)} == {("interrupted", "shutdown")}
    assert stage.members() == []


def test_shutdown_now_kills_at_once_where_nobody_has_said_stop_before(stage: Stage) -> None:
    stage.jobs(STUBBORN.replace("job\n", "job kill-after=1h\n"))
    with stage.foreground("--grace", "1h") as runner:
        assert stage.exists("started")
        assert stage.place.call("shutdown", "--now").returncode == 0
        assert runner.wait(60) == 0
    assert stage.members() == []


def test_shutdown_need_not_wait(stage: Stage) -> None:
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        assert stage.place.call("shutdown", "--no-wait").stdout == f"the runner (pid {runner.pid}) was told to stop\n"
        assert runner.wait(60) == 0


def test_a_process_that_has_the_pid_and_not_the_lock_is_never_signalled(stage: Stage) -> None:
    path = stage.root / "stranger.pid"
    with subprocess.Popen(["sleep", "1000"]) as stranger:
        path.write_text(f"{stranger.pid}\n")
        assert stage.place.call("shutdown", "--pid-file", str(path)).returncode == 1
        assert stranger.poll() is None
        stranger.kill()


@needs_namespaces
def test_a_runner_in_a_namespace_of_its_own_is_found_from_inside_and_from_outside(stage: Stage) -> None:
    command = namespaces.as_pid_1(stage.place.command("run", "--foreground"))
    with subprocess.Popen(command, env=environment(), stdin=SILENT, stdout=SILENT) as made:
        try:
            path = stage.place.state / "runner.pid"
            assert wait_until(lambda: path.exists() and path.read_text() == "1\n")
            inside = next(pid for pid, found in tree(made.pid).items() if found.parent == made.pid)
            words = namespaces.entering(inside, stage.place.command("reload"))
            told = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=60, check=False)
            assert told.stdout == "the runner (pid 1) was told to read its jobs files\n", told.stderr
            stopped = stage.place.call("shutdown")
            assert stopped.stdout == f"the runner (pid {inside}) has stopped\n", stopped.stderr
        finally:
            made.kill()


def test_no_option_of_a_runner_that_stays_is_taken_by_a_pass(stage: Stage) -> None:
    for words in (["--pid-file", "x"], ["--log-file", "x"], ["--log-size", "1M"], ["--log-keep", "3"]):
        refused = stage.place.call("run", *words)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"{words[0]} is for a runner that stays" in refused.stderr
    refused = stage.place.call("run", "--foreground", "--log-size", "1M")
    assert (refused.returncode, "there is none" in refused.stderr) == (2, True)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")
def test_another_users_runner_can_not_be_told_and_that_is_said() -> None:
    with tempfile.TemporaryDirectory() as name, stage_in(Path(name)) as stage:
        stage.root.chmod(0o755)
        stage.jobs(LEAP)
        path = stage.root / "mine.pid"
        with stage.foreground("--pid-file", str(path)):
            assert stage.heard("runner-started")
            as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            if subprocess.run([*as_nobody, sys.executable, "-c", "import typer"], check=False).returncode:
                pytest.skip("this interpreter is out of reach of other users")
            command = [*as_nobody, *stage.place.command("shutdown", "--pid-file", str(path))]
            told = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
            assert (told.returncode, told.stdout) == (1, "")
            assert f"{path} can't be read: Permission denied" in told.stderr


def test_a_daemon_whose_shell_is_killed_meanwhile_stays(stage: Stage) -> None:
    words = [*stage.place.command("run", "--daemon")]
    with subprocess.Popen(words, env=environment(STAGE=str(stage.root)), stdin=SILENT, stderr=SILENT) as shell:
        assert wait_until((stage.place.state / "runner.pid").exists)
        shell.send_signal(signal.SIGKILL)
    log = stage.place.state / "runner.log"
    assert wait_until(lambda: log.exists() and "runjobs follows 1 job" in log.read_text())
    assert wait_until(partial(stat, pid_in(stage.place.state / "runner.pid")))
    assert stage.place.call("shutdown").returncode == 0

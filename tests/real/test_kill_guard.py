"""The kill guard: whatever a job does to live on, nothing of it survives the end of its run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from runjobs.adapters import cgroup, process, tree
from runjobs.guard import kill_remains
from tests.real.support.guarding import is_alive, running, tagged, wait_gone
from tests.real.support.processes import wait_until

PYTHON = sys.executable

# writes its pid, and lives under no name of ours: its environment is empty, its session its own, its parent gone
DAEMON = """
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
null = os.open("/dev/null", os.O_RDWR)
for descriptor in (0, 1, 2): os.dup2(null, descriptor)
os.execve("/bin/sleep", ["sleep", "1000"], {})
"""

# each one forks the next and ends; with "setsid" no two of them share a group either. It gives up after a minute
CHAIN = """
import os, sys, time
end = time.monotonic() + 60
while time.monotonic() < end:
    if os.fork(): os._exit(0)
    if sys.argv[1] == "setsid": os.setsid()
"""

SCENES = {
    "a pipeline": "yes | cat | sleep 1000 | cat",
    "a nohup'd child": "nohup sleep 1000 >/dev/null 2>&1 & sleep 1000",
    "a daemon": f"{PYTHON} -c '{DAEMON}' $PIDFILE; sleep 1000",
    "200 children": "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; wait",
    "a process that ignores TERM": "trap '' TERM; sleep 1000 & while :; do sleep 1; done",
    "a stopped process": "sleep 1000 & kill -STOP $!; kill -STOP $$; sleep 1000",
    "a process that re-forks for ever": f"{PYTHON} -c '{CHAIN}' same; sleep 1000",
    "a process that re-forks for ever in new sessions": f"{PYTHON} -c '{CHAIN}' setsid; sleep 1000",
}
WITH_CGROUP = pytest.param(
    True,
    id="with a cgroup",
    marks=pytest.mark.skipif(cgroup.find_base() is None, reason="no cgroup v2 that we may write"),
)


@pytest.mark.parametrize("grouped", [WITH_CGROUP, pytest.param(False, id="without a cgroup")])
@pytest.mark.parametrize("command", SCENES.values(), ids=SCENES)
def test_nothing_survives_a_timeout(command: str, grouped: bool, tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    told = {"cgroup": grouped, "environment": {"PIDFILE": str(pidfile)}}
    with running(command, options={"timeout": 1, "kill_after": 0.3}, **told) as guarded:
        end = guarded.end()
        assert end.outcome == "timeout"
        assert end.detail.startswith("ran longer than 1s; ended by SIG")
        assert guarded.survivors() == []
        assert not pidfile.exists() or not is_alive(int(pidfile.read_text()))
        guarded.hear("Closed")
        assert not Path(f"{cgroup.find_base()}/runjobs-{guarded.run_id}").exists()


def test_what_ends_on_term_is_not_killed(tmp_path: Path) -> None:
    command = "trap 'echo cleaned up; exit 0' TERM; sleep 1000 & wait"
    log = tmp_path / "log"
    with running(command, options={"timeout": 0.3, "kill_after": 60}, log=str(log)) as guarded:
        end = guarded.end()
    assert (end.outcome, end.exit_code, end.signal) == ("timeout", 0, None)
    assert "ended by SIGTERM" in end.detail
    assert log.read_text() == "cleaned up\n"


def test_a_stopped_process_is_woken_so_that_it_can_end_on_term() -> None:
    command = "trap 'exit 0' TERM; kill -STOP $$; while :; do sleep 0.1; done"
    with running(command, options={"timeout": 0.5, "kill_after": 60}) as guarded:
        end = guarded.end()
    assert (end.outcome, end.exit_code) == ("timeout", 0)
    assert "ended by SIGTERM" in end.detail


def test_a_second_stop_kills_at_once() -> None:
    with running("trap '' TERM; while :; do sleep 1; done", options={"kill_after": 1000}) as guarded:
        guarded.hear("Started")
        guarded.stop(detail="stopped by a person")
        guarded.stop()
        end = guarded.end()
        assert (end.outcome, end.signal) == ("stopped", signal.SIGKILL)
        assert end.detail.startswith("stopped by a person; ended by SIGKILL")
        assert guarded.survivors() == []


def test_a_stop_says_how_long_term_may_take_and_why() -> None:
    with running("trap '' TERM; while :; do sleep 1; done", options={"kill_after": 1000}) as guarded:
        guarded.hear("Started")
        guarded.stop(kill_after=0.1, outcome="interrupted", reason="shutdown", detail="the runner was told to stop")
        end = guarded.end()
    assert (end.outcome, end.reason, end.signal) == ("interrupted", "shutdown", signal.SIGKILL)


def test_a_person_can_stop_a_run_by_a_signal_to_its_guard() -> None:
    with running("sleep 1000") as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        os.kill(guard, signal.SIGTERM)
        end = guarded.end()
    assert (end.outcome, end.reason) == ("stopped", "signal")
    assert f"from pid {os.getpid()}" in end.detail


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1])
def test_no_other_signal_ends_a_guard(number: signal.Signals) -> None:
    with running("sleep 1000") as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        os.kill(guard, number)
        guarded.stop()
        assert guarded.end().outcome == "stopped"


def test_leftovers_are_named_and_live_on() -> None:
    command = 'sleep 1000 >/dev/null 2>&1 & while [ "$(cat /proc/$!/comm)" != sleep ]; do :; done'
    with running(command) as guarded:
        end = guarded.end()
        assert end.outcome == "ok"
        assert [name for _, name in end.leftovers] == ["sleep"]
        assert len(guarded.survivors()) == 1


@pytest.mark.parametrize("ignore", ["", "trap '' TERM;"], ids=["willing", "ignoring TERM"])
def test_leftovers_end_where_the_job_says_so(ignore: str) -> None:
    command = f"(({ignore} while :; do sleep 1; done) >/dev/null 2>&1 &) ; sleep 0.2"
    with running(command, options={"leftovers": "kill", "kill_after": 0.2}) as guarded:
        end = guarded.end()
        assert (end.outcome, end.exit_code) == ("ok", 0)
        assert end.leftovers
        assert guarded.survivors() == []


def test_a_start_that_hangs_in_a_stalled_folder_times_out(stalled: Path) -> None:
    told = {"cwd": str(stalled), "stall": str(stalled), "starter": True}
    with running("echo never", options={"timeout": 0.3, "kill_after": 60}, **told) as guarded:
        end = guarded.end()
        assert end.outcome == "timeout"
        assert "it did not start" in end.detail
        assert (end.exit_code, end.output_bytes, end.started_at) == (None, 0, 0.0)
        assert "Started" not in [kind for kind, _ in guarded.told]


def test_a_start_that_hangs_in_a_stalled_folder_can_be_stopped(stalled: Path) -> None:
    told = {"cwd": str(stalled), "stall": str(stalled), "starter": True}
    with running("echo never", options={"kill_after": 60}, **told) as guarded:
        guard = guarded.guard()
        assert wait_until(lambda: _is_in_fuse(guard), pause=0.01)
        guarded.stop()
        assert guarded.end().outcome == "stopped"


@pytest.fixture
def stalled(tmp_path: Path) -> Path:
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("a stalled mount needs root and /dev/fuse")
    folder = tmp_path / "stalled"
    folder.mkdir()
    return folder


def _is_in_fuse(guard: int) -> bool:
    children = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
    return any("fuse" in Path(f"/proc/{child}/wchan").read_text() for child in children)


@pytest.mark.parametrize("grouped", [WITH_CGROUP, pytest.param(False, id="without a cgroup")])
def test_what_a_killed_guard_left_is_found_and_killed(grouped: bool) -> None:
    command = "sleep 1000 & setsid sleep 1000 & env -i sleep 1000 & echo said; wait"
    with running(command, cgroup=grouped) as guarded:
        guard = guarded.guard()
        main = guarded.hear("Started")["process"]
        assert wait_until(lambda: len(_all_of(guarded.run_id, main[0])) == 4, pause=0.01)
        base = cgroup.find_base() if grouped else None
        if base is not None:
            assert wait_until(lambda: len(cgroup.leaf_of(base, guarded.run_id).members()) == 4, pause=0.01)
        identity = process.identity(main[0])
        before = _all_of(guarded.run_id, main[0])
        os.kill(guard, signal.SIGKILL)
        assert wait_gone(guard)
        remains = kill_remains(guarded.run_id, identity, base)
        assert {pid for pid, _ in remains.killed} == before
        assert remains.stuck == ()
        assert not any(map(is_alive, before))


@pytest.mark.skipif(cgroup.find_base() is None, reason="no cgroup v2 that we may write")
def test_a_run_that_leaves_processes_behind_leaves_no_control_group() -> None:
    base = str(cgroup.find_base())
    command = "setsid sleep 1000 >/dev/null 2>&1 </dev/null & sleep 1"
    with running(command, cgroup=True) as guarded:
        assert wait_until(lambda: cgroup.leaf_of(base, guarded.run_id).members(), pause=0.01)
        ((left, name),) = guarded.hear("RunEnd")["leftovers"]
        assert name == "sleep"
        assert wait_until(lambda: not Path(f"{base}/runjobs-{guarded.run_id}").exists())
        assert is_alive(left)
        os.kill(left, signal.SIGKILL)


def test_recovery_spares_whoever_was_given_the_pid_since() -> None:
    with running("sleep 1000", options={}) as stranger:
        pid = stranger.hear("Started")["process"][0]
        identity = process.identity(pid)
        assert identity is not None
        remains = kill_remains("no-such-run", identity._replace(start_time=identity.start_time - 1), None)
        assert remains == ((), ())
        assert is_alive(pid)


def test_after_a_reboot_nothing_is_taken_for_alive() -> None:
    identity = process.identity(os.getpid())
    assert identity is not None
    assert process.is_alive(identity)
    assert not process.is_alive(identity._replace(boot_id="another"))
    assert not process.is_alive(identity._replace(pid_namespace=1))
    assert not process.is_alive(identity._replace(start_time=identity.start_time + 1))


def _all_of(run_id: str, main: int) -> set[int]:
    return {pid for pid, _ in tagged(run_id)} | _session(main)


def _session(leader: int) -> set[int]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == leader:
                found.add(int(entry.name))
    return found


def test_kernels_that_do_not_list_children_are_walked_by_their_parents() -> None:
    with running("sleep 1000 & (sleep 1000 & sleep 1000 & wait) & wait") as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        assert wait_until(lambda: len(tree.descendants(guard)) == 5, pause=0.01)
        by_scan = tree._descendants_by_scan(guard, freeze=False)
        assert {stat.pid for stat in by_scan} == {stat.pid for stat in tree.descendants(guard)}
        guarded.stop()
        guarded.end()

"""Limits, held by the kernel: who wants more is refused or killed, and says so. Where they can't be, none is promised.

Most of it needs the memory, cpu and pids controllers of cgroup v2, at a place that a runner can have for itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters import cgroup
from runjobs.adapters.cgroup.ground import divide, find_ground, write
from runjobs.adapters.cgroup.limited import make_limited, open_entrance
from runjobs.core.limits import Lack
from runjobs.core.run import RunEnd
from runjobs.runner import recovery
from tests.real.support import ledger
from tests.real.support.command_line import ROOT, SILENT
from tests.real.support.guarding import is_alive, wait_gone
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from sqlite3 import Row

LACK = find_ground(("cpu", "memory", "pids"))
HELD = pytest.mark.skipif(isinstance(LACK, Lack), reason=f"limits can't be held here: {LACK[0]}")
UNHELD = pytest.mark.skipif(not isinstance(LACK, Lack), reason="limits can be held here")
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs jobs as others")
MOUNT = cgroup.find_mount()
GROUP = f"{MOUNT.folder if MOUNT else ''}$(sed -n s/^0:://p /proc/self/cgroup)"
HUNGRY = f"exec {sys.executable} -c 'bytearray(1 << 30)'"
# forks until it may not any more, says how often that was, and lets go of them
GREEDY = f"""exec {sys.executable} -c 'import os, signal
pids = []
try:
    for _ in range(1000):
        pids.append(os.fork())
        if pids[-1] == 0: signal.pause()
except BlockingIOError: pass
print(len(pids), flush=True)
for pid in pids: os.kill(pid, 9)'"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def run(stage: Stage, options: str, command: str) -> tuple[subprocess.CompletedProcess[str], Row]:
    """Run a job with these options to its end: what a person sees, and what is on record."""
    if "\n" in command:
        (stage.root / "script").write_text(command)
        command = f". {stage.root}/script"
    stage.jobs(f"#: name=job {options}\n0 0 29 2 * {command}\n")
    ended = stage.place.call("run", "job")
    return ended, ledger.runs(stage.place.state)[-1]


def groups_of(run_id: str) -> list[Path]:
    """The control groups that are there for a run, wherever."""
    return [] if MOUNT is None else list(Path(MOUNT.folder).glob(f"**/{cgroup.PREFIX}{run_id}"))


@HELD
def test_a_job_that_wants_more_than_its_memory_ends_as_out_of_memory(stage: Stage) -> None:
    ended, record = run(stage, "memory=100M", HUNGRY)
    assert ended.returncode == 128 + signal.SIGKILL
    assert (record["outcome"], record["reason"]) == ("failed", "out-of-memory")
    assert "memory=100M" in record["detail"]
    assert record["detail"] in ended.stderr
    assert 50_000_000 < record["max_rss"] <= 100_000_000
    assert groups_of(record["id"]) == []


@HELD
def test_a_child_that_wants_too_much_takes_the_whole_job_with_it_and_nothing_is_left(stage: Stage) -> None:
    _, record = run(stage, "memory=50M", f"sleep 1000 & ({HUNGRY}); echo survived")
    assert (record["reason"], record["leftovers"]) == ("out-of-memory", None)
    assert stage.members() == []


@HELD
def test_a_job_within_its_memory_is_left_alone(stage: Stage) -> None:
    ended, record = run(stage, "memory=1M", "echo here")
    assert (ended.stdout, record["outcome"]) == ("here\n", "ok")


@HELD
@pytest.mark.parametrize("most", [50, 2])
def test_a_job_can_fork_no_more_than_its_pids(stage: Stage, most: int) -> None:
    ended, record = run(stage, f"pids={most}", GREEDY)
    assert ended.stdout == f"{most - 1}\n"  # and itself
    assert record["outcome"] == "ok"


@HELD
def test_a_fork_bomb_harms_nobody_and_is_ended_whole(stage: Stage) -> None:
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 1000"
    stage.jobs(f"#: name=bomb pids=50 timeout=3s kill-after=0s\n@reboot {bomb} 2>/dev/null\n"
               "#: name=other fields=6\n* * * * * * echo >>beats\n")  # fmt: skip
    with stage.foreground():
        assert stage.heard("ended", job="bomb")
        assert wait_until(lambda: len(stage.events("ended", job="other", outcome="ok")) > 1)
    assert not [each for each in stage.members() if is_alive(each) and b"bomb" in command_line(each)]


def command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@HELD
def test_the_kernel_holds_what_the_options_say_before_the_job_says_a_word(stage: Stage) -> None:
    files = " ".join(f"$d/{name}" for name in ("memory.max", "memory.oom.group", "cpu.max", "pids.max"))
    ended, _ = run(stage, "memory=64Mi cpu=150% pids=20", f"d={GROUP}; cat {files}")
    assert ended.stdout.split() == [str(64 * 2**20), "1", "150000", "100000", "20"]


@HELD
@AS_ROOT
def test_a_job_of_another_user_has_its_limits_and_cannot_lift_them(stage: Stage) -> None:
    ended, _ = run(stage, "pids=20 user=nobody cwd=/", f"d={GROUP}; cat $d/pids.max; echo max >$d/pids.max; id -G")
    assert ended.stdout.split()[0] == "20"
    assert "Permission denied" in ended.stderr
    assert "0" not in ended.stdout.split()[1:]


@HELD
def test_whom_a_job_leaves_behind_keeps_its_limits_until_it_ends(stage: Stage) -> None:
    _, record = run(stage, "pids=5", "setsid sleep 1000 >/dev/null 2>&1 </dev/null & exit 0")
    ((left, _),) = json.loads(record["leftovers"])
    (group,) = groups_of(record["id"])
    assert (group / "pids.max").read_text() == "5\n"
    assert (group / "cgroup.procs").read_text() == f"{left}\n"
    os.kill(left, signal.SIGKILL)
    assert wait_until(lambda: not group.exists())


@HELD
def test_what_a_killed_guard_leaves_of_a_job_with_limits_is_ended_and_its_group_is_gone(stage: Stage) -> None:
    stage.jobs("#: name=job pids=9\n@reboot touch begun; env -i setsid sleep 1000\n")
    with stage.foreground():
        assert stage.exists("begun")
        (record,) = ledger.runs(stage.place.state)
        assert wait_until(lambda: ledger.runs(stage.place.state)[0]["guard_pid"])
        guard = ledger.runs(stage.place.state)[0]["guard_pid"]
        (group,) = groups_of(record["id"])
        members = [int(line) for line in (group / "cgroup.procs").read_text().split()]
        os.kill(guard, signal.SIGKILL)
        assert stage.heard("ended", outcome="interrupted")
    assert all(map(wait_gone, members))
    assert wait_until(lambda: not group.exists())


@UNHELD
@pytest.mark.parametrize("option", ["memory=100M", "cpu=50%", "pids=50"])
def test_a_limit_that_cannot_be_held_keeps_its_job_from_starting(stage: Stage, option: str) -> None:
    name = option.partition("=")[0]
    found = find_ground((name,))
    if not isinstance(found, Lack):
        pytest.skip(f"{name} can be held here")
    ended, record = run(stage, option, "touch ran")
    assert ended.returncode == 126
    assert (record["outcome"], record["reason"]) == ("error", "limits")
    assert record["detail"] == f"{name}= can't be held: {found.message}; {found.remedy}"
    assert record["detail"] in ended.stderr
    assert not (stage.root / "ran").exists()


@UNHELD
def test_check_says_why_a_limit_cannot_be_held_and_what_to_do(stage: Stage) -> None:
    assert isinstance(LACK, Lack)
    stage.jobs("#: name=job memory=100M\n0 0 29 2 * true\n")
    told = stage.place.call("check")
    found = find_ground(("memory",))
    assert isinstance(found, Lack)
    assert found.remedy in told.stdout
    assert told.returncode == (78 if found.is_final else 0)


@UNHELD
def test_a_runner_that_stays_says_at_its_start_what_it_cannot_hold(stage: Stage) -> None:
    stage.jobs("#: name=job memory=100M\n0 0 29 2 * true\n#: name=fine\n* * * * * true\n")
    with stage.foreground():
        assert stage.heard("runner-started")
    (told,) = stage.events("warning")
    assert f"{stage.place.jobs}/jobs:4: memory= can't be held" in told["message"]


# Dividing a group needs no more than any one controller, such as one that nobody else has taken.

BASE = cgroup.find_base()
GIVEN = Path(BASE, "cgroup.controllers").read_text().split() if BASE else []
SPARE = next((word for word in ("hugetlb", "rdma", "pids") if word in GIVEN), "")
IS_TOP = BASE is not None and not os.path.exists(f"{BASE}/cgroup.type")
DIVISIBLE = pytest.mark.skipif(
    not (SPARE and IS_TOP), reason="we are not in the topmost group, or it has no controller"
)
PROBE = """
import json, sys
from runjobs.adapters import cgroup
from runjobs.adapters.cgroup.ground import divide, find_ground
found = find_ground(sys.argv[1:])
if hasattr(found, "base"):
    divide(found.base, sys.argv[1:])
print(json.dumps([found[0], cgroup.own_path(), cgroup.find_base()]))
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A group below the topmost one, with a controller, and a stranger in it."""
    base = Path(str(BASE))
    alone = os.open(base, os.O_RDONLY)
    fcntl.flock(alone, fcntl.LOCK_EX)  # what is given and taken away is the whole machine's: one test at a time
    was_there = SPARE in (base / "cgroup.subtree_control").read_text().split()
    divide(str(base), (SPARE,))
    path = base / f"runjobs-test-{uuid.uuid4().hex}"
    path.mkdir()
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        write(f"{path}/cgroup.procs", str(stranger.pid))
        yield path
    finally:
        stranger.kill()
        stranger.wait()
        for each in (path / cgroup.HOME, path):
            with contextlib.suppress(FileNotFoundError):
                assert wait_until(lambda each=each: "populated 0" in (each / "cgroup.events").read_text())  # type: ignore[misc]
                each.rmdir()
        if not was_there:
            with contextlib.suppress(OSError):  # another test divides it at this moment
                write(f"{base}/cgroup.subtree_control", f"-{SPARE}")
        os.close(alone)


def probe(group: Path, names: Sequence[str]) -> Any:  # noqa: ANN401 (as JSON has it)
    """Look for a place from a process in this group, and make it ready; what is found, and where it is after that."""
    command = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
    told = subprocess.run(
        ["/bin/sh", "-c", command, str(group), sys.executable, "-c", PROBE, *names],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(told.stdout)


@DIVISIBLE
def test_a_group_is_not_divided_under_the_feet_of_strangers(group: Path) -> None:
    found, path, base = probe(group, [SPARE])
    assert found.startswith(("other processes are in its control group: sleep (", f"{MOUNT and MOUNT.folder}/system."))
    assert path.endswith(f"/{group.name}")
    assert base == str(group)
    assert (group / "cgroup.subtree_control").read_text().split() == []


@DIVISIBLE
def test_a_group_that_was_given_away_is_divided_and_all_that_was_in_it_moves(group: Path) -> None:
    os.setxattr(group, "user.delegate", b"1")
    found, path, base = probe(group, [SPARE])
    assert found == base == str(group)  # where the others' groups are, though it is below now
    assert path.endswith(f"/{group.name}/{cgroup.HOME}")
    assert (group / "cgroup.subtree_control").read_text().split() == [SPARE]
    assert (group / "cgroup.procs").read_text() == ""
    assert len((group / cgroup.HOME / "cgroup.procs").read_text().split()) == 1


@DIVISIBLE
def test_a_controller_that_a_group_was_not_given_is_named(group: Path) -> None:
    write(f"{BASE}/cgroup.subtree_control", f"-{SPARE}")
    found, _, _ = probe(group, [SPARE])
    assert found.endswith(f"was not given the {SPARE} controller") or "runjobs-limits.scope" in found


@DIVISIBLE
def test_a_process_enters_its_group_by_a_descriptor_whoever_it_is_by_then(group: Path) -> None:
    leaf = make_limited(str(group), "r1", ())
    entrance = open_entrance(leaf)
    command = "import os, sys; os.setuid(65534); os.write(int(sys.argv[1]), b'0'); os.system('cat /proc/self/cgroup')"
    try:
        told = subprocess.run(
            [sys.executable, "-c", command, str(entrance)],
            pass_fds=[entrance], capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert f"{group.name}/runjobs-r1\n" in told.stdout
    finally:
        os.close(entrance)
        assert wait_until(lambda: not leaf.members())
        leaf.remove()


FORKING = "for n in 1 2 3 4 5 6 7 8 9; do (while :; do (:); done) & done; wait"


@DIVISIBLE
def test_a_group_is_dissolved_though_those_in_it_fork_all_the_time(group: Path) -> None:
    leaf = make_limited(str(group), "r2", ())
    command = ["/bin/sh", "-c", f'echo $$ >"$0/cgroup.procs"; {FORKING}', leaf.path]
    with subprocess.Popen(command, stdin=SILENT, start_new_session=True) as forking:
        try:
            assert wait_until(lambda: len(leaf.members()) > 9)
            leaf.dissolve()
            assert not Path(leaf.path).exists()
            assert forking.poll() is None
        finally:
            os.killpg(forking.pid, signal.SIGKILL)
    assert wait_until(lambda: len(cgroup.Leaf(str(group)).members()) == 1)  # the stranger of the stage


@DIVISIBLE
def test_the_empty_groups_of_runs_that_have_ended_are_swept_away_and_no_others(group: Path) -> None:
    leaves = [make_limited(str(group), name, ()) for name in ("ended", "going", "strange", "mine")]
    ends = {"ended": RunEnd("ended", "ok"), "mine": RunEnd("mine", "ok")}
    recovery.sweep(ends.get, str(group), {"mine"})
    assert [Path(leaf.path).exists() for leaf in leaves] == [False, True, True, True]
    for leaf in leaves:
        leaf.remove()
    recovery.sweep(ends.get, None, ())
    recovery.sweep(ends.get, str(group / "gone"), ())

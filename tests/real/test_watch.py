"""`@watch`: whatever changes is told to a run that starts after it changed, in each way of running."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import SILENT, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTE = """\
date +%s%N >"runs/$RUNJOBS_RUN_ID.start"
cp "$RUNJOBS_CHANGED" "runs/$RUNJOBS_RUN_ID.part" && mv "runs/$RUNJOBS_RUN_ID.part" "runs/$RUNJOBS_RUN_ID.told"
test -z "$HOLD" || until test -e release; do sleep 0.05; done
sleep "${TAKES:-0}"
"""
WATCH = "@watch {root}/in sh note.sh"
# `runjobs` that is killed before it calls one function
KILLED = """
import importlib, os, signal, sys
module, name, *words = sys.argv[1:]
owner = importlib.import_module(module)
getattr(owner, name)
setattr(owner, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
from runjobs.cli.main import main
sys.exit(main(words))
"""
# `runjobs` for which a file system stands at a path whose server never answers
STALLED = """
import sys
from tests.real.support.runner_stand_in import stall
path, *words = sys.argv[1:]
stall(path)
from runjobs.cli.main import main
sys.exit(main(words))
"""
# `runjobs` whose passes stay for a second, not ten
HASTY = """
import sys
from runjobs.runner import oneshot
oneshot.REST = 1.0
from runjobs.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
BURSTS, FILES = 5, 2000
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        for name in ("in", "runs"):
            (stage.root / name).mkdir()
        (stage.root / "note.sh").write_text(NOTE)
        yield stage


def watch(stage: Stage, line: str = WATCH, options: str = "", variables: str = "") -> None:
    """The job `in`, which has seen its paths once."""
    stage.jobs(f"{variables}\n#: name=in {options}\n{line.format(root=stage.root)}\n")
    assert call(stage) == (0, "")
    assert told(stage) == []


def call(stage: Stage) -> tuple[int, str]:
    """A pass, and what it said."""
    answer = stage.place.call("run")
    return answer.returncode, answer.stderr


def told(stage: Stage) -> list[set[str]]:
    """What each run was told, in the order of their starts; names only."""
    return [{os.path.relpath(path, stage.root) for path in paths} for _, paths in starts(stage)]


def starts(stage: Stage) -> list[tuple[int, list[str]]]:
    """When each run started, in nanoseconds, and what it was told."""
    found = []
    for path in (stage.root / "runs").glob("*.told"):
        paths = os.fsdecode(path.read_bytes())
        assert not paths or paths.endswith("\0")
        found.append((int(path.with_suffix(".start").read_text()), paths.split("\0")[:-1]))
    return sorted(found)


def unseen(stage: Stage) -> list[str]:
    """The files of which no run was told that started after they had changed last."""
    seen: dict[str, int] = {}
    for start, paths in starts(stage):
        seen |= dict.fromkeys(paths, start)
    files = [path for path in (stage.root / "in").iterdir() if path.is_file()]
    return [path.name for path in files if path.stat().st_ctime_ns > seen.get(str(path), 0)]


def write(stage: Stage, *names: str, text: str = "x") -> None:
    for name in names:
        path = stage.root / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def all_ended(stage: Stage, number: int) -> bool:
    return wait_until(lambda: [fire["state"] for fire in ledger.fires(stage.place.state)] == ["ended"] * number)


# what is told


def test_what_was_there_at_the_first_sight_is_not_told_and_what_changes_then_is_told_once(stage: Stage) -> None:
    write(stage, "old", "older")
    watch(stage)
    write(stage, "new", "old")
    (stage.root / "in" / "older").unlink()
    assert call(stage) == (0, "")
    assert told(stage) == [{"in/new", "in/old", "in/older"}]
    assert call(stage) == (0, "")
    assert len(told(stage)) == 1
    (fire,) = ledger.fires(stage.place.state)
    assert (fire["trigger"], fire["outcome"]) == ("watch", "ok")
    assert "was due to changes noticed at" in stage.place.call("why", "in").stdout


def test_any_name_that_a_file_can_have_is_told(stage: Stage) -> None:
    watch(stage)
    names = [b"two\nlines", b"not\xfftext", b" blank "]
    for name in names:
        Path(os.fsdecode(os.fsencode(stage.root / "in") + b"/" + name)).touch()
    call(stage)
    assert told(stage) == [{os.path.join("in", os.fsdecode(name)) for name in names}]


def test_only_what_was_asked_for_is_told(stage: Stage) -> None:
    write(stage, "gone", "written", "renamed")
    watch(stage, options="on=delete")
    write(stage, "new", "written")
    (stage.root / "in" / "gone").unlink()
    (stage.root / "in" / "renamed").rename(stage.root / "in" / "name")
    call(stage)
    assert told(stage) == [{"in/gone"}]
    call(stage)
    (stage.root / "in" / "new").unlink()
    call(stage)
    assert told(stage) == [{"in/gone"}, {"in/new"}]


@pytest.mark.parametrize(("options", "expected"), [("", {"in/sub"}), ("recursive", {"in/sub", "in/sub/deep"})])
def test_folders_are_watched_with_what_is_below_them_if_told_so(stage: Stage, options: str, expected: set[str]) -> None:
    watch(stage, options=options)
    write(stage, "sub/deep")
    call(stage)
    assert told(stage) == [expected]
    write(stage, "sub/deep")
    call(stage)
    assert told(stage)[1:] == ([{"in/sub/deep"}] if options else [])


def test_globs_and_several_paths_are_watched(stage: Stage) -> None:
    watch(stage, "@watch {root}/in/*.csv {root}/in/[ab]/x '{root}/in/*' -- sh note.sh")
    write(stage, "1.csv", "2.txt", ".3.csv", "a/x", "b/y", "c/x", "*")
    call(stage)
    assert told(stage) == [{"in/1.csv", "in/a/x", "in/*"}]


def test_a_path_that_leads_through_a_link_is_told_when_the_link_leads_elsewhere(stage: Stage) -> None:
    volume = stage.root / "in"
    for version in ("..1", "..2"):  # as Kubernetes mounts a ConfigMap
        write(stage, f"{version}/app.conf", text=version)
    (volume / "..data").symlink_to("..1")
    (volume / "app.conf").symlink_to("..data/app.conf")
    watch(stage, "@watch {root}/in/app.conf sh note.sh")
    (volume / "..new").symlink_to("..2")
    (volume / "..new").rename(volume / "..data")
    call(stage)
    assert told(stage) == [{"in/app.conf"}]


def test_other_paths_are_a_first_sight_again(stage: Stage) -> None:
    watch(stage)
    write(stage, "new")
    watch(stage, "@watch {root}/in {root}/runs -- sh note.sh")


def test_a_folder_that_can_not_be_read_is_no_folder_without_files(stage: Stage) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can read every folder")
    write(stage, "a")
    watch(stage)
    (stage.root / "in").chmod(0)
    stage.place.call("run")
    (stage.root / "in").chmod(0o755)
    write(stage, "b")
    call(stage)
    assert told(stage) == [{"in/b"}]


def test_the_state_folder_is_never_watched(stage: Stage) -> None:
    every = stage.root / "all"
    every.touch()
    watch(stage, "@watch {root} {root}/state -- cat $RUNJOBS_CHANGED >>all", "recursive on=create")
    write(stage, "new")
    assert call(stage) == (0, "")
    assert every.read_text() == f"{stage.root}/in/new\0"


def test_what_a_run_leaves_in_the_state_folder_is_never_told(stage: Stage) -> None:
    line = "@watch {root}/state/logs {root}/state/*/* -- sh note.sh"
    watch(stage, line, "recursive")
    assert stage.place.call("run", "in").returncode == 0
    assert told(stage) == [set()]
    for _ in range(2):
        assert call(stage) == (0, "")
    assert told(stage) == [set()]
    checked = stage.place.call("check", "--state", str(stage.place.state))
    assert checked.returncode != 0
    assert "is in the state folder, which is never watched" in checked.stdout + checked.stderr


def test_what_a_foreground_writes_where_its_job_watches_is_never_told(stage: Stage) -> None:
    watch(stage)
    words = [*(f"--{name}={stage.root}/in/{name}" for name in ("log-file", "pid-file")), "--log-keep=1M"]
    with stage.foreground(*words) as runner:
        log = stage.root / "in" / "log-file"
        assert wait_until(lambda: log.exists() and "runner-started" in log.read_text())
        write(stage, "new")
        assert wait_until(lambda: told(stage) == [{"in/new"}])
        runner.send_signal(signal.SIGUSR1)
        assert wait_until(lambda: len(list((stage.root / "in").glob("log-file.*"))) == 1)
        assert all_ended(stage, 1)
        write(stage, "newer")
        assert wait_until(lambda: len(told(stage)) > 1)
    assert told(stage) == [{"in/new"}, {"in/newer"}]


def test_a_named_file_that_is_moved_aside_for_a_moment_is_told_when_it_is_back(stage: Stage) -> None:
    write(stage, "app.conf")
    watch(stage, "@watch {root}/in/app.conf test -e in/app.conf || exit 3; sh note.sh", "settle=3s")
    with stage.foreground():
        assert stage.heard("runner-started")
        (stage.root / "in" / "app.conf").rename(stage.root / "in" / "app.conf~")
        gone = (stage.root / "in").stat().st_mtime_ns
        assert wait_until(lambda: time.time_ns() - gone > 15e8)
        write(stage, "app.conf", text="newer")
        assert all_ended(stage, 1)
    assert [fire["outcome"] for fire in ledger.fires(stage.place.state)] == ["ok"]
    assert told(stage) == [{"in/app.conf"}]


# one run at a time


@pytest.mark.parametrize("way", ["foreground", "pass"])
def test_changes_during_a_run_cause_exactly_one_more(stage: Stage, way: str) -> None:
    watch(stage, variables="HOLD=1")
    write(stage, "first")
    with stage.foreground() if way == "foreground" else stage.start():
        assert wait_until(lambda: told(stage) == [{"in/first"}])
        for name in "abc":
            write(stage, name)
            assert wait_until(lambda: time.time_ns() - (stage.root / "in" / name).stat().st_ctime_ns > 6e8)  # noqa: B023
        (stage.root / "release").touch()
        assert wait_until(lambda: told(stage) == [{"in/first"}, {"in/a", "in/b", "in/c"}])
        assert all_ended(stage, 2)
    assert [fire["outcome"] for fire in ledger.fires(stage.place.state)] == ["ok", "ok"]


def test_a_pass_looks_once_more_after_a_run_that_took_longer_than_a_pass_stays(stage: Stage) -> None:
    watch(stage, variables="HOLD=1", options="settle=900ms")
    write(stage, "first")  # not at rest yet, so its run begins while the pass stays
    words = [sys.executable, "-c", HASTY, *stage.place.command("run")[3:]]
    with subprocess.Popen(words, env=environment(), stdin=SILENT, stdout=SILENT, stderr=SILENT):
        assert wait_until(lambda: told(stage) == [{"in/first"}])
        write(stage, "late")
        assert wait_until(lambda: time.time_ns() - (stage.root / "in" / "late").stat().st_ctime_ns > 15e8)
        (stage.root / "release").touch()
        assert wait_until(lambda: told(stage) == [{"in/first"}, {"in/late"}])


def test_a_path_that_does_not_exist_is_waited_for(stage: Stage) -> None:
    watch(stage, "@watch {root}/in/deep/er/file sh note.sh")
    with stage.foreground():
        assert stage.heard("runner-started")
        (stage.root / "in" / "deep" / "er").mkdir(parents=True)
        write(stage, "deep/er/file")
        assert wait_until(lambda: told(stage) == [{"in/deep/er/file"}])
        replacement = stage.root / "in" / "deep" / "new"
        replacement.write_text("another file")
        replacement.rename(stage.root / "in" / "deep" / "er" / "file")
        assert wait_until(lambda: len(told(stage)) == 2)


def test_a_job_that_comes_while_the_foreground_runs_is_watched(stage: Stage) -> None:
    stage.jobs("0 0 1 1 * true\n")
    with stage.foreground():
        assert stage.heard("runner-started")
        stage.jobs(f"#: name=in\n{WATCH.format(root=stage.root)}\n")
        assert stage.heard("job-added", job="in")
        assert wait_until(lambda: "in" in marks(stage))
        write(stage, "new")
        assert wait_until(lambda: told(stage) == [{"in/new"}])


def marks(stage: Stage) -> set[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(stage.place.state / "ledger.sqlite3")) as connection:
        return {row[0] for row in connection.execute("SELECT job FROM watches")}


def test_a_pause_puts_off_and_loses_nothing(stage: Stage) -> None:
    watch(stage)
    stage.place.call("pause", "in")
    write(stage, "new")
    assert call(stage) == (0, "")
    assert told(stage) == []
    stage.place.call("resume", "in")
    call(stage)
    assert told(stage) == [{"in/new"}]


def test_a_fire_whose_lock_somebody_holds_waits_for_it(stage: Stage) -> None:
    other = "#: name=other lock=shared\n0 0 1 1 * touch held; until test -e release; do sleep 0.05; done\n"
    stage.jobs(f"{other}#: name=in lock=shared\n{WATCH.format(root=stage.root)}\n")
    call(stage)
    write(stage, "new")
    with stage.start("other"):
        assert stage.exists("held")
        with stage.foreground():
            assert stage.heard("waiting", job="in")
            (stage.root / "release").touch()
            assert wait_until(lambda: told(stage) == [{"in/new"}])


def test_retries_are_told_what_their_fire_was_told_and_what_came_since(stage: Stage) -> None:
    watch(stage, "@watch {root}/in sh note.sh; test $RUNJOBS_ATTEMPT = 2 || {{ touch in/late; exit 1; }}",
          "retries=1 retry-delay=1s settle=50ms")  # fmt: skip
    write(stage, "new")
    assert call(stage)[0] == 0
    assert told(stage) == [{"in/new"}, {"in/new", "in/late"}]


def test_a_persons_run_is_told_what_has_changed_and_then_nobody_else_is(stage: Stage) -> None:
    watch(stage)
    write(stage, "new")
    os.utime(stage.root / "in" / "new")
    assert wait_until(lambda: time.time_ns() - (stage.root / "in" / "new").stat().st_ctime_ns > 6e8)
    assert stage.place.call("run", "in").returncode == 0
    assert call(stage) == (0, "")
    assert told(stage) == [{"in/new"}]


# who may read it


def test_what_changed_is_for_the_jobs_user_alone(stage: Stage) -> None:
    watch(stage, "@watch {root}/in stat -c '\\%a \\%u' $RUNJOBS_CHANGED >mode; sh note.sh")
    write(stage, "new")
    call(stage)
    assert (stage.root / "mode").read_text() == f"600 {os.geteuid()}\n"
    (kept,) = (stage.place.state / "logs" / "in").glob("*.changed")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_job_of_another_user_can_read_what_changed_and_nobody_else(stage: Stage) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root starts jobs as somebody else")
    nobody = pwd.getpwnam("nobody").pw_uid
    for folder in (stage.root, *list(stage.root.parents)[:-2]):
        if folder.stat().st_uid == 0 and folder != Path("/tmp"):
            folder.chmod(0o755)
    (stage.root / "runs").chmod(0o777)
    watch(stage, "@watch {root}/in stat -c '\\%a \\%u \\%n' $RUNJOBS_CHANGED >runs/mode; sh note.sh", "user=nobody")
    write(stage, "new")
    assert call(stage) == (0, "")
    assert told(stage) == [{"in/new"}]
    mode, owner, path = (stage.root / "runs" / "mode").read_text().split()
    assert (mode, owner) == ("600", str(nobody))
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o711
    assert not Path(path).exists()  # its run has ended


# nobody is held up


def test_a_path_on_a_file_system_that_does_not_answer_holds_no_other_job_up(stage: Stage) -> None:
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("only root, and with /dev/fuse, makes a file system that hangs")
    stage.jobs(f"#: name=in\n{WATCH.format(root=stage.root)}\n#: name=tick\n@every 1s echo >>ticks\n")
    words = stage.place.command("run", "--foreground", "--log-format", "json")[3:]
    with (stage.root / "out").open("ab") as out:
        runner = subprocess.Popen(
            [sys.executable, "-c", STALLED, str(stage.root / "in"), *words],
            env=environment(), stdin=SILENT, stdout=out, stderr=out,
        )  # fmt: skip
    with runner:
        try:
            assert stage.heard(
                "warning", message="in can't see what changes at its paths: a file system does not answer"
            )
            begun = ticks(stage)
            assert wait_until(lambda: ticks(stage) > begun + 2)
        finally:
            runner.kill()


def ticks(stage: Stage) -> int:
    path = stage.root / "ticks"
    return len(path.read_text()) if path.exists() else 0


# nothing gets lost


def test_what_a_run_was_to_be_told_that_could_not_start_is_told_to_the_next_one(stage: Stage) -> None:
    place = stage.root / "place"
    watch(stage, options=f"cwd={place}", line="@watch {root}/in cd {root}; sh note.sh")
    write(stage, "first")
    assert call(stage)[0] == 1
    assert [fire["reason"] for fire in ledger.fires(stage.place.state)] == ["cwd"]
    place.mkdir()
    write(stage, "second")
    call(stage)
    assert told(stage) == [{"in/first", "in/second"}]


def test_a_job_that_was_stopped_before_it_began_is_told_again(stage: Stage) -> None:
    if os.geteuid() != 0 or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("only root, and with /dev/fuse, makes a file system that hangs")
    place = stage.root / "place"
    place.mkdir()
    watch(stage, options=f"cwd={place} timeout=300ms", line="@watch {root}/in cd {root}; sh note.sh")
    write(stage, "new")
    subprocess.run(
        [sys.executable, "-c", STALLED, str(place), *stage.place.command("run")[3:]],
        env=environment(), stdin=SILENT, stdout=SILENT, stderr=SILENT, timeout=60, check=False,
    )  # fmt: skip
    (fire,) = ledger.fires(stage.place.state)
    assert (fire["outcome"], told(stage)) == ("timeout", [])
    write(stage, "late")
    assert call(stage) == (0, "")
    assert told(stage) == [{"in/new", "in/late"}]


def test_news_that_comes_between_asking_and_following_stays_news(tmp_path: Path) -> None:
    pytest.importorskip("inotify_simple")
    from runjobs.adapters.watch import Watch

    follower = Watch(lambda _: True)
    try:
        follower.follow([str(tmp_path)])
        assert not follower.is_due()
        (tmp_path / "new").touch()
        follower.follow([str(tmp_path)])
        assert follower.is_due()
        follower.follow([str(tmp_path)])
        assert not follower.is_due()
    finally:
        follower.close()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("runjobs.runner.triggers", "watchers"),
        ("runjobs.adapters.snapshot", "look"),
        ("runjobs.core.watchstate", "pack"),
        ("runjobs.runner.start", "_fork_all"),
        ("runjobs.runner.start", "_fork"),
    ],
)
def test_a_runner_that_is_killed_between_looking_and_starting_loses_no_change(
    stage: Stage, module: str, name: str
) -> None:
    watch(stage)
    write(stage, "new")
    words = stage.place.command("run")[3:]
    subprocess.run(
        [sys.executable, "-c", KILLED, module, name, *words],
        env=environment(), stdin=SILENT, stdout=SILENT, stderr=SILENT, timeout=60, check=False,
    )  # fmt: skip
    for _ in range(2):  # the first may have to settle what the dead one left
        call(stage)
    assert {"in/new"} in told(stage)
    assert call(stage) == (0, "")


def test_of_ten_thousand_files_dropped_in_bursts_each_is_told_to_a_run_that_started_after_it(stage: Stage) -> None:
    """Over a runner that is killed, one that is stopped while more happens than the kernel tells, and one that ends."""
    watch(stage, variables="TAKES=0.3")
    for burst in range(BURSTS):
        with stage.foreground() as runner:
            before = len(told(stage))
            write(stage, *(f"{burst}-{number}" for number in range(FILES // 2)))
            assert wait_until(lambda: len(told(stage)) > before)  # noqa: B023
            if burst == 2:
                flood(stage, runner.pid)
                assert not find_spec("inotify_simple") or stage.heard("warning")
            write(stage, *(f"{burst}-{number}" for number in range(FILES // 3, FILES)), text="y")
            runner.send_signal(signal.SIGKILL if burst % 2 else signal.SIGTERM)
            runner.wait(30)
    with stage.foreground():
        assert wait_until(lambda: not unseen(stage))
    if find_spec("inotify_simple"):
        assert any("more files have changed than" in each["message"] for each in stage.events("warning"))
    assert len(list((stage.root / "in").iterdir())) == BURSTS * FILES


def flood(stage: Stage, runner: int) -> None:
    """Have so much happen while the runner stands still that the kernel drops notices."""
    os.kill(runner, signal.SIGSTOP)
    names = [f"2-{number}" for number in range(FILES // 2)]
    for count in range(int(QUEUE.read_text()) // FILES + 2):
        write(stage, *names, text="z" * count)
    os.kill(runner, signal.SIGCONT)

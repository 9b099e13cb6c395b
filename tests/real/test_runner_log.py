"""The runner's own log: no line lost or cut over rotations, whoever makes them, and a full disk costs lines alone."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters import process
from runjobs.adapters.runnerlog import Bounds, RunnerLog, sweep
from tests.real.support import ledger, namespaces
from tests.real.support.command_line import ROOT, SILENT, environment
from tests.real.support.processes import stat, tree, wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEAP = "#: name=leap\n0 0 29 2 * true\n"
TICK = "#: name=tick\n@every 1s echo said\n"
LOGROTATE = shutil.which("logrotate", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def older(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.iterdir() if each.name.startswith(f"{path.name}.2"))


def text_of(path: Path) -> str:
    return gzip.open(path, "rt").read() if path.suffix == ".gz" else path.read_text()


def events(*paths: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in text_of(path).splitlines()]


def are_packed(path: Path, count: int) -> bool:
    return [each.suffix for each in older(path)] == [".gz"] * count


@contextlib.contextmanager
def logging(stage: Stage, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A foreground with a log file, and that file."""
    path = stage.root / "log"
    before = path.read_text().count("runner-started") if path.exists() else 0
    with stage.foreground("--log-file", str(path), *words) as runner:
        assert wait_until(lambda: path.exists() and path.read_text().count("runner-started") > before), stage.err
        yield runner, path


def test_events_go_to_the_log_file_and_the_jobs_lines_to_their_own_logs_alone(stage: Stage) -> None:
    stage.jobs(TICK)
    with logging(stage) as (runner, path):
        assert wait_until(lambda: "ended" in path.read_text())
        runner.terminate()
        assert runner.wait(60) == 0
    assert [event["event"] for event in events(path)][-2:] == ["runner-stopping", "runner-stopped"]
    assert "said" not in path.read_text()
    assert (stage.root / "out").read_bytes() == b""
    assert (stage.place.state / ledger.runs(stage.place.state)[0]["log"]).read_text() == "said\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_usr1_turns_the_log_over_under_a_name_with_the_time_and_packs_it(stage: Stage) -> None:
    stage.jobs(LEAP)
    with logging(stage, "--log-keep", "1M") as (runner, path):
        for count in (1, 2):
            runner.send_signal(signal.SIGUSR1)
            assert wait_until(partial(are_packed, path, count))
            assert [event["event"] for event in events(path)] == ["runner-status"]
    first, second = older(path)
    assert [event["event"] for event in events(first)] == ["runner-started"]
    assert [event["event"] for event in events(second)] == ["runner-status"]
    assert {each.stat().st_mode & 0o777 for each in (first, second)} == {0o600}
    assert not list(stage.root.glob("*.part"))


def test_usr1_costs_no_history_where_that_is_bounded_by_number(stage: Stage) -> None:
    stage.jobs(LEAP)
    with logging(stage, "--log-keep", "1") as (runner, path):
        for count in (1, 2, 3):
            runner.send_signal(signal.SIGUSR1)
            assert wait_until(partial(has_seen, path, count))
        assert [event["event"] for event in events(path)] == ["runner-started", *["runner-status"] * 3]
        with path.open("ab") as file:
            file.write(b"{}\n" * 30_000)
        runner.send_signal(signal.SIGUSR1)
        assert wait_until(partial(are_packed, path, 1))
        assert [event["event"] for event in events(path)] == ["runner-status"]


@pytest.mark.parametrize(("size", "before"), [(10_000_000, 65_536), (100_000, 50_000), (4096, 2048)])
def test_a_log_that_is_small_for_its_bounds_is_not_turned_over_on_demand(
    tmp_path: Path, size: int, before: int
) -> None:
    path = tmp_path / "log"
    log = RunnerLog(path, Bounds(size, files=10), process.fork)
    path.write_bytes(b"x" * (before - 2) + b"\n")
    log.turn_over()
    assert older(path) == []
    log.line(b"")
    log.turn_over()
    assert len(older(path)) == 1
    log.close()
    reap()


def test_a_log_that_grows_is_turned_over_within_its_bounds_and_no_line_is_lost_or_cut(stage: Stage) -> None:
    stage.jobs("".join(TICK.replace("tick", f"tick{number}") for number in range(10)))
    with logging(stage, "--log-size", "4096", "--log-keep", "1000") as (runner, path):
        assert wait_until(lambda: len(older(path)) >= 2, 120)
        assert path.stat().st_size <= 4096
        runner.terminate()
        assert runner.wait(60) == 0
    assert wait_until(lambda: {each.suffix for each in older(path)} == {".gz"})
    told = events(*older(path), path)
    assert [told[0]["event"], told[-1]["event"]] == ["runner-started", "runner-stopped"]
    ended = [event["run"] for event in told if event["event"] == "ended"]
    assert sorted(ended) == sorted(run["id"] for run in ledger.runs(stage.place.state))
    assert all(len(text_of(each)) <= 4096 for each in older(path))


def test_tail_follows_the_log_over_a_rotation(stage: Stage) -> None:
    stage.jobs(LEAP)
    seen = stage.root / "seen"
    command = ["tail", "-n", "+1", "-F", str(stage.root / "log")]
    with (
        logging(stage, "--log-keep", "1M") as (runner, _),
        seen.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=SILENT) as tail,
    ):
        assert wait_until(lambda: "runner-started" in seen.read_text())
        for count in range(1, 4):
            runner.send_signal(signal.SIGUSR1)
            assert wait_until(partial(has_seen, seen, count))
        tail.kill()


def has_seen(seen: Path, count: int) -> bool:
    return seen.read_text().count("runner-status") == count


def test_a_log_that_somebody_else_moved_is_opened_anew_on_usr1(stage: Stage) -> None:
    stage.jobs(LEAP)
    with logging(stage) as (runner, path):
        path.rename(stage.root / "log.1")
        path.touch(0o640)
        runner.send_signal(signal.SIGUSR1)
        assert wait_until(lambda: "runner-status" in path.read_text())
        path.unlink()
        runner.send_signal(signal.SIGUSR1)
        assert wait_until(lambda: path.exists() and "runner-status" in path.read_text())
    assert older(path) == []
    assert [event["event"] for event in events(stage.root / "log.1")] == ["runner-started"]


@pytest.mark.skipif(LOGROTATE is None, reason="logrotate is not installed (apt-get install logrotate)")
@pytest.mark.parametrize("way", ["create", "nocreate", "copytruncate"])
def test_logrotate_itself_rotates_it(stage: Stage, way: str) -> None:
    stage.jobs(LEAP)
    with logging(stage) as (runner, path):
        signalled = f"postrotate\n kill -USR1 {runner.pid}\nendscript\n" if way != "copytruncate" else ""
        configuration = stage.root / "logrotate.conf"
        configuration.write_text(f"{path} {{\nsu {os.geteuid()} {os.getegid()}\nrotate 5\n{way}\n{signalled}}}\n")
        configuration.chmod(0o600)
        command = [str(LOGROTATE), "--force", "--state", str(stage.root / "status"), str(configuration)]
        rotated = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert rotated.returncode == 0, rotated.stderr
        if way == "copytruncate":
            assert path.read_text() == ""
            runner.send_signal(signal.SIGUSR1)
        assert wait_until(lambda: path.exists() and [event["event"] for event in events(path)] == ["runner-status"])
    assert [event["event"] for event in events(stage.root / "log.1")] == ["runner-started"]
    assert older(path) == []


def test_the_example_for_logrotate_names_what_there_is() -> None:
    example = (ROOT / "contrib" / "runjobs.logrotate").read_text()
    assert "kill -USR1" in example
    assert "/var/lib/runjobs/runner.pid" in example


def test_a_log_of_an_earlier_runner_is_gone_on_with_and_what_that_left_unpacked_is_packed(stage: Stage) -> None:
    stage.jobs(LEAP)
    left = stage.root / "log.20200101T000000.000Z"
    left.write_text("{}\n")
    (stage.root / "log.20200101T000000.000Z.gz.part").write_text("half")
    for count in (1, 2):
        with logging(stage) as (runner, path):
            runner.terminate()
            assert runner.wait(60) == 0
        assert [event["event"] for event in events(path)].count("runner-started") == count
    assert wait_until(partial(are_packed, path, 1))
    assert text_of(older(path)[0]) == "{}\n"
    assert not list(stage.root.glob("*.part"))


def test_the_packer_is_nice_holds_no_lock_of_the_runner_and_never_keeps_its_loop_waiting(stage: Stage) -> None:
    stage.jobs(TICK)
    with logging(stage) as (runner, path):
        size = 400_000_000
        with path.open("ab") as file:
            file.truncate(size)  # a hole: it costs no disk, and takes a second to compress
        runner.send_signal(signal.SIGUSR1)
        found: dict[int, list[str]] = {}

        def look() -> bool:
            for pid in tree(runner.pid):
                with contextlib.suppress(OSError):
                    if pid != runner.pid and os.getpriority(os.PRIO_PROCESS, pid) == 19:
                        found[pid] = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
            return bool(found) and any(str(path) in name for names in found.values() for name in names)

        assert wait_until(look, pause=0.001)
        count = path.read_text().count("ended")
        assert wait_until(lambda: path.read_text().count("ended") > count)
        assert wait_until(partial(are_packed, path, 1), 120)
        assert wait_until(lambda: not any(stat(pid) for pid in found))  # it was waited for
    names = [name for names in found.values() for name in names]
    assert not [name for name in names if "runner.pid" in name or "locks" in name or "sqlite" in name]


def full_disk(folder: Path) -> list[str]:
    """The beginning of a command line that mounts a disk of 64 KiB at the folder, in a namespace of its own."""
    script = 'mount -t tmpfs -o size=64k,mode=700 small "$0" && exec "$@"'
    return namespaces.mounting(["sh", "-c", script, str(folder)])


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
def test_a_full_disk_costs_lines_and_no_job_and_is_told_when_it_has_passed(stage: Stage) -> None:
    stage.jobs("".join(TICK.replace("tick", f"tick{number}") for number in range(6)))
    disk = stage.root / "disk"
    disk.mkdir()
    words = ("--foreground", "--log-format", "json", "--log-file", str(disk / "log"))
    command = [*full_disk(disk), *stage.place.command("run", *words)]
    with subprocess.Popen(command, env=environment(), stdin=SILENT, stdout=SILENT) as made:
        try:
            assert wait_until(lambda: ledger.runs(stage.place.state))
            inside = next(pid for pid, found in tree(made.pid).items() if found.parent == made.pid)
            seen = stage.root / "seen"  # the mount, seen from outside
            seen.symlink_to(f"/proc/{inside}/root{disk}")
            with contextlib.suppress(OSError):
                (seen / "ballast").write_bytes(b"x" * 1_000_000)
            size = (seen / "log").stat().st_size
            count = len(ledger.runs(stage.place.state))
            # the last page of the log may have room left: 12 runs tell more than fits into it
            assert wait_until(lambda: len(ledger.runs(stage.place.state)) >= count + 12)
            full = (seen / "log").read_text()
            assert len(full) <= size + 4096
            (seen / "ballast").unlink()
            assert wait_until(lambda: "could not be written: No space left on device" in (seen / "log").read_text())
            told = events(seen / "log")  # each line is whole
            os.kill(inside, signal.SIGTERM)
            assert made.wait(60) == 0
        finally:
            made.kill()
    assert [event["message"] for event in told if event["event"] == "warning"] != []
    assert {run["outcome"] for run in ledger.runs(stage.place.state)} == {"ok"}


def line(number: int) -> bytes:
    return f"line {number:06} ".encode().ljust(99, b".")


def test_older_logs_are_bounded_by_number_and_by_size(tmp_path: Path) -> None:
    for name, bounds, most in (("number", Bounds(4096, files=3), 3), ("bytes", Bounds(4096, total=1000), 100)):
        path = tmp_path / name
        (tmp_path / f"{name}.1").write_text("another's")
        (tmp_path / f"{name}.20200101T000000.000Z.old").write_text("another's too")
        log = RunnerLog(path, bounds, process.fork)
        for number in range(1000):
            assert log.line(line(number))
        log.close()
        reap()
        sweep(path, bounds)
        kept = [each for each in older(path) if each.suffix == ".gz"]
        assert 0 < len(kept) <= most
        assert name == "number" or sum(each.stat().st_size for each in kept) <= 1000
        assert (tmp_path / f"{name}.1").exists()
        assert (tmp_path / f"{name}.20200101T000000.000Z.old").exists()
        newest = text_of(kept[-1]).splitlines() + text_of(path).splitlines()
        assert newest[-1].startswith("line 000999")


def test_rotations_one_upon_the_other_lose_nothing_though_packers_meet(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = RunnerLog(path, Bounds(4096, files=1000), process.fork)
    for number in range(3000):
        assert log.line(line(number))
    log.close()
    reap()
    assert {each.suffix for each in older(path)} == {".gz"}
    said = "".join(map(text_of, older(path))) + path.read_text()
    assert [int(each.split()[1]) for each in said.splitlines()] == list(range(3000))


def test_packers_of_two_logs_in_one_folder_do_not_stand_in_for_each_other(tmp_path: Path) -> None:
    one, two = tmp_path / "log", tmp_path / "log2"
    left = [tmp_path / f"{each.name}.20200101T00000{number}.000Z" for each in (one, two) for number in range(3)]
    for each in left:
        each.write_text("line\n")
    with locked(tmp_path), locked(tmp_path / "log2.packing"):
        sweep(one, Bounds(4096, files=2))
        sweep(two, Bounds(4096, files=2))
        assert [each.suffix for each in older(one)] == [".gz"] * 2
        assert len(older(two)) == 3  # somebody does it
    sweep(two, Bounds(4096, files=2))
    assert [each.suffix for each in older(two)] == [".gz"] * 2
    assert len(list(tmp_path.iterdir())) == 4  # and no lock file


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the flock of this file or folder, as another process does."""
    fd = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDONLY | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)


def test_a_folder_that_can_not_be_listed_is_told_of_at_the_start_and_at_each_rotation(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can list every folder")
    path = tmp_path / "log"
    tmp_path.chmod(0o300)
    try:
        log = RunnerLog(path, Bounds(4096, total=4096), process.fork)
        for _ in range(2):
            assert "older logs are not deleted: the folder" in log.trouble
            assert "can't be listed: Permission denied" in log.trouble
            log.trouble = ""
            assert log.line(b"line")
            log.turn_over()
    finally:
        tmp_path.chmod(0o700)
    assert len(older(path)) == 2
    log.close()


def test_a_packer_without_room_for_its_lock_still_deletes_what_is_too_much(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(3):
        (tmp_path / f"log.20200101T00000{number}.000Z").write_text("line\n")
    (tmp_path / "log.packing").mkdir()  # it can't be made: as on a full disk
    sweep(path, Bounds(4096, files=2))
    assert len(older(path)) == 2


def test_a_log_that_can_not_be_turned_over_goes_on_and_says_so(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root can write to every folder")
    path = tmp_path / "log"
    log = RunnerLog(path, Bounds(4096), process.fork)
    tmp_path.chmod(0o500)
    for number in range(100):
        assert log.line(line(number))
    tmp_path.chmod(0o700)
    assert "can't be turned over: Permission denied" in log.trouble
    assert len(path.read_text().splitlines()) == 100
    log.close()


def test_a_packer_on_a_full_disk_leaves_the_log_as_it_is(tmp_path: Path) -> None:
    path, left = tmp_path / "log", tmp_path / "log.20200101T000000.000Z"
    left.write_bytes(os.urandom(100_000))
    before = left.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        sweep(path, Bounds(4096))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left.read_bytes() == before
    assert list(tmp_path.iterdir()) == [left]


def reap() -> None:
    """Wait for every packer."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)

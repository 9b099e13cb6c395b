"""A disk full to its last byte: the jobs run, each fire once, with the right exit codes, and are on record later.

The disk is a small one in memory, mounted in a namespace of its own, which whoever holds it open keeps alive. The jobs
leave their word on another one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import SILENT, Place, environment
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = 50
KINDS = (("exit 0", "ok", 0), ("exit 3", "failed", 3), ("sleep 60", "timeout", None))
USER = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
SIZE = "48m"  # the ballast is made where 32 MiB are free
HOLD = f'mount -t tmpfs -o size={SIZE},mode=700 small "$0" && echo mounted && exec sleep infinity'


@cache
def why_not() -> str:
    """Say why no small disk can be mounted here; "" when one can."""
    try:
        tried = subprocess.run(
            ["unshare", *USER, "--mount", "sh", "-c", "mount -t tmpfs small /mnt"],
            stdin=SILENT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return "unshare(1) is not installed"
    return f"no small disk can be mounted: {tried.stderr.strip()}" if tried.returncode else ""


pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


class Disk(NamedTuple):
    """A small disk: where it is for those in its namespace, and the pid of who keeps that."""

    place: Place
    holder: int

    @property
    def seen(self) -> Path:
        """The state folder, as it is seen from outside of the namespace."""
        return Path(f"/proc/{self.holder}/root{self.place.state}")

    def command(self, *words: str) -> list[str]:
        """`runjobs run WORDS` on the small disk."""
        user = ["--user", "--preserve-credentials"] if USER else []
        here = ["nsenter", "--target", str(self.holder), *user, "--mount"]
        return [*here, *self.place.command("run", *words)]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*words),
            env=environment(),
            stdin=SILENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def fill(self) -> None:
        """Leave not one byte free."""
        path = self.seen.parent / f"fill{time.monotonic_ns()}"
        try:
            with path.open("wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
        except OSError:
            return

    def make_room(self) -> None:
        """Delete what filled it."""
        for path in self.seen.parent.glob("fill*"):
            path.unlink()

    @property
    def ballast(self) -> Path:
        """The room that is held back."""
        return self.seen / "ballast"

    def starts(self) -> Counter[tuple[str, int]]:
        """What the jobs wrote: (job, scheduled time in milliseconds), and how often."""
        path = self.place.root / "starts"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return Counter((job, round(datetime.fromisoformat(at).timestamp() * 1000)) for job, at in lines)

    def record(self) -> Path:
        """A copy of the ledger, while nobody writes it: SQLite takes no path that leads through a namespace."""
        folder = self.place.root / f"copy{time.monotonic_ns()}"
        folder.mkdir()
        for path in self.seen.glob("ledger.sqlite3*"):
            shutil.copy(path, folder)
        return folder

    def fires(self) -> dict[tuple[str, int], Any]:
        """The fires by the schedule that have had a run, by the word of the ledger."""
        told = [fire for fire in ledger.fires(self.record()) if fire["trigger"] == "schedule"]
        return {
            (fire["job"], fire["scheduled_at"]): fire for fire in told if fire["outcome"] not in ("missed", "skipped")
        }


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    small = tmp_path / "small"
    small.mkdir(mode=0o700)
    command = ["unshare", *USER, "--mount", "sh", "-c", HOLD, str(small)]
    with subprocess.Popen(command, stdin=SILENT, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"mounted\n"
            yield Disk(OnSmall(tmp_path), holder.pid)
        finally:
            holder.kill()


class OnSmall(Place):
    """A place whose state folder is on the small disk."""

    @property
    def state(self) -> Path:
        """Where the ledger, locks and logs go."""
        return self.root / "small" / "state"


def write_jobs(disk: Disk, schedule: str) -> None:
    lines = [f"#: defaults cwd={disk.place.root} kill-after=1s"]
    for number in range(JOBS):
        command, outcome, _ = KINDS[number % 3]
        lines.append(f"#: name=job{number}" + (" timeout=1s" if outcome == "timeout" else ""))
        lines.append(f'{schedule} echo "$RUNJOBS_JOB $RUNJOBS_SCHEDULED_AT" >> {disk.place.root}/starts; {command}')
    disk.place.write("jobs", "\n".join(lines) + "\n")


def get_to_know(disk: Disk) -> None:
    """Have a pass see the jobs while there is room, none of them due."""
    write_jobs(disk, "0 0 1 1 *")
    assert disk.call().returncode == 0
    assert disk.ballast.exists()


def early_in_a_minute() -> None:
    """Wait until all that is to happen in one minute can."""
    wait_until(lambda: 0.5 < time.time() % 60 < 20)


def assert_whole(disk: Disk) -> None:
    """Every fire that the jobs have seen is on record with its outcome, and no other; each was started once."""
    starts, fires = disk.starts(), disk.fires()
    assert [fire for fire, times in starts.items() if times > 1] == []
    assert starts.keys() == fires.keys()
    for (job, _), fire in fires.items():
        _, outcome, _ = KINDS[int(job.removeprefix("job")) % 3]
        assert (fire["state"], fire["outcome"]) == ("ended", outcome), job
    for run in ledger.runs(disk.record()):
        _, outcome, code = KINDS[int(run["job"].removeprefix("job")) % 3]
        assert (run["outcome"], run["exit_code"]) == (outcome, code)


@contextmanager
def foreground(disk: Disk) -> Iterator[subprocess.Popen[bytes]]:
    out = disk.place.root / "out"
    with (
        out.open("wb") as told,
        subprocess.Popen(
            disk.command("--foreground", "--log-format", "json"), env=environment(), stdin=SILENT, stdout=told
        ) as runner,
    ):
        try:
            yield runner
        finally:
            runner.terminate()
            runner.wait(60)


def test_passes_on_a_full_disk_run_every_job_once_and_the_ledger_is_whole_later(disk: Disk) -> None:
    get_to_know(disk)
    write_jobs(disk, "* * * * *")
    early_in_a_minute()
    disk.fill()
    passes = [disk.call() for _ in range(3)]
    assert [each.returncode for each in passes] == [1, 0, 0]
    assert len(disk.starts()) == JOBS
    assert not disk.ballast.exists()
    assert "room that was held back" in passes[0].stderr
    assert [each.stderr for each in passes[1:]] == ["", ""]
    disk.make_room()
    disk.call()
    assert_whole(disk)
    assert disk.ballast.exists()


def test_without_a_ballast_passes_know_by_the_lock_files_what_has_run(disk: Disk) -> None:
    get_to_know(disk)
    write_jobs(disk, "* * * * *")
    early_in_a_minute()
    disk.ballast.unlink()
    disk.fill()
    passes = [disk.call() for _ in range(3)]
    assert [each.returncode for each in passes] == [1, 0, 0]
    assert sum("jobs run all the same" in each.stderr for each in passes) == 1
    assert max(disk.starts().values()) == 1
    disk.make_room()
    assert "can be written again" in disk.call().stderr
    assert_whole(disk)


def test_jobs_that_nobody_has_seen_before_run_once_too(disk: Disk) -> None:
    disk.place.write("jobs", "0 0 1 1 * true\n")
    disk.call()
    write_jobs(disk, "* * * * *")
    disk.ballast.unlink()
    early_in_a_minute()
    disk.fill()
    assert [disk.call().returncode for _ in range(3)] == [1, 0, 0]
    disk.make_room()
    disk.call()
    assert max(disk.starts().values()) == 1
    fires = disk.fires()
    assert disk.starts().keys() == fires.keys()
    assert {job: fire["outcome"] for (job, _), fire in fires.items()} == {
        f"job{number}": KINDS[number % 3][1] for number in range(JOBS)
    }


def test_two_runners_at_once_on_a_full_disk_start_nothing_twice(disk: Disk) -> None:
    get_to_know(disk)
    write_jobs(disk, "* * * * *")
    disk.ballast.unlink()
    early_in_a_minute()
    disk.fill()
    both = [subprocess.Popen(disk.command(), env=environment(), stdin=SILENT, stderr=SILENT) for _ in range(2)]
    assert {one.wait(60) for one in both} <= {0, 1}
    assert len(disk.starts()) == JOBS
    disk.make_room()
    disk.call()
    assert_whole(disk)


@pytest.mark.parametrize("job", range(3))
def test_a_job_that_a_person_runs_on_a_full_disk_gives_its_own_exit_code(disk: Disk, job: int) -> None:
    get_to_know(disk)
    disk.ballast.unlink()
    disk.fill()
    said = disk.call(f"job{job}")
    assert said.returncode == (0, 3, 124)[job]
    assert "jobs run all the same" in said.stderr
    disk.make_room()
    disk.call()
    assert [run["outcome"] for run in ledger.runs(disk.record(), f"job{job}")] == [KINDS[job][1]]


def test_the_foreground_goes_on_over_a_full_disk_and_says_so(disk: Disk) -> None:
    write_jobs(disk, "@every 2s")
    told = disk.place.root / "out"
    with foreground(disk):
        assert wait_until(lambda: len(disk.starts()) >= JOBS)
        disk.ballast.unlink()
        disk.fill()
        assert wait_until(lambda: "jobs run all the same" in told.read_text())
        before = len(disk.starts())
        assert wait_until(lambda: len(disk.starts()) >= before + JOBS)
        disk.make_room()
        assert wait_until(lambda: "can be written again" in told.read_text())
    (disk.place.root / "jobs.d" / "jobs").write_text("#: name=job0\n0 0 1 1 * true\n")
    disk.call()
    assert max(disk.starts().values()) == 1
    fires = disk.fires()
    assert disk.starts().keys() == fires.keys()
    assert {fire["state"] for fire in fires.values()} == {"ended"}
    right = {
        f"job{number}": {KINDS[number % 3][1], "interrupted"} for number in range(JOBS)
    }  # by the end of the runner
    assert [fire["job"] for fire in fires.values() if fire["outcome"] not in right[fire["job"]]] == []

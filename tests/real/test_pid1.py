"""The foreground as PID 1 of a pid namespace, as in a container: told to stop, reaping, read-only, without a name."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger, namespaces
from tests.real.support.command_line import SILENT, Place, environment
from tests.real.support.processes import is_same, stat, tree, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.real.support.processes import Stat

pytestmark = pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())

DOCKER_KILLS = 10  # seconds after TERM, docker stop's default; our own grace of 8 s lies within
NOBODY = "4711"  # a uid that no passwd file names


@contextmanager
def running(command: list[str], **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command that makes the namespace; whatever is in there ends with it."""
    with subprocess.Popen(command, env=environment(**env), stdin=SILENT, stdout=SILENT, stderr=subprocess.PIPE) as made:
        try:
            yield made
        finally:
            made.kill()


def pid_1(made: subprocess.Popen[bytes]) -> int:
    """The pid that PID 1 of the namespace has out here."""
    assert wait_until(lambda: len(tree(made.pid)) > 1)
    return next(pid for pid, found in tree(made.pid).items() if found.parent == made.pid)


def told_to_stop(made: subprocess.Popen[bytes]) -> int:
    """Send TERM to PID 1 alone, as docker stop does, and return the exit code."""
    os.kill(pid_1(made), signal.SIGTERM)
    return made.wait(DOCKER_KILLS)


def zombies(members: Mapping[int, Stat]) -> list[int]:
    return [pid for pid, found in members.items() if found.state == "Z"]


def test_term_ends_pid_1_within_the_grace_and_every_run_is_recorded(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(
        "jobs",
        "#: name=obedient\n@every 1s exec sleep 1000\n"
        "#: name=stubborn\n@every 1s trap '' TERM; while :; do sleep 1; done\n"
        "#: name=daemon\n@every 1s (trap '' TERM; setsid sleep 1000 &) ; exec sleep 1000\n",
    )
    with running(namespaces.as_pid_1(place.command("run", "--foreground"))) as made:
        assert wait_until(lambda: len(sleepers(made.pid)) == 4), "not all jobs have started"
        before = tree(made.pid)
        assert told_to_stop(made) == 0
        assert wait_until(lambda: not [pid for pid, found in before.items() if pid != made.pid and is_same(pid, found)])
    ends = [(run["job"], run["state"], run["outcome"], run["reason"]) for run in ledger.runs(place.state)]
    names = ("daemon", "obedient", "stubborn")
    assert sorted(ends) == [(name, "ended", "interrupted", "shutdown") for name in names]


def sleepers(root: int) -> list[int]:
    return [pid for pid, found in tree(root).items() if found.name == "sleep"]


def test_orphans_of_jobs_and_of_strangers_are_reaped(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(
        "jobs", "#: name=parent\n@every 1s sleep 0.101 & setsid sleep 1.101 & (setsid sleep 2.101 &) ; exit 0\n"
    )
    stranger = ["sh", "-c", "sleep 2 & (setsid sleep 3 &) ; exit 0"]
    with running(namespaces.as_pid_1(place.command("run", "--foreground"))) as made:
        first = pid_1(made)
        assert wait_until(lambda: len(ledger.runs(place.state)) >= 3)
        subprocess.run(namespaces.entering(first, stranger), stdin=SILENT, check=True, timeout=60)
        adopted = [pid for pid, found in tree(first).items() if found.parent == first and found.name == "sleep"]
        assert adopted  # the strangers' parent is gone, so PID 1 is their parent now
        assert wait_until(lambda: not any(stat(pid) for pid in adopted)), "an adopted process was never waited for"
        assert wait_until(lambda: len(ledger.runs(place.state)) >= 6)
        assert wait_until(lambda: not zombies(tree(first))), "a zombie stays"
        assert told_to_stop(made) == 0
    assert {run["outcome"] for run in ledger.runs(place.state)} <= {"ok", "interrupted"}


def test_a_read_only_root_file_system_but_for_the_state_folder_is_enough(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o700)
    place.write(
        "jobs", f"#: name=probe\n@every 1s ! touch {tmp_path}/probe 2>/dev/null && touch {place.state}/written\n"
    )
    foreground = place.command("run", "--foreground")
    with running(namespaces.with_read_only_root(str(place.state), foreground)) as made:
        assert wait_until(lambda: made.poll() is not None or ok_runs(place)), "no job ended ok"
        assert made.poll() is None, made.stderr.read() if made.stderr else ""
        assert told_to_stop(made) == 0
    assert (place.state / "written").exists()
    assert not (tmp_path / "probe").exists()


def ok_runs(place: Place) -> list[str]:
    return [run["id"] for run in ledger.runs(place.state) if run["outcome"] == "ok"]


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that every user can enter, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can take another uid")
@pytest.mark.parametrize("home", [{}, {"HOME": "/"}], ids=["without HOME", "with HOME=/"])
def test_a_uid_without_a_passwd_entry_runs_jobs(shared_folder: Path, home: dict[str, str]) -> None:
    place = Place(shared_folder)
    place.write("jobs", "#: name=who\n@every 1s id -u && id -G\n")
    place.state.mkdir(mode=0o700)
    os.chown(place.state, int(NOBODY), int(NOBODY))
    # the interpreter may live below a folder of root's alone, which reading and searching gets past, writing not
    may_read = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    as_nobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *may_read]
    homeless = [*as_nobody, "env", "-u", "HOME", *(f"{key}={value}" for key, value in home.items())]
    with running(namespaces.as_pid_1([*homeless, *place.command("run", "--foreground")])) as made:
        assert wait_until(lambda: made.poll() is not None or ok_runs(place)), "no job ended ok"
        assert made.poll() is None, made.stderr.read() if made.stderr else ""
        assert told_to_stop(made) == 0
    log = place.state / ledger.runs(place.state)[0]["log"]
    assert log.read_text().split() == [NOBODY, NOBODY]

"""A foreground under a supervisor: what it says on the socket that it was given, and that no job ever sees it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.sdnotify import MOST_LEFT, Notifier, take_notifier
from tests.real.support.command_line import ROOT, SILENT, environment
from tests.real.support.processes import stat, wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Words = dict[str, str]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


class Supervisor:
    """One who listens, as systemd does."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.heard: list[Words] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def hears(self, name: str, word: str = "") -> bool:
        """Wait until this is said, in words that have not been looked at before; they are looked at now."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([self._socket], [], [], 1)[0]:
                said = self._socket.recv(65_536).decode()
                self.heard.append(dict(line.split("=", 1) for line in said.splitlines()))
                if name in self.heard[-1] and word in self.heard[-1][name]:
                    return True
        return False

    def is_spoken_to(self, seconds: float) -> bool:
        """Whether anything is said within this time."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def forget(self) -> None:
        """Take what was said, and don't look at it."""
        while self.is_spoken_to(0):
            self._socket.recv(65_536)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def supervised(stage: Stage, address: str = "", **variables: str) -> Iterator[tuple[Supervisor, int]]:
    """A foreground, and who listens to it."""
    supervisor = Supervisor(address or str(stage.root / "notify"))
    with (stage.root / "out").open("ab") as out:
        runner = subprocess.Popen(
            stage.place.command("run", "--foreground", "--log-format", "json"),
            env=environment(NOTIFY_SOCKET=supervisor.address, **variables), stdin=SILENT, stdout=out, stderr=out,
        )  # fmt: skip
    with runner:
        try:
            yield supervisor, runner.pid
        finally:
            runner.kill()
            supervisor.close()


@pytest.mark.parametrize("address", ["", f"@runjobs-test-{os.getpid()}"], ids=["a path", "an abstract name"])
def test_its_supervisor_hears_of_its_life_from_the_beginning_to_the_end(stage: Stage, address: str) -> None:
    stage.jobs("#: name=new\n@yearly true\n")
    with supervised(stage, address) as (supervisor, pid):
        assert supervisor.hears("READY", "1")
        assert supervisor.hears("STATUS", "1 job, 0 running, next: new at ")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.kill(pid, signal.SIGHUP)
        assert supervisor.hears("RELOADING", "1")
        assert before <= int(supervisor.heard[-1]["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        assert supervisor.hears("READY", "1")
        assert stage.events("reloaded")
        os.kill(pid, signal.SIGTERM)
        assert supervisor.hears("STOPPING", "1")
    assert supervisor.heard[0] == {"READY": "1"}  # and nothing before
    assert not any("WATCHDOG" in words for words in supervisor.heard)  # nobody has asked for it


def test_a_status_says_what_runs(stage: Stage) -> None:
    stage.jobs("#: name=long\n@every 1s sleep 60\n")
    with supervised(stage) as (supervisor, _):
        assert supervisor.hears("STATUS", "1 job, 1 running")


def test_words_of_life_come_while_they_are_asked_for_and_not_from_a_runner_that_hangs(stage: Stage) -> None:
    stage.jobs("#: name=new\n@yearly true\n")
    with supervised(stage, WATCHDOG_USEC="400000") as (supervisor, pid):
        assert all(supervisor.hears("WATCHDOG", "1") for _ in range(3))
        os.kill(pid, signal.SIGSTOP)
        assert wait_until(lambda: (found := stat(pid)) is not None and found.state == "T")
        supervisor.forget()
        assert not supervisor.is_spoken_to(seconds=2)
        os.kill(pid, signal.SIGCONT)
        assert supervisor.hears("WATCHDOG", "1")


def test_a_watchdog_that_is_another_process_s_is_let_be(stage: Stage) -> None:
    stage.jobs("#: name=new\n@yearly true\n")
    with supervised(stage, WATCHDOG_USEC="100000", WATCHDOG_PID="1") as (supervisor, pid):
        assert supervisor.hears("STATUS")
        os.kill(pid, signal.SIGHUP)
        assert supervisor.hears("RELOADING")
    assert not any("WATCHDOG" in words for words in supervisor.heard)


def test_no_job_hears_of_the_supervisor_whoever_runs_it(stage: Stage) -> None:
    stage.jobs("#: name=curious\n@every 1s env > seen.tmp; mv seen.tmp seen\n")
    told = {"NOTIFY_SOCKET": str(stage.root / "notify"), "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}
    with supervised(stage):
        assert stage.exists("seen")
    by_foreground = (stage.root / "seen").read_text()
    (stage.root / "seen").unlink()
    subprocess.run(stage.place.command("run", "curious"), env=environment(**told), stdin=SILENT, check=True, timeout=60)
    for seen in (by_foreground, (stage.root / "seen").read_text()):
        assert "RUNJOBS_JOB=curious" in seen
        assert not any(name in seen for name in told)


def test_a_supervisor_that_is_not_there_or_is_busy_keeps_nobody_waiting(tmp_path: Path) -> None:
    gone = Notifier(str(tmp_path / "nobody"))
    gone.send(READY="1")
    assert not gone.has_words_left
    gone.close()
    supervisor = Supervisor(str(tmp_path / "busy"))
    busy = Notifier(supervisor.address)
    for number in range(10_000):
        busy.send(STATUS=str(number))
        if busy.has_words_left:
            break
    for number in range(2 * MOST_LEFT):
        busy.send(STATUS=f"late {number}")
    while busy.has_words_left:
        assert supervisor.hears("STATUS")
        busy.flush()
    assert supervisor.hears("STATUS", f"late {2 * MOST_LEFT - 1}")  # the newest is told
    busy.close()
    supervisor.close()


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_what_is_no_socket_of_a_supervisor_is_taken_away_and_let_be(address: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1", "OTHER": "kept"}
    assert take_notifier(environ) is None
    assert environ == {"OTHER": "kept"}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "runjobs.service"
    text = (ROOT / "contrib" / "runjobs.service").read_text()
    unit.write_text(text.replace("/usr/local/bin/runjobs", "/bin/true"))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )
    assert "runjobs.service" not in said.stderr

"""Signals to a runner that is still starting, and more of them than it has time for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger, namespaces
from tests.real.support.command_line import ROOT, SILENT, environment
from tests.real.support.processes import tree
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TICK = "#: name=tick\n@every 1s true\n"
# the interpreter imports this before anything else: when the ledger is to be opened, wait until we let it
HOLD = """
import os, sys, time

def hold(event, details):
    if event == "sqlite3.connect" and not os.path.exists({folder!r} + "/go"):
        open({folder!r} + "/held", "w").close()
        while not os.path.exists({folder!r} + "/go"):
            time.sleep(0.02)

sys.addaudithook(hold)
"""
# a command line that never gets as far as knowing its options
STUCK = "import pathlib, time\npathlib.Path({folder!r}, 'held').touch()\ntime.sleep(1000)\n"
FLOOD = """
import signal
from runjobs.adapters.signals import Signals

signals = Signals((signal.SIGUSR2, signal.SIGTERM))
for _ in range(5000):
    signal.raise_signal(signal.SIGUSR2)
for _ in range(2):
    signal.raise_signal(signal.SIGTERM)
found = signals.take()
print(signal.SIGUSR2 in found, found.count(signal.SIGTERM), signals.take())
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        stage.jobs(TICK)
        yield stage


def python_path(stage: Stage, name: str, text: str) -> dict[str, str]:
    """The environment in which a module of this text is found before all others."""
    folder = stage.root / "modules"
    folder.mkdir()
    (folder / name).write_text(text.format(folder=str(stage.root)))
    return environment(PYTHONPATH=f"{folder}:{ROOT}")


@contextlib.contextmanager
def held(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """A foreground that holds its PID file and waits before it opens the ledger, until the file `go` is there."""
    env = python_path(stage, "sitecustomize.py", HOLD)
    command = stage.place.command("run", "--foreground", "--log-format", "json")
    with (stage.root / "out").open("wb") as out, subprocess.Popen(command, env=env, stdin=SILENT, stdout=out) as runner:
        try:
            assert stage.exists("held")
            assert (stage.place.state / "runner.pid").read_text() == f"{runner.pid}\n"
            yield runner
        finally:
            runner.kill()


@pytest.mark.parametrize("name", ["USR2", "HUP", "USR1", "CONT", "WINCH"])
def test_a_runner_that_can_be_found_and_still_starts_hears_what_it_is_told(stage: Stage, name: str) -> None:
    with held(stage) as runner:
        runner.send_signal(signal.Signals[f"SIG{name}"])
        (stage.root / "go").touch()
        assert stage.heard("ended", job="tick", outcome="ok")
        if name in {"HUP", "USR1"}:
            assert stage.heard("reloaded" if name == "HUP" else "runner-status")
        runner.terminate()
        assert runner.wait(60) == 0


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_a_runner_that_is_told_to_stop_while_it_starts_runs_nothing_and_leaves_no_pid_file(
    stage: Stage, name: str
) -> None:
    with held(stage) as runner:
        runner.send_signal(signal.Signals[f"SIG{name}"])
        (stage.root / "go").touch()
        assert runner.wait(60) == 0
    assert [event["event"] for event in stage.events()] == ["runner-started", "runner-stopping", "runner-stopped"]
    assert ledger.runs(stage.place.state) == []
    assert not (stage.place.state / "runner.pid").exists()


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_pid_1_that_has_only_begun_to_start_ends_when_it_is_told_to(stage: Stage, name: str) -> None:
    env = python_path(stage, "typer.py", STUCK)
    command = namespaces.as_pid_1(stage.place.command("run", "--foreground"))
    with subprocess.Popen(command, env=env, stdin=SILENT, stdout=SILENT, stderr=SILENT) as made:
        try:
            assert stage.exists("held")
            number = signal.Signals[f"SIG{name}"]
            inside = next(pid for pid, found in tree(made.pid).items() if found.parent == made.pid)
            os.kill(inside, number)
            assert made.wait(20) == 128 + number
        finally:
            made.kill()
    assert not stage.place.state.exists()


def test_a_flood_of_other_signals_does_not_drown_the_word_to_stop() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FLOOD], env=environment(), stdin=SILENT, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (said.stdout, said.stderr) == ("True 2 []\n", "")

"""Three runners at once on one state folder: every fire is started once, by the word of the jobs themselves."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import SILENT, Place, environment
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

JOBS, FIRES = 20, 500
# an append of one short line is atomic: O_APPEND, write(2)
LINE = 'echo "$RUNJOBS_JOB $RUNJOBS_SCHEDULED_AT" >>'

pytestmark = pytest.mark.xdist_group("three runners")  # what they share takes minutes to make


@contextmanager
def one_shots_in_a_loop(place: Place, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Call `runjobs run` again and again; when told to stop, the pass in progress is the last."""
    stop = place.root / "stop"
    loop = ["sh", "-c", f'until test -e {stop}; do "$@"; done', "sh", *place.command("run")]
    with output.open("wb") as said, subprocess.Popen(loop, env=environment(), stdin=SILENT, stderr=said) as caller:
        try:
            yield caller
        finally:
            stop.touch()
            caller.wait(120)


@contextmanager
def foreground(place: Place, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = place.command("run", "--foreground")
    with output.open("wb") as said, subprocess.Popen(command, env=environment(), stdout=SILENT, stderr=said) as runner:
        try:
            yield runner
        finally:
            runner.terminate()
            runner.wait(60)


def written(path: Path) -> list[tuple[str, int]]:
    """What the jobs wrote: (job, scheduled time in milliseconds since the epoch)."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(job, round(datetime.fromisoformat(at).timestamp() * 1000)) for job, at in lines]


def stalls(runner: subprocess.Popen[bytes], enough: Callable[[], bool]) -> None:
    """Stop and continue the foreground in turn: undisturbed it is the first at nearly every instant."""
    end = time.monotonic() + 200
    while not enough():
        assert time.monotonic() < end, "the jobs have not started often enough"
        for number in signal.SIGSTOP, signal.SIGCONT:
            runner.send_signal(number)
            wait_until(enough, 1.3)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where three runners have worked until the jobs had started 500 times, and all have ended."""
    place = Place(tmp_path_factory.mktemp("crowd"))
    period = [1 + number % 2 for number in range(JOBS)]
    lines = [f"#: name=job{number}\n@every {period[number]}s {LINE} {place.root}/starts" for number in range(JOBS)]
    place.write("jobs", "\n".join(lines) + "\n")
    outputs = [place.root / f"output.{number}" for number in range(3)]
    with (
        foreground(place, outputs[0]) as runner,
        one_shots_in_a_loop(place, outputs[1]),
        one_shots_in_a_loop(place, outputs[2]),
    ):
        stalls(runner, lambda: len(written(place.root / "starts")) >= FIRES)
    assert runner.returncode == 0
    assert [output.read_text() for output in outputs] == ["", "", ""]
    return place


def test_no_fire_is_started_twice(crowd: Place) -> None:
    starts = Counter(written(crowd.root / "starts"))
    assert sum(starts.values()) >= FIRES
    assert [fire for fire, count in starts.items() if count > 1] == []


def test_the_fires_that_the_ledger_calls_ok_are_those_that_the_jobs_wrote(crowd: Place) -> None:
    ok = {(fire["job"], fire["scheduled_at"]) for fire in ledger.fires(crowd.state) if fire["outcome"] == "ok"}
    assert ok == set(written(crowd.root / "starts"))


def test_every_fire_has_ended_with_one_outcome(crowd: Place) -> None:
    assert {(fire["state"], bool(fire["outcome"])) for fire in ledger.fires(crowd.state)} == {("ended", True)}


def test_no_due_time_is_missing_between_the_first_and_the_last_fire_of_a_job(crowd: Place) -> None:
    for number in range(JOBS):
        period = (1 + number % 2) * 1000
        fires = ledger.fires(crowd.state, f"job{number}")
        told = {at for fire in fires for at in range(fire["scheduled_at"], fire["last_at"] + 1, period)}
        assert told == set(range(min(told), max(told) + 1, period))


def test_the_foreground_and_several_passes_have_started_some(crowd: Place) -> None:
    runners = {run["runner"] for run in ledger.runs(crowd.state)}
    assert {runner.partition("-")[0] for runner in runners} == {"foreground", "pass"}
    assert len(runners) >= 3

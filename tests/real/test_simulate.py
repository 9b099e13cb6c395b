"""A simulation and a real foreground over the same time: what the one says, the other does."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.support import ledger
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LENGTH = 62  # seconds: as many fires as say something, in a time that a test may take
# of durations that end well between two fires: what happens within milliseconds of each other may go either way
JOBS = """\
#: name=quick
@every 1s true
#: name=skipping
@every 2s sleep 3.4
#: name=queueing overlap=queue
@every 15s sleep 19.4
#: name=replacing overlap=replace
@every 5s sleep 7.4
#: name=allowing overlap=allow
@every 4s sleep 6.4
#: name=first lock=shared
@every 6s sleep 2.4
#: name=second lock=shared
@every 3s sleep 0.4
#: name=pooled1 pool=p:1
@every 10s sleep 2.4
#: name=pooled2 pool=p:1
@every 10s sleep 1.4
#: name=failing retries=1 retry-delay=1500ms
@every 7s sleep 0.3; exit 3
#: name=after after=pooled1
@every 10s sleep 0.3
#: name=unlucky after=failing
@every 7s true
#: name=late timeout=2400ms
@every 8s sleep 5
#: name=off enabled=no
@every 1s true
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def told(stage: Stage, *words: str) -> Any:  # noqa: ANN401 a document of any shape
    answer = stage.place.call("simulate", "--json", *words)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def run_for(stage: Stage, seconds: float) -> tuple[datetime, datetime]:
    """A foreground that begins and is told to stop between two seconds; from when to when it claimed."""
    assert wait_until(lambda: 0.2 < time.time() % 1 < 0.4)
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        begin = datetime.fromisoformat(stage.events("runner-started")[0]["time"])
        end = int(begin.timestamp() + seconds) + 0.7
        assert wait_until(lambda: time.time() >= end, seconds + 30)
        runner.send_signal(signal.SIGTERM)
        runner.wait(60)
    return begin, datetime.fromtimestamp(end, UTC)


def what_came_of(stage: Stage, job: str, end: datetime) -> dict[str, int]:
    """The fires of a job on record, by what became of them."""
    found: dict[str, int] = {}
    started = {run["fire"] for run in ledger.runs(stage.place.state, job)}
    for fire in ledger.fires(stage.place.state, job):
        assert fire["scheduled_at"] < end.timestamp() * 1000
        outcome = f"{fire['outcome']} {fire['reason']}" if fire["state"] == "ended" else "waiting"
        word = "started" if fire["id"] in started else outcome
        found[word] = found.get(word, 0) + fire["count"]
    return found


def what_was_said(job: dict[str, Any]) -> dict[str, int]:
    said = {f"skipped {reason}": number for reason, number in job["skipped"].items()}
    said |= {f"missed {reason}": number for reason, number in job["missed"].items()}
    waiting = job["fires"] - job["starts"] - sum(said.values())
    counts = {"started": job["starts"], "waiting": waiting, **said}
    return {word: number for word, number in counts.items() if number}


def test_what_a_simulation_says_of_a_time_is_what_a_foreground_did_in_it(stage: Stage) -> None:
    stage.jobs(JOBS)
    begin, end = run_for(stage, LENGTH)
    found = told(stage, "--cold", "--from", begin.isoformat(), "--to", end.isoformat())
    said = {job["job"]: what_was_said(job) for job in found["jobs"]}
    did = {name: what_came_of(stage, name, end) for name in said}
    assert said == did
    assert said["quick"]["started"] >= LENGTH - 1
    assert found["idle"] == ["off"]
    assert found["never"] == ["unlucky"]


def test_durations_come_from_the_record_and_nothing_is_written(stage: Stage) -> None:
    stage.jobs("#: name=a\n@every 1s sleep 0.3\n")
    with stage.foreground():
        assert wait_until(lambda: len(stage.events("ended", job="a")) >= 3)
    before = (stage.place.state / "ledger.sqlite3").read_bytes()
    (job,) = told(stage)["jobs"]
    assert 0.3 <= job["takes"] < 30
    assert job["learned_from"] >= 3
    assert (stage.place.state / "ledger.sqlite3").read_bytes() == before


def test_a_simulation_without_a_state_folder_makes_none(stage: Stage) -> None:
    stage.jobs("#: name=a\n* * * * * true\n")
    assert told(stage)["jobs"][0]["fires"] == 24 * 60
    assert not stage.place.state.exists()

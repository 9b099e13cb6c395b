"""What a foreground really tells, in a life with some of everything: each line is as docs/events.schema.json has it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.real.support.stage import Stage, stage_in
from tests.support.eventschema import mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOBS = r"""
#: name=talks
@every 1s printf 'one\ntwo \377'; sleep 60 >/dev/null & exit 0
#: name=fails retries=1 retry-delay=1s
@every 2s exit 3
#: name=overlaps
@every 1s sleep 3
#: name=queues overlap=queue
@every 1s sleep 3
#: name=slow timeout=1s kill-after=1s
@every 2s sleep 60
#: name=nowhere cwd=/nowhere/at/all
@every 2s true
"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def test_every_line_is_as_the_schema_has_it(stage: Stage) -> None:
    stage.jobs(JOBS)
    with stage.foreground("--grace", "2s") as runner:
        for name, facts in (
            ("output", {}), ("ended", {"outcome": "timeout"}), ("ended", {"outcome": "error"}), ("skipped", {}),
            ("waiting", {"reason": "overlap"}), ("ended", {"exit_code": 3}),
        ):  # fmt: skip
            assert stage.heard(name, **facts), name
        os.kill(runner.pid, signal.SIGUSR1)
        assert stage.heard("runner-status")
        stage.jobs(JOBS + "75 * * * * true\n")
        assert stage.heard("file-bad")
        stage.jobs(JOBS.replace("name=talks", "name=speaks").replace("timeout=1s", "timeout=2s"))
        for name in ("file-mended", "job-added", "job-changed", "job-removed"):
            assert stage.heard(name), name
        os.kill(runner.pid, signal.SIGHUP)
        assert stage.heard("reloaded")
        runner.terminate()
        assert runner.wait(60) == 0
    assert {event["event"]: found for event in stage.events() if (found := mistakes(event))} == {}
    assert {"runner-started", "started", "running", "runner-stopping", "runner-stopped"} <= {
        event["event"] for event in stage.events()
    }

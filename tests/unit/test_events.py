"""Events as lines: every kind as text and as JSON, one line each, whatever a job calls itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from runjobs.core.event import Event, Happening
from runjobs.core.run import RunEnd
from runjobs.render.events import ended, format_seconds, json_line, text_line
from runjobs.render.screen import Screen
from runjobs.runner.crew import facts_of

if TYPE_CHECKING:
    from collections.abc import Mapping

NOON = datetime(2026, 7, 1, 12, 0, 0, 123_456, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PLAIN = Screen()
COLORED = Screen(pretty=True, color=True)
END = RunEnd("run-1", "failed", "exit", "exit code 3", 3, None, 100.0, 102.25, 0.5, 0.25, 4096, output_bytes=12)
MISSED = {"first": NOON, "last": NOON, "count": 1, "reason": "down"}

PLACE = {"schedule": "15 3 * * *", "file": "jobs.d/nightly", "line": 4}
BAD = {
    "file": "jobs.d/nightly", "line": 4, "message": "minute 75 is past 59", "hint": "minutes go from 0 to 59",
    "more_errors": 2, "held": 1, "held_since": NOON,
}  # fmt: skip

FACTS: dict[Happening, dict[str, Any]] = {
    Happening.RUNNER_STARTED: {"jobs": 1, "pid": 7, "state": "/var/lib/runjobs"},
    Happening.RUNNER_STOPPING: {"running": 2},
    Happening.RUNNER_STOPPED: {"left": 0},
    Happening.WARNING: {"message": "the ledger can't be used"},
    Happening.STARTED: {"scheduled_at": NOON, "pid": 8},
    Happening.ENDED: facts_of(END),
    Happening.SKIPPED: {"scheduled_at": NOON, "reason": "overlap", "detail": "the lock backup is held by run r"},
    Happening.MISSED: MISSED,
    Happening.STUCK: {"processes": ((9, "dd"), (10, "sync"))},
    Happening.WAITING: {"scheduled_at": NOON, "reason": "pool", "detail": "no place is free"},
    Happening.GIVEN_UP: {"scheduled_at": NOON, "reason": "superseded", "detail": "a newer fire took its place"},
    Happening.ADOPTED: {"pid": 8, "scheduled_at": NOON},
    Happening.CLOCK_SET: {"seconds": -7200.0},
    Happening.SUSPENDED: {"seconds": 300.0},
    Happening.JOB_ADDED: PLACE,
    Happening.JOB_CHANGED: PLACE | {"what": ("schedule", "timeout")},
    Happening.JOB_REMOVED: PLACE,
    Happening.FILE_BAD: BAD,
    Happening.FILE_MENDED: {"file": "jobs.d/nightly"},
    Happening.RELOADED: {"jobs": 3, "added": 1, "changed": 0, "removed": 2, "bad_files": 1},
    Happening.RUNNER_STATUS: {"jobs": 12, "running": 1},
    Happening.RUNNING: {"scheduled_at": NOON, "pid": 8, "seconds": 75.2},
}
TEXT = {
    Happening.RUNNER_STARTED: "runjobs follows 1 job (pid 7, state in /var/lib/runjobs)",
    Happening.RUNNER_STOPPING: "stopping, 2 jobs running",
    Happening.RUNNER_STOPPED: "stopped",
    Happening.WARNING: "warning: the ledger can't be used",
    Happening.STARTED: "backup: started (run run-1, pid 8)",
    Happening.ENDED: "backup: failed: exit code 3, after 2.2s",
    Happening.SKIPPED: "backup: skipped, the lock backup is held by run r",
    Happening.MISSED: "backup: missed 2026-07-01 14:00:00 (down)",
    Happening.STUCK: "backup: can't be killed yet: dd (pid 9), sync (pid 10)",
    Happening.WAITING: "backup: waits (pool): no place is free",
    Happening.GIVEN_UP: "backup: not tried again, a newer fire took its place",
    Happening.ADOPTED: "backup: goes on (run run-1, pid 8), an earlier runner started it",
    Happening.CLOCK_SET: "the clock was set back by 2h",
    Happening.SUSPENDED: "the machine was suspended for 5m",
    Happening.JOB_ADDED: "backup: added, 15 3 * * * (jobs.d/nightly:4)",
    Happening.JOB_CHANGED: "backup: changed: schedule, timeout; 15 3 * * * (jobs.d/nightly:4)",
    Happening.JOB_REMOVED: "backup: removed, it was 15 3 * * * (jobs.d/nightly:4)",
    Happening.FILE_BAD: "jobs.d/nightly:4: minute 75 is past 59 (and 2 more); "
    "its last good version of 2026-07-01 14:00:00 stays in force",
    Happening.FILE_MENDED: "jobs.d/nightly: good again",
    Happening.RELOADED: "reloaded: 3 jobs, 1 added, 2 removed, bad files: 1",
    Happening.RUNNER_STATUS: "1 job running, 12 jobs followed",
    Happening.RUNNING: "backup: running for 1m15s (run run-1, guard 8)",
}
OF_THE_RUNNER = {
    *(Happening.RUNNER_STARTED, Happening.RUNNER_STOPPING, Happening.RUNNER_STOPPED, Happening.WARNING),
    *(Happening.CLOCK_SET, Happening.SUSPENDED, Happening.RUNNER_STATUS),
    *(Happening.FILE_BAD, Happening.FILE_MENDED, Happening.RELOADED),
}


def event(happening: Happening, job: str = "backup", **other: Any) -> Event:  # noqa: ANN401 (facts of any kind)
    facts: Mapping[str, Any] = FACTS[happening] | other
    if happening in OF_THE_RUNNER:
        return Event(NOON, happening, facts=dict(facts))
    return Event(NOON, happening, job, "run-1", dict(facts))


@pytest.mark.parametrize("happening", Happening)
def test_every_event_is_a_line_with_the_local_time(happening: Happening) -> None:
    assert text_line(event(happening), BERLIN, PLAIN) == f"14:00:00 {TEXT[happening]}"


@pytest.mark.parametrize("happening", Happening)
def test_every_event_is_an_object_with_time_and_name_first(happening: Happening) -> None:
    line = json_line(event(happening))
    record = json.loads(line)
    named = ["time", "event"] if happening in OF_THE_RUNNER else ["time", "event", "job", "run"]
    assert list(record)[: len(named)] == named
    assert (record["time"], record["event"]) == ("2026-07-01T12:00:00.123Z", happening.value)
    facts = {key for key, value in FACTS[happening].items() if value not in (None, "")}
    assert set(record) == {*named, *facts}
    assert "\n" not in line


def test_times_in_facts_are_utc_with_milliseconds() -> None:
    assert json.loads(json_line(event(Happening.STARTED)))["scheduled_at"] == "2026-07-01T12:00:00.123Z"


def test_facts_that_are_not_known_are_left_out_and_a_nought_stays() -> None:
    record = json.loads(json_line(event(Happening.ENDED, exit_code=0, signal=None, detail="")))
    assert record["exit_code"] == 0
    assert record["leftovers"] == []
    assert not {"signal", "detail"} & set(record)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2Jb", "a\rb", "a\u202eb", "a\x85b", "a\udc80b", "a\u2028b"])
@pytest.mark.parametrize("happening", [each for each in Happening if each not in OF_THE_RUNNER])
def test_no_name_breaks_a_line_or_moves_the_cursor(name: str, happening: Happening) -> None:
    assert text_line(event(happening, name), BERLIN, PLAIN).isprintable()
    line = json_line(event(happening, name))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["job"] == name


@pytest.mark.parametrize("text", ["no space\nleft", "\x1b]0;title\x07", "\udcff"])
def test_nothing_that_is_told_of_a_run_does_either(text: str) -> None:
    for happening, fact in ((Happening.ENDED, "detail"), (Happening.SKIPPED, "detail"), (Happening.WARNING, "message")):
        assert text_line(event(happening, **{fact: text}), BERLIN, PLAIN).isprintable()
        assert json.loads(json_line(event(happening, **{fact: text})))[fact] == text


@pytest.mark.parametrize(
    ("happening", "facts", "code"),
    [
        (Happening.ENDED, {"outcome": "ok"}, "32"),
        (Happening.ENDED, {"outcome": "failed"}, "31"),
        (Happening.ENDED, {"outcome": "timeout"}, "31"),
        (Happening.SKIPPED, {}, "33"),
        (Happening.MISSED, {}, "33"),
        (Happening.STUCK, {}, "33"),
        (Happening.WARNING, {}, "33"),
        (Happening.GIVEN_UP, {}, "33"),
        (Happening.FILE_BAD, {}, "33"),
    ],
)
def test_colour_says_how_bad_it_is(happening: Happening, facts: dict[str, str], code: str) -> None:
    line = text_line(event(happening, **facts), BERLIN, COLORED)
    assert line.startswith(f"\x1b[{code}m")
    assert line.endswith("\x1b[0m")


@pytest.mark.parametrize("happening", [Happening.STARTED, Happening.RUNNER_STARTED, Happening.RUNNER_STOPPED])
def test_what_is_as_it_should_be_has_no_colour(happening: Happening) -> None:
    assert "\x1b" not in text_line(event(happening), BERLIN, COLORED)


def test_a_stretch_says_how_many_fires_were_missed_and_from_when_to_when() -> None:
    facts: dict[str, Any] = {"last": NOON + timedelta(hours=1), "count": 61}
    assert text_line(event(Happening.MISSED, **facts), UTC, PLAIN).endswith(
        "missed 61 fires from 2026-07-01 12:00:00 to 2026-07-01 13:00:00 (down)"
    )
    assert "missed many fires from" in text_line(event(Happening.MISSED, **facts | {"count": 0}), UTC, PLAIN)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"more_errors": 0, "held": 0, "held_since": None}, "minute 75 is past 59"),
        ({"more_errors": 0, "held": 3}, "minute 75 is past 59; the last good versions of 3 files stay in force"),
    ],
)
def test_a_bad_file_says_what_is_in_force_instead_of_it(facts: dict[str, Any], words: str) -> None:
    assert text_line(event(Happening.FILE_BAD, **facts), UTC, PLAIN).endswith(f"jobs.d/nightly:4: {words}")


def test_a_reload_that_changed_nothing_says_so() -> None:
    facts: dict[str, Any] = {"added": 0, "removed": 0, "bad_files": 0}
    assert text_line(event(Happening.RELOADED, **facts), UTC, PLAIN).endswith("reloaded: 3 jobs, nothing changed")


def test_a_runner_that_left_jobs_running_says_so() -> None:
    assert text_line(event(Happening.RUNNER_STOPPED, left=2), UTC, PLAIN).endswith("stopped, 2 jobs left running")


def test_a_run_that_never_began_has_no_length() -> None:
    assert ended(facts_of(RunEnd("r", "interrupted", "guard-died", "killed"))) == "interrupted: killed"
    assert ended(facts_of(RunEnd("r", "ok", started_at=1.0, ended_at=1.04))) == "ok, after 0.0s"


def test_a_clock_that_was_set_back_makes_no_run_shorter_than_nothing() -> None:
    assert facts_of(RunEnd("r", "ok", started_at=100.0, ended_at=40.0))["seconds"] == 0


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0s"), (59.94, "59.9s"), (60, "1m"), (3725.4, "1h2m5s")])
def test_measured_times_are_as_fine_as_they_are_short(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_tenths_are_not_rounded_up_to_a_minute_of_seconds() -> None:
    assert format_seconds(59.96) == "1m"

"""The clock is set and the machine sleeps: passes under libfaketime, the foreground on a clock of the test's own."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import SILENT, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="there is no libfaketime (apt-get install faketime)")
TUESDAY = datetime(2026, 3, 10, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIVE_TO = TUESDAY + 2 * HOUR + 55 * MINUTE
JOBS = {
    "fixed": ("0 3 * * *", ""),
    "last": ("0 3 * * *", "catchup=last"),
    "wild": ("*/10 * * * *", ""),
    "every": ("@every 10m", ""),
    "all": ("*/30 * * * *", "catchup=all overlap=allow"),
}

AT_THREE = {name: ["Tue 03:00"] for name in JOBS}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        stage.jobs("".join(entry(name) for name in JOBS))
        yield stage


def entry(name: str) -> str:
    schedule, options = JOBS[name]
    return f'#: name={name} {options}\n{schedule} echo "$RUNJOBS_SCHEDULED_AT" >> {name}.ran\n'


def one_pass(stage: Stage, at: datetime) -> str:
    """One pass by a clock that stands still at this instant; what it said."""
    (stage.root / "faketime").write_text(f"{at:%Y-%m-%d %H:%M:%S}\n")
    faked = environment(
        LD_PRELOAD=str(FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(stage.root / "faketime"),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    command = stage.place.command("run")
    ended = subprocess.run(command, env=faked, stdin=SILENT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


def ran(stage: Stage, name: str) -> list[str]:
    """For which times a job has run, as it says itself."""
    path = stage.root / f"{name}.ran"
    times = [datetime.fromisoformat(line) for line in path.read_text().split()] if path.exists() else []
    return [said(time) for time in sorted(times)]


def missed(stage: Stage, name: str) -> list[tuple[str, str, int, str]]:
    return [
        (said(at(fire["scheduled_at"])), said(at(fire["last_at"])), fire["count"], fire["reason"])
        for fire in ledger.fires(stage.place.state, name)
        if fire["outcome"] == "missed"
    ]


def at(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


def said(time: datetime) -> str:
    return f"{time.astimezone(UTC):%a %H:%M}"


def every(minutes: int, first: datetime, number: int) -> list[str]:
    return [said(first + count * minutes * MINUTE) for count in range(number)]


@needs_faketime
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (3 * HOUR - SECOND, 3 * HOUR),
        (3 * HOUR - MINUTE, 3 * HOUR + MINUTE),
        (3 * HOUR - 3 * MINUTE, 3 * HOUR + 2 * MINUTE),
    ],
    ids=["1s", "2min", "5min"],
)
def test_a_small_step_forward_costs_no_fire(stage: Stage, before: timedelta, after: timedelta) -> None:
    one_pass(stage, TUESDAY + before)
    one_pass(stage, TUESDAY + after)
    assert {name: ran(stage, name) for name in JOBS} == AT_THREE
    assert not any(missed(stage, name) for name in JOBS)


@needs_faketime
def test_two_hours_forward_are_told_and_what_is_fixed_runs_once(stage: Stage) -> None:
    one_pass(stage, FIVE_TO)
    assert "the clock was set forward by " in one_pass(stage, FIVE_TO + 2 * HOUR)
    three = TUESDAY + 3 * HOUR
    assert ran(stage, "fixed") == ran(stage, "last") == ["Tue 03:00"]
    assert ran(stage, "wild") == ran(stage, "every") == ["Tue 04:50"]
    assert ran(stage, "all") == every(30, three, 4)
    assert missed(stage, "wild") == missed(stage, "every") == [("Tue 03:00", "Tue 04:40", 11, "down")]
    assert missed(stage, "fixed") == missed(stage, "last") == missed(stage, "all") == []


@needs_faketime
def test_a_day_forward_is_an_absence_and_back_again_the_true_times_come(stage: Stage) -> None:
    one_pass(stage, FIVE_TO)
    one_pass(stage, FIVE_TO + DAY)
    assert missed(stage, "fixed") == [("Tue 03:00", "Tue 03:00", 1, "down")]
    assert ran(stage, "last") == ["Tue 03:00"]
    assert missed(stage, "wild") == [("Tue 03:00", "Wed 02:40", 143, "down")]
    assert ran(stage, "wild") == ["Wed 02:50"]
    assert ran(stage, "all") == every(30, TUESDAY + 3 * HOUR, 48)
    said = one_pass(stage, FIVE_TO + MINUTE)
    assert "the clock was set back: " in said
    assert "up to 2026-03-11T02:50:00+00:00, which is still to come" in said
    one_pass(stage, TUESDAY + 3 * HOUR)
    assert ran(stage, "fixed") == []  # the marks of these are minutes ahead, which is no reason to give them up
    assert ran(stage, "last") == ["Tue 03:00"]
    assert ran(stage, "wild") == ["Tue 03:00", "Wed 02:50"]
    assert "still to come" not in one_pass(stage, TUESDAY + 3 * HOUR + 10 * MINUTE)
    assert ran(stage, "wild") == ["Tue 03:00", "Tue 03:10", "Wed 02:50"]


@needs_faketime
@pytest.mark.parametrize("back", [SECOND, 2 * MINUTE, 2 * HOUR], ids=["1s", "2min", "2h"])
def test_a_step_back_fires_nothing_again_and_then_all_goes_on(stage: Stage, back: timedelta) -> None:
    one_pass(stage, FIVE_TO)
    one_pass(stage, TUESDAY + 3 * HOUR)
    one_pass(stage, TUESDAY + 3 * HOUR - back)
    one_pass(stage, TUESDAY + 3 * HOUR)
    assert {name: ran(stage, name) for name in JOBS} == AT_THREE
    one_pass(stage, TUESDAY + 3 * HOUR + 10 * MINUTE)
    assert ran(stage, "wild") == ran(stage, "every") == ["Tue 03:00", "Tue 03:10"]
    assert not any(missed(stage, name) for name in JOBS)


@needs_faketime
def test_a_day_back_is_told_once_and_the_jobs_go_on_at_once(stage: Stage) -> None:
    one_pass(stage, FIVE_TO)
    one_pass(stage, TUESDAY + 3 * HOUR)
    assert "the clock was set back: fixed, last, wild and 2 more" in one_pass(stage, TUESDAY + 3 * HOUR + MINUTE - DAY)
    assert "still to come" not in one_pass(stage, TUESDAY + 3 * HOUR + 10 * MINUTE - DAY)
    assert ran(stage, "wild") == ran(stage, "every") == ["Mon 03:10", "Tue 03:00"]
    one_pass(stage, TUESDAY + 3 * HOUR)
    assert ran(stage, "fixed") == ["Tue 03:00"] * 2


def sleep_through(stage: Stage, asleep: timedelta) -> None:
    """Make the last pass remember clocks that had slept so much less."""
    with closing(sqlite3.connect(stage.place.state / "ledger.sqlite3")) as held, held:
        wall, uptime, *rest = held.execute("SELECT value FROM facts WHERE key = 'clock'").fetchone()[0].split()
        less = int(uptime) - int(asleep.total_seconds() * 1000)
        held.execute("UPDATE facts SET value = ? WHERE key = 'clock'", (" ".join([wall, str(less), *rest]),))


@needs_faketime
def test_what_a_sleep_of_five_hours_cost_is_suspended_unless_it_is_caught_up_with(stage: Stage) -> None:
    one_pass(stage, FIVE_TO)
    sleep_through(stage, 5 * HOUR)
    one_pass(stage, FIVE_TO + 5 * HOUR)
    assert missed(stage, "fixed") == [("Tue 03:00", "Tue 03:00", 1, "suspended")]
    assert missed(stage, "wild") == [("Tue 03:00", "Tue 07:40", 29, "suspended")]
    assert ran(stage, "last") == ["Tue 03:00"]
    assert ran(stage, "wild") == ["Tue 07:50"]


@needs_faketime
def test_a_nap_of_five_minutes_costs_nothing(stage: Stage) -> None:
    one_pass(stage, FIVE_TO + 2 * MINUTE)
    sleep_through(stage, 5 * MINUTE)
    assert one_pass(stage, FIVE_TO + 7 * MINUTE) == ""
    assert {name: ran(stage, name) for name in JOBS} == AT_THREE


@needs_faketime
def test_a_file_that_is_edited_or_removed_and_put_back_never_fires_the_past(stage: Stage) -> None:
    one_pass(stage, FIVE_TO)
    one_pass(stage, TUESDAY + 3 * HOUR + SECOND)
    stage.jobs(entry("every"))
    one_pass(stage, TUESDAY + 3 * HOUR + 2 * SECOND)
    stage.jobs("".join(entry(name) for name in JOBS))
    one_pass(stage, TUESDAY + 3 * HOUR + 3 * SECOND)  # the minute of the fire: it is due again by its mark
    assert {name: ran(stage, name) for name in JOBS} == AT_THREE
    stage.jobs("#: name=last catchup=last\n30 2 * * * echo $RUNJOBS_SCHEDULED_AT >> last.ran\n")
    one_pass(stage, TUESDAY + 12 * HOUR)
    stage.jobs("".join(entry(name) for name in JOBS))
    one_pass(stage, TUESDAY + 13 * HOUR + MINUTE)
    assert ran(stage, "last") == ["Tue 03:00"]
    assert missed(stage, "last") == []


class Hands:
    """The hands on the clock of a foreground runner."""

    def __init__(self, stage: Stage) -> None:
        """It shows five to three on a Tuesday."""
        self._path = stage.root / "clock"
        self._asleep = 0.0
        self._ahead = (FIVE_TO - datetime.now(UTC)).total_seconds()
        self._write()

    def step(self, by: timedelta) -> None:
        """Set the clock."""
        self._ahead += by.total_seconds()
        self._write()

    def sleep(self, for_: timedelta) -> None:
        """Have the machine sleep."""
        self._asleep += for_.total_seconds()
        self.step(for_)

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(f"{self._ahead} {self._asleep}")
        os.replace(new, self._path)


@contextlib.contextmanager
def foreground(stage: Stage) -> Iterator[Hands]:
    """A foreground runner that has looked at its jobs, and its clock."""
    hands = Hands(stage)
    words = stage.place.command("run", "--foreground", "--log-format", "json")[3:]
    module = [sys.executable, "-m", "tests.real.support.clock_stand_in", str(stage.root / "clock")]
    with (stage.root / "out").open("ab") as out, (stage.root / "err").open("ab") as err:
        runner = subprocess.Popen([*module, *words], env=environment(), stdin=SILENT, stdout=out, stderr=err)
    with runner:
        try:
            assert stage.heard("runner-started"), stage.err
            assert wait_until(lambda: marks(stage) == len(JOBS)), stage.err
            yield hands
        finally:
            runner.kill()


def marks(stage: Stage) -> int:
    """How many jobs the ledger has a mark of."""
    path = stage.place.state / "ledger.sqlite3"
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as held:
        return int(held.execute("SELECT count(*) FROM marks").fetchone()[0])
    return 0


def test_the_foreground_tells_of_a_step_forward_and_runs_once_what_is_fixed(stage: Stage) -> None:
    with foreground(stage) as clock:
        clock.step(2 * HOUR)
        assert stage.heard("clock-set")
        assert wait_until(lambda: len(stage.events("ended")) == 8), stage.err
    (told,) = stage.events("clock-set")
    assert told["seconds"] == pytest.approx(7200, abs=5)
    assert ran(stage, "fixed") == ran(stage, "last") == ["Tue 03:00"]
    assert ran(stage, "wild") == ran(stage, "every") == ["Tue 04:50"]
    assert ran(stage, "all") == every(30, TUESDAY + 3 * HOUR, 4)
    assert missed(stage, "wild") == missed(stage, "every") == [("Tue 03:00", "Tue 04:40", 11, "late")]


def test_the_foreground_fires_nothing_again_when_its_clock_is_set_back_by_an_hour(stage: Stage) -> None:
    with foreground(stage) as clock:
        clock.step(6 * MINUTE)  # 03:01
        assert wait_until(lambda: len(stage.events("ended")) == len(JOBS)), stage.err
        clock.step(-HOUR)
        assert wait_until(lambda: len(stage.events("clock-set")) == 2), stage.err
        clock.step(HOUR + 10 * MINUTE)  # 03:11
        assert wait_until(lambda: len(stage.events("ended")) == len(JOBS) + 2), stage.err
    assert ran(stage, "wild") == ran(stage, "every") == ["Tue 03:00", "Tue 03:10"]
    assert ran(stage, "fixed") == ran(stage, "all") == ["Tue 03:00"]


def test_the_foreground_begins_anew_when_its_clock_was_a_day_ahead(stage: Stage) -> None:
    with foreground(stage) as clock:
        clock.step(6 * MINUTE)
        assert wait_until(lambda: len(stage.events("ended")) == len(JOBS)), stage.err
        clock.step(-DAY)  # Monday 03:01
        assert stage.heard("warning"), stage.err
        clock.step(10 * MINUTE)  # 03:11
        assert wait_until(lambda: len(stage.events("ended")) == len(JOBS) + 2), stage.err
    assert "which is still to come" in stage.events("warning")[0]["message"]
    assert ran(stage, "wild") == ran(stage, "every") == ["Mon 03:10", "Tue 03:00"]


def test_the_foreground_tells_how_long_the_machine_slept_and_what_that_cost(stage: Stage) -> None:
    with foreground(stage) as clock:
        clock.sleep(5 * HOUR)
        assert wait_until(lambda: len(stage.events("ended")) == 2 + 1 + 10), stage.err
    assert [event["seconds"] for event in stage.events("suspended")] == [18_000.0]
    assert stage.events("clock-set") == []
    assert missed(stage, "fixed") == [("Tue 03:00", "Tue 03:00", 1, "suspended")]
    assert ran(stage, "last") == ["Tue 03:00"]
    assert ran(stage, "all") == every(30, TUESDAY + 3 * HOUR, 10)

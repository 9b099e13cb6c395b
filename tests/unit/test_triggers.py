"""What runs are told of watched paths, whatever becomes of the runs before them: looks, starts and ends by hand."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.ledger import Beginning, Claimed, RunnerId
from runjobs.adapters.ledger.sqlite import open_ledger
from runjobs.core.crontab import parse
from runjobs.core.fire import EPOCH, Fire, Trigger
from runjobs.core.plan import Boot, decide, look_on, look_once
from runjobs.core.run import RunEnd, Start, run_id
from runjobs.core.watching import Seen, Sight
from runjobs.runner.triggers import Triggers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from runjobs.core.job import Job
    from runjobs.core.plan import Decision

RUNNER = RunnerId("foreground-1-x", "locks/runner")
BEGAN, NEVER = 1.0, 0.0
SOON, MINUTES = 5.0, 60.0


class Desk:
    """One job that watches the folder `in`, one runner, and a clock that shows what the test says."""

    def __init__(self, folder: Path) -> None:
        """The job has seen its paths once."""
        self.root = folder
        (folder / "in").mkdir()
        self.ledger = open_ledger(folder / "ledger.sqlite3", announce=lambda _: None)
        self.runs = 0
        self.passes = False
        self.job = self.job_of()
        self.base = datetime.now(UTC)
        self.anew()
        self.look(0)

    def job_of(self, options: str = "", path: str = "in") -> Job:
        """The job, with these options and this path."""
        return parse(f"#: name=in {options}\n@watch {self.root}/{path} true\n").jobs[0]

    def anew(self) -> None:
        """Another runner takes over, who knows what is in the ledger."""
        self.triggers = Triggers(self.ledger, str(self.root / "state"), lambda _: None)

    def at(self, after: float) -> datetime:
        """A time so many seconds after the beginning."""
        return self.base + timedelta(seconds=after)

    def look(self, after: float) -> list[Claimed]:
        """A pass at that time; what it claims."""
        now = self.at(after)
        boot = Boot("boot", self.base)
        look = look_once(now, boot) if self.passes else look_on(now, self.base, boot)
        look = look._replace(noticed=self.triggers.notice({"in": self.job}, look))

        def decided(marks: object) -> list[Decision]:
            decision = decide(self.job, marks.get("in"), look)  # type: ignore[attr-defined]
            return [] if decision is None else [decision]

        return self.ledger.claim(RUNNER, now, None, decided).claimed

    def by_hand(self, after: float) -> Claimed:
        """A person's run, claimed."""
        fire = Fire("in", Trigger.MANUAL, self.at(after), run_id(int(after * 1000), self.runs))
        claimed = self.ledger.claim_one(RUNNER, self.at(after), fire)
        assert claimed is not None
        return claimed

    def start(self, claimed: Claimed, after: float, attempt: int = 1) -> set[str]:
        """Start the next run of a fire; the names of what it is told."""
        self.runs += 1
        run = f"run-{self.runs}"

        def begin(_: object) -> Beginning:
            taken = self.triggers.take(self.job, claimed.fire, run, self.at(after))
            assert taken is not None
            told.extend(taken.paths)
            return Beginning([Start(run, claimed.fire_id, attempt, "lock", "log", taken.state)])

        told: list[str] = []
        self.ledger.start_waiting(RUNNER, self.at(after), [claimed.fire_id], begin)
        return {os.path.relpath(path, self.root / "in") for path in told}

    def end(self, after: float, outcome: str = "ok", began: float = BEGAN, again: float | None = None) -> None:
        """The last run ends; `again`: a retry is due that much later."""
        ended = self.at(after).timestamp()
        retry = None if again is None else ended + again
        self.ledger.record([], [RunEnd(f"run-{self.runs}", outcome, started_at=began, ended_at=ended, again_at=retry)])

    def write(self, name: str, text: str = "x") -> None:
        (self.root / "in" / name).write_text(text)

    def kept(self) -> bytes | None:
        return self.ledger.watch_state("in")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.close()


def fail_once(desk: Desk) -> Claimed:
    """A fire that was told of `new`, failed, and waits to be tried again in a minute."""
    desk.write("new")
    (claimed,) = desk.look(SOON)
    assert desk.start(claimed, SOON) == {"new"}
    desk.end(6, "failed", again=MINUTES)
    return claimed


def test_a_retry_is_told_what_its_fire_was_told_though_a_person_ran_the_job_meanwhile(desk: Desk) -> None:
    claimed = fail_once(desk)
    desk.write("late")
    assert desk.start(desk.by_hand(10), 10) == {"late"}
    desk.end(11)
    assert desk.start(claimed, 70, 2) == {"new"}
    desk.end(71)
    assert desk.look(80) == []


def test_a_retry_is_told_what_its_fire_was_told_though_other_paths_are_watched_by_now(desk: Desk) -> None:
    claimed = fail_once(desk)
    desk.job = desk.job_of("recursive")
    assert desk.look(10) == []
    desk.write("late")
    assert desk.look(20) == []
    assert desk.start(claimed, 70, 2) == {"new", "late"}


def test_who_is_told_is_forgotten_when_the_fire_is_over(desk: Desk) -> None:
    claimed = fail_once(desk)
    assert desk.start(claimed, 70, 2) == {"new"}
    desk.end(71, "failed")
    assert desk.start(desk.by_hand(80), 80) == set()


def test_a_run_that_goes_on_is_no_reason_to_tell_what_it_was_told(desk: Desk) -> None:
    desk.write("new")
    (claimed,) = desk.look(SOON)
    desk.start(claimed, SOON)
    assert desk.start(desk.by_hand(7), 7) == set()
    desk.runs = 1
    desk.end(8, "interrupted", NEVER)  # by the way its guard ended its job never began
    desk.runs = 2
    desk.end(9)
    (again,) = desk.look(10)
    assert desk.start(again, 10) == {"new"}


@pytest.mark.parametrize(
    ("outcome", "began", "first"),
    [("interrupted", NEVER, 0), ("timeout", NEVER, 60), ("stopped", NEVER, 60), ("error", BEGAN, 60)],
)
def test_what_never_began_leaves_what_it_was_told_to_another_run(
    desk: Desk, outcome: str, began: float, first: float
) -> None:
    desk.write("new")
    (claimed,) = desk.look(SOON)
    desk.start(claimed, SOON)
    desk.end(10, outcome, began)
    if first:
        assert desk.look(10 + first - 1) == []
        assert abs(desk.triggers.again["in"] - desk.at(10 + first)) < timedelta(milliseconds=2)
    (again,) = desk.look(10 + first + 1)
    assert desk.start(again, 10 + first + 1) == {"new"}
    desk.end(100)
    assert desk.look(10_000) == []


@pytest.mark.parametrize("outcome", ["interrupted", "timeout", "stopped", "failed", "ok"])
def test_what_began_was_told(desk: Desk, outcome: str) -> None:
    desk.write("new")
    (claimed,) = desk.look(SOON)
    desk.start(claimed, SOON)
    desk.end(10, outcome)
    assert desk.look(10_000) == []
    assert desk.start(desk.by_hand(10_001), 10_001) == set()


def test_what_can_not_be_started_is_tried_less_and_less_often_but_at_once_when_more_changes(desk: Desk) -> None:
    desk.write("new")
    after = SOON
    for pause in (60, 120, 240):
        (claimed,) = desk.look(after)
        assert desk.start(claimed, after) == {"new"}
        desk.end(after, "error")
        assert desk.look(after + pause - 1) == []
        after += pause
    desk.write("more")
    (claimed,) = desk.look(after - 200)
    assert desk.start(claimed, after - 200) == {"more", "new"}


def test_a_clock_that_was_set_back_puts_nothing_off(desk: Desk) -> None:
    desk.write("new")
    (claimed,) = desk.look(SOON)
    desk.start(claimed, SOON)
    desk.end(100_000, "error")
    assert len(desk.look(10)) == 1


def test_what_waits_for_its_turn_does_not_ask_for_looks_again_and_again(desk: Desk) -> None:
    desk.write("new")
    (claimed,) = desk.look(SOON)
    desk.start(claimed, SOON)
    desk.end(10, "error", again=100_000)
    desk.look(80)
    assert desk.triggers.held == {"in"}
    assert desk.triggers.again == {}


def ctime(path: Path) -> datetime:
    return EPOCH + timedelta(microseconds=path.stat().st_ctime_ns // 1000)


def test_what_was_not_at_rest_at_the_look_is_not_told_by_it_however_late_its_run_starts(desk: Desk) -> None:
    desk.write("old")
    (claimed,) = desk.look(SOON)
    desk.start(claimed, SOON)
    desk.end(6, "interrupted", NEVER)
    desk.write("new")
    desk.base = ctime(desk.root / "in" / "new")
    (claimed,) = desk.look(0.1)
    assert desk.start(claimed, 60) == {"old"}


class Eyes:
    """See one file in the folder, as it was written last, in place of the real ones."""

    def __init__(self, folder: Path) -> None:
        """There is no file."""
        self._folder = {str(folder): Seen("d", folder.stat().st_ino)}
        self.remove()

    def remove(self) -> None:
        """It is gone, and has been for long."""
        self.sight = Sight(self._folder)

    def write(self, when: datetime) -> None:
        """Write to it at that time."""
        stamp = (when - EPOCH) // timedelta(microseconds=1) * 1000 + 7
        self.sight = Sight({**self._folder, "/in/busy": Seen("f", 1, 5, stamp, stamp)})

    def look(self, _job: str, _patterns: Sequence[str], *, recursive: bool) -> Sight:
        """A look as scouts make it."""
        assert not recursive
        return self.sight


def watched_by(desk: Desk, eyes: Eyes) -> Callable[[float], list[Claimed]]:
    """Look with these eyes; each pass is another runner."""

    def look(after: float) -> list[Claimed]:
        if desk.passes:
            desk.anew()
        desk.triggers.scouts = eyes  # type: ignore[assignment]
        return desk.look(after)

    return look


def until_told(desk: Desk, eyes: Eyes, first: int) -> tuple[Claimed, int]:
    """Write to the file all the time, until a look claims something; that, and when it was."""
    look = watched_by(desk, eyes)
    for second in range(first, first + 2000, 20):
        eyes.write(desk.at(second - 0.1))
        if claimed := look(second):
            return claimed[0], second
    raise AssertionError("nobody was told")


def start_by(desk: Desk, claimed: Claimed, after: float) -> int:
    """Start a run; how many paths it is told."""
    told = desk.start(claimed, after)
    desk.end(after + 1)
    return len(told)


@pytest.mark.parametrize(
    ("way", "options"), [("foreground", ""), ("foreground", "settle=10s"), ("passes", "settle=10s")]
)
def test_a_file_that_never_rests_is_told_in_the_end_and_again_and_once_more_when_it_rests(
    desk: Desk, way: str, options: str
) -> None:
    desk.job, desk.passes, eyes = desk.job_of(options), way == "passes", Eyes(desk.root / "in")
    claimed, after = until_told(desk, eyes, 0)
    assert 600 <= after <= 640
    assert start_by(desk, claimed, after) == 1
    claimed, later = until_told(desk, eyes, after + 2)
    assert 600 <= later - after <= 640
    assert start_by(desk, claimed, later) == 1
    look = watched_by(desk, eyes)
    (claimed,) = look(later + 30)
    assert start_by(desk, claimed, later + 30) == 1
    assert look(later + 3000) == []


def test_a_pass_that_stays_remembers_what_did_not_rest(desk: Desk) -> None:
    desk.passes, eyes = True, Eyes(desk.root / "in")
    look = watched_by(desk, eyes)
    desk.triggers.scouts = eyes  # type: ignore[assignment]
    nothing = desk.kept()
    for second in range(8):
        eyes.write(desk.at(second))
        assert desk.look(second + 0.1) == []
        assert (desk.kept() == nothing) is (second < 6)
    eyes.write(desk.at(700))
    assert len(look(700.1)) == 1


@pytest.mark.parametrize("way", ["foreground", "passes"])
def test_a_file_that_went_away_unrested_has_all_its_time_when_it_is_back(desk: Desk, way: str) -> None:
    desk.passes, desk.job, eyes = way == "passes", desk.job_of("settle=10s"), Eyes(desk.root / "in")
    look = watched_by(desk, eyes)
    eyes.write(desk.at(0))
    assert look(1) == []
    eyes.remove()
    assert look(20) == []
    eyes.write(desk.at(3600))
    assert look(3601) == []


def test_who_looks_anew_for_a_start_keeps_what_does_not_rest(desk: Desk) -> None:
    desk.passes, desk.job, eyes = True, desk.job_of("settle=10s"), Eyes(desk.root / "in")
    look = watched_by(desk, eyes)
    eyes.write(desk.at(0))
    assert look(1) == []
    assert start_by(desk, desk.by_hand(2), 2) == 0
    eyes.write(desk.at(650))
    assert len(look(651)) == 1

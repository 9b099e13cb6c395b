"""Whether a foreground is well, by a clock that is only thought; what its supervisor is told, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from runjobs.adapters.ledger import LedgerError
from runjobs.runner.foreground import Hooks
from runjobs.runner.health import FRESH, OVERDUE, STUCK, TICK, Health
from runjobs.runner.supervised import CALM, Supervised

if TYPE_CHECKING:
    from runjobs.adapters.sdnotify import Notifier
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class World:
    """An engine and a foreground in one, as far as they are asked, with clocks of its own."""

    def __init__(self) -> None:
        self.wall = NOON
        self.awake = 100.0
        self.upcoming: tuple[datetime, str] | None = (NOON + timedelta(hours=1), "backup")
        self.trouble = ""
        self.jobs = {"backup": None}
        self.crew = self
        self.number = 0
        self.ledger = self
        self.refusal: LedgerError | None = None
        self.written = 0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.awake

    def remember(self, _key: str, _value: str) -> None:
        self.written += 1
        if self.refusal is not None:
            raise self.refusal

    def pass_time(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.awake += seconds

    @property
    def engine(self) -> Engine:
        return cast("Engine", self)

    @property
    def foreground(self) -> Foreground:
        return cast("Foreground", self)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def health(world: World) -> Health:
    return Health(world.engine)


def seen(world: World, health: Health) -> list[str]:
    health.look(world.foreground)
    return health.troubles()


def test_it_is_well_while_nothing_is_wrong(world: World, health: Health) -> None:
    for _ in range(5):
        world.pass_time(TICK)
        assert seen(world, health) == []


def test_a_clock_that_stands_still_is_told_until_it_ticks_again(world: World, health: Health) -> None:
    world.awake += TICK
    assert seen(world, health) == ["the clock stands still"]
    world.pass_time(TICK / 2)
    assert seen(world, health) == ["the clock stands still"]
    world.pass_time(TICK / 2)
    assert seen(world, health) == []


def test_a_clock_that_is_set_ticks(world: World, health: Health) -> None:
    world.awake += TICK
    world.wall -= timedelta(days=1)
    assert seen(world, health) == []


def test_a_pass_that_is_not_made_is_stuck_after_a_while(world: World, health: Health) -> None:
    world.upcoming = (NOON, "backup")
    world.pass_time(OVERDUE.total_seconds())
    assert seen(world, health) == []
    world.pass_time(STUCK)
    assert seen(world, health) == ["the pass of 2026-07-01T12:00:00+00:00 has not been made yet"]
    world.upcoming = (world.wall + timedelta(minutes=1), "backup")
    assert seen(world, health) == []


def test_who_wakes_up_from_a_suspend_is_not_taken_for_stuck(world: World, health: Health) -> None:
    world.wall += timedelta(hours=9)  # and the monotonic clock stood
    assert seen(world, health) == []


def test_a_pass_that_can_t_be_made_is_told_with_the_reason(world: World, health: Health) -> None:
    world.trouble = "the ledger can't be used"
    assert seen(world, health) == ["the ledger can't be used"]


def test_a_runner_that_has_nothing_to_do_ever_again_is_well(world: World, health: Health) -> None:
    world.upcoming = None
    world.pass_time(86_400)
    assert seen(world, health) == []


def test_a_ledger_that_takes_no_writes_is_told_and_asked_again_now_and_then(world: World, health: Health) -> None:
    assert seen(world, health) == []
    world.refusal = LedgerError("the disk is full")
    world.pass_time(FRESH / 2)
    assert (seen(world, health), world.written) == ([], 1)  # it was asked a moment ago
    world.pass_time(FRESH / 2)
    assert (seen(world, health), world.written) == (["the disk is full"], 2)
    assert health.stalls() == []  # a new start would not mend it
    world.refusal = None
    assert (seen(world, health), world.written) == ([], 3)  # and what is mended is known at once


class Told:
    """A supervisor that takes down what it is told."""

    def __init__(self, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self.words: list[dict[str, str]] = []
        self.has_words_left = False
        self.is_closed = False

    def send(self, **words: str) -> None:
        self.words.append(words)

    def flush(self) -> None:
        self.has_words_left = False

    def close(self) -> None:
        self.is_closed = True

    def take(self) -> list[dict[str, str]]:
        words, self.words = self.words, []
        return words


def supervised(world: World, told: Told) -> Supervised:
    return Supervised(world.engine, Health(world.engine), cast("Notifier", told), UTC)


def test_it_is_ready_when_it_follows_the_schedules_and_reloads_until_the_next_turn(world: World) -> None:
    done: list[str] = []
    told = Told()
    attendant = supervised(world, told)
    plain = Hooks(on_ready=lambda: done.append("ready"), on_hangup=lambda: done.append("hangup"))
    hooks = attendant.hooked(plain)
    hooks.on_ready()
    assert (told.take(), done) == ([{"READY": "1"}], ["ready"])
    attendant.attend(world.foreground)
    told.take()
    hooks.on_hangup()
    (said,) = told.take()
    assert said.pop("MONOTONIC_USEC").isdecimal()
    assert (said, done) == ({"RELOADING": "1"}, ["ready", "hangup"])
    attendant.attend(world.foreground)
    assert told.take() == [{"READY": "1"}]
    attendant.attend(world.foreground)
    assert told.take() == []


def test_its_status_is_told_when_it_changes_and_not_too_often(world: World) -> None:
    told = Told()
    attendant = supervised(world, told)
    assert attendant.pause() is None
    attendant.attend(world.foreground)
    assert told.take() == [{"STATUS": "1 job, 0 running, next: backup at 2026-07-01 13:00:00 UTC"}]
    world.number = 1
    attendant.attend(world.foreground)
    assert (told.take(), attendant.pause()) == ([], CALM)
    world.pass_time(CALM)
    attendant.attend(world.foreground)
    assert told.take() == [{"STATUS": "1 job, 1 running, next: backup at 2026-07-01 13:00:00 UTC"}]
    assert attendant.pause() is None
    world.upcoming, world.jobs = None, {}
    world.pass_time(CALM)
    attendant.attend(world.foreground)
    assert told.take() == [{"STATUS": "0 jobs, 1 running"}]


def test_a_word_of_life_comes_at_half_of_the_time_and_only_while_it_is_well(world: World) -> None:
    told = Told(watchdog=20.0)
    attendant = supervised(world, told)
    attendant.attend(world.foreground)
    assert {"WATCHDOG": "1"} in told.take()
    assert attendant.pause() == 10.0
    world.pass_time(9.0)
    attendant.attend(world.foreground)
    assert told.take() == []
    world.pass_time(1.0)
    attendant.attend(world.foreground)
    assert told.take() == [{"WATCHDOG": "1"}]
    world.trouble = "the ledger is a newer version's"
    world.pass_time(10.0)
    attendant.attend(world.foreground)
    assert told.take() == [{"STATUS": "the ledger is a newer version's"}]


def test_what_a_busy_supervisor_did_not_take_is_told_soon_again(world: World) -> None:
    told = Told()
    attendant = supervised(world, told)
    told.has_words_left = True
    pause = attendant.pause()
    assert pause is not None
    assert pause < CALM
    attendant.attend(world.foreground)
    assert attendant.pause() is None


def test_it_says_that_it_stops(world: World) -> None:
    told = Told()
    supervised(world, told).close()
    said: Any = told.take()
    assert (said, told.is_closed) == ([{"STOPPING": "1", "STATUS": "stopping"}], True)

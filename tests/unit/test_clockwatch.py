"""The clock's watch: steps and sleep are told from readings, docs/clock.md tells what comes of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.sqlite import open_ledger
from runjobs.core.clockwatch import NOTICEABLE, STILL, Reading, Shift, pack, sentence_on_resets, shift_between, unpack
from runjobs.core.event import Event, Happening
from runjobs.core.fire import Mark, milliseconds
from runjobs.core.plan import Boot, Decision, Look, decide, mark_after
from runjobs.runner.watch import FACT, ClockWatch
from tests.support.jobs import job_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.adapters.ledger import Ledger
    from runjobs.adapters.ledger.sqlite import SqliteLedger
    from runjobs.core.job import Job

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)  # a Tuesday
NONE, SECOND, HOUR, DAY = timedelta(0), timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
START = Reading(NOON, 2 * DAY, DAY, "boot-a/1")

spans = st.timedeltas(NONE, 400 * DAY)
noticed = st.timedeltas(NOTICEABLE, 400 * DAY)


def later(reading: Reading, awake: timedelta, asleep: timedelta = NONE, stepped: timedelta = NONE) -> Reading:
    """The clocks after so much waking, sleep and setting."""
    wall = reading.wall + awake + asleep + stepped
    return Reading(wall, reading.uptime + awake + asleep, reading.awake + awake, reading.boot)


@given(spans)
def test_time_that_passes_is_no_shift(awake: timedelta) -> None:
    assert shift_between(START, later(START, awake)) == STILL


@given(spans, noticed, st.one_of(st.just(NONE), noticed, noticed.map(lambda span: -span)))
def test_sleep_and_setting_are_told_apart(awake: timedelta, asleep: timedelta, stepped: timedelta) -> None:
    assert shift_between(START, later(START, awake, asleep, stepped)) == Shift(asleep, stepped)


@pytest.mark.parametrize("seconds", [-1, 1])
def test_a_leap_second_is_no_step(seconds: int) -> None:
    assert shift_between(START, later(START, HOUR, stepped=seconds * SECOND)) == STILL


def test_the_clocks_of_another_boot_say_nothing() -> None:
    rebooted = Reading(NOON + HOUR, SECOND, SECOND, "boot-b/1")
    assert shift_between(START, rebooted) == STILL


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), spans, spans)  # noqa: DTZ001 (made aware below)
def test_a_reading_is_kept_to_the_millisecond(wall: datetime, uptime: timedelta, awake: timedelta) -> None:
    reading = Reading(wall.replace(tzinfo=UTC), uptime, awake, "boot-a/1")
    kept = unpack(pack(reading))
    assert kept is not None
    assert milliseconds(kept.wall) == milliseconds(reading.wall)
    assert all(NONE <= was - now < timedelta(milliseconds=1) for now, was in zip(kept[1:3], reading[1:3], strict=True))
    assert kept.boot == reading.boot


@pytest.mark.parametrize("text", [None, "", "1 2 boot", "a b c d", f"{10**30} 1 1 boot", "1 2 3 4 5"])
def test_what_is_no_reading_is_none(text: str | None) -> None:
    assert unpack(text) is None


def test_one_sentence_tells_of_all_marks_that_were_given_up() -> None:
    mark = Mark("key", NOON)
    plain = Decision("well", mark)
    resets = [Decision(f"job{n}", mark, reset_from=NOON + n * DAY) for n in range(1, 6)]
    assert sentence_on_resets([plain]) == ""
    assert sentence_on_resets([plain, *resets[:2]]).startswith("the clock was set back: job1, job2 had fires on record")
    assert "job1, job2, job3 and 2 more had fires on record up to 2026-03-15T12:00:00" in sentence_on_resets(resets)


class Clocks:
    """Clocks that go only when they are told to."""

    def __init__(self) -> None:
        self.reading = START

    def __call__(self) -> Reading:
        return self.reading

    def go(self, awake: timedelta, asleep: timedelta = NONE, stepped: timedelta = NONE) -> None:
        self.reading = later(self.reading, awake, asleep, stepped)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = open_ledger(tmp_path / "ledger.sqlite3", announce=print)
    yield ledger
    ledger.close()


def one_shot(clocks: Clocks, ledger: SqliteLedger) -> Shift:
    """What one pass finds, which ends well."""
    watch = ClockWatch(clocks)
    shift = watch.look(ledger)
    watch.keep(ledger)
    return shift


def test_the_first_look_of_all_finds_nothing(clocks: Clocks, ledger: SqliteLedger) -> None:
    assert one_shot(clocks, ledger) == STILL


def test_passes_know_what_became_of_the_clock_since_the_one_before(clocks: Clocks, ledger: SqliteLedger) -> None:
    one_shot(clocks, ledger)
    clocks.go(HOUR, asleep=5 * HOUR)
    assert one_shot(clocks, ledger) == Shift(asleep=5 * HOUR)
    clocks.go(HOUR, stepped=-DAY)
    assert one_shot(clocks, ledger) == Shift(stepped=-DAY)
    clocks.go(HOUR)
    assert one_shot(clocks, ledger) == STILL


def test_nothing_is_written_while_the_clock_goes_on(clocks: Clocks, ledger: SqliteLedger) -> None:
    one_shot(clocks, ledger)
    kept = ledger.recall(FACT)
    clocks.go(30 * DAY)
    assert one_shot(clocks, ledger) == STILL
    assert ledger.recall(FACT) == kept


def test_a_restart_of_the_machine_begins_anew(clocks: Clocks, ledger: SqliteLedger) -> None:
    one_shot(clocks, ledger)
    clocks.reading = Reading(NOON + DAY, HOUR, HOUR, "boot-b/1")
    assert one_shot(clocks, ledger) == STILL
    clocks.go(HOUR, stepped=2 * HOUR)
    assert one_shot(clocks, ledger) == Shift(stepped=2 * HOUR)


def test_a_shift_is_there_until_the_pass_that_acts_on_it_is_over(clocks: Clocks, ledger: SqliteLedger) -> None:
    one_shot(clocks, ledger)
    clocks.go(HOUR, stepped=2 * HOUR)
    broken_off = ClockWatch(clocks)
    assert broken_off.look(ledger) == Shift(stepped=2 * HOUR)
    assert one_shot(clocks, ledger) == Shift(stepped=2 * HOUR)
    assert one_shot(clocks, ledger) == STILL


def test_a_runner_that_stays_tells_each_shift_once(clocks: Clocks, ledger: SqliteLedger) -> None:
    told: list[Event] = []
    watch = ClockWatch(clocks)
    watch.look(ledger, told.append)
    watch.keep(ledger)
    clocks.go(HOUR, asleep=5 * HOUR, stepped=-7 * SECOND)
    watch.look(ledger, told.append)
    watch.look(ledger, told.append)  # the pass between was refused
    watch.keep(ledger)
    watch.look(ledger, told.append)
    assert [(event.happening, event.facts) for event in told] == [
        (Happening.SUSPENDED, {"seconds": 18_000.0}),
        (Happening.CLOCK_SET, {"seconds": -7.0}),
    ]
    clocks.go(HOUR, stepped=HOUR)
    watch.look(ledger, told.append)
    assert [event.facts for event in told[2:]] == [{"seconds": 3600.0}]


def test_without_a_look_there_is_nothing_to_keep(clocks: Clocks, ledger: SqliteLedger) -> None:
    ClockWatch(clocks).keep(ledger)
    assert ledger.recall(FACT) is None


class FullDisk:
    """A ledger that can be read and not written: the two calls that a watch makes."""

    def recall(self, key: str) -> str | None:
        return pack(START)

    def remember(self, key: str, value: str) -> None:
        raise LedgerError("database or disk is full")


def test_a_full_disk_costs_no_pass_and_a_runner_that_stays_no_second_warning(clocks: Clocks) -> None:
    watch, disk = ClockWatch(clocks), cast("Ledger", FullDisk())
    clocks.go(HOUR, stepped=HOUR)
    assert watch.look(disk) == Shift(stepped=HOUR)
    watch.keep(disk)
    assert watch.look(disk) == STILL


# ---- docs/clock.md: each row of its table is what a runner would do

TABLE = (Path(__file__).parents[2] / "docs" / "clock.md").read_text(encoding="utf-8")
DAYS = {"Mon": NOON - DAY, "Tue": NOON, "Wed": NOON + DAY}
BOOT = Boot("boot-a/1", NOON - 9 * DAY)


class Row(NamedTuple):
    """What happens to the clock between two instants, and what each `catchup` makes of it for some jobs."""

    what: str
    before: datetime
    after: datetime
    jobs: list[str]
    expected: dict[str, str]


def instant(text: str) -> datetime:
    day, time = text.split() if " " in text else ("Tue", text)
    hour, minute, second = (*map(int, time.split(":")), 0)[:3]
    return DAYS[day].replace(hour=hour, minute=minute, second=second)


def rows() -> Iterator[Row]:
    section = TABLE.split("\n## What comes of it\n")[1].split("\n## ")[0]
    what = before = after = ""
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or cells[0] == "the clock":
            continue
        if cells[0]:
            what, before, after = re.fullmatch(r"(.*): (.*) → (.*)", cells[0]).groups()  # type: ignore[union-attr]
        expected = dict(zip(("none", "last", "all"), cells[2:], strict=True))
        yield Row(what, instant(before), instant(after), re.findall(r"`(.*?)`", cells[1]), expected)


def said(when: datetime) -> str:
    day = next(name for name, noon in DAYS.items() if noon.date() == when.date())
    return f"{when:%H:%M}" if day == "Tue" else f"{day} {when:%H:%M}"


def stretch(first: datetime, last: datetime, number: int) -> str:
    return said(first) if number == 1 else f"{said(first)} to {said(last)} ({number})"


def outcome(decision: Decision | None, mark: Mark) -> str:
    """A decision in the words of the table."""
    if decision is not None:
        parts = [f"{stretch(miss.first, miss.last, miss.number)} {miss.reason}" for miss in decision.missed]
        if claims := decision.claims:
            parts.append(f"{stretch(claims[0].scheduled_at, claims[-1].scheduled_at, len(claims))} starts")
        if parts:
            return ", ".join(parts)
        mark = decision.mark
    assert mark.next_fire is not None
    return f"{'anew: ' if decision and decision.reset_from else ''}nothing until {said(mark.next_fire)}"


def look_of(row: Row) -> Look:
    span = row.after - row.before
    since = row.after if row.what == "no runner" else NOON - 2 * DAY
    plain = Look(row.after, row.after, since, BOOT)
    if row.what == "suspended":
        return plain._replace(asleep=span)
    return plain._replace(stepped=span) if row.what == "set" else plain


def mark_at(job: Job, before: datetime) -> Mark:
    """The mark of a job that has run at each of its times until then."""
    mark = mark_after(job, before - 2 * DAY)
    while mark.next_fire is not None and mark.next_fire <= before:
        mark = mark_after(job, mark.next_fire)
    return mark


CASES = [
    pytest.param(row, job, catchup, id=f"{row.what}-{row.before:%H.%M}-{said(row.after)}-{job}-{catchup}")
    for row in rows()
    for job in row.jobs
    for catchup in row.expected
]


def test_the_table_is_read_whole() -> None:
    whats = [(row.what, row.after - row.before) for row in rows()]
    steps = [SECOND, 2 * timedelta(minutes=1), 2 * HOUR, DAY]
    assert {span for what, span in whats if what == "set"} == {*steps, *(-step for step in steps)}
    assert {span for what, span in whats if what == "suspended"} == {timedelta(minutes=5), 5 * HOUR}
    assert {job for row in rows() for job in row.jobs} == {"0 3 * * *", "*/10 * * * *", "@every 10m"}
    assert len(CASES) == 11 * 3 * 3


@pytest.mark.parametrize(("row", "schedule", "catchup"), CASES)
def test_the_table_of_the_docs_is_what_is_decided(row: Row, schedule: str, catchup: str) -> None:
    job = job_of(schedule, f"catchup={catchup}")
    mark = mark_at(job, row.before)
    assert outcome(decide(job, mark, look_of(row)), mark) == row.expected[catchup]

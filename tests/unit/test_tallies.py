"""What the ledger counts: in the transaction of each end, over restarts, pruning and catching up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.ledger import Beginning, RunnerId, Skip
from runjobs.adapters.ledger.catching_up import CatchingUp, Copy, Past, as_rows, in_memory, read_open
from runjobs.adapters.ledger.pruning import Keep
from runjobs.adapters.ledger.schema import STEPS
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.core.fire import Fire, Mark, Stretch, Trigger, milliseconds
from runjobs.core.journal import Journal, entry_of
from runjobs.core.metrics import ONCES, OUTCOMES, Tally
from runjobs.core.plan import Decision
from runjobs.core.run import ProcessId, RunEnd, Start, Started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MS = milliseconds(NOON)
ONE = RunnerId("pass-1", "/locks/runner")
PROCESS = ProcessId(7, 8, "boot", 9)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(open_ledger(tmp_path / "ledger.sqlite3", announce=print)) as ledger:
        yield ledger


def begin(ledger: SqliteLedger, run: str, fire: Fire, *, attempt: int = 1, due_ms: int | None = None) -> None:
    claimed = ledger.claim_one(ONE, NOON, fire)
    assert claimed is not None
    start = Start(run, claimed.fire_id, attempt, "/lock", "/log", None, due_ms)
    assert ledger.start(ONE, NOON, Beginning([start])) == {run}


def end(run: str, outcome: str, at: float, **more: object) -> RunEnd:
    return RunEnd(run, outcome, started_at=at, ended_at=at + 2)._replace(**more)  # type: ignore[arg-type]


def scheduled(at: datetime = NOON, job: str = "backup") -> Fire:
    return Fire(job, Trigger.SCHEDULE, at)


def counted(ledger: SqliteLedger, job: str = "backup") -> dict[str, int]:
    tally = ledger.counted([job])[0][job]
    return {outcome: number for outcome, number in zip(OUTCOMES, tally.counts, strict=True) if number}


def lags(ledger: SqliteLedger) -> dict[int | None, int]:
    return {lag.up_to_ms: lag.starts for lag in ledger.counted([])[1] if lag.starts}


def test_nothing_is_counted_of_a_job_that_never_ran(ledger: SqliteLedger) -> None:
    assert ledger.counted(["backup"])[0] == {"backup": Tally()}
    assert lags(ledger) == {}


def test_a_run_counts_when_it_ends_and_what_it_left_is_told(ledger: SqliteLedger) -> None:
    begin(ledger, "run-1", scheduled())
    ledger.record([Started("run-1", 6, PROCESS, NOON.timestamp() + 1)], [])
    assert ledger.counted(["backup"])[0]["backup"] == Tally(running=1, started_ms=MS + 1000)
    ledger.record([], [end("run-1", "failed", NOON.timestamp() + 1, exit_code=3)])
    tally = ledger.counted(["backup"])[0]["backup"]
    assert (counted(ledger), tally.running, tally.started_ms) == ({"failed": 1}, 0, MS + 1000)
    assert (tally.took_ms, tally.status, tally.succeeded_ms) == (2000, 3, None)


def test_an_end_that_is_recorded_twice_counts_once(ledger: SqliteLedger) -> None:
    begin(ledger, "run-1", scheduled())
    for outcome in ("ok", "failed"):
        ledger.record([], [end("run-1", outcome, NOON.timestamp())])
    assert counted(ledger) == {"ok": 1}


def test_each_attempt_counts_and_the_fire_does_not_count_besides(ledger: SqliteLedger) -> None:
    begin(ledger, "run-1", scheduled())
    ledger.record([], [end("run-1", "failed", NOON.timestamp(), again_at=NOON.timestamp() + 60)])
    (waiting,) = ledger.waiting()
    ledger.start(ONE, NOON, Beginning([Start("run-2", waiting.fire_id, 2, "/lock", "/log")]))
    ledger.record([], [end("run-2", "ok", NOON.timestamp() + 60, exit_code=0)])
    assert counted(ledger) == {"failed": 1, "ok": 1}
    assert ledger.counted(["backup"])[0]["backup"].succeeded_ms == MS + 62_000


def test_fires_that_never_came_to_a_run_count_as_what_they_were(ledger: SqliteLedger) -> None:
    claimed = ledger.claim_one(ONE, NOON, scheduled())
    assert claimed is not None
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "overlap")]))
    assert counted(ledger) == {"skipped": 1}
    stretch = Stretch("backup", Trigger.SCHEDULE, NOON - HOUR, NOON - HOUR / 2, 4, "missed", "down")
    many = stretch._replace(first=NOON - 9 * HOUR, last=NOON - 5 * HOUR, number=0)  # more than anybody has counted
    for _ in range(2):  # the second time they are known
        ledger.claim(ONE, NOON, None, lambda _: [Decision("backup", Mark("key", NOON), missed=(stretch, many))])
    assert counted(ledger) == {"skipped": 1, "missed": 5}


@pytest.mark.parametrize(
    ("outcome", "more", "status"),
    [
        ("ok", {"exit_code": 0}, 0),
        ("ok", {"exit_code": 4}, 4),  # one of success-codes
        ("failed", {"exit_code": 3}, 3),
        ("failed", {"signal": 9}, 137),
        ("timeout", {"signal": 15}, 124),
        ("error", {}, 126),
        ("interrupted", {}, 1),
    ],
)
def test_the_exit_status_is_as_a_shell_has_it(
    ledger: SqliteLedger, outcome: str, more: dict[str, int], status: int
) -> None:
    begin(ledger, "run-1", scheduled())
    ledger.record([], [end("run-1", outcome, NOON.timestamp(), **more)])
    assert ledger.counted(["backup"])[0]["backup"].status == status


def test_of_two_runs_the_one_that_ended_last_is_the_last(ledger: SqliteLedger) -> None:
    for run, at in (("run-1", NOON), ("run-2", NOON + HOUR)):
        begin(ledger, run, scheduled(at))
    ledger.record([], [end("run-2", "ok", NOON.timestamp() + 3600, exit_code=0)])
    ledger.record([], [end("run-1", "failed", NOON.timestamp(), exit_code=3)])  # heard of later
    tally = ledger.counted(["backup"])[0]["backup"]
    assert (tally.status, tally.started_ms, tally.succeeded_ms) == (0, MS + 3_600_000, MS + 3_602_000)
    assert counted(ledger) == {"ok": 1, "failed": 1}


def test_pruning_and_a_new_start_take_nothing_away(ledger: SqliteLedger, tmp_path: Path) -> None:
    for number in range(5):
        begin(ledger, f"run-{number}", scheduled(NOON + number * HOUR))
        ledger.record([], [end(f"run-{number}", "ok", NOON.timestamp() + number * 3600, exit_code=0)])
    assert ledger.prune([Keep("backup", 1, None)], NOON + 9 * HOUR) == 4
    with closing(open_ledger(tmp_path / "ledger.sqlite3", announce=print)) as again:
        assert counted(again) == {"ok": 5}


def test_how_late_the_first_runs_of_scheduled_fires_start_is_counted(ledger: SqliteLedger) -> None:
    late = NOON.timestamp() + 0.02
    begin(ledger, "run-1", scheduled())
    ledger.record([Started("run-1", 6, PROCESS, late)], [end("run-1", "failed", late, again_at=late + 60)])
    (waiting,) = ledger.waiting()
    ledger.start(ONE, NOON, Beginning([Start("run-2", waiting.fire_id, 2, "/lock", "/log")]))
    ledger.record([Started("run-2", 6, PROCESS, late + 60)], [])  # a retry is late on purpose
    begin(ledger, "run-3", Fire("backup", Trigger.MANUAL, NOON, "a person"))
    ledger.record([Started("run-3", 6, PROCESS, late + 9)], [])  # and a person is never late
    assert lags(ledger) == {25: 1}
    assert sum(lag.total_ms for lag in ledger.counted([])[1]) == 20


def test_a_fire_that_its_jitter_puts_off_is_late_from_then_on(ledger: SqliteLedger) -> None:
    begin(ledger, "run-1", scheduled(), due_ms=MS + 90_000)
    ledger.record([Started("run-1", 6, PROCESS, NOON.timestamp() + 90.007)], [])
    assert lags(ledger) == {10: 1}


def test_a_run_that_is_very_late_or_early_has_its_place(ledger: SqliteLedger) -> None:
    for run, late in (("run-1", 90_000.0), ("run-2", -3.0)):  # a catch-up; a clock that was set back
        begin(ledger, run, scheduled(NOON + timedelta(seconds=len(lags(ledger)))))
        ledger.record([Started(run, 6, PROCESS, NOON.timestamp() + late)], [])
    assert lags(ledger) == {None: 1, 5: 1}


def test_all_that_is_to_run_once_is_counted_under_one_name(ledger: SqliteLedger) -> None:
    for number in (1, 2):
        begin(ledger, f"run-{number}", Fire(f"at/{number}", Trigger.MANUAL, NOON, str(number)))
    ledger.record([], [end("run-1", "ok", NOON.timestamp())])
    found = ledger.counted([ONCES])[0]
    assert (counted(ledger, ONCES), found[ONCES].running) == ({"ok": 1}, 1)
    assert counted(ledger, "at/1") == {}


def test_what_is_caught_up_with_counts_as_if_it_had_been_recorded(ledger: SqliteLedger) -> None:
    run = entry_of(scheduled())._replace(run_id="run-1", begun_ms=MS + 30, ended_ms=MS + 900, outcome="ok", exit_code=0)
    goes_on = entry_of(scheduled(NOON + HOUR))._replace(run_id="run-2", begun_ms=MS + 3_600_000)
    skipped = entry_of(scheduled(NOON + 2 * HOUR))._replace(outcome="skipped", reason="overlap")
    past = Past("backup", "/lock", "/logs", Journal(None, "", (run, goes_on, skipped)))
    late = CatchingUp(ledger._connection, ledger._path)
    assert [late.catch_up([past]), late.catch_up([past])] == [3, 0]
    assert (counted(ledger), lags(ledger)) == ({"ok": 1, "skipped": 1}, {50: 1, 5: 1})


def test_what_a_stand_in_knows_more_counts_once(ledger: SqliteLedger) -> None:
    begin(ledger, "run-1", scheduled())
    ledger.record([Started("run-1", 6, PROCESS, NOON.timestamp() + 0.02)], [])
    standin = CatchingUp(in_memory(), ledger._path)
    standin.take_in(read_open(ledger._connection))
    standin.record([], [end("run-1", "failed", NOON.timestamp() + 0.02, exit_code=3)])
    fires, runs = (list(as_rows(standin._connection.execute(f"SELECT * FROM {name}"))) for name in ("fires", "runs"))
    real = CatchingUp(ledger._connection, ledger._path)
    for _ in range(2):
        real.take_in(Copy(fires=fires, runs=runs))
    assert (counted(ledger), lags(ledger)) == ({"failed": 1}, {25: 1})


def test_history_from_before_is_counted_when_the_ledger_is_led_to_this_version(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript("PRAGMA journal_mode = WAL;" + "".join(STEPS[:4]) + "PRAGMA user_version = 4;")
        fire = "INSERT INTO fires(id, job, trigger, key, scheduled_at, last_at, state, outcome, attempts, count)"
        run = "INSERT INTO runs(id, fire, attempt, state, lock, log, started_at, ended_at, outcome, exit_code, signal)"
        old.executescript(f"""
            {fire} VALUES (1, 'backup', 'schedule', '1', {MS}, {MS}, 'ended', 'ok', 2, 1);
            {fire} VALUES (2, 'backup', 'schedule', '2', {MS}, {MS}, 'ended', 'missed', 0, 7);
            {fire} VALUES (3, 'backup', 'schedule', '3', {MS}, {MS}, 'running', NULL, 1, 1);
            {fire} VALUES (4, 'at/4', 'once', '4', {MS}, {MS}, 'ended', 'failed', 1, 1);
            {run} VALUES ('run-1', 1, 1, 'ended', '', '', {MS + 3}, {MS + 5}, 'failed', NULL, 9);
            {run} VALUES ('run-2', 1, 2, 'ended', '', '', {MS + 90_000}, {MS + 95_000}, 'ok', 0, NULL);
            {run} VALUES ('run-3', 3, 1, 'running', '', '', {MS + 99_000}, NULL, NULL, NULL, NULL);
            {run} VALUES ('run-4', 4, 1, 'ended', '', '', {MS + 9}, {MS + 10}, 'failed', 3, NULL);
        """)
    with closing(open_ledger(path, announce=print)) as ledger:
        tally = ledger.counted(["backup"])[0]["backup"]
        assert (counted(ledger), counted(ledger, ONCES)) == ({"failed": 1, "ok": 1, "missed": 7}, {"failed": 1})
        assert tally[1:] == (1, MS + 99_000, MS + 95_000, 5_000, 0)
        assert lags(ledger) == {5: 1, 10: 1, 300_000: 1}

"""Reading the record: a million runs or none, while others write, and never a byte of it changed."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.ledger import Beginning, LedgerError, RunnerId, Skip
from runjobs.adapters.ledger.pruning import Keep, prune
from runjobs.adapters.ledger.reading import MOST_COUNTED, Reader, open_reader
from runjobs.adapters.ledger.schema import STEPS, VERSION
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.core.fire import Fire, Mark, Stretch, Trigger, milliseconds
from runjobs.core.pausing import Pause
from runjobs.core.plan import Decision
from runjobs.core.run import RunEnd, Start, run_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.core.answers import Entry

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUNNER = RunnerId("pass-7-x", "/locks/runner")


def refuse_news(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = open_ledger(path, announce=refuse_news)
    yield opened
    opened.close()


@pytest.fixture
def reader(path: Path, ledger: SqliteLedger) -> Iterator[Reader]:
    opened = open_reader(path, announce=refuse_news)
    yield opened
    opened.close()


def due(ledger: SqliteLedger, hour: int, job: str = "backup", trigger: Trigger = Trigger.SCHEDULE) -> int:
    """Claim the fire of an hour."""
    fire = Fire(job, trigger, NOON + hour * HOUR)
    decision = Decision(job, Mark("key", fire.scheduled_at), (fire,), supersedes=False)
    return ledger.claim(RUNNER, fire.scheduled_at, None, lambda _: [decision]).claimed[0].fire_id


def start(ledger: SqliteLedger, fire: int, hour: int, attempt: int = 1) -> str:
    name = run_id(milliseconds(NOON + hour * HOUR), fire * 10 + attempt)
    ledger.start(RUNNER, NOON, Beginning([Start(name, fire, attempt, "/locks/job.backup", f"/logs/backup/{name}.log")]))
    return name


def run(ledger: SqliteLedger, hour: int, outcome: str = "ok", job: str = "backup") -> str:
    """Run a job at an hour, to this outcome; the id of the run."""
    name = start(ledger, due(ledger, hour, job), hour)
    ledger.record((), [RunEnd(name, outcome, "exit", f"hour {hour}", ended_at=(NOON + hour * HOUR).timestamp() + 60)])
    return name


def miss(ledger: SqliteLedger, first: int, last: int, number: int, job: str = "backup") -> None:
    stretch = Stretch(job, Trigger.SCHEDULE, NOON + first * HOUR, NOON + last * HOUR, number, "missed", "down")
    ledger.claim(RUNNER, NOON, None, lambda _: [Decision(job, Mark("key", NOON + last * HOUR), (), (stretch,))])


def hours(entries: list[Entry]) -> list[float]:
    return [(entry.scheduled_at - NOON) / HOUR for entry in entries]


def test_where_there_is_no_ledger_nothing_is_on_record_and_none_is_made(path: Path) -> None:
    reader = open_reader(path, announce=refuse_news)
    assert reader.is_empty
    assert (reader.fires((), ()), reader.jobs(), reader.marks(), reader.open_fires()) == ([], [], {}, [])
    assert (reader.newest("backup"), reader.trouble("backup"), reader.run_ids("3574")) == (None, None, [])
    assert sorted(os.listdir(path.parent)) == []
    path.touch()
    assert open_reader(path, announce=refuse_news).is_empty
    assert path.stat().st_size == 0


def test_a_reader_can_not_write(reader: Reader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM fires")


def test_what_is_written_meanwhile_is_seen_at_the_next_question(ledger: SqliteLedger, reader: Reader) -> None:
    assert reader.newest("backup") is None
    name = run(ledger, 1)
    newest = reader.newest("backup")
    assert newest is not None
    assert (newest.outcome, newest.detail, newest.runs[0].run_id) == ("ok", "hour 1", name)
    assert newest.runs[0].ended_at == NOON + HOUR + timedelta(minutes=1)


def test_a_reader_does_not_wait_for_a_writer(ledger: SqliteLedger, reader: Reader) -> None:
    run(ledger, 1)
    ledger._connection.execute("BEGIN IMMEDIATE")
    ledger._connection.execute("DELETE FROM fires")
    assert hours(reader.fires((), ())) == [1]
    ledger._connection.execute("ROLLBACK")


def test_an_older_ledger_is_led_to_these_tables(path: Path) -> None:
    with sqlite3.connect(path) as old:
        old.executescript(f"PRAGMA journal_mode = WAL; {STEPS[0]} PRAGMA user_version = 1;")
    old.close()
    assert open_reader(path, announce=refuse_news).fires((), ()) == []
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_newer_ledger_is_refused_and_one_that_is_none_is_left_to_runners(path: Path) -> None:
    with sqlite3.connect(path) as new:
        new.execute(f"PRAGMA user_version = {VERSION + 1}")
    new.close()
    with pytest.raises(LedgerError, match="newer runjobs"):
        open_reader(path, announce=refuse_news)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="not a database"):
        open_reader(path, announce=refuse_news)
    assert sorted(os.listdir(path.parent)) == ["ledger.lock", path.name]


def test_the_newest_fires_come_in_the_order_of_time(ledger: SqliteLedger, reader: Reader) -> None:
    for hour, job in ((3, "backup"), (1, "report"), (2, "backup"), (4, "report")):
        run(ledger, hour, job=job)
    assert hours(reader.fires((), ())) == [1, 2, 3, 4]
    assert hours(reader.fires((), (), most=2)) == [3, 4]
    assert hours(reader.fires(["backup"], (), most=1)) == [3]
    assert hours(reader.fires(["backup", "report"], (), most=3)) == [2, 3, 4]
    assert reader.jobs() == ["backup", "report"]


def test_fires_are_chosen_by_outcome_and_by_time(ledger: SqliteLedger, reader: Reader) -> None:
    for hour, outcome in enumerate(("ok", "failed", "ok", "timeout", "failed")):
        run(ledger, hour, outcome)
    assert hours(reader.fires((), ("failed", "timeout"))) == [1, 3, 4]
    assert hours(reader.fires(["backup"], ("failed",), most=1)) == [4]
    assert hours(reader.fires((), (), NOON + HOUR, NOON + 3 * HOUR)) == [1, 2, 3]
    assert hours(reader.fires(["backup"], ("ok",), NOON + HOUR)) == [2]


def test_a_stretch_that_reaches_into_the_time_belongs_to_it(ledger: SqliteLedger, reader: Reader) -> None:
    miss(ledger, 0, 5, 6)
    run(ledger, 6)
    assert hours(reader.fires((), (), NOON + 3 * HOUR)) == [0, 6]
    assert hours(reader.fires(["backup"], ("missed",), NOON + 3 * HOUR)) == [0]
    assert hours(reader.fires(["backup"], ("ok",), NOON + 3 * HOUR)) == [6]
    assert hours(reader.at("backup", NOON + 2 * HOUR, NOON + 3 * HOUR)) == [0]
    assert hours(reader.at("backup", NOON + 5 * HOUR, NOON + 7 * HOUR)) == [0, 6]
    assert reader.at("backup", NOON + 7 * HOUR, NOON + 8 * HOUR) == []


def test_each_attempt_at_a_fire_is_told_in_order(ledger: SqliteLedger, reader: Reader) -> None:
    fire = due(ledger, 1)
    first = start(ledger, fire, 1)
    ledger.record((), [RunEnd(first, "failed", ended_at=1.0, again_at=2.0, leftovers=((5, "sshd"),))])
    (waiting,) = reader.open_fires()
    assert (waiting.state, waiting.wait, waiting.attempts) == ("waiting", "retry", 1)
    second = start(ledger, fire, 1, attempt=2)
    (entry,) = reader.open_fires()
    assert [run.run_id for run in entry.runs] == [first, second]
    assert entry.runs[0].leftovers == ((5, "sshd"),)
    assert not entry.has_ended


def test_trouble_lasts_from_the_first_fire_after_the_last_good_one(ledger: SqliteLedger, reader: Reader) -> None:
    run(ledger, 0, "failed")
    trouble = reader.trouble("backup")
    assert trouble is not None
    assert not trouble.ever_ok
    run(ledger, 1)
    assert reader.trouble("backup") is None
    run(ledger, 2, "failed")
    ledger.start(RUNNER, NOON, Beginning(skips=[Skip(due(ledger, 3), "skipped", "overlap")]))
    miss(ledger, 4, 6, 3)
    trouble = reader.trouble("backup")
    assert trouble is not None
    assert (trouble.since, trouble.number, trouble.is_more, trouble.ever_ok) == (NOON + 2 * HOUR, 4, False, True)
    miss(ledger, 7, 9999, MOST_COUNTED)
    trouble = reader.trouble("backup")
    assert trouble is not None
    assert (trouble.number, trouble.is_more) == (MOST_COUNTED, True)


def test_runs_are_found_by_the_beginning_of_their_ids(ledger: SqliteLedger, reader: Reader) -> None:
    first, second = run(ledger, 1), run(ledger, 2)
    assert reader.run_ids(first[:3]) == [first, second]
    assert reader.run_ids(first[:10]) == [first]
    assert reader.run_ids("zzzz") == []
    entry = reader.run(second)
    assert entry is not None
    assert (entry.job, [run.run_id for run in entry.runs]) == ("backup", [second])
    assert reader.run("zzzz") is None


def test_runs_of_a_job_are_found_by_number_and_by_when_they_began(ledger: SqliteLedger, reader: Reader) -> None:
    first, second = run(ledger, 1), run(ledger, 2)
    other = run(ledger, 3, job="report")
    miss(ledger, 4, 5, 2)
    assert [run.run_id for entry in reader.runs_of("backup", 1) for run in entry.runs] == [second]
    assert [run.run_id for entry in reader.runs_of("backup", None) for run in entry.runs] == [first, second]
    begun = reader.runs_begun(["backup", "report"], NOON + 2 * HOUR)
    assert [(job, run.run_id) for job, run in begun] == [("backup", second), ("report", other)]
    assert reader.runs_begun(["other"], NOON) == []


def test_what_stands_around_a_time_and_how_far_the_record_reaches(ledger: SqliteLedger, reader: Reader) -> None:
    for hour in (1, 2, 3):
        run(ledger, hour)
    before, after = reader.around("backup", NOON + 2 * HOUR)
    assert before is not None
    assert after is not None
    assert hours([before, after]) == [1, 3]
    assert reader.around("other", NOON) == (None, None)
    oldest, ended = reader.oldest("backup"), reader.last_ended("backup")
    assert oldest is not None
    assert ended is not None
    assert hours([oldest, ended]) == [1, 3]
    assert reader.has_at_least("backup", 3)
    assert not reader.has_at_least("backup", 4)


def test_pauses_and_marks_are_read(ledger: SqliteLedger, reader: Reader) -> None:
    pause = Pause("backup", NOON, None, "moving", "root")
    ledger.pause(pause)
    run(ledger, 1)
    assert reader.pauses() == {"backup": pause}
    assert reader.marks()["backup"].watermark == NOON + HOUR


def test_every_question_follows_an_index(ledger: SqliteLedger, reader: Reader) -> None:
    asked: list[str] = []
    run(ledger, 1)
    reader._connection.set_trace_callback(asked.append)
    reader.jobs(), reader.open_fires(), reader.trouble("backup"), reader.last_ended("backup")
    reader.newest("backup"), reader.oldest("backup"), reader.around("backup", NOON), reader.at("backup", NOON, NOON)
    reader.fires((), (), most=5), reader.fires((), ("failed",), NOON, NOON + HOUR, 5), reader.run_ids("3")
    reader.fires(["backup"], (), most=5), reader.fires(["backup"], ("failed",), NOON, None, 5)
    reader.run("x"), reader.runs_of("backup", 1), reader.runs_begun(["backup"], NOON), reader.has_at_least("backup", 9)
    reader._connection.set_trace_callback(None)
    assert len(asked) > 20
    for question in asked:
        plan = [row[3] for row in reader._connection.execute(f"EXPLAIN QUERY PLAN {question}")]
        assert [step for step in plan if step.startswith("SCAN") and not is_short(step, question)] == [], question


def is_short(scan: str, question: str) -> bool:
    """Whether a scan ends soon: of what has not ended, of names, or of all fires from the newest on up to a limit."""
    if "fires_by_time" in scan:
        return "LIMIT" in question and "job = " not in question
    return any(
        word in scan for word in ("fires_claimed", "fires_waiting", "runs_unended", "known", "marks", "CONSTANT")
    )


def kept(reader: Reader, job: str = "backup") -> list[float]:
    return hours(reader.fires([job], ()))


def prune_now(ledger: SqliteLedger, keep: Keep, hour: int, most: int = 200) -> int:
    return ledger._write(lambda: prune(ledger._connection, [keep], NOON + hour * HOUR, most))


def test_fires_past_their_number_or_age_are_deleted_with_their_runs(ledger: SqliteLedger, reader: Reader) -> None:
    for hour in range(10):
        run(ledger, hour)
        run(ledger, hour, job="report")
    assert prune_now(ledger, Keep("backup", 7, None), 10) == 3
    assert kept(reader) == [3, 4, 5, 6, 7, 8, 9]
    assert prune_now(ledger, Keep("backup", 7, 5 * HOUR), 10) == 3
    assert kept(reader) == [6, 7, 8, 9]
    assert kept(reader, "report") == list(range(10))
    (runs,) = ledger._connection.execute("SELECT count(*) FROM runs").fetchone()
    assert runs == 14
    assert prune_now(ledger, Keep("backup", 7, 5 * HOUR), 10) == 0


def test_what_goes_on_or_is_the_newest_or_last_went_well_stays_whatever_its_age(
    ledger: SqliteLedger, reader: Reader
) -> None:
    start(ledger, due(ledger, 0), 0)
    due(ledger, 1)
    fire = due(ledger, 2)
    ledger.record((), [RunEnd(start(ledger, fire, 2), "failed", ended_at=1.0, again_at=2.0)])
    run(ledger, 3)
    for hour in (4, 5, 6):
        run(ledger, hour, "failed")
    assert prune_now(ledger, Keep("backup", 1, HOUR), 100) == 2
    assert kept(reader) == [0, 1, 2, 3, 6]


def test_a_stretch_is_as_old_as_its_last_fire(ledger: SqliteLedger, reader: Reader) -> None:
    miss(ledger, 0, 8, 9)
    run(ledger, 9)
    assert prune_now(ledger, Keep("backup", 10, 5 * HOUR), 10) == 0
    assert prune_now(ledger, Keep("backup", 10, 5 * HOUR), 14) == 1
    assert kept(reader) == [9]


def test_one_call_deletes_a_bounded_number_the_oldest_first(ledger: SqliteLedger, reader: Reader) -> None:
    for hour in range(10):
        run(ledger, hour)
    assert prune_now(ledger, Keep("backup", 2, None), 10, most=3) == 3
    assert kept(reader) == [3, 4, 5, 6, 7, 8, 9]
    both = [Keep("backup", 2, None), Keep("report", 2, None)]
    assert ledger._write(lambda: prune(ledger._connection, both, NOON, 3)) == 3

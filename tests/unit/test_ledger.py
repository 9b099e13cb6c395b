"""What every ledger can do: one suite for all backends, on a file and in memory."""

from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.ledger import Claimed, LedgerError, RunnerId, Skip
from runjobs.adapters.ledger.schema import VERSION
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.core.fire import Fire, Mark, Stretch, Trigger
from runjobs.core.plan import Decision
from runjobs.core.run import ProcessId, RunEnd, Start, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROCESS = ProcessId(4711, 99, "boot", 4_026_531_836)
ONE = RunnerId("runner-1", "/locks/runner")
TWO = RunnerId("runner-2", "/locks/runner.2")
BACKUP = Fire("backup", Trigger.SCHEDULE, NOON)
MARK = Mark("0 12 * * * UTC", NOON, NOON + HOUR, NOON + HOUR, timedelta(hours=1))


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


def deciding(*decisions: Decision) -> Callable[[object], list[Decision]]:
    return lambda _: list(decisions)


def claim(ledger: SqliteLedger, runner: RunnerId = ONE, fire: Fire = BACKUP) -> list[Claimed]:
    return ledger.claim(runner, NOON, None, deciding(Decision(fire.job, MARK, (fire,))))[0]


def marks_seen(ledger: SqliteLedger, jobs: list[str]) -> dict[str, Mark]:
    seen: dict[str, Mark] = {}

    def look(marks: Mapping[str, Mark]) -> list[Decision]:
        seen.update(marks)
        return []

    ledger.claim(ONE, NOON, jobs, look)
    return seen


def begin(ledger: SqliteLedger, run_id: str = "run-1", runner: RunnerId = ONE) -> int:
    (claimed,) = claim(ledger, runner)
    assert ledger.start(runner, NOON, [Start(run_id, claimed.fire_id, 1, "/locks/job.backup", "/log")], []) == {run_id}
    return claimed.fire_id


def outcomes(path: Path) -> list[tuple[str, str | None, str | None]]:
    with sqlite3.connect(path) as reading:
        rows = reading.execute("SELECT state, outcome, reason FROM fires ORDER BY id").fetchall()
    reading.close()
    return rows


def test_a_fire_is_claimed_by_one_runner_only(ledger: SqliteLedger) -> None:
    assert [claimed.fire for claimed in claim(ledger, ONE)] == [BACKUP]
    assert claim(ledger, TWO) == []


def test_marks_come_back_as_they_were_written_and_only_those_asked_for(ledger: SqliteLedger) -> None:
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK), Decision("report", Mark("key", NOON))))
    assert ledger.marks() == {"backup": MARK, "report": Mark("key", NOON)}
    assert marks_seen(ledger, ["report"]) == {"report": Mark("key", NOON)}


def test_a_mark_never_moves_back_but_for_another_schedule(ledger: SqliteLedger) -> None:
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK)))
    ledger.claim(TWO, NOON, None, deciding(Decision("backup", MARK._replace(watermark=NOON - HOUR))))
    assert ledger.marks()["backup"].watermark == NOON
    other = Mark("another key", NOON - HOUR)
    ledger.claim(TWO, NOON, None, deciding(Decision("backup", other)))
    assert ledger.marks()["backup"] == other


def test_a_decision_that_fails_leaves_no_trace(ledger: SqliteLedger, path: Path) -> None:
    def fail(_: object) -> list[Decision]:
        claimed = Decision("backup", MARK, (BACKUP,))
        return [claimed, *fail_now()]

    def fail_now() -> list[Decision]:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        ledger.claim(ONE, NOON, None, fail)
    assert outcomes(path) == []
    assert [claimed.fire for claimed in claim(ledger)] == [BACKUP]


def test_a_stretch_of_missed_fires_is_one_row_with_its_reason(ledger: SqliteLedger, path: Path) -> None:
    missed = Stretch("backup", Trigger.SCHEDULE, NOON - HOUR, NOON, 60, "missed", "down")
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK, (), (missed,))))
    ledger.claim(TWO, NOON, None, deciding(Decision("backup", MARK, (), (missed,))))
    assert outcomes(path) == [("ended", "missed", "down")]


def test_a_run_goes_from_starting_over_running_to_its_end(ledger: SqliteLedger, path: Path) -> None:
    begin(ledger)
    assert outcomes(path) == [("starting", None, None)]
    ledger.record([Started("run-1", 5, PROCESS, NOON.timestamp())], [])
    assert outcomes(path) == [("running", None, None)]
    (unended,) = ledger.unended()
    assert (unended.run_id, unended.job, unended.guard_pid, unended.process) == ("run-1", "backup", 5, PROCESS)
    assert ledger.record((), [RunEnd("run-1", "failed", "exit", "exit code 3", 3)]) == ["run-1"]
    assert outcomes(path) == [("ended", "failed", "exit")]
    assert ledger.unended() == []


def test_the_first_record_of_an_end_counts(ledger: SqliteLedger, path: Path) -> None:
    begin(ledger)
    assert ledger.record((), [RunEnd("run-1", "ok")]) == ["run-1"]
    assert ledger.record((), [RunEnd("run-1", "interrupted", "guard-died")]) == []
    ledger.record([Started("run-1", 5, PROCESS, NOON.timestamp())], [])
    assert outcomes(path) == [("ended", "ok", "")]


def test_a_claim_that_was_taken_over_is_not_started_by_the_first_runner(ledger: SqliteLedger, path: Path) -> None:
    (claimed,) = claim(ledger, ONE)
    (orphan,) = ledger.orphans()
    assert (orphan.fire, orphan.runner, orphan.runner_lock) == (BACKUP, "runner-1", "/locks/runner")
    assert ledger.reclaim(orphan, TWO, NOON)
    assert not ledger.reclaim(orphan, TWO, NOON)
    start = Start("run-1", claimed.fire_id, 1, "/locks/job.backup", "/log")
    assert ledger.start(ONE, NOON, [start], []) == set()
    assert ledger.start(TWO, NOON, [start], []) == {"run-1"}


def test_a_fire_that_is_skipped_or_dropped_ends_with_its_reason(ledger: SqliteLedger, path: Path) -> None:
    (claimed,) = claim(ledger)
    ledger.start(ONE, NOON, [], [Skip(claimed.fire_id, "skipped", "overlap", "held by run-0")])
    claim(ledger, ONE, BACKUP._replace(job="report"))
    (orphan,) = ledger.orphans()
    assert ledger.drop(Skip(orphan.fire_id, "missed", "down"), orphan, NOON)
    assert not ledger.drop(Skip(orphan.fire_id, "missed", "down"), orphan, NOON)
    assert outcomes(path) == [("ended", "skipped", "overlap"), ("ended", "missed", "down")]


def test_a_persons_fires_differ_though_they_are_of_one_instant(ledger: SqliteLedger) -> None:
    fires = [Fire("backup", Trigger.MANUAL, NOON, name) for name in ("a", "b", "a")]
    assert [bool(ledger.claim_one(ONE, NOON, fire)) for fire in fires] == [True, True, False]


def test_it_is_unsettled_while_a_claim_or_a_run_is_open(ledger: SqliteLedger) -> None:
    assert not ledger.is_unsettled()
    begin(ledger)
    assert ledger.is_unsettled()
    ledger.record((), [RunEnd("run-1", "ok")])
    assert not ledger.is_unsettled()


def test_marks_of_jobs_that_are_gone_can_be_forgotten(ledger: SqliteLedger) -> None:
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK), Decision("report", MARK)))
    ledger.forget(["backup"])
    assert list(ledger.marks()) == ["report"]


def test_facts_are_kept_over_passes(ledger: SqliteLedger) -> None:
    assert ledger.recall("told") is None
    ledger.remember("told", "1")
    ledger.remember("told", "2")
    assert ledger.recall("told") == "2"


def test_more_names_than_one_query_takes_are_found(ledger: SqliteLedger) -> None:
    names = [f"job-{number}" for number in range(1_200)]
    ledger.claim(ONE, NOON, None, deciding(*(Decision(name, MARK) for name in names)))
    assert len(marks_seen(ledger, names)) == 1_200


def test_what_was_committed_is_there_for_the_next_process(path: Path, ledger: SqliteLedger) -> None:
    begin(ledger)
    other = open_ledger(path, announce=refuse_news)
    assert [run.run_id for run in other.unended()] == ["run-1"]
    other.close()


def test_the_file_is_its_owners_alone_and_knows_its_version(path: Path, ledger: SqliteLedger) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ledger._connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("garbage", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_broken_ledger_is_set_aside_and_never_deleted(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    news: list[str] = []
    opened = open_ledger(path, announce=news.append)
    assert opened.marks() == {}
    opened.close()
    (aside,) = path.parent.glob("ledger.sqlite3.broken-*")
    assert aside.read_bytes() == garbage
    assert aside.name in news[0]


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    newer.close()
    with pytest.raises(LedgerError, match="newer runjobs"):
        open_ledger(path, announce=refuse_news)


def test_a_ledger_in_a_folder_that_is_not_there_says_which_file(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nowhere/ledger.sqlite3"):
        open_ledger(tmp_path / "nowhere" / "ledger.sqlite3", announce=refuse_news)


def test_a_table_that_is_gone_is_an_error_of_the_ledger(ledger: SqliteLedger) -> None:
    ledger._connection.execute("DROP TABLE marks")
    with pytest.raises(LedgerError, match="marks"):
        ledger.marks()

"""What every ledger can do: one suite for all backends, on a file and in memory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters.ledger import Beginning, Claimed, LedgerError, Newest, RunnerId, Skip, Wait, waits
from runjobs.adapters.ledger.catching_up import CatchingUp, in_memory, read_open
from runjobs.adapters.ledger.schema import VERSION, VERSION_1
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.adapters.statefolder import folder_at, prepare
from runjobs.core.fire import Fire, Mark, Stretch, Trigger, WaitFor, Waiting
from runjobs.core.once import Once
from runjobs.core.pausing import Pause
from runjobs.core.plan import Decision
from runjobs.core.run import ProcessId, RunEnd, Start, Started
from runjobs.runner.alarm import Alarm
from runjobs.runner.hardship import Enduring, Hands

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PROCESS = ProcessId(4711, 99, "boot", 4_026_531_836)
ONE = RunnerId("runner-1", "/locks/runner")
TWO = RunnerId("runner-2", "/locks/runner.2")
BACKUP = Fire("backup", Trigger.SCHEDULE, NOON)
ONCE = Once(NOON, NOON - HOUR, "true", "/", 0o022, 0)
MARK = Mark("0 12 * * * UTC", NOON, NOON + HOUR, NOON + HOUR, timedelta(hours=1))


def refuse_news(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def open_plain(path: Path) -> SqliteLedger:
    return open_ledger(path, announce=refuse_news)


def open_enduring(path: Path) -> SqliteLedger:
    """The one that a runner has, while all is well."""
    state = prepare(path.parent, {})
    return Enduring(Hands(state, Alarm(state.standin, refuse_news, is_brief=False)))


@pytest.fixture(params=[open_plain, open_enduring])
def ledger(request: pytest.FixtureRequest, path: Path) -> Iterator[SqliteLedger]:
    opened = request.param(path)
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
    start = Start(run_id, claimed.fire_id, 1, "/locks/job.backup", "/log")
    assert ledger.start(runner, NOON, Beginning([start])) == {run_id}
    return claimed.fire_id


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as reading:
        return reading.execute(query).fetchall()


def outcomes(path: Path) -> list[tuple[Any, ...]]:
    return rows(path, "SELECT state, outcome, reason FROM fires ORDER BY id")


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
    assert ledger.start(ONE, NOON, Beginning([start])) == set()
    assert ledger.start(TWO, NOON, Beginning([start])) == {"run-1"}


def test_a_fire_that_is_skipped_or_dropped_ends_with_its_reason(ledger: SqliteLedger, path: Path) -> None:
    (claimed,) = claim(ledger)
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "overlap", "held by run-0")]))
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


def test_a_table_that_is_gone_is_an_error_of_the_ledger(path: Path) -> None:
    ledger = open_plain(path)
    ledger._connection.execute("DROP TABLE marks")
    with pytest.raises(LedgerError, match="marks"):
        ledger.marks()
    ledger.close()


# fires that wait


def waiting_retry(ledger: SqliteLedger, run_id: str = "run-1") -> Waiting:
    """A fire whose run failed and that is to be tried again an hour later."""
    begin(ledger, run_id)
    again = (NOON + HOUR).timestamp()
    ledger.record([], [RunEnd(run_id, "failed", "exit", "exit code 3", ended_at=NOON.timestamp(), again_at=again)])
    (waiting,) = ledger.waiting()
    return waiting


def start_of(waiting: Waiting, run_id: str) -> Start:
    return Start(run_id, waiting.fire_id, waiting.attempts + 1, "/locks/job.backup", "/log")


def test_a_fire_that_is_to_be_tried_again_waits_for_its_runner(ledger: SqliteLedger, path: Path) -> None:
    waiting = waiting_retry(ledger)
    assert waiting[1:] == (BACKUP, WaitFor.RETRY, NOON, NOON + HOUR, 1, "failed", "runner-1", "/locks/runner")
    assert outcomes(path) == [("waiting", "failed", "exit")]
    assert ledger.is_unsettled()
    assert ledger.unended() == []


def test_an_interrupted_fire_that_is_tried_again_is_a_rerun(ledger: SqliteLedger) -> None:
    begin(ledger)
    ledger.record([], [RunEnd("run-1", "interrupted", "reboot", ended_at=5.0, again_at=5.0)])
    assert [waiting.wait for waiting in ledger.waiting()] == [WaitFor.RERUN]


def test_only_its_owner_starts_a_waiting_fire_and_its_outcome_is_that_of_the_last_run(
    ledger: SqliteLedger, path: Path
) -> None:
    waiting = waiting_retry(ledger)
    tried: list[Claimed] = []

    def go(claims: Sequence[Claimed]) -> Beginning:
        tried.extend(claims)
        return Beginning([start_of(waiting, "run-2")] if claims else [])

    assert ledger.start_waiting(TWO, NOON, [waiting.fire_id], go) == []
    assert ledger.start_waiting(ONE, NOON, [waiting.fire_id], go) == tried
    assert (tried[0].attempts, tried[0].wait, tried[0].not_before) == (1, WaitFor.RETRY, NOON + HOUR)
    assert ledger.start_waiting(ONE, NOON, [waiting.fire_id], go) == []
    assert outcomes(path) == [("starting", None, None)]
    (run,) = ledger.unended()
    assert (run.run_id, run.attempt, run.runner, run.runner_lock) == ("run-2", 2, "runner-1", "/locks/runner")
    ledger.record([], [RunEnd("run-2", "ok", ended_at=9.0)])
    assert outcomes(path) == [("ended", "ok", "")]


def test_what_is_tried_and_not_named_goes_on_waiting_as_before(ledger: SqliteLedger) -> None:
    waiting = waiting_retry(ledger)
    ledger.start_waiting(ONE, NOON, [waiting.fire_id], lambda _: Beginning())
    assert ledger.waiting() == [waiting]


def test_a_claim_may_wait_and_keeps_the_instant_at_which_it_began_to(ledger: SqliteLedger) -> None:
    (claimed,) = claim(ledger)
    ledger.start(ONE, NOON, Beginning(waits=[Wait(claimed.fire_id, WaitFor.AFTER, NOON)]))
    ledger.start(ONE, NOON + HOUR, Beginning(waits=[Wait(claimed.fire_id, WaitFor.POOL, NOON + HOUR)]))
    (waiting,) = ledger.waiting()
    assert (waiting.wait, waiting.since, waiting.not_before) == (WaitFor.POOL, NOON, NOON + HOUR)
    assert ledger.orphans() == []


def test_a_dead_owners_fire_is_taken_over_by_one_only(ledger: SqliteLedger) -> None:
    waiting = waiting_retry(ledger)
    three = RunnerId("runner-3", "/locks/runner.3")
    assert [ledger.adopt(waiting, TWO), ledger.adopt(waiting, three)] == [True, False]
    assert [found.runner for found in ledger.waiting()] == ["runner-2"]


def test_a_claimed_fire_is_tried_by_its_runner_alone_and_stays_claimed_where_nothing_is_said(
    ledger: SqliteLedger, path: Path
) -> None:
    (claimed,) = claim(ledger)
    given: list[Claimed] = []

    def begin(claims: Sequence[Claimed]) -> Beginning:
        given.extend(claims)
        return Beginning()

    assert ledger.start_waiting(TWO, NOON, [claimed.fire_id], begin) == []
    assert ledger.start_waiting(ONE, NOON, [claimed.fire_id], begin) == [claimed] == given
    assert rows(path, "SELECT state, runner FROM fires") == [("claimed", ONE.id)]


def test_a_waiting_fire_that_is_ended_keeps_the_outcome_of_its_run(ledger: SqliteLedger, path: Path) -> None:
    waiting = waiting_retry(ledger)
    skip = Skip(waiting.fire_id, "stopped", "person", "stopped by root")
    assert [ledger.cancel(skip, NOON), ledger.cancel(skip, NOON)] == [True, False]
    (fire,) = rows(path, "SELECT outcome, reason, detail FROM fires")
    assert fire == ("failed", "exit", "exit code 3; not tried again: stopped by root")


def test_a_waiting_fire_that_never_ran_ends_as_it_is_said(ledger: SqliteLedger, path: Path) -> None:
    (claimed,) = claim(ledger)
    ledger.start(ONE, NOON, Beginning(waits=[Wait(claimed.fire_id, WaitFor.POOL, NOON)]))
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "pool", "it waited 10m")]))
    assert rows(path, "SELECT state, outcome, reason, detail, wait FROM fires") == [
        ("ended", "skipped", "pool", "it waited 10m", None)
    ]


def later(hours: int = 1, **known: Any) -> Decision:  # noqa: ANN401 (fields of a decision)
    when = NOON + hours * HOUR
    decision = Decision("backup", MARK._replace(watermark=when), (BACKUP._replace(scheduled_at=when),))
    return decision._replace(**known)


def test_a_newer_fire_ends_the_older_ones_of_its_job_that_wait(ledger: SqliteLedger, path: Path) -> None:
    waiting = waiting_retry(ledger)
    claims = ledger.claim(TWO, NOON, None, deciding(later()))
    assert claims.superseded == [waiting]
    assert outcomes(path) == [("ended", "failed", "exit"), ("claimed", None, None)]


def test_a_newer_fire_of_a_job_that_catches_up_with_all_ends_none(ledger: SqliteLedger) -> None:
    waiting = waiting_retry(ledger)
    assert ledger.claim(TWO, NOON, None, deciding(later(supersedes=False))).superseded == []
    assert ledger.waiting() == [waiting]


def test_a_fire_of_another_job_or_of_a_person_ends_none_either(ledger: SqliteLedger) -> None:
    waiting = waiting_retry(ledger)
    other = Decision("report", MARK, (BACKUP._replace(job="report", scheduled_at=NOON + HOUR),))
    asked = Decision("backup", MARK, (Fire("backup", Trigger.MANUAL, NOON + HOUR, "asked"),))
    assert ledger.claim(TWO, NOON, None, deciding(other, asked)).superseded == []
    assert ledger.waiting() == [waiting]


def test_a_newer_fire_is_known_unless_it_was_skipped_or_missed(ledger: SqliteLedger) -> None:
    begin(ledger)
    assert not ledger.has_newer(BACKUP)
    (claimed,) = ledger.claim(ONE, NOON, None, deciding(later())).claimed
    assert ledger.has_newer(BACKUP)
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "overlap")]))
    assert not ledger.has_newer(BACKUP)


def test_the_newest_fire_of_a_job_is_told_with_its_outcome_once_it_has_ended(ledger: SqliteLedger) -> None:
    assert ledger.newest("backup", NOON) is None
    begin(ledger)
    assert ledger.newest("backup", NOON - HOUR) is None
    assert ledger.newest("backup", NOON + HOUR) == Newest(NOON, "", "", None)
    ledger.record([], [RunEnd("run-1", "ok", ended_at=NOON.timestamp())])
    assert ledger.newest("backup", NOON) == Newest(NOON, "ok", "", NOON)


def test_a_fire_that_is_to_be_tried_again_has_not_ended_yet(ledger: SqliteLedger) -> None:
    waiting_retry(ledger)
    newest = ledger.newest("backup", NOON)
    assert newest is not None
    assert newest.outcome == ""
    assert newest.ended_at is None


def test_of_a_stretch_the_last_fire_up_to_the_instant_is_the_newest(ledger: SqliteLedger) -> None:
    missed = Stretch("backup", Trigger.SCHEDULE, NOON, NOON + 9 * HOUR, 10, "missed", "down")
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK, (), (missed,))))
    newest = [ledger.newest("backup", NOON + hours * HOUR) for hours in (3, 20)]
    assert [found and found.scheduled_at for found in newest] == [NOON + 3 * HOUR, NOON + 9 * HOUR]


def test_a_watermark_in_the_future_is_given_up_and_the_true_instants_are_free_again(
    ledger: SqliteLedger, path: Path
) -> None:
    ledger.claim(ONE, NOON, None, deciding(later(24)))
    back = Decision("backup", MARK, (), reset_from=NOON + 24 * HOUR)
    ledger.claim(ONE, NOON, None, deciding(back))
    assert ledger.marks() == {"backup": MARK}
    assert len(ledger.claim(ONE, NOON, None, deciding(later(24))).claimed) == 1
    keys = [key for (key,) in rows(path, "SELECT key FROM fires ORDER BY id")]
    assert "by the wrong clock" in keys[0]


def test_a_pause_is_kept_until_it_is_replaced_or_ended(ledger: SqliteLedger) -> None:
    pause = Pause("backup", NOON, NOON + HOUR, "new disk", "root")
    ledger.pause(pause._replace(until=None))
    ledger.pause(pause)
    assert ledger.pauses() == {"backup": pause}
    assert [ledger.resume("backup"), ledger.resume("backup")] == [True, False]
    assert ledger.pauses() == {}


def test_the_marks_of_some_jobs_can_be_read_alone(ledger: SqliteLedger) -> None:
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK), Decision("report", MARK)))
    assert ledger.marks(["report", "gone"]) == {"report": MARK}


def test_a_ledger_of_version_1_is_led_to_this_version_with_all_that_is_in_it(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript(f"PRAGMA journal_mode = WAL; {VERSION_1} PRAGMA user_version = 1;")
        old.execute(
            "INSERT INTO fires(id, job, trigger, key, scheduled_at, last_at, state, runner) VALUES"
            " (1, 'backup', 'schedule', '5', 5, 5, 'running', 'runner-0')"
        )
        old.execute("INSERT INTO runs(id, fire, attempt, state, lock, log) VALUES ('run-0', 1, 1, 'running', 'l', 'g')")
        old.commit()
    ledger = open_ledger(path, announce=refuse_news)
    try:
        assert [(run.run_id, run.runner, run.runner_lock) for run in ledger.unended()] == [("run-0", "runner-0", "")]
        ledger.record([], [RunEnd("run-0", "ok", ended_at=6.0)])
        assert rows(path, "SELECT state, outcome, attempts FROM fires") == [("ended", "ok", 1)]
    finally:
        ledger.close()


def test_the_end_of_a_run_is_told_as_it_was_recorded_first(ledger: SqliteLedger) -> None:
    begin(ledger)
    assert ledger.end_of("run-1") is None
    end = RunEnd(
        "run-1", "failed", "exit", "exit code 3", 3, None, 5.0, 6.5, 0.25, 0.5, 7, 8, 9, 10, 11, 12, 13, ((4, "ssh"),)
    )
    ledger.record([], [end._replace(again_at=60.0)])
    ledger.record([], [RunEnd("run-1", "ok", ended_at=9.0)])
    assert ledger.end_of("run-1") == end._replace(again_at=60.0)
    (waiting,) = ledger.waiting()
    ledger.cancel(Skip(waiting.fire_id, "stopped", "person"), NOON)
    assert ledger.end_of("run-1") == end
    assert ledger.end_of("gone") is None


def test_a_fire_by_a_wrong_clock_is_no_newer_one(ledger: SqliteLedger) -> None:
    ledger.claim(ONE, NOON, None, deciding(later(24)))
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK, (), reset_from=NOON + 24 * HOUR)))
    begin(ledger)
    assert not ledger.has_newer(BACKUP)


def test_what_a_person_asked_for_counts_once_it_has_started(ledger: SqliteLedger) -> None:
    asked = ledger.claim_one(ONE, NOON, Fire("backup", Trigger.MANUAL, NOON, "asked"))
    assert asked is not None
    assert ledger.newest("backup", NOON) is None
    ledger.start(ONE, NOON, Beginning([Start("run-9", asked.fire_id, 1, "/locks/job.backup", "/log")]))
    assert ledger.newest("backup", NOON) is not None


def test_an_older_fire_is_one_that_has_not_started_yet(ledger: SqliteLedger) -> None:
    (claimed,) = claim(ledger)
    newer = BACKUP._replace(scheduled_at=NOON + HOUR)
    assert [ledger.has_older(BACKUP), ledger.has_older(newer)] == [False, True]
    ledger.start(ONE, NOON, Beginning(waits=[Wait(claimed.fire_id, WaitFor.POOL, NOON)]))
    assert ledger.has_older(newer)
    assert not ledger.has_older(newer._replace(job="report"))
    start = Start("run-1", claimed.fire_id, 1, "/locks/job.backup", "/log")
    ledger.start_waiting(ONE, NOON, [claimed.fire_id], lambda _: Beginning([start]))
    assert not ledger.has_older(newer)


def test_a_runner_ends_no_waiting_fire_of_another(ledger: SqliteLedger) -> None:
    (claimed,) = claim(ledger, ONE)
    ledger.start(ONE, NOON, Beginning(waits=[Wait(claimed.fire_id, WaitFor.POOL, NOON)]))
    skip = Beginning(skips=[Skip(claimed.fire_id, "skipped", "pool")])
    ledger.start(TWO, NOON, skip)
    assert len(ledger.waiting()) == 1
    ledger.start(ONE, NOON, skip)
    assert ledger.waiting() == []


def test_the_cost_of_what_waits_does_not_grow_with_the_history(ledger: SqliteLedger) -> None:
    for query in (waits.BY_JOB, f"{waits.BY_JOB} AND job = 'backup' AND scheduled_at < 5"):
        plan = ledger._connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
        assert "USING INDEX fires_waiting" in plan[0][-1]


def test_a_once_is_kept_under_a_number_that_never_comes_back(ledger: SqliteLedger) -> None:
    first = ledger.plan_once(ONCE)
    assert first is not None
    assert (first.id, first.job, first.once) == (1, "at/1", ONCE)
    assert ledger.remove_once("at/1")
    second = ledger.plan_once(ONCE)
    assert second is not None
    assert second.job == "at/2"
    assert ledger.onces() == [second]
    assert ledger.appointed() == [(2, "at/2", NOON)]


def test_onces_come_in_the_order_of_their_times(ledger: SqliteLedger) -> None:
    for at in (NOON + HOUR, NOON):
        ledger.plan_once(ONCE._replace(at=at))
    assert [each.job for each in ledger.onces()] == ["at/2", "at/1"]
    assert [each.job for each in ledger.appointed()] == ["at/1", "at/2"]


def test_a_name_is_taken_until_its_once_is_over_and_at_that_very_time_for_ever(ledger: SqliteLedger) -> None:
    named = ONCE._replace(name="report")
    assert ledger.plan_once(named) is not None
    assert ledger.plan_once(named._replace(at=NOON + HOUR)) is None
    (claimed,) = claim(ledger, fire=Fire("at/report", Trigger.ONCE, NOON))
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "paused")]))
    assert ledger.plan_once(named) is None
    assert ledger.plan_once(named._replace(at=NOON + HOUR)) is not None


@pytest.mark.parametrize("state", ["claimed", "running", "waiting"])
def test_a_once_is_there_until_its_fire_has_ended_and_can_not_be_removed_meanwhile(
    ledger: SqliteLedger, state: str
) -> None:
    ledger.plan_once(ONCE)
    (claimed,) = claim(ledger, fire=Fire("at/1", Trigger.ONCE, NOON))
    if state == "waiting":
        ledger.start(ONE, NOON, Beginning(waits=[Wait(claimed.fire_id, WaitFor.POOL, NOON)]))
    if state == "running":
        ledger.start(ONE, NOON, Beginning([Start("run-1", claimed.fire_id, 1, "/locks/job.at,1", "/log")]))
    assert not ledger.remove_once("at/1")
    assert [each.job for each in ledger.onces()] == ["at/1"]
    skip = Skip(claimed.fire_id, "missed", "down")
    if state == "running":
        ledger.record([], [RunEnd("run-1", "ok")])
    elif state == "waiting":
        ledger.cancel(skip, NOON)
    else:
        ledger.start(ONE, NOON, Beginning(skips=[skip]))
    assert ledger.onces() == []
    assert ledger.marks() == {}


def test_a_once_that_is_missed_is_over(ledger: SqliteLedger) -> None:
    ledger.plan_once(ONCE)
    miss = Stretch("at/1", Trigger.ONCE, NOON, NOON, 1, "missed", "down")
    ledger.claim(ONE, NOON, None, deciding(Decision("at/1", MARK, missed=(miss,))))
    assert ledger.onces() == []


def test_a_once_that_was_removed_can_not_be_claimed_by_who_has_not_heard_of_it(ledger: SqliteLedger) -> None:
    ledger.plan_once(ONCE)
    assert ledger.remove_once("at/1")
    assert not ledger.remove_once("at/1")
    assert claim(ledger, fire=Fire("at/1", Trigger.ONCE, NOON)) == []


def test_a_person_may_run_a_once_before_its_time_and_it_stays(ledger: SqliteLedger) -> None:
    ledger.plan_once(ONCE)
    claimed = ledger.claim_one(ONE, NOON, Fire("at/1", Trigger.MANUAL, NOON, "run-1"))
    assert claimed is not None
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "overlap")]))
    assert [each.job for each in ledger.onces()] == ["at/1"]


# watched paths


def test_what_was_kept_of_watched_paths_is_there_until_its_job_is_forgotten(ledger: SqliteLedger) -> None:
    assert ledger.watch_state("backup") is None
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK, watched=b"first")))
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK)))
    assert ledger.watch_state("backup") == b"first"
    ledger.forget(["report"])
    assert ledger.watch_state("backup") == b"first"
    ledger.forget(["backup"])
    assert ledger.watch_state("backup") is None


def test_what_a_run_was_told_is_kept_with_its_start_and_not_without(ledger: SqliteLedger) -> None:
    ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK, watched=b"first")))
    (claimed,) = claim(ledger)
    start = Start("run-1", claimed.fire_id, 1, "/lock", "/log", b"told")
    assert ledger.start(TWO, NOON, Beginning([start])) == set()
    assert ledger.watch_state("backup") == b"first"
    assert ledger.start(ONE, NOON, Beginning([start])) == {"run-1"}
    assert ledger.watch_state("backup") == b"told"


def test_a_job_is_open_from_its_claim_to_the_end_of_its_last_run(ledger: SqliteLedger) -> None:
    assert ledger.open_jobs() == set()
    begin(ledger)
    assert ledger.open_jobs() == {"backup"}
    ledger.record([], [RunEnd("run-1", "failed", "exit", ended_at=5.0, again_at=60.0)])
    assert ledger.open_jobs() == {"backup"}  # it waits
    (waiting,) = ledger.waiting()
    ledger.cancel(Skip(waiting.fire_id, "missed", "late"), NOON)
    assert ledger.open_jobs() == set()
    claim(ledger, fire=BACKUP._replace(scheduled_at=NOON + HOUR))
    assert ledger.open_jobs() == {"backup"}


def test_who_stands_in_knows_what_was_kept_of_watched_paths_and_tells_what_is_kept_now(path: Path) -> None:
    with contextlib.closing(open_plain(path)) as ledger:
        ledger.claim(ONE, NOON, None, deciding(Decision("backup", MARK, watched=b"first")))
        known = read_open(ledger._connection)
    assert [row["state"] for row in known.watches] == [b"first"]
    with contextlib.closing(CatchingUp(in_memory(), path)) as other:
        other.take_in(known)
        assert other.watch_state("backup") == b"first"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", ["", "ledger.sqlite3"])
def test_a_ledger_that_a_stranger_has_put_in_the_place_of_ours_is_not_opened(tmp_path: Path, place: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    open_plain(path).close()
    os.chown(tmp_path / place, 4711, 4711)
    hands = Hands(folder_at(tmp_path), Alarm(path, refuse_news, is_brief=False))
    for opening in (open_plain, lambda _: Enduring(hands)):
        with pytest.raises(LedgerError, match="belongs to uid 4711"):
            opening(path)

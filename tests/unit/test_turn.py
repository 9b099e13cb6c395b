"""Whether a claimed fire starts, waits, or does not start: each rule, and which of them goes first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runjobs.core.fire import Fire, Trigger, WaitFor
from runjobs.core.pausing import Pause, detail_of
from runjobs.core.turn import Busy, Dependency, End, Facts, Go, Stage, Stay, Turn, judge, judge_busy, replaces
from tests.support.jobs import job_of

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FIRE = Fire("backup", Trigger.SCHEDULE, NOON)
ASKED = Fire("backup", Trigger.MANUAL, NOON, "asked")
HELD = Busy("backup", {"run": "r1", "job": "backup", "pid": 7, "since": "noon"}, "/locks/job.backup", is_own=True)
SHARED = Busy("database", {}, "/locks/lock.database")
FULL = Busy("uploads", {}, places=2)
WAITS_FOR_LOCK = WaitFor.OVERLAP


def turn(options: str = "", fire: Fire = FIRE, **known: Any) -> Turn:  # noqa: ANN401 (its fields)
    return Turn(job_of("0 12 * * *", options), fire)._replace(**known)


def facts(**known: Any) -> Facts:  # noqa: ANN401 (its fields)
    return Facts(NOON)._replace(**known)


def test_a_fire_that_nothing_keeps_starts() -> None:
    assert judge(turn(), facts()) == Go()


def test_a_paused_job_is_skipped_and_says_who_paused_it_and_why() -> None:
    pause = Pause("backup", NOON, NOON + MINUTE, "the disk is being changed", "root")
    said = "paused by root since 2026-03-10 12:00:00+00:00 until 2026-03-10 12:01:00+00:00: the disk is being changed"
    assert judge(turn(), facts(paused=detail_of(pause))) == End("skipped", "paused", said)
    assert detail_of(pause._replace(until=None, reason="")) == "paused by root since 2026-03-10 12:00:00+00:00"


def test_a_pause_holds_until_its_end_or_for_good() -> None:
    pause = Pause("backup", NOON, NOON + MINUTE, "", "root")
    assert [pause.holds(NOON), pause.holds(NOON + MINUTE)] == [True, False]
    assert pause._replace(until=None).holds(NOON + 1000 * MINUTE)


def test_what_a_person_asks_for_starts_though_the_job_is_paused() -> None:
    assert judge(turn(fire=ASKED), facts(paused="paused by root")) == Go()


def test_a_retry_gives_way_to_a_newer_fire_unless_all_are_to_be_caught_up_with() -> None:
    newer = facts(has_newer=True)
    assert judge(turn(attempts=1), newer) == End("missed", "superseded", "a newer fire took its place")
    assert judge(turn("catchup=all", attempts=1), newer) == Go()
    assert judge(turn(), newer) == Go()  # it has had no run: the ledger has superseded it, or not


def after(*stages: Stage) -> Facts:
    return facts(after=tuple(Dependency(stage, stage.value, NOON if stage is Stage.OK else None) for stage in stages))


def test_a_fire_starts_when_all_that_it_comes_after_has_ended_ok() -> None:
    assert judge(turn(), after(Stage.OK, Stage.OK)) == Go()


def test_a_fire_waits_while_one_that_it_comes_after_has_not_ended() -> None:
    assert judge(turn(), after(Stage.OK, Stage.PENDING)) == Stay(WaitFor.AFTER, "pending")


def test_one_failure_skips_the_fire_though_others_are_still_to_come() -> None:
    assert judge(turn(), after(Stage.PENDING, Stage.FAILED)) == End("skipped", "dependency", "failed")


def test_start_within_counts_from_the_end_of_what_it_comes_after() -> None:
    one = turn("start-within=10m", wait=WaitFor.AFTER)
    ended = facts(after=(Dependency(Stage.OK, "", NOON + 300 * MINUTE),))
    assert judge(one, ended._replace(now=NOON + 310 * MINUTE)) == Go()
    assert judge(one, ended._replace(now=NOON + 311 * MINUTE)) == End(
        "missed", "late", "no runner was there within 10m of the end of what it comes after"
    )


@pytest.mark.parametrize(
    ("wait", "outcome", "reason", "detail"),
    [
        (WaitFor.OVERLAP, "skipped", "overlap", "it waited 10m for its lock"),
        (WaitFor.POOL, "skipped", "pool", "it waited 10m for a place in its pool"),
        (WaitFor.PARALLEL, "skipped", "pool", "it waited 10m while as many runs went on as --max-parallel allows"),
    ],
)
def test_who_waits_longer_than_start_within_is_skipped(wait: WaitFor, outcome: str, reason: str, detail: str) -> None:
    one = turn(wait=wait)
    assert judge(one, facts(now=NOON + 10 * MINUTE)) == Go()
    assert judge(one, facts(now=NOON + 11 * MINUTE)) == End(outcome, reason, detail)


def test_patience_counts_from_when_the_fire_began_to_wait() -> None:
    one = turn(wait=WaitFor.OVERLAP, since=NOON + 60 * MINUTE)  # such as one with jitter, or one that came late
    assert judge(one, facts(now=NOON + 70 * MINUTE)) == Go()
    assert isinstance(judge(one, facts(now=NOON + 71 * MINUTE)), End)


@pytest.mark.parametrize("wait", [WaitFor.RETRY, WaitFor.OVERLAP])
def test_a_retry_that_nobody_was_there_to_make_in_time_is_given_up(wait: WaitFor) -> None:
    one = turn(wait=wait, attempts=1, not_before=NOON + 60 * MINUTE)
    assert judge(one, facts(now=NOON + 70 * MINUTE)) == Go()
    assert isinstance(judge(one, facts(now=NOON + 71 * MINUTE)), End)


@pytest.mark.parametrize("catchup", ["last", "all"])
def test_no_wait_is_too_long_for_what_is_to_be_caught_up_with(catchup: str) -> None:
    long = facts(now=NOON + 5000 * MINUTE)
    assert judge(turn(f"catchup={catchup}", wait=WaitFor.OVERLAP), long) == Go()
    assert judge(turn(f"catchup={catchup}", fire=ASKED, wait=WaitFor.OVERLAP), long) != Go()


def test_a_fire_waits_while_as_many_runs_go_on_as_may() -> None:
    verdict = judge(turn(), facts(has_room=False))
    assert isinstance(verdict, Stay)
    assert verdict.wait is WaitFor.PARALLEL


def test_a_held_lock_skips_and_the_detail_names_the_holder() -> None:
    said = "the lock backup is held by run r1 of backup (pid 7) since noon"
    assert judge_busy(turn(), HELD) == End("skipped", "overlap", said)
    assert judge_busy(turn("overlap=allow"), SHARED) == End("skipped", "overlap", "the lock database is held")


@pytest.mark.parametrize("options", ["overlap=queue", "overlap=replace", "catchup=all"])
def test_a_held_lock_is_waited_for_where_the_job_says_so(options: str) -> None:
    assert judge_busy(turn(options), HELD) == Stay(WaitFor.OVERLAP, HELD.detail)


def test_catching_up_with_all_is_no_reason_for_a_person_to_wait() -> None:
    assert isinstance(judge_busy(turn("catchup=all", fire=ASKED), HELD), End)


def test_a_retry_waits_for_its_lock_whatever_overlap_says() -> None:
    assert isinstance(judge_busy(turn(attempts=1), HELD), Stay)


def test_a_place_in_a_pool_is_waited_for_whatever_overlap_says() -> None:
    said = "no place is free in the pool uploads, which has 2"
    assert judge_busy(turn(), FULL) == Stay(WaitFor.POOL, said)


def test_only_the_run_of_the_job_itself_is_replaced_and_never_by_a_retry() -> None:
    one = turn("overlap=replace")
    assert [replaces(one, busy) for busy in (HELD, SHARED)] == [True, False]
    assert not replaces(one._replace(attempts=1), HELD)
    assert not replaces(turn("overlap=queue"), HELD)


def test_a_rerun_is_made_however_late_a_runner_comes() -> None:
    one = turn(wait=WaitFor.RERUN, attempts=1, not_before=NOON)
    assert judge(one, facts(now=NOON + 5000 * MINUTE)) == Go()


def test_an_older_fire_that_is_to_start_first_is_waited_for() -> None:
    assert judge(turn("catchup=all"), facts(has_older=True)) == Stay(
        WaitFor.OVERLAP, "an older fire of it is still to start"
    )


def test_none_is_replaced_where_all_are_to_be_caught_up_with() -> None:
    assert not replaces(turn("overlap=replace catchup=all"), HELD)

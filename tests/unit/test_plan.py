"""What is due, from a job, its mark and the time: no clock, no ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runjobs.core.fire import Fire, Mark, Trigger, from_milliseconds, milliseconds
from runjobs.core.plan import (
    CAUGHT_UP,
    Boot,
    Decision,
    Look,
    decide,
    look_on,
    look_once,
    mark_after,
    refreshed,
    start_of,
)
from tests.support.jobs import job_of

if TYPE_CHECKING:
    from runjobs.core.job import Job

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
BOOT = Boot("boot-a/1", NOON - timedelta(days=3))
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def scheduled(job: str, when: datetime) -> Fire:
    return Fire(job, Trigger.SCHEDULE, when)


def decided(decision: Decision | None) -> Decision:
    assert decision is not None
    return decision


def test_a_one_shot_pass_starts_a_new_job_that_is_due_in_this_minute() -> None:
    decision = decided(decide(job_of("0 12 * * *"), None, look_once(NOON + 20 * SECOND, BOOT)))
    assert decision.claims == (scheduled("backup", NOON),)


def test_a_one_shot_pass_does_not_start_a_new_job_that_was_due_a_minute_ago() -> None:
    decision = decided(decide(job_of("0 12 * * *"), None, look_once(NOON + MINUTE, BOOT)))
    assert decision.claims == ()
    assert decision.missed == ()


def test_the_foreground_looks_forward_only() -> None:
    decision = decided(decide(job_of("0 12 * * *"), None, look_on(NOON + SECOND, NOON, BOOT)))
    assert decision.claims == ()
    assert decision.mark.next_fire == NOON + timedelta(days=1)


def test_nothing_is_due_before_its_time_and_then_it_is_due_once() -> None:
    job = job_of("0 12 * * *")
    mark = mark_after(job, NOON - HOUR)
    assert decide(job, mark, look_on(NOON - SECOND, NOON - HOUR, BOOT)) is None
    decision = decided(decide(job, mark, look_on(NOON, NOON - HOUR, BOOT)))
    assert decision.claims == (scheduled("backup", NOON),)
    assert decide(job, decision.mark, look_on(NOON + SECOND, NOON - HOUR, BOOT)) is None


def test_a_fire_that_is_late_within_its_time_still_starts() -> None:
    job = job_of("0 12 * * *", "start-within=10m")
    mark = mark_after(job, NOON - HOUR)
    assert decided(decide(job, mark, look_once(NOON + 10 * MINUTE, BOOT))).claims
    late = decided(decide(job, mark, look_once(NOON + 10 * MINUTE + SECOND, BOOT)))
    assert late.claims == ()
    assert [(miss.first, miss.reason) for miss in late.missed] == [(NOON, "down")]


def test_of_several_due_fires_the_newest_starts_and_the_others_are_superseded() -> None:
    job = job_of("* * * * *")
    decision = decided(decide(job, mark_after(job, NOON - MINUTE), look_once(NOON + 3 * MINUTE, BOOT)))
    assert decision.claims == (scheduled("backup", NOON + 3 * MINUTE),)
    assert [(m.first, m.last, m.number, m.reason) for m in decision.missed] == [
        (NOON, NOON + 2 * MINUTE, 3, "superseded")
    ]


def test_downtime_is_one_stretch_for_each_reason() -> None:
    job = job_of("*/10 * * * *")
    decision = decided(decide(job, mark_after(job, NOON - HOUR), look_once(NOON + 5 * MINUTE, BOOT)))
    assert decision.claims == (scheduled("backup", NOON),)
    assert [(m.number, m.reason) for m in decision.missed] == [(5, "down")]


def test_a_fire_missed_while_the_runner_was_there_is_late_and_not_down() -> None:
    job = job_of("0 12 * * *", "start-within=1m")
    look = look_on(NOON + 5 * MINUTE, NOON - HOUR, BOOT)
    assert [m.reason for m in decided(decide(job, mark_after(job, NOON - HOUR), look)).missed] == ["late"]


def test_years_of_downtime_cost_a_bounded_look_and_are_one_uncounted_stretch() -> None:
    job = job_of("* * * * *")
    now = NOON + timedelta(days=800, seconds=30)
    decision = decided(decide(job, mark_after(job, NOON), look_once(now, BOOT)))
    assert decision.claims == (scheduled("backup", now.replace(second=0)),)
    first, *rest = decision.missed
    assert (first.first, first.number, first.reason) == (NOON + MINUTE, 0, "down")
    assert {miss.reason for miss in rest} == {"superseded"}
    assert decision.mark.next_fire == now.replace(second=0) + MINUTE


def test_a_long_stretch_of_which_nothing_may_start_leaves_only_the_mark() -> None:
    job = job_of("* 0-1 * * *", "start-within=1m")
    decision = decided(decide(job, mark_after(job, NOON), look_once(NOON + timedelta(days=800), BOOT)))
    assert decision.claims == ()
    assert [miss.number for miss in decision.missed] == [0]


def test_a_changed_schedule_never_fires_the_past() -> None:
    mark = mark_after(job_of("0 11 * * *"), NOON - timedelta(days=2))
    decision = decided(decide(job_of("30 11 * * *"), mark, look_once(NOON, BOOT)))
    assert decision.claims == ()
    assert decision.missed == ()


def test_a_mark_whose_zone_got_other_rules_is_reckoned_anew() -> None:
    job = job_of("0 12 * * *", "tz=Europe/Berlin")
    mark = mark_after(job, NOON)
    stale = mark._replace(next_fire=mark.next_fire, next_start=NOON, offset=timedelta(hours=2))
    assert decide(job, stale, look_once(NOON, BOOT)) is None


def test_jitter_delays_the_start_and_is_no_part_of_the_fire() -> None:
    job = job_of("0 12 * * *", "jitter=5m")
    mark = mark_after(job, NOON - HOUR)
    start = start_of(job, NOON)
    assert NOON < start <= NOON + 5 * MINUTE
    assert decide(job, mark, look_on(start - SECOND, NOON - HOUR, BOOT)) is None
    decision = decided(decide(job, mark, look_on(start, NOON - HOUR, BOOT)))
    assert decision.claims == (scheduled("backup", NOON),)


@pytest.mark.parametrize("microseconds", [1, 300, 999])
def test_a_start_that_a_store_rounded_down_to_milliseconds_is_neither_early_nor_an_error(microseconds: int) -> None:
    job = job_of("0 12 * * *", "jitter=5m")
    mark = mark_after(job, NOON - HOUR)
    stored = mark._replace(next_start=from_milliseconds(milliseconds(start_of(job, NOON))))
    at = start_of(job, NOON)
    early = at - timedelta(microseconds=microseconds)
    assert decide(job, stored, look_on(early, NOON - HOUR, BOOT)) is None
    assert refreshed(job, stored).next_start == at
    assert decided(decide(job, stored, look_on(at, NOON - HOUR, BOOT))).claims


def test_jitter_that_was_raised_or_dropped_since_counts_at_once() -> None:
    plain, spread = job_of("0 12 * * *"), job_of("0 12 * * *", "jitter=50m")
    assert decide(spread, mark_after(plain, NOON - HOUR), look_once(NOON, BOOT)) is None
    assert decided(decide(plain, mark_after(spread, NOON - HOUR), look_once(NOON, BOOT))).claims


def test_a_schedule_that_is_over_leaves_a_mark_without_a_next_fire() -> None:
    job = job_of("@at 2026-03-10T12:00:00")
    decision = decided(decide(job, mark_after(job, NOON - HOUR), look_once(NOON, BOOT)))
    assert decision.claims
    assert decision.mark.next_fire is None
    assert decide(job, decision.mark, look_once(NOON + HOUR, BOOT)) is None


def test_reboot_fires_once_per_boot_when_the_boot_was_just_now() -> None:
    job, boot = job_of("@reboot"), Boot("boot-b/7", NOON)
    decision = decided(decide(job, None, look_once(NOON + MINUTE, boot)))
    assert decision.claims == (Fire("backup", Trigger.BOOT, NOON, "boot-b/7"),)
    assert decide(job, decision.mark, look_once(NOON + 2 * MINUTE, boot)) is None


def test_reboot_of_a_restarted_container_fires_again_on_the_same_boot_id() -> None:
    job = job_of("@reboot")
    mark = decided(decide(job, None, look_once(NOON, Boot("boot-b/7", NOON)))).mark
    assert decided(decide(job, mark, look_once(NOON, Boot("boot-b/9", NOON)))).claims


def test_reboot_of_a_job_that_is_new_long_after_the_boot_waits_for_the_next_one() -> None:
    decision = decided(decide(job_of("@reboot"), None, look_once(NOON, BOOT)))
    assert decision.claims == ()
    assert decision.missed == ()


def test_reboot_of_a_known_job_whose_runner_came_too_late_is_missed() -> None:
    job = job_of("@reboot")
    mark = decided(decide(job, None, look_once(NOON, Boot("boot-a/1", NOON - HOUR)))).mark
    decision = decided(decide(job, mark, look_once(NOON, Boot("boot-b/1", NOON - HOUR))))
    assert decision.claims == ()
    assert [miss.reason for miss in decision.missed] == ["down"]


# ---- catching up


def due_after(job: Job, mark: Mark, now: datetime) -> list[datetime]:
    """What has come due since the mark, walked one by one."""
    found, fire = [], mark.next_fire
    while fire is not None and start_of(job, fire) <= now:
        found.append(fire)
        fire = job.schedule.next(fire)
    return found


def claimed(decision: Decision) -> list[datetime]:
    return [fire.scheduled_at for fire in decision.claims]


def missed(decision: Decision) -> list[tuple[int, str]]:
    return [(miss.number, miss.reason) for miss in decision.missed]


DAILY = "0 12 * * *"
AWAY = 5 * timedelta(days=1) + 6 * HOUR


def test_without_catching_up_nothing_late_starts() -> None:
    job = job_of(DAILY)
    decision = decided(decide(job, mark_after(job, NOON - SECOND), look_once(NOON + AWAY, BOOT)))
    assert claimed(decision) == []
    assert missed(decision) == [(6, "down")]
    assert decision.supersedes


def test_the_last_one_starts_however_late_and_the_others_gave_way_to_it() -> None:
    job = job_of(DAILY, "catchup=last")
    decision = decided(decide(job, mark_after(job, NOON - SECOND), look_once(NOON + AWAY, BOOT)))
    assert claimed(decision) == [NOON + timedelta(days=5)]
    assert missed(decision) == [(5, "superseded")]
    assert decision.supersedes


def test_the_last_one_is_the_one_in_time_where_there_is_one() -> None:
    job = job_of("*/10 * * * *", "catchup=last start-within=1m")
    decision = decided(decide(job, mark_after(job, NOON - HOUR), look_once(NOON, BOOT)))
    assert claimed(decision) == [NOON]
    assert missed(decision) == [(5, "superseded")]


def test_all_of_them_start_oldest_first_and_none_gives_way() -> None:
    job = job_of(DAILY, "catchup=all")
    decision = decided(decide(job, mark_after(job, NOON - SECOND), look_once(NOON + AWAY, BOOT)))
    assert claimed(decision) == [NOON + timedelta(days=day) for day in range(6)]
    assert decision.missed == ()
    assert not decision.supersedes


def test_all_are_at_most_the_newest_hundred_and_the_older_are_one_stretch() -> None:
    job = job_of("* * * * *", "catchup=all")
    decision = decided(decide(job, mark_after(job, NOON), look_once(NOON + 5 * HOUR, BOOT)))
    assert claimed(decision) == [NOON + 5 * HOUR - minute * MINUTE for minute in reversed(range(100))]
    (miss,) = decision.missed
    assert (miss.first, miss.number, miss.reason) == (NOON + MINUTE, 200, "superseded")
    assert "100" in miss.detail


@pytest.mark.parametrize("expression", ["* * * * *", "@every 97s", "*/3 3 * * *"])
@pytest.mark.parametrize(("catchup", "number"), [("none", 0), ("last", 1), ("all", 100)])
def test_years_of_downtime_still_start_what_is_to_be_caught_up_with(expression: str, catchup: str, number: int) -> None:
    job = job_of(expression, f"catchup={catchup} start-within=1s", name="backup")
    now = NOON + timedelta(days=9 * 365, seconds=36)
    decision = decided(decide(job, mark_after(job, NOON), look_once(now, BOOT)))
    recent = due_after(job, mark_after(job, now - timedelta(days=6)), now)
    assert claimed(decision) == (recent[-number:] if number else [])
    (miss,) = decision.missed
    assert (miss.first, miss.number) == (job.schedule.next(NOON), 0)
    assert miss.last == recent[-number - 1]
    assert miss.reason == ("superseded" if number else "down")
    assert decision.mark == mark_after(job, recent[-1])


def test_after_years_what_was_in_time_is_told_from_what_was_not() -> None:
    job = job_of("* * * * *", "start-within=200m")
    now = NOON + timedelta(days=30, seconds=36)
    decision = decided(decide(job, mark_after(job, NOON), look_once(now, BOOT)))
    assert missed(decision) == [(0, "down"), (199, "superseded")]


def test_a_burst_long_ago_of_which_much_is_due_is_found() -> None:
    job = job_of("* * 3-5 1 1 *", "fields=6 catchup=last")
    now = datetime(2030, 12, 31, tzinfo=UTC)
    decision = decided(decide(job, mark_after(job, NOON), look_once(now, BOOT)))
    assert claimed(decision) == [datetime(2030, 1, 1, 5, 59, 59, tzinfo=UTC)]


def test_a_week_of_minutes_is_counted() -> None:
    job = job_of("* * * * *", "catchup=last")
    now = NOON + timedelta(days=6)
    decision = decided(decide(job, mark_after(job, NOON), look_once(now, BOOT)))
    assert missed(decision) == [(6 * 24 * 60 - 1, "superseded")]


def test_more_jitter_than_can_be_looked_through_is_worked_off_in_passes() -> None:
    job = job_of("@every 1s", "jitter=60d catchup=all")
    now = NOON + timedelta(days=61)
    mark, passes = mark_after(job, NOON), 0
    while (decision := decide(job, mark, look_once(now, BOOT))) is not None:
        assert mark.watermark < decision.missed[0].first <= decision.missed[-1].last
        mark, passes = decision.mark, passes + 1
    assert passes > 1
    assert due_after(job, mark, now) == []


@pytest.mark.parametrize("catchup", ["none", "last"])
def test_where_jitter_reorders_fires_the_newest_in_time_starts(catchup: str) -> None:
    job = job_of("@every 10s", f"jitter=1h start-within=4m catchup={catchup}")
    now, mark = NOON + 2 * HOUR, mark_after(job, NOON - 3 * HOUR)
    due = due_after(job, mark, now)
    timely = [fire for fire in due if now - start_of(job, fire) <= 4 * MINUTE]
    assert timely[-1] < due[-1]  # which was to start before, and is late by now
    decision = decided(decide(job, mark, look_once(now, BOOT)))
    assert claimed(decision) == timely[-1:]
    assert decision.missed[-1].reason == "down"  # the one that starts is no newer


# ---- the machine slept


def test_what_came_due_while_the_machine_slept_is_suspended_and_what_was_before_is_not() -> None:
    job = job_of("0 * * * *", "start-within=1m")
    look = look_on(NOON + 30 * MINUTE, NOON - 9 * HOUR, BOOT)._replace(asleep=2 * HOUR + 30 * MINUTE)
    decision = decided(decide(job, mark_after(job, NOON - 5 * HOUR), look))
    assert missed(decision) == [(2, "late"), (3, "suspended")]


@pytest.mark.parametrize(("minutes", "reason"), [(0, "suspended"), (1, "suspended"), (2, "down")])
def test_a_pass_is_called_up_to_a_minute_after_the_machine_woke(minutes: int, reason: str) -> None:
    job = job_of(DAILY)
    look = look_once(NOON + HOUR + minutes * MINUTE, BOOT)._replace(asleep=HOUR)
    assert missed(decided(decide(job, mark_after(job, NOON - HOUR), look))) == [(1, reason)]


def test_a_fire_in_time_starts_though_the_machine_slept() -> None:
    job = job_of(DAILY)
    look = look_once(NOON + MINUTE, BOOT)._replace(asleep=HOUR)
    assert claimed(decided(decide(job, mark_after(job, NOON - HOUR), look))) == [NOON]


# ---- the clock was set forward


def forward(step: timedelta) -> Look:
    """A foreground runner whose clock has just been set forward, from a minute before noon."""
    return look_on(NOON - MINUTE + step, NOON - timedelta(days=9), BOOT)._replace(stepped=step)


@pytest.mark.parametrize("schedule", ["0 12 * * *", "0,1 12 * * *", "59-59 11-12 * * *", "0 12 10 * *", "@daily"])
def test_a_fixed_job_that_the_clock_was_set_past_starts_once(schedule: str) -> None:
    job = job_of(schedule, "tz=Etc/GMT-12")  # its midnight is noon in UTC
    job = job if schedule == "@daily" else job_of(schedule)
    decision = decided(decide(job, mark_after(job, NOON - MINUTE), forward(2 * HOUR)))
    assert len(decision.claims) == 1
    assert {reason for _, reason in missed(decision)} <= {"superseded"}


@pytest.mark.parametrize("schedule", ["0 */4 * * *", "@every 4h", "@at 2026-03-10T12:00", "*/60 12 * * *"])
def test_other_jobs_take_it_for_an_absence(schedule: str) -> None:
    job = job_of(schedule)
    decision = decided(decide(job, mark_after(job, NOON - MINUTE), forward(2 * HOUR)))
    assert claimed(decision) == []
    assert [(miss.reason, miss.detail) for miss in decision.missed] == [("late", "the clock was set forward past it")]


@pytest.mark.parametrize(("step", "starts"), [(3 * HOUR - SECOND, 1), (3 * HOUR, 0), (5 * HOUR, 0)])
def test_a_step_of_three_hours_is_a_new_clock(step: timedelta, starts: int) -> None:
    job = job_of(DAILY)
    assert len(decided(decide(job, mark_after(job, NOON - MINUTE), forward(step))).claims) == starts


def test_what_was_late_before_the_step_does_not_start() -> None:
    job = job_of(DAILY)
    look = look_once(NOON + 3 * HOUR, BOOT)._replace(stepped=2 * HOUR)
    assert claimed(decided(decide(job, mark_after(job, NOON - HOUR), look))) == []


def test_a_step_back_starts_nothing_late() -> None:
    job = job_of(DAILY)
    look = look_once(NOON + HOUR, BOOT)._replace(stepped=-2 * HOUR)
    assert missed(decided(decide(job, mark_after(job, NOON - HOUR), look))) == [(1, "down")]


# ---- the clock was set back

ANY = ["0 12 * * *", "* * * * *", "@every 90s", "0 0 12 10 3 * 2026"]


def job_of_any(schedule: str, options: str = "") -> Job:
    return job_of(schedule, options + (" fields=7" if schedule.count(" ") == 6 else ""))


@pytest.mark.parametrize("schedule", ANY)
@pytest.mark.parametrize("back", [SECOND, 2 * MINUTE, 2 * HOUR, 3 * HOUR])
@pytest.mark.parametrize("catchup", ["none", "all"])
def test_nothing_fires_again_while_the_clock_is_behind_by_three_hours_at_most(
    schedule: str, back: timedelta, catchup: str
) -> None:
    job = job_of_any(schedule, f"catchup={catchup}")
    mark = decided(decide(job, mark_after(job, NOON - MINUTE), look_once(NOON, BOOT))).mark
    now = mark.watermark - back
    assert decide(job, mark, look_once(now, BOOT)._replace(stepped=-back)) is None


@pytest.mark.parametrize("schedule", ANY)
def test_a_mark_of_more_than_three_hours_ahead_is_given_up(schedule: str) -> None:
    job = job_of_any(schedule)
    mark = decided(decide(job, mark_after(job, NOON - MINUTE), look_once(NOON, BOOT))).mark
    now = (mark.watermark - 3 * HOUR - SECOND).replace(second=59)
    now -= MINUTE if now > mark.watermark - 3 * HOUR - SECOND else timedelta(0)
    decision = decided(decide(job, mark, look_on(now, now, BOOT)))
    assert decision.reset_from == mark.watermark
    assert decision.claims == ()
    assert decision.mark == mark_after(job, now)


def test_a_pass_that_gives_a_mark_up_starts_what_is_due_in_this_minute() -> None:
    job = job_of(DAILY)
    decision = decided(decide(job, mark_after(job, NOON + timedelta(days=9)), look_once(NOON + SECOND, BOOT)))
    assert claimed(decision) == [NOON]
    assert decision.reset_from == NOON + timedelta(days=9)


def test_a_runner_that_began_by_a_wrong_clock_does_not_keep_its_time() -> None:
    job = job_of(DAILY)
    mark = mark_after(job, NOON + timedelta(days=9))
    look = look_on(NOON, NOON + timedelta(days=8), BOOT)._replace(back=NOON + timedelta(days=8))
    assert decided(decide(job, mark, look)).mark.next_fire == NOON + timedelta(days=1)


def test_an_instant_that_is_accounted_for_never_comes_again() -> None:
    job = job_of("@at 2026-03-10T12:00")
    mark = decided(decide(job, mark_after(job, NOON - MINUTE), look_once(NOON, BOOT))).mark
    assert decide(job, mark, look_once(NOON - timedelta(days=9), BOOT)) is None


def test_another_schedule_frees_the_times_of_the_wrong_clock_too() -> None:
    mark = mark_after(job_of("@at 2026-03-10T12:00"), NOON)
    job = job_of("@at 2026-03-10T13:00")
    decision = decided(decide(job, mark, look_once(NOON - timedelta(days=9), BOOT)))
    assert decision.reset_from == NOON
    assert decision.mark.next_fire == NOON + HOUR


def test_another_schedule_begins_at_once_where_the_clock_is_a_little_behind() -> None:
    mark = mark_after(job_of(DAILY), NOON)
    decision = decided(decide(job_of("30 11 * * *"), mark, look_once(NOON - HOUR, BOOT)))
    assert decision.mark.next_fire == NOON - 30 * MINUTE
    assert decision.reset_from is None


# ---- no past to catch up with


@pytest.mark.parametrize("catchup", ["none", "last", "all"])
@pytest.mark.parametrize("mark", [None, mark_after(job_of("0 11 * * *"), NOON - timedelta(days=9))])
def test_what_is_new_or_was_changed_or_has_returned_catches_up_with_nothing(catchup: str, mark: Mark | None) -> None:
    job = job_of("30 11 * * *", f"catchup={catchup}")
    decision = decided(decide(job, mark, look_once(NOON, BOOT)))
    assert (decision.claims, decision.missed) == ((), ())


def test_a_job_that_returns_within_the_minute_of_its_fire_asks_for_the_same_fire() -> None:
    """Its mark is gone with it, but not its fire on record: a ledger gives out no fire twice."""
    job = job_of(DAILY)
    first = decided(decide(job, None, look_once(NOON + SECOND, BOOT)))
    again = decided(decide(job, None, look_once(NOON + 50 * SECOND, BOOT)))
    assert first.claims == again.claims == (scheduled("backup", NOON),)


def boot_mark(options: str = "") -> tuple[Job, Mark]:
    """A job for each boot, and its mark from an earlier one."""
    job = job_of("@reboot", options)
    earlier = Boot("boot-a/1", NOON - timedelta(days=3))
    return job, decided(decide(job, None, look_once(NOON - timedelta(days=2), earlier))).mark


@pytest.mark.parametrize("catchup", ["last", "all"])
def test_reboot_of_a_known_job_is_caught_up_with_once_however_late_in_that_boot(catchup: str) -> None:
    job, mark = boot_mark(f"catchup={catchup}")
    boot = Boot("boot-b/1", NOON - 5 * HOUR)
    decision = decided(decide(job, mark, look_once(NOON, boot)))
    assert decision.claims == (Fire("backup", Trigger.BOOT, boot.at, "boot-b/1"),)
    assert decide(job, decision.mark, look_once(NOON + HOUR, boot)) is None


def test_reboot_of_a_job_that_is_new_is_not_caught_up_with() -> None:
    decision = decided(decide(job_of("@reboot", "catchup=last"), None, look_once(NOON, BOOT)))
    assert (decision.claims, decision.missed) == ((), ())


@pytest.mark.parametrize("catchup", ["none", "last"])
def test_a_job_that_was_due_by_the_clock_before_is_new_to_this_boot(catchup: str) -> None:
    job = job_of("@reboot", f"catchup={catchup}")
    decision = decided(decide(job, mark_after(job_of(DAILY), NOON - HOUR), look_once(NOON, BOOT)))
    assert (decision.claims, decision.missed) == ((), ())


def test_reboot_says_where_the_machine_slept_before_it_could_start() -> None:
    job, mark = boot_mark()
    look = look_once(NOON, Boot("boot-b/1", NOON - 5 * HOUR))._replace(asleep=5 * HOUR)
    assert missed(decided(decide(job, mark, look))) == [(1, "suspended")]


# ---- whatever happens

moments = st.integers(0, 2_000).map(lambda minutes: NOON + timedelta(minutes=minutes, seconds=minutes % 60))
options = st.builds(
    "catchup={} start-within={}m jitter={}".format,
    st.sampled_from(["none", "last", "all"]),
    st.sampled_from([1, 10, 300]),
    st.sampled_from(["0s", "30s", "90m"]),
)
spans = st.sampled_from([timedelta(0), MINUTE, 2 * HOUR, 7 * HOUR])


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(moments, spans, spans, st.booleans()), min_size=1, max_size=6),
    st.sampled_from(["* * * * *", "*/7 3-20 * * *", "0,20,30 2,4 * * *", "@every 90s", "@every 1h"]),
    options,
)
def test_every_fire_between_two_passes_has_one_owner_or_one_miss(
    passes: list[tuple[datetime, timedelta, timedelta, bool]], expression: str, options: str
) -> None:
    job = job_of(expression, options)
    mark: Mark = mark_after(job, NOON - MINUTE)
    before, accounted = mark, list[datetime]()
    for now, asleep, stepped, stays in sorted(passes):
        decision = decide(job, mark, Look(now, now, NOON if stays else None, BOOT, asleep, stepped))
        if decision is None:
            continue
        claims = claimed(decision)
        assert claims == sorted(set(claims))
        assert len(claims) <= CAUGHT_UP
        misses = []
        for miss in decision.missed:
            walked = [miss.first]
            while walked[-1] < miss.last:
                walked.append(job.schedule.next(walked[-1]) or miss.last)
            assert miss.number == len(walked)
            misses += walked
        accounted += sorted(claims + misses)
        assert decision.mark.watermark == accounted[-1]
        mark = decision.mark
    assert accounted == due_after(job, before, max(now for now, *_ in passes))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["*/10 * * * *", "*/7 3-20 * * *", "0 12 * * *", "@every 15m", "@at 2026-03-10T12:00"]),
    st.lists(st.timedeltas(timedelta(days=-3), timedelta(days=3)), min_size=1, max_size=12),
    st.sampled_from(["none", "last", "all"]),
)
def test_no_fire_starts_twice_by_any_clock_unless_its_mark_was_given_up(
    expression: str, steps: list[timedelta], catchup: str
) -> None:
    job, now = job_of(expression, f"catchup={catchup}"), NOON
    mark, started = mark_after(job, NOON - MINUTE), set[datetime]()
    for step in steps:
        now += step
        decision = decide(job, mark, look_on(now, NOON, BOOT)._replace(stepped=step))
        if decision is None:
            continue
        if decision.reset_from is not None:
            assert decision.reset_from > now + 3 * HOUR
            started = {fire for fire in started if fire <= decision.mark.watermark}
        claims = set(claimed(decision))
        assert not claims & started
        assert all(fire <= now for fire in claims)
        started |= claims
        mark = decision.mark

"""What is due, from a job, its mark and the time: no clock, no ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runjobs.core.fire import Fire, Mark, Trigger, from_milliseconds, milliseconds
from runjobs.core.plan import Boot, Decision, Look, decide, look_on, look_once, mark_after, refreshed, start_of
from tests.support.jobs import job_of

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


moments = st.integers(0, 4_000).map(lambda minutes: NOON + timedelta(minutes=minutes, seconds=minutes % 60))


@settings(deadline=None, max_examples=40)
@given(st.lists(moments, min_size=1, max_size=8), st.sampled_from(["* * * * *", "*/7 3-20 * * *", "@every 90s"]))
def test_every_fire_between_two_passes_has_one_owner_or_one_miss(times: list[datetime], expression: str) -> None:
    job = job_of(expression)
    mark: Mark = mark_after(job, NOON - MINUTE)
    accounted: list[datetime] = []
    for now in sorted(times):
        decision = decide(job, mark, Look(now, now, None, BOOT))
        if decision is None:
            continue
        for miss in decision.missed:
            walked = [miss.first]
            while walked[-1] < miss.last:
                walked.append(job.schedule.next(walked[-1]) or miss.last)
            assert not miss.number or miss.number == len(walked)
            accounted += walked
        accounted += [fire.scheduled_at for fire in decision.claims]
        mark = decision.mark
    expected, fire = [], job.schedule.next(NOON - MINUTE)
    while fire is not None and fire <= max(times):
        expected.append(fire)
        fire = job.schedule.next(fire)
    assert accounted == expected

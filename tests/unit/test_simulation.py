"""`runjobs simulate`: what is learned from runs on record, and what a window of time comes to by the runner's rules."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.answers import Attempt
from runjobs.core.pausing import Pause
from runjobs.core.schedule import parse_schedule
from runjobs.core.simulation import Habit, JobTally, Tally, last_fire, learn, total
from runjobs.runner.rehearsal import Rehearsal
from tests.support.calling import Answer, call
from tests.support.jobs import jobs_of
from tests.support.night import build

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def run(seconds: float | None, outcome: str = "ok", code: int | None = 0) -> Attempt:
    ended = None if seconds is None else START + timedelta(seconds=seconds)
    return Attempt("r", 1, 1, "ended", "", "", 1, 2, START, ended, outcome, "", "", code, None, 0, 0, 0, 0, ())


def ok(seconds: float, slow: float = 0) -> Habit:
    took = timedelta(seconds=seconds)
    return Habit(took, max(took, timedelta(seconds=slow)), "ok", 30)


FAILS = Habit(SECOND, SECOND, "failed", 30, 1)


def play(
    text: str,
    span: timedelta = HOUR,
    *,
    most: int | None = None,
    slow: bool = False,
    prepared: bool = False,
    pauses: tuple[Pause, ...] = (),
    lead: timedelta = timedelta(0),
    **habits: Habit | float,
) -> Tally:
    """Play jobs from midnight on; a job takes the seconds that are given for it, else one."""
    jobs = jobs_of(f"CRON_TZ=UTC\n{text}")
    known = {name: habits.get(name, 1.0) for name in jobs}
    learned = {name: habit if isinstance(habit, Habit) else ok(habit) for name, habit in known.items()}
    tally = Tally(jobs, START)
    rehearsal = Rehearsal(jobs, learned, tally, most, slow=slow)
    if prepared:
        rehearsal.prepare(START - lead, pauses)
    rehearsal.play(START - lead - SECOND, START + span)
    return tally


def of(tally: Tally, job: str) -> JobTally:
    return tally.jobs[job]


# what is learned


def test_the_median_and_the_95th_percentile_of_the_newest_30_runs_are_learned() -> None:
    runs = [run(1_000)] * 10 + [run(number) for number in range(1, 31)]
    assert learn(runs, MINUTE) == Habit(timedelta(seconds=16), timedelta(seconds=29), "ok", 30)


def test_without_a_run_on_record_the_assumption_holds() -> None:
    assert learn([], MINUTE) == Habit(MINUTE, MINUTE, "ok", 0)


def test_what_was_cut_short_or_goes_on_teaches_nothing() -> None:
    runs = [run(5, "interrupted"), run(6, "stopped"), run(None, ""), run(7, "error")]
    assert learn(runs, MINUTE).runs == 0


def test_the_end_that_most_runs_had_is_learned_with_its_code() -> None:
    habit = learn([run(1), run(2, "failed", 3), run(3, "failed", 3)], MINUTE)
    assert (habit.outcome, habit.exit_code) == ("failed", 3)


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=60))
def test_a_usual_run_is_no_longer_than_a_slow_one(seconds: list[float]) -> None:
    habit = learn([run(each) for each in seconds], MINUTE)
    assert habit.took <= habit.slow
    assert habit.runs == min(len(seconds), 30)


@pytest.mark.parametrize(
    ("expression", "last"),
    [
        ("* * * * *", "2026-03-10T00:00:00+00:00"),
        ("30 12 * * *", "2026-03-09T12:30:00+00:00"),
        ("0 0 1 * *", "2026-03-01T00:00:00+00:00"),
        ("0 0 1 4 *", "2025-04-01T00:00:00+00:00"),
    ],
)
def test_the_last_fire_of_a_schedule_is_found_by_looking_back(expression: str, last: str) -> None:
    found = last_fire(parse_schedule(expression), START, timedelta(days=400))
    assert found is not None
    assert found.isoformat() == last


def test_a_last_fire_that_is_too_long_ago_is_none() -> None:
    assert last_fire(parse_schedule("0 0 29 2 *"), START, timedelta(days=400)) is None


# the runner's rules


def test_a_job_that_is_longer_than_its_gap_skips_every_other_fire() -> None:
    tally = of(play("#: name=a\n* * * * * x\n", a=90), "a")
    assert (tally.fires, tally.starts, tally.skipped, tally.overlaps) == (60, 30, {"overlap": 30}, 30)


def test_a_run_that_ends_at_the_instant_of_a_fire_still_holds_its_lock() -> None:
    assert of(play("#: name=a\n* * * * * x\n", a=60), "a").skipped == {"overlap": 30}
    assert of(play("#: name=a\n* * * * * x\n", a=59), "a").skipped == {}


def test_a_queued_fire_waits_and_a_newer_one_takes_its_place() -> None:
    tally = of(play("#: name=a overlap=queue\n* * * * * x\n", 10 * MINUTE, a=150), "a")
    assert (tally.fires, tally.starts, tally.missed) == (10, 4, {"superseded": 5})
    assert tally.waits["overlap"] == 9
    assert tally.longest_wait == 30 * SECOND


def test_a_replacing_fire_ends_the_run_before_it() -> None:
    tally = of(play("#: name=a overlap=replace\n* * * * * x\n", 10 * MINUTE, a=90), "a")
    assert (tally.starts, tally.ends) == (10, {"stopped": 9})


def test_overlap_allow_lets_them_run_side_by_side() -> None:
    tally = play("#: name=a overlap=allow\n* * * * * x\n", 10 * MINUTE, a=150)
    assert of(tally, "a").starts == 10
    assert tally.peak is not None
    assert (tally.peak.runs, tally.peak.jobs) == (3, ("a", "a", "a"))
    assert tally.peak.start == START + 2 * MINUTE


def test_who_shares_a_lock_is_skipped_and_the_holder_is_named() -> None:
    tally = play("#: name=a lock=db\n0 * * * * x\n#: name=b lock=db\n0 * * * * x\n", a=5)
    assert of(tally, "b").skipped == {"overlap": 1}
    assert of(tally, "b").said == "a holds the lock db"
    assert tally.never() == ["b"]


def test_a_pool_has_the_third_wait_for_a_place() -> None:
    text = "".join(f"#: name={name} pool=p:2\n0 * * * * x\n" for name in "abc")
    tally = play(text, a=30, b=40, c=5)
    assert of(tally, "c").waits == {"pool": 1}
    assert of(tally, "c").longest_wait == 30 * SECOND


def test_who_waits_longer_than_start_within_is_skipped() -> None:
    text = "#: name=a pool=p:1\n0 * * * * x\n#: name=b pool=p:1 start-within=1m\n0 * * * * x\n"
    tally = of(play(text, a=300), "b")
    assert (tally.skipped, tally.said) == ({"pool": 1}, "it waited 1m for a place in its pool")


def test_max_parallel_bounds_what_runs_at_once() -> None:
    text = "".join(f"#: name={name}\n0 * * * * x\n" for name in "abcd")
    tally = play(text, most=2, a=10, b=20, c=10, d=10)
    assert tally.peak is not None
    assert tally.peak.runs == 2
    assert of(tally, "d").waits == {"parallel": 1}
    assert of(tally, "d").longest_wait == 20 * SECOND


def test_a_job_comes_after_the_end_of_another() -> None:
    tally = play("#: name=a\n0 * * * * x\n#: name=b after=a\n0 * * * * x\n", a=100)
    assert of(tally, "b").longest_wait == 100 * SECOND


def test_who_comes_after_a_job_that_fails_is_skipped() -> None:
    tally = play("#: name=a\n0 * * * * x\n#: name=b after=a\n0 * * * * x\n", a=FAILS)
    assert of(tally, "b").skipped == {"dependency": 1}


def test_a_job_that_comes_after_one_that_nobody_has_seen_run_is_skipped_unless_that_is_prepared() -> None:
    text = "#: name=a\n0 23 * * * x\n#: name=b after=a\n30 0 * * * x\n"
    assert of(play(text), "b").skipped == {"dependency": 1}
    assert of(play(text, prepared=True), "b").starts == 1


def test_what_fails_is_tried_again_and_given_up_after_its_retries() -> None:
    tally = of(play("#: name=a retries=2 retry-delay=10s\n0 * * * * x\n", a=FAILS), "a")
    assert (tally.starts, tally.tries, tally.ends) == (1, 2, {"failed": 1})


def test_a_newer_fire_cancels_the_retries_of_an_older_one() -> None:
    tally = of(play("#: name=a retries=5 retry-delay=50s\n* * * * * x\n", 5 * MINUTE, a=FAILS), "a")
    assert (tally.starts, tally.missed) == (5, {})
    assert tally.tries == 5


def test_a_run_past_its_timeout_ends_there() -> None:
    tally = play("#: name=a timeout=30s\n* * * * * x\n", 2 * MINUTE, a=90)
    assert of(tally, "a").ends == {"timeout": 2}


def test_slow_runs_take_the_95th_percentile() -> None:
    habit = ok(10, slow=90)
    assert of(play("#: name=a\n* * * * * x\n", a=habit), "a").skipped == {}
    assert of(play("#: name=a\n* * * * * x\n", slow=True, a=habit), "a").skipped == {"overlap": 30}


def test_a_paused_job_is_skipped() -> None:
    pause = Pause("a", START - HOUR, START + 30 * MINUTE, "moving", "ops")
    tally = of(play("#: name=a\n*/10 * * * * x\n", prepared=True, pauses=(pause,)), "a")
    assert (tally.starts, tally.skipped) == (3, {"paused": 3})


def test_what_began_before_the_window_goes_on_in_it_and_is_not_counted() -> None:
    tally = play("#: name=a\n55 23 * * * x\n", lead=HOUR, a=600)
    assert of(tally, "a").fires == 0
    assert tally.peak is not None
    assert (tally.peak.start, tally.peak.end) == (START, START + 5 * MINUTE)
    assert tally.busiest is None


def test_a_job_that_is_switched_off_or_fires_at_no_time_is_idle() -> None:
    tally = play("#: name=off enabled=no\n* * * * * x\n#: name=boot\n@reboot x\n#: name=late\n0 3 * * * x\n")
    assert tally.idle() == ["off", "boot", "late"]
    assert tally.busiest is None
    assert tally.peak is None


def test_the_busiest_minute_is_the_first_of_the_busiest() -> None:
    tally = play("#: name=a\n*/20 * * * * x\n#: name=b\n20,40 * * * * x\n")
    assert tally.busiest == (START + 20 * MINUTE, 2)


def test_a_long_play_forgets_old_fires_and_stays_right() -> None:
    tally = of(play("#: name=a overlap=queue\n* * * * * x\n", 24 * HOUR, a=30), "a")
    assert (tally.fires, tally.starts, tally.ends) == (1440, 1440, {"ok": 1440})


def test_progress_is_told_from_0_to_1() -> None:
    jobs, told = jobs_of("CRON_TZ=UTC\n#: name=a\n* * * * * x\n"), list[float]()
    Rehearsal(jobs, {"a": ok(1)}, Tally(jobs, START), None).play(START, START + 24 * HOUR, told.append)
    assert len(told) > 5
    assert sorted(told) == told
    assert 0 <= told[0] < 0.1
    assert 0.9 < told[-1] <= 1


@given(st.integers(1, 240), st.sampled_from(["skip", "queue", "replace", "allow"]), st.integers(1, 3))
def test_every_fire_has_one_end_and_a_skipping_job_never_runs_twice_at_once(took: int, overlap: str, size: int) -> None:
    text = f"#: name=a overlap={overlap} pool=p:{size}\n* * * * * x\n#: name=b pool=p:{size}\n*/2 * * * * x\n"
    tally = play(text, 20 * MINUTE, a=took, b=took)
    for each in tally.jobs.values():
        waiting = each.fires - each.starts - each.skipped.total() - each.missed.total()
        assert 0 <= waiting <= 1
    if overlap != "allow" and tally.peak is not None:
        assert len(set(tally.peak.jobs)) == tally.peak.runs <= size


def test_the_total_adds_up() -> None:
    tally = play("#: name=a\n* * * * * x\n#: name=b overlap=queue\n* * * * * x\n", 10 * MINUTE, a=90, b=70)
    whole = total(tally.jobs.values())
    assert whole.fires == 20
    assert whole.starts == of(tally, "a").starts + of(tally, "b").starts
    assert whole.longest_wait == of(tally, "b").longest_wait > timedelta(0)


# the command

JOBS = """\
CRON_TZ=UTC
#: name=backup
15 3 * * * true
#: name=poll
*/10 * * * * true
#: name=stuck after=poll lock=poll
5 4 * * * true
#: name=off enabled=no
* * * * * true
#: name=yearly
0 0 1 1 * true
"""
DAY = ["--from", "2026-11-21T00:00Z", "--to", "2026-11-22T00:00Z"]


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs"
    file.write_text(JOBS)
    return file


def simulated(jobs: Path, *words: str, terminal: bool = False) -> Answer:
    place = ["--jobs", str(jobs), "--trust-jobs", "--state", str(jobs.parent / "state")]
    return call("simulate", *place, *words, terminal=terminal)


def document(answer: Answer) -> dict[str, Any]:
    assert answer.code == 0, answer.err
    return {job["job"]: job for job in answer.json["jobs"]}


def test_durations_are_learned_from_the_record_of_a_night(tmp_path: Path) -> None:
    build(tmp_path)
    found = document(simulated(tmp_path / "jobs", *DAY, "--json"))
    assert (found["vacuum"]["learned_from"], found["vacuum"]["takes"]) == (2, 47 * 60)
    assert (found["poll"]["learned_from"], found["poll"]["takes"]) == (30, 0.3)
    assert (found["backup"]["learned_from"], found["backup"]["outcome"]) == (3, "failed")
    assert (found["mirror"]["learned_from"], found["mirror"]["takes"]) == (1, 31 * 60)
    assert found["report"]["skipped"] == {"overlap": 1}


def test_without_a_record_what_is_assumed_is_said(jobs: Path) -> None:
    answer = simulated(jobs, *DAY, "--assume", "90s")
    assert "Of 5 jobs no run is on record: 1m30s each and a good end is assumed." in answer.out
    assert document(simulated(jobs, *DAY, "--assume", "90s", "--json"))["poll"]["takes"] == 90


def test_the_text_tells_the_sum_the_peak_the_busiest_minute_and_who_is_idle(jobs: Path) -> None:
    out = simulated(jobs, *DAY).out
    assert "146 fires: 146 started" in out
    assert "At most 2 runs at once, first at 2026-11-21 03:15" not in out
    assert "The busiest minute is 2026-11-21 00:00, with 1 start." in out
    assert "Without a fire in this time: off (switched off), yearly (next 2027-01-01 00:00)." in out


def test_who_never_starts_is_told_with_the_reason(jobs: Path) -> None:
    out = simulated(jobs, *DAY, "--cold", "--from", "2026-11-21T04:01Z", "--to", "2026-11-21T04:06Z").out
    assert "stuck never starts: dependency; poll has had no fire yet." in out


def test_nothing_is_written(jobs: Path) -> None:
    simulated(jobs)
    assert not (jobs.parent / "state").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "soonish"], "runjobs: --from: "),
        (["--from", "tomorrow", "--to", "today"], "runjobs: --to today is not after the start\n"),
        (["--assume", "long"], "runjobs: --assume: "),
        (["--max-parallel", "0"], "runjobs: --max-parallel '0' is no number of runs\n"),
    ],
)
def test_what_cannot_be_simulated_exits_2_and_says_why(jobs: Path, words: list[str], said: str) -> None:
    answer = simulated(jobs, *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(said)


def test_a_terminal_of_80_columns_is_not_overrun(jobs: Path) -> None:
    shown = re.sub("\x1b\\[[0-9;]*m", "", simulated(jobs, *DAY, terminal=True).out)
    assert max(map(len, shown.splitlines())) <= 80

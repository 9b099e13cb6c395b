"""Whether and when a fire is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runjobs.core.again import MOST_RERUNS, again_at, retry_delay
from runjobs.core.job import OnInterrupt, Options
from runjobs.core.run import RunEnd

AT = 1_000.0
FAILED = RunEnd("r", "failed", "exit", exit_code=75, ended_at=AT)
KILLED = RunEnd("r", "failed", "signal", signal=9, ended_at=AT)
TIMEOUT = RunEnd("r", "timeout", ended_at=AT)
ERROR = RunEnd("r", "error", "cwd", ended_at=AT)
INTERRUPTED = RunEnd("r", "interrupted", "reboot", ended_at=AT)
THRICE = Options(retries=3, retry_delay=timedelta(seconds=10), retry_ceiling=timedelta(seconds=30))


@pytest.mark.parametrize("end", [FAILED, KILLED, TIMEOUT, ERROR])
def test_whatever_goes_wrong_is_tried_again_as_often_as_asked(end: RunEnd) -> None:
    assert [again_at(THRICE, attempt, end) for attempt in (1, 2, 3, 4)] == [AT + 10, AT + 20, AT + 30, None]


def test_without_retries_nothing_is_tried_again() -> None:
    assert again_at(Options(), 1, FAILED) is None


@pytest.mark.parametrize(
    ("retry_on", "again"),
    [({75}, [FAILED]), ({1}, []), ({"signal"}, [KILLED]), ({"timeout", "error"}, [TIMEOUT, ERROR])],
)
def test_only_what_retry_on_names_is_tried_again(retry_on: set[int | str], again: list[RunEnd]) -> None:
    options = Options(retries=1, retry_on=frozenset(retry_on))
    assert [end for end in (FAILED, KILLED, TIMEOUT, ERROR) if again_at(options, 1, end) is not None] == again


@pytest.mark.parametrize("outcome", ["ok", "stopped"])
def test_what_went_well_or_was_stopped_is_never_tried_again(outcome: str) -> None:
    assert again_at(THRICE, 1, RunEnd("r", outcome, ended_at=AT)) is None


def test_an_interrupted_run_is_started_again_at_once_where_the_job_says_so_and_not_for_ever() -> None:
    rerun = Options(on_interrupt=OnInterrupt.RERUN)
    assert again_at(THRICE, 1, INTERRUPTED) is None
    assert again_at(rerun, MOST_RERUNS, INTERRUPTED) == AT
    assert again_at(rerun, MOST_RERUNS + 1, INTERRUPTED) is None


def test_the_delay_doubles_up_to_the_ceiling_which_is_never_below_the_first() -> None:
    assert [retry_delay(THRICE, attempt).total_seconds() for attempt in (1, 2, 3, 900)] == [10, 20, 30, 30]
    high = Options(retry_delay=timedelta(hours=3))
    assert retry_delay(high, 5) == timedelta(hours=3)
    assert retry_delay(Options(retry_delay=timedelta(0)), 7) == timedelta(0)

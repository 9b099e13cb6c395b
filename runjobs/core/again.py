"""Whether a fire is tried again after a run of it has ended, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runjobs.core.job import OnInterrupt
from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from runjobs.core.job import Options
    from runjobs.core.run import RunEnd

MOST_RERUNS: Final = 3  # a job that takes its machine down with it must not do so for ever
DOUBLINGS: Final = 40  # 2**40 s is 34,000 years: no ceiling is above it
INTERRUPTED: Final = Outcome.INTERRUPTED.value


def again_at(options: Options, attempt: int, end: RunEnd) -> float | None:
    """When the fire is tried again, in seconds since the epoch; None: this end is its end.

    `attempt` counts from 1. What a person stopped is never tried again. Reruns have a bound of their own.
    """
    if end.outcome == INTERRUPTED:
        is_again = options.on_interrupt is OnInterrupt.RERUN and attempt <= options.retries + MOST_RERUNS
        return end.ended_at if is_again else None
    if attempt > options.retries or not _is_retried(options.retry_on, end):
        return None
    return end.ended_at + retry_delay(options, attempt).total_seconds()


def retry_delay(options: Options, attempt: int) -> timedelta:
    """How long to wait after this attempt, counted from 1: it doubles each time, up to the ceiling."""
    ceiling = max(options.retry_ceiling, options.retry_delay)
    doubled = options.retry_delay.total_seconds() * 2.0 ** min(attempt - 1, DOUBLINGS)
    return min(timedelta(seconds=min(doubled, ceiling.total_seconds())), ceiling)


def _is_retried(retry_on: frozenset[int | str] | None, end: RunEnd) -> bool:
    match end.outcome:
        case Outcome.FAILED.value:
            return retry_on is None or ("signal" if end.signal is not None else end.exit_code) in retry_on
        case Outcome.TIMEOUT.value | Outcome.ERROR.value:
            return retry_on is None or end.outcome in retry_on
    return False

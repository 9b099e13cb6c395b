"""The account of a run: its verdict, and what the record says of how it came to that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runjobs.core.duration import format_duration
from runjobs.core.outcome import Outcome, Verdict

if TYPE_CHECKING:
    from runjobs.core.procstat import Stat
    from runjobs.guard.ending import Ending
    from runjobs.guard.messages import Stop

NAMED = 64  # processes named in a record; the rest is counted
# such as when a debugger took its exit
LOST = Verdict(Outcome.INTERRUPTED, "lost", "nobody knows how it ended: its guard was not told")


def timed_out(timeout: timedelta | None) -> Verdict:
    """Of a run that is ended because its time is up."""
    return Verdict(Outcome.TIMEOUT, "timeout", f"ran longer than {format_duration(timeout or timedelta(0))}")


def stopped(stop: Stop) -> Verdict:
    """Of a run that is ended because somebody wants it: the outcome is theirs to say."""
    return Verdict(Outcome(stop.outcome), stop.reason, stop.detail)


def guard_failed(error: Exception) -> Verdict:
    """Of a run whose guard made a mistake."""
    return Verdict(Outcome.INTERRUPTED, "guard", f"its guard failed: {type(error).__name__}: {error}")


def after_ending(verdict: Verdict, ending: Ending, now: float, hung_on_the_way_to: str | None) -> Verdict:
    """Add what it took to end the run, and where it hung if it never started."""
    hung = f"it did not start: still on its way into {hung_on_the_way_to}" if hung_on_the_way_to else ""
    how = f"ended by {ending.signal_name} after {now - ending.began:.1f}s"
    return _add(verdict, hung, how)


def without_log(verdict: Verdict, trouble: str) -> Verdict:
    """Add why the run's log stopped, if it did."""
    return _add(verdict, f"its log stopped: {trouble}" if trouble else "")


def named(processes: list[Stat]) -> tuple[tuple[int, str], ...]:
    """Processes as a record has them: pid and name; of very many, pid 0 says how many more there were."""
    some = tuple((stat.pid, stat.name) for stat in processes[:NAMED])
    more = len(processes) - len(some)
    return (*some, (0, f"and {more} more")) if more else some


def _add(verdict: Verdict, *details: str) -> Verdict:
    return verdict._replace(detail="; ".join(filter(None, (verdict.detail, *details))))

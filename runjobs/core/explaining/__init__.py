"""A schedule in plain words: when it fires, what the clock does to it, and what people usually mean instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.explaining.clocks import ClockChange, clock_changes, tell_change
from runjobs.core.explaining.days import day_words
from runjobs.core.explaining.phrases import counted, listed
from runjobs.core.explaining.times import HOURS, time_words
from runjobs.core.explaining.usual import Remark, remarks, remarks_on_job
from runjobs.core.schedule import AtSchedule, CronSchedule, EverySchedule, WatchSchedule

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.core.rule import Rule
    from runjobs.core.schedule import Schedule

__all__ = ["ClockChange", "Explanation", "Remark", "explain", "remarks_on_job", "sentence", "tell_change"]

UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
MOST = 120  # of one unit: more of them, nobody reads at a glance


class Explanation(NamedTuple):
    """A schedule explained: a sentence, what may surprise, and the changes of the clock in one year."""

    words: str
    remarks: list[Remark]
    changes: list[ClockChange]


def explain(schedule: Schedule, year: int, zone: tzinfo) -> Explanation:
    """Explain a schedule. `zone` is the one that the instant of an `@at` is told in."""
    return Explanation(sentence(schedule, zone), remarks(schedule), clock_changes(schedule, year))


def sentence(schedule: Schedule, zone: tzinfo) -> str:
    """Say when it fires, as one sentence that names no zone but for `@at` and `@every`."""
    match schedule:
        case CronSchedule():
            words = of_rule(schedule.rule)
        case EverySchedule():
            words = f"every {_period(schedule.period)}, counted from 1970-01-01 00:00 UTC"
        case AtSchedule():
            local = schedule.instant.astimezone(zone)
            words = f"once, on {local:%A} {local:%Y-%m-%d} at {local.isoformat()[11:]}"
        case WatchSchedule():
            words = f"when something changes at {listed(schedule.paths, 'or')}"
        case _:
            words = "once at each start of the machine or container, as soon as a runner looks"
    return f"{words[0].upper()}{words[1:]}."


def of_rule(rule: Rule) -> str:
    """Say when a rule fires: times, then days; "every day" is left out where the times go through the whole day."""
    times, days = time_words(rule), day_words(rule)
    through = len(rule.hour.values) == HOURS
    if through and days == "every day":
        return times
    is_plain = times.startswith("at ") and times[3].isdigit()
    return f"{times}{' ' if is_plain else ', '}{days}"


def _period(seconds: int) -> str:
    """Write a period in one unit where that is readable, as in `90 seconds`, else in all that it has."""
    for size, noun in UNITS:
        if seconds % size == 0 and seconds // size <= MOST:
            return counted(seconds // size, noun)
    parts = []
    for size, noun in UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {noun}{'' if count == 1 else 's'}")
    return listed(parts)

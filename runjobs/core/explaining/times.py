"""The time of day in words: from the seconds, minutes and hours that a rule has."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from runjobs.core.explaining.phrases import EVEN, SPAN, clock, counted, listed, pace_of, spans, step_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.core.rule import Rule

FEW: Final = 4  # times of day that are listed whatever they are
MINUTES: Final = 60
HOURS: Final = 24


def time_words(rule: Rule) -> str:
    """Say at what times of a day the rule fires: `at 03:15`, `every 15 minutes from 09:00 to 17:45`."""
    seconds, minutes, hours = rule.second.values, rule.minute.values, rule.hour.values
    if len(seconds) * len(minutes) * len(hours) <= FEW:
        told = None if seconds == (0,) else seconds
        times = product(hours, minutes, told or (None,))
        return f"at {listed(clock(*time) for time in times)}"
    if len(seconds) > 1:
        return _seconds(seconds, minutes, hours)
    words = _minutes(minutes, hours)
    return words if seconds == (0,) else f"{words}, at second {seconds[0]}"


def _minutes(minutes: Sequence[int], hours: Sequence[int]) -> str:
    if len(minutes) == 1:
        return _hourly(minutes[0], hours)
    pace = pace_of(minutes, MINUTES)
    every = f"every {counted(pace, 'minute')}"
    if pace and len(hours) == HOURS:
        return every if minutes[0] == 0 else f"{every}, starting at minute {minutes[0]} of each hour"
    if pace and (step_of(hours) == 1 or len(hours) == 1):
        return f"{every} from {clock(hours[0], minutes[0])} to {clock(hours[-1], minutes[-1])}"
    return f"{_minutes_noun(minutes)} of {_hours_noun(hours)}"


def _hourly(minute: int, hours: Sequence[int]) -> str:
    """Say when one minute of several hours is."""
    if len(hours) == HOURS:
        return "every hour, on the hour" if minute == 0 else f"every hour, at minute {minute}"
    step = step_of(hours)
    if step and (step == 1 or len(hours) >= EVEN):
        return f"every {counted(step, 'hour')} from {clock(hours[0], minute)} to {clock(hours[-1], minute)}"
    return f"at {listed(clock(hour, minute) for hour in hours)}"


def _minutes_noun(minutes: Sequence[int]) -> str:
    step = step_of(minutes)
    if len(minutes) == MINUTES:
        return "every minute"
    if (step == 1 and len(minutes) >= SPAN) or (step and len(minutes) >= EVEN):
        return f"every {counted(step, 'minute')} from minute {minutes[0]} to {minutes[-1]}"
    return f"at {_numbered('minute', minutes)}"


def _hours_noun(hours: Sequence[int]) -> str:
    if len(hours) == HOURS:
        return "every hour"
    return f"hour {hours[0]}" if len(hours) == 1 else f"the {_numbered('hour', hours)}"


def _numbered(noun: str, values: Sequence[int]) -> str:
    """Write `minute 5`, `minutes 0 and 45`, `hours 9 to 12 and 14`."""
    words = [str(low) if low == high else f"{low} to {high}" for low, high in spans(values)]
    return f"{noun}{'' if len(values) == 1 else 's'} {listed(words)}"


def _seconds(seconds: Sequence[int], minutes: Sequence[int], hours: Sequence[int]) -> str:
    pace = pace_of(seconds, MINUTES)
    every = f"every {counted(pace, 'second')}"
    is_through = len(minutes) == MINUTES and (len(hours) == 1 or step_of(hours) == 1)
    if pace and seconds[0] == 0 and is_through and len(hours) == HOURS:
        return every
    if pace and (is_through or len(minutes) == len(hours) == 1):
        first, last = (hours[0], minutes[0], seconds[0]), (hours[-1], minutes[-1], seconds[-1])
        return f"{every} from {clock(*first)} to {clock(*last)}"
    when = f"{every} in" if pace and seconds[0] == 0 else f"at {_numbered('second', seconds)} of"
    return f"{when} {_minutes_of(minutes, hours)}"


def _minutes_of(minutes: Sequence[int], hours: Sequence[int]) -> str:
    """Name minutes of the day, as what seconds belong to."""
    if len(minutes) == MINUTES:
        return "every minute" if len(hours) == HOURS else f"every minute of {_hours_noun(hours)}"
    if len(minutes) * len(hours) <= FEW:
        return f"the minute{'s' if len(minutes) * len(hours) > 1 else ''} " + listed(
            clock(*time) for time in product(hours, minutes)
        )
    return f"{_numbered('minute', minutes)} of {_hours_noun(hours)}"

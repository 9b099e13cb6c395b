"""Words that explanations are made of: lists, ordinals, names, and what a row of numbers looks like."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
NTH: Final = ("first", "second", "third", "fourth", "fifth")
SPAN: Final = 3  # values in a row that read better as a range
EVEN: Final = 5  # values at even gaps that read better as a step
_TEENS: Final = range(11, 14)
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}


def listed(words: Iterable[str], last: str = "and") -> str:
    """Write a list as a sentence has it: `a`, `a and b`, `a, b and c`."""
    *firsts, final = words
    return f"{', '.join(firsts)} {last} {final}" if firsts else final


def ordinal(number: int) -> str:
    """Write `1st`, `2nd`, `3rd`, `11th`."""
    return f"{number}{'th' if number % 100 in _TEENS else _ENDINGS.get(number % 10, 'th')}"


def counted(number: int, noun: str) -> str:
    """Write `every minute`'s rest: `minute` for 1, `15 minutes` for 15."""
    return noun if number == 1 else f"{number} {noun}s"


def spans(values: Sequence[int]) -> list[tuple[int, int]]:
    """Cut sorted values into runs without a gap: the first and the last of each; short runs one by one."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return [
        pair
        for run in runs
        for pair in ([(run[0], run[-1])] if len(run) >= SPAN else [(value, value) for value in run])
    ]


def step_of(values: Sequence[int]) -> int:
    """Return the gap of values that lie at even gaps, 0 where they don't, or where there is one alone."""
    gaps = {after - before for before, after in pairwise(values)}
    return gaps.pop() if len(gaps) == 1 else 0


def pace_of(values: Sequence[int], size: int) -> int:
    """Return the gap of values that lie at even gaps round and round in `size`, such as minutes in an hour; else 0."""
    step = step_of(values)
    return step if step and values[0] + size - values[-1] == step else 0


def clock(hour: int, minute: int, second: int | None = None) -> str:
    """Write a time of day, with its second where there is one."""
    return f"{hour:02}:{minute:02}" + ("" if second is None else f":{second:02}")

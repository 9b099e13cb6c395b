"""The days in words: from the days of the month, weekdays, months and years that a rule has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.core.explaining.phrases import EVEN, MONTHS, NTH, SPAN, WEEKDAYS, listed, ordinal, spans, step_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.core.fields import Field
    from runjobs.core.rule import Rule

SHORTEST: Final = 28  # days of February
HALVES: Final = {tuple(range(1, 32, 2)): "odd", tuple(range(2, 31, 2)): "even"}
WORKING: Final = "working day (Monday to Friday)"


def is_daily(rule: Rule) -> bool:
    """Whether no day of the months that it has is left out."""
    if rule.either_day_will_do:
        return rule.day.full or rule.weekday.full
    return rule.day.full and rule.weekday.full


def day_words(rule: Rule) -> str:
    """Say on which days the rule fires: `every day`, `from Monday to Friday`, `on the 1st of every month`."""
    months, year = rule.month, _years(rule.year)
    if is_daily(rule):
        words = "every day" + ("" if months.full else f" {_in_months(months.values)}")
    elif rule.weekday.full:
        words = _month_days(rule)
    elif rule.day.full:
        words = _weekdays(rule)
    elif rule.either_day_will_do:
        words = f"{_month_days(rule)} and also {_weekdays(rule)}"
    else:
        words = _both(rule)
    return words + year


def _years(year: Field | None) -> str:
    if year is None or year.full:
        return ""
    runs = spans(year.values)
    if len(runs) == 1 and runs[0][0] != runs[0][1]:
        return f", only from {runs[0][0]} to {runs[0][1]}"
    return f", only in {listed(str(low) if low == high else f'{low} to {high}' for low, high in runs)}"


def _in_months(values: Sequence[int]) -> str:
    if step_of(values) == 1 and len(values) >= SPAN:
        return f"from {MONTHS[values[0] - 1]} to {MONTHS[values[-1] - 1]}"
    return f"in {listed(MONTHS[value - 1] for value in values)}"


def _of_months(months: Field) -> str:
    values = months.values
    if months.full:
        return "of every month"
    if step_of(values) == 1 and len(values) >= SPAN:
        return f"of each month {_in_months(values)}"
    return f"of {listed(MONTHS[value - 1] for value in values)}"


def _month_days(rule: Rule, last: str = "and") -> str:
    """Say days of the month: `on the 1st and 15th of every month`, `on every 2nd day from the 1st to the 31st …`.

    `last` is "or" for days of which one is meant.
    """
    values = rule.day.values
    months = "of the month" if last == "or" and rule.month.full else _of_months(rule.month)
    step = step_of(values)
    if values in HALVES and last == "or" and not rule.day.special:
        return f"on an {HALVES[values]} day {months}"
    if last == "and" and step > 1 and len(values) >= EVEN and not rule.day.special:
        return f"on every {ordinal(step)} day from the {ordinal(values[0])} to the {ordinal(values[-1])} {months}"
    nouns = [ordinal(low) if low == high else f"{ordinal(low)} to {ordinal(high)}" for low, high in spans(values)]
    nouns += [_special_day(item) for item in rule.day.special]
    is_rare = months.startswith("of every") and len(nouns) == 1 and not rule.day.special and values[0] > SHORTEST
    return f"on the {listed(nouns, last)} {months}{' that has one' if is_rare else ''}"


def _special_day(item: str) -> str:
    """Say `l`, `l-3`, `lw`, `15w`."""
    if item == "l":
        return "last day"
    if item == "lw":
        return f"last {WORKING}"
    if item.startswith("l-"):
        return f"{ordinal(int(item[2:]))} day before the last day"
    return f"{WORKING} nearest to the {ordinal(int(item[:-1]))}"


def _weekdays(rule: Rule) -> str:
    """Say weekdays: `from Monday to Friday`, `on Mondays and Fridays`, `on the second Friday of every month`."""
    special, months = rule.weekday.special, rule.month
    if special:
        rare = " that has one" if months.full and all(item.endswith("#5") for item in special) else ""
        return f"on the {listed(_special_weekday(item) for item in special)} {_of_months(months)}{rare}"
    words = _plain_weekdays(rule.weekday.values)
    if months.full:
        return words
    return f"{words}{',' if words.startswith('from') else ''} {_in_months(months.values)}"


def _plain_weekdays(values: Sequence[int]) -> str:
    from_monday = sorted((value - 1) % 7 for value in values)
    names = [WEEKDAYS[(value + 1) % 7] for value in from_monday]
    if step_of(from_monday) == 1 and len(names) >= SPAN:
        return f"from {names[0]} to {names[-1]}"
    return f"on {listed(f'{name}s' for name in names)}"


def _special_weekday(item: str) -> str:
    """Say `5#2`, `l5`."""
    if item.startswith("l"):
        return f"last {WEEKDAYS[int(item[1:])]}"
    day, nth = item.split("#")
    return f"{NTH[int(nth) - 1]} {WEEKDAYS[int(day)]}"


def _both(rule: Rule) -> str:
    """Say days that must match both fields."""
    days = _month_days(rule, "or")
    if rule.weekday.special:
        return f"{_weekdays(rule)}, if that falls {days}"
    weekdays = _plain_weekdays(rule.weekday.values)
    return f"{'on days ' if weekdays.startswith('from') else ''}{weekdays} that fall {days}"

"""One plain item of a field: `5`, `1-5`, `*/10`, `5-59/15`."""

from __future__ import annotations

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import WEEKDAY, Kind, is_number, number, read_value


def read_item(kind: Kind, item: str, start: int) -> range:
    """Read one item of a list; `start` is its offset in the field. A weekday of 7 stays 7 here."""
    head, slash, step = item.partition("/")
    if not head:
        raise missing(kind, start)
    low, high = _head(kind, head, start, slash + step)
    return range(low, high + 1, read_step(step, start + len(head) + 1) if slash else 1)


def _head(kind: Kind, head: str, start: int, stepped: str) -> tuple[int, int]:
    if head == "*":
        return kind.low, kind.high
    if "-" in head:
        return read_range(kind, head, start, stepped)
    value = read_value(kind, head, start)
    if stepped and kind is WEEKDAY:  # croniter reads 7/1 as every day, cronsim as Sunday, crons refuse it
        message, hint = f'"{head}/" has a step but no range', "write a range, as in 1-5/2, or list the days"
        raise FieldError(message, hint, start=start, end=start + len(head) + 1)
    return value, kind.high if stepped else value


def read_range(kind: Kind, text: str, start: int, stepped: str = "") -> tuple[int, int]:
    """Read `a-b`; a weekday range may end in `sun` or 7, as cronie has it (`sat-sun` is 6-7).

    `stepped` is what follows the range, for the error of one that runs backwards.
    """
    low_text, dash, high_text = text.partition("-")
    dash_at = start + len(low_text)
    if not (low_text and dash and high_text):
        raise missing(kind, min(dash_at, start + len(text) - 1))
    low, high = read_value(kind, low_text, start), read_value(kind, high_text, dash_at + 1)
    if kind is WEEKDAY and high == 0 < low and not is_number(high_text):
        high = kind.top
    if low > high:
        raise _backwards(kind, (low_text, high_text), start, stepped)
    return low, high


def read_step(text: str, start: int) -> int:
    """Read what follows the slash; one greater than the range is fine, as in every cron: it takes the first value."""
    if not text:
        raise FieldError("a step is missing after the slash", "a step looks like */10", start=start - 1, end=start)
    end = start + len(text)
    if not is_number(text):
        raise FieldError(f'step "{text}" is not a number', "a step looks like */10", start=start, end=end)
    if number(text) == 0:
        raise FieldError("a step of 0 never gets on", "the smallest step is 1", start=start, end=end)
    return number(text)


def missing(kind: Kind, at: int) -> FieldError:
    """Return the error for a value that isn't there; `at` is the offset of the sign that wants it."""
    return FieldError(f"{kind.a_name} is missing here", kind.bounds, start=at, end=at + 1)


def _backwards(kind: Kind, ends: tuple[str, str], start: int, stepped: str) -> FieldError:
    """Vixie's crons take such a range as no value at all, others go round; so it must be said plainly."""
    low, high = ends
    named = bool(kind.names) and not is_number(high)
    bottom, top = str(kind.low), str(kind.top)
    if named:
        bottom, top = ("mon", "sun") if kind is WEEKDAY else ("jan", "dec")
    elif kind is WEEKDAY:
        bottom = "1"  # 7 is Sunday too, so what goes on after it begins on Monday
    parts = [_span(low, top, stepped)] + ([_span(bottom, high, stepped)] if high != "0" or kind is not WEEKDAY else [])
    message = f"{kind.name} range {low}-{high} runs backwards"
    return FieldError(message, f"write {','.join(parts)}", start=start, end=start + len(low) + 1 + len(high))


def _span(low: str, high: str, stepped: str) -> str:
    return low if low == high else f"{low}-{high}{stepped}"

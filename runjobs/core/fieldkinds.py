"""The seven kinds of schedule field: their bounds, their names, and how one value is read."""

from __future__ import annotations

from dataclasses import dataclass

from runjobs.core.errors import FieldError
from runjobs.core.nearest import nearest_word

_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LONGEST = 9  # digits; int() of a very long text is slow, and past 4,300 digits an error


def _names(words: tuple[str, ...], first: int) -> dict[str, int]:
    names = {word[:3]: number for number, word in enumerate(words, first)}
    return names | {word: number for number, word in enumerate(words, first)}


@dataclass(frozen=True, slots=True, eq=False)  # no eq: kinds are compared and hashed by identity, which is quick
class Kind:
    """One kind of field; `top` is the greatest value that may be written, `high` the greatest that is kept."""

    index: int
    name: str
    low: int
    high: int
    top: int
    names: dict[str, int]
    also: str = ""

    @property
    def a_name(self) -> str:
        """The name with its article."""
        return f"an {self.name}" if self.name == "hour" else f"a {self.name}"

    @property
    def bounds(self) -> str:
        """The sentence that says which values there are."""
        plural = "days of the month" if self.name == "day of the month" else f"{self.name}s"
        return f"{plural} go from {self.low} to {self.top}{self.also}"


SECOND = Kind(0, "second", 0, 59, 59, {})
MINUTE = Kind(1, "minute", 0, 59, 59, {})
HOUR = Kind(2, "hour", 0, 23, 23, {})
DAY = Kind(3, "day of the month", 1, 31, 31, {})
MONTH = Kind(4, "month", 1, 12, 12, _names(_MONTHS, 1), ", or jan to dec")
WEEKDAY = Kind(5, "weekday", 0, 6, 7, _names(_WEEKDAYS, 0), " (0 and 7 are Sunday), or sun to sat")
YEAR = Kind(6, "year", 1970, 2099, 2099, {})  # the years that croniter and cronexpr take

_SEVEN = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, YEAR)
LAYOUTS = {5: _SEVEN[1:6], 6: _SEVEN[:6], 7: _SEVEN}


def is_number(text: str) -> bool:
    """Whether the text is plain digits; str.isdigit alone also takes superscripts and other scripts' digits."""
    return text.isascii() and text.isdigit()


def number(text: str) -> int:
    """Return the value of plain digits, a very long one cut to a number past every bound."""
    return int(text) if len(text) <= _LONGEST else int(text.lstrip("0")[: _LONGEST + 1] or "0")


def read_value(kind: Kind, text: str, start: int) -> int:
    """Read one number or name; `start` is its offset in the field, for the error."""
    if is_number(text):
        return _in_bounds(kind, text, start)
    value = kind.names.get(text.lower())
    if value is None:
        raise _unreadable(kind, text, start)
    return value


def _in_bounds(kind: Kind, text: str, start: int) -> int:
    value = number(text)
    if kind.low <= value <= kind.top:
        return value
    side = f"past {kind.top}" if value > kind.top else f"below {kind.low}"
    hint = kind.bounds + _INSTEAD.get((kind.name, value), "")
    raise FieldError(f"{kind.name} {text[:20]} is {side}", hint, start=start, end=start + len(text))


_INSTEAD = {  # slips of who counts on from the last one
    ("second", 60): "; for the full minute write 0",
    ("minute", 60): "; for the full hour write 0",
    ("hour", 24): "; for midnight write 0",
    ("day of the month", 32): "; for the last one write L",
}


def _unreadable(kind: Kind, text: str, start: int) -> FieldError:
    end = start + len(text)
    digits = len(text) - len(text.lstrip("0123456789"))
    if digits:  # "5!" is minute 5 to Debian's cron, which hides the mistake: point at what follows the number
        message = f'"{text[digits:]}" after {kind.name} {text[:digits]} is not understood'
        return FieldError(message, kind.bounds, start=start + digits, end=end)
    return FieldError(f'"{text}" is not {kind.a_name}', _way_out(kind, text), start=start, end=end)


def _way_out(kind: Kind, text: str) -> str:
    word = text.lower()
    if text.startswith("*"):
        return f"* stands alone or takes a step, as in */5; {kind.bounds}"
    for other in (MONTH, WEEKDAY):
        if word in other.names:
            return f'"{text}" is a {other.name}, which has a field of its own; {kind.bounds}'
    if any(character.isdigit() and not character.isascii() for character in text):
        return f"write it with the plain digits 0 to 9; {kind.bounds}"
    nearest = nearest_word(word, kind.names)
    return f'did you mean "{nearest}"? {kind.bounds}' if nearest else kind.bounds

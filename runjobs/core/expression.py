"""The five, six or seven fields of an expression, read into a rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import LAYOUTS, SECOND, YEAR
from runjobs.core.fields import Field, parse_field
from runjobs.core.rule import Rule

if TYPE_CHECKING:
    from runjobs.core.fieldkinds import Kind

_WORD = re.compile(r"[^ \t]+")  # crontab(5) knows blanks and tabs; str.split would also take a no-break space
_IN_EVERY_MONTH = (1 << 30) - 2  # days 1 to 29: in some year every month has them, on any weekday
_FIRST_OF_1970 = 0

words = _WORD.findall


def parse_rule(expression: str, fields: int, name: str = "") -> tuple[Rule, bool]:
    """Read an expression of so many fields; the second value says whether the job's name had a part in it.

    Raises FieldError with offsets into `expression`.
    """
    texts, kinds = words(expression), LAYOUTS[fields]
    if len(texts) != len(kinds):
        raise _miscounted(expression, len(texts), fields)
    read, hashed = [], False
    for position, (kind, text) in enumerate(zip(kinds, texts, strict=True)):
        try:
            field, by_name = parse_field(kind, text, name)
        except FieldError as error:
            raise _shifted(error, expression, position) from None
        read.append(field)
        hashed = hashed or by_name
    rule = _rule(read)
    _check_it_fires(rule, expression)
    return rule, hashed


def _rule(read: list[Field]) -> Rule:
    second = read.pop(0) if read[0].kind is SECOND else _ON_THE_MINUTE
    year = read.pop() if read[-1].kind is YEAR else None
    minute, hour, day, month, weekday = read
    return Rule(second, minute, hour, day, month, weekday, year)


_ON_THE_MINUTE, _ = parse_field(SECOND, "0")


def _shifted(error: FieldError, expression: str, position: int) -> FieldError:
    """Return the error of one field with offsets into the whole expression."""
    at = next(word.start() for number, word in enumerate(_WORD.finditer(expression)) if number == position)
    end = error.end if error.end is not None else len(words(expression)[position])
    return FieldError(error.message, error.hint, start=at + error.start, end=at + end)


def _miscounted(expression: str, count: int, wanted: int) -> FieldError:
    for at, character in enumerate(expression):
        if character.isspace() and character not in " \t":
            message = f"U+{ord(character):04X} looks like a blank but separates nothing"
            return FieldError(message, "put an ordinary blank there", start=at, end=at + 1)
    message = f"{count} field{'' if count == 1 else 's'} where {wanted} are wanted"
    return FieldError(message, _layout_hint(expression, count, wanted), start=0, end=len(expression))


def _layout_hint(expression: str, count: int, wanted: int) -> str:
    if "=" in expression:
        return "a zone goes on a line of its own, CRON_TZ=Europe/Berlin, or above the job, #: tz=Europe/Berlin"
    if count in LAYOUTS:
        return f"`#: fields={count}` above the line says: {_names(LAYOUTS[count])}"
    return f"the fields are: {_names(LAYOUTS[wanted])}"


def _names(kinds: tuple[Kind, ...]) -> str:
    return ", ".join(kind.name for kind in kinds)


def _check_it_fires(rule: Rule, expression: str) -> None:
    if rule.year is None and not rule.weekday.special and rule.day.mask & _IN_EVERY_MONTH:
        return
    if rule.next_wall(_FIRST_OF_1970) is None:
        hint = ", ".join(f"{field.kind.name} {field.text}" for field in rule[3:] if field and not field.full)
        raise FieldError("there is no such day, ever", f"these can't meet: {hint}", start=0, end=len(expression))

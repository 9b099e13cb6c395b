"""How the values of options are read: each function takes the text, and raises FieldError with offsets into it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from runjobs.core.duration import parse_duration
from runjobs.core.errors import FieldError
from runjobs.core.job import On, Pool
from runjobs.core.names import check_name

YEAR = timedelta(days=366)

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum

    Choice = TypeVar("Choice", bound=Enum)
    Value = TypeVar("Value")


def positive(text: str) -> timedelta:
    """Read a duration of more than 0."""
    duration = parse_duration(text)
    if duration <= timedelta(0):
        raise FieldError("the duration must be more than 0", "write 30s, 5m or 1h30m")
    return duration


def up_to_a_year(text: str) -> timedelta:
    """Read a duration of at most a year: what is to happen by then can be written down as a time."""
    duration = parse_duration(text)
    if duration > YEAR:
        raise FieldError("the duration is longer than a year", "write 366d or less")
    return duration


def timeout(text: str) -> timedelta | None:
    """Read a duration, or `none` for no limit."""
    return None if text == "none" else positive(text)


def keep_for(text: str) -> timedelta | None:
    """Read how long something is kept, or `none` for ever."""
    return None if text == "none" else positive(text)


def choice(kind: type[Choice]) -> Callable[[str], Choice]:
    """Read one of an enum's values."""
    words = {member.value: member for member in kind}

    def parse(text: str) -> Choice:
        if text not in words:
            raise FieldError(f"{text!r} is not a choice here", _one_of(words))
        return words[text]

    return parse


def _one_of(words: dict[str, Choice]) -> str:
    return "write " + " or ".join(words)


def yes_or_no(text: str) -> bool:
    """Read yes or no."""
    if text not in {"yes", "no"}:
        raise FieldError(f"{text!r} is neither yes nor no", "write yes or no")
    return text == "yes"


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Read a whole number within bounds, both included."""

    def parse(text: str) -> int:
        # 9 digits hold every bound here, and int() of thousands of digits is an error of its own
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise FieldError(
                f"{text!r} is not a whole number from {low} to {high}", f"write a number from {low} to {high}"
            )
        return int(text)

    return parse


RETRY_WORDS = ("signal", "timeout", "error")
_pool_size = whole_number(1, 1000)
_exit_code = whole_number(0, 255)  # what wait(2) can report


def success_codes(text: str) -> frozenset[int]:
    """Read `0,2,10-19`."""
    return frozenset(code for codes in _each(text, _code_range) for code in codes)


def _each(text: str, read: Callable[[str], Value]) -> list[Value]:
    """Read the items of a list with commas between them; what is wrong with one is told with its place in the text."""
    values: list[Value] = []
    start = 0
    for item in text.split(","):
        try:
            values.append(read(item))
        except FieldError as error:
            raise FieldError(error.message, error.hint, start=start, end=start + len(item)) from None
        start += len(item) + 1
    return values


def _code_range(item: str) -> set[int]:
    low, dash, high = item.partition("-")
    first = _exit_code(low)
    last = _exit_code(high) if dash else first
    if last < first:
        raise FieldError(f"the range {item} runs backwards", f"write {last}-{first}")
    return set(range(first, last + 1))


def retry_on(text: str) -> frozenset[int | str]:
    """Read `1,75,100-110,timeout`: exit codes and ranges of them, and the words for other ways to go wrong."""
    return frozenset(way for ways in _each(text, _ways) for way in ways)


def _ways(item: str) -> set[int | str]:
    if item in RETRY_WORDS:
        return {item}
    if item[:1].isalpha():
        hint = f"write exit codes, or {', '.join(RETRY_WORDS)}"
        raise FieldError(f"{item!r} is no way for a run to go wrong", hint)
    return {*_code_range(item)}


def some_of(kind: type[Choice], what: str) -> Callable[[str], frozenset[Choice]]:
    """Read `create,move`: some of an enum's values; `what` says what a word is that is none of them."""
    words = {member.value: member for member in kind}

    def read(item: str) -> Choice:
        if item not in words:
            raise FieldError(f"{item!r} is {what}", f"write some of {','.join(words)}")
        return words[item]

    return lambda text: frozenset(_each(text, read))


on = some_of(On, "nothing that happens to a path")
LEAST_REST = timedelta(milliseconds=50)  # within a tick of the kernel's clock, 10 ms at most, two changes look like one


def settle(text: str) -> timedelta:
    """Read how long nothing must have changed: no less than file times can tell apart, and a day at the most."""
    rest = parse_duration(text)
    if not LEAST_REST <= rest <= timedelta(days=1):
        raise FieldError(f"{text} is not from 50ms to 1d", "write settle=500ms, or 5s for files that grow in bursts")
    return rest


def job_names(text: str) -> tuple[str, ...]:
    """Read `dump,backup`: names of jobs; whether there are such jobs shows when all files are read."""
    seen: set[str] = set()

    def read(name: str) -> str:
        check_name(name)
        if name in seen:
            raise FieldError(f"{name} stands here twice", "take one out")
        seen.add(name)
        return name

    return tuple(_each(text, read))


def pool(text: str) -> Pool:
    """Read `NAME:N`, a pool and how many runs it has room for."""
    name, colon, size = text.rpartition(":")
    if not colon:
        raise FieldError(f"the pool {text} does not say how many", f"write pool={text or 'uploads'}:2")
    check_name(name)
    return Pool(name, _pool_size(size))


def umask(text: str) -> int:
    """Read an octal mask."""
    if not re.fullmatch(r"0?[0-7]{1,3}", text):
        raise FieldError(f"{text!r} is not an octal mask", "write up to three octal digits, such as 027")
    return int(text, 8)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def parse_size(text: str) -> int:
    """Read a size in bytes: 4096, 64k, 10M, 1G (powers of 1000), 64Ki, 10Mi, 1Gi (powers of 1024)."""
    match = re.fullmatch(r"([0-9]{1,12})([kmg]i?|)b?", text.lower())
    if match is None:
        raise FieldError(f"{text!r} is not a size", "write bytes, or a number with k, M or G, such as 10M")
    return int(match[1]) * _UNITS[match[2]]


def absolute_path(text: str) -> str:
    """Read a path that means the same whoever starts the runner."""
    if not text.startswith("/"):
        raise FieldError(
            f"{text!r} is not an absolute path", "begin it with /: a relative path depends on who starts the runner"
        )
    return text


def user_name(text: str) -> str:
    """Read a user name or numeric id; whether there is one shows when the job starts."""
    match = re.match(r"[^\s:/,-][^\s:/,]*", text)  # what can't stand in passwd(5); directory services allow the rest
    end = match.end() if match else 0
    if end < len(text) or not text:
        raise FieldError(
            f"{text!r} can't be a user name" if text else "the user name is empty",
            "write a user's name or numeric id",
            start=end,
            end=min(end + 1, len(text)),
        )
    return text


def zone_name(text: str) -> str:
    """Read a zone name; whether there is such a zone is for `core.zone` to say, which loads it."""
    if not text:
        raise FieldError("the time zone is empty", "write a zone such as Europe/Berlin or UTC")
    return text

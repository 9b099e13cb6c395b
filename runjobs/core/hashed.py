"""`H` and `~` turned into plain values, the same ones for the same job every time."""

from __future__ import annotations

import re

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, YEAR, Kind, read_value
from runjobs.core.ranges import read_range, read_step
from runjobs.core.spread import stable_number

_JENKINS = re.compile(r"H(?:\((?P<range>[^()]*)\))?(?:/(?P<step>.*))?")
_EVERY_MONTH = 28  # every month has these days, so a hashed day never skips one, as in Jenkins


def is_hashed(item: str) -> bool:
    """Whether the item's value depends on the job's name."""
    return "~" in item or _JENKINS.fullmatch(item) is not None


def settle(kind: Kind, item: str, start: int, name: str) -> str:
    """Return the plain item that stands for a hashed one in the job of this name; a plain one stays as it is."""
    jenkins = _JENKINS.fullmatch(item)
    if jenkins is None and "~" not in item:
        return item
    if kind is YEAR:
        raise FieldError("a year can't be left to chance", kind.bounds, start=start, end=start + len(item))
    seed = stable_number(name, kind.index)
    return _random(kind, item, start, seed) if jenkins is None else _jenkins(kind, jenkins, start, seed)


def _jenkins(kind: Kind, parts: re.Match[str], start: int, seed: int) -> str:
    """Settle `H`, `H(a-b)`, `H/n`, `H(a-b)/n`: with a step the hash picks where in the first one it begins."""
    low, high = kind.low, _EVERY_MONTH if kind is DAY else kind.high
    if parts["range"] is not None:
        low, high = read_range(kind, parts["range"], start + parts.start("range"))
    if parts["step"] is None:
        return str(low + seed % (high - low + 1))
    step = read_step(parts["step"], start + parts.start("step"))
    first = low + seed % min(step, high - low + 1)
    return f"{first}-{high}/{step}"


def _random(kind: Kind, item: str, start: int, seed: int) -> str:
    """Settle cronie's `a~b`, `a~`, `~b` and `~`, which it draws anew at each load; here it is drawn once."""
    low_text, _, high_text = item.partition("~")
    high_at = start + len(low_text) + 1
    low = read_value(kind, low_text, start) if low_text else kind.low
    high = read_value(kind, high_text, high_at) if high_text else kind.high
    if item == "~" and kind is DAY:
        high = _EVERY_MONTH
    if low > high:
        message = f"{kind.name} range {item} runs backwards"
        raise FieldError(message, f"write {high_text or high}~{low_text}", start=start, end=start + len(item))
    return str(low + seed % (high - low + 1))

"""JSON for machines: one document per command, ASCII only, so that no locale and no job's text can break it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum


def to_json(value: object) -> str:
    """Return the value as indented JSON: times as ISO 8601, durations in seconds, enums by their values."""
    import json

    return json.dumps(value, indent=2, default=_plain)


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Enum():
            return value.value
        case set() | frozenset():
            words = (each.value if isinstance(each, Enum) else each for each in value)
            return sorted(words, key=lambda word: (isinstance(word, str), word))  # numbers and words may be mixed
    raise TypeError(f"{type(value).__name__} has no form in JSON")

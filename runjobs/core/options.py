"""Looking up the options of `#:` directives: by key, with the nearest right word where there is none of it."""

from __future__ import annotations

from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import nearest_word
from runjobs.core.option_table import OPTIONS, Option
from runjobs.core.values import not_yet

__all__ = ["LATER", "OPTIONS", "Option", "find_option"]

# keys that are to come: known, so that the message can be honest
LATER = frozenset({"cpu", "expect-within", "memory", "notify", "notify-on", "on", "pids", "recursive", "settle"})
# what other tools call it
_SYNONYMS = {
    "concurrency": "overlap",
    "concurrency-policy": "overlap",
    "deadline": "start-within",
    "depends": "after",
    "depends-on": "after",
    "dir": "cwd",
    "directory": "cwd",
    "exit-codes": "success-codes",
    "grace": "kill-after",
    "id": "name",
    "random-delay": "jitter",
    "splay": "jitter",
    "requires": "after",
    "retry": "retries",
    "time-limit": "timeout",
    "time-zone": "tz",
    "timezone": "tz",
    "workdir": "cwd",
    "working-directory": "cwd",
}


def find_option(key: str) -> Option:
    """Look a key up; FieldError suggests the nearest right word, or says that its time has not come."""
    option = OPTIONS.get(key)
    if option is not None:
        return option
    if key in LATER:
        raise not_yet(key)
    raise FieldError(f"there is no option {key!r}", _suggestion(key))


def _suggestion(key: str) -> str:
    plain = key.lower().replace("_", "-")
    near = _SYNONYMS.get(plain) or nearest_word(plain, OPTIONS)
    return f"did you mean {near}?" if near else "the options are " + ", ".join(OPTIONS)

"""Looking up the options of `#:` directives: by key, with the nearest right word where there is none of it."""

from __future__ import annotations

from runjobs.core.errors import FieldError
from runjobs.core.nearest import nearest_word
from runjobs.core.option import Option
from runjobs.core.option_table import OPTIONS

__all__ = ["OPTIONS", "Option", "find_option"]

# what other tools call it
_SYNONYMS = {
    "concurrency": "overlap",
    "concurrency-policy": "overlap",
    "cpu-quota": "cpu",
    "cpus": "cpu",
    "deadline": "start-within",
    "depends": "after",
    "depends-on": "after",
    "dir": "cwd",
    "directory": "cwd",
    "exit-codes": "success-codes",
    "grace": "kill-after",
    "id": "name",
    "mem": "memory",
    "mail": "notify",
    "mailto": "notify",
    "memory-limit": "memory",
    "memory-max": "memory",
    "random-delay": "jitter",
    "splay": "jitter",
    "tasks-max": "pids",
    "on-failure": "notify",
    "requires": "after",
    "retry": "retries",
    "time-limit": "timeout",
    "time-zone": "tz",
    "timezone": "tz",
    "workdir": "cwd",
    "working-directory": "cwd",
}


def find_option(key: str) -> Option:
    """Look a key up; FieldError suggests the nearest right word."""
    option = OPTIONS.get(key)
    if option is not None:
        return option
    raise FieldError(f"there is no option {key!r}", _suggestion(key))


def _suggestion(key: str) -> str:
    plain = key.lower().replace("_", "-")
    near = _SYNONYMS.get(plain) or nearest_word(plain, OPTIONS)
    return f"did you mean {near}?" if near else "the options are " + ", ".join(OPTIONS)

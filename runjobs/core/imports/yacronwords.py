"""The settings of a yacron or cronstable job in the words of a jobs file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from runjobs.core.duration import format_duration
from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, WEEKDAY
from runjobs.core.fields import parse_field
from runjobs.core.imports.account import Fate
from runjobs.core.imports.calendar import Days, day_fields
from runjobs.core.imports.shelltext import quote
from runjobs.core.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.core.imports.nodes import Node

SHELL = "/bin/sh"
_FIELDS = (("second", "0"), ("minute", "*"), ("hour", "*"), ("dayOfMonth", "*"), ("month", "*"), ("dayOfWeek", "*"),
           ("year", "*"))  # fmt: skip
_WITH_YEAR, _ALL = 6, 7
# what runjobs does anyway: every run's output goes to its log, whole lines, named after the job
_SAID = frozenset({"captureStderr", "captureStdout", "maxLineLength", "name", "saveLimit", "streamPrefix"})
_POLICIES = {"Allow": "allow", "Forbid": "skip", "Replace": "replace"}
_SECONDS = {
    "executionTimeout": "timeout",
    "killTimeout": "kill-after",
    "onFailure.retry.initialDelay": "retry-delay",
    "onFailure.retry.maximumDelay": "retry-ceiling",
    "startingDeadlineSeconds": "start-within",
}
_TEXTS = {
    "env_file": "env-file",
    "user": "user",
    "workingDirectory": "cwd",
    "onFailure.retry.maximumRetries": "retries",
}
_TRUE = frozenset({"true", "yes", "on", "1"})
_HINTS = {
    "group": "the job has the groups of its user",
    "statsd": "runjobs history --json has the figures",
}


def _as_yacron() -> dict[str, str]:
    return {"timeout": "none", "kill-after": "30s", "overlap": "allow"}


@dataclass
class Words:
    """One job: its options as a jobs file has them, and its schedule and command ("" where there is none)."""

    options: dict[str, str] = field(default_factory=_as_yacron)
    schedule: str = ""
    command: str = ""
    shell: str = SHELL
    utc: bool = True
    timezone: str = ""

    def option(self, key: str, value: str) -> None:
        """Set an option; FieldError where a jobs file can't have it."""
        OPTIONS[key].parse(value)
        self.options[key] = value

    def settle(self) -> None:
        """Draw the conclusions that need several settings."""
        zone = self.timezone or ("UTC" if self.utc else "")
        if zone and self.schedule != "@reboot":
            self.options["tz"] = zone


def take(words: Words, key: str, node: Node) -> Fate | None:
    """Take one setting over; None where runjobs has nothing like it, FieldError where it can't be taken as it is."""
    if key in _SAID:
        return Fate.COMMENT if key != "name" else Fate.CARRIED
    if key in _SECONDS:
        words.option(_SECONDS[key], format_duration(timedelta(seconds=_number(node))))
    elif key in _TEXTS:
        words.option(_TEXTS[key], node.text or "")
    elif key in _TAKEN:
        _TAKEN[key](words, node)
    else:
        return None
    return Fate.CARRIED


def hint(key: str) -> str:
    """Say what to do about a setting that runjobs has nothing like."""
    if key.startswith("on"):
        return "tell of it in the command, or ask runjobs status"
    return _HINTS.get(key, "see whether the job needs it, and put it into the command")


def _number(node: Node) -> float:
    try:
        return float(node.text or "")
    except ValueError:
        raise FieldError(f"{node.text!r} is no number", "write seconds") from None


def _is_true(node: Node) -> bool:
    return (node.text or "").lower() in _TRUE


def _command(words: Words, node: Node) -> None:
    if node.items is not None:
        words.command = " ".join(quote(item.text or "") for item in node.items)
    else:
        words.command = node.text or ""


def _shell(words: Words, node: Node) -> None:
    if not (node.text or "").startswith("/"):
        raise FieldError(f"the shell {node.text} has no path", "write its whole path")
    words.shell = node.text or ""


def _schedule(words: Words, node: Node) -> None:
    if node.pairs is not None:
        given = {pair.key: pair.node.text or "" for pair in node.pairs}
        unknown = sorted(set(given) - {name for name, _ in _FIELDS})
        if unknown:
            raise FieldError(f"a schedule has no {unknown[0]}", "the fields are minute to dayOfWeek, and year")
        fields = [given.get(name, other) for name, other in _FIELDS]
        fields = fields if given.keys() & {"second", "year"} else fields[1:-1]
    else:
        text = node.text or ""
        if text.startswith("@"):
            words.schedule = text
            return
        fields = text.split()
        if len(fields) == _WITH_YEAR:
            fields.insert(0, "0")  # yacron's sixth field is the year, ours the seconds
    words.schedule = " ".join(_matching(fields))
    if len(fields) == _ALL:
        words.options["fields"] = str(_ALL)


def _matching(fields: list[str]) -> list[str]:
    """Have both day fields match, as yacron has them; in a crontab either would do, unless one begins with a star."""
    offset = 1 if len(fields) == _ALL else 0
    if len(fields) < _ALL - 2:
        return fields  # the parser says what is missing
    day, weekday = fields[2 + offset], fields[4 + offset]
    if day[0] in "*?" or weekday[0] in "*?":
        return fields
    days, weekdays = parse_field(DAY, day)[0], parse_field(WEEKDAY, weekday)[0]
    if days.special or weekdays.special:
        raise FieldError("both day fields must match, which a crontab can't say here", "write two jobs, or a test")
    both = day_fields(Days(frozenset(days.values)), set(weekdays.values))
    return [*fields[: 2 + offset], both[0], fields[3 + offset], both[1], *fields[5 + offset :]]


def _zone(words: Words, node: Node) -> None:
    words.timezone = node.text or ""


def _utc(words: Words, node: Node) -> None:
    words.utc = _is_true(node)


def _policy(words: Words, node: Node) -> None:
    if node.text not in _POLICIES:
        raise FieldError(f"{node.text!r} is no policy", "they are Allow, Forbid and Replace")
    words.option("overlap", _POLICIES[node.text])


def _enabled(words: Words, node: Node) -> None:
    words.option("enabled", "yes" if _is_true(node) else "no")


def _fails_when(_: Words, node: Node) -> None:
    if _is_true(node):
        raise FieldError("a job fails by its exit code here", "have the command test what it says")


def _fails_nonzero(words: Words, node: Node) -> None:
    if not _is_true(node):
        words.option("success-codes", "0-255")


def _backoff(_: Words, node: Node) -> None:
    if _number(node) != 2:  # noqa: PLR2004  ours doubles
        raise FieldError("the wait before a retry is doubled each time", "set retry-ceiling= to bound it")


_TAKEN: dict[str, Callable[[Words, Node], None]] = {
    "command": _command,
    "concurrencyPolicy": _policy,
    "enabled": _enabled,
    "failsWhen.always": _fails_when,
    "failsWhen.nonzeroReturn": _fails_nonzero,
    "failsWhen.producesStderr": _fails_when,
    "failsWhen.producesStdout": _fails_when,
    "onFailure.retry.backoffMultiplier": _backoff,
    "schedule": _schedule,
    "shell": _shell,
    "timezone": _zone,
    "utc": _utc,
}

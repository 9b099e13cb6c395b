"""The names of the jobs in a jobs file, read without judging it: for completion, which nobody waits for."""

from __future__ import annotations

import re

from runjobs.core.directives import IS_DIRECTIVE, split_words
from runjobs.core.entry import take_apart
from runjobs.core.environment import IS_ASSIGNMENT
from runjobs.core.errors import FieldError
from runjobs.core.lines import Report, read_lines
from runjobs.core.names import check_job_name, derived_name, file_part, numbered

_FIELDS = 5
_KEYS = ("name", "fields", "user-column")  # the options that have a say in what a job is called
_MATTERS = re.compile("|".join(_KEYS))


def names_in(text: str, *, source: str, user_column: bool = False) -> list[str]:
    """Return the names that `core.crontab.parse` gives the jobs of a file, in their order, in a fraction of its time.

    Schedules and options are not looked at, so a job that a mistake keeps from being loaded is among them.
    """
    glance = _Glance(source, user_column=user_column)
    for _number, line in read_lines(text, Report(source)):
        glance.take(line)
    return list(glance.names)


class _Glance:
    """One pass over one file: what stood above the next job, and the names so far."""

    def __init__(self, source: str, *, user_column: bool) -> None:
        self.names: dict[str, None] = {}
        self.prefix = file_part(source)
        self.user_column = user_column
        self.fields = _FIELDS
        self.repeats: dict[str, int] = {}
        self.pending: dict[str, str] = {}

    def take(self, line: str | None) -> None:
        """Read one line."""
        body = line.lstrip(" \t") if line is not None else ""
        if line is None:
            self.pending = {}
        elif body.startswith("#"):
            if IS_DIRECTIVE.match(body) and _MATTERS.search(body):
                self._directive(line, len(line) - len(body) + 2)
        elif body and not IS_ASSIGNMENT.match(line):
            self._job(line, len(line) - len(body))

    def _directive(self, line: str, start: int) -> None:
        try:
            words = [word.text for word in split_words(line, start)]
        except FieldError:
            return  # a quote that is never closed: nothing of it counts
        given = {key: value for key, _, value in (word.partition("=") for word in words) if key in _KEYS}
        if "user-column" in given:
            self.user_column = given["user-column"] in {"", "yes"}
        if words[:1] == ["defaults"]:
            self.fields = _number(given.get("fields", ""), self.fields)
        else:
            self.pending |= given

    def _job(self, line: str, start: int) -> None:
        pending, self.pending = self.pending, {}
        try:
            self.names[self._name(line, start, pending)] = None
        except FieldError:
            return  # no job, or one that can't be named

    def _name(self, line: str, start: int, pending: dict[str, str]) -> str:
        """Name a job; FieldError where its line is none."""
        if "name" in pending:
            return check_job_name(pending["name"])
        fields = _number(pending.get("fields", ""), self.fields)
        at = start + 1 if line[start] == "-" else start  # cronie's sign for "don't log"
        entry = take_apart(line, at, fields, user_column=self.user_column)
        return numbered(derived_name(self.prefix, entry.command), self.repeats, self.names)


def _number(text: str, otherwise: int) -> int:
    return int(text) if text in {"5", "6", "7"} else otherwise

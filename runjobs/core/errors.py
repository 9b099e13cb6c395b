"""What can be wrong with input, as values that say where, what, and the way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """How bad a problem is: an error keeps its job from running, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Place(NamedTuple):
    """A stretch of one line of a jobs file; line and column count from 1, a width of 0 is the whole line."""

    source: str
    line: int
    column: int = 1
    width: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in the input: its place, what is wrong there, and the way out.

    `text` is the line as written, without its newline ("" where no line is at fault).
    `hint` is one sentence that says what to write instead ("" where there is nothing to add).
    `other` is a second place that takes part in the mistake, such as the first of two equal names.
    """

    place: Place
    message: str
    hint: str = ""
    text: str = ""
    severity: Severity = Severity.ERROR
    other: Place | None = None


class FieldError(ValueError):
    """A piece of text that can't be read; `start` and `end` are offsets into the text that was given."""

    def __init__(self, message: str, hint: str = "", *, start: int = 0, end: int | None = None) -> None:
        """Keep the message, the way out, and the offending stretch of the text."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.start = start
        self.end = end


class RunjobsError(Exception):
    """Something that stops the command: one message, the way out, and the exit code (78 unless told)."""

    exit_code = 78  # EX_CONFIG, sysexits(3)

    def __init__(self, message: str, hint: str = "", *, exit_code: int | None = None) -> None:
        """Keep the message, the way out, and the exit code where it is not the usual one."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        if exit_code is not None:
            self.exit_code = exit_code


class UsageError(RunjobsError):
    """The command line asked for something that can't be."""

    exit_code = 2

"""An account of what became of each line of a source, so that nothing can be lost in silence."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import Place, Problem, Severity
from runjobs.core.imports.secrets import hide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# a line that is kept as a comment must stay one line, and a jobs file has no NUL byte and no lone carriage return
_VISIBLE = str.maketrans({"\0": "\\0", "\r": "\\r", "\n": "\\n"})


class Fate(Enum):
    """What became of a line: `comment` is what did nothing where it stood, `reported` what can't be done here."""

    CARRIED = "carried"
    COMMENT = "comment"
    BLANK = "blank"
    REPORTED = "reported"


class Source(NamedTuple):
    """A text to take over, and what to call it in messages."""

    path: str
    text: str


class Counted(NamedTuple):
    """What became of each line of one source, from its first."""

    path: str
    fates: tuple[Fate, ...]


class Taken(NamedTuple):
    """A jobs file made from other files: its name in the jobs folder, its text, and what is to be said of it.

    A problem that is an error was not carried over; a warning was, but is to be known. `private`: its text holds what
    looks like a secret.
    """

    name: str
    text: str
    jobs: int
    problems: tuple[Problem, ...]
    counted: tuple[Counted, ...]
    private: bool


class Loss(NamedTuple):
    """Lines that were not carried over, and why; `last` is the last of them."""

    first: int
    last: int
    message: str


class Account:
    """What became of each line of one source. A line that nobody has spoken of when it is closed is reported."""

    def __init__(self, source: Source) -> None:
        """Begin with all lines unspoken of; lines end with a newline and nothing else, and count from 1."""
        self.path = source.path
        self.lines = source.text.split("\n")
        if not self.lines[-1]:
            self.lines.pop()
        self.losses: list[Loss] = []
        self.problems: list[Problem] = []
        self._fates: list[Fate | None] = [None] * len(self.lines)

    def settle(self, fate: Fate, first: int, last: int | None = None) -> None:
        """Say what became of some lines; a line that was reported stays so."""
        for number in range(first, (last or first) + 1):
            if self._fates[number - 1] is not Fate.REPORTED:
                self._fates[number - 1] = fate

    def lose(self, first: int, message: str, hint: str, last: int | None = None, at: Place | None = None) -> None:
        """Report lines that can't be carried over, in whole or in part; `at` is the stretch of the line at fault."""
        self._report(first, last or first, message, hint, Severity.ERROR, at)

    def drop(self, first: int, message: str, hint: str, last: int | None = None) -> None:
        """Report lines that are not carried over because they would do nothing here: that is no error."""
        self._report(first, last or first, message, hint, Severity.WARNING)

    def warn(self, number: int, message: str, hint: str) -> None:
        """Say what is to be known of a line that was carried over."""
        self._add(number, message, hint, Severity.WARNING)

    def _report(  # noqa: PLR0913, PLR0917  each is a fact from elsewhere
        self, first: int, last: int, message: str, hint: str, severity: Severity, at: Place | None = None
    ) -> None:
        self.settle(Fate.REPORTED, first, last)
        self.losses.append(Loss(first, last, message))
        self._add(first, message, hint, severity, at)

    def _add(self, number: int, message: str, hint: str, severity: Severity, at: Place | None = None) -> None:
        line = self.lines[number - 1] if self.lines else ""
        text = hide(visible(line))
        place = at._replace(source=self.path) if at and text == line else Place(self.path, number)
        self.problems.append(Problem(place, hide(message), hide(hint), text, severity))

    def unsettled(self) -> Iterator[int]:
        """Give the lines that nobody has spoken of yet."""
        return (number for number, fate in enumerate(self._fates, 1) if fate is None)

    def close(self, is_comment: Callable[[str], bool]) -> Counted:
        """Settle blank lines and comments, report every other line that is left, and give the account."""
        for number in list(self.unsettled()):
            line = self.lines[number - 1].strip()
            if not line:
                self.settle(Fate.BLANK, number)
            elif is_comment(line):
                self.settle(Fate.COMMENT, number)
            else:
                self.lose(number, "this line is not understood", "see what it does, and write it by hand")
        return Counted(self.path, tuple(fate or Fate.REPORTED for fate in self._fates))

    def kept(self) -> Iterator[str]:
        """Give the lines that were not carried over as comments, each with its reason, in the order of the source."""
        for loss in sorted(self.losses):
            yield f"# not carried over from {visible(self.path)}, line {loss.first}: {visible(loss.message)}"
            yield from (f"#   {visible(line)}" for line in self.lines[loss.first - 1 : loss.last])


def visible(text: str) -> str:
    """Return text as it may stand in one comment line."""
    return text.translate(_VISIBLE)

"""The lines of a jobs file, and the list of what is wrong with them; BOM, CRLF, NUL and lone CR are answered here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError, Place, Problem, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

BOM = "\ufeff"
# both orders of a UTF-16 BOM, as bytes that are not UTF-8 arrive here (surrogateescape, PEP 383)
_UTF16 = ("\udcff\udcfe", "\udcfe\udcff")
_MARKS = {
    "\0": ("a NUL byte", "remove it: a jobs file is plain text"),
    "\r": ("a carriage return inside the line", "end each line with a newline; tr '\\r' '\\n' converts old Mac files"),
}


class Report:
    """Collects the problems of one file."""

    def __init__(self, source: str) -> None:
        """Begin with none."""
        self.source = source
        self.problems: list[Problem] = []

    def add(self, number: int, line: str, error: FieldError, *, other: int | None = None) -> None:
        """Add an error; its offsets count from the beginning of the line. `other` is a second line at fault."""
        self._add(number, line, error, Severity.ERROR, other)

    def warn(self, number: int, line: str, error: FieldError) -> None:
        """Add a warning; its offsets count from the beginning of the line."""
        self._add(number, line, error, Severity.WARNING, None)

    def _add(self, number: int, line: str, error: FieldError, severity: Severity, other: int | None) -> None:
        end = len(line) if error.end is None else error.end
        place = Place(self.source, number, error.start + 1, max(1, end - error.start))
        second = None if other is None else Place(self.source, other)
        self.problems.append(Problem(place, error.message, error.hint, _shown(line), severity, second))


def _shown(line: str) -> str:
    """A line as others may see it: who is told may be named by a secret, which has stars instead."""
    if "notify" not in line:
        return line
    from runjobs.core.receivers import masked

    return masked(line)


def read_lines(text: str, report: Report) -> Iterator[tuple[int, str | None]]:
    """Give each line with its number from 1, without its line end; None stands for a line that can't be used.

    Only a newline ends a line, as in cron. What is wrong is reported.
    """
    if text.startswith(_UTF16):
        hint = f"convert it: iconv -f UTF-16 -t UTF-8 {report.source}"
        report.add(1, "", FieldError("the file is written in UTF-16", hint))
        return iter(())
    if text.startswith(BOM):
        text = text[1:]
        hint = "save it as UTF-8 without a BOM: cron takes it for a part of the first line"
        report.warn(1, text.partition("\n")[0].rstrip("\r"), FieldError("the file begins with a BOM", hint, end=1))
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return _clean(lines, report) if "\0" in text or "\r" in text else iter(enumerate(lines, 1))


def _clean(lines: list[str], report: Report) -> Iterator[tuple[int, str | None]]:
    warned = False
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r")
        if line != raw and not warned:
            warned = True
            hint = f"convert it: sed -i 's/\\r$//' {report.source}; cron takes the carriage return for text"
            report.warn(number, line, FieldError("the lines end in CRLF, as on Windows", hint, start=len(line)))
        mark = next((mark for mark in _MARKS if mark in line), None)
        if mark is not None:
            what, hint = _MARKS[mark]
            at = line.index(mark)
            report.add(number, line, FieldError(what, hint, start=at, end=at + 1))
        yield number, None if mark is not None else line

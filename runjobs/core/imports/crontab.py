"""Crontabs taken over line by line: every crontab is a jobs file, but for lines that hide a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.crontab import JobsFile, parse
from runjobs.core.directives import IS_DIRECTIVE
from runjobs.core.environment import FIXED, IS_ASSIGNMENT, read_assignment
from runjobs.core.errors import FieldError, Place, Severity
from runjobs.core.imports.account import Account, Fate, Source, Taken, visible
from runjobs.core.imports.secrets import has_secret, is_secret
from runjobs.core.lines import Report, read_lines

if TYPE_CHECKING:
    from collections.abc import Collection

# What cron does and runjobs would not do unasked. Where a file has directives of ours it is left to them.
_AS_CRON = ("env=clean", "timeout=none", "overlap=allow")
SECRET_HINT = "put it into a file that only the job's user can read, and write env-file=PATH above the job"  # noqa: S105


class Crontab(NamedTuple):
    """A crontab to take over, and what its own text doesn't say.

    `name` is that of the file to write. `user_column`: each job names its user. `user` is whose crontab it is, where
    that must be said.
    """

    source: Source
    name: str
    user_column: bool = False
    user: str = ""


def take_crontab(crontab: Crontab, taken: Collection[str] = ()) -> Taken:
    """Make a jobs file of a crontab; `taken` are names of jobs that it must not use again.

    Its lines stay as they are. One that can't be read becomes a comment with the reason above it; what depends on it
    (the jobs under a zone that doesn't exist) becomes one, too, since it would run otherwise than was meant.
    """
    taking = _Taking(crontab, taken)
    taking.read()
    parsed = taking.sift()
    return taking.result(parsed)


class _Taking:
    """One crontab on its way: the lines that are left of it, and why the others are not."""

    def __init__(self, crontab: Crontab, taken: Collection[str]) -> None:
        self.crontab = crontab
        self.taken = taken
        self.account = Account(crontab.source)
        self.lines: dict[int, str] = {}
        self.reasons: dict[int, str] = {}
        self.private = False

    # line by line

    def read(self) -> None:
        """Take each line that can be one; say what is odd about it."""
        text = self.crontab.source.text
        report = Report(self.crontab.source.path)
        lines = dict(read_lines(text, report))
        for problem in report.problems:
            if problem.severity is Severity.WARNING:
                self.account.warn(problem.place.line, problem.message, "it is taken out of the copy")
        wrong = {problem.place.line: problem for problem in report.problems if problem.severity is Severity.ERROR}
        for number in range(1, len(self.account.lines) + 1):
            line = lines.get(number)
            if line is None:
                problem = wrong.get(number, report.problems[0])
                self._lose(Place("", number), problem.message, problem.hint)
            else:
                self._read(number, line)
        if text and not text.endswith("\n") and self._is_live(len(self.account.lines)):
            message = "the last line ends without a newline: Debian's cron refuses such a file, others drop the line"
            self.account.warn(len(self.account.lines), message, "see whether this job has ever run")

    def _read(self, number: int, line: str) -> None:
        body = line.lstrip(" \t")
        if body.startswith("#") and IS_DIRECTIVE.match(body) and not _is_ours(body):
            line = "# :" + body[2:]  # in a crontab it was prose
        elif body.startswith("-") and body[1:].strip():
            line = " " * (len(line) - len(body) + 1) + body[1:]
            self.account.warn(number, "the leading - is taken out", "it kept the job out of syslog, which is not used")
        self.lines[number] = line
        if body[:1] not in {"", "#"} and IS_ASSIGNMENT.match(line):
            self._read_variable(number, line)

    def _read_variable(self, number: int, line: str) -> None:
        try:
            name, value = read_assignment(line)
        except FieldError:
            return  # the parser says so
        if name in FIXED:
            self.account.drop(number, f"cron sets {name} itself, and so does runjobs", "there is nothing to do")
            self.reasons[number] = f"cron sets {name} itself, and so does runjobs"
            self.lines[number] = ""
        elif name == "CRON_TZ" and value:
            message = "CRON_TZ moves the schedules below it, as in cronie; Debian's cron takes it for a plain variable"
            self.account.warn(number, message, "for a job that came from Debian's cron take the line out")
        elif is_secret(name, value):
            self.private = True
            self.account.warn(number, f"{name} looks like a secret", SECRET_HINT)

    def _is_live(self, number: int) -> bool:
        body = self.lines.get(number, "").lstrip(" \t")
        return body[:1] not in {"", "#"}

    # what can't be read, and what hangs on it

    def sift(self) -> JobsFile:
        """Take out what is wrong until nothing is; return what is left, parsed."""
        while True:
            parsed = self._parse()
            wrong = [(each.place, each.message, each.hint) for each in parsed.problems
                     if each.severity is Severity.ERROR]  # fmt: skip
            wrong += [
                (Place("", job.line), f"a job named {job.name} is already there", "give it another name")
                for job in parsed.jobs
                if job.name in self.taken
            ]
            if not wrong:
                return parsed
            loaded = {job.line for job in parsed.jobs}
            for place, message, hint in wrong:
                self._lose(place, message, hint)
                self._lose_dependents(place.line, loaded)

    def _parse(self) -> JobsFile:
        numbers = range(1, len(self.account.lines) + 1)
        text = "".join(f"{self.lines.get(number, '')}\n" for number in numbers)
        return parse(text, source=self.crontab.name, user_column=self.crontab.user_column)

    def _lose(self, place: Place, message: str, hint: str) -> None:
        if place.line not in self.reasons:
            self.account.lose(place.line, message, hint, at=place if place.width else None)
            self.reasons[place.line] = message
        self.lines[place.line] = ""

    def _lose_dependents(self, number: int, loaded: set[int]) -> None:
        line = self.account.lines[number - 1].lstrip(" \t\ufeff")
        if line.startswith("#") and "defaults" in line.split("=")[0]:
            self._lose_jobs(number, len(self.account.lines), loaded, f"the defaults in line {number} can't be read")
        elif line.startswith("#"):
            after = (each for each in range(number, len(self.account.lines) + 1) if self._is_job(each))
            self._lose_group(next(after, len(self.account.lines) + 1), f"its options in line {number} can't be read")
        elif line.startswith("CRON_TZ"):
            end = next((each for each in range(number + 1, len(self.account.lines) + 1) if self._sets_zone(each)), None)
            self._lose_jobs(number, (end or len(self.account.lines) + 1) - 1, loaded,
                            f"its time zone stands in line {number}, which can't be read")  # fmt: skip
        elif not IS_ASSIGNMENT.match(line):
            self._lose_group(number, f"it belongs to the job in line {number}")

    def _lose_jobs(self, first: int, last: int, loaded: set[int], why: str) -> None:
        for number in range(first, last + 1):
            if self._is_job(number) and number not in loaded:
                self._lose_group(number, why)

    def _lose_group(self, job: int, why: str) -> None:
        """Lose a job with the option lines above it, which would go to the next job."""
        hint = f"mend it there, then: runjobs import {visible(self.account.path)}"
        for number in range(job, 0, -1):
            if number < job and self._is_job(number):
                break
            line = self.lines.get(number, "").lstrip(" \t")
            if self._is_job(number) or (_is_ours(line) and line[2:].split()[0] not in {"defaults", "user-column"}):
                self._lose(Place("", number), why, hint)

    def _is_job(self, number: int) -> bool:
        return self._is_live(number) and not IS_ASSIGNMENT.match(self.lines[number])

    def _sets_zone(self, number: int) -> bool:
        return self.lines.get(number, "").lstrip(" \t").startswith("CRON_TZ")

    # the result

    def result(self, parsed: JobsFile) -> Taken:
        """Put the jobs file together and close the account."""
        for number in range(1, len(self.account.lines) + 1):
            if self._is_live(number) or _is_ours(self.lines.get(number, "").lstrip(" \t")):
                self.account.settle(Fate.CARRIED, number)
        body = [text for number in range(1, len(self.account.lines) + 1) for text in self._written(number)]
        text = "".join(f"{line}\n" for line in (*self._head(), *body))
        counted = self.account.close(lambda line: line.startswith("#"))
        problems = tuple(sorted(self.account.problems, key=lambda problem: problem.place.line))
        private = self.private or has_secret(text)
        return Taken(self.crontab.name, text, len(parsed.jobs), problems, (counted,), private)

    def _written(self, number: int) -> list[str]:
        if number not in self.reasons:
            return [self.lines[number]]
        return [
            f"# not carried over: {visible(self.reasons[number])}",
            f"#   {visible(self.account.lines[number - 1])}",
        ]

    def _head(self) -> list[str]:
        options = [] if any(_is_ours(line.lstrip(" \t")) for line in self.lines.values()) else [*_AS_CRON]
        if self.crontab.user:
            options.append(f"user={self.crontab.user}")
        head = [f"# Taken over from {visible(self.account.path)} by runjobs import."]
        if options:
            head.append("# As it was under cron; without a word of the next line runjobs does as its manual says.")
            head.append(f"#: defaults {' '.join(options)}")
        return [*head, "#: user-column", ""] if self.crontab.user_column else [*head, ""]


def _is_ours(body: str) -> bool:
    """Tell whether a line is meant for runjobs: prose behind `#:` has no `=`."""
    words = body[2:].split()
    meant = "=" in body or (bool(words) and words[0] in {"defaults", "user-column"})
    return IS_DIRECTIVE.match(body) is not None and bool(words) and meant

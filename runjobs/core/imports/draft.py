"""A jobs file in the making, for sources that are no crontabs: each job is read back before it is taken."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from runjobs.core.crontab import parse
from runjobs.core.errors import FieldError, Severity
from runjobs.core.imports.account import visible
from runjobs.core.imports.naming import job_name
from runjobs.core.imports.shelltext import written

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class Draft:
    """The lines of a jobs file so far, and the names of its jobs."""

    def __init__(self, origin: str, taken: Collection[str] = ()) -> None:
        """Begin with a line that says where all of it comes from; names that are `taken` are not given again."""
        self.lines = [f"# Taken over from {visible(origin)} by runjobs import."]
        self.names = set(taken)
        self.jobs = 0

    @property
    def text(self) -> str:
        """The jobs file."""
        return "".join(f"{line}\n" for line in self.lines)

    def remark(self, text: str) -> None:
        """Add a comment."""
        self.lines.append(f"# {visible(text)}".rstrip())

    def add(self, *lines: str) -> None:
        """Add lines that are known to be good."""
        self.lines += lines

    def add_job(self, called: str, schedule: str, command: str, options: Mapping[str, str]) -> str:
        """Add a job of a shell's command and return its name; FieldError where it can't be one.

        `options` are in the words of a jobs file, without the name, which is made from what the job was called.
        """
        name = job_name(called, self.names)
        words = [f"name={name}", *(f"{key}={value}" for key, value in options.items())]
        lines = [f"#: {' '.join(map(_word, words))}", f"{schedule} {written(command)}"]
        problems = parse("\n".join(lines), source="import").problems
        wrong = next((problem for problem in problems if problem.severity is Severity.ERROR), None)
        if wrong:
            raise FieldError(wrong.message, wrong.hint)
        self.names.add(name)
        self.jobs += 1
        self.lines += lines
        return name


def _word(word: str) -> str:
    return shlex.quote(word) if set(word) & set(" \t\"'\\#") else word

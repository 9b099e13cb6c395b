"""What holds for everything that is taken over: it reads without errors, and no line of its source is lost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runjobs.core.crontab import parse
from runjobs.core.errors import Severity
from runjobs.core.imports.account import Fate, Source, Taken, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.core.job import Job

CASES = Path(__file__).parents[1] / "cases" / "imports"


def lines_of(text: str) -> list[str]:
    """The lines of a text, as `wc -l` counts them."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def accounted(taken: Taken, *sources: Source) -> list[Job]:
    """Check that every line has its fate, and that the fate is true; return the jobs that were made."""
    read = parse(taken.text, source=taken.name)
    assert [problem for problem in read.problems if problem.severity is Severity.ERROR] == []
    assert len(read.jobs) == taken.jobs
    assert [counted.path for counted in taken.counted] == [source.path for source in sources]
    for counted, source in zip(taken.counted, sources, strict=True):
        _hold(taken, source, counted.fates)
    return list(read.jobs)


def _hold(taken: Taken, source: Source, fates: Sequence[Fate]) -> None:
    lines = lines_of(source.text)
    assert len(fates) == len(lines)
    kept = set(taken.text.split("\n"))
    told = {problem.place.line for problem in taken.problems if problem.place.source == source.path}
    for number, (line, fate) in enumerate(zip(lines, fates, strict=True), 1):
        if fate is Fate.BLANK:
            assert not line.strip()
        elif fate is Fate.REPORTED:
            assert f"#   {visible(line)}" in kept, f"line {number} is gone: {line}"
            assert any(first <= number for first in told), f"nobody was told of line {number}: {line}"
        else:
            assert line.strip(), f"line {number} is blank"


def messages(taken: Taken, severity: Severity = Severity.ERROR) -> list[str]:
    """What is to be said of it."""
    return [problem.message for problem in taken.problems if problem.severity is severity]

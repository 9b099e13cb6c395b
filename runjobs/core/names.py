"""Names: of jobs and locks, of jobs that give none, of one name given twice, and of files that are no jobs files."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import FieldError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from runjobs.core.crontab import JobsFile
    from runjobs.core.job import Job

LONGEST = 200  # with a state folder's path and a suffix it stays below NAME_MAX and PATH_MAX, limits.h
ONCE_PREFIX = "at/"  # of the jobs of `runjobs at`
LONGEST_PART = 40  # of a derived name: enough to recognise a file and a command
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")
LEADING_ASSIGNMENTS = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*=[^\s\"'`$\\()]*[ \t]+)+")
_FIRST_WORD = re.compile(r"[^ \t;&|<>()]+")

# editors' and package managers' leftovers, which cron(8) and run-parts(8) pass over too
_LEFTOVER = re.compile(r"~$|^#.*#$|\.(?:bak|swp|swo|orig|rej|tmp)$|\.dpkg-[^.]*$|\.ucf-[^.]*$|\.rpm[^.]*$")


def skip_reason(name: str) -> str:
    """Say why a file of this base name in a jobs folder is no jobs file ("" when it is one)."""
    if name.startswith("."):
        return "hidden"
    return "an editor's or package manager's leftover" if _LEFTOVER.search(name) else ""


def check_name(text: str) -> str:
    """Give `text` back when it may name a job or a lock; FieldError points at what may not be in a name."""
    if not text:
        raise FieldError("a name can't be empty", "write name=backup")
    match = _NAME.match(text)
    end = match.end() if match else 0
    if end < len(text):
        raise FieldError(
            f"a name can't {'begin with' if end == 0 else 'contain'} {text[end]!r}", _ALPHABET, start=end, end=end + 1
        )
    if len(text) > LONGEST:
        raise FieldError(
            f"a name of {len(text)} characters is too long",
            f"use at most {LONGEST} characters",
            start=LONGEST,
            end=len(text),
        )
    _check_segments(text)
    return text


def check_job_name(text: str) -> str:
    """Give `text` back when a jobs file may call a job so; FieldError where it may not."""
    if text.startswith(ONCE_PREFIX):
        message = f"names that begin with {ONCE_PREFIX} are those of `runjobs at`"
        raise FieldError(message, "begin it with another word", end=len(ONCE_PREFIX))
    return check_name(text)


_ALPHABET = "use letters, digits and . _ - / and begin with a letter or digit"


def _check_segments(text: str) -> None:
    # a name becomes a path below the state folder: no segment may climb out of it or vanish
    start = 0
    for segment in text.split("/"):
        if segment in {"", ".", ".."}:
            raise FieldError(
                f"a name can't have the segment {segment!r}",
                "put a word on both sides of each /",
                start=start,
                end=start + len(segment),
            )
        start += len(segment) + 1


def file_part(source: str) -> str:
    """Name the file a job stands in: its base name without the extension, in the name alphabet."""
    base = source.rsplit("/", 1)[-1]
    stem = base.rsplit(".", 1)[0] or base
    return _tame(stem)


def derived_name(prefix: str, command: str) -> str:
    """Name a job that has no `name=`: FILE/WORD-hash, the same wherever the line stands in its file.

    The hash is over the whole command as written, so another command is another job; CRC-32 is stable
    between Python versions and machines, which `hash()` is not, and it need not resist attackers.
    """
    check = zlib.crc32(command.encode("utf-8", "surrogateescape")) & 0xFFFFFF
    return f"{prefix}/{word_part(command)}-{check:06x}"


def numbered(base: str, repeats: dict[str, int], taken: Container[str]) -> str:
    """Tell jobs of one derived name apart: `base`, `base.2`, `base.3`; `repeats` counts them and is kept up to date."""
    repeat = repeats.get(base, 0) + 1
    while (name := base if repeat == 1 else f"{base}.{repeat}") in taken:
        repeat += 1
    repeats[base] = repeat
    return name


def word_part(command: str) -> str:
    """Name a command by the base name of its first word; assignments before it (`A=1 cmd`) don't count."""
    lead = LEADING_ASSIGNMENTS.match(command)
    match = _FIRST_WORD.search(command, lead.end() if lead else 0)
    return _tame(match[0].rsplit("/", 1)[-1]) if match else "job"


def _tame(text: str) -> str:
    return _STRANGE.sub("-", text).strip("._-")[:LONGEST_PART].rstrip("._-") or "job"


class JobsFolder(NamedTuple):
    """All files of a runner taken together: jobs whose names are unique, and every problem."""

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]


def merge(files: Iterable[JobsFile]) -> JobsFolder:
    """Put files together, in their order; of two jobs of one name the first is kept, the second is an error.

    The first one runs on because a mistake in a file must not stop another file's jobs; files come sorted
    by name, so it is the same job at every start and in every runner.
    """
    kept: dict[str, Job] = {}
    problems: list[Problem] = []
    for file in files:
        problems += file.problems
        for job in file.jobs:
            first = kept.setdefault(job.name, job)
            if first is not job:
                problems.append(same_name(job.name, Place(job.source, job.line), Place(first.source, first.line)))
    if any(job.options.after for job in kept.values()):
        from runjobs.core.order import check_order

        ordered = check_order(kept)
        return JobsFolder(tuple(ordered.jobs.values()), (*problems, *ordered.problems))
    return JobsFolder(tuple(kept.values()), tuple(problems))


def same_name(name: str, second: Place, first: Place, text: str = "") -> Problem:
    """Say that the job at `second` has the name of the one at `first`, which is kept."""
    return Problem(
        second,
        f"a job named {name} already stands in {first.source}, line {first.line}",
        "give one of them another name=; until then this one does not run",
        text,
        other=first,
    )

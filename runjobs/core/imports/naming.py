"""Names for what is taken over: files in the jobs folder, and jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.names import LONGEST_PART, file_part, skip_reason

if TYPE_CHECKING:
    from collections.abc import Container

_STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


def file_name(base: str, taken: Container[str]) -> str:
    """Make a file's name from that of its source: one that the jobs folder counts.

    `taken` are the parts of other files' names that jobs are called by (`core.names.file_part`): two files that share
    it would share names of jobs.
    """
    name = _STRANGE.sub("-", base).strip("._-") or "jobs"
    if skip_reason(name):
        name = name.replace(".", "-")
    stem, number = name, 2
    while file_part(name) in taken:
        name, number = f"{stem.replace('.', '-')}-{number}", number + 1
    return name


def job_name(text: str, taken: Container[str]) -> str:
    """Make a job's name from whatever it was called, one that is not taken."""
    name = _STRANGE.sub("-", text)[: 2 * LONGEST_PART].strip("._-") or "job"
    stem, number = name, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name

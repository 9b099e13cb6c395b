"""What a reload of the jobs files found, in words: jobs that came and went, files that are bad."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runjobs.core.event import Happening
from runjobs.render.text import counted

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.core.event import Event


def said_of_reload(event: Event, zone: tzinfo | None) -> str:
    """What became of a job, of a file, or of all of them: `changed: schedule; 15 3 * * * (jobs.d/nightly:4)`."""
    facts = event.facts
    match event.happening:
        case Happening.JOB_ADDED:
            return f"added, {_where(facts)}"
        case Happening.JOB_CHANGED:
            return f"changed: {', '.join(facts['what'])}; {_where(facts)}"
        case Happening.JOB_REMOVED:
            return f"removed, it was {_where(facts)}"
        case Happening.FILE_MENDED:
            return f"{facts['file']}: good again"
        case Happening.FILE_BAD:
            return _bad(facts, zone)
    return f"reloaded: {counted(facts['jobs'], 'job')}, {_counts(facts)}"


def _where(facts: dict[str, object]) -> str:
    return f"{facts['schedule']} ({facts['file']}:{facts['line']})"


def _counts(facts: dict[str, object]) -> str:
    counts = [f"{facts[word]} {word}" for word in ("added", "changed", "removed") if facts[word]]
    bad = [f"bad files: {facts['bad_files']}"] if facts["bad_files"] else []
    return ", ".join([*(counts or ["nothing changed"]), *bad])


def _bad(facts: dict[str, object], zone: tzinfo | None) -> str:
    held, since = facts["held"], facts["held_since"]
    more = f" (and {facts['more_errors']} more)" if facts["more_errors"] else ""
    said = f"{facts['file']}:{facts['line']}: {facts['message']}{more}"
    if held == 1 and isinstance(since, datetime):
        return f"{said}; its last good version of {since.astimezone(zone):%Y-%m-%d %H:%M:%S} stays in force"
    return f"{said}; the last good versions of {held} files stay in force" if held else said

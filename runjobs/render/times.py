"""Times for people: the local instant with its offset, and how far away it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

    from runjobs.core.job import Job

STEPS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))  # seconds
WEEK = 7  # days: past them a weekday alone would be taken for the one nearer
SHORT = 10  # seconds of which tenths are told


def instant(when: datetime, zone: tzinfo | None) -> str:
    """Write an instant in a zone (the machine's, if None): `Sat 2026-11-21 03:15:00 +01:00`."""
    local = when.astimezone(zone)
    text = local.isoformat(sep=" ", timespec="seconds")
    return f"{local:%a} {text[:19]} {text[19:]}"


def clock(when: datetime, zone: tzinfo | None) -> str:
    """Write an instant as the clocks of a zone show it, `2026-11-21 03:15`, with seconds if there are any."""
    local = when.astimezone(zone).replace(tzinfo=None)
    return local.isoformat(sep=" ", timespec="seconds" if local.second else "minutes")


def without_time(job: Job) -> str:
    """Say when a job fires next that no time of a schedule makes due."""
    return {"reboot": "at boot", "watch": "on a change"}.get(job.schedule.kind.value, "never again")


def distance(span: timedelta) -> str:
    """Write how far away something is by its largest unit and the one below, `3d 4h`: more, nobody reads."""
    seconds = int(abs(span).total_seconds())
    sign = "-" if seconds and span.days < 0 else ""
    for (unit, size), (below, part) in zip(STEPS, (*STEPS[1:], ("", 1)), strict=True):
        if seconds >= size:
            rest = seconds % size // part
            return f"{sign}{seconds // size}{unit}" + (f" {rest}{below}" if rest else "")
    return "now"


def near(when: datetime, now: datetime, zone: tzinfo | None) -> str:
    """Write an instant as short as it can be told from `now`: `03:15` today, `Thu 03:15` this week, else the date."""
    local = when.astimezone(zone)
    days = (local.date() - now.astimezone(zone).date()).days
    if days == 0:
        return f"{local:%H:%M}"
    return f"{local:%a} {local:%H:%M}" if abs(days) < WEEK else f"{local:%Y-%m-%d}"


def took(span: timedelta | None) -> str:
    """Write how long something took: milliseconds and tenths of what is short, the two largest units of what is not."""
    if span is None:
        return ""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    return f"{seconds:.1f}s" if seconds < SHORT else distance(span)

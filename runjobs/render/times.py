"""Times for people: the local instant with its offset, and how far away it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta, tzinfo

STEPS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))  # seconds


def instant(when: datetime, zone: tzinfo | None) -> str:
    """Write an instant in a zone (the machine's, if None): `Sat 2026-11-21 03:15:00 +01:00`."""
    local = when.astimezone(zone)
    text = local.isoformat(sep=" ", timespec="seconds")
    return f"{local:%a} {text[:19]} {text[19:]}"


def clock(when: datetime, zone: tzinfo | None) -> str:
    """Write an instant as the clocks of a zone show it, `2026-11-21 03:15`, with seconds if there are any."""
    local = when.astimezone(zone).replace(tzinfo=None)
    return local.isoformat(sep=" ", timespec="seconds" if local.second else "minutes")


def distance(span: timedelta) -> str:
    """Write how far away something is by its largest unit and the one below, `3d 4h`: more, nobody reads."""
    seconds = int(abs(span).total_seconds())
    sign = "-" if seconds and span.days < 0 else ""
    for (unit, size), (below, part) in zip(STEPS, (*STEPS[1:], ("", 1)), strict=True):
        if seconds >= size:
            rest = seconds % size // part
            return f"{sign}{seconds // size}{unit}" + (f" {rest}{below}" if rest else "")
    return "now"

"""What `runjobs at` has planned, as a table and for machines: never with the values of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.receivers import shown
from runjobs.render.table import Column, Table
from runjobs.render.times import clock, distance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from runjobs.core.once import Planned

RUNNING: Final = "running"
COLUMNS: Final = (
    Column("JOB", color="bold"),
    Column("WHEN"),
    Column("IN", right=True),
    Column("BY", optional=True),
    Column("COMMAND", clipped=True),
)


class Shown(NamedTuple):
    """A once as it is shown: how far its fire has come ("planned": not claimed yet), and what is wrong with it."""

    planned: Planned
    state: str = "planned"
    problem: str = ""


def table(shown: Sequence[Shown], now: datetime, zone: tzinfo | None) -> Table:
    """Return the table; what goes on, or can't be run, says so in the place of how far away it is."""
    return Table(COLUMNS, [_row(each, now, zone) for each in shown])


def _row(each: Shown, now: datetime, zone: tzinfo | None) -> list[str]:
    once = each.planned.once
    away = "due" if once.at <= now else distance(once.at - now)
    far = "unreadable" if each.problem else away if each.state == "planned" else each.state
    return [each.planned.job, clock(once.at, zone), far, once.who, " ".join(once.command.split("\n"))]


def as_json(each: Shown) -> dict[str, object]:
    """Return all that is known of one; of environment variables only the names: their values may be secrets."""
    number, job, once = each.planned
    return {
        "id": number,
        "job": job,
        "state": each.state,
        "at": once.at,
        "asked_at": once.asked_at,
        "who": once.who,
        "command": once.command,
        "cwd": once.cwd,
        "umask": f"{once.umask:03o}",
        "environment": [name for name, _ in once.environment],
        "options": {key: shown(value) if key == "notify" else value for key, value in once.settings},
        "problem": each.problem or None,
    }

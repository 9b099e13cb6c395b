"""Schedule.next: fires found per second in UTC and in a zone with summer time, beside croniter alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from croniter import croniter

from bench.figures import Figure
from runjobs.core.schedule import parse_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.asked import Asked

EXPRESSIONS = (
    "*/5 * * * *",
    "0 3 * * *",
    "0 0 * * 1",
    "15 14 1 * *",
    "0 9-17 * * 1-5",
    "30 4 1,15 * 5",
    "0 0 L * *",
)
START = datetime(2024, 1, 1, tzinfo=UTC)
MOST, END = 20_000, START + timedelta(days=50 * 365)
THEIRS = 2_000  # croniter takes ten times as long for a fire: fewer of them tell as much


def measure(asked: Asked) -> Iterator[Figure]:
    """Walk each expression through 20,000 fires or 50 years."""
    for _ in range(asked.rounds or 3):
        for expression in EXPRESSIONS:
            for zone in ("UTC", "Europe/Berlin"):
                what = f"next of {expression} in {zone}"
                yield Figure(what, "runjobs", "/s", (_rate(_ours(expression, zone), MOST),))
                yield Figure(what, "croniter", "/s", (_rate(_theirs(expression, zone), THEIRS),))


def _ours(expression: str, zone: str) -> Callable[[datetime], datetime | None]:
    return parse_schedule(expression, tz=zone).next


def _theirs(expression: str, zone: str) -> Callable[[datetime], datetime | None]:
    walk = croniter(expression, START.astimezone(ZoneInfo(zone)), ret_type=datetime)
    return lambda _after: walk.get_next()


def _rate(following: Callable[[datetime], datetime | None], most: int) -> float:
    fires, fire = 0, following(START)
    start = time.perf_counter()
    while fire is not None and fires < most and fire < END:
        fires, fire = fires + 1, following(fire)
    return fires / (time.perf_counter() - start)

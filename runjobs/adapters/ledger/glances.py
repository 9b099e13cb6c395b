"""Questions about many jobs at once, answered in short: how their last fires went, and what ran in a time."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runjobs.core.answers import Past
from runjobs.core.fire import from_milliseconds, milliseconds
from runjobs.core.timeline import Span

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from datetime import datetime

# a walk back along the index of each job; never over all fires
PASTS: Final = """
SELECT f.job, f.scheduled_at, f.outcome, f.count, CASE WHEN f.attempts THEN
 (SELECT max(ended_at - started_at, 0) FROM runs WHERE fire = f.id ORDER BY attempt DESC, id DESC LIMIT 1) END
FROM json_each(?) AS asked JOIN fires AS f ON f.id IN (
 SELECT id FROM fires WHERE job = asked.value AND state = 'ended' ORDER BY scheduled_at DESC, id DESC LIMIT ?)
ORDER BY f.scheduled_at, f.id
"""


def pasts(connection: sqlite3.Connection, jobs: Sequence[str], most: int) -> dict[str, list[Past]]:
    """The newest `most` fires that have ended of each of these jobs, oldest first."""
    found: dict[str, list[Past]] = {}
    for job, scheduled, outcome, number, took in connection.execute(PASTS, (json.dumps(list(jobs)), most)):
        span = None if took is None else timedelta(milliseconds=took)
        found.setdefault(job, []).append(Past(from_milliseconds(scheduled), outcome or "", span, number))
    return found


# Runs and fires without one, those of one minute with one outcome as one row. What began before the time may reach into
# it: the last runs of each job that were begun before, and the last misses, are looked at too.
SPANS: Final = """
WITH asked(job) AS (SELECT value FROM json_each(:jobs)), chosen(id) AS (
 SELECT f.id FROM asked JOIN fires AS f ON f.job = asked.job AND f.scheduled_at >= :start AND f.scheduled_at < :end
 UNION SELECT f.id FROM asked JOIN fires AS f ON f.id IN (SELECT id FROM fires WHERE job = asked.job
  AND scheduled_at < :start AND attempts > 0 ORDER BY scheduled_at DESC LIMIT :back)
 UNION SELECT f.id FROM asked JOIN fires AS f ON f.id IN (SELECT id FROM fires WHERE job = asked.job
  AND outcome = 'missed' AND scheduled_at < :start ORDER BY scheduled_at DESC LIMIT :back)
), parts AS (
 SELECT f.job, coalesce(r.outcome, f.outcome) AS what, coalesce(r.started_at, f.scheduled_at) AS began,
  coalesce(r.ended_at, f.last_at) AS ended, f.count AS number, r.started_at IS NOT NULL AS has_run
 FROM chosen JOIN fires AS f USING (id) LEFT JOIN runs AS r ON r.fire = f.id
 WHERE CASE WHEN r.id IS NULL THEN f.state ELSE r.state END = 'ended'
)
SELECT job, what, min(began), max(ended), CASE WHEN min(number) THEN sum(number) ELSE 0 END, has_run
FROM parts WHERE ended >= :start AND began < :end
GROUP BY job, what, has_run, began / 60000, ended / 60000 ORDER BY min(began)
"""
BACK: Final = 10  # runs of one job that may go on at once, under overlap=allow, and all be found


def spans(connection: sqlite3.Connection, jobs: Sequence[str], start: datetime, end: datetime) -> dict[str, list[Span]]:
    """What became of these jobs in a time, up to but not at its end; what has not ended is not among it."""
    found: dict[str, list[Span]] = {}
    values = {"jobs": json.dumps(list(jobs)), "start": milliseconds(start), "end": milliseconds(end), "back": BACK}
    for job, what, began, ended, number, has_run in connection.execute(SPANS, values):
        first, last = from_milliseconds(began), from_milliseconds(max(began, ended))
        found.setdefault(job, []).append(Span(first, last, what or "", number, bool(has_run)))
    return found

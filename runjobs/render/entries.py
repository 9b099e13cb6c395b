"""Fires and runs on record: as rows of a table, and as JSON whose keys keep their meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.render.glyphs import COLORS, told
from runjobs.render.table import Column, Table
from runjobs.render.text import counted
from runjobs.render.times import clock, near, took

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from runjobs.core.answers import Attempt, Entry, Past
    from runjobs.render.screen import Screen

NARROW: Final = 72  # cells: on less, times are told without their year
COLUMNS: Final = (
    Column("WHEN"),
    Column("JOB", color="bold"),
    Column("OUTCOME", colors=COLORS),
    Column("TOOK", right=True, optional=True),
    Column("DETAIL", clipped=True),
    Column("RUN", color="dim", optional=True),
)
WAITS: Final = {
    "retry": "to be tried again",
    "rerun": "to be run again",
    "after": "for the jobs that it comes after",
    "overlap": "for the run before it, or for its lock",
    "pool": "for a place in its pool",
    "parallel": "for a place among the runs of its runner",
}


def table(entries: Sequence[Entry], now: datetime, zone: tzinfo | None, screen: Screen) -> Table:
    """Return the table of fires; one that was tried several times is followed by a row for each of its runs."""
    rows = []
    is_narrow = screen.pretty and screen.width < NARROW
    for entry in entries:
        when = f"{entry.scheduled_at.astimezone(zone):%m-%d %H:%M}" if is_narrow else clock(entry.scheduled_at, zone)
        rows.append([when, *_row(entry, now, zone, screen)])
        if len(entry.runs) > 1:
            rows += [[_run_time(run, zone, is_narrow=is_narrow), *_run_row(run, now, screen)] for run in entry.runs]
    return Table(COLUMNS, rows)


def state_of(entry: Entry) -> str:
    """The one word for how it stands with a fire: its outcome, or where it is in its life."""
    return entry.outcome if entry.has_ended else entry.state


def detail_of(entry: Entry, zone: tzinfo | None) -> str:
    """What there is to say of a fire beyond its outcome, as a phrase."""
    if entry.is_stretch:
        many = counted(entry.number, "fire") if entry.number else "many fires"
        return f"{many} up to {near(entry.last_at, entry.scheduled_at, zone)}: {entry.reason}"
    if entry.state == "waiting":
        return waiting(entry, zone)
    if entry.outcome in {"missed", "skipped"}:
        return f"{entry.reason}: {entry.detail}" if entry.detail else entry.reason
    return entry.detail


def waiting(entry: Entry, zone: tzinfo | None) -> str:
    """What a waiting fire waits for, and from when on it may start."""
    until = ""
    if entry.not_before is not None and entry.wait in {"retry", "rerun"}:
        until = f" at {clock(entry.not_before, zone)}"
    last = f", its last run was {entry.outcome}" if entry.outcome else ""
    return f"{WAITS.get(entry.wait, entry.wait)}{until}{last}"


def run_time(run: Attempt, now: datetime) -> str:
    """How long a run took, or has taken until now."""
    if run.ended_at is None and run.started_at is not None:
        return took(now - run.started_at)
    return took(run.took)


def _row(entry: Entry, now: datetime, zone: tzinfo | None, screen: Screen) -> list[str]:
    detail, last = detail_of(entry, zone), entry.runs[-1] if entry.runs else None
    if len(entry.runs) > 1:
        detail = f"{counted(len(entry.runs), 'run')}{': ' if detail else ''}{detail}"
        last = None
    state, took = told(state_of(entry), screen), run_time(last, now) if last else ""
    return [entry.job, state, took, detail, last.run_id if last else ""]


def _run_row(run: Attempt, now: datetime, screen: Screen) -> list[str]:
    return ["", told(run.outcome or run.state, screen), run_time(run, now), run.detail, run.run_id]


def _run_time(run: Attempt, zone: tzinfo | None, *, is_narrow: bool) -> str:
    if is_narrow:
        return f"  run {run.number}"
    began = f"{run.started_at.astimezone(zone):%H:%M:%S}" if run.started_at else "not started"
    return f"  run {run.number}, {began}"


def entry_json(entry: Entry) -> dict[str, object]:
    """Return all that is known of a fire; a stretch has a `last` and how many it stands for (0: uncounted)."""
    return {
        "job": entry.job,
        "trigger": entry.trigger,
        "scheduled": entry.scheduled_at,
        "last": entry.last_at,
        "count": entry.number,
        "state": entry.state,
        "outcome": entry.outcome or None,
        "reason": entry.reason or None,
        "detail": entry.detail or None,
        "claimed": entry.claimed_at,
        "runner": entry.runner or None,
        "ended": entry.ended_at,
        "waits_for": entry.wait or None,
        "waiting_since": entry.waiting_since,
        "not_before": entry.not_before,
        "runs": [run_json(run) for run in entry.runs],
    }


def past_json(past: Past) -> dict[str, object]:
    """Return a fire in short, as status shows the last ones."""
    return {
        "scheduled": past.scheduled_at,
        "outcome": past.outcome,
        "seconds": past.took,
        "count": past.number,
    }


def run_json(run: Attempt) -> dict[str, object]:
    """Return all that is known of a run: times as ISO 8601 in UTC, durations in seconds, sizes in bytes."""
    return {
        "run": run.run_id,
        "attempt": run.number,
        "state": run.state,
        "outcome": run.outcome or None,
        "reason": run.reason or None,
        "detail": run.detail or None,
        "started": run.started_at,
        "ended": run.ended_at,
        "seconds": run.took,
        "exit_code": run.exit_code,
        "signal": run.signal,
        "guard_pid": run.guard_pid,
        "pid": run.pid,
        "cpu_seconds": round(run.cpu_seconds, 3),
        "max_rss": run.max_rss,
        "output_bytes": run.output_bytes,
        "dropped_bytes": run.dropped_bytes,
        "leftovers": [list(left) for left in run.leftovers],
        "log": run.log,
    }

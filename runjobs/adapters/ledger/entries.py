"""Rows of the ledger's tables as what they tell of the past: fires with their runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from runjobs.core.answers import Attempt, Entry
from runjobs.core.fire import from_milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

FIRE: Final = (
    "fires.id, job, trigger, scheduled_at, last_at, count, fires.state, fires.outcome, fires.reason, fires.detail,"
    " fires.runner, runner_lock, claimed_at, fires.ended_at, wait, waiting_since, not_before, attempts"
)
RUN: Final = (
    "runs.id, fire, attempt, runs.state, lock, log, guard_pid, pid, started_at, runs.ended_at, runs.outcome,"
    " runs.reason, runs.detail, exit_code, signal, coalesce(cpu_user, 0) + coalesce(cpu_system, 0), max_rss,"
    " output_bytes, dropped_bytes, leftovers"
)


def entry_of(row: Sequence[Any], runs: tuple[Attempt, ...]) -> Entry:
    """A fire, from the columns of FIRE, with its runs."""
    fire, job, trigger, scheduled, last, count, state, outcome, reason, detail, runner, lock, *times = row
    claimed, ended, wait, since, not_before, attempts = times
    return Entry(
        fire, job, trigger, from_milliseconds(scheduled), from_milliseconds(last), count, state,
        outcome or "", reason or "", detail or "", runner or "", lock or "",
        _instant(claimed), _instant(ended), wait or "", _instant(since), _instant(not_before), attempts, runs,
    )  # fmt: skip


def attempt_of(row: Sequence[Any]) -> Attempt:
    """A run, from the columns of RUN."""
    run, fire, number, state, lock, log, guard, pid, started, ended, outcome, reason, detail, *rest = row
    code, signal, cpu, rss, output, dropped, leftovers = rest
    left = tuple((int(pid), str(name)) for pid, name in json.loads(leftovers)) if leftovers else ()
    return Attempt(
        run, fire, number, state, lock, log, guard, pid, _instant(started), _instant(ended),
        outcome or "", reason or "", detail or "", code, signal, cpu, rss or 0, output or 0, dropped or 0, left,
    )  # fmt: skip


def _instant(value: int | None) -> datetime | None:
    return None if value is None else from_milliseconds(value)

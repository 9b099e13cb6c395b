"""Rows of the ledger's tables as values, and values as rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runjobs.adapters.ledger import Newest, Orphan
from runjobs.core.fire import Fire, Mark, Trigger, WaitFor, Waiting, from_milliseconds, milliseconds
from runjobs.core.pausing import Pause
from runjobs.core.run import ProcessId, Unended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.core.plan import Decision


def mark(row: Sequence[Any]) -> Mark:
    """A row of `marks`."""
    _, key, watermark, fire, start, offset = row
    return Mark(
        key,
        from_milliseconds(watermark),
        None if fire is None else from_milliseconds(fire),
        None if start is None else from_milliseconds(start),
        timedelta(seconds=offset),
    )


def mark_row(decision: Decision) -> tuple[Any, ...]:
    """The row of `marks` that a decision leads to."""
    mark = decision.mark
    return (
        decision.job,
        mark.schedule_key,
        milliseconds(mark.watermark),
        None if mark.next_fire is None else milliseconds(mark.next_fire),
        None if mark.next_start is None else milliseconds(mark.next_start),
        int(mark.offset.total_seconds()),
    )


def unended(row: Sequence[Any]) -> Unended:
    """A run without an end, joined with its fire."""
    run, fire, job, scheduled, attempt, runner, runner_lock, lock, guard, pid, *rest = row
    process = ProcessId(pid, *rest) if pid is not None else None
    return Unended(run, fire, job, scheduled, lock, guard, process, attempt, runner or "", runner_lock or "")


def orphan(row: Sequence[Any]) -> Orphan:
    """A claim without a start, joined with its runner."""
    fire_id, job, trigger, scheduled, key, runner, lock = row
    return Orphan(fire_id, fire(job, trigger, scheduled, key), runner, lock)


def fire(job: str, trigger: str, scheduled: int, key: str) -> Fire:
    """A fire, from the columns that are its identity."""
    return Fire(job, Trigger(trigger), from_milliseconds(scheduled), "" if key == str(scheduled) else key)


WAITING = "id, job, trigger, scheduled_at, key, wait, waiting_since, not_before, attempts, outcome, runner, runner_lock"


def waiting(row: Sequence[Any]) -> Waiting:
    """A fire that waits: the columns of WAITING."""
    fire_id, job, trigger, scheduled, key, wait, since, not_before, attempts, outcome, runner, lock = row
    return Waiting(
        fire_id,
        fire(job, trigger, scheduled, key),
        WaitFor(wait),
        from_milliseconds(since),
        from_milliseconds(not_before),
        attempts,
        outcome or "",
        runner or "",
        lock or "",
    )


def newest(row: Sequence[Any]) -> Newest:
    """The newest fire of a job: when it was due, or the last of its stretch, and how it ended."""
    scheduled, outcome, reason, ended = row
    return Newest(
        from_milliseconds(scheduled), outcome or "", reason or "", None if ended is None else from_milliseconds(ended)
    )


def pause(row: Sequence[Any]) -> Pause:
    """A row of `pauses`."""
    job, since, until, reason, who = row
    return Pause(job, from_milliseconds(since), None if until is None else from_milliseconds(until), reason, who)

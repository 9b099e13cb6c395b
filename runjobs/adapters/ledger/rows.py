"""Rows of the ledger's tables as values, and values as rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runjobs.adapters.ledger import Orphan
from runjobs.core.fire import Fire, Mark, Trigger, from_milliseconds, milliseconds
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
    run, fire, job, scheduled, lock, guard, pid, *rest = row
    return Unended(run, fire, job, scheduled, lock, guard, ProcessId(pid, *rest) if pid is not None else None)


def orphan(row: Sequence[Any]) -> Orphan:
    """A claim without a start, joined with its runner."""
    fire_id, job, trigger, scheduled, key, runner, lock = row
    instance = "" if key == str(scheduled) else key
    return Orphan(fire_id, Fire(job, Trigger(trigger), from_milliseconds(scheduled), instance), runner, lock)

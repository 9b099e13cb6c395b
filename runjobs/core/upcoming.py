"""What is to come: the fires of several jobs, merged in the order of time."""

from __future__ import annotations

from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from runjobs.core.job import Job


class Upcoming(NamedTuple):
    """A due time to come: when (UTC), and of which job."""

    when: datetime
    job: Job


def upcoming(jobs: Iterable[Job], after: datetime) -> Iterator[Upcoming]:
    """Yield the fires strictly after an instant, for as long as any of the jobs has one; equal times by file order."""
    ordered = list(jobs)
    heap = [(when, rank) for rank, job in enumerate(ordered) if (when := job.schedule.next(after)) is not None]
    heapify(heap)
    while heap:
        when, rank = heap[0]
        yield Upcoming(when, ordered[rank])
        following = ordered[rank].schedule.next(when)
        if following is None:
            heappop(heap)
        else:
            heapreplace(heap, (following, rank))

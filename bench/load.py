"""Loading a jobs file: seconds for 10,000 and 100,000 jobs of three kinds, and the bytes that each job then takes."""

from __future__ import annotations

import gc
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

from bench.figures import Figure
from runjobs.core.crontab import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

OURS = "runjobs"


def plain(number: int) -> str:
    """An ordinary line: schedules repeat as they do in life, commands don't."""
    return f"{number % 60} {number % 24} * * {number % 7} /usr/local/bin/task-{number} --all >/dev/null 2>&1\n"


def with_options(number: int) -> str:
    """A job with a name and options of its own, on two lines."""
    return f"#: name=task/{number} timeout={number % 50 + 1}m lock=group-{number % 100}\n{plain(number)}"


def distinct(number: int) -> str:
    """A line whose schedule is the only one of its kind: nothing to share."""
    return f"{number % 60} {number // 60 % 24} {number // 1440 % 28 + 1} {number // 40320 % 12 + 1} * job {number}\n"


def measure(asked: Asked) -> Iterator[Figure]:
    """Load each kind of file; memory is what remains allocated, less each job's own name and command."""
    for kind in (plain, with_options, distinct):
        for jobs in (10_000, 100_000):
            text = "".join(kind(number) for number in range(jobs))
            for _ in range(asked.rounds or 3):
                yield Figure(f"load {jobs:,} jobs, {kind.__name__}", OURS, "s", (_seconds(text),))
        text = "".join(kind(number) for number in range(10_000))
        yield Figure(f"a loaded job weighs, {kind.__name__}", OURS, "bytes", (_weight(text),), "without its strings")


def _seconds(text: str) -> float:
    gc.collect()
    start = time.perf_counter()
    parse(text, source="bench.cron")
    return time.perf_counter() - start


def _weight(text: str) -> float:
    tracemalloc.start()
    try:
        jobs = parse(text, source="bench.cron").jobs
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    return (size - sum(sys.getsizeof(job.name) + sys.getsizeof(job.command) for job in jobs)) / len(jobs)

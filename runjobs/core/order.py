"""The order that `after=` asks for: the jobs it names have to be there, and no job may wait for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import Place, Problem
from runjobs.core.nearest import nearest_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.core.job import Job


class Ordered(NamedTuple):
    """The jobs whose order can be kept, and what is wrong with the others."""

    jobs: dict[str, Job]
    problems: list[Problem]


def check_order(jobs: Mapping[str, Job]) -> Ordered:
    """Take out the jobs that could never start: they come after a job that is not there, or after themselves.

    Who comes after one that was taken out is taken out too, until all that is left can be kept.
    """
    kept, problems = dict(jobs), []
    for cycle in find_cycles(kept):
        problems += [_cyclic(kept[name], cycle, kept) for name in cycle]
        for name in cycle:
            del kept[name]
    while lost := [job for job in kept.values() if any(name not in kept for name in job.options.after)]:
        problems += [_without(job, jobs, kept) for job in lost]
        for job in lost:
            del kept[job.name]
    return Ordered(kept, problems)


def find_cycles(jobs: Mapping[str, Job]) -> list[list[str]]:
    """The cycles of `after=`, each once, beginning with its first job by file order; depth-first, with no recursion."""
    done: set[str] = set()
    cycles = []
    for start in jobs:
        path: list[str] = []
        stack = [(start, iter(_named(jobs, start)))] if start not in done else []
        while stack:
            name, rest = stack[-1]
            if len(path) < len(stack):
                path.append(name)
            following = next(rest, None)
            if following is None:
                done.add(path.pop())
                stack.pop()
            elif following in path:
                cycles.append(path[path.index(following) :])
                done.update(cycles[-1])
            elif following not in done:
                stack.append((following, iter(_named(jobs, following))))
    return _apart(cycles)


def _named(jobs: Mapping[str, Job], name: str) -> list[str]:
    return [other for other in jobs[name].options.after if other in jobs]


def _apart(cycles: list[list[str]]) -> list[list[str]]:
    """Those that share no job with one before them: the rest shows once the first is mended."""
    seen: set[str] = set()
    chosen = []
    for cycle in cycles:
        if seen.isdisjoint(cycle):
            chosen.append(cycle)
            seen.update(cycle)
    return chosen


def _cyclic(job: Job, cycle: list[str], jobs: Mapping[str, Job]) -> Problem:
    at = cycle.index(job.name)
    around = [*cycle[at:], *cycle[:at], job.name]
    after = jobs[around[1]]
    hint = "take one of them out of the circle; until then none of them runs"
    other = Place(after.source, after.line) if after is not job else None
    message = f"{job.name} comes after itself" if other is None else f"{' comes after '.join(around)}"
    return Problem(Place(job.source, job.line), message, hint, other=other)


def _without(job: Job, jobs: Mapping[str, Job], kept: Mapping[str, Job]) -> Problem:
    name = next(name for name in job.options.after if name not in kept)
    place = Place(job.source, job.line)
    if name in jobs:
        return Problem(place, f"{job.name} comes after {name}, which can't run", "mend that job first")
    near = nearest_word(name, [other for other in jobs if other != job.name])
    hint = f"did you mean after={near}?" if near else "until there is one, this job does not run"
    return Problem(place, f"{job.name} comes after {name}, and there is no such job", hint)

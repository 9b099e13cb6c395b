"""What differs between two sets of jobs: one change for each job that came, went, or is another now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.event import Happening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runjobs.core.job import Job


class Change(NamedTuple):
    """A job as it is now, or as it was if it is gone; `what` names the parts that are others now, none of their values.

    A value may be a secret, in a command or a variable; the name of a part never is.
    """

    happening: Happening
    job: Job
    what: tuple[str, ...] = ()


def changes(before: Mapping[str, Job], after: Mapping[str, Job]) -> list[Change]:
    """The jobs that went, in their order before, then those that came or are others, in their order after.

    A job that only stands on another line is the same.
    """
    gone = [Change(Happening.JOB_REMOVED, job) for name, job in before.items() if name not in after]
    return [*gone, *_arrivals(before, after)]


def _arrivals(before: Mapping[str, Job], after: Mapping[str, Job]) -> Iterator[Change]:
    for name, job in after.items():
        known = before.get(name)
        if known is None:
            yield Change(Happening.JOB_ADDED, job)
        elif known is not job and (what := tuple(differences(known, job))):
            yield Change(Happening.JOB_CHANGED, job, what)


def differences(before: Job, after: Job) -> Iterator[str]:
    """Name what differs between two versions of one job, options by the words of `#:` lines."""
    if before.schedule.key != after.schedule.key:
        yield "schedule"
    if before.command != after.command:
        yield "command"
    if before.stdin != after.stdin:
        yield "input"
    if before.options != after.options:
        for field in before.options.__dataclass_fields__:
            if getattr(before.options, field) != getattr(after.options, field):
                yield field.replace("_", "-")
    old, new = dict(before.environment), dict(after.environment)
    yield from (name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name))
    if before.source != after.source:
        yield "file"

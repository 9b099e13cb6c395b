"""Whether limits can be held here: found out when a job asks for them, and told before they are promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.errors import RunjobsError
from runjobs.core.limits import NOWHERE, Lack, limits_of, unheld

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runjobs.adapters.cgroup.ground import Ground
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine


class Grounds:
    """The places where runs with limits have their control groups, made ready once for each set of controllers."""

    def __init__(self) -> None:
        """Nothing is looked for before a job asks for it."""
        self._ready: dict[tuple[str, ...], Ground] = {}

    def of(self, job: Job) -> Ground | Lack:
        """Where the runs of a job with limits have theirs; this process may be moved into a group below its own."""
        names = limits_of(job.options).controllers
        if not names:
            return NOWHERE
        if names in self._ready:
            return self._ready[names]
        found = _prepare(names)
        if not isinstance(found, Lack):
            self._ready[names] = found
        return found


def _prepare(names: tuple[str, ...]) -> Ground | Lack:
    from runjobs.adapters.cgroup.ground import OWN_GROUP, divide, find_ground

    found = find_ground(names)
    if not isinstance(found, Lack) and not found.is_scope:
        try:
            divide(found.base, names)
        except OSError as error:
            return Lack(f"{error.filename or found.base}: {error.strerror}", OWN_GROUP)
    return found


def find_lack(names: tuple[str, ...]) -> Lack | None:
    """Why these controllers can't be used from here; None where they can. Nothing is changed."""
    from runjobs.adapters.cgroup.ground import find_ground

    found = find_ground(names)
    return found if isinstance(found, Lack) else None


def warn(engine: Engine, jobs: Iterable[Job]) -> None:
    """Tell of limits that this runner can't hold, once for all the jobs that ask for them."""
    told = set()
    for problem in unheld(jobs, find_lack):
        if problem.message not in told:
            told.add(problem.message)
            where = f"{problem.place.source}:{problem.place.line}"
            engine.warn(RunjobsError(f"{where}: {problem.message}; {problem.hint}"))

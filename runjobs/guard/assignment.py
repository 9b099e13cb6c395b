"""What a guard is told before it is forked: plain values, since nothing can be asked for afterwards."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.limits import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runjobs.adapters.cgroup.ground import Ground
    from runjobs.core.job import Job
    from runjobs.core.limits import Lack
    from runjobs.core.run import RunEnd
    from runjobs.guard.messages import Channel


EMPTY: Mapping[str, str] = MappingProxyType({})


class Passthrough(Enum):
    """Where a job's output goes besides its log."""

    NONE = "none"  # nowhere: the guard holds none of the runner's streams, so cron doesn't wait for it
    TEXT = "text"  # to the runner's stdout, each line with the job's name before it
    JSON = "json"  # to the runner's stdout, each line an object
    LIVE = "live"  # stdout to stdout and stderr to stderr, untouched, as fast as they are read


class Equipment(NamedTuple):
    """What a job is started with. `user` is None when it runs as whom the runner is."""

    environment: Mapping[str, str]
    cwd: str
    user: str | None


class Assignment(NamedTuple):
    """Everything a guard needs.

    `environment`, `cwd` and `user` (None: whom the runner is) are what the job is started with, unless `equip` is
    there to work them out in a starter, where it may hang or raise LaunchError. `note` is told the end of the run
    before anybody else. `lock_fds` hold the run's locks, and orders may come through the first of them; the guard
    keeps them open until the end is recorded. `nofile` is the limit that the runner was given, and the job is given
    again. `cgroup` is the folder below which the run may have a control group of its own; `ground` is where one with
    limits can be, or why nowhere.
    """

    run_id: str
    job: Job
    channel: Channel
    environment: Mapping[str, str] = EMPTY
    cwd: str = "/"
    user: str | None = None
    log_path: str | None = None
    lock_fds: tuple[int, ...] = ()
    mode: Passthrough = Passthrough.NONE
    nofile: tuple[int, int] | None = None
    cgroup: str | None = None
    ground: Ground | Lack = NOWHERE
    equip: Callable[[], Equipment] | None = None
    note: Callable[[RunEnd], None] | None = None
    umask: int | None = None  # where the job names none; None: the runner's
    attempt: int = 1  # counted from 1: of how many, and when the next is, says core/again

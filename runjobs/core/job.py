"""A job: what to run, when, and under which options."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runjobs.core.schedule import Schedule

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MEGABYTE = 1_000_000


class Overlap(Enum):
    """What a fire does while an earlier run of its job is still going."""

    SKIP = "skip"
    ALLOW = "allow"


class Leftovers(Enum):
    """What happens to processes that a job leaves behind at its normal end."""

    KEEP = "keep"
    KILL = "kill"


class Base(Enum):
    """What a job's environment starts from: all that the runner was given, or cron's few variables."""

    INHERIT = "inherit"
    CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one job, as `#:` directives give them; equal options are shared between jobs."""

    timeout: timedelta | None = DAY
    kill_after: timedelta = 10 * SECOND
    overlap: Overlap = Overlap.SKIP
    lock: str | None = None
    success_codes: frozenset[int] = frozenset({0})
    start_within: timedelta = 10 * MINUTE
    jitter: timedelta = timedelta(0)
    tz: str | None = None
    user: str | None = None
    cwd: str | None = None
    umask: int | None = None
    env_file: str | None = None
    env: Base = Base.INHERIT
    nice: int = 0
    leftovers: Leftovers = Leftovers.KEEP
    log_limit: int = 10 * MEGABYTE  # bytes of output kept per run: half of it head, half of it tail
    keep: int = 30  # runs whose logs are kept
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of a jobs file.

    `command` is what the shell is given; `stdin` is what followed an unescaped `%` (None: empty input).
    `environment` holds the file's variables in force at the job's line, in file order, shared between jobs.
    `source` and `line` say where it stands. The name is unique among all loaded jobs.
    """

    name: str
    command: str
    stdin: str | None
    schedule: Schedule
    options: Options
    environment: tuple[tuple[str, str], ...]
    source: str
    line: int

    @property
    def shell(self) -> str:
        """The shell that runs the command: the file's SHELL, else /bin/sh, as in crontab(5)."""
        return dict(self.environment).get("SHELL") or "/bin/sh"

"""A job: what to run, when, and under which options."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runjobs.core.receivers import Receiver
    from runjobs.core.schedule import Schedule

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
MEGABYTE = 1_000_000


class Overlap(Enum):
    """What a fire does while an earlier run of its job is still going."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"
    ALLOW = "allow"


class Catchup(Enum):
    """Which of the fires that are later than `start-within` still start."""

    NONE = "none"
    LAST = "last"
    ALL = "all"


class On(Enum):
    """What may have happened to a watched path."""

    WRITE = "write"
    CREATE = "create"
    DELETE = "delete"
    MOVE = "move"


class NotifyOn(Enum):
    """What of a job is told to those whom `notify=` names."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    CHANGE = "change"
    ALWAYS = "always"
    MISSED = "missed"
    SLOW = "slow"


class OnInterrupt(Enum):
    """What becomes of a fire whose run was cut short."""

    END = "end"
    RERUN = "rerun"


class Pool(NamedTuple):
    """So many runs, of all jobs that name it, at once."""

    name: str
    size: int


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
    pool: Pool | None = None
    after: tuple[str, ...] = ()
    retries: int = 0
    retry_delay: timedelta = MINUTE
    retry_ceiling: timedelta = 60 * MINUTE
    retry_on: frozenset[int | str] | None = None  # exit codes and outcomes; None: whatever went wrong
    on_interrupt: OnInterrupt = OnInterrupt.END
    catchup: Catchup = Catchup.NONE
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
    memory: int | None = None  # bytes that all processes of a run may have together
    cpu: float | None = None  # CPUs that they may use together; 0.5 is half of one
    pids: int | None = None  # processes and threads
    leftovers: Leftovers = Leftovers.KEEP
    log_limit: int = 10 * MEGABYTE  # bytes of output kept per run: half of it head, half of it tail
    keep: int = 30  # runs whose logs are kept
    keep_for: timedelta | None = None  # how long they are kept
    history: int = 10_000  # fires on record
    history_for: timedelta | None = 400 * DAY
    enabled: bool = True
    on: frozenset[On] = frozenset(On)  # of a job that watches: what it is told of
    settle: timedelta = SECOND / 2  # for how long nothing has changed by then
    recursive: bool = False  # whether folders are watched with all that is below them
    notify: tuple[Receiver, ...] = ()
    notify_on: frozenset[NotifyOn] = frozenset({NotifyOn.CHANGE})
    expect_within: timedelta | None = None  # for how long it may not have gone well before that is told
    slow_after: timedelta | None = None  # from when on a run is slow; None: by what is usual


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

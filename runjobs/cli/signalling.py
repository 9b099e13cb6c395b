"""`runjobs reload` and `runjobs shutdown`: word to the runner that stays, which is found by its PID file."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from runjobs.cli import options
from runjobs.core.errors import RunjobsError, UsageError
from runjobs.render.waitline import WaitLine

if TYPE_CHECKING:
    from runjobs.runner.presence import Runner

FAILED: Final = 1
LOOK: Final = 0.5  # seconds between two lines that say what is waited for
EVER: Final = "none"

PidFile = Annotated[
    str | None,
    typer.Option("--pid-file", metavar="PATH", help="The runner's PID file.  [runner.pid in the state folder]"),
]
Now = Annotated[bool, typer.Option("--now", help="Kill its runs at once, without a grace.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Give the order, and don't wait for the end.")]
Timeout = Annotated[
    str, typer.Option("--timeout", metavar="DURATION|none", help="Wait so long; the runner goes on stopping after it.")
]


class Found(NamedTuple):
    """A runner, and how a person knows it."""

    runner: Runner
    name: str


def reload(
    jobs: options.Jobs = None,
    state: options.State = None,
    pid_file: PidFile = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
) -> int:
    """Have the runner that stays read its jobs files at once; it says what has changed where it tells its events.

    \b
    runjobs reload
    runjobs reload --state /var/lib/runjobs

    It does so by itself soon after a file has changed. Files with mistakes are told of by it, and by runjobs check.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    found = _find(settings.state, pid_file)
    _send(found, signal.SIGHUP)
    print(f"{found.name} was told to read its jobs files")
    return 0


def shutdown(
    now: Now = False,
    no_wait: NoWait = False,
    timeout: Timeout = EVER,
    jobs: options.Jobs = None,
    state: options.State = None,
    pid_file: PidFile = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
) -> int:
    """Stop the runner that stays, as TERM does: its runs have its grace, or are left alone with --on-stop leave.

    \b
    runjobs shutdown
    runjobs shutdown --timeout 30s || runjobs shutdown --now

    It is waited for until it has ended; exit code 1 says that it goes on after --timeout, or that there is none.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    seconds = _seconds(timeout)
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    found = _find(settings.state, pid_file)
    # two signals of one kind may arrive as one, signal(7)
    _send(found, signal.SIGTERM, *([signal.SIGINT] if now else []))
    if no_wait:
        print(f"{found.name} was told to stop")
        return 0
    if not _wait(found, seconds):
        message = f"{found.name} is still stopping after {timeout}"
        raise RunjobsError(message, "runjobs status shows what runs, runjobs shutdown --now kills it", exit_code=FAILED)
    print(f"{found.name} has stopped")
    return 0


def _seconds(timeout: str) -> float:
    from runjobs.core.duration import parse_duration
    from runjobs.core.errors import FieldError

    if timeout == EVER:
        return float("inf")
    try:
        return parse_duration(timeout).total_seconds()
    except FieldError as error:
        raise UsageError(f"--timeout {error.message}", error.hint) from error


def _find(state: str, pid_file: str | None) -> Found:
    from runjobs.runner.presence import NAME, find_runner

    path = Path(pid_file) if pid_file is not None else Path(state).absolute() / NAME
    try:
        runner = find_runner(path)
    except OSError as error:
        hint = "call it as the user whose runner it is, or as root"
        raise RunjobsError(f"{path} can't be read: {error.strerror}", hint, exit_code=FAILED) from error
    if runner is None:
        hint = "runjobs run --daemon starts one; --state DIR or --pid-file PATH says where another is"
        raise RunjobsError(f"no runner stays here: nobody holds {path}", hint, exit_code=FAILED)
    return Found(runner, f"the runner (pid {runner.pid})")


def _send(found: Found, *numbers: signal.Signals) -> None:
    try:
        found.runner.send(*numbers)
    except PermissionError as error:
        hint = "call it as the user whose runner it is, or as root"
        raise RunjobsError(f"{found.name} is another user's", hint, exit_code=FAILED) from error


def _wait(found: Found, seconds: float) -> bool:
    end = time.monotonic() + seconds
    with WaitLine() as line:
        while not found.runner.wait(min(LOOK, end - time.monotonic())):
            if time.monotonic() >= end:
                return False
            line.say(f"waiting for {found.name} to end")
    return True

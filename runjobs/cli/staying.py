"""How a foreground stays: what its options say, its PID files, its log, and its life as a daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.runnerlog import Bounds
from runjobs.cli import streams
from runjobs.cli.machines import read_endpoint
from runjobs.core.errors import FieldError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from runjobs.adapters.daemon import Link
    from runjobs.core.endpoint import Endpoint
    from runjobs.settings import Settings

LOG: Final = "runner.log"  # in the state folder
SMALLEST: Final = 4096  # bytes; a smaller log would be turned over at every few lines
LOG_SIZE: Final = "10M"
LOG_KEEP: Final = "10"


class Staying(NamedTuple):
    """What the command line says of it: the grace of a stop, and whether runs are left alone, what it serves."""

    grace: timedelta
    leave: bool
    daemon: bool
    pid_files: tuple[Path, ...]
    log_file: Path | None
    bounds: Bounds
    metrics: Endpoint | None = None


def absolute(settings: Settings) -> Settings:
    """The same settings for who leaves this folder."""
    return settings._replace(
        jobs=tuple(map(os.path.abspath, settings.jobs)),
        state=os.path.abspath(settings.state),
        cwd=os.path.abspath(settings.cwd) if settings.cwd else None,
    )


def staying(grace: timedelta, asked: Mapping[str, str | None], *, leave: bool, daemon: bool) -> Staying:
    """Read the options by their names; UsageError for what can't be."""
    pid_file, log_file, size, keep = (asked[f"--{name}"] for name in ("pid-file", "log-file", "log-size", "log-keep"))
    if (size or keep) and not log_file and not daemon:
        option = "--log-size" if size else "--log-keep"
        raise UsageError(f"{option} is for a log file, and there is none", "add --log-file PATH, or --daemon")
    return Staying(
        grace,
        leave=leave,
        daemon=daemon,
        pid_files=(Path(os.path.abspath(pid_file)),) if pid_file is not None else (),
        log_file=Path(os.path.abspath(log_file)) if log_file is not None else None,
        bounds=_bounds(size or LOG_SIZE, keep or LOG_KEEP),
        metrics=read_endpoint(asked.get("--metrics"), os.environ),
    )


def refuse_clashes(how: Staying, state: str) -> None:
    """UsageError where a log or a PID file would be a file that has another use already, and be spoilt by it."""
    from runjobs.adapters.pidfile import real
    from runjobs.adapters.statefolder import OURS
    from runjobs.runner.presence import NAME

    root = Path(state).absolute()
    logs = [("--log-file", how.log_file)] if how.log_file is not None else []
    pid_files = [("--pid-file", path) for path in how.pid_files]
    for option, path in (*logs, *pid_files):
        found = real(path)
        if found.parent == root.resolve() and found.name.split(".")[0] in OURS - {"runner"}:
            raise UsageError(f"{option} {path} is a file of the state folder", "name one that is free")
    log = how.log_file or (root / LOG if how.daemon else None)
    if log is not None and real(log) in {real(path) for path in (root / NAME, *how.pid_files)}:
        option, other = ("--log-file", "a PID file") if logs else ("--pid-file", "the log of the daemon")
        raise UsageError(f"{option} {log} is {other} too", "name two files")


def _bounds(size: str, keep: str) -> Bounds:
    """How large a log grows, and what is kept: a plain number is one of older logs, with a unit it is one of bytes."""
    most, number = _size("--log-size", size), _size("--log-keep", keep)
    if most < SMALLEST:
        raise UsageError(f"--log-size {size} is less than {SMALLEST} bytes", f"--log-size {LOG_SIZE}")
    if not number:
        raise UsageError("--log-keep 0 would keep nothing of what was turned over", "--log-keep 1 keeps the last one")
    return Bounds(most, files=number) if keep.isdigit() else Bounds(most, total=number)


def as_daemon(follow: Callable[[Link], int]) -> int:
    """Have a daemon follow the schedules; 0 once it does, or what kept it from it, said here and as an exit code."""
    from runjobs.adapters.daemon import Waited, detach

    link = detach()
    if isinstance(link, Waited):
        if said := link.message.decode("utf-8", "backslashreplace").rstrip("\n"):
            streams.complain(said)
        if link.has_died:
            streams.complain("runjobs: the daemon died before it was ready")
        return link.exit_code
    try:
        code = follow(link)
    except BaseException as error:  # noqa: BLE001 (it becomes an exit code, as in cli/main, and is told by the link)
        from runjobs.cli.errors import report

        code = report(error)
    link.settle(code)
    return code


def _size(option: str, text: str) -> int:
    from runjobs.core.values import parse_size

    try:
        return parse_size(text)
    except FieldError as error:
        raise UsageError(f"{option} {error.message}", error.hint) from error

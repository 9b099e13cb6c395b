"""The file that tells a run what has changed: its paths, each followed by a NUL, for the job's user alone."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import TYPE_CHECKING, Final

from runjobs.adapters.launch import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runjobs.core.run import RunEnd
    from runjobs.guard import Equipment

VARIABLE: Final = "RUNJOBS_CHANGED"
ENDING: Final = ".changed"
# nobody else can go into the state folder; here others may pass, but can't see what there is
ELSEWHERE: Final = "/run/runjobs"


def beside(log: str) -> str:
    """Where it is for runs as whom the runner is: beside the log, with which it goes."""
    return log.removesuffix(".log") + ENDING


def equip_with(paths: Sequence[str], log: str, equip: Callable[[], Equipment]) -> Equipment:
    """In the starter, which is still who the runner is: what a run is started with, and what has changed.

    LaunchError where it can't be written: a job that was told nothing would go on as if nothing had changed.
    """
    equipment = equip()
    path = beside(log) if equipment.user is None else elsewhere(log)
    try:
        _write(path, paths, equipment.user)
    except (OSError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"there is no user {equipment.user}"
        raise LaunchError("changed", f"{path} can't be written: {reason}") from error
    return equipment._replace(environment={**equipment.environment, VARIABLE: path})


def note_and_clear(log: str, note: Callable[[RunEnd], None], end: RunEnd) -> None:
    """In a guard that nobody has answered: no runner is there to clear it."""
    clear(log)
    note(end)


def clear(log: str) -> None:
    """A run has ended: what was put elsewhere is needed no more. What a crash leaves there is gone with the boot."""
    with contextlib.suppress(OSError):
        os.unlink(elsewhere(log))


def elsewhere(log: str) -> str:
    """Where it is for runs as somebody else, which only root can start; a run's id is nobody else's."""
    return os.path.join(ELSEWHERE, os.path.basename(beside(log)))


def _write(path: str, paths: Sequence[str], user: str | None) -> None:
    """Write it whole. KeyError where the user has gone meanwhile."""
    folder, name = os.path.split(path)
    os.makedirs(folder, 0o700 if user is None else 0o711, exist_ok=True)
    if user is not None:
        os.chmod(folder, 0o711)  # noqa: S103 (whatever the umask was: others go through, and see nothing)
    within = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=within)
    finally:
        os.close(within)
    with open(fd, "wb") as file:
        os.fchmod(fd, 0o600)
        if user is not None:
            entry = pwd.getpwnam(user)
            os.fchown(fd, entry.pw_uid, entry.pw_gid)
        file.write(b"".join(os.fsencode(each) + b"\0" for each in paths))

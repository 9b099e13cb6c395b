"""Starting a command through subprocess, as the user, in the folder and with the streams it is to have."""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Launch(NamedTuple):
    """What to start. `user` None: as whom we are; `umask` None: ours. The descriptors become 0, 1 and 2.

    `entrance` is where the command writes itself into a control group, before it is anything else.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    stdin: int
    stdout: int
    stderr: int
    user: str | None = None
    umask: int | None = None
    nice: int = 0
    entrance: int | None = None


class LaunchError(Exception):
    """The command could not be started: one word for machines (cwd, limits, nice, shell, start, user), a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def launch(what: Launch) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, with no descriptor but its three. LaunchError when it can't be.

    This process becomes what the command is to be (user, folder, umask, priority), so it must be one that ends
    right after. It may hang, in a folder on a stalled mount or in a name service; so nobody may depend on it.
    """
    _become(what)
    enter = None if what.entrance is None else functools.partial(os.write, what.entrance, b"0")
    try:
        return subprocess.Popen(
            what.arguments,
            env=what.environment,
            stdin=what.stdin,
            stdout=what.stdout,
            stderr=what.stderr,
            start_new_session=True,
            preexec_fn=enter,  # noqa: PLW1509 (there are no threads)
        )
    except subprocess.SubprocessError as error:  # says no more than that `enter` failed
        raise LaunchError("limits", "it could not enter its control group") from error
    except OSError as error:
        raise _explain(what, error) from error
    except ValueError as error:  # a NUL byte somewhere, or text that the file system's encoding can't express
        raise LaunchError("start", f"the command or its environment can't be given to a process: {error}") from error


@functools.cache
def ignored_signals() -> tuple[int, ...]:
    """The signals that this process ignores, such as Python's SIGPIPE; exec(2) gives all others their default back.

    To be asked once before any fork: looking takes a look at each signal.
    """
    return tuple(number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN)


def launch_here(what: Launch) -> int:
    """Start it from a process that goes on being what it is; returns the pid. For a start that can't hang.

    posix_spawn(3) gives the child its signals as they are to be, whatever ours are, and it takes 1 ms less than
    Popen in a process just forked, whose every page that is written to has to be copied first.
    """
    step = what.cwd
    before = os.umask(what.umask) if what.umask is not None else -1
    try:
        os.chdir(what.cwd)
        step = what.arguments[0]
        streams = (
            (os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate((what.stdin, what.stdout, what.stderr))
        )
        return os.posix_spawn(
            what.arguments[0],
            what.arguments,
            what.environment,
            file_actions=tuple(streams),
            setsid=True,
            setsigmask=(),
            setsigdef=ignored_signals(),
        )
    except OSError as error:
        if step == what.cwd:
            raise LaunchError("cwd", f"{step}: {error.strerror}") from error
        raise _explain(what, error) from error
    except ValueError as error:
        raise LaunchError("start", f"the command or its environment can't be given to a process: {error}") from error
    finally:
        if before >= 0:
            os.umask(before)
        os.chdir("/")


def _become(what: Launch) -> None:
    """The order is cron's: groups, group, user, umask; and the folder as the user, who may enter where root may not."""
    step = ("nice", f"nice {what.nice}")
    try:
        if what.nice:
            os.nice(what.nice)
        step = ("user", f"can't become {what.user}")
        if what.user is not None:
            _change_user(what.user)
        if what.umask is not None:
            os.umask(what.umask)
        step = ("cwd", what.cwd)
        os.chdir(what.cwd)
    except KeyError as error:
        raise LaunchError("user", f"there is no user {what.user}") from error
    except ValueError as error:
        raise LaunchError(step[0], f"{step[1]}: {error}") from error
    except OSError as error:
        raise LaunchError(step[0], f"{step[1]}: {error.strerror}") from error


def _change_user(user: str) -> None:
    import pwd

    entry = pwd.getpwnam(user)
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _explain(what: Launch, error: OSError) -> LaunchError:
    problem = error.strerror or str(error)
    if error.errno == errno.E2BIG:
        return LaunchError("start", f"the command and its environment are too long for a process: {problem}")
    if error.filename is not None and error.errno not in {errno.EAGAIN, errno.ENOMEM}:
        return LaunchError("shell", f"{what.arguments[0]}: {problem}")
    return LaunchError("start", f"no process could be made: {problem}")

"""Starting a command through subprocess, as the user, in the folder and with the streams it is to have."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Launch(NamedTuple):
    """What to start. `user` None: as whom we are; `umask` None: ours. The descriptors become 0, 1 and 2."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    stdin: int
    stdout: int
    stderr: int
    user: str | None = None
    umask: int | None = None
    nice: int = 0


class LaunchError(Exception):
    """The command could not be started: one word for machines (cwd, user, nice, shell, start), and a sentence."""

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
    try:
        return subprocess.Popen(
            what.arguments,
            env=what.environment,
            stdin=what.stdin,
            stdout=what.stdout,
            stderr=what.stderr,
            start_new_session=True,
        )
    except OSError as error:
        raise _explain(what, error) from error
    except ValueError as error:  # a NUL byte somewhere, or text that the file system's encoding can't express
        raise LaunchError("start", f"the command or its environment can't be given to a process: {error}") from error


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
    if error.filename is not None:
        return LaunchError("shell", f"{what.arguments[0]}: {problem}")
    return LaunchError("start", f"no process could be made: {problem}")

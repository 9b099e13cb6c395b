"""A scope of systemd's: a group that is ours to divide, on a machine where systemd keeps all others to itself.

It is there as long as somebody is in it, and those are the guards of runs with limits: they outlive their runner, and a
service that is started again finds its own group as it was.
"""

from __future__ import annotations

import errno
import os
import select
import subprocess
from typing import TYPE_CHECKING, Final

from runjobs.adapters.cgroup import HOME
from runjobs.adapters.cgroup.ground import divide, write

if TYPE_CHECKING:
    from collections.abc import Collection

ATTEMPTS: Final = 5  # at a scope that vanishes while we enter it: its last guard has just ended
PATIENCE: Final = 20.0  # seconds; systemd takes some 20 ms
GONE: Final = frozenset({errno.ENOENT, errno.ENODEV})
# it holds the scope until we are in it; when it has said a word, it is there
HOLDER: Final = ("/bin/sh", "-c", "echo; exec cat")


def enter(base: str, wanted: Collection[str]) -> None:
    """Go into the scope, with these controllers for the groups below it; made where it is not there. OSError if not."""
    for attempt in range(ATTEMPTS):
        holder = None if os.path.isdir(base) else _hold(base)
        try:
            os.makedirs(f"{base}/{HOME}", exist_ok=True)
            write(f"{base}/{HOME}/cgroup.procs", "0")
            divide(base, wanted)
        except OSError as error:
            if error.errno not in GONE or attempt == ATTEMPTS - 1:
                raise
        else:
            return
        finally:
            if holder is not None:
                holder.communicate()


def _hold(base: str) -> subprocess.Popen[bytes] | None:
    """Have systemd make the scope, with a process in it; None where somebody else has just had it made."""
    slice_name, unit = base.rsplit("/", 2)[1:]
    command = ("systemd-run", "--quiet", "--scope", "--collect", f"--unit={unit}", f"--slice={slice_name}")
    given = ("--property=Delegate=yes", "--property=TasksMax=infinity")
    piped = subprocess.PIPE
    holder = subprocess.Popen((*command, *given, *HOLDER), stdin=piped, stdout=piped, stderr=piped)
    out = holder.stdout
    answers = out is not None and bool(select.select([out], [], [], PATIENCE)[0])
    if out is not None and answers and os.read(out.fileno(), 1):
        return holder
    if not answers:
        holder.kill()
    said = holder.communicate()[1].decode("utf-8", "replace").strip()
    if os.path.isdir(base):
        return None
    raise OSError(errno.EAGAIN, f"systemd-run made no scope: {said or 'it does not answer'}")

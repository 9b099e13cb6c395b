"""A pid namespace of its own for one process, as a container has it; without root where the kernel lets us."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from tests.real.support.command_line import SILENT

# --map-current-user keeps our uid: as root of a user namespace every folder above ours would belong to a stranger
_USER = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
_NEW = ["unshare", *_USER, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'


@cache
def why_not() -> str:
    """Say why no namespace can be made here; "" when one can."""
    if not shutil.which("unshare"):
        return "unshare(1) is not installed"
    tried = subprocess.run([*_NEW, "true"], stdin=SILENT, capture_output=True, text=True, check=False)
    return f"no pid namespace can be made: {tried.stderr.strip()}" if tried.returncode else ""


def as_pid_1(command: list[str]) -> list[str]:
    """The command that runs `command` as PID 1; it dies with what started it."""
    return [*_NEW, *command]


def mounting(command: list[str]) -> list[str]:
    """As `as_pid_1`, and the command may mount."""
    may_mount = ["--keep-caps"] if _USER else []  # of the new user namespace; root's outlive the exec by themselves
    return [*_NEW, *may_mount, *command]


def with_read_only_root(writable: str, command: list[str]) -> list[str]:
    """As `as_pid_1`, and of the root file system only the folder `writable` can be written."""
    return mounting(["sh", "-c", _READ_ONLY, writable, *command])


def entering(pid: int, command: list[str]) -> list[str]:
    """The command that runs `command` in the namespaces of `pid`, as `docker exec` does."""
    user = ["--user", "--preserve-credentials"] if _USER else []
    return ["nsenter", "--target", str(pid), *user, "--mount", "--pid", *command]

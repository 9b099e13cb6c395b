"""The state folder: where the ledger, the locks and the logs are, private to its owner."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE: Final = 0o700
NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})
ALLOW_NETWORK: Final = "RUNJOBS_ALLOW_NETWORK_STATE"


class StateFolder(NamedTuple):
    """The folder's parts; the folders exist, are ours and are closed to others."""

    root: Path
    ledger: Path
    locks: Path
    logs: Path

    @property
    def ballast(self) -> Path:
        """Room on the disk that is held back for the ledger; gone when the ledger may not know everything."""
        return self.root / "ballast"

    @property
    def standin(self) -> Path:
        """The lock of whoever writes journals into lock files; its time says when a person was last told why."""
        return self.root / "standin.lock"


def prepare(root: Path, environ: Mapping[str, str]) -> StateFolder:
    """Make the folder where it is missing, and see that it can be trusted. RunjobsError when it can't be used."""
    state = folder_at(root)
    try:
        for folder in (root, state.locks, state.logs):
            folder.mkdir(mode=PRIVATE, parents=folder is root, exist_ok=True)
        status = root.stat()
    except OSError as error:
        message = f"the state folder {root} can't be used: {error.strerror}"
        raise RunjobsError(message, "choose another with --state DIR, or make it writable for this user") from error
    _check(root, status, environ)
    return state


def folder_at(root: Path) -> StateFolder:
    """The parts of a state folder, whether they are there or not."""
    return StateFolder(root, root / "ledger.sqlite3", root / "locks", root / "logs")


def check(root: Path, environ: Mapping[str, str]) -> None:
    """See that a state folder can be trusted and used, and change nothing. RunjobsError says what is wrong."""
    _check(root, root.stat(), environ)


def _check(root: Path, status: os.stat_result, environ: Mapping[str, str]) -> None:
    _check_owner(root, status)
    _check_writable(root)
    check_local(root, file_system(root), environ)


def _check_owner(root: Path, status: os.stat_result) -> None:
    if status.st_uid not in {os.geteuid(), 0}:
        message = f"the state folder {root} belongs to uid {status.st_uid}, not to uid {os.geteuid()}"
        raise RunjobsError(message, f"choose another with --state DIR, or: chown {os.geteuid()} {root}")
    if stat.S_IMODE(status.st_mode) & 0o022:
        message = f"the state folder {root} can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
        raise RunjobsError(message, f"chmod go-w {root}")


def _check_writable(root: Path) -> None:
    if not os.access(root, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        message = f"the state folder {root} can't be written by uid {os.geteuid()}"
        raise RunjobsError(message, "choose another with --state DIR, or make it writable for this user")


def check_local(root: Path, kind: str, environ: Mapping[str, str]) -> None:
    """Refuse a folder on a file system of this kind if that is one of a network, and nobody has allowed it."""
    if kind in NETWORK and not environ.get(ALLOW_NETWORK):
        message = f"the state folder {root} is on {kind}: its locks and its ledger can't be trusted over a network"
        raise RunjobsError(message, f"choose a local one with --state DIR, or set {ALLOW_NETWORK}=1")


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`, by /proc/self/mountinfo; "" where it can't be read."""
    try:
        device = os.stat(path).st_dev
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    return type_of(text, f"{os.major(device)}:{os.minor(device)}")


def type_of(mountinfo: str, device: str) -> str:
    """The type of the file system on a device, "major:minor", proc_pid_mountinfo(5); the last mount of it counts."""
    for line in reversed(mountinfo.splitlines()):
        mount, _, source = line.partition(" - ")
        if mount.split(" ", 3)[2] == device:
            return source.split(" ", 1)[0]
    return ""

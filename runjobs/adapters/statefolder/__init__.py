"""The state folder: where the ledger, the locks and the logs are, private to its owner."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.statefolder.above import check_above, facts_of, named
from runjobs.core.errors import RunjobsError
from runjobs.core.trust import GROUP_WRITES, OTHERS_WRITE, kind_name, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PRIVATE: Final = 0o700
FOR_OTHERS: Final = 0o077
# what names in a state folder begin with, up to the first dot; a folder that holds anything else is not ours alone
OURS: Final = frozenset({"ballast", "lastgood", "ledger", "locks", "logs", "roots", "runner", "standin"})
_LEDGERS: Final = ("", "-journal", "-shm", "-wal")  # endings of the files that SQLite keeps
_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
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

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folder itself and those in it, which are made before anything else."""
        return self.root, self.locks, self.logs

    @property
    def files(self) -> Iterator[Path]:
        """The files that may be there, but for locks and logs."""
        yield from (self.root / f"{self.ledger.name}{ending}" for ending in _LEDGERS)
        yield from (self.root / "ledger.lock", self.standin, self.ballast)


def _nobody(_text: str) -> None:
    """Who makes a folder for itself need not be told what was mended."""


def prepare(root: Path, environ: Mapping[str, str], announce: Callable[[str], None] = _nobody) -> StateFolder:
    """Make the folder where it is missing, and see that it can be trusted. RunjobsError when it can't be used.

    What is ours and can be read by others is closed to them, which `announce` is told. What others can write is
    refused: nobody knows what they have written.
    """
    state = folder_at(root)
    try:
        for folder in state.folders:
            if not folder.is_dir():
                check_above(folder)  # before anything is put there
                _make(folder)
            check_above(folder)
            _close(folder, root, announce)
    except OSError as error:
        message = f"the state folder {root} can't be used: {error.strerror}"
        raise RunjobsError(message, "choose another with --state DIR, or make it writable for this user") from error
    _check_use(state, environ)
    return state


def folder_at(root: Path) -> StateFolder:
    """The parts of a state folder, whether they are there or not."""
    return StateFolder(root, root / "ledger.sqlite3", root / "locks", root / "logs")


def check(root: Path, environ: Mapping[str, str]) -> None:
    """See that a state folder can be trusted and used, and change nothing. RunjobsError says what is wrong."""
    state = folder_at(root)
    for folder in state.folders:
        with contextlib.suppress(FileNotFoundError):
            check_above(folder)
            if not _is_lent(folder, status := folder.stat()):
                _check_owner(folder, status)
    _check_use(state, environ)


def loose(root: Path) -> Iterator[Path]:
    """All that is in a state folder, itself too, whose mode lets others in; what can't be looked at is left out."""
    for folder, _, names in os.walk(root):
        for path in (folder, *(os.path.join(folder, name) for name in names)):
            with contextlib.suppress(OSError):
                if os.lstat(path).st_mode & FOR_OTHERS and not os.path.islink(path):
                    yield Path(path)


def _make(folder: Path) -> None:
    """Make a folder, and those above it, for us alone: Path.mkdir leaves those above to the umask."""
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
    except FileNotFoundError:
        _make(folder.parent)
        folder.mkdir(mode=PRIVATE, exist_ok=True)


def _close(folder: Path, root: Path, announce: Callable[[str], None]) -> None:
    """See that a folder is ours, and close it to others; a folder that holds other things too stays open to readers."""
    descriptor = os.open(folder, _FOLDER)
    try:
        status = os.fstat(descriptor)
        if not (is_lent := _is_lent(folder, status)):
            _check_owner(folder, status)
        if status.st_mode & FOR_OTHERS and status.st_uid == os.geteuid() and _is_ours_alone(root):
            os.chmod(".", PRIVATE, dir_fd=descriptor)
            if is_lent and not _has_no_other(folder):  # somebody was faster
                _check_owner(folder, status)
            mode = stat.S_IMODE(status.st_mode)
            could = "written by its group" if is_lent else "read by others"
            announce(f"the state folder {folder} could be {could} (mode {mode:04o}): it is closed to them now")
    finally:
        os.close(descriptor)


def _is_lent(folder: Path, status: os.stat_result) -> bool:
    """Whether a folder of ours is open to our group, and nothing in it can be anybody's but ours.

    Each folder that is made under umask 002 is, where each user has a group of their own. As for jobs files, root is
    stricter.
    """
    is_open = status.st_mode & (GROUP_WRITES | OTHERS_WRITE) == GROUP_WRITES
    return is_open and 0 != os.geteuid() == status.st_uid and _has_no_other(folder)


def _has_no_other(folder: Path) -> bool:
    """Whether all that is in a folder has a name of ours, is ours, and no file of it can be written by others."""
    if folder.name not in {"locks", "logs"} and not _is_ours_alone(folder):
        return False
    for above, folders, files in os.walk(folder):
        for status in (os.lstat(os.path.join(above, name)) for name in (*folders, *files)):
            is_open = status.st_mode & 0o022 and not stat.S_ISDIR(status.st_mode)
            if is_open or status.st_uid != os.geteuid():
                return False
    return True


def _is_ours_alone(root: Path) -> bool:
    """Whether a folder is there for us: --state may name a home, or /var/lib, which must stay as it is."""
    return all(name.partition(".")[0].partition("+")[0] in OURS for name in os.listdir(root))


def _check_use(state: StateFolder, environ: Mapping[str, str]) -> None:
    _check_kinds(state)
    _check_writable(state.root)
    check_local(state.root, file_system(state.root), environ)


def _check_kinds(state: StateFolder) -> None:
    """Only regular files are opened: a FIFO would keep us waiting, and a device takes what is written to it."""
    for path in state.files:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                message = f"{path} is {kind_name(status.st_mode)}, not a file: {_look(path, status)}"
                raise RunjobsError(message, f"mv {quoted(str(path))} {quoted(f'{path}.aside')}")


def _check_owner(folder: Path, status: os.stat_result) -> None:
    if status.st_uid not in {os.geteuid(), 0}:
        message = f"the state folder {folder} is not ours: {_look(folder, status)}"
        ours = os.geteuid() or "root"
        as_root = "as root: " if os.geteuid() else ""
        way = f"{as_root}chown {ours} {quoted(str(folder))}; or choose another with --state DIR"
        raise RunjobsError(message, way)
    if stat.S_IMODE(status.st_mode) & 0o022:
        message = f"others can write the state folder {folder}: {_look(folder, status)}"
        raise RunjobsError(message, f"chmod go-w {quoted(str(folder))}")


def _look(path: Path, status: os.stat_result) -> str:
    return named(facts_of(str(path), status)).look


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

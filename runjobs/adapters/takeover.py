"""What is taken over, on disk: other schedulers' files read, whoever owns them, and jobs files that never overwrite."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LARGEST = 16 * 2**20  # bytes: far beyond any crontab, and a bound for what a slip can make us read
PATIENCE = 30  # seconds that crontab(1) may take; it only copies a file
OTHERS_READ = 0o004
NO_INPUT = 66  # EX_NOINPUT, sysexits(3)
IN_THE_WAY = 73  # EX_CANTCREAT, sysexits(3)


class Found(NamedTuple):
    """A file as read: bytes that are not UTF-8 stand as surrogate escapes; `private`: not everybody may read it."""

    path: str
    text: str
    private: bool


class Made(NamedTuple):
    """A jobs file to write."""

    name: str
    text: str
    private: bool

    @property
    def mode(self) -> int:
        """The mode it is written with, whatever the umask: a crontab that others may not read stays so."""
        return 0o600 if self.private else 0o644


def read(path: str) -> Found:
    """Read one file. OSError where it can't be, RunjobsError where it is none that can be taken over."""
    # O_NONBLOCK: a FIFO must not have us wait for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise RunjobsError(f"{path} is no file", "name a file, or a folder of them", exit_code=NO_INPUT)
        with open(descriptor, "rb", closefd=False) as file:
            text = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(text) > LARGEST:
        message = f"{path} is larger than {LARGEST // 2**20} MiB"
        raise RunjobsError(message, "is this what you meant?", exit_code=NO_INPUT)
    return Found(path, text.decode("utf-8", "surrogateescape"), not facts.st_mode & OTHERS_READ)


def own_crontab() -> Found:
    """Ask crontab(1) for the crontab of whoever we are. RunjobsError where there is none."""
    try:
        ended = subprocess.run(
            ["crontab", "-l"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = "is not installed" if isinstance(error, FileNotFoundError) else f"failed: {error}"
        raise RunjobsError(f"crontab {what}", "runjobs import FILE", exit_code=NO_INPUT) from None
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip() or f"exit code {ended.returncode}"
        raise RunjobsError(f"crontab -l: {said}", "runjobs import FILE takes another one", exit_code=NO_INPUT)
    return Found("crontab -l", ended.stdout.decode("utf-8", "surrogateescape"), private=True)


def names_in(path: str) -> list[str] | None:
    """List a folder, sorted; None where it is none. OSError where it can't be."""
    return sorted(os.listdir(path)) if os.path.isdir(path) else None


def write_all(folder: str, files: Sequence[Made]) -> None:
    """Write jobs files, all or none, each whole or not at all; make the folder if it isn't there.

    Nothing is overwritten: RunjobsError names every file that is in the way. OSError where one can't be written.
    """
    there = [os.path.join(folder, file.name) for file in files if os.path.lexists(os.path.join(folder, file.name))]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise _in_the_way(there[0], more)
    os.makedirs(folder, mode=0o755, exist_ok=True)
    with contextlib.ExitStack() as written:
        for file in files:
            path = os.path.join(folder, file.name)
            _write(folder, path, file)
            written.callback(os.unlink, path)
        _sync(folder)
        written.pop_all()


def _in_the_way(path: str, more: str = "") -> RunjobsError:
    hint = "move it away, or name another folder with --to"
    return RunjobsError(f"{path}{more} is already there, and nothing is overwritten", hint, exit_code=IN_THE_WAY)


def _write(folder: str, path: str, file: Made) -> None:
    # a hidden name: a runner that reads the folder meanwhile passes it over
    descriptor, draft = tempfile.mkstemp(prefix=".import-", dir=folder)
    try:
        with open(descriptor, "wb") as opened:
            os.fchmod(descriptor, file.mode)
            opened.write(file.text.encode("utf-8", "surrogateescape"))
            opened.flush()
            os.fsync(descriptor)
        os.link(draft, path)  # not rename(2), which would overwrite what has come there since we looked
    except FileExistsError:
        raise _in_the_way(path) from None
    finally:
        os.unlink(draft)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def exists(path: str) -> bool:
    """Tell whether there is a file."""
    return os.path.isfile(path)


# as systemd.unit(5) has them, the first before the others
UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


def unit_files(name: str, folders: Iterable[str]) -> list[str]:
    """Find a unit's file and its drop-ins in these folders, the first folder first; [] where there is none.

    An instance `a@b.timer` has the file of `a@.timer`. A unit that is masked (a link to /dev/null) has none.
    """
    folders = list(dict.fromkeys(map(os.path.realpath, folders)))
    template = f"{name.partition('@')[0]}@.{name.rpartition('.')[2]}" if "@" in name else name
    names = list(dict.fromkeys((name, template)))
    found = [os.path.join(folder, each) for each in names for folder in folders]
    main = next((path for path in found if os.path.lexists(path)), None)
    if main is None or os.path.realpath(main) == os.devnull:
        return []
    drops: dict[str, str] = {}
    for each in (f"{each}.d" for each in names):
        for folder in folders:
            for base in names_in(os.path.join(folder, each)) or ():
                if base.endswith(".conf"):
                    drops.setdefault(base, os.path.join(folder, each, base))
    return [main, *(drops[base] for base in sorted(drops) if os.path.realpath(drops[base]) != os.devnull)]


def wanted_units(folders: Iterable[str], endings: tuple[str, ...]) -> list[str]:
    """Name the units with such endings that are enabled: something in these folders wants or requires them."""
    found: set[str] = set()
    for folder in folders:
        for each in names_in(folder) or ():
            if each.endswith((".wants", ".requires")):
                found.update(name for name in names_in(os.path.join(folder, each)) or () if name.endswith(endings))
    return sorted(found)

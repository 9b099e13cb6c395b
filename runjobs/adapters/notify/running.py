"""Running a program that tells: what it reads, what it says, and its end, or that of its whole tree at the deadline."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.environment import OURS
from runjobs.core.procstat import Stat, parse_stat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runjobs.adapters.notify.dialing import Deadline

KEPT: Final = 4_096  # bytes of what it says: enough to tell what went wrong
PIPE: Final = 65_536  # bytes that a pipe holds, pipe(7)
ROUNDS: Final = 50  # looks at a tree that forks while we kill it


class Ran(NamedTuple):
    """How it ended: its exit code, negative for a signal, and the end of what it said."""

    code: int
    said: str


def run(words: Sequence[str], text: str, facts: Mapping[str, str], deadline: Deadline) -> Ran:
    """Run it in a session of its own. OSError: it can't be started; TimeoutError: it was killed, with its tree.

    Its environment is what the runner was given, without settings of ours, and `facts`; of these RUNJOBS_KEY tells who
    belongs to it. What it leaves behind at a normal end stays, whoever holds its output open.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    with contextlib.ExitStack() as stack:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        stack.callback(os.close, reading)
        with _holding(text) as stdin, _closing(writing):
            process = subprocess.Popen(
                words,
                env=given | dict(facts),
                stdin=stdin,
                stdout=writing,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
        try:
            said = _listen(process, reading, deadline)
        except TimeoutError:
            _kill(process.pid, f"RUNJOBS_KEY={facts['RUNJOBS_KEY']}")
            process.wait()
            raise
    return Ran(process.returncode, said.decode("utf-8", "replace").strip())


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _holding(text: str) -> Iterator[int]:
    """A file in memory with this text: who does not read it is no hindrance."""
    with _closing(os.memfd_create("letter", os.MFD_CLOEXEC)) as descriptor:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(text.encode("utf-8", "replace"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor


def _listen(process: subprocess.Popen[bytes], reading: int, deadline: Deadline) -> bytes:
    """The end of what it says until it ends: not until nobody holds the pipe any more, which may be never."""
    said = b""
    os.set_blocking(reading, False)
    with _closing(os.pidfd_open(process.pid)) as ending, selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        selector.register(ending, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select(deadline.left())}
            piece = _read(reading)
            said = (said + (piece or b""))[-KEPT:]
            if ending in ready:
                process.wait()
                return said
            if piece == b"" and reading in ready:
                selector.unregister(reading)


def _read(descriptor: int) -> bytes | None:
    """All that is in the pipe; None: nothing now, b"": nothing any more."""
    try:
        return os.read(descriptor, PIPE)
    except BlockingIOError:
        return None


def _kill(leader: int, tag: str) -> None:
    """Kill all that belong to it: its descendants, its session, and who has the tag in its environment."""
    killed: set[tuple[int, int]] = set()
    for _ in range(ROUNDS):
        fresh = [stat for stat in _members(leader, tag.encode()) if (stat.pid, stat.start_time) not in killed]
        if not fresh:
            return
        for stat in fresh:
            _kill_one(stat)
            killed.add((stat.pid, stat.start_time))


def _members(leader: int, tag: bytes) -> list[Stat]:
    found = {stat.pid: stat for stat in map(_stat, filter(str.isdecimal, os.listdir("/proc"))) if stat is not None}
    members = {pid for pid, stat in found.items() if leader in {pid, stat.session} or _has(pid, tag)}
    grown = True
    while grown:
        below = {pid for pid, stat in found.items() if stat.parent in members and pid not in members}
        members |= below
        grown = bool(below)
    return [found[pid] for pid in members if found[pid].is_alive]


def _stat(name: str) -> Stat | None:
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            return parse_stat(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def _has(pid: int, tag: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return tag in file.read().split(b"\0")
    except OSError:  # gone, or somebody else's
        return False


def _kill_one(stat: Stat) -> None:
    """Kill just this process, and nobody who was given its pid since."""
    with contextlib.suppress(OSError), _closing(os.pidfd_open(stat.pid)) as handle:
        now = _stat(str(stat.pid))
        if now is not None and now.start_time == stat.start_time:
            signal.pidfd_send_signal(handle, signal.SIGKILL)

"""What is kept of a job's watched paths, as bytes for a ledger."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from runjobs.core.fire import from_milliseconds, milliseconds
from runjobs.core.watching import Memory, Seen, Tale

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION: Final = b"2"
EMPTY: Final = Memory({})
QUICK: Final = 1  # zlib's level: a tenth of the time of its default, and half as much again to keep


def pack(memory: Memory) -> bytes:
    """As bytes, which other versions can tell from their own."""
    words = [str(len(memory.tales)), str(len(memory.restless))]
    for tale in memory.tales:
        words += (tale.run, tale.fire, str(tale.losses), str(len(tale.told)), *tale.told)
    for path, since in memory.restless.items():
        words += (path, str(milliseconds(since)))
    for path, seen in memory.entries.items():
        words += (path, f"{seen.kind} {seen.inode} {seen.size} {seen.mtime} {seen.ctime}")
    return VERSION + zlib.compress("\0".join(words).encode("utf-8", "surrogateescape"), QUICK)


def unpack(state: bytes | None) -> Memory:
    """What was kept; where that can't be read, nothing: then all that is there is told, lest a change be lost."""
    if state is None or not state.startswith(VERSION):
        return EMPTY
    try:
        words = iter(zlib.decompress(state[len(VERSION) :]).decode("utf-8", "surrogateescape").split("\0"))
        tales, restless = int(next(words)), int(next(words))
        told = tuple(_tale(words) for _ in range(tales))
        since = {next(words): from_milliseconds(int(next(words))) for _ in range(restless)}
        return Memory(_entries(list(words)), told, since)
    except (zlib.error, ValueError, StopIteration, RuntimeError):  # a generator makes the latter of the one before
        return EMPTY


def _tale(words: Iterator[str]) -> Tale:
    run, fire, losses, number = (next(words) for _ in range(4))
    return Tale(run, fire, tuple(next(words) for _ in range(int(number))), int(losses))


def _entries(words: list[str]) -> Mapping[str, Seen]:
    pairs = zip(words[::2], words[1::2], strict=True)
    return {path: _seen(*text.split(" ")) for path, text in pairs}


def _seen(kind: str, inode: str, size: str, mtime: str, ctime: str) -> Seen:
    return Seen(kind, int(inode), int(size), int(mtime), int(ctime))

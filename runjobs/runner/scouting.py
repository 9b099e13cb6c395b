"""Looks at watched paths: by ourselves where nothing can hang, else by a scout, a process of its own that may."""

from __future__ import annotations

import contextlib
import json
import os
import select
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from runjobs.adapters import process
from runjobs.adapters.mounts import may_hang, read_mounts
from runjobs.adapters.snapshot import Ours, look
from runjobs.core.watching import Seen, Sight
from runjobs.core.watchpaths import is_glob, literal
from runjobs.runner.changed import ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE: Final = 2.0  # seconds that a runner waits for a scout: as long as nothing else happens in its loop
PIECE: Final = 1 << 20


class Scouts:
    """Makes looks; a scout that has not come back is not followed by another one for the same job."""

    def __init__(self, state: str, own: Sequence[str] = ()) -> None:
        """Nobody is out. `state` is the folder that is left out of every look, and so are the files `own`."""
        self._folders = (state, ELSEWHERE)
        self._own = own
        self._out: dict[str, int] = {}

    def look(self, job: str, patterns: Sequence[str], *, recursive: bool) -> Sight | None:
        """One look at these paths of a job; None: a file system does not answer in time."""
        mounts = read_mounts()
        if not any(may_hang(_fixed(pattern), mounts) for pattern in patterns):
            return look(patterns, recursive=recursive, without=Ours(self._folders, self._own))
        if job in self._out and not self._is_back(job):
            return None
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if process.fork() == 0:
                self._scout(writer, patterns, recursive=recursive)
        except OSError:
            os.close(reader)
            return None  # no process can be made: the next look may find it better
        finally:
            os.close(writer)
        answer = _hear(reader, PATIENCE)
        if answer is None:
            self._out[job] = reader
            return None
        os.close(reader)
        return answer

    def _is_back(self, job: str) -> bool:
        """Whether a scout that took too long has ended; what it saw is old by now."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._out[job], PIECE):
                pass
            os.close(self._out.pop(job))
            return True
        return False

    def _scout(self, writer: int, patterns: Sequence[str], *, recursive: bool) -> NoReturn:
        """Hold nothing of the runner's, above all no lock, for as long as it takes; the runner reaps us."""
        with contextlib.suppress(Exception):
            process.die_with_parent()
            process.close_others({writer})
            os.set_blocking(writer, True)
            sight = look(patterns, recursive=recursive, without=Ours(self._folders, self._own))
            facts = sight._asdict() | {"places": sorted(sight.places), "ours": sorted(sight.ours)}
            with open(writer, "w", encoding="ascii") as file:
                json.dump(facts, file)
        os._exit(0)


def _fixed(pattern: str) -> str:
    """The part of a pattern that stands for one path only."""
    names = pattern.split("/")
    first = next((number for number, name in enumerate(names) if is_glob(name)), len(names))
    return literal("/".join(names[:first])) or "/"


def _hear(reader: int, patience: float) -> Sight | None:
    """What a scout says, who has ended; nothing is said by one who was killed, and nothing has to come of it."""
    text, until = b"", time.monotonic() + patience
    while select.select([reader], [], [], max(0.0, until - time.monotonic()))[0]:
        piece = os.read(reader, PIECE)
        if not piece:
            return _read(json.loads(text)) if text else None
        text += piece
    return None


def _read(facts: dict[str, Any]) -> Sight:
    entries = {path: Seen(*values) for path, values in facts["entries"].items()}
    sets = {name: frozenset(facts[name]) for name in ("places", "ours")}
    return Sight(**facts | sets | {"entries": entries})

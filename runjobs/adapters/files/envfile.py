"""Env-files on disk: read where they can be trusted, and whether others can read the secrets in them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.adapters.files.walk import RefusedError, Rules, read_up_to, told
from runjobs.core.trust import Refusal, group_warning, quoted, secret_warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.core.trust import Facts, Judge

LARGEST: Final = 1_048_576  # bytes; a process can be given 2 MiB in all, execve(2)


def read_env_file(path: str, judge: Judge, *, trust: bool) -> str:
    """The text of an env-file; what is not UTF-8 stands as surrogate escapes. RefusedError says why it can't be had."""
    return _read(path, judge, trust=trust)[0]


def doubts(path: str, judge: Judge, *, trust: bool) -> Iterator[Refusal]:
    """What is to be said of an env-file before a run needs it: why it can't be had, or who else has a hand in it."""
    try:
        _, facts = _read(path, judge, trust=trust)
    except RefusedError as error:
        yield error.refusal
        return
    is_closed = trust or not _is_reachable(facts.place)
    for doubt in (None if trust else told(facts, group_warning), None if is_closed else told(facts, secret_warning)):
        if doubt is not None:
            yield doubt


def _read(path: str, judge: Judge, *, trust: bool) -> tuple[str, Facts]:
    try:
        with Rules(judge, trust=trust).open_path(path) as opened:
            if opened.is_folder:
                raise RefusedError(Refusal(f"{path}: it is a folder, not a file", "name a file with env-file="))
            data = read_up_to(LARGEST, opened)
            if data is None:
                message = f"{path} is larger than {LARGEST // 2**20} MiB, more than a process can be given"
                raise RefusedError(Refusal(message, "is this an env-file? It has lines of NAME=value"))
            return data.decode("utf-8", "surrogateescape"), opened.seen()
    except OSError as error:
        raise RefusedError(_unreadable(path, error)) from error


def _unreadable(path: str, error: OSError) -> Refusal:
    is_closed = error.errno == errno.EACCES
    way = f"namei -l {quoted(path)} shows who may read it" if is_closed else "create it, or mend the path"
    return Refusal(f"{path}: {error.strerror}", way)


def _is_reachable(place: str) -> bool:
    """Whether anybody may enter all folders above: what is in a closed one can't be read, whatever its mode."""
    try:
        return all(os.stat(folder).st_mode & 0o001 for folder in Path(place).parents)
    except OSError:
        return True

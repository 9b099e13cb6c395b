"""The alarm: trouble of the ledger is told once, and once a day as long as it lasts; then that all is well."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REMIND: Final = 86_400  # seconds: cron would mail it each minute
SECOND: Final = 1_000_000_000  # in nanoseconds
SIGN: Final = 7  # nanoseconds that tell a time of ours from the time at which a file was made


class Alarm:
    """Tells a person; that one was told stands in the time of a file's last change, for which a full disk has room."""

    def __init__(self, file: Path, announce: Callable[[str], None], *, is_brief: bool) -> None:
        """`is_brief`: we are one of many passes, so what others have told today is not told again."""
        self._file = file
        self._announce = announce
        self._is_brief = is_brief
        self._told: set[str] = set()

    def raise_(self, text: str) -> None:
        """Tell of trouble, unless that was done."""
        now = int(time.time())
        told_at = self._told_at()
        is_new = text not in self._told
        self._told.add(text)
        if not is_new or (self._is_brief and told_at is not None and 0 <= now - told_at < REMIND):
            return
        self._announce(text)
        self._set(now * SECOND + SIGN)

    def mention(self, text: str) -> None:
        """Tell of something that happens once."""
        self._announce(text)

    def lower(self, text: str) -> None:
        """Tell that all is well, if anybody was told that it was not."""
        if not self._told and self._told_at() is None:
            return
        self._told.clear()
        self._set(0)
        self._announce(text)

    def _told_at(self) -> int | None:
        try:
            seconds, rest = divmod(os.stat(self._file).st_mtime_ns, SECOND)
        except OSError:
            return None
        return seconds if rest == SIGN else None

    def _set(self, time_ns: int) -> None:
        with contextlib.suppress(OSError):  # then it is told more often than it need be
            os.close(os.open(self._file, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            os.utime(self._file, ns=(time_ns, time_ns))

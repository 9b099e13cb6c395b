"""Watching paths: says when somebody should look at them again; what has changed there is found by who looks."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Final

from runjobs.adapters.watch.route import wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runjobs.adapters.watch.inotify import Notifier

POLL: Final = 1.0  # seconds between two looks where the kernel does not tell
CALM: Final = 60.0  # seconds for which it is looked at again and again, after the kernel had more to tell than it keeps


class Watch:
    """Follows paths by inotify(7) where that works, else by asking to be looked at each second.

    To miss nothing: `follow`, then look, and both again whenever `is_due` says so. `fd` is readable when there is
    news, and None where inotify can't be had; it stays the same until `close`.
    """

    def __init__(self, is_local: Callable[[str], bool], monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with no path. `is_local`: whether the kernel can know of all that happens at a path."""
        self._is_local = is_local
        self._monotonic = monotonic
        self._troubles: list[str] = []
        self._told: set[str] = set()
        self._is_partial = False
        self._has_news = False
        self._rough_until = 0.0
        self._next_poll = 0.0
        self._notifier = self._listen()
        self.fd = None if self._notifier is None else self._notifier.fd

    def _listen(self) -> Notifier | None:
        try:
            from runjobs.adapters.watch.inotify import Notifier
        except ImportError:  # the extra `watch` is not there, which is no trouble: that is what polling is for
            return None
        try:
            return Notifier()
        except OSError as error:
            self._complain(f"changed files are found by looking at them each second: inotify: {error.strerror}")
            return None

    def follow(self, paths: Iterable[str]) -> None:
        """A look begins, at these: a folder with what is in it but not below, a file, a path that may come to be.

        Each is followed with all that leads to it, folders and symlinks, so that what takes their place is noticed.
        News that nobody has asked about yet stays news: who is looked at now may not be whom it concerns.
        """
        self._has_news = self._is_partial = False
        self.heard()
        self._next_poll = self._monotonic() + POLL
        if self._notifier is None:
            return
        near = []
        for path in paths:
            if self._is_local(os.path.abspath(path)):
                near.append(path)
            else:
                self._is_partial = True
                self._complain(
                    f"{path} is on a file system that may not tell of changes: it is looked at each second instead"
                )
        try:
            self._notifier.follow(wanted(near))
        except OSError as error:
            self._is_partial = True
            self._complain(f"changed files are found by looking at them each second: {_reason(error)}")

    def heard(self) -> None:
        """Take what the kernel has told; called when `fd` is readable."""
        if self._notifier is None:
            return
        told = self._notifier.take()
        self._has_news |= told.anything
        if told.lost:
            self._rough_until = self._monotonic() + CALM
            self._complain("more files have changed than the kernel could tell: they are looked at each second for now")

    def is_due(self) -> bool:
        """Whether it is time to look."""
        now = self._monotonic()
        return self._has_news or (self._is_polling(now) and now >= self._next_poll)

    def pause(self) -> float | None:
        """Seconds until a look is due; None: not before `fd` is readable."""
        if self._has_news:
            return 0.0
        now = self._monotonic()
        return max(0.0, self._next_poll - now) if self._is_polling(now) else None

    def take_troubles(self) -> list[str]:
        """Why it does not follow by inotify, each reason once ever."""
        troubles, self._troubles = self._troubles, []
        return troubles

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._notifier is not None:
            self._notifier.close()

    def _is_polling(self, now: float) -> bool:
        return self._notifier is None or self._is_partial or now < self._rough_until

    def _complain(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._troubles.append(text)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:  # which inotify_add_watch(2) gives a meaning of its own
        return "this user has as many inotify watches as fs.inotify.max_user_watches allows"
    return f"inotify: {error.strerror}"

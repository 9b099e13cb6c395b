"""inotify(7) by way of inotify_simple, which the extra `watch` brings."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Final, NamedTuple

from inotify_simple import INotify, flags  # type: ignore[import-untyped,import-not-found,unused-ignore]

from runjobs.adapters.watch.route import Ask, Spot

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS: Final[dict[Ask, int]] = {
    Ask.ITSELF: flags.MOVE_SELF | flags.DELETE_SELF,
    Ask.MODE: flags.ATTRIB,
    Ask.CONTENT: flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB,
    Ask.ARRIVALS: flags.CREATE | flags.MOVED_TO,
    Ask.ENTRIES: flags.CREATE | flags.MOVED_TO | flags.DELETE | flags.MOVED_FROM
    | flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB,
}  # fmt: skip
GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR})  # by now: the look that follows sees it


class Told(NamedTuple):
    """Whether anything was told, and whether something was lost, since the queue was full."""

    anything: bool
    lost: bool


class Notifier:
    """The kernel's watches of one user of ours; OSError where there are too many users of them already."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._inotify = INotify(nonblocking=True)
        self._watches: dict[Spot, tuple[int, Ask]] = {}
        self.fd: int = self._inotify.fileno()

    def follow(self, spots: Mapping[Spot, Ask]) -> None:
        """Watch these spots and no others. OSError where one of them, or any more of them, can't be watched."""
        for spot, (_, asked) in list(self._watches.items()):
            if asked & ~spots.get(spot, Ask(0)):  # more than is wanted now: a mask only grows
                self._drop(spot)
        failed: OSError | None = None
        for spot, ask in spots.items():
            if self._watches.get(spot, (0, None))[1] != ask:
                try:
                    self._watches[spot] = self._watch(spot, ask), ask
                except OSError as error:
                    failed = failed if error.errno in GONE else error
        if failed is not None:
            raise failed

    def _watch(self, spot: Spot, ask: Ask) -> int:
        mask = flags.DONT_FOLLOW | flags.MASK_ADD  # two paths may lead to one inode, which has one watch
        for part, events in EVENTS.items():
            mask |= events if part in ask else 0
        return int(self._inotify.add_watch(spot.path, mask))

    def _drop(self, spot: Spot) -> None:
        number, _ = self._watches.pop(spot)
        if all(number != other for other, _ in self._watches.values()):
            with contextlib.suppress(OSError):  # the kernel let go of it when the inode went
                self._inotify.rm_watch(number)

    def take(self) -> Told:
        """Take all that was told."""
        events = self._inotify.read(timeout=0)
        ended = {event.wd for event in events if event.mask & flags.IGNORED}
        if ended:
            self._watches = {spot: watch for spot, watch in self._watches.items() if watch[0] not in ended}
        return Told(bool(events), any(event.mask & flags.Q_OVERFLOW for event in events))

    def close(self) -> None:
        """Let go of all watches."""
        self._inotify.close()

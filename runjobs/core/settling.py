"""What has changed and then been left alone: a file that is still being written is not to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PUT_OFF: Final = 5.0  # seconds: who moves a file, and writes on in it, has the time of an editor and of a slow disk


class Settling:
    """Compares versions of paths with those that were taken, as somebody looks again and again.

    A version is whatever tells one from another, such as the stamp of a file; one that is missing is a version too.
    """

    def __init__(self, after: float, put_off: float = PUT_OFF) -> None:
        """A version has settled when it has been seen so many seconds ago, and is still there.

        What is missing may have been moved to a new path in its folder. While one there has not settled, it has not
        either, nor have other new ones that it may have been moved to: for `put_off` seconds at the most.
        """
        self._after = after
        self._put_off = put_off
        self._taken: dict[str, object] = {}
        self._seen: dict[str, tuple[object, float]] = {}

    def look(self, versions: Mapping[str, object], now: float) -> set[str]:
        """The names whose version has settled and is not the one that was taken; `now` is on a monotonic clock."""
        names = {name for name in versions.keys() | self._taken.keys() if versions.get(name) != self._taken.get(name)}
        self._seen = {name: (versions.get(name), self._since(name, versions.get(name), now)) for name in names}
        settled = {name for name, (_, since) in self._seen.items() if now - since >= self._after}
        return settled - self._in_motion(settled, now)

    def _in_motion(self, settled: set[str], now: float) -> set[str]:
        """What is missing and what is new in folders where one of the new paths has not settled."""
        new = self._seen.keys() - self._taken.keys()
        restless = {_folder(name) for name in new - settled}
        missing = {name for name, (version, since) in self._seen.items() if version is None} - new
        waiting = {name for name in missing if _folder(name) in restless and now - self._seen[name][1] < self._put_off}
        folders = {_folder(name) for name in waiting}
        return waiting | {name for name in new if _folder(name) in folders}

    def _since(self, name: str, version: object, now: float) -> float:
        before, since = self._seen.get(name, (None, now))
        return since if before == version else now

    @property
    def changed(self) -> set[str]:
        """The names whose version was not the one that was taken, at the last look."""
        return set(self._seen)

    def take(self, names: Iterable[str], versions: Mapping[str, object]) -> None:
        """From here on these names are known in these versions; one that is missing there is known to be missing."""
        for name in names:
            self._seen.pop(name, None)
            if name in versions:
                self._taken[name] = versions[name]
            else:
                self._taken.pop(name, None)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def torn_by(before: Mapping[str, object], read: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """The names whose version changed while they were read: as it was before, as it was read, and afterwards.

    What has a version and was not read, such as a folder, need only be the same before and afterwards.
    """
    names = before.keys() | read.keys() | after.keys()
    return {name for name in names if not before.get(name) == after.get(name) == read.get(name, after.get(name))}

"""A document of settings with the lines that its parts stand on, whatever language it was written in."""

from __future__ import annotations

from typing import NamedTuple


class Node(NamedTuple):
    """A text, a list or a map: the one of the three that it is; `first` and `last` are its lines."""

    first: int
    last: int
    text: str | None = None
    items: tuple[Node, ...] | None = None
    pairs: tuple[Pair, ...] | None = None


class Pair(NamedTuple):
    """A key of a map, the line it stands on, and what stands behind it."""

    key: str
    first: int
    node: Node

    @property
    def last(self) -> int:
        """The last line of its value."""
        return max(self.first, self.node.last)

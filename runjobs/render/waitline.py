"""A line on the terminal that says what is waited for, and changes while one waits."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from runjobs.render.progress import PATIENCE
from runjobs.render.text import printable

if TYPE_CHECKING:
    from rich.status import Status


class WaitLine:
    """The line: on standard error if that is a terminal, after a second; it is gone when the block is left."""

    def __init__(self) -> None:
        """Nothing is shown yet."""
        self._stack = ExitStack()
        self._since = time.monotonic()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def say(self, what: str) -> None:
        """Show this from here on."""
        if not sys.stderr or not sys.stderr.isatty() or time.monotonic() - self._since < PATIENCE:
            return
        from rich.text import Text

        text = Text(printable(what))
        if self._status is None:
            from rich.console import Console

            self._status = self._stack.enter_context(Console(stderr=True).status(text, spinner="line"))
        self._status.update(text)

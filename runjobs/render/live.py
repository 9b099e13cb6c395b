"""A screen of its own on the terminal that is drawn anew in place; below it all stays as it was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from rich.live import Live

    from runjobs.render.screen import Screen


class Canvas:
    """The screen: lines are shown from its top, what has no room is cut."""

    def __init__(self, live: Live) -> None:
        """Draw with this."""
        self._live = live

    @property
    def height(self) -> int:
        """The lines that there is room for, just now."""
        return self._live.console.size.height

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, in one write."""
        from rich.text import Text

        text = Text.from_ansi("\n".join(lines[: self.height]), no_wrap=True, overflow="crop")
        self._live.update(text, refresh=True)

    def leave(self) -> None:
        """Show what was there before."""
        self._live.stop()

    def enter(self) -> None:
        """Take the terminal again."""
        self._live.start(refresh=True)


@contextmanager
def canvas(stream: TextIO, screen: Screen) -> Iterator[Canvas]:
    """Take the terminal that a stream leads to."""
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream, force_terminal=True, no_color=not screen.color, highlight=False)
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield Canvas(live)

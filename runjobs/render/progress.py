"""A sign of life on the terminal while something takes longer than a moment."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.status import Status

PATIENCE = 1.0  # seconds: what is over by then needs no comment


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show `what` with a spinner on standard error, if that is a terminal and the block takes longer than a second."""
    if not sys.stderr or not sys.stderr.isatty():
        yield
        return
    from contextlib import ExitStack
    from threading import Timer

    with ExitStack() as shown:
        timer = Timer(PATIENCE, lambda: shown.enter_context(_spinner(what)))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()  # it may be showing the spinner just now


@contextmanager
def advancing(what: str) -> Iterator[Callable[[float], object]]:
    """As `waiting`, for a block that can tell how much of it is done: it calls what it is given with 0 to 1."""
    if not sys.stderr or not sys.stderr.isatty():
        yield lambda _: None
        return
    from contextlib import ExitStack
    from time import monotonic

    began = monotonic()
    with ExitStack() as shown:
        status: Status | None = None

        def tell(done: float) -> None:
            nonlocal status
            if status is None and monotonic() - began > PATIENCE:
                status = shown.enter_context(_spinner(what))
            if status is not None:
                from rich.text import Text

                status.update(Text(f"{what}: {done:.0%}"))

        yield tell


@contextmanager
def _spinner(what: str) -> Iterator[Status]:
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(what), spinner="line") as status:
        yield status

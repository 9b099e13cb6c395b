"""How the last fires of a job went, as a row of bars: the colour is the outcome, the height how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.core.answers import TROUBLES
from runjobs.render.glyphs import LOOKS, Look, mark
from runjobs.render.text import Tinted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import timedelta

    from runjobs.core.answers import Past
    from runjobs.render.screen import Screen

BARS: Final = "▁▂▃▄▅▆▇█"
ASCII_BARS: Final = "_=#"
UNKNOWN: Final = Look("·", ".", "dim")


def usual(pasts: Iterable[Past]) -> timedelta | None:
    """The median of what the runs took; None where none is known."""
    spans = sorted(past.took for past in pasts if past.took is not None)
    return spans[len(spans) // 2] if spans else None


def spark(pasts: Sequence[Past], screen: Screen) -> Tinted:
    """Draw a bar for each fire, the newest last; one of the usual length is half as high as the longest that is told.

    A fire without a run is its outcome's mark, and so is any trouble where no colour could tell it.
    """
    return Tinted.of(_bars(pasts, screen))


def _bars(pasts: Sequence[Past], screen: Screen) -> Iterator[tuple[str, str]]:
    middle = usual(pasts)
    for past in pasts:
        look = LOOKS.get(past.outcome, UNKNOWN)
        if past.took is None or middle is None or (past.outcome in TROUBLES and not screen.color):
            yield (mark(past.outcome, screen) if look is not UNKNOWN else UNKNOWN.letter), look.color
        else:
            yield bar(past.took / (2 * middle) if middle else 0.5, screen), look.color


def bar(share: float, screen: Screen) -> str:
    """A bar that fills so much of its cell, from 0 to 1: what is there at all is seen."""
    bars = BARS if screen.unicode else ASCII_BARS
    return bars[min(int(share * len(bars)), len(bars) - 1)]

"""What was measured: samples with a name, a unit and an owner, and how they are printed and saved."""

from __future__ import annotations

import json
from math import nan
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class Figure(NamedTuple):
    """One thing measured for one program; the figure is the median of its samples."""

    what: str
    who: str
    unit: str
    samples: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """The middle sample: a busy neighbour spoils a mean, seldom a median."""
        return median(self.samples) if self.samples else nan


def gather(figures: Iterable[Figure]) -> list[Figure]:
    """Join the samples of equal (what, who) over all rounds, in the order in which they first came."""
    joined: dict[tuple[str, str], Figure] = {}
    for figure in figures:
        key = (figure.what, figure.who)
        before = joined.get(key)
        joined[key] = figure._replace(samples=before.samples + figure.samples) if before else figure
    whats = list(dict.fromkeys(what for what, _ in joined))
    return sorted(joined.values(), key=lambda figure: whats.index(figure.what))


def table(figures: Sequence[Figure]) -> str:
    """Format figures as aligned columns, one line each."""
    rows = [("what", "who", "median", "least", "most", "n", ""), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    if not figure.samples:
        return (figure.what, figure.who, "none", "", "", "0", figure.note or "it did not run here")
    low, high = min(figure.samples), max(figure.samples)
    return (
        figure.what,
        figure.who,
        f"{_number(figure.median)} {figure.unit}".rstrip(),
        _number(low),
        _number(high),
        str(len(figure.samples)),
        figure.note,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"  # three digits carry all that repeats


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if 2 <= column <= 5 else cell.ljust(width)  # the numbers' columns
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def save(name: str, machine: str, figures: Sequence[Figure], folder: Path) -> Path:
    """Write figures to `folder`/`name`.json, and return that path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    rows = [{**figure._asdict(), "median": figure.median} for figure in figures]
    path.write_text(json.dumps({"machine": machine, "figures": rows}, indent=1) + "\n")
    return path

"""What machines want to know of jobs: collected from the ledger, a part at a time, and written as a textfile."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import runjobs
from runjobs.adapters import textfile
from runjobs.core.metrics import CHUNK, ONCES, Build, Counted, Style, pieces
from runjobs.core.names import ONCE_PREFIX
from runjobs.runner.hardship import Enduring

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.job import Job
    from runjobs.core.metrics import Lag

BUILD: Final = Build(runjobs.__version__, ".".join(map(str, sys.version_info[:3])))


def publish(path: str, ledger: Ledger, jobs: Mapping[str, Job]) -> None:
    """Write a textfile for node-exporter. OSError, LedgerError. While the ledger takes no writes it stays as it is."""
    if not stands_in(ledger):
        textfile.replace(path, filter(None, exposition(ledger, jobs, Style.TEXT)))


def stands_in(ledger: Ledger) -> bool:
    """Whether it is in memory just now."""
    return isinstance(ledger, Enduring) and ledger.stands_in


def exposition(ledger: Ledger, jobs: Mapping[str, Job], style: Style) -> Iterator[bytes]:
    """The metrics in pieces; while the ledger is read, a part at a time, the pieces are empty. LedgerError."""
    lags: list[Lag] = []
    found: list[Counted] = []
    names = sorted({ONCES, *(name for name in jobs if not name.startswith(ONCE_PREFIX))})
    for some in (names[first : first + CHUNK] for first in range(0, len(names), CHUNK)):
        tallies, lags = ledger.counted(some)
        nexts = _next_fires(ledger, some, jobs)
        found += [Counted(name, tallies[name], nexts.get(name)) for name in some]
        yield b""
    found = [each for each in found if each != Counted(ONCES)]  # where nobody ever asked for one
    if stands_in(ledger):  # it counts from nothing, which would look like a reset
        found, lags = [each.uncounted() for each in found], []
    for piece in pieces(found, lags, BUILD, style):
        yield piece.encode("utf-8", "backslashreplace")


def _next_fires(ledger: Ledger, names: Iterable[str], jobs: Mapping[str, Job]) -> dict[str, datetime]:
    """When these are due next; one that is switched off never is."""
    wanted = [name for name in names if name in jobs and jobs[name].options.enabled]
    found = {name: mark.next_fire for name, mark in ledger.marks(wanted).items() if mark.next_fire is not None}
    if ONCES in names and (times := [once.at for once in ledger.appointed()]):
        found[ONCES] = min(times)
    return found

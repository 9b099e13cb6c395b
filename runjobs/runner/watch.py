"""The clock's watch: what became of the clock since a runner last looked, told once and kept over passes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from runjobs.adapters import clock
from runjobs.adapters.ledger import LedgerError
from runjobs.core.clockwatch import STILL, pack, shift_between, unpack
from runjobs.core.event import Event, Happening

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.adapters.ledger import Ledger
    from runjobs.core.clockwatch import Reading, Shift

    Report = Callable[[Event], None]

FACT: Final = "clock"


class ClockWatch:
    """What the clocks were when they were last found shifted: by this runner or, at its first look, by any before it.

    Between shifts the distances of the clocks from each other do not change, so nothing is written while all is well.
    """

    def __init__(self, read: Callable[[], Reading] = clock.reading) -> None:
        """Nothing is read yet; `read` is the clocks."""
        self._read = read
        self._base: Reading | None = None
        self._latest: Reading | None = None
        self._told = STILL

    def look(self, ledger: Ledger, report: Report | None = None) -> Shift:
        """What became of the clock, also told where it is news. It is so until `keep`.

        The ledger is read once in a runner's life. May raise LedgerError.
        """
        if self._base is None:
            self._base = unpack(ledger.recall(FACT))
        self._latest = self._read()
        shift = shift_between(self._base, self._latest) if self._base else STILL
        if report is not None and shift != STILL and self._told == STILL:
            _tell(shift, self._latest, report)
            self._told = shift
        return shift

    def keep(self, ledger: Ledger) -> None:
        """The pass is over that has acted on the shift: from here on the clocks are right as they are.

        A runner that looks before this is written finds the shift too; one that looks after it finds the claims.
        """
        if self._latest is None or not self._is_other(self._latest):
            return
        self._base, self._told = self._latest, STILL
        with contextlib.suppress(LedgerError):  # a full disk: the next runner finds the same shift, and nothing is due
            ledger.remember(FACT, pack(self._base))

    def _is_other(self, latest: Reading) -> bool:
        base = self._base
        return base is None or base.boot != latest.boot or shift_between(base, latest) != STILL


def _tell(shift: Shift, reading: Reading, report: Report) -> None:
    for happening, length in ((Happening.SUSPENDED, shift.asleep), (Happening.CLOCK_SET, shift.stepped)):
        if length:
            report(Event(reading.wall, happening, facts={"seconds": round(length.total_seconds(), 3)}))

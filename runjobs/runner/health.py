"""Whether a foreground is well: its clock ticks, its ledger takes writes, no pass is stuck."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from runjobs.adapters.ledger import LedgerError
from runjobs.runner.exposing import stands_in

if TYPE_CHECKING:
    from datetime import datetime

    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground

OVERDUE: Final = timedelta(seconds=30)  # how late the next pass may be: one that waits for the ledger takes so long
STUCK: Final = 30.0  # seconds, awake, for which it has to have been that late: after a suspend it is for a moment
TICK: Final = 2.0  # seconds in which a clock that ticks has moved
FRESH: Final = 5.0  # seconds for which a ledger that took a write counts as one that takes them
SEEN: Final = "healthz"


class Health:
    """The judge. `look` is called at each turn of the loop, and costs next to nothing."""

    def __init__(self, engine: Engine) -> None:
        """Take the clocks as they are for the beginning."""
        self._engine = engine
        self._wall = engine.now()
        self._awake = engine.monotonic()
        self._late_since: float | None = None
        self._is_still = False
        self._pass_trouble = ""
        self._ledger_trouble = ""
        self._tried = float("-inf")

    def look(self, foreground: Foreground) -> None:
        """See how it stands at this moment."""
        now, awake = self._engine.now(), self._engine.monotonic()
        if awake - self._awake >= TICK:
            self._is_still = now == self._wall
            self._wall, self._awake = now, awake
        self._pass_trouble = foreground.trouble or self._overdue(foreground, now, awake)

    def stalls(self) -> list[str]:
        """What keeps it from starting jobs in time, and a new start may mend; empty: nothing."""
        troubles = ["the clock stands still"] if self._is_still else []
        return [*troubles, self._pass_trouble] if self._pass_trouble else troubles

    def troubles(self) -> list[str]:
        """All that is wrong with it; empty: it is well. The ledger is written to, unless it was a moment ago."""
        if self._ledger_trouble or self._engine.monotonic() - self._tried >= FRESH:
            self._ledger_trouble = self._try_ledger()
            self._tried = self._engine.monotonic()
        return [*self.stalls(), self._ledger_trouble] if self._ledger_trouble else self.stalls()

    def _overdue(self, foreground: Foreground, now: datetime, awake: float) -> str:
        upcoming = foreground.upcoming
        if upcoming is None or now - upcoming[0] < OVERDUE:
            self._late_since = None
            return ""
        if self._late_since is None:
            self._late_since = awake
        if awake - self._late_since < STUCK:
            return ""
        return f"the pass of {upcoming[0].isoformat(timespec='seconds')} has not been made yet"

    def _try_ledger(self) -> str:
        ledger = self._engine.ledger
        try:
            ledger.remember(SEEN, self._engine.now().isoformat())
        except LedgerError as error:
            return error.message
        if stands_in(ledger):
            return "the ledger takes no writes; jobs run all the same, and it is told as soon as it can be written"
        return ""

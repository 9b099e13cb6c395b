"""The line: fires of this runner that wait, each tried again when its time has come or something has changed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.fire import WaitFor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from runjobs.adapters.ledger import Claimed

TIMED: Final = frozenset({WaitFor.RETRY, WaitFor.RERUN})  # these wait for an instant, the others for somebody's end
FIRST_LOOK: Final = timedelta(milliseconds=250)  # until what others hold is looked at again …
LONGEST_LOOK: Final = timedelta(
    seconds=4
)  # … and ever longer while nothing changes; ends of our own runs count at once


class Place(NamedTuple):
    """One in the line: its job, what it waits for, from when on it may be tried, and what has been told of it.

    `longest` is how long a retry has to wait at the most, whatever becomes of the clock.
    """

    job: str
    wait: WaitFor
    not_before: datetime
    detail: str = ""
    longest: timedelta = timedelta(days=366)


class Line:
    """Who waits, in the order in which they came. The ledger has them too: this is only whom to ask when."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._places: dict[int, Place] = {}
        self._pause = FIRST_LOOK
        self._next_look: datetime | None = None
        self._is_stirred = False

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, fire_id: int) -> bool:
        return fire_id in self._places

    def put(self, fire_id: int, place: Place) -> bool:
        """Let a fire wait; whether that is news: it is new here, or waits for something else than before."""
        before = self._places.get(fire_id)
        self._places[fire_id] = place
        if before is not None and before.wait is place.wait:
            return False
        self.stir()
        return True

    def drop(self, fire_id: int) -> bool:
        """Let a fire leave the line; False when it did not stand there."""
        return self._places.pop(fire_id, None) is not None

    def keep(self, fires: Collection[int]) -> None:
        """Let all leave the line but these."""
        self._places = {fire_id: place for fire_id, place in self._places.items() if fire_id in fires}

    def stir(self) -> None:
        """Something has ended: whoever waits for somebody's end is tried at the next look."""
        self._pause = FIRST_LOOK
        self._is_stirred = True

    def due(self, now: datetime, room: int | None) -> list[int]:
        """The fires to try now: of those that wait for the runner's bound no more than there is `room` for."""
        # a look that is further away than any may be was set before the clock was set back
        is_look = self._is_stirred or self._next_look is None or not now < self._next_look <= now + LONGEST_LOOK
        chosen = list(self._choose(now, room, is_look=is_look))
        if is_look:
            self._is_stirred = False
            self._next_look = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_LOOK)
        return chosen

    def _choose(self, now: datetime, room: int | None, *, is_look: bool) -> Iterator[int]:
        for fire_id, place in self._places.items():
            if place.wait in TIMED:
                if _instant(place, now) <= now:
                    yield fire_id
            elif is_look and place.wait is not WaitFor.PARALLEL:
                yield fire_id
            elif is_look and (room is None or room > 0):
                room = None if room is None else room - 1
                yield fire_id

    def next_at(self, now: datetime) -> datetime | None:
        """When somebody is to be tried next; None when nobody waits."""
        timed = {fire_id: place for fire_id, place in self._places.items() if place.wait in TIMED}
        for fire_id, place in timed.items():
            if (sooner := _instant(place, now)) < place.not_before:  # it holds, though the clock be set forward again
                self._places[fire_id] = timed[fire_id] = place._replace(not_before=sooner)
        instants = [place.not_before for place in timed.values()]
        if len(instants) < len(self._places):
            look = now if self._is_stirred or self._next_look is None else self._next_look
            instants.append(min(look, now + LONGEST_LOOK))  # the clock may have been set back
        return min(instants, default=None)


def _instant(place: Place, now: datetime) -> datetime:
    """When a retry is due: as it was said, but sooner where the clock was set back meanwhile."""
    return min(place.not_before, now + place.longest)


def place_of(claimed: Claimed, wait: WaitFor, now: datetime, detail: str) -> Place:
    """Where a fire waits: a retry that waits for something else keeps the instant that it was due at."""
    is_retry = bool(claimed.attempts) and claimed.not_before is not None
    return Place(claimed.fire.job, wait, claimed.not_before if is_retry and claimed.not_before else now, detail)

"""The orders that a guard gets: stops that come by message, by signal, or as both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.guard.messages import Stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runjobs.adapters.process import Heard


class Orders:
    """Tells a SIGTERM that goes with a message from one that is an order itself."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._announced = 0

    def stops(self, messages: Iterable[object], terms: Sequence[Heard]) -> list[Stop]:
        """The stops in what came: each message goes with one SIGTERM, any other SIGTERM is a person's."""
        told = [message for message in messages if isinstance(message, Stop)]
        self._announced += len(told)
        matched = min(self._announced, len(terms))
        self._announced -= matched
        return told + [_by_signal(term) for term in terms[matched:]]


def _by_signal(term: Heard) -> Stop:
    return Stop(reason="signal", detail=f"stopped by SIGTERM from pid {term.pid} (uid {term.uid})")

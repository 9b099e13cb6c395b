"""The orders that a guard gets: stops that come by message, by a lock file and a signal, or by a signal alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runjobs.adapters import locks
from runjobs.core.outcome import Outcome
from runjobs.guard.messages import Stop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runjobs.adapters.process import Heard

INIT: Final = 1  # who sends TERM to all that is left when the machine or the container shuts down
KINDS: Final = {"kill_after": int | float | None, "outcome": str, "reason": str, "detail": str}


class Orders:
    """Tells a SIGTERM that goes with a message, or with an order in the lock file, from one that is all there is."""

    def __init__(self, run_id: str = "", lock_fds: Sequence[int] = ()) -> None:
        """Nothing has come yet. The first of the locks is the run's own: whoever can't send a message writes there."""
        self._run_id = run_id
        self._lock_fd = next(iter(lock_fds), None)
        self._announced = 0
        self._obeyed: Mapping[str, Any] = {}

    def stops(self, messages: Iterable[object], terms: Sequence[Heard]) -> list[Stop]:
        """The stops in what came: each message goes with one SIGTERM, and so does each order that is new.

        Of two equal signals the second may be lost, so an order is looked for though a message explains the one.
        """
        told = [message for message in messages if isinstance(message, Stop)]
        self._announced += len(told)
        matched = min(self._announced, len(terms))
        self._announced -= matched
        written = self._written() if terms else []
        return told + written + [self._by_signal(term) for term in terms[matched + len(written) :]]

    def close(self) -> None:
        """The locks are about to be closed: nothing is read there any more."""
        self._lock_fd = None

    def _written(self) -> list[Stop]:
        """The order in the lock file, if it is for this run and was not obeyed before."""
        order = locks.read_order(self._lock_fd) if self._lock_fd is not None else {}
        if order == self._obeyed or (stop := stop_in(order, self._run_id)) is None:
            return []
        self._obeyed = order
        return [stop]

    def _by_signal(self, term: Heard) -> Stop:
        if term.pid == INIT:
            return Stop(None, Outcome.INTERRUPTED.value, "shutdown", "the system is shutting down")
        return Stop(reason="signal", detail=f"stopped by SIGTERM from pid {term.pid} (uid {term.uid})")


def order_of(run_id: str, stop: Stop, number: str) -> dict[str, Any]:
    """A stop as it is written into a lock file; `number` tells it from an order that says the same."""
    return {"run": run_id, "number": number, **stop._asdict()}


def stop_in(order: Mapping[str, Any], run_id: str) -> Stop | None:
    """The stop that an order means for this run; None where it is for another, or is no order of ours."""
    if order.get("run") != run_id or not run_id:
        return None
    facts = {key: order[key] for key in KINDS if key in order}
    is_sound = all(isinstance(value, KINDS[key]) for key, value in facts.items())
    if not is_sound or facts.get("outcome") not in {outcome.value for outcome in Outcome}:
        return None
    return Stop(**facts)

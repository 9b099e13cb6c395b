"""The sender: makes letters of news, sends what is due, and stays a moment for what comes after it."""

from __future__ import annotations

import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.adapters import clock, joblog
from runjobs.core.errors import RunjobsError
from runjobs.core.letter import Delivery
from runjobs.core.news import receiver_hash
from runjobs.core.receivers import references
from runjobs.runner.secrets import read_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from runjobs.adapters.ledger.letters import Posted
    from runjobs.adapters.ledger.outbox import Outbox
    from runjobs.core.letter import Letter
    from runjobs.core.receivers import Receiver

    Deliver = Callable[[Receiver, Letter, Mapping[str, str], float], Delivery]

HANDS: Final = 8  # receivers at once: one that hangs keeps only those waiting that come after it
PATIENCE: Final = 30.0  # seconds for one try
STAY: Final = 65.0  # seconds for which it waits for letters: the minute of a crowd, and the first tries
REST: Final = 2.0  # seconds that it stays after the last one: news often has more of it in its wake
LOOK: Final = 0.5  # seconds between two looks at what has come
LIFE: Final = 600.0  # seconds after which another one goes on, with secrets that are read anew
TAIL: Final = 65_536  # bytes of a run's output
LINES: Final = 1_000


class Courier(NamedTuple):
    """How letters are delivered: by what, with which secrets, and where the logs are of which they show the end.

    `trouble` is why the secrets can't be read ("": they can).
    """

    deliver: Deliver
    secrets: Mapping[str, str]
    logs: Path
    trouble: str = ""

    def carry(self, receiver: Receiver, letter: Letter) -> Delivery:
        """Try once."""
        if self.trouble and (references(receiver) or receiver.kind != "command"):  # a login of SMTP may be there
            return Delivery("later", self.trouble)
        return self.deliver(receiver, self.filled(letter), self.secrets, PATIENCE)

    def filled(self, letter: Letter) -> Letter:
        """The letter with the end of its run's output, and the name of this machine."""
        facts: dict[str, Any] = letter.facts | {"host": os.uname().nodename}
        if path := facts.pop("log_path", None):
            folder, name = os.path.split(path)  # a state folder may have been moved: of what is stored two names count
            log = joblog.tail(str(self.logs / os.path.basename(folder) / name), LINES, TAIL)
            facts |= {"log": log.decode("utf-8", "replace")} if log else {}
        return letter._replace(facts=facts)


def courier(environ: Mapping[str, str], logs: Path) -> Courier:
    """A courier with the secrets that can be had here."""
    from runjobs.adapters.notify import deliver

    try:
        return Courier(deliver, read_secrets(environ), logs)
    except RunjobsError as error:
        return Courier(deliver, environ, logs, f"{error.message}; {error.hint}")


class Sender:
    """Works through one outbox; nobody else does at the same time."""

    def __init__(self, outbox: Outbox, courier: Courier) -> None:
        """Have nothing on its way."""
        self._outbox = outbox
        self._courier = courier
        self._hands = ThreadPoolExecutor(HANDS)
        self._out: dict[Future[Delivery], Posted] = {}
        self._over = time.monotonic() + LIFE
        self._busy_until = time.monotonic() + REST

    def work(self) -> None:
        """Send what is due, and what becomes due soon. LedgerError ends it."""
        with self._hands:
            while self._out or self._stays(clock.now()):
                if time.monotonic() < self._over:
                    self._take_in(clock.now())
                    self._send()
                self._hear()
            self._outbox.tidy(clock.now())

    def _stays(self, now: datetime) -> bool:
        if time.monotonic() >= self._over or not self._outbox.is_current:
            return False
        due = self._outbox.due()
        is_soon = due is not None and (due - now).total_seconds() <= STAY
        return is_soon or time.monotonic() < self._busy_until

    def _take_in(self, now: datetime) -> None:
        self._outbox.raise_lapses(now)
        while self._outbox.gather(now):
            self._busy_until = time.monotonic() + REST

    def _send(self) -> None:
        """Give each free hand a letter to a receiver to whom none is on its way."""
        if len(self._out) >= HANDS:
            return
        served = {posted.postbox for posted in self._out.values()}
        for receiver in self._outbox.postboxes(clock.now()):
            if len(self._out) >= HANDS:
                return
            posted = None if receiver_hash(receiver) in served else self._outbox.take(receiver, clock.now())
            if posted is not None:
                self._out[self._hands.submit(self._courier.carry, receiver, posted.letter)] = posted

    def _hear(self) -> None:
        """Wait a moment for what is on its way, and write down how it went."""
        if not self._out:
            time.sleep(LOOK)
            return
        done, _ = wait(self._out, LOOK, FIRST_COMPLETED)
        for future in done:
            posted = self._out.pop(future)
            self._outbox.settle(posted, future.result(), clock.now())
            self._busy_until = time.monotonic() + REST

"""Sends the news of a ledger: `python -m runjobs.send LEDGER`.

A program of its own, so that no job and no runner ever waits for a mail server. One at a time is at work on a state
folder; it ends when nothing is due soon.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from runjobs.adapters import locks
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.outbox import Outbox
from runjobs.adapters.statefolder import folder_at
from runjobs.runner.messenger import LOCK
from runjobs.runner.sender import Sender, courier


def main() -> int:
    """Send until there is nothing to do; what can't be done now is left to who is started next."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a runner may hold signals back, and a mask is inherited
    state = folder_at(Path(sys.argv[1]).parent)
    with contextlib.suppress(OSError):
        os.nice(5)  # jobs come first
    try:
        while work(state.root):
            pass  # news came while we were about to go, and who wanted to start a sender saw us at work
    except (LedgerError, OSError) as error:
        complain(str(error))
        return 1
    return 0


def work(root: Path) -> bool:
    """Work as long as there is work, if nobody else does; whether there is more already."""
    state = folder_at(root)
    lock = locks.take(state.locks / LOCK)
    if lock is None:
        return False
    outbox = Outbox(state.ledger, complain)
    try:
        with contextlib.suppress(OSError):  # a full disk costs the record, never the lock
            locks.write(lock.fd, {"pid": os.getpid(), "since": datetime.now(UTC).isoformat()})
        Sender(outbox, courier(os.environ, state.logs)).work()
        os.close(lock.fd)
        due = outbox.due()
        return outbox.is_current and due is not None and due <= datetime.now(UTC)
    finally:
        outbox.close()


def complain(text: str) -> None:
    """Say it where whoever calls this by hand sees it; a runner listens to nothing."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())

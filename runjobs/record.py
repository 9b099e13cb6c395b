"""Writes one run's end into the ledger: `python -m runjobs.record LEDGER`, the end as JSON on standard input.

A guard whose runner is gone calls this. It is a program of its own because SQLite must not be used in a
process forked from one that had it open (sqlite.org/howtocorrupt.html, 2.6), and because a guard that is older
than the ledger then speaks to the version that knows it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.adapters import ballast, clock
from runjobs.adapters.ledger import LedgerError
from runjobs.adapters.ledger.sqlite import open_ledger
from runjobs.adapters.post import start_sender
from runjobs.core.run import end_from

if TYPE_CHECKING:
    from runjobs.core.run import RunEnd

# where the package is, installed or not; asked here, since a guard has left the folder that its runner was called in
ROOT: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE: Final = 120  # seconds for a busy disk; the end stands in the lock file besides


def record_end(ledger: Path, end: RunEnd) -> None:
    """Have an end recorded by a process of its own; what fails is left to recovery, which reads the lock file."""
    words = (sys.executable, "-m", "runjobs.record", str(ledger))
    text = json.dumps(end._asdict()).encode()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH", ""))))}
    subprocess.run(words, input=text, env=environment, check=False, timeout=PATIENCE, capture_output=True)


def main() -> int:
    """Read an end and record it; ends that are recorded already stay as they are."""
    path, end = Path(sys.argv[1]), end_from(json.load(sys.stdin))
    try:
        try:
            _record(path, end)
        except LedgerError:
            if not ballast.give_up(path.with_name(ballast.NAME)):  # on a full disk its room is the ledger's
                raise
            _record(path, end)
    except LedgerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _record(path: Path, end: RunEnd) -> None:
    ledger = open_ledger(path, announce=lambda text: print(text, file=sys.stderr))
    try:
        ledger.record((), [end])
        if (due := ledger.news_due()) is not None and due <= clock.now():
            start_sender(path.absolute())
    finally:
        ledger.close()


if __name__ == "__main__":
    sys.exit(main())

"""Starting the sender: a process of its own, which sends what waits in a ledger, and which nobody waits for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MODULE: Final = "runjobs.send"
# where the package is, installed or not
ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def start_sender(ledger: Path) -> int | None:
    """Start it; its pid, or None where no process can be made. It ends at once where another one is at work.

    It has a session of its own and no stream of ours: whoever waits for our output does not wait for it.
    """
    words = (sys.executable, "-m", MODULE, str(ledger))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH", ""))))}
    nowhere = subprocess.DEVNULL
    with contextlib.suppress(OSError):
        process = subprocess.Popen(
            words, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
        process.returncode = 0  # it outlives us, or our loop reaps it: nobody asks this object
        return process.pid
    return None

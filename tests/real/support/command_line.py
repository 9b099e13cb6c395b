"""The command line under test, started as a person, cron or a container would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
SILENT = subprocess.DEVNULL


def environment(**more: str) -> dict[str, str]:
    """A small environment, the same whoever runs the tests; `PYTHONPATH` lets a checkout run from any folder."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "COVERAGE_PROCESS_START") if key in os.environ}
    return {"TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT), **kept, **more}


class Place(NamedTuple):
    """A jobs folder and a state folder for one test, both below `root`."""

    root: Path

    @property
    def jobs(self) -> Path:
        """Where the jobs files are."""
        return self.root / "jobs.d"

    @property
    def state(self) -> Path:
        """Where the ledger, locks and logs go."""
        return self.root / "state"

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a jobs file with a mode that is accepted whatever the umask."""
        self.jobs.mkdir(mode=0o755, exist_ok=True)
        path = self.jobs / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o644)
        return path

    def command(self, verb: str, *words: str) -> list[str]:
        """The words that call `runjobs VERB` on this place."""
        here = ["--jobs", str(self.jobs)] if verb == "check" else ["--jobs", str(self.jobs), "--state", str(self.state)]
        return [sys.executable, "-m", "runjobs", verb, *here, *words]

    def call(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `runjobs VERB` to its end."""
        return subprocess.run(
            self.command(verb, *words),
            env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=120, check=False,
            errors="backslashreplace",
        )  # fmt: skip

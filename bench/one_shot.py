"""One pass with nothing due, as system cron calls it each minute, beside the smallest programs there are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import peers
from bench.figures import Figure
from bench.machine import plain_environment
from bench.schedulers import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

TYPER = "smallest typer app"
OURS = "runjobs run"


def measure(asked: Asked) -> Iterator[Figure]:
    """Time each in turn, round by round, all on the same Python; the first round only warms the caches."""
    with tempfile.TemporaryDirectory(prefix="bench-one-shot-") as name:
        commands = {
            OURS: _pass(Path(name)),
            TYPER: [sys.executable, str(PROGRAMS / "smallest_typer.py")],
            "python -c pass": [sys.executable, "-c", "pass"],
        }
        rounds = [{who: _time(command) for who, command in commands.items()} for _ in range((asked.rounds or 21) + 1)]
    for who in commands:
        walls, cpus = zip(*(times[who] for times in rounds[1:]), strict=True)
        yield Figure("one pass, nothing due: time", who, "ms", walls)
        yield Figure("one pass, nothing due: CPU", who, "ms", cpus)
    for place, kind in enumerate(("time", "CPU")):
        ours, typer = (median(times[who][place] for times in rounds[1:]) for who in (OURS, TYPER))
        yield Figure("ratio to the smallest typer app", kind, "", (ours / typer,))


def _pass(folder: Path) -> list[str]:
    jobs = folder / "jobs.d"
    jobs.mkdir()
    month = (datetime.now(UTC).month + 5) % 12 + 1  # half a year away
    (jobs / "later").write_text("".join(f"{minute} 4 15 {month} * true\n" for minute in range(10)))
    return [sys.executable, "-m", "runjobs", "run", "--jobs", str(jobs), "--state", str(folder / "state")]


def _time(command: list[str]) -> tuple[float, float]:
    start = time.perf_counter()
    process = subprocess.Popen(command, env=plain_environment(), stdout=subprocess.DEVNULL, cwd=peers.ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"{command} ended with {process.returncode}"
        raise RuntimeError(message)
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000

"""The kill guard: how long from the first to the last end of 200 children when a timeout ends them all."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import peers
from bench.figures import Figure
from bench.machine import plain_environment
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

CHILDREN = 200
_COMMAND = f"for i in $(seq {CHILDREN}); do sleep 100 & echo $! ; done >PIDS.new; mv PIDS.new PIDS; wait"


def measure(asked: Asked) -> Iterator[Figure]:
    """Measure ours, and coreutils' timeout(1), which signals one process group and looks no further."""
    for _ in range(asked.rounds or 5):
        yield Figure(_WHAT, "runjobs run JOB", "ms", (_ours() * 1000,))
        yield Figure(_WHAT, "timeout(1)", "ms", (_coreutils() * 1000,))


_WHAT = f"timeout: first to last end of {CHILDREN}"


def _ours() -> float:
    with tempfile.TemporaryDirectory(prefix="bench-kill-") as name:
        pids = Path(name) / "pids"
        jobs = Path(name) / "jobs.d"
        jobs.mkdir()
        (jobs / "many").write_text(f"#: name=many timeout=2s kill-after=1s\n@daily {_command(pids)}\n")
        here = ["--jobs", str(jobs), "--state", str(Path(name) / "state")]
        return _seconds([sys.executable, "-m", "runjobs", "run", "many", *here], pids)


def _coreutils() -> float:
    with tempfile.TemporaryDirectory(prefix="bench-kill-") as name:
        pids = Path(name) / "pids"
        return _seconds(["timeout", "2", "sh", "-c", _command(pids)], pids)


def _command(pids: Path) -> str:
    return _COMMAND.replace("PIDS", str(pids))


def _seconds(command: list[str], pids: Path) -> float:
    """The time from the first end of a child, which the timeout's TERM brings, to the last."""
    process = subprocess.Popen(
        command, env=plain_environment(), cwd=peers.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(pids.exists, seconds=10)
    poll = select.poll()
    waiting = {os.pidfd_open(int(pid)) for pid in pids.read_text().split()}
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    first = None
    while waiting:
        ended = {descriptor for descriptor, _ in poll.poll(20_000)}
        first = first or time.monotonic()
        for descriptor in ended:
            poll.unregister(descriptor)
            os.close(descriptor)
        waiting -= ended
    last = time.monotonic()
    process.wait()
    return last - (first or last)

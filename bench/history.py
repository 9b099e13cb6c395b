"""What a long history costs: asking and passes on a million runs, beside the same on an empty ledger."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench import peers
from bench.figures import Figure
from bench.machine import plain_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.asked import Asked

RUNS = 1_000_000
JOBS = 10
LONG, EMPTY = f"{RUNS:,} runs", "an empty ledger"
# of one job in ten every fire fails, so that its trouble goes back to the first; of the others one in fifty
FIRES = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :runs)
INSERT INTO fires(id, job, trigger, key, scheduled_at, last_at, state, outcome, reason, detail, runner, runner_lock,
 claimed_at, ended_at, attempts)
SELECT i, 'job-' || (i % :jobs), 'schedule', :first + i * 1000, :first + i * 1000, :first + i * 1000, 'ended',
 CASE WHEN i % :jobs = 0 OR i % 53 = 0 THEN 'failed' ELSE 'ok' END, 'exit', '', 'pass-7-3574rvws8az',
 '/var/lib/runjobs/locks/runner', :first + i * 1000, :first + i * 1000 + 900, 1 FROM n
"""
ROWS = """
INSERT INTO runs(id, fire, attempt, state, lock, log, runner, guard_pid, pid, start_time, boot_id, pid_namespace,
 started_at, ended_at, outcome, reason, detail, exit_code, cpu_user, cpu_system, max_rss, output_bytes, dropped_bytes)
SELECT printf('2%010x', id), id, 1, 'ended', '/var/lib/runjobs/locks/' || job, '/var/lib/runjobs/logs/' || job, runner,
 4711, 4712, 99, '5e0e0a7f-0c1d-4f0e-8b1c-0a4f7a9a8f11', 4026531836, scheduled_at, ended_at, outcome, reason, detail,
 outcome = 'failed', 0.1, 0.1, 9000000, 100, 0 FROM fires
"""


def measure(asked: Asked) -> Iterator[Figure]:
    """Time each command on the one and on the other in turn, round by round; the first round only warms the caches."""
    with tempfile.TemporaryDirectory(prefix="bench-history-") as name:
        folders = {who: _make(Path(name) / who.replace(" ", "-").replace(",", "")) for who in (EMPTY, LONG)}
        _fill(folders[LONG] / "state" / "ledger.sqlite3")
        for what, words in _commands().items():
            rounds = [
                {who: _time([*words, *_place(folder)]) for who, folder in folders.items()}
                for _ in range((asked.rounds or 15) + 1)
            ][1:]
            for who in folders:
                yield Figure(what, who, "ms", tuple(each[who] for each in rounds))
            ratio = median(each[LONG] / each[EMPTY] for each in rounds)
            yield Figure(f"{what}: ratio", LONG, "", (ratio,), "to the empty one, of each pair")


def _commands() -> dict[str, list[str]]:
    return {
        "runjobs status": ["status"],
        "runjobs history JOB": ["history", "job-3"],
        "runjobs history, all jobs": ["history"],
        "runjobs history --outcome failed": ["history", "--outcome", "failed"],
        "runjobs why JOB": ["why", "job-3"],
        "one pass, nothing due": ["run"],
        "a named job that is run": ["run", "job-1"],
    }


def _make(folder: Path) -> Path:
    """Jobs that are not due for months, and a ledger that has their marks."""
    jobs = folder / "jobs.d"
    jobs.mkdir(parents=True)
    month = (datetime.now(UTC).month + 5) % 12 + 1
    (jobs / "later").write_text("".join(f"#: name=job-{n} cwd=/\n{n} 4 15 {month} * true\n" for n in range(JOBS)))
    _time(["run", *_place(folder)])
    return folder


def _place(folder: Path) -> list[str]:
    return ["--jobs", str(folder / "jobs.d"), "--state", str(folder / "state"), "--trust-jobs"]


def _fill(ledger: Path) -> None:
    first = int(time.time() - RUNS - 3600) * 1000
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(FIRES, {"runs": RUNS, "jobs": JOBS, "first": first})
        connection.execute(ROWS)


def _time(words: list[str]) -> float:
    command = [sys.executable, "-m", "runjobs", *words]
    start = time.perf_counter()
    ended = subprocess.run(
        command, env=plain_environment(), capture_output=True, text=True, cwd=peers.ROOT, check=False
    )
    if ended.returncode:
        message = f"{command} ended with {ended.returncode}: {ended.stderr}"
        raise RuntimeError(message)
    return (time.perf_counter() - start) * 1000

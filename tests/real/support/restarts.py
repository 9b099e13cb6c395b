"""A runner that is stopped and killed over and over under load, and the oracle that judges what came of its fires.

The oracle believes the jobs: each writes a line when it starts and one before it ends, with the code that it ends with.
"""

from __future__ import annotations

import random
import signal
from collections import Counter
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tests.real.support import ledger
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    import sqlite3

    from tests.real.support.stage import Stage

HAS_RUN = {"ok", "failed"}
# interrupted: its runner was killed after it wrote of the start and before it forked, so it did not run
HAS_NOT_RUN = {"skipped", "missed", "interrupted"}


class Load(NamedTuple):
    """A job of the load: it fires every `period` seconds, works for `seconds`, and ends with `code`."""

    name: str
    period: int
    seconds: float
    code: int
    options: str = ""


SHORT = (
    Load("quick", 1, 0.1, 0),
    Load("fails", 1, 0.4, 3),
    Load("longer", 2, 3.0, 5),
    Load("overlaps", 1, 1.5, 0, "overlap=allow"),
)
LONG = (*SHORT, Load("slow", 5, 12.0, 4, "overlap=allow"), Load("slowest", 10, 30.0, 0, "overlap=allow"))


def write_jobs(stage: Stage, loads: tuple[Load, ...]) -> None:
    """Write the jobs file of the load."""
    lines = []
    for load in loads:
        said = f"$RUNJOBS_RUN_ID $RUNJOBS_SCHEDULED_AT $RUNJOBS_ATTEMPT {load.code}"
        work = f"echo start {said} >>{load.name}; sleep {load.seconds}; echo end {said} >>{load.name}; exit {load.code}"
        lines += [f"#: name={load.name} {load.options}", f"@every {load.period}s {work}"]
    stage.jobs("\n".join(lines) + "\n")


def restart(stage: Stage, times: int, seed: int, longest: float = 0.8) -> None:
    """Start a runner so many times; each is told to stop or killed, by turns, after up to `longest` seconds.

    Afterwards wait until the last guard has ended.
    """
    chance = random.Random(seed)
    for number in range(times):
        with stage.foreground("--on-stop", "leave") as runner:
            assert wait_until(partial(_has_started, stage, number + 1))
            wait_until(lambda: False, chance.uniform(0.0, longest))
            if number % 2:
                runner.send_signal(signal.SIGKILL)
            else:
                runner.send_signal(signal.SIGTERM)
                assert runner.wait(60) == 0
    assert wait_until(lambda: not stage.members(), 120)


def _has_started(stage: Stage, times: int) -> bool:
    return len(stage.events("runner-started")) >= times


def judge(stage: Stage, loads: tuple[Load, ...]) -> list[str]:
    """What is wrong: fires lost or doubled, outcomes and exit codes that are not what the jobs wrote."""
    return [f"{load.name}: {wrong}" for load in loads for wrong in _judge(stage, load)]


def _judge(stage: Stage, load: Load) -> list[str]:
    fires = ledger.fires(stage.place.state, load.name)
    wrong = [f"open: {dict(fire)}" for fire in fires if fire["state"] != "ended"]
    wrong += [f"odd: {dict(fire)}" for fire in fires if fire["outcome"] not in HAS_RUN | HAS_NOT_RUN]
    wrong += _lost(fires, load.period * 1000)
    said = marks(stage, load.name)
    starts, ends = (Counter(due for word, due in said if word == one) for one in ("start", "end"))
    wrong += [f"started {count} times: {due}" for due, count in starts.items() if count != 1]
    wrong += [f"started, not ended: {due}" for due in starts.keys() - ends.keys()]
    has_run = {fire["scheduled_at"] for fire in fires if fire["outcome"] in HAS_RUN}
    wrong += [f"recorded, not run: {due}" for due in has_run - starts.keys()]
    wrong += [f"run, not recorded: {due}" for due in starts.keys() - has_run]
    runs = ledger.runs(stage.place.state, load.name)
    return wrong + [f"its code: {run['exit_code']}, {run['outcome']}" for run in runs if not _is_right(run, load)]


def _is_right(run: sqlite3.Row, load: Load) -> bool:
    if run["outcome"] == "interrupted":
        return run["pid"] is None
    return bool((run["outcome"], run["exit_code"]) == ("ok" if load.code == 0 else "failed", load.code))


def _lost(fires: list[sqlite3.Row], period: int) -> list[str]:
    """Due times between the first and the last that no row accounts for, or more than one."""
    due = Counter(at for fire in fires for at in range(fire["scheduled_at"], fire["last_at"] + 1, period))
    if not due:
        return ["it never fired"]
    return [f"accounted for {due[at]} times: {at}" for at in range(min(due), max(due) + 1, period) if due[at] != 1]


def marks(stage: Stage, name: str) -> list[tuple[str, int]]:
    """What a job wrote: the word, and the due time of its fire in milliseconds since the epoch."""
    path = stage.root / name
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [(words[0], round(datetime.fromisoformat(words[2]).timestamp() * 1000)) for words in lines]

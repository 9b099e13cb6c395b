"""A runner and a guard killed between each two of their steps: each fire runs once at the most, and has one outcome."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from runjobs.adapters.cgroup import find_base
from tests.real.support import ledger
from tests.real.support.command_line import SILENT, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORK = "echo start $RUNJOBS_RUN_ID >>marks; sleep 0.2 & sleep 0.1; wait; echo end $RUNJOBS_RUN_ID >>marks; exit 0"

# `runjobs` in which one function has the process killed that calls it, before or after the call. A mark is left at that
# moment: a step that is never reached is no test. With "alone" a guard has its runner killed when its watch begins.
KILLED = """
import contextlib, importlib, os, signal, sys
from pathlib import Path
mark, mend, module, name, when, who, *words = sys.argv[1:]
runner = os.getpid()

def replace(module, name, by):
    owner = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    setattr(owner, last, by(getattr(owner, last)))  # AttributeError: there is no such step any more

def killing(real):
    def step(*given, **named):
        if when == "before":
            die()
        result = real(*given, **named)
        if when == "after":
            die()
        return result
    return step

def die():
    Path(mark).touch()
    if who == "both":
        with contextlib.suppress(ProcessLookupError):  # a pass may have ended by then
            os.kill(runner, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

def orphaned(real):
    def step(*given, **named):
        os.kill(runner, signal.SIGKILL)
        return real(*given, **named)
    return step

exec(mend)
replace(module, name, killing)
if who == "alone":
    replace("runjobs.guard.life", "_Life._watch", orphaned)
from runjobs.cli.main import main
sys.exit(main(words))
"""


class Step(NamedTuple):
    """A function of the program, by its module and name in there, and whether we are killed before or after it."""

    module: str
    name: str
    when: str = "before"

    def __str__(self) -> str:
        return f"{self.when} {self.module.removeprefix('runjobs.')}.{self.name}"


ENGINE, START, CREW = "runjobs.runner.engine", "runjobs.runner.start", "runjobs.runner.crew"
SQLITE, LIFE = "runjobs.adapters.ledger.sqlite", "runjobs.guard.life"

PASS = [
    Step("runjobs.wiring", "open_enduring"),
    Step("runjobs.wiring", "engine_on"),
    Step(ENGINE, "Engine._introduce"),
    Step(ENGINE, "Engine.run_due"),
    Step(ENGINE, "Engine.recover", "after"),
    Step(SQLITE, "SqliteLedger.claim"),
    Step(START, "Batch.begin_some"),
    Step(START, "Batch.begin_some", "after"),  # the locks are held, nothing is committed
    Step(SQLITE, "SqliteLedger.claim", "after"),
    Step(START, "Batch.fork"),
    Step(START, "make_way"),
    Step(START, "_fork_all"),
    Step(START, "spawn_guard"),
    Step(START, "spawn_guard", "after"),
    Step(CREW, "Crew.take_on"),
    Step("runjobs.adapters.locks", "write_pid"),
    Step(START, "_fork_all", "after"),
    Step(CREW, "Crew._take", "after"),
    Step(CREW, "Crew._write"),
    Step(SQLITE, "SqliteLedger.record", "after"),
    Step(CREW, "Crew._let_go"),
    Step(CREW, "Crew.finish"),
    Step(CREW, "Crew.finish", "after"),
]
GUARD = [
    Step("runjobs.guard.spawn", "guard"),
    Step(LIFE, "_Life.live"),
    Step(LIFE, "_Life._start"),
    Step(LIFE, "start_here", "after"),
    Step(LIFE, "_Life._watch"),
    Step("runjobs.guard.group", "cgroup.make_leaf"),
    Step(LIFE, "_Life._reap", "after"),
    Step(LIFE, "_Life._see_to_leftovers"),
    Step(LIFE, "_Life._describe"),
    Step(LIFE, "_Life._report"),
    Step(LIFE, "_Life._let_go"),
    Step(LIFE, "_Life._let_go", "after"),
    Step(LIFE, "_Life._drain", "after"),
]
ALONE = [
    Step(LIFE, "_Life._see_to_leftovers"),
    Step(LIFE, "_Life._report"),
    Step(LIFE, "_Life._note"),
    Step(LIFE, "_Life._note", "after"),
    Step(ENGINE, "Engine.record_alone", "after"),
    Step(LIFE, "_Life._let_go"),
    Step(LIFE, "_Life._drain", "after"),
]
RECOVERY = [
    Step("runjobs.runner.succession", "recover"),
    Step("runjobs.runner.recovery", "recover_one"),
    Step("runjobs.runner.recovery", "examine"),
    Step("runjobs.runner.recovery", "examine", "after"),
    Step("runjobs.guard.remains", "_kill_all"),
    Step(SQLITE, "SqliteLedger.record"),
    Step(SQLITE, "SqliteLedger.record", "after"),
    Step("runjobs.runner.recovery", "settle_claims"),
    Step(ENGINE, "Engine.recover", "after"),
]
# what is more than a batch is claimed in the transaction of a pass, and starts after it
LATER = "from runjobs.runner import engine, start; engine.BATCH = start.BATCH = 0"
CLAIM = [
    Step("runjobs.runner.recovery", "settle_claims"),
    Step(SQLITE, "SqliteLedger.reclaim"),
    Step(SQLITE, "SqliteLedger.reclaim", "after"),
    Step(ENGINE, "launch"),
    Step(START, "Batch.begin", "after"),
    Step(SQLITE, "SqliteLedger.start_waiting", "after"),
    Step(START, "_fork_all", "after"),
]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def killed_at(stage: Stage, step: Step, who: str = "", mend: str = "") -> int:
    """Run a pass in which somebody is killed at this step; how it ended. `mend` is done to the program first."""
    mark = stage.root / "killed"
    mark.unlink(missing_ok=True)
    given = [str(mark), mend, step.module, step.name, step.when, who, *stage.place.command("run")[3:]]
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *given], env=environment(), stdin=SILENT, stderr=SILENT, timeout=60, check=False
    )
    assert wait_until(mark.exists)
    return ended.returncode


def settle_and_judge(stage: Stage) -> None:
    """One more pass, and when nobody is left, the oracle: what the job wrote against what the ledger says."""
    stage.jobs(f"#: name=job\n0 0 29 2 * {WORK}\n")  # nothing is due any more
    assert wait_until(lambda: stage.place.call("run").returncode in {0, 1} and not is_open(stage))
    assert wait_until(lambda: not stage.members())
    lines = [line.split() for line in (stage.root / "marks").read_text().splitlines()] if has_marks(stage) else []
    starts, done = ([run for word, run in lines if word == each] for each in ("start", "end"))
    runs = {run["id"]: run for run in ledger.runs(stage.place.state)}
    fires = ledger.fires(stage.place.state)
    assert {fire["outcome"] for fire in fires} <= {"ok", "interrupted", "missed"}
    assert len(starts) == len(set(starts))  # no run was started twice,
    assert len({runs[run]["fire"] for run in starts}) == len(starts)  # nor was any fire
    assert {run for run in runs if runs[run]["outcome"] == "ok"} <= set(done)
    assert all(fire["outcome"] != "ok" or fire["id"] in {runs[run]["fire"] for run in done} for fire in fires)


def has_marks(stage: Stage) -> bool:
    return (stage.root / "marks").exists()


def is_open(stage: Stage) -> bool:
    rows = [*ledger.fires(stage.place.state), *ledger.runs(stage.place.state)]
    return any(row["state"] != "ended" for row in rows)


@pytest.mark.parametrize("step", PASS, ids=str)
def test_a_runner_killed_at_a_step_of_a_pass(stage: Stage, step: Step) -> None:
    stage.jobs(f"#: name=job\n* * * * * {WORK}\n")
    assert killed_at(stage, step) == -signal.SIGKILL
    settle_and_judge(stage)


@pytest.mark.parametrize("who", ["guard", "both"])
@pytest.mark.parametrize("step", GUARD, ids=str)
def test_a_guard_killed_at_a_step_of_its_life(stage: Stage, step: Step, who: str) -> None:
    stage.jobs(f"#: name=job\n* * * * * {WORK}\n")
    if "make_leaf" in step.name and find_base() is None:
        pytest.skip("there is no control group that we may write")
    killed_at(stage, step, who)
    settle_and_judge(stage)


@pytest.mark.parametrize("step", ALONE, ids=str)
def test_a_guard_whose_runner_is_dead_killed_at_a_step_of_its_end(stage: Stage, step: Step) -> None:
    stage.jobs(f"#: name=job\n* * * * * {WORK}\n")
    assert killed_at(stage, step, "alone") == -signal.SIGKILL
    settle_and_judge(stage)


@pytest.mark.parametrize("step", RECOVERY, ids=str)
def test_a_runner_killed_while_it_recovers_what_is_left_of_a_run(stage: Stage, step: Step) -> None:
    stage.jobs(f"#: name=job\n* * * * * sleep 1000 & {WORK}\n")
    assert killed_at(stage, Step(LIFE, "_Life._reap", "after"), "both") == -signal.SIGKILL
    stage.jobs(f"#: name=job\n0 0 29 2 * {WORK}\n")
    assert killed_at(stage, step) == -signal.SIGKILL
    settle_and_judge(stage)


@pytest.mark.parametrize("step", CLAIM, ids=str)
def test_a_runner_killed_while_it_takes_over_a_claim(stage: Stage, step: Step) -> None:
    stage.jobs(f"#: name=job\n* * * * * {WORK}\n")
    assert killed_at(stage, Step(ENGINE, "launch"), mend=LATER) == -signal.SIGKILL
    assert [fire["state"] for fire in ledger.fires(stage.place.state)] == ["claimed"]
    stage.jobs(f"#: name=job\n0 0 29 2 * {WORK}\n")
    assert killed_at(stage, step) == -signal.SIGKILL
    settle_and_judge(stage)

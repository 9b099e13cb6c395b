"""Edits jobs files at random under a living foreground, in all the ways that people and tools do it, and judges.

`python -m tests.prove.edits --edits 1000`: no version is ever torn, every edit that is left alone is in force in time,
and while a file is bad its last good version stays.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.prove.editors import JOBS, Edit, Editor
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FILES: Final = 8
SETTLED: Final = 0.5  # seconds, docs/reload.md
IN_FORCE: Final = 2.0  # seconds after it has settled


class Moment(NamedTuple):
    """What a reload put in force: the versions of each file that it has said so of, each with its number of jobs."""

    at: float
    versions: dict[str, dict[int, int]]


Step = tuple[float, dict[int, int]]  # since when these versions of one file are in force


class Seen(NamedTuple):
    """What the checker has found: what is wrong, and how long after it had settled each edit was in force."""

    wrong: list[str]
    delays: list[float]


def moments(stage: Stage) -> Iterator[Moment]:
    """What was in force of which file, after each reload that the runner has told of."""
    versions: dict[str, dict[int, int]] = {f"f{number}": {1: JOBS} for number in range(FILES)}
    last = ""
    for event in stage.events():
        if event["event"] not in ("job-added", "job-removed"):
            continue
        if last and event["time"] != last:
            yield Moment(
                datetime.fromisoformat(last).timestamp(), {file: dict(each) for file, each in versions.items()}
            )
        last = event["time"]
        file, _, version = event["job"].split("/")
        number, there = int(version[1:]), versions[file]
        there[number] = there.get(number, 0) + (1 if event["event"] == "job-added" else -1)
        if not there[number]:
            del there[number]
    if last:
        yield Moment(datetime.fromisoformat(last).timestamp(), versions)


def judge(edits: Sequence[Edit], seen: Sequence[Moment], end: float, patience: float = IN_FORCE) -> Seen:
    """Compare what was in force with what was written; `patience` is how many seconds after settling it may take."""
    found = Seen([], [])
    for number in range(FILES):
        name = f"f{number}"
        begin = Edit(name, "first", 0, 0, 1)
        _judge_file([begin, *(edit for edit in edits if edit.file == name)], _steps(name, seen), end, patience, found)
    return found


def is_settled(edits: Sequence[Edit], seen: Sequence[Moment]) -> bool:
    """Whether the last edit of each file is in force."""
    last = {edit.file: edit for edit in edits}
    return all(edit.is_bad or _steps(name, seen)[-1][1] == _wanted(edit) for name, edit in last.items())


def _wanted(edit: Edit) -> dict[int, int]:
    return {edit.version: JOBS} if edit.version else {}


def _steps(name: str, seen: Sequence[Moment]) -> list[Step]:
    steps: list[Step] = [(0, {1: JOBS})]
    for moment in seen:
        if moment.versions.get(name, {1: JOBS}) != steps[-1][1]:
            steps.append((moment.at, moment.versions[name]))
    return steps


def _judge_file(edits: list[Edit], steps: list[Step], end: float, patience: float, found: Seen) -> None:
    name = edits[0].file
    for at, versions in steps:
        wanted = [_wanted(edit) for edit in edits if edit.begin <= at]
        if len(versions) > 1 or any(count != JOBS for count in versions.values()):
            found.wrong.append(f"{name}: torn: {versions} at {at:.3f}")
        elif versions not in wanted:
            found.wrong.append(f"{name}: never to be in force: {versions} at {at:.3f}")
    for number, edit in enumerate(edits):
        until = edits[number + 1].begin if number + 1 < len(edits) else end
        found.wrong.extend(_judge_edit(edit, until, steps, patience, found.delays))


def _judge_edit(edit: Edit, until: float, steps: list[Step], patience: float, delays: list[float]) -> Iterator[str]:
    """An edit that was left alone for long enough is in force in time, and stays so until the next one."""
    wanted = _wanted(edit)
    before = next(versions for at, versions in reversed(steps) if at <= edit.begin)
    later = [(at, versions) for at, versions in steps if edit.begin < at <= until]
    if edit.is_bad:  # at the most, the version before it was taken at the last moment
        if [at for at, _ in later if at > edit.end + SETTLED]:
            yield f"{edit}: bad, but {later}"
        return
    right = next((at for at, versions in later if versions == wanted), None)
    due = edit.end + SETTLED + patience
    if before == wanted and not later:
        return  # as it was already
    if right is not None and right > edit.end + SETTLED:
        delays.append(right - edit.end - SETTLED)
    if until > due and (right is None or right > due):
        yield f"{edit}: not in force in time, but {later or before}"
    if right is not None and later[-1][1] != wanted:
        yield f"{edit}: in force and then not: {later}"


def run(
    stage: Stage, number: int, seed: int, pace: float, say: Callable[[str], None], patience: float = IN_FORCE
) -> tuple[list[Edit], Seen]:
    """Make so many edits, on the average `pace` seconds apart, beside a foreground."""
    draw = random.Random(seed)
    folder = stage.place.jobs
    folder.mkdir(mode=0o755)
    editors = [Editor(folder, f"f{each}", draw) for each in range(FILES)]
    edits = []
    with stage.foreground() as runner:
        assert stage.heard("runner-started", jobs=FILES * JOBS)
        for done in range(number):
            edits.append(draw.choice(editors).edit())
            time.sleep(draw.expovariate(1 / pace))
            if done % 100 == 99:
                say(f"{done + 1} edits")
        if not wait_until(lambda: is_settled(edits, [*moments(stage)])):
            return edits, Seen(["the last edits are not in force after a minute"], [])
        end = time.time()
        runner.terminate()
        if runner.wait(60):
            return edits, Seen([f"the runner ended with {runner.returncode}: {stage.err}"], [])
    return edits, judge(edits, [*moments(stage)], end, patience)


def figures(edits: Sequence[Edit], seen: Seen) -> list[str]:
    """What is told of a campaign."""
    ways = sorted({edit.way for edit in edits})
    counts = ", ".join(f"{way} {sum(edit.way == way for edit in edits)}" for way in ways)
    delays = sorted(seen.delays)
    shown = ", ".join(f"{share:.0%} {delays[int(share * (len(delays) - 1))]:.2f} s" for share in (0.5, 0.95, 1.0))
    return [f"{len(edits)} edits: {counts}", f"in force after settling ({len(delays)}): {shown}" if delays else ""]


def main() -> int:
    """Run a campaign and tell what came of it; 1 when anything does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.edits", description=__doc__)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--pace", type=float, default=0.4, help="seconds between two edits, on the average")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    root = Path(tempfile.mkdtemp(prefix="runjobs-prove-edits-"))
    root.chmod(0o755)
    with stage_in(root) as stage:
        edits, seen = run(stage, asked.edits, asked.seed, asked.pace, lambda line: print(line, flush=True))
    print("\n".join(figures(edits, seen)))
    print(f"{len(seen.wrong)} violations" + (f"; all is kept in {root}" if seen.wrong else ""), *seen.wrong, sep="\n")
    if not seen.wrong:
        shutil.rmtree(root)
    return 1 if seen.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

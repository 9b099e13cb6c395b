"""What is known when all is over: what the jobs wrote, what is on record, who is alive, who called, who was killed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.prove import present
from tests.real.support import ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.prove.callers import Called, Signalled
    from tests.prove.works import Work

Row = dict[str, Any]


class Start(NamedTuple):
    """A job's own word that it has started: `busy` names what somebody else held who should not have lived any more."""

    job: str
    run: str
    scheduled_at: int  # milliseconds since the epoch
    attempt: int
    pid: int
    busy: tuple[str, ...] = ()


@dataclass
class Evidence:
    """All of it. `first` and `last` are the instants between which every due time counts, in milliseconds."""

    works: Sequence[Work]
    first: float
    last: float
    starts: list[Start] = field(default_factory=list)
    ends: dict[str, list[int]] = field(default_factory=dict)  # run id → exit codes that it said
    fires: list[Row] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    alive: dict[str, list[str]] = field(default_factory=dict)  # run id → processes
    calls: list[Called] = field(default_factory=list)
    kills: list[Signalled] = field(default_factory=list)
    stops: list[Signalled] = field(default_factory=list)  # runners told to stop
    groups: int = 0  # control groups of its runs that are still there
    troubles: list[str] = field(default_factory=list)  # what did not come to its end


def gather(evidence: Evidence, root: Path) -> None:
    """Add what the jobs of a stage wrote, what its ledger holds, and who is alive."""
    for path in sorted((root / "said").iterdir()):
        read_said(evidence, path.name, path.read_text().splitlines())
    evidence.fires = [dict(row) for row in ledger.fires(root / "state")]
    evidence.runs = [dict(row) for row in ledger.runs(root / "state")]
    known = {row["id"] for row in evidence.runs} | {start.run for start in evidence.starts}
    evidence.alive = {run: those for run, those in present.tagged().items() if run in known}
    evidence.troubles += [f"a ledger was set aside: {path}" for path in (root / "state").glob("*.broken*")]


def read_said(evidence: Evidence, job: str, lines: Iterable[str]) -> None:
    """Add the lines that one job wrote."""
    for line in lines:
        match line.split():
            case ["start", run, at, attempt, pid, *busy]:
                scheduled = round(datetime.fromisoformat(at).timestamp() * 1000)
                evidence.starts.append(Start(job, run, scheduled, int(attempt), int(pid), tuple(busy)))
            case ["end", run, code]:
                evidence.ends.setdefault(run, []).append(int(code))
            case _:
                evidence.troubles.append(f"{job} wrote a line that can't be read: {line!r}")

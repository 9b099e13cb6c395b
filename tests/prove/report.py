"""The figures of a campaign, and its violations with all that is known of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.prove.evidence import Evidence, Row
    from tests.prove.oracle import Violation

MOST = 20  # violations told in full


def figures(evidence: Evidence) -> list[str]:
    """What was done, and what came of it."""
    calls = Counter(call.kind for call in evidence.calls)
    fires = [row for row in evidence.fires if row["scheduled_at"] >= evidence.first]
    outcomes = Counter[str]()
    for row in fires:
        outcomes[f"{row['outcome']}" + (f"({row['reason']})" if row["reason"] else "")] += row["count"]
    again = sum(row["attempt"] > 1 for row in evidence.runs)
    return [
        f"calls     {sum(calls.values())}: {_counted(calls)}",
        f"kills     {len(evidence.kills)}: {_counted(Counter(kill.kind for kill in evidence.kills))}",
        f"due times {sum(row['count'] for row in fires)}",
        f"runs      {len(evidence.runs)}: {len(evidence.starts)} started, {again} of them not for the first time",
        f"outcomes  {_counted(outcomes)}",
        f"left      {evidence.groups} control groups, {sum(map(len, evidence.alive.values()))} processes",
    ]


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counter.most_common() if number)


def violations(evidence: Evidence, found: Sequence[Violation]) -> list[str]:
    """How many of each kind, and each with its rows and lines."""
    lines = [f"{number} times not so: {claim}" for claim, number in Counter(each.claim for each in found).most_common()]
    for each in found[:MOST]:
        lines += ["", f"not so: {each.claim}", f"  {each.text}", *(f"  {line}" for line in _known(evidence, each))]
    if len(found) > MOST:
        lines += ["", f"and {len(found) - MOST} more"]
    return lines


def _known(evidence: Evidence, violation: Violation) -> Iterable[str]:
    run = next((row for row in evidence.runs if row["id"] == violation.run), None)
    number = violation.fire or (run["fire"] if run else 0)
    yield from (f"fire {_row(row)}" for row in evidence.fires if row["id"] == number)
    runs = [row for row in evidence.runs if row["fire"] == number]
    yield from (f"run  {_row(row)}" for row in runs)
    ids = {row["id"] for row in runs} | {violation.run}
    yield from (f"said {start}" for start in evidence.starts if start.run in ids)
    yield from (f"said {run} ended with {codes}" for run, codes in evidence.ends.items() if run in ids)
    pids = {row["guard_pid"] for row in runs}
    yield from (f"{kill}" for kill in evidence.kills if kill.pid in pids)


def _row(row: Row) -> str:
    return " ".join(f"{key}={value}" for key, value in row.items() if value not in {None, ""})

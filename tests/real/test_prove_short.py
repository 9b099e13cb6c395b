"""The short form of `make prove`: some dozen kills, judged by the jobs' own word; and that the judge would notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.prove.callers import Called, Signalled
from tests.prove.choices import choices
from tests.prove.evidence import Evidence, read_said
from tests.prove.fuzz import Fuzzer
from tests.prove.oracle import Oracle
from tests.prove.report import violations
from tests.prove.stage import Campaign
from tests.prove.works import FUZZED, Work

if TYPE_CHECKING:
    from pathlib import Path

KILLS, SEED = 25, 20261120
AT = "1970-01-01T00:00:01Z"
WORK = Work("job", 1, "nap 1", retries=1)


def test_runners_and_guards_killed_at_random_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, FUZZED)
    try:
        Fuzzer(campaign, lambda _: None).run(KILLS, SEED)
        evidence = campaign.settle()
    finally:
        campaign.clear()
    found = Oracle(evidence).judge()
    assert found == [], "\n".join(violations(evidence, found))
    assert len(evidence.kills) >= KILLS
    assert {"ok", "failed", "timeout", "interrupted"} <= {run["outcome"] for run in evidence.runs}


def test_the_same_seed_makes_the_same_choices() -> None:
    first, again, other = (
        [choice for choice, _ in zip(choices(seed, ["a", "b"]), range(100), strict=False)] for seed in (1, 1, 2)
    )
    assert first == again != other


Facts = dict[str, Any]


def evidence(*said: str, fire: Facts | None = None, run: Facts | None = None, **more: Any) -> Evidence:  # noqa: ANN401
    """One fire that failed with exit code 3 and was right in all things, but for what is given."""
    facts = {"id": 1, "job": "job", "trigger": "schedule", "scheduled_at": 1000, "last_at": 1000, "count": 1}
    fires = [facts | {"state": "ended", "outcome": "failed", "reason": "exit", "claimed_at": 1000} | (fire or {})]
    ran = {"id": "r1", "job": "job", "fire": 1, "attempt": 1, "state": "ended", "outcome": "failed", "reason": "exit"}
    ran |= {"detail": "", "exit_code": 3, "guard_pid": 41, "started_at": 1000, "ended_at": 2000, "runner": "pass-9-x"}
    ran |= {"scheduled_at": 1000}
    given = Evidence([WORK], 1000, 1000, fires=fires, runs=[ran | (run or {})], **more)
    read_said(given, "job", said or (f"start r1 {AT} 1 77", "end r1 3"))
    return given


def doubled(given: Evidence) -> Evidence:
    """With a second row for the fire."""
    given.fires.append(given.fires[0] | {"id": 2})
    return given


def claims(given: Evidence) -> set[str]:
    return {violation.claim for violation in Oracle(given).judge()}


def test_the_oracle_finds_nothing_wrong_where_nothing_is() -> None:
    assert claims(evidence()) == set()


INTERRUPTED = {"outcome": "interrupted", "reason": "guard-died", "exit_code": None}
WRONG = {
    "started twice": ("no fire starts twice", evidence(f"start r1 {AT} 1 77", f"start r2 {AT} 1 78", "end r1 3")),
    "not on record": ("every start is on record", evidence(f"start r1 {AT} 1 77", f"start r2 {AT} 2 78", "end r1 3")),
    "two at once": ("never two at once", evidence(f"start r1 {AT} 1 77 job.lock", "end r1 3")),
    "a lost fire": ("no fire is lost", evidence(fire={"job": "other"})),
    "two rows": ("every due time has one row", doubled(evidence())),
    "a wrong count": ("no fire is lost", evidence(fire={"count": 2})),
    "a fire that is stuck": ("every fire has ended", evidence(fire={"state": "running", "outcome": None})),
    "a run that is stuck": ("every run has ended", evidence(run={"state": "running", "outcome": None})),
    "another exit code": ("every exit code is right", evidence(run={"exit_code": 4})),
    "ok, and it failed": ("ok is ok", evidence(run={"outcome": "ok"})),
    "ok, and never ended": ("every exit code is right", evidence(f"start r1 {AT} 1 77", run={"outcome": "ok"})),
    "ok, and never started": ("ok is ok", evidence("end r1 3")),
    "another outcome": ("a fire ends as its last run", evidence(fire={"outcome": "ok"})),
    "missed, and ran": ("skipped is skipped", evidence(fire={"outcome": "missed"})),
    "told another attempt": ("a job is told its attempt", evidence(f"start r1 {AT} 2 77", "end r1 3")),
    "an attempt too many": ("tried again only where that is wanted", evidence(run={"attempt": 2})),
    "failed by a signal": ("nothing is cut short", evidence(run={"reason": "signal"})),
    "interrupted, and nobody was killed": ("nothing is cut short", evidence(run=INTERRUPTED)),
    "stopped, and nobody said so": ("nothing is cut short", evidence(run={"outcome": "stopped", "reason": "person"})),
    "another runner was told to stop": (
        "nothing is cut short",
        evidence(run={"outcome": "stopped", "reason": "person"}, stops=[Signalled("pass", 8, 1500)]),
    ),
    "another guard was killed": (
        "nothing is cut short",
        evidence(run=INTERRUPTED, kills=[Signalled("guard", 40, 1500), Signalled("pass", 9, 1500)]),
    ),
    "its guard was killed long before": (
        "nothing is cut short",
        evidence(run=INTERRUPTED, kills=[Signalled("guard", 41, -9000)]),
    ),
    "something is left": (
        "nothing is left of what was ended",
        evidence(run=INTERRUPTED, kills=[Signalled("guard", 41, 1500)], alive={"r1": ["80 sleep"]}),
    ),
    "a call with another exit code": (
        "every call ends well",
        evidence(run={"runner": "call-9-x"}, calls=[Called("call", 9, 4, "")]),
    ),
    "a traceback": ("every call ends well", evidence(calls=[Called("pass", 9, 1, "Traceback (most recent …")])),
    "a line that is torn": ("nothing hangs or breaks", evidence(f"start r1 {AT} 1 77", "end r1 3", "start")),
}


@pytest.mark.parametrize(("claim", "given"), WRONG.values(), ids=WRONG)
def test_the_oracle_notices(claim: str, given: Evidence) -> None:
    assert claim in claims(given)
    assert violations(given, Oracle(given).judge())


def test_the_oracle_takes_a_kill_for_a_reason() -> None:
    given = evidence(f"start r1 {AT} 1 77", fire=INTERRUPTED, run=INTERRUPTED, kills=[Signalled("guard", 41, 1500)])
    assert claims(given) == set()


def test_the_oracle_takes_a_call_to_stop_for_a_reason() -> None:
    stopped = {"outcome": "stopped", "reason": "person", "exit_code": None}
    given = evidence(f"start r1 {AT} 1 77", fire=stopped, run=stopped, stops=[Signalled("pass", 9, 1500)])
    assert claims(given) == set()

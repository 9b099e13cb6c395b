"""The judgement: what the jobs wrote against what the ledger says of them."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tests.prove.callers import MANUAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.prove.callers import Called, Signalled
    from tests.prove.evidence import Evidence, Row, Start
    from tests.prove.works import Work

ENDED_BY_US = ("timeout", "stopped", "interrupted")
NOT_STARTED = ("skipped", "missed")
CALLED_WELL = {"foreground": (0, 75, -9), "pass": (0, 1, -9), MANUAL: (75, -9)}
MARGIN = 2000  # milliseconds between a kill and what is written of it
GRACE = 15_000  # ms: a stop of the foreground takes 8 s at the most, and this machine is slow


class Violation(NamedTuple):
    """A claim that does not hold, and what is known of it: `run` or `fire` where it is one's."""

    claim: str
    text: str
    run: str = ""
    fire: int = 0


class Oracle:
    """Judges one body of evidence."""

    def __init__(self, evidence: Evidence) -> None:
        """Judge nothing yet."""
        self.evidence = evidence

    @cached_property
    def _works(self) -> dict[str, Work]:
        return {work.name: work for work in self.evidence.works}

    @cached_property
    def _runs(self) -> dict[str, Row]:
        return {row["id"]: row for row in self.evidence.runs}

    @cached_property
    def _runs_of_fire(self) -> dict[int, list[Row]]:
        found = defaultdict(list)
        for row in sorted(self.evidence.runs, key=lambda row: (row["attempt"], row["id"])):
            found[row["fire"]].append(row)
        return dict(found)

    @cached_property
    def _said(self) -> dict[str, Start]:
        return {start.run: start for start in self.evidence.starts}

    def judge(self) -> list[Violation]:
        """Every claim that does not hold."""
        return [
            *self._twice(),
            *self._at_once(),
            *self._lost(),
            *self._stuck(),
            *self._untrue(),
            *self._attempts(),
            *self._out_of_order(),
            *self._cut_short(),
            *self._left(),
            *self._calls(),
            *(Violation("nothing hangs or breaks", text) for text in self.evidence.troubles),
        ]

    def _twice(self) -> Iterator[Violation]:
        claim = "no fire starts twice"
        fires = Counter((start.job, start.scheduled_at, start.attempt) for start in self.evidence.starts)
        for (job, at, attempt), number in fires.items():
            if number > 1:
                runs = [start.run for start in self.evidence.starts if start[0] == job and start[2:4] == (at, attempt)]
                yield Violation(claim, f"{job}, due {at}, attempt {attempt}, started {number} times: {runs}", runs[0])
        for start in self.evidence.starts:
            if start.run not in self._runs:
                yield Violation("every start is on record", f"{start} has no run in the ledger", start.run)

    def _at_once(self) -> Iterator[Violation]:
        for start in self.evidence.starts:
            if start.busy:
                held = ", ".join(start.busy)
                yield Violation("never two at once", f"{start.job} started while {held} was held", start.run)

    def _lost(self) -> Iterator[Violation]:
        """Each due time in one row: fires that were missed together stand in one, with the first and the last."""
        claim = "no fire is lost"
        for work in self.evidence.works:
            period = work.every * 1000
            rows = [row for row in self.evidence.fires if (row["job"], row["trigger"]) == (work.name, "schedule")]
            told = Counter(at for row in rows for at in range(row["scheduled_at"], row["last_at"] + 1, period))
            due = range(-int(-self.evidence.first // period) * period, int(self.evidence.last) + 1, period)
            if missing := [at for at in due if at not in told]:
                yield Violation(claim, f"{work.name} has no row for {len(missing)} due times: {missing[:10]}")
            if double := [at for at, number in told.items() if number > 1]:
                yield Violation("every due time has one row", f"{work.name} has several for {double[:10]}")
            for row in rows:
                number = (row["last_at"] - row["scheduled_at"]) // period + 1
                if row["scheduled_at"] % period or row["count"] != number:
                    yield Violation(claim, f"{work.name}: {row['count']} fires on record, {number} due", fire=row["id"])

    def _stuck(self) -> Iterator[Violation]:
        for row in self.evidence.fires:
            if row["state"] != "ended" or not row["outcome"]:
                yield Violation("every fire has ended", f"fire {row['id']} is {row['state']}", fire=row["id"])
        for row in self.evidence.runs:
            if row["state"] != "ended" or not row["outcome"]:
                yield Violation("every run has ended", f"run {row['id']} is {row['state']}", row["id"])

    def _untrue(self) -> Iterator[Violation]:
        """A run is ok or failed by the exit code that it said itself, just before."""
        for row in self.evidence.runs:
            said = self.evidence.ends.get(row["id"], [])
            by_itself = row["outcome"] in {"ok", "failed"}
            if by_itself and said != [row["exit_code"]]:
                text = f"{row['job']} is {row['outcome']} with exit code {row['exit_code']}, and said {said or 'none'}"
                yield Violation("every exit code is right", text, row["id"])
            if by_itself and (row["outcome"] == "ok") != (row["exit_code"] == 0):
                yield Violation("ok is ok", f"{row['outcome']} with exit code {row['exit_code']}", row["id"])
            if by_itself and row["id"] not in self._said:
                yield Violation("ok is ok", f"{row['job']} is {row['outcome']} and never started", row["id"])
        for row in self.evidence.fires:
            runs = self._runs_of_fire.get(row["id"], [])
            if runs and row["outcome"] != runs[-1]["outcome"]:
                text = f"fire {row['id']} is {row['outcome']}, its last run {runs[-1]['outcome']}"
                yield Violation("a fire ends as its last run", text, fire=row["id"])
            if row["outcome"] in NOT_STARTED and any(run["id"] in self._said for run in runs):
                yield Violation("skipped is skipped", f"fire {row['id']} is {row['outcome']}, and ran", fire=row["id"])

    def _attempts(self) -> Iterator[Violation]:
        claim = "tried again only where that is wanted"
        for fire, runs in self._runs_of_fire.items():
            work = self._works[runs[0]["job"]]
            if [run["attempt"] for run in runs] != list(range(1, len(runs) + 1)):
                yield Violation(claim, f"the attempts are {[run['attempt'] for run in runs]}", fire=fire)
            for before in runs[:-1]:
                bound = work.reruns if before["outcome"] == "interrupted" else work.retries
                if before["outcome"] not in {"failed", "timeout", "interrupted"} or not bound:
                    yield Violation(claim, f"{work.name} was tried again after {before['outcome']}", fire=fire)
            if len(runs) > 1 + work.retries + work.reruns:
                yield Violation(claim, f"{work.name} was tried {len(runs)} times", fire=fire)
        for start in self.evidence.starts:
            run = self._runs.get(start.run)
            if run is not None and run["attempt"] != start.attempt:
                text = f"it was told attempt {start.attempt}, on record is {run['attempt']}"
                yield Violation("a job is told its attempt", text, start.run)

    def _out_of_order(self) -> Iterator[Violation]:
        for start in self.evidence.starts:
            work, run = self._works[start.job], self._runs.get(start.run)
            if not work.after or run is None or not self._is_scheduled(run):
                continue
            first = [
                row
                for row in self.evidence.fires
                if row["job"] == work.after
                and row["trigger"] == "schedule"
                and row["scheduled_at"] <= start.scheduled_at
            ]
            if not first or first[-1]["outcome"] != "ok":
                text = f"{start.job} started, and {work.after} was {first[-1]['outcome'] if first else 'never due'}"
                yield Violation("after is after", text, start.run)

    def _is_scheduled(self, run: Row) -> bool:
        return any(row["id"] == run["fire"] and row["trigger"] == "schedule" for row in self.evidence.fires)

    def _cut_short(self) -> Iterator[Violation]:
        """No run ends otherwise than by itself unless there is a reason that we know of: a timeout, or a kill."""
        for row in self.evidence.runs:
            work, outcome = self._works[row["job"]], row["outcome"]
            is_right = {
                "ok": not work.times_out,
                "failed": not work.times_out and row["reason"] == "exit",
                "timeout": work.times_out,
                "stopped": self._was_stopped(row) if row["reason"] == "person" else work.is_replaced,
                "interrupted": self._was_stopped(row) if row["reason"] == "shutdown" else self._was_killed(row),
            }.get(outcome, outcome is None)
            if not is_right:
                text = f"{row['job']} is {outcome} ({row['reason']}: {row['detail']}) for no reason that we know of"
                yield Violation("nothing is cut short", text, row["id"])

    def _was_stopped(self, row: Row) -> bool:
        """Whether its runner was told to stop before it ended, or one that may have adopted it."""
        near = [stop for stop in self.evidence.stops if -GRACE <= stop.at - row["ended_at"] <= MARGIN]
        if any(stop.kind == "foreground" for stop in near):
            return True
        names = [f"{stop.kind}-{stop.pid}-" for stop in self.evidence.stops if stop.at <= row["ended_at"] + MARGIN]
        return any((row["runner"] or "").startswith(name) for name in names)

    def _was_killed(self, row: Row) -> bool:
        """Whether its guard was killed; where that is not on record, any guard, and before its start any runner."""
        if row["reason"] != "guard-died":
            return False
        fire = next(fire for fire in self.evidence.fires if fire["id"] == row["fire"])
        begin = row["started_at"] or fire["claimed_at"] or row["scheduled_at"]
        return any(
            begin - MARGIN <= kill.at <= row["ended_at"] + MARGIN and self._could_end(kill, row)
            for kill in self.evidence.kills
        )

    def _could_end(self, kill: Signalled, row: Row) -> bool:
        if row["guard_pid"] is not None:
            return bool(kill.pid == row["guard_pid"])
        return kill.kind == "guard" or row["id"] not in self._said

    def _left(self) -> Iterator[Violation]:
        claim = "nothing is left of what was ended"
        for row in self.evidence.runs:
            left = self.evidence.alive.get(row["id"], [])
            by_itself = row["outcome"] not in ENDED_BY_US
            if left and not (by_itself and self._works[row["job"]].leaves):
                yield Violation(claim, f"{row['job']} is {row['outcome']}, and {', '.join(left)} is left", row["id"])

    def _calls(self) -> Iterator[Violation]:
        """Calls end as they should and say nothing of an error in runjobs; a single job's call has its exit code."""
        for call in self.evidence.calls:
            runs = self._runs_of_call(call)
            codes = [row["exit_code"] for row in runs if row["outcome"] in {"ok", "failed"}]
            codes += [124 for row in runs if row["outcome"] == "timeout"]
            codes += [1 for row in runs if row["outcome"] in {"interrupted", "stopped"}]
            codes += [128 + number for row in runs if (number := dict(row).get("signal"))]
            may = (*CALLED_WELL[call.kind], *(codes if call.kind == MANUAL else ()))
            if any((stop.kind, stop.pid) == call[:2] for stop in self.evidence.stops):  # maybe before it could hear it
                may = (*may, -signal.SIGTERM, 128 + signal.SIGTERM)
            if call.status not in may or "Traceback" in call.stderr:
                text = f"{call.kind} {call.job} (pid {call.pid}) ended with {call.status}: {call.stderr[-800:]}"
                yield Violation("every call ends well", text)

    def _runs_of_call(self, call: Called) -> list[Row]:
        name = f"{call.kind}-{call.pid}-"
        return [row for row in self.evidence.runs if (row["runner"] or "").startswith(name)]

"""How fires and runs end: states, outcomes and reasons, and the judgement of an exit status."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection


SUPERSEDED = "a newer fire took its place"  # the detail of missed(superseded)


class State(Enum):
    """Where a fire or run is in its life; ENDED has an outcome."""

    CLAIMED = "claimed"
    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"


class Outcome(Enum):
    """How a fire ended; every fire gets exactly one."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    ERROR = "error"
    MISSED = "missed"

    @property
    def is_trouble(self) -> bool:
        """Whether a person should hear of it: skips are not failures, and ok is ok."""
        return self not in {Outcome.OK, Outcome.SKIPPED}


class Verdict(NamedTuple):
    """An outcome with its reason: `reason` is one word for machines, `detail` a sentence for people."""

    outcome: Outcome
    reason: str = ""
    detail: str = ""


class Exit(NamedTuple):
    """How the main process of a run ended: an exit code, or the signal that ended it; just one is set."""

    code: int | None = None
    signal: int | None = None

    @property
    def status(self) -> int:
        """The status as a shell has it: the code, or 128 and the signal's number."""
        return 128 + self.signal if self.signal is not None else self.code or 0


def judge(end: Exit, success_codes: Collection[int]) -> Verdict:
    """Judge a main process that ended on its own; a signal is never a success."""
    if end.signal is not None:
        return Verdict(Outcome.FAILED, "signal", f"ended by signal {end.signal}")
    if end.code in success_codes:
        return Verdict(Outcome.OK)
    return Verdict(Outcome.FAILED, "exit", f"exit code {end.code}")

"""A letter: one piece of news for one receiver, and how a try to deliver it went."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, NamedTuple


class Kind(Enum):
    """What a letter tells; the values are part of the interface."""

    FAILURE = "failure"
    RECOVERY = "recovery"
    SUCCESS = "success"
    MISSED = "missed"
    SLOW = "slow"
    START = "start"
    DIGEST = "digest"
    TEST = "test"


class Letter(NamedTuple):
    """One piece of news for one receiver.

    `key` is the same on every repeat: `RUN.KIND.RECEIVER`, where RUN is a run's id or what else the news is of, and
    RECEIVER a hash. `facts` are JSON-able, with what is not known left out: job, run, scheduled_at, started_at,
    ended_at (ISO 8601, UTC), outcome, reason, detail, exit_code, signal, seconds, attempt, host, schedule, command, log
    (the tail of the output), next_fire, last_success, failures (in a row). Those of a digest are `letters`, a list
    of such facts, each with its `kind`, and `left_out`, the number of those that found no room in it.
    """

    key: str
    kind: Kind
    job: str
    facts: dict[str, Any]


class Delivery(NamedTuple):
    """How one try went; `after`: seconds to wait at the least before the next one, as the receiver asked."""

    verdict: Literal["sent", "later", "never"]
    detail: str = ""
    after: float | None = None

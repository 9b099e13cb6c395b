"""A run: one attempt at a fire, from its start to its recorded end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that reads like something else
EPOCH_MS = 1_577_836_800_000  # 2020-01-01: ids stay eleven characters until 2089
SEQUENCE_BITS = 14


class ProcessId(NamedTuple):
    """A process beyond doubt: a bare pid is used again, this is not (start time in clock ticks since boot)."""

    pid: int
    start_time: int
    boot_id: str
    pid_namespace: int


class RunEnd(NamedTuple):
    """How a run ended and what it used; times in seconds since the epoch, `max_rss` and byte counts in bytes."""

    run_id: str
    outcome: str
    reason: str = ""
    detail: str = ""
    exit_code: int | None = None
    signal: int | None = None
    started_at: float = 0.0
    ended_at: float = 0.0
    cpu_user: float = 0.0
    cpu_system: float = 0.0
    max_rss: int = 0
    blocks_in: int = 0
    blocks_out: int = 0
    switches_voluntary: int = 0
    switches_involuntary: int = 0
    output_bytes: int = 0
    dropped_bytes: int = 0
    leftovers: tuple[tuple[int, str], ...] = ()
    again_at: float | None = None  # when the fire is to be tried again, seconds since the epoch; None: this is its end

    @property
    def verdict(self) -> Outcome:
        """The outcome as a word of ours; text in the tuple, so that an end crosses a pipe as it is."""
        return Outcome(self.outcome)

    @property
    def status(self) -> int:
        """The exit status as a shell has it (124 for a run that timed out, as timeout(1) has it)."""
        if self.outcome == Outcome.TIMEOUT.value:
            return 124
        if self.signal is not None:
            return 128 + self.signal
        return self.exit_code if self.exit_code is not None else 1


def end_from(facts: Mapping[str, Any]) -> RunEnd:
    """An end from its facts as JSON has them; facts that are not known here, another version's, are passed over."""
    known = {key: value for key, value in facts.items() if key in RunEnd._fields}
    return RunEnd(**known | {"leftovers": tuple((pid, name) for pid, name in facts.get("leftovers", ()))})


def run_id(now_ms: int, sequence: int) -> str:
    """Make an id that sorts by time: milliseconds since 2020 and 14 bits that tell runs of one instant apart."""
    value = (max(0, now_ms - EPOCH_MS) << SEQUENCE_BITS) | (sequence & ((1 << SEQUENCE_BITS) - 1))
    letters = []
    for _ in range(11):
        value, digit = divmod(value, len(DIGITS))
        letters.append(DIGITS[digit])
    return "".join(reversed(letters))


def begun_ms(run: str) -> int:
    """When the run of this id was begun, in milliseconds since the epoch."""
    value = 0
    for letter in run:
        value = value * len(DIGITS) + DIGITS.index(letter)
    return (value >> SEQUENCE_BITS) + EPOCH_MS


class Start(NamedTuple):
    """A run about to start: the fire that it is an attempt at, and the lock and log that belong to it.

    `watched` is what is to be kept from then on of the paths that its job watches (None: what is kept holds).
    `due_ms` is when it was to start, in milliseconds since the epoch (None: at its scheduled time).
    """

    run_id: str
    fire_id: int
    attempt: int
    lock: str
    log: str
    watched: bytes | None = None
    due_ms: int | None = None


class Started(NamedTuple):
    """A run that has started: its guard and its main process; `started_at` in seconds since the epoch."""

    run_id: str
    guard_pid: int
    process: ProcessId
    started_at: float


class Unended(NamedTuple):
    """A run without an end in the ledger; `process` is None when its main process never came to be known."""

    run_id: str
    fire_id: int
    job: str
    scheduled_ms: int
    lock: str
    guard_pid: int | None
    process: ProcessId | None
    attempt: int = 1
    runner: str = ""
    runner_lock: str = ""

"""The journal of a job: what became of its fires while the ledger could not say, packed into the job's lock file.

It is of fixed size and overwritten in place, so that it can be written on a full disk: a mark, which says how far the
job's fires are accounted for, and a number of entries. Where even a block for that is not to be had, the last fire goes
into the time of the file's last change.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from runjobs.core.fire import Fire, Trigger, from_milliseconds, milliseconds
from runjobs.core.outcome import Exit, Outcome, judge
from runjobs.core.run import RunEnd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MARK: Final = struct.Struct("<IqH")  # check, watermark, length of the schedule's key, which follows
MARK_SIZE: Final = 320  # bytes: keys are an expression, a zone and a name; one that is longer is left out
ENTRY: Final = struct.Struct("<IBqHBqqBhB11s11s11s")
AT: Final = 2576
SIZE: Final = 4096 - AT  # bytes of a lock file behind the record, the pid and the order
MOST: Final = (SIZE - MARK_SIZE) // ENTRY.size
WORD: Final = 11  # characters of a run's id; no reason of ours is longer
TRIGGERS: Final = tuple(Trigger)
OUTCOMES: Final = ("", *(outcome.value for outcome in Outcome))
FAILED: Final = Outcome.FAILED.value
REASONS: Final = {Outcome.TIMEOUT.value: "timeout", Outcome.INTERRUPTED.value: "lost"}  # where there is but one, or was
LOST: Final = (Outcome.INTERRUPTED.value, "lost")
LOST_DETAIL: Final = "how it ended was not to be recorded at the time"
NONE: Final = -1
MOST_COUNTED: Final = 0xFFFF
MOST_SLOTS: Final = 0xFF
# the time of a file's last change has nanoseconds, of which a scheduled fire needs whole seconds alone: there is room
# for its outcome, and for so much distance between two of them that an ordinary time is none
PER_SECOND: Final = 1_000_000_000
PER_MS: Final = 1_000
STEP: Final = 210_011
SHIFT: Final = 104_729
STATUSES: Final = 512
SIGNALLED: Final = 256
UNKNOWN: Final = STATUSES - 1


class Kind(Enum):
    """What an entry tells."""

    RUN = "run"  # of one run
    FIRES = "fires"  # of fires without a run of their own: one that did not start, or a number of them


class Entry(NamedTuple):
    """One run, or fires that had none; times in milliseconds since the epoch.

    `number` is the attempt of a run, else the number of fires; `begun_ms` the start of a run, else the last of the
    fires. `outcome` is "" while a run goes on. `slot` tells which of the job's locks the run has.
    """

    trigger: Trigger
    scheduled_ms: int
    instance: str = ""
    run_id: str = ""
    number: int = 1
    slot: int = 1
    begun_ms: int = 0
    ended_ms: int = 0
    outcome: str = ""
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None

    @property
    def kind(self) -> Kind:
        """Whether it tells of a run."""
        return Kind.RUN if self.run_id else Kind.FIRES

    def fire(self, job: str) -> Fire:
        """The fire that it tells of; the first, if it tells of several."""
        return Fire(job, self.trigger, from_milliseconds(self.scheduled_ms), self.instance)

    @property
    def detail(self) -> str:
        """What its reason comes to in a sentence: there is no room for one, so it is said anew."""
        if self.outcome == FAILED and (self.exit_code, self.signal) != (None, None):
            return judge(Exit(self.exit_code, self.signal), ()).detail
        return LOST_DETAIL if (self.outcome, self.reason) == LOST else ""

    @property
    def end(self) -> RunEnd:
        """How the run ended that it tells of."""
        how = (self.outcome, self.reason, self.detail, self.exit_code, self.signal)
        return RunEnd(self.run_id, *how, started_at=self.begun_ms / 1000, ended_at=self.ended_ms / 1000)

    @property
    def identity(self) -> tuple[str, str, int, str]:
        """What tells it from the others of its job."""
        return self.run_id, *(("", 0, "") if self.run_id else (self.trigger.value, self.scheduled_ms, self.instance))


class Journal(NamedTuple):
    """A job's mark (None: none was written) and entries, oldest first; `key` "" where the schedule's is not known."""

    watermark_ms: int | None = None
    key: str = ""
    entries: tuple[Entry, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self.watermark_ms is None and not self.entries


def entry_of(fire: Fire) -> Entry:
    """An entry that tells of a fire, and as yet of no run."""
    return Entry(fire.trigger, milliseconds(fire.scheduled_at), fire.instance[:WORD])


def added(journal: Journal, news: Iterable[Entry]) -> Journal:
    """The journal with these entries: each in the place of what was said of the same run or fire before.

    Where they are too many the oldest two become one, until they are not.
    """
    entries = {entry.identity: entry for entry in journal.entries}
    for entry in news:
        entries[entry.identity] = entry
    kept = sorted(entries.values(), key=lambda entry: (entry.scheduled_ms, entry.begun_ms))
    while len(kept) > MOST:
        first = next((n for n, entry in enumerate(kept) if entry.outcome), 0)
        second = next((n for n, entry in enumerate(kept) if entry.outcome and n > first), first + 1)
        kept[second] = _together(kept[first], kept[second])
        del kept[first]
    return journal._replace(entries=tuple(kept))


def _together(one: Entry, other: Entry) -> Entry:
    """One entry for the fires of two: how many, from when to when, and what became of them if it was the same."""
    same = (one.outcome, one.reason) == (other.outcome, other.reason)
    outcome, reason = (one.outcome, one.reason) if same else LOST
    first, last = min(one.scheduled_ms, other.scheduled_ms), max(_last(one), _last(other))
    count = _fires(one) + _fires(other)
    ended = max(one.ended_ms, other.ended_ms)
    return Entry(one.trigger, first, "", "", count, 1, last, ended, outcome, reason)


def _fires(entry: Entry) -> int:
    return entry.number if entry.kind is Kind.FIRES else 1


def _last(entry: Entry) -> int:
    return max(entry.scheduled_ms, entry.begun_ms) if entry.kind is Kind.FIRES else entry.scheduled_ms


def pack(journal: Journal) -> bytes:
    """The journal as bytes of a fixed number."""
    mark = b""
    if journal.watermark_ms is not None:
        key = journal.key.encode("utf-8", "surrogateescape")
        key = key if len(key) <= MARK_SIZE - MARK.size else b""
        mark = _checked(MARK.pack(0, journal.watermark_ms, len(key)) + key)
    entries = b"".join(map(_pack, journal.entries[-MOST:]))
    return (mark.ljust(MARK_SIZE, b"\0") + entries).ljust(SIZE, b"\0")


def unpack(data: bytes) -> Journal:
    """The journal in these bytes; what was never written, or half, or by somebody else, is left out."""
    watermark, key = _unpack_mark(data[:MARK_SIZE])
    places = range(MARK_SIZE, len(data) - ENTRY.size + 1, ENTRY.size)
    entries = [_unpack(data[place : place + ENTRY.size]) for place in places]
    return Journal(watermark, key, tuple(entry for entry in entries if entry is not None))


def _unpack_mark(data: bytes) -> tuple[int | None, str]:
    if len(data) < MARK.size:
        return None, ""
    _, watermark, length = MARK.unpack_from(data)
    whole = data[: MARK.size + length]
    if _checked(whole) != whole:
        return None, ""
    return watermark, whole[MARK.size :].decode("utf-8", "surrogateescape")


def _pack(entry: Entry) -> bytes:
    words = (entry.instance, entry.run_id, entry.reason)
    return _checked(
        ENTRY.pack(
            0,
            TRIGGERS.index(entry.trigger),
            entry.scheduled_ms,
            min(entry.number, MOST_COUNTED),
            min(entry.slot, MOST_SLOTS),
            entry.begun_ms,
            entry.ended_ms,
            OUTCOMES.index(entry.outcome),
            NONE if entry.exit_code is None else entry.exit_code,
            entry.signal or 0,
            *(word.encode("ascii", "replace")[:WORD] for word in words),
        )
    )


def _unpack(data: bytes) -> Entry | None:
    if _checked(data) != data:
        return None
    _, trigger, scheduled, count, slot, begun, ended, outcome, code, signal, *words = ENTRY.unpack(data)
    if trigger >= len(TRIGGERS) or outcome >= len(OUTCOMES):
        return None  # of a newer version, which knows more of them
    instance, run_id, reason = (word.rstrip(b"\0").decode("ascii") for word in words)
    how = (OUTCOMES[outcome], reason, None if code == NONE else code, signal or None)
    return Entry(TRIGGERS[trigger], scheduled, instance, run_id, count, slot, begun, ended, *how)


def _checked(data: bytes) -> bytes:
    """The data with the check of what follows it in its first four bytes; zeros have another one."""
    return struct.pack("<I", crc32(data[4:]) or 1) + data[4:]


def squeeze(entry: Entry) -> int:
    """The last fire of a schedule, and how it ended, as the time of a file's last change, in nanoseconds."""
    status = UNKNOWN
    if entry.signal is not None:
        status = SIGNALLED + entry.signal % SIGNALLED
    elif entry.exit_code is not None:
        status = entry.exit_code % SIGNALLED
    said = OUTCOMES.index(entry.outcome) * STATUSES + min(status, UNKNOWN)
    return entry.scheduled_ms // PER_MS * PER_SECOND + said * STEP + SHIFT


def unsqueeze(mtime_ns: int) -> Journal:
    """What the time of a file's last change tells; nothing where it is just a time."""
    seconds, rest = divmod(mtime_ns, PER_SECOND)
    scheduled = seconds * PER_MS
    said, odd = divmod(rest - SHIFT, STEP)
    if odd or said < 0 or said >= len(OUTCOMES) * STATUSES:
        return Journal()
    outcome, status = divmod(said, STATUSES)
    code = status if status < SIGNALLED else None
    signal = status - SIGNALLED if SIGNALLED <= status < UNKNOWN else None
    word = OUTCOMES[outcome] or LOST[0]
    reason = ("signal" if signal is not None else "exit") if word == FAILED else REASONS.get(word, "")
    last = Entry(Trigger.SCHEDULE, scheduled, begun_ms=scheduled, outcome=word, reason=reason)
    return Journal(scheduled, "", (last._replace(exit_code=code, signal=signal),))


def newest_of(entries: Sequence[Entry]) -> Entry | None:
    """What is said last of the newest scheduled fire."""
    scheduled = [entry for entry in entries if entry.trigger is Trigger.SCHEDULE]
    return max(scheduled, key=lambda entry: (entry.scheduled_ms, entry.kind is Kind.RUN, entry.number), default=None)

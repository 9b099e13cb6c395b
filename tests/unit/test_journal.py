"""The journal in a lock file: what is packed comes back, damage is left out, too much becomes less without a lie."""

from __future__ import annotations

from datetime import UTC, datetime
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters import locks
from runjobs.core.fire import Fire, Trigger, milliseconds
from runjobs.core.journal import (
    AT,
    ENTRY,
    LOST,
    MARK_SIZE,
    MOST,
    OUTCOMES,
    SIZE,
    Entry,
    Journal,
    Kind,
    added,
    entry_of,
    newest_of,
    pack,
    squeeze,
    unpack,
    unsqueeze,
)

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
NOON_MS = milliseconds(NOON)
MINUTE = 60_000
BACKUP = Fire("backup", Trigger.SCHEDULE, NOON)

words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", max_size=11)
entries = st.builds(
    Entry,
    trigger=st.sampled_from(Trigger),
    scheduled_ms=st.integers(0, 1 << 50),
    instance=words,
    run_id=words,
    number=st.integers(0, 0xFFFF),
    slot=st.integers(1, 0xFF),
    begun_ms=st.integers(0, 1 << 50),
    ended_ms=st.integers(0, 1 << 50),
    outcome=st.sampled_from(OUTCOMES),
    reason=words,
    exit_code=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
)


def run(number: int, outcome: str = "ok", run_id: str = "") -> Entry:
    name = run_id or f"run{number}"
    at = NOON_MS + number * MINUTE
    return Entry(Trigger.SCHEDULE, at, "", name, 1, 1, at + 5, at + 9, outcome)


def test_it_fills_what_a_lock_file_has_left() -> None:
    assert (AT, AT + SIZE) == (locks.JOURNAL_AT, locks.FILE_SIZE)
    assert len(pack(Journal())) == SIZE
    assert MOST >= 16  # a quarter of an hour of a job that runs each minute


@given(st.none() | st.integers(0, 1 << 50), st.lists(entries, max_size=MOST))
def test_what_is_packed_comes_back(watermark: int | None, told: list[Entry]) -> None:
    journal = Journal(watermark, "* * * * * Europe/Berlin backup" if watermark is not None else "", tuple(told))
    assert unpack(pack(journal)) == journal


def test_a_key_that_is_too_long_is_left_out() -> None:
    assert unpack(pack(Journal(7, "x" * MARK_SIZE))) == Journal(7, "")


@pytest.mark.parametrize("data", [b"", b"\0" * SIZE, b" " * SIZE, b"\xff" * SIZE])
def test_what_was_never_written_says_nothing(data: bytes) -> None:
    assert unpack(data) == Journal()
    assert unpack(data).is_empty


def test_an_entry_that_was_half_written_is_left_out_and_the_others_stay() -> None:
    data = bytearray(pack(Journal(7, "key", (run(1), run(2)))))
    data[MARK_SIZE + 10] ^= 0xFF
    assert unpack(bytes(data)) == Journal(7, "key", (run(2),))


def test_an_outcome_of_a_newer_version_is_left_out() -> None:
    data = pack(Journal(None, "", (run(1), run(2))))
    first, second = (slice(MARK_SIZE + n * ENTRY.size, MARK_SIZE + (n + 1) * ENTRY.size) for n in (0, 1))
    facts = list(ENTRY.unpack(data[second]))
    facts[7] = len(OUTCOMES)
    body = ENTRY.pack(*facts)[4:]
    newer = data[: first.stop] + crc32(body).to_bytes(4, "little") + body + data[second.stop :]
    assert unpack(newer).entries == (run(1),)


def test_news_of_a_run_takes_the_place_of_what_was_said_before() -> None:
    journal = added(Journal(), [run(1, ""), run(2)])
    assert added(journal, [run(1, "failed")]).entries == (run(1, "failed"), run(2))


def test_fires_without_a_run_are_known_by_their_time() -> None:
    skipped = entry_of(BACKUP)._replace(outcome="skipped", reason="overlap")
    assert skipped.kind is Kind.FIRES
    assert added(Journal(None, "", (skipped,)), [skipped]).entries == (skipped,)
    assert skipped.fire("backup") == BACKUP


def test_too_many_of_one_outcome_become_a_stretch_of_it() -> None:
    merged = added(Journal(), [run(number) for number in range(MOST + 3)]).entries
    assert len(merged) == MOST
    assert merged[0] == Entry(
        Trigger.SCHEDULE, NOON_MS, "", "", 4, 1, NOON_MS + 3 * MINUTE, NOON_MS + 3 * MINUTE + 9, "ok"
    )
    assert merged[1:] == tuple(run(number) for number in range(4, MOST + 3))


def test_too_many_of_different_outcomes_are_counted_and_not_called_ok() -> None:
    told = [run(0), run(1, "failed"), *(run(number) for number in range(2, MOST + 1))]
    first = added(Journal(), told).entries[0]
    assert (first.outcome, first.reason, first.number) == (*LOST, 2)


def test_a_run_that_goes_on_is_not_given_up_for_room() -> None:
    told = [run(0, ""), *(run(number) for number in range(1, MOST + 2))]
    assert run(0, "") in added(Journal(), told).entries


def test_even_when_all_go_on_there_is_room_for_the_newest() -> None:
    told = [run(number, "") for number in range(MOST + 1)]
    assert added(Journal(), told).entries[-1] == run(MOST, "")


@given(st.sampled_from(OUTCOMES), st.none() | st.integers(0, 255), st.none() | st.integers(1, 64))
def test_a_files_time_carries_the_last_fire_and_how_it_ended(
    outcome: str, code: int | None, signal: int | None
) -> None:
    told = run(1, outcome)._replace(exit_code=code, signal=signal)
    heard = unsqueeze(squeeze(told))
    (entry,) = heard.entries
    assert heard.watermark_ms == entry.scheduled_ms == told.scheduled_ms
    assert entry.outcome == (outcome or LOST[0])
    assert (entry.exit_code, entry.signal) == ((None, signal) if signal is not None else (code, None))


@pytest.mark.parametrize("mtime", [0, 1_795_000_000_000_000_000, 1_795_000_000_123_456_789, 999_999])
def test_an_ordinary_time_says_nothing(mtime: int) -> None:
    assert unsqueeze(mtime) == Journal()


@pytest.mark.parametrize(
    ("outcome", "code", "signal", "reason"),
    [
        ("failed", 3, None, "exit"),
        ("failed", None, 9, "signal"),
        ("timeout", None, None, "timeout"),
        ("ok", 0, None, ""),
    ],
)
def test_the_reason_follows_from_the_outcome(outcome: str, code: int | None, signal: int | None, reason: str) -> None:
    told = run(1, outcome)._replace(exit_code=code, signal=signal)
    assert unsqueeze(squeeze(told)).entries[0].reason == reason


def test_the_newest_is_what_was_said_last_of_the_newest_scheduled_fire() -> None:
    claimed = Entry(Trigger.SCHEDULE, NOON_MS + MINUTE, outcome="interrupted")
    person = Entry(Trigger.MANUAL, NOON_MS + 5 * MINUTE, "x", "x")
    again = run(1, "failed", "run9")._replace(number=2)
    assert newest_of([again, run(1), claimed, person, run(0)]) == again
    assert newest_of([person]) is None


def test_an_entry_is_as_large_as_it_is_said_to_be() -> None:
    assert MARK_SIZE + MOST * ENTRY.size <= SIZE < MARK_SIZE + (MOST + 1) * ENTRY.size

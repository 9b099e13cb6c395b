"""Text that is not UTF-8 in the ledger: paths are bytes on Linux, and no byte may keep an end from being recorded."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runjobs.adapters.ledger import Beginning, LedgerError, RunnerId, Skip
from runjobs.adapters.ledger.bytewise import legible, restored, stored
from runjobs.adapters.ledger.reading import open_reader
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.adapters.ledger.traceless import open_traceless
from runjobs.core.fire import Fire, Mark, Trigger
from runjobs.core.once import Once
from runjobs.core.pausing import Pause
from runjobs.core.plan import Decision
from runjobs.core.run import RunEnd, Start

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
BYTE = os.fsdecode(b"caf\xe9")
ONE = RunnerId("runner-1", f"/{BYTE}/locks/runner")
BACKUP = Fire("backup", Trigger.SCHEDULE, NOON)
MARK = Mark(f"@watch /{BYTE}", NOON, None, None, timedelta(0))
PRIVATE = "\U0010ff80\U0010ffff"  # what bytes are kept as, and may stand in a path all the same


def opened(folder: Path) -> SqliteLedger:
    return open_ledger(folder / "ledger.sqlite3", announce=print)


@given(st.binary(max_size=40))
@example(PRIVATE.encode())
@example(b"\xf4\x8f\xbe")
@example(b"\xe9" + PRIVATE.encode() + b"\xff")
def test_any_bytes_that_are_a_path_come_back_as_they_were_and_are_utf_8_in_between(raw: bytes) -> None:
    text = os.fsdecode(raw)
    kept = stored(text)
    assert kept.encode().decode() == kept
    assert restored(kept) == text


def test_text_that_is_utf_8_is_kept_as_it_is() -> None:
    assert stored("café ☕") == "café ☕"


@given(st.text(st.characters(exclude_categories=()), max_size=40))
@example("\ud800")
def test_what_a_person_reads_is_always_text(text: str) -> None:
    assert legible(text).encode().decode() == legible(text)


def test_what_a_person_reads_names_the_byte() -> None:
    assert legible(f"no such folder: {BYTE}") == r"no such folder: caf\xe9"


def test_an_end_is_recorded_whatever_its_detail_says(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    _, log = begun(ledger)
    end = RunEnd("run1", "error", "cwd", f"No such file or directory: /{BYTE} \ud800", ended_at=NOON.timestamp())
    assert ledger.record((), [end]) == ["run1"]
    found = ledger.end_of("run1")
    assert found is not None
    assert found.detail == r"No such file or directory: /caf\xe9 \ud800"
    ledger.close()
    reader = open_reader(tmp_path / "ledger.sqlite3", announce=print)
    entry = reader.run("run1")
    assert entry is not None
    assert (entry.detail, entry.runs[0].log) == (found.detail, log)
    reader.close()


def begun(ledger: SqliteLedger) -> tuple[str, str]:
    """A run under a lock and with a log in a state folder whose name is no UTF-8."""
    [claimed] = ledger.claim(ONE, NOON, None, lambda _: [Decision("backup", MARK, (BACKUP,))]).claimed
    lock, log = f"/{BYTE}/locks/job.backup", f"/{BYTE}/logs/backup/run1.log"
    assert ledger.start(ONE, NOON, Beginning([Start("run1", claimed.fire_id, 1, lock, log)])) == {"run1"}
    return lock, log


def test_paths_and_the_keys_of_schedules_come_back_as_they_were(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    lock, _ = begun(ledger)
    assert ledger.marks() == ledger.marks(["backup"]) == {"backup": MARK}
    [run] = ledger.unended()
    assert (run.lock, run.runner_lock) == (lock, ONE.lock)
    ledger.close()


def test_a_key_that_is_no_utf_8_is_the_same_key_at_the_next_look(tmp_path: Path) -> None:
    """Else its job was new at each pass, and never due."""
    ledger = opened(tmp_path)
    mark = MARK._replace(schedule_key=f"@watch /{PRIVATE}")
    ledger.claim(ONE, NOON, None, lambda _: [Decision("backup", mark)])
    ledger.close()
    again = opened(tmp_path)
    assert again.marks()["backup"].schedule_key == mark.schedule_key
    again.close()


def test_pauses_skips_onces_and_facts_take_any_text(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.pause(Pause("backup", NOON, None, BYTE, BYTE))
    assert ledger.pauses()["backup"].reason == r"caf\xe9"
    [claimed] = ledger.claim(ONE, NOON, None, lambda _: [Decision("backup", MARK, (BACKUP,))]).claimed
    ledger.start(ONE, NOON, Beginning(skips=[Skip(claimed.fire_id, "skipped", "lock", f"held by {BYTE}")]))
    once = Once(NOON, NOON, f"cat {BYTE}", f"/{BYTE}", 0o022, 0)
    assert ledger.plan_once(once) is not None
    assert [planned.once for planned in ledger.onces()] == [once]
    ledger.remember("where", BYTE)
    assert ledger.recall("where") == BYTE
    ledger.close()


@pytest.mark.parametrize("name", [BYTE, "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "100%?#"])
def test_a_state_folder_of_any_name_is_opened_in_each_way(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    opened(folder).close()
    open_reader(folder / "ledger.sqlite3", announce=print).close()
    reader = open_traceless(folder / "ledger.sqlite3")
    assert reader.marks() == {}
    reader.close()


def test_text_that_no_bytes_stand_for_is_a_ledger_error_and_nothing_is_recorded(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    with pytest.raises(LedgerError, match=r"can't be used: .*surrogates not allowed"):
        ledger.remember("where", "\ud800")
    assert ledger.recall("where") is None
    ledger.close()

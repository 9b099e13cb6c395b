"""`runjobs stop`, `pause`, `resume` and `locks`: what they take, what they refuse, and what they say."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters import locks
from runjobs.adapters.ledger import Beginning, RunnerId, Wait
from runjobs.adapters.ledger.sqlite import SqliteLedger, open_ledger
from runjobs.cli.person import detail, one_line, who
from runjobs.core.fire import Fire, Trigger, WaitFor
from runjobs.core.pausing import Pause, detail_of
from tests.support.calling import Answer, call

if TYPE_CHECKING:
    from pathlib import Path

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
JOBS = """\
#: name=backup pool=cpu:3
15 3 * * *   backup
#: name=report lock=database
30 3 * * *   report
"""
ONE = RunnerId("runner-1", "/locks/runner")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "jobs").write_text(JOBS)
    return tmp_path


def ask(place: Path, verb: str, *words: str) -> Answer:
    return call(verb, "--jobs", str(place / "jobs"), "--state", str(place / "state"), "--trust-jobs", *words)


def ledger_in(place: Path) -> SqliteLedger:
    return open_ledger(place / "state" / "ledger.sqlite3", announce=print)


def paused_in(place: Path) -> dict[str, Pause]:
    ledger = ledger_in(place)
    found = ledger.pauses()
    ledger.close()
    return found


def test_a_pause_is_recorded_with_its_reason_and_its_end(place: Path) -> None:
    answer = ask(place, "pause", "backup", "--for", "2h", "--reason", " the  disk\nis full ")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("backup is paused until ")
    assert answer.out.endswith("; its fires are recorded as skipped (paused)\n")
    pause = paused_in(place)["backup"]
    assert pause.reason == "the disk is full"
    assert pause.until is not None
    assert pause.until - pause.since == timedelta(hours=2)
    assert pause.holds(pause.since)
    assert not pause.holds(pause.until)


def test_a_pause_without_an_end_lasts_until_it_is_resumed(place: Path) -> None:
    assert "paused until it is resumed" in ask(place, "pause", "backup").out
    assert paused_in(place)["backup"].until is None
    assert "backup fires again" in ask(place, "resume", "backup").out
    assert paused_in(place) == {}
    assert ask(place, "resume", "backup").out == "backup was not paused\n"


def test_a_second_pause_takes_the_place_of_the_first(place: Path) -> None:
    ask(place, "pause", "backup", "--for", "2h", "--reason", "first")
    ask(place, "pause", "backup", "--reason", "second")
    assert (paused_in(place)["backup"].reason, paused_in(place)["backup"].until) == ("second", None)


def test_all_are_paused_and_all_that_are_paused_are_resumed(place: Path) -> None:
    assert len(ask(place, "pause", "--all").out.splitlines()) == 2
    assert [each["job"] for each in ask(place, "resume", "--all", "--json").json["resumed"]] == ["backup", "report"]
    assert ask(place, "resume", "--all").out == "no job is paused\n"


def test_a_job_that_is_gone_from_the_files_can_be_resumed(place: Path) -> None:
    ask(place, "pause", "backup")
    (place / "jobs").write_text("")
    assert "fires again" in ask(place, "resume", "backup").out


def test_a_pause_that_has_run_out_is_none_to_resume(place: Path) -> None:
    ask(place, "pause", "backup")
    ledger = ledger_in(place)
    ledger.pause(Pause("backup", NOON, NOON + timedelta(hours=1), "", "root"))
    ledger.close()
    assert ask(place, "resume", "backup").out == "backup was not paused\n"
    assert paused_in(place) == {}


def test_who_has_resumed_a_job_and_why_is_kept(place: Path) -> None:
    ask(place, "pause", "backup", "--reason", "the disk is full")
    ask(place, "resume", "backup", "--reason", "there is room again")
    ledger = ledger_in(place)
    kept = ledger.recall("resumed:backup") or ""
    ledger.close()
    assert "there is room again" in kept
    assert "the disk is full" in kept


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no job is named"),
        (["backup", "--all"], "--all means every job"),
        (["backup", "bakcup"], "no job is named bakcup\n  try: backup"),
        (["at/b"], "at/b is to run once: it can't be paused\n  try: runjobs at --remove at/b"),
        (["backup", "--for", "2x"], '"2x" is not a duration'),
        (["backup", "--for", "0s"], "no time to pause"),
        (["backup", "--for", "99999999d"], "beyond any calendar"),
        (["backup", "--until", "2001-01-01T00:00"], "no time to pause"),
        (["backup", "--until", "tomorow"], "--until"),
        (["backup", "--until", "tomorrow", "--for", "2h"], "leave out one of them"),
    ],
)
def test_what_can_be_no_pause_is_a_mistake_and_pauses_nobody(place: Path, words: list[str], said: str) -> None:
    answer = ask(place, "pause", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert not (place / "state").exists()


def test_the_detail_of_a_skip_says_who_has_paused_the_job_since_when_and_why() -> None:
    pause = Pause("backup", NOON, None, "the disk is full", "ada")
    assert detail_of(pause) == "paused by ada since 2026-03-10 12:00:00+00:00: the disk is full"
    bounded = pause._replace(until=NOON + timedelta(hours=1), reason="")
    assert detail_of(bounded) == "paused by ada since 2026-03-10 12:00:00+00:00 until 2026-03-10 13:00:00+00:00"


@pytest.mark.parametrize(
    ("environ", "uid", "name"),
    [
        ({"SUDO_USER": "ada", "LOGNAME": "root"}, 0, "ada"),
        ({"SUDO_USER": "ada", "LOGNAME": "bob"}, 1000, "bob"),
        ({}, 0, "root"),
        ({}, 2_000_000_000, "uid 2000000000"),
        ({"LOGNAME": "a\nb"}, 0, "a b"),
    ],
)
def test_the_person_is_whoever_is_behind_the_user(environ: dict[str, str], uid: int, name: str) -> None:
    assert who(environ, uid) == name


def test_a_record_has_one_line() -> None:
    assert one_line(" a\n\tb ") == "a b"
    assert detail("stopped", " ").startswith("stopped by ")
    assert detail("stopped", "it\nhangs").endswith(": it hangs")


def test_nothing_to_stop_is_said_and_makes_no_folder(place: Path) -> None:
    assert ask(place, "stop", "backup")[:2] == (0, "backup: nothing to stop\n")
    assert not (place / "state").exists()


def test_a_word_that_is_neither_job_nor_run_names_the_nearest_job(place: Path) -> None:
    answer = ask(place, "stop", "bakcup")
    assert (answer.code, answer.out) == (2, "")
    assert "try: runjobs stop backup" in answer.err


def test_a_fire_that_waits_is_stopped_though_its_job_is_gone(place: Path) -> None:
    ask(place, "pause", "backup")  # which makes the folder
    ledger = ledger_in(place)
    claimed = ledger.claim_one(ONE, NOON, Fire("old", Trigger.SCHEDULE, NOON))
    assert claimed is not None
    ledger.start(ONE, NOON, Beginning(waits=[Wait(claimed.fire_id, WaitFor.POOL, NOON)]))
    ledger.close()
    answer = ask(place, "stop", "old", "--reason", "not today", "--json")
    assert answer.code == 0
    assert [each["wait"] for each in answer.json["cancelled"]] == ["pool"]
    ledger = ledger_in(place)
    newest = ledger.newest("old", NOON)
    ledger.close()
    assert newest is not None
    assert (newest.outcome, newest.reason) == ("stopped", "person")


def hold(place: Path, name: str, **record: object) -> locks.Lock:
    folder = place / "state" / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = locks.take(folder / name)
    assert lock is not None
    locks.write(lock.fd, {"pid": os.getpid(), "since": "2026-11-20T03:15:00+00:00", **record})
    return lock


def test_each_lock_is_shown_with_who_holds_it_and_a_pool_with_its_places(place: Path) -> None:
    run = {"run": "3574rvws8az", "job": "backup"}
    held = [
        hold(place, "job.backup", **run),
        hold(place, "pool.cpu", **run),
        hold(place, "runner", runner="foreground-1-357"),
        hold(place, "lock.a,b", **run),
    ]
    free = hold(place, "pool.cpu+2", run="old", job="old")
    for lock in (free, hold(place, "job.report", run="old", job="report")):
        os.close(lock.fd)
    lines = [line.split() for line in ask(place, "locks").out.splitlines()[1:]]
    assert [line[:4] for line in lines] == [
        ["runner", "foreground", str(os.getpid()), "2026-11-20"],
        ["job", "backup", "run", "3574rvws8az"],
        ["job", "report", "free"],
        ["lock", "a/b", "backup,", "run"],
        ["pool", "cpu", "1", "of"],
        ["pool", "cpu", "(1)", "backup,"],
    ]
    told = ask(place, "locks", "--json").json
    assert told["pools"] == [{"name": "cpu", "taken": 1, "size": 3}]
    assert [each["is_held"] for each in told["locks"] if each["kind"] == "pool"] == [True, False]
    for lock in held:
        os.close(lock.fd)


def test_a_lock_that_was_taken_just_now_is_not_laid_to_who_had_it_before(place: Path) -> None:
    lock = hold(place, "job.backup", run="old", job="backup", pid=1)
    (line,) = ask(place, "locks", "backup").out.splitlines()[1:]
    assert line.split() == ["job", "backup", "taken", "just", "now"]
    os.close(lock.fd)


def test_a_lock_that_nobody_ever_took_is_free_and_one_of_an_unknown_name_a_mistake(place: Path) -> None:
    assert ask(place, "locks", "database").out.splitlines()[1].split() == ["lock", "database", "free"]
    answer = ask(place, "locks", "databsae")
    assert (answer.code, answer.out) == (2, "")
    assert "try: runjobs locks database" in answer.err


def test_where_nothing_has_run_there_is_no_lock(place: Path) -> None:
    answer = ask(place, "locks")
    assert (answer.code, answer.out) == (0, "")
    assert "nothing has run yet" in answer.err


@pytest.mark.parametrize(
    "record", [{"since": "yesterday"}, {"since": 3}, {"since": "2026-11-20T03:15:00"}, {"run": 7, "job": []}]
)
def test_a_record_that_makes_no_sense_is_shown_as_far_as_it_does(place: Path, record: dict[str, object]) -> None:
    lock = hold(place, "job.backup", **record)
    assert ask(place, "locks", "backup").out.splitlines()[1].split()[:2] == ["job", "backup"]
    os.close(lock.fd)

"""What keeps a ledger going when it can't be written: ballast, journals in lock files, a stand-in, catching up."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters import ballast, lockjournal
from runjobs.adapters.ledger import Beginning, Claimed, LedgerError, RunnerId, Skip
from runjobs.adapters.ledger.catching_up import CatchingUp, Copy, Past
from runjobs.adapters.ledger.opening import connect
from runjobs.adapters.ledger.schema import VERSION
from runjobs.adapters.statefolder import ALLOW_NETWORK, StateFolder, prepare
from runjobs.core.fire import Fire, Mark, Stretch, Trigger
from runjobs.core.journal import Entry, Journal
from runjobs.core.plan import Decision
from runjobs.core.run import RunEnd, Start
from runjobs.runner import past
from runjobs.runner.alarm import REMIND, SECOND, SIGN, Alarm
from runjobs.runner.hardship import AGAIN, Enduring, Hands
from runjobs.runner.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runjobs.adapters.ledger import Ledger

    Opened = Callable[[], Enduring]
    Standing = Callable[[], StandIn]

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
KEY = "0 12 * * * UTC"
ONE = RunnerId("runner-1", "/locks/runner")
TWO = RunnerId("runner-2", "/locks/runner+2")
BACKUP = Fire("backup", Trigger.SCHEDULE, NOON)


class Clock:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return prepare(tmp_path / "state", {ALLOW_NETWORK: "1"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def opened(state: StateFolder, told: list[str], clock: Clock) -> Iterator[Callable[[], Enduring]]:
    """Opens the ledger of one more runner on the same folder."""
    with contextlib.ExitStack() as stack:

        def one_more() -> Enduring:
            ledger = Enduring(Hands(state, Alarm(state.standin, told.append, is_brief=False), clock))
            stack.callback(ledger.close)
            return ledger

        yield one_more


def stand_in(ledger: Enduring) -> None:
    """Have it stand in, as after an error of its file."""
    error = sqlite3.OperationalError("disk I/O error")
    trouble = LedgerError("the ledger can't be used: disk I/O error")
    trouble.__cause__ = error
    ledger._stand_in(trouble)


@pytest.fixture
def standing_in(state: StateFolder) -> Iterator[Callable[[], StandIn]]:
    """Has one more runner stand in on the same folder; the real ledger is empty."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(StandIn(state, lockjournal.Alone(state.standin), Copy())))


def due(fire: Fire = BACKUP, *, key: str = KEY) -> Callable[[Any], list[Decision]]:
    """Decide as a pass does: a fire past its job's mark is due."""

    def decide(marks: Any) -> list[Decision]:  # noqa: ANN401
        mark = marks.get(fire.job)
        if mark is not None and mark.watermark >= fire.scheduled_at:
            return []
        new = Mark(key, fire.scheduled_at, fire.scheduled_at + HOUR, fire.scheduled_at + HOUR)
        return [Decision(fire.job, new, (fire,))]

    return decide


def claim(ledger: Ledger, runner: RunnerId = ONE, fire: Fire = BACKUP) -> list[Claimed]:
    return ledger.claim(runner, NOON, None, due(fire)).claimed


def start(ledger: Ledger, state: StateFolder, run_id: str, runner: RunnerId = ONE, fire: Fire = BACKUP) -> None:
    (claimed,) = claim(ledger, runner, fire)
    lock = str(past.lock_path(state, fire.job))
    assert ledger.start(runner, NOON, Beginning([Start(run_id, claimed.fire_id, 1, lock, "/log")])) == {run_id}


@contextlib.contextmanager
def catching_up(state: StateFolder) -> Iterator[CatchingUp]:
    with contextlib.closing(CatchingUp(connect(state.ledger, announce=print), state.ledger)) as ledger:
        yield ledger


def record_run1(state: StateFolder, **more: object) -> None:
    """Leave a lock file as run1 of the noon fire does."""
    at = NOON.isoformat()
    record = {"run": "run1", "job": "backup", "trigger": "schedule", "scheduled_at": at, "since": at} | more
    past.lock_path(state, "backup").write_text(json.dumps(record).ljust(4096))


def rows(state: StateFolder, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(state.ledger)) as reading:
        return reading.execute(query).fetchall()


def fires(state: StateFolder) -> list[tuple[Any, ...]]:
    return rows(state, "SELECT job, state, outcome, reason FROM fires ORDER BY scheduled_at, id")


def test_the_ballast_is_made_where_there_is_room_and_given_up_once(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    assert ballast.make(path)
    assert path.stat().st_blocks * 512 >= ballast.SIZE
    assert ballast.make(path)
    assert ballast.give_up(path)
    assert not ballast.give_up(path)
    assert not ballast.is_there(path)


def test_a_folder_that_is_gone_has_no_room(tmp_path: Path) -> None:
    assert ballast.free(tmp_path / "nowhere") == 0
    assert not ballast.make(tmp_path / "nowhere" / "ballast")


def test_a_journal_is_written_beside_the_record_of_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "job.backup"
    path.write_bytes(b"{}".ljust(4096))
    entry = Entry(Trigger.SCHEDULE, 1000, run_id="r1", outcome="ok")
    lockjournal.add(path, [entry], 1000, KEY)
    assert lockjournal.read(path) == Journal(1000, KEY, (entry,))
    assert path.read_bytes()[:2] == b"{}"
    lockjournal.clear(path)
    assert lockjournal.read(path).is_empty
    assert path.stat().st_size == 4096


@pytest.mark.parametrize("name", ["nowhere", "folder"])
def test_what_is_no_lock_file_has_an_empty_journal(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert lockjournal.read(tmp_path / name) == Journal()


def test_writers_keep_each_other_away(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "standin.lock"
    alone = lockjournal.Alone(path)
    with alone, alone, path.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_stands_in_after_another_starts_no_fire_twice(standing_in: Standing) -> None:
    assert len(claim(standing_in())) == 1
    assert claim(standing_in(), TWO) == []


def test_who_stands_in_at_the_same_time_starts_no_fire_twice(standing_in: Standing) -> None:
    one, two = standing_in(), standing_in()
    assert [len(claim(ledger)) for ledger in (one, two)] == [1, 0]
    later = BACKUP._replace(scheduled_at=NOON + HOUR)
    assert [len(claim(ledger, fire=later)) for ledger in (two, one)] == [1, 0]


def test_what_the_stand_in_has_recorded_is_in_the_journal(state: StateFolder, standing_in: Standing) -> None:
    ledger = standing_in()
    start(ledger, state, "run1")
    (entry,) = lockjournal.read(past.lock_path(state, "backup")).entries
    assert (entry.run_id, entry.outcome) == ("run1", "")
    ledger.record((), [RunEnd("run1", "failed", "exit", "exit code 3", 3, ended_at=NOON.timestamp())])
    journal = lockjournal.read(past.lock_path(state, "backup"))
    assert journal.key == KEY
    assert [(each.run_id, each.outcome, each.exit_code) for each in journal.entries] == [("run1", "failed", 3)]


def test_skips_and_misses_are_in_the_journal_too(state: StateFolder, standing_in: Standing) -> None:
    ledger = standing_in()
    (claimed,) = claim(ledger)
    ledger.start(ONE, NOON, Beginning((), [Skip(claimed.fire_id, "skipped", "overlap")]))
    stretch = Stretch("backup", Trigger.SCHEDULE, NOON + HOUR, NOON + 3 * HOUR, 3, "missed", "down")
    ledger.claim(ONE, NOON, None, lambda _: [Decision("backup", Mark(KEY, NOON + 3 * HOUR), (), (stretch,))])
    entries = lockjournal.read(past.lock_path(state, "backup")).entries
    assert [(each.outcome, each.reason, each.number) for each in entries] == [
        ("skipped", "overlap", 1),
        ("missed", "down", 3),
    ]


def test_a_lock_file_without_room_carries_the_last_fire_in_its_time(state: StateFolder) -> None:
    path = past.lock_path(state, "backup")
    path.touch()
    fd = os.open(path, os.O_RDONLY)  # a descriptor that can't be written, as on a disk without room
    entry = Entry(Trigger.SCHEDULE, 1_795_000_000_000, run_id="r1", outcome="ok", exit_code=0)
    lockjournal._write(fd, Journal(1_795_000_000_000, KEY, (entry,)))
    os.close(fd)
    heard = lockjournal.read(path)
    assert heard.watermark_ms == 1_795_000_000_000
    assert [each.outcome for each in heard.entries] == ["ok"]


def test_a_lock_file_that_was_only_made_says_nothing(tmp_path: Path) -> None:
    for number in range(500):  # each at another nanosecond
        path = tmp_path / f"job.{number}"
        path.touch()
        assert lockjournal.read(path).is_empty


def test_a_good_pass_leaves_the_ballast_and_nothing_to_tell(
    state: StateFolder, opened: Opened, told: list[str]
) -> None:
    ledger = opened()
    start(ledger, state, "run1")
    ledger.record((), [RunEnd("run1", "ok")])
    ledger.close()
    assert ballast.is_there(state.ballast)
    assert told == []


def test_in_hardship_it_goes_on_and_says_so_once(state: StateFolder, opened: Opened, told: list[str]) -> None:
    ledger = opened()
    stand_in(ledger)
    start(ledger, state, "run1")
    ledger.record((), [RunEnd("run1", "ok", ended_at=NOON.timestamp())])
    assert ledger.stands_in
    assert not ballast.is_there(state.ballast)
    assert fires(state) == []
    assert len(told) == 1
    assert "jobs run all the same" in told[0]


def test_when_it_can_be_written_again_all_is_in_it(
    state: StateFolder, opened: Opened, told: list[str], clock: Clock
) -> None:
    ledger = opened()
    stand_in(ledger)
    start(ledger, state, "run1")
    ledger.record((), [RunEnd("run1", "failed", "exit", "exit code 3", 3, ended_at=NOON.timestamp())])
    clock.now = AGAIN
    ledger.marks()
    assert not ledger.stands_in
    assert fires(state) == [("backup", "ended", "failed", "exit")]
    assert rows(state, "SELECT id, state, exit_code FROM runs") == [("run1", "ended", 3)]
    assert "can be written again" in told[-1]
    assert claim(ledger) == []


def test_a_run_that_goes_on_meanwhile_gets_its_end_in_the_real_ledger(
    state: StateFolder, opened: Opened, clock: Clock
) -> None:
    ledger = opened()
    start(ledger, state, "before")
    stand_in(ledger)
    start(ledger, state, "during", fire=BACKUP._replace(scheduled_at=NOON + HOUR))
    ledger.record((), [RunEnd("before", "ok", ended_at=NOON.timestamp())])
    clock.now = AGAIN
    ledger.record((), [RunEnd("during", "failed", "exit", "", 3, ended_at=NOON.timestamp())])
    assert fires(state) == [("backup", "ended", "ok", ""), ("backup", "ended", "failed", "exit")]


def test_another_pass_brings_in_what_a_killed_one_could_not(
    state: StateFolder, opened: Opened, told: list[str], standing_in: Standing
) -> None:
    opened().close()
    killed = standing_in()
    start(killed, state, "run1")
    killed.record((), [RunEnd("run1", "ok", ended_at=NOON.timestamp())])
    later = opened()
    assert fires(state) == [("backup", "ended", "ok", "")]
    assert claim(later, TWO) == []
    assert lockjournal.read(past.lock_path(state, "backup")).is_empty
    assert told == ["1 runs and fires that were not in the ledger are in it now"]


def test_a_run_whose_end_nobody_wrote_is_brought_in_as_one_without_an_end(
    state: StateFolder, opened: Opened, standing_in: Standing
) -> None:
    opened().close()
    start(standing_in(), state, "run1")
    (unended,) = opened().unended()
    assert (unended.run_id, unended.lock) == ("run1", str(past.lock_path(state, "backup")))


def test_what_is_brought_in_twice_is_there_once(state: StateFolder, opened: Opened) -> None:
    opened()
    entry = Entry(Trigger.SCHEDULE, 60_000, run_id="run1", begun_ms=60_001, ended_ms=60_002, outcome="ok")
    told = [Past("backup", "/locks/job.backup", "/logs/backup", Journal(60_000, KEY, (entry,)))]
    with catching_up(state) as ledger:
        assert [ledger.catch_up(told), ledger.catch_up(told)] == [1, 0]
        assert ledger.knows(told)
    assert fires(state) == [("backup", "ended", "ok", "")]


def test_a_run_counts_for_more_than_a_miss_that_another_runner_wrote(state: StateFolder, opened: Opened) -> None:
    ledger = opened()
    stretch = Stretch("backup", Trigger.SCHEDULE, NOON, NOON, 1, "missed", "down")
    ledger.claim(ONE, NOON, None, lambda _: [Decision("backup", Mark(KEY, NOON), (), (stretch,))])
    entry = Entry(
        Trigger.SCHEDULE, int(NOON.timestamp() * 1000), run_id="run1", outcome="failed", reason="exit", exit_code=3
    )
    with catching_up(state) as other:
        other.catch_up([Past("backup", "/locks/job.backup", "/logs/backup", Journal(None, "", (entry,)))])
    assert fires(state) == [("backup", "ended", "failed", "exit")]


def test_who_can_write_and_who_stands_in_start_no_fire_twice(state: StateFolder, opened: Opened, clock: Clock) -> None:
    standing, writing = opened(), opened()
    stand_in(standing)
    assert [len(claim(ledger)) for ledger in (standing, writing)] == [1, 0]
    later = BACKUP._replace(scheduled_at=NOON + HOUR)
    assert [len(claim(ledger, fire=later)) for ledger in (writing, standing)] == [1, 0]
    assert clock.now < AGAIN
    assert not standing.stands_in  # the other's ballast has told it that the ledger can be written


def test_an_end_that_is_told_after_others_can_write_again_is_heard_by_them(state: StateFolder, opened: Opened) -> None:
    standing = opened()
    stand_in(standing)
    start(standing, state, "run1")
    writing = opened()
    writing.close()
    assert ballast.is_there(state.ballast)
    standing.record((), [RunEnd("run1", "failed", "exit", "", 3, ended_at=NOON.timestamp())])
    assert opened().unended() == []  # nobody takes it for a run whose guard has died
    assert fires(state) == [("backup", "ended", "failed", "exit")]


def test_a_claim_is_made_once_more_when_somebody_begins_to_stand_in_meanwhile(
    state: StateFolder, opened: Opened
) -> None:
    ledger = opened()
    claim(ledger)
    assert ballast.is_there(state.ballast)
    seen: list[int] = []

    def begin(claims: Any) -> Beginning:  # noqa: ANN401
        seen.append(len(claims))
        ballast.give_up(state.ballast)
        return Beginning()

    fire = BACKUP._replace(scheduled_at=NOON + HOUR)
    assert len(ledger.claim(ONE, NOON, None, due(fire), begin).claimed) == 1
    assert seen == [1, 1]


def test_a_ledger_that_was_replaced_is_noticed_and_its_running_jobs_are_in_the_new_one(
    state: StateFolder, opened: Opened
) -> None:
    ledger = opened()
    start(ledger, state, "run1")
    state.ledger.rename(state.root / "elsewhere")
    record_run1(state, end={"outcome": "ok"})
    assert ledger.record((), [RunEnd("run1", "ok")]) == []  # its lock file has told already
    assert fires(state) == [("backup", "ended", "ok", "")]


def broken(state: StateFolder, how: str) -> None:
    data = state.ledger.read_bytes()
    match how:
        case "header":
            state.ledger.write_bytes(b"nonsense" * 2 + data[16:])
        case "pages":
            state.ledger.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
        case "cut":
            state.ledger.write_bytes(data[: 4096 * 2 + 100])
        case "schema":
            state.ledger.write_bytes(data[:100] + b"\xa5" * 3996 + data[4096:])


@pytest.mark.parametrize("how", ["header", "pages", "cut", "schema"])
def test_a_broken_ledger_is_set_aside_and_nothing_fires_twice(
    state: StateFolder, opened: Opened, told: list[str], how: str
) -> None:
    first = opened()
    start(first, state, "run1")
    first.record((), [RunEnd("run1", "ok")])
    first.close()
    broken(state, how)
    damaged = state.ledger.read_bytes()
    record_run1(state)
    later = opened()
    assert claim(later, TWO) == []
    assert [path.read_bytes() for path in state.root.glob("*.broken-*[0-9]")] == [damaged]
    assert "is set aside as" in told[0]
    assert len(claim(later, TWO, BACKUP._replace(scheduled_at=NOON + HOUR))) == 1


def test_damage_that_shows_only_while_running_is_no_end_either(state: StateFolder, opened: Opened) -> None:
    first = opened()
    start(first, state, "run1")
    first.record((), [RunEnd("run1", "ok")])
    first.close()
    ((page,),) = rows(state, "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_fires_1'")
    record_run1(state)
    later = opened()
    with state.ledger.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    assert len(claim(later, TWO, BACKUP._replace(scheduled_at=NOON + HOUR))) == 1
    assert claim(later, TWO) == []
    assert not later.stands_in
    assert len(list(state.root.glob("*.broken-*[0-9]"))) == 1


def test_without_room_the_ballast_is_given_up_before_anything_else(
    state: StateFolder, opened: Opened, told: list[str]
) -> None:
    ledger = opened()
    claim(ledger)
    ledger._connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the pages that are there, and no more
    names = [f"job{number}" * 20 for number in range(200)]
    mark = Mark(KEY, NOON)
    found = ledger.claim(
        ONE, NOON, None, lambda _: [Decision(name, mark, (BACKUP._replace(job=name),)) for name in names]
    )
    assert len(found.claimed) == len(names)
    assert ledger.stands_in
    assert ["room that was held back" in text or "jobs run all the same" in text for text in told] == [True, True]


def test_a_command_that_only_asks_is_answered_while_it_stands_in(state: StateFolder, opened: Opened) -> None:
    ledger = opened()
    start(ledger, state, "run1")
    stand_in(ledger)
    assert list(ledger.marks()) == ["backup"]
    assert [run.run_id for run in ledger.unended()] == ["run1"]
    assert ledger.is_unsettled()


def test_what_a_dead_runner_left_is_not_taken_over_while_nobody_can_write_who_has_it(
    state: StateFolder, opened: Opened
) -> None:
    ledger = opened()
    claim(ledger)
    stand_in(ledger)
    (orphan,) = ledger.orphans()
    assert not ledger.reclaim(orphan, TWO, NOON)
    assert ledger.reclaim(orphan, ONE, NOON)


def test_of_two_who_find_it_broken_one_sets_it_aside(state: StateFolder, opened: Opened, told: list[str]) -> None:
    opened().close()
    broken(state, "pages")
    one, two = opened(), opened()
    assert claim(one) != []
    assert claim(two, TWO) == []
    assert len(list(state.root.glob("*.broken-*[0-9]"))) == 1
    assert len([text for text in told if "set aside" in text]) == 1


def test_an_empty_file_in_its_place_is_a_new_ledger_that_fires_nothing_twice(
    state: StateFolder, opened: Opened
) -> None:
    opened().close()
    state.ledger.write_bytes(b"")
    record_run1(state)
    assert claim(opened()) == []
    assert fires(state) == [("backup", "ended", "interrupted", "lost")]


def test_a_newer_versions_ledger_is_refused_all_the_same(state: StateFolder, opened: Opened) -> None:
    with contextlib.closing(sqlite3.connect(state.ledger)) as newer:
        newer.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LedgerError, match="newer runjobs"):
        opened()


def test_an_error_of_the_caller_is_not_taken_for_hardship(opened: Opened) -> None:
    ledger = opened()

    def fail(_: object) -> list[Decision]:
        raise RuntimeError("a mistake")

    with pytest.raises(RuntimeError):
        ledger.claim(ONE, NOON, None, fail)
    assert not ledger.stands_in


def test_a_pass_tells_of_trouble_once_a_day_whichever_pass_it_is(tmp_path: Path) -> None:
    told: list[str] = []
    file = tmp_path / "standin.lock"
    for _ in range(3):
        Alarm(file, told.append, is_brief=True).raise_("full")
    assert told == ["full"]
    yesterday = (int(file.stat().st_mtime) - REMIND) * SECOND + SIGN
    os.utime(file, ns=(yesterday, yesterday))
    Alarm(file, told.append, is_brief=True).raise_("full")
    assert told == ["full", "full"]


def test_a_person_and_a_foreground_are_told_whatever_passes_were_told(tmp_path: Path) -> None:
    told: list[str] = []
    Alarm(tmp_path / "file", told.append, is_brief=True).raise_("full")
    person = Alarm(tmp_path / "file", told.append, is_brief=False)
    person.raise_("full")
    person.raise_("full")
    assert told == ["full", "full"]


def test_that_all_is_well_is_told_to_those_who_were_told_otherwise(tmp_path: Path) -> None:
    told: list[str] = []
    Alarm(tmp_path / "file", told.append, is_brief=True).lower("well")
    Alarm(tmp_path / "file", told.append, is_brief=True).raise_("full")
    Alarm(tmp_path / "file", told.append, is_brief=True).lower("well")
    Alarm(tmp_path / "file", told.append, is_brief=True).lower("well")
    assert told == ["full", "well"]

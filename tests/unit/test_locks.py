"""Lock files: taken without waiting, told by their record, and never fooled by what stands in their place."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters import locks
from runjobs.adapters.locks import holders
from runjobs.adapters.locks.holders import holds
from runjobs.core.run import RunEnd
from runjobs.runner.recovery import examine, note
from tests.support.runs import UNENDED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.adapters.locks import Lock

# another process takes the lock with filelock, says so, and holds it until its input ends
HOLDER = """
import os, sys
from filelock import lock_descriptor
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
if not lock_descriptor(fd, blocking=False):
    sys.exit("busy")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "job.backup"


@pytest.fixture
def held(path: Path) -> Iterator[Lock]:
    lock = locks.take(path)
    assert lock is not None
    yield lock
    os.close(lock.fd)


def test_a_lock_that_is_held_is_refused_and_free_again_once_it_is_closed(path: Path) -> None:
    first = locks.take(path)
    assert first is not None
    assert locks.take(path) is None
    os.close(first.fd)
    again = locks.take(path)
    assert again is not None
    os.close(again.fd)


def test_it_is_private_to_its_owner_and_stays_when_it_is_released(path: Path) -> None:
    lock = locks.take(path)
    assert lock is not None
    os.close(lock.fd)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_program_that_is_started_does_not_get_it(held: Lock) -> None:
    assert not os.get_inheritable(held.fd)


def test_whoever_has_a_copy_of_the_descriptor_holds_it(path: Path, held: Lock) -> None:
    copy = os.dup(held.fd)
    spare = os.open(os.devnull, os.O_RDONLY)
    os.dup2(spare, held.fd)
    assert locks.take(path) is None
    os.close(copy)
    os.close(spare)
    lock = locks.take(path)
    assert lock is not None
    os.close(lock.fd)


def test_the_record_comes_back_as_it_was_written_and_a_shorter_one_leaves_nothing_of_the_longer(
    path: Path, held: Lock
) -> None:
    locks.write(held.fd, {"run": "0000000001", "job": "näme", "detail": "x" * 500})
    locks.write(held.fd, {"run": "2", "pid": 7})
    assert locks.read(path) == {"run": "2", "pid": 7}


def test_the_pid_that_is_written_last_is_the_holder(path: Path, held: Lock) -> None:
    locks.write(held.fd, {"run": "1", "pid": 7})
    locks.write_pid(held.fd, 1234567)
    assert locks.read(path) == {"run": "1", "pid": 1234567}
    locks.write_pid(held.fd, 8)
    assert locks.read(path)["pid"] == 8


def test_a_new_record_does_not_show_the_pid_of_who_held_the_lock_before(path: Path, held: Lock) -> None:
    locks.write(held.fd, {"run": "1", "pid": 7})
    locks.write_pid(held.fd, 1234567)
    locks.write(held.fd, {"run": "2", "pid": 9})
    assert locks.read(path) == {"run": "2", "pid": 9}


def test_the_record_is_overwritten_in_place(path: Path, held: Lock) -> None:
    before = path.stat()
    locks.write(held.fd, {"run": "1"})
    locks.write(held.fd, {"run": "2", "detail": "y" * 900})
    after = path.stat()
    assert (before.st_size, before.st_ino) == (after.st_size, after.st_ino)
    assert before.st_size >= locks.RECORD_SIZE


def test_a_record_too_long_for_its_room_is_an_error_and_the_old_one_stays(path: Path, held: Lock) -> None:
    locks.write(held.fd, {"run": "1"})
    with pytest.raises(ValueError, match="bytes"):
        locks.write(held.fd, {"run": "2", "detail": "x" * locks.RECORD_SIZE})
    assert locks.read(path) == {"run": "1"}


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\u6f22", "\x1b", "\udc80", '"'])
def test_the_end_of_a_run_fits_with_the_longest_name_and_any_detail(path: Path, held: Lock, letter: str) -> None:
    record: dict[str, object] = {"run": "0" * 11, "job": "n" * 200, "trigger": "schedule"}
    times = dict.fromkeys(("scheduled_at", "since"), "2026-11-20T21:47:21.123456+00:00")
    end = RunEnd("0" * 11, "interrupted", "guard-died", letter * 500, 255, None)
    end = RunEnd(*end[:6], *(2**53,) * 11)  # all that is counted or measured
    note([held], record | times, end)
    assert locks.read(path)["end"]["detail"] == letter * 80 or letter == "\udc80"
    assert locks.read(path)["end"]["outcome"] == "interrupted"


def test_an_end_that_the_guard_noted_is_the_end_that_recovery_finds(path: Path, held: Lock) -> None:
    end = RunEnd("run-1", "failed", "exit", "exit code 3", 3, None, 1.5, 2.5, 0.25, 0.125, 4096, output_bytes=12)
    note([held], {"run": "run-1", "job": "backup"}, end._replace(leftovers=((7, "sleep"),)))
    assert examine(UNENDED._replace(run_id="run-1", lock=str(path)), path.parent, None) == end


def test_facts_that_a_later_version_notes_do_not_keep_an_end_from_being_found(path: Path, held: Lock) -> None:
    locks.write(held.fd, {"run": "run-1", "end": {"outcome": "ok", "weather": "fine"}})
    assert examine(UNENDED._replace(run_id="run-1", lock=str(path)), path.parent, None) == RunEnd("run-1", "ok")


@pytest.mark.parametrize("data", [b"", b"\0" * 1024, b"not json", b"[1]", b'"x"', b"\xff\xfe", b'{"run":', b"3"])
def test_anything_that_is_no_record_reads_as_an_empty_one(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    assert locks.read(path) == {}


def test_a_lock_file_that_is_not_there_reads_as_an_empty_record_and_is_not_made(path: Path) -> None:
    assert locks.read(path) == {}
    assert not path.exists()


def test_a_fifo_is_refused_and_hangs_nobody(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(locks.LockError, match="not a regular file"):
        locks.take(path)
    assert locks.read(path) == {}


def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OSError, match="is a folder"):
        locks.take(path)


def test_a_symlink_is_refused_and_what_it_names_is_not_made(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="is a symlink"):
        locks.take(path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_on_a_file_that_was_moved_away_keeps_nobody_from_the_one_in_its_place(path: Path, held: Lock) -> None:
    path.rename(path.with_name("aside"))
    lock = locks.take(path)
    assert lock is not None
    assert os.fstat(lock.fd).st_ino == path.stat().st_ino != os.fstat(held.fd).st_ino
    os.close(lock.fd)


def test_a_file_swapped_between_opening_and_locking_is_not_taken_for_the_lock(path: Path, held: Lock) -> None:
    assert locks._is_still(path, os.fstat(held.fd))
    path.rename(path.with_name("aside"))
    assert not locks._is_still(path, os.fstat(held.fd))
    path.touch()
    assert not locks._is_still(path, os.fstat(held.fd))


def test_slots_are_as_many_locks_as_are_asked_for_and_the_first_free_one_is_taken_again(path: Path) -> None:
    slots = [locks.take_slot(path) for _ in range(3)]
    assert [slot.path.removeprefix(str(path)) for slot in slots] == ["", "+2", "+3"]
    os.close(slots[1].fd)
    again = locks.take_slot(path)
    assert again.path == slots[1].path
    for slot in (slots[0], again, slots[2]):
        os.close(slot.fd)


def test_a_pool_has_as_many_places_as_it_says_and_one_that_is_left_is_taken_again(path: Path) -> None:
    places = [locks.take_place(path, 2) for _ in range(2)]
    assert locks.take_place(path, 2) is None
    assert places[0] is not None
    os.close(places[0].fd)
    again = locks.take_place(path, 2)
    assert again is not None
    assert again.path == str(path)
    for place in (places[1], again):
        assert place is not None
        os.close(place.fd)


def test_filelock_in_another_process_and_our_locks_contend(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert locks.take(path) is None
        other.stdin.close()
        assert other.wait(60) == 0
    lock = locks.take(path)
    assert lock is not None
    refused = subprocess.run(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    os.close(lock.fd)
    assert (refused.stdout, refused.stderr) == (b"", b"busy\n")


@pytest.mark.parametrize("name", ["a/b", "a,b", "a.2", "a+2", "a%2Fb", "ä", "x" * 200, "a/" * 99 + "a"])
def test_a_name_is_a_file_name_of_its_own(name: str) -> None:
    others = {locks.file_name(other) for other in ("a/b", "a,b", "a.2", "a+2", "a%2Fb", "ä") if other != name}
    assert "/" not in locks.file_name(name)
    assert locks.file_name(name) not in others


def test_the_longest_name_with_the_most_slashes_is_short_enough_for_a_file() -> None:
    assert len(f"job.{locks.file_name('a/' * 99 + 'aa')}+100") <= 255


def test_the_second_slot_of_one_job_is_not_the_lock_of_another() -> None:
    assert f"job.{locks.file_name('a.2')}" != f"job.{locks.file_name('a')}+2"


def holding(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds the lock until its input ends."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    return other


def test_who_holds_a_lock_is_seen_without_taking_it(path: Path) -> None:
    lock = locks.take(path)
    assert lock is not None
    assert locks.is_held(path)
    os.close(lock.fd)
    assert not locks.is_held(path)


def test_a_lock_that_another_process_holds_is_held_though_nobody_is_on_record(path: Path) -> None:
    with holding(path) as other:
        assert locks.is_held(path)
        assert not holds(os.getpid(), path)
        assert holds(other.pid, path)
    assert not locks.is_held(path)


def test_a_file_that_is_only_open_is_not_held(path: Path) -> None:
    path.touch()
    fd = os.open(path, os.O_RDWR)
    assert not holds(os.getpid(), path)
    assert not locks.is_held(path)
    os.close(fd)


def test_a_lock_on_the_file_that_was_here_before_is_not_on_this_one(path: Path, held: Lock) -> None:
    path.rename(path.with_name("aside"))
    path.touch()
    assert not locks.is_held(path)
    assert locks.is_held(path.with_name("aside"))


def test_the_descriptors_of_a_process_tell_a_lock_that_the_list_of_locks_hides(path: Path, held: Lock) -> None:
    assert path.stat().st_ino in {status.st_ino for status in holders._locked_by(os.getpid(), {path.name})}
    assert list(holders._locked_by(os.getpid(), {"another"})) == []


def test_a_lock_of_nobody_or_nowhere_is_not_held(tmp_path: Path) -> None:
    assert not locks.is_held(tmp_path / "none")
    assert not locks.is_held(tmp_path / "no folder" / "none")
    assert not holds(os.getpid(), tmp_path / "none")
    assert not holds(2**22 + 1, tmp_path)  # a pid that no process can have, proc_sys_kernel(5)


def test_a_survey_tells_of_every_lock_and_believes_only_the_pid_of_who_holds_it(path: Path, held: Lock) -> None:
    locks.write(held.fd, {"run": "1", "pid": os.getpid()})
    free, lied = locks.take(path.with_name("job.free")), locks.take(path.with_name("job.lied"))
    assert free is not None
    assert lied is not None
    locks.write(free.fd, {"run": "2", "pid": os.getpid()})
    locks.write(lied.fd, {"run": "3", "pid": 1})
    os.close(free.fd)
    assert [(seen.path.name, seen.is_held, seen.pid) for seen in locks.survey(path.parent)] == [
        ("job.backup", True, os.getpid()),
        ("job.free", False, None),
        ("job.lied", True, None),
    ]
    os.close(lied.fd)


def test_a_survey_passes_over_what_can_be_no_lock(path: Path, held: Lock) -> None:
    os.mkfifo(path.with_name("job.fifo"))
    path.with_name("job.folder").mkdir()
    path.with_name("job.link").symlink_to(path)
    path.with_name("job.garbage").write_bytes(b"\xff\x00[" * 2000)
    found = locks.survey(path.parent)
    assert [(seen.path.name, seen.record, seen.is_held) for seen in found] == [
        ("job.backup", {}, True),
        ("job.garbage", {}, False),
    ]
    assert locks.survey(path.parent / "none") == []


def test_an_order_comes_back_as_it_was_written_and_leaves_the_record_alone(path: Path, held: Lock) -> None:
    locks.write(held.fd, {"run": "1"})
    locks.write_pid(held.fd, 77)
    locks.write_order(path, {"run": "1", "detail": "stopped by root"})
    assert locks.read_order(held.fd) == {"run": "1", "detail": "stopped by root"}
    assert locks.read(path) == {"run": "1", "pid": 77}
    locks.write(held.fd, {"run": "2"})
    assert locks.read_order(held.fd)["run"] == "1"


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\u6f22", "\U0001f4a5", "\x1b", "\udc80", '"'])
def test_a_detail_that_is_too_long_for_an_order_is_cut_between_two_characters(
    path: Path, held: Lock, letter: str
) -> None:
    locks.write_order(path, {"run": "0" * 11, "detail": letter * 600, "outcome": "interrupted"})
    order = locks.read_order(held.fd)
    kept = order["detail"].removesuffix("...")
    assert (order["run"], order["outcome"]) == ("0" * 11, "interrupted")
    assert kept == letter * len(kept)
    assert len(kept) > 50
    assert os.pread(held.fd, 1, locks.JOURNAL_AT) == b"\0"


def test_an_order_makes_no_file_and_makes_none_longer(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        locks.write_order(path, {"run": "1"})
    path.write_bytes(b"")
    before = path.stat()
    with pytest.raises(OSError, match="space"):
        locks.write_order(path, {"run": "1"})
    assert path.stat() == before


def test_an_order_in_something_else_than_a_lock_file_is_none(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        locks.write_order(path, {"run": "1"})
    reader, writer = os.pipe()
    assert locks.read_order(reader) == {}
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("name", ["a/b", "a,b", "a.2", "ä", "50%", "backup"])
def test_the_name_comes_back_from_the_name_of_its_file(name: str) -> None:
    assert locks.name_of(locks.file_name(name)) == name

"""Following a log: whatever the writer does between two looks, no byte is lost in silence and none comes twice."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.joblog import JobLog, prune
from runjobs.adapters.joblog.following import Follower

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = re.compile("\\[… ([0-9,]+) bytes (?:came too fast to be shown|dropped) …\\]\n".encode())
# no byte of what is written may look like a marker; lengths are what matters
SENT = b"".join(b"%05d\n" % number for number in range(50))  # 300 bytes
STEPS = st.lists(
    st.tuples(st.binary(max_size=300).map(lambda data: data.replace(b"[", b"(")), st.booleans()), max_size=30
)


def everything(follower: Follower) -> bytes:
    return b"".join(follower.read())


def check(sent: bytes, shown: bytes) -> None:
    """All that was sent is shown, in order, but for gaps whose length is told."""
    position = 0
    for number, part in enumerate(MARK.split(shown)):
        if number % 2:
            position += int(part.replace(b",", b""))
            continue
        # a gap is told on a line of its own: where a line was begun before it, that is ended
        as_sent = part if sent[position : position + len(part)] == part else part.removesuffix(b"\n")
        assert sent[position : position + len(as_sent)] == as_sent
        position += len(as_sent)
    assert position == len(sent)


@given(steps=STEPS, limit=st.integers(min_value=16, max_value=2000), closed=st.booleans())
def test_all_that_is_written_is_shown_once_or_counted(
    steps: list[tuple[bytes, bool]], limit: int, closed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "log")
        log, follower = JobLog(path, limit), Follower(path)
        shown = b""
        for data, looks in steps:
            log.write(data)
            if looks:
                shown += everything(follower)
        if closed:
            log.close()
        shown += b"".join(follower.finish())
        follower.close()
        sent = b"".join(data for data, _ in steps)
        check(sent, shown)
        if len(sent) <= limit:
            assert shown == sent


@given(steps=STEPS, limit=st.integers(min_value=16, max_value=2000))
def test_who_looks_after_each_write_of_less_than_a_piece_misses_nothing(
    steps: list[tuple[bytes, bool]], limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "log")
        log, follower = JobLog(path, limit), Follower(path)
        small = [data[: limit // 16] for data, _ in steps]
        shown = b""
        for data in small:
            log.write(data)
            shown += everything(follower)
        log.close()
        shown += b"".join(follower.finish())
        follower.close()
        assert shown == b"".join(small)


@pytest.mark.parametrize("looks", [0, 1, 5, 9, 50])
def test_pieces_that_could_not_be_joined_are_shown_where_they_are(tmp_path: Path, looks: int) -> None:
    path = str(tmp_path / "log")
    log, follower = JobLog(path, 100), Follower(path)
    sent, shown = b"", b""
    for number in range(30):
        data = f"{number:02}.456\n".encode()
        sent += data
        log.write(data)
        if number < looks:
            shown += everything(follower)
    seen: list[bytes] = []
    fail_at_the_third_piece(log, lambda: seen.append(everything(follower)))
    shown += b"".join(seen)
    shown += b"".join(follower.finish())
    assert [name for name in os.listdir(tmp_path) if ".tail-" in name]
    check(sent, shown)
    follower.close()


@pytest.mark.parametrize("first", [0, 60, 100, 120])
def test_who_looks_while_the_pieces_are_joined_misses_and_doubles_nothing(tmp_path: Path, first: int) -> None:
    path = str(tmp_path / "log")
    log, follower = JobLog(path, 100), Follower(path)
    log.write(SENT[:first])
    shown = [everything(follower)]
    log.write(SENT[first:])
    look_between(log, lambda: shown.append(everything(follower)))
    log.close()
    check(SENT, b"".join([*shown, *follower.finish()]))
    follower.close()


def look_between(log: JobLog, look: Callable[[], None]) -> None:
    """Have somebody look before and after each piece is joined."""
    head = log._head
    assert head is not None
    put: Callable[[bytes], None] = head.put

    def watched(data: bytes) -> None:
        look()
        put(data)
        look()

    head.put = watched  # type: ignore[assignment,method-assign]


@pytest.mark.parametrize("first", [60, 100, 120])
def test_what_was_dropped_since_the_last_look_is_counted_where_it_was(tmp_path: Path, first: int) -> None:
    path = str(tmp_path / "log")
    log, follower = JobLog(path, 100), Follower(path)
    log.write(SENT[:first])
    shown = everything(follower)
    log.write(SENT[first:])
    log.close()
    shown += b"".join(follower.finish())
    follower.close()
    assert "came too fast to be shown" in shown.decode()
    check(SENT, shown)


def fail_at_the_third_piece(log: JobLog, look: Callable[[], None]) -> None:
    """Close a log whose disk is full when the third piece is joined to the head in part; somebody looks just then."""
    head = log._head
    assert head is not None
    put: Callable[[bytes], None] = head.put
    seen = []

    def fail(data: bytes) -> None:
        seen.append(data)
        if len(seen) > 3:  # the marker, and two pieces
            put(data[:2])
            look()
            raise OSError(28, "No space left on device")
        put(data)

    head.put = fail  # type: ignore[assignment,method-assign]
    log.close()


def test_a_log_that_is_not_there_yet_is_followed_from_when_it_is(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    follower = Follower(path)
    assert everything(follower) == b""
    log = JobLog(path, 1000)
    log.write(b"hello\n")
    assert everything(follower) == b"hello\n"
    assert everything(follower) == b""
    follower.close()
    log.close()
    assert list(Follower(str(tmp_path / "none")).finish()) == []


def test_a_log_that_was_deleted_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    log, follower = JobLog(path, 1000), Follower(path)
    log.write(b"one\n")
    assert everything(follower) == b"one\n"
    log.write(b"two\n")
    log.close()
    os.unlink(path)
    assert b"".join(follower.finish()) == b"two\n"
    follower.close()


def test_a_log_that_is_closed_is_read_only(tmp_path: Path) -> None:
    log = JobLog(str(tmp_path / "log"), 1000)
    log.write(b"x")
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600
    log.close()
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o400


def log_of(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.log").write_text("said")


def kept(folder: Path) -> list[str]:
    return sorted(name.removesuffix(".log") for name in os.listdir(folder))


def test_the_newest_logs_are_kept_and_those_of_runs_that_go_on(tmp_path: Path) -> None:
    log_of(tmp_path, "1", "2", "3", "4", "5")
    prune(str(tmp_path), 2, {"2"})
    assert kept(tmp_path) == ["2", "4", "5"]


def test_logs_of_runs_before_a_time_go_whatever_their_number(tmp_path: Path) -> None:
    log_of(tmp_path, "1", "2", "3", "4", "5")
    prune(str(tmp_path), 10, {"1"}, "4")
    assert kept(tmp_path) == ["1", "4", "5"]


def test_there_is_nothing_to_prune_where_nothing_was_said(tmp_path: Path) -> None:
    prune(str(tmp_path / "none"), 1, ())

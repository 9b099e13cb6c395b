"""The bounded log: whatever comes, its head and tail are kept, the rest is counted, and it can always be read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.joblog import JobLog, marker, read_log, remove_log, tail

PIECES = st.lists(st.binary(min_size=0, max_size=300), max_size=20)


def everything(path: Path) -> bytes:
    return b"".join(read_log(str(path)))


def write_all(log: JobLog, pieces: list[bytes]) -> bytes:
    for piece in pieces:
        log.write(piece)
    return b"".join(pieces)


@given(pieces=PIECES, limit=st.integers(min_value=16, max_value=2000))
def test_what_fits_is_kept_whole_and_of_more_both_ends(pieces: list[bytes], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        log = JobLog(str(path), limit)
        sent = write_all(log, pieces)
        before = everything(path)
        log.close()
        kept = everything(path)
        assert log.total == len(sent)
        if len(sent) <= limit:
            assert kept == before == sent
            assert log.dropped == 0
        else:
            check_ends(sent, kept, limit, log.dropped)
        assert os.listdir(folder) == (["log"] if sent else [])


def check_ends(sent: bytes, kept: bytes, limit: int, dropped: int) -> None:
    head = sent[: limit // 2]
    assert kept.startswith(head)
    gap = marker(dropped, is_fresh_line=head.endswith(b"\n")) if dropped else b""
    rest = kept[len(head) + len(gap) :]
    assert kept[len(head) :].startswith(gap)
    assert sent.endswith(rest)
    assert len(head) + len(rest) + dropped == len(sent)
    assert len(rest) <= limit - limit // 2 + 8  # eight pieces, each rounded up
    assert dropped == 0 or len(rest) >= (limit - limit // 2) * 7 // 8 - 8


@given(pieces=PIECES, limit=st.integers(min_value=16, max_value=400))
def test_a_log_that_was_never_closed_reads_like_one_that_was(pieces: list[bytes], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        log = JobLog(str(path), limit)
        write_all(log, pieces)
        cut_short = everything(path)
        log.close()
        if b"output dropped" not in cut_short:  # a single piece of tail does not tell how long the others were
            assert cut_short == everything(path)


@given(pieces=PIECES, limit=st.integers(min_value=16, max_value=2000), lines=st.integers(0, 30))
def test_the_tail_is_the_end_of_the_whole(pieces: list[bytes], limit: int, lines: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        log = JobLog(str(path), limit)
        write_all(log, pieces)
        whole = everything(path)
        parts = whole.removesuffix(b"\n").split(b"\n")
        expected = b"\n".join(parts[-lines:]) + (b"\n" if whole.endswith(b"\n") else b"") if lines else b""
        assert tail(str(path), lines) == (expected if whole else b"")
        log.close()


def test_the_tail_has_a_limit_in_bytes(tmp_path: Path) -> None:
    log = JobLog(str(tmp_path / "log"), 10_000)
    log.write(b"x" * 5_000)
    log.close()
    assert tail(str(tmp_path / "log"), 10, 100) == b"x" * 100


def test_a_log_without_a_path_keeps_nothing_and_counts() -> None:
    log = JobLog(None, 1000)
    log.write(b"said")
    log.close()
    assert (log.total, log.dropped) == (4, 0)


def test_a_log_that_can_not_be_made_says_why_and_counts_what_is_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log = JobLog(str(tmp_path / "file" / "log"), 1000)
    log.write(b"said")
    log.write(b"more")
    log.close()
    assert log.trouble
    assert (log.total, log.dropped) == (8, 8)


def test_a_log_is_removed_with_the_pieces_that_a_crash_left(tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    log = JobLog(path, 100)
    log.write(bytes(1000))
    assert len(os.listdir(tmp_path)) == 9
    remove_log(path)
    assert os.listdir(tmp_path) == []
    remove_log(path)


@pytest.mark.parametrize(("dropped", "text"), [(None, "[… output dropped …]\n"), (1234, "[… 1,234 bytes dropped …]\n")])
def test_the_gap_says_how_much_is_missing(dropped: int | None, text: str) -> None:
    assert marker(dropped, is_fresh_line=True).decode() == text
    assert marker(dropped, is_fresh_line=False).decode() == "\n" + text


def test_there_is_no_tail_where_there_is_no_log(tmp_path: Path) -> None:
    assert tail(str(tmp_path / "none"), 5) == b""
    assert everything(tmp_path / "none") == b""

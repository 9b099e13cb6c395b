"""Passing lines on: complete, framed, in pieces that don't mix, and never waiting for the reader."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.adapters.outlet import ATOMIC, JSON_LINE, Outlet, Passage, frame_json, frame_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.adapters.outlet import Frame

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def is_waiting(outlet: Outlet | Passage) -> bool:
    return outlet.is_pending


def take(reader: int) -> bytes:
    taken = b""
    try:
        while piece := os.read(reader, 1 << 20):
            taken += piece
    except BlockingIOError:
        pass
    return taken


@given(pieces=st.lists(st.binary(max_size=60), max_size=30))
def test_lines_are_whole_however_they_came(pieces: list[bytes]) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    outlet = Outlet(writer, frame_text(b"job | "))
    for piece in pieces:
        outlet.feed(piece)
    outlet.finish()
    outlet.close()
    os.close(writer)
    lines = b"".join(pieces).removesuffix(b"\n").split(b"\n") if b"".join(pieces) else []
    assert take(reader) == b"".join(b"job | " + line + b"\n" for line in lines)
    os.close(reader)


def test_a_line_is_passed_on_when_it_is_complete_and_not_before(pipe: Pipe) -> None:
    outlet = Outlet(pipe[1], frame_text(b"job | "))
    outlet.feed(b"half")
    assert take(pipe[0]) == b""
    outlet.feed(b" and half\nnext")
    assert take(pipe[0]) == b"job | half and half\n"
    outlet.close()


@pytest.mark.parametrize(("longest", "frame"), [(3500, frame_text(b"a-name | ")), (JSON_LINE, frame_json("a", "r"))])
def test_long_lines_are_cut_so_that_each_write_stays_whole(longest: int, frame: Frame, pipe: Pipe) -> None:
    outlet = Outlet(pipe[1], frame, longest)
    outlet.feed(b"\0" * 8000)
    outlet.finish()
    records = take(pipe[0]).splitlines(keepends=True)
    assert len(records) > 1
    assert max(map(len, records)) <= ATOMIC
    outlet.close()


def test_what_a_slow_reader_has_no_room_for_is_dropped_counted_and_told(pipe: Pipe) -> None:
    outlet = Outlet(pipe[1], frame_text(b"job | "))
    sent = 60_000
    for number in range(sent):
        outlet.feed(b"%d\n" % number)
    assert is_waiting(outlet)
    got = b""
    while is_waiting(outlet):
        got += take(pipe[0])
        outlet.flush()
    lines = (got + take(pipe[0])).decode().splitlines()
    told = [line for line in lines if "dropped" in line]
    assert len(told) == 1
    assert int(told[0].split()[3].replace(",", "")) + len(lines) - 1 == sent
    outlet.feed(b"again\n")
    assert take(pipe[0]) == b"job | again\n"
    outlet.close()


def test_a_complete_line_goes_out_as_it_is(pipe: Pipe) -> None:
    outlet = Outlet(pipe[1], frame_text(b"job | "))
    outlet.line(b'{"event": "started"}')
    assert take(pipe[0]) == b'{"event": "started"}\n'
    outlet.close()


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    outlet = Outlet(writer, frame_text(b""))
    outlet.feed(b"said\n")
    assert not outlet.is_pending
    outlet.close()
    os.close(writer)


def test_every_line_is_an_object_whatever_its_bytes(pipe: Pipe) -> None:
    outlet = Outlet(pipe[1], frame_json("job", "r1"), JSON_LINE)
    outlet.feed('"ä"\n'.encode() + b"\xff\0\n")
    records = [json.loads(line) for line in take(pipe[0]).splitlines()]
    assert [record["line"] for record in records] == ['"ä"', "\\xff\0"]
    outlet.close()


def test_a_passage_keeps_every_byte_and_says_when_to_wait(pipe: Pipe) -> None:
    passage = Passage(pipe[1])
    data = bytes(range(256)) * 1000
    passage.feed(data)
    assert is_waiting(passage)
    got = b""
    while is_waiting(passage):
        got += take(pipe[0])
        passage.flush()
    assert got + take(pipe[0]) == data
    passage.close()


def test_others_who_share_the_stream_can_still_wait_on_it(pipe: Pipe) -> None:
    outlet = Outlet(pipe[1], frame_text(b""))
    outlet.feed(b"said\n")
    assert os.get_blocking(pipe[1])
    outlet.close()


def test_a_socket_is_a_stream_as_well() -> None:
    ours, theirs = socket.socketpair()
    outlet = Outlet(ours.fileno(), frame_text(b"job | "))
    outlet.feed(b"said\n" * 100_000)
    assert is_waiting(outlet)
    assert theirs.recv(11) == b"job | said\n"
    outlet.close()
    ours.close()
    theirs.close()


def test_a_file_takes_all(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        outlet = Outlet(file.fileno(), frame_text(b"job | "))
        outlet.feed(b"said\n" * 100_000)
        assert not outlet.is_pending
        outlet.close()
    assert (tmp_path / "out").stat().st_size == 1_100_000

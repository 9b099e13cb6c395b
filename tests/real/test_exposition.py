"""Pages served on somebody else's loop: whoever reads, and however, the loop goes on."""

from __future__ import annotations

import contextlib
import selectors
import socket
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.exposition import FAREWELL, MOST, REQUEST, RESPONSE, Page, Server
from runjobs.adapters.exposition.listening import listen, remove
from runjobs.core.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runjobs.adapters.exposition.talk import Wanted

PIECE = b"x" * 100_000  # more than a socket takes at once, so that the next one has to wait
GET = b"GET /metrics HTTP/1.0\r\n\r\n"


class Loop:
    """A loop that turns when it is told to, and a server on it; its clock goes when it is told to, too."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.made = 0
        self.path = path
        self.wanted: list[Wanted] = []
        self.selector = selectors.DefaultSelector()
        self.server = Server(listen(Endpoint("", 0, str(path))), self.selector, self.answer, lambda: self.now)

    def answer(self, wanted: Wanted) -> Page:
        self.wanted.append(wanted)
        return Page(wanted.error or 200, "text/plain", self.pieces())

    def pieces(self) -> Iterator[bytes]:
        for _ in range(20):
            self.made += 1
            yield PIECE

    def turn(self, times: int = 1) -> int:
        """Turn so often; how many pieces were made by one turn at the most."""
        most = 0
        for _ in range(times):
            before = self.made
            for key, _ in self.selector.select(0):
                key.data()
            self.server.serve()
            most = max(most, self.made - before)
        return most

    def call(self, said: bytes = b"") -> socket.socket:
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(self.path))
        caller.setblocking(False)
        if said:
            caller.send(said)
        self.turn(3)
        return caller

    def read(self, caller: socket.socket, most: int = 10_000_000) -> bytes | None:
        """All that comes within some hundred turns; None: the server has cut it off."""
        said = b""
        for _ in range(400):
            self.turn()
            try:
                data = caller.recv(min(most, 1 << 20))
            except BlockingIOError:
                continue
            except ConnectionError:
                return None
            if not data:
                return said
            said += data
        pytest.fail("it is neither ended nor cut off")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    loop = Loop(tmp_path / "socket")
    with closing(loop.server):
        yield loop


def test_a_whole_answer_comes_however_long_it_is(loop: Loop) -> None:
    with loop.call(GET) as caller:
        head, _, body = (loop.read(caller) or b"").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n")
    assert body == PIECE * 20


def test_a_body_in_chunks_says_where_it_ends(loop: Loop) -> None:
    with loop.call(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as caller:
        head, _, body = (loop.read(caller) or b"").partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    assert body == (b"186a0\r\n" + PIECE + b"\r\n") * 20 + b"0\r\n\r\n"


def test_head_gets_the_head_alone(loop: Loop) -> None:
    with loop.call(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n") as caller:
        said = loop.read(caller) or b""
    assert said.endswith(b"\r\n\r\n")
    assert (said.count(b"\r\n\r\n"), loop.made) == (1, 0)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", 405),
        (b"hello\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"GET /" + b"a" * 4_000 + b" HTTP/1.1\r\nA: " + b"b" * 4_300, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\n\n", 400),  # the beginning of TLS
    ],
)
def test_what_is_wrong_with_a_request_is_said(loop: Loop, said: bytes, status: int) -> None:
    with loop.call(said) as caller:
        answer = loop.read(caller)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"\r\nAllow: GET, HEAD\r\n" in answer) is (status == 405)


def test_a_request_may_come_byte_by_byte_and_names_what_it_accepts(loop: Loop) -> None:
    with loop.call() as caller:
        for byte in b"GET /metrics?name=x HTTP/1.1\nACCEPT: text/plain\nHost: x\nAccept: */*\n\n":
            caller.send(bytes([byte]))
            loop.turn(2)
    (wanted,) = loop.wanted
    assert (wanted.path, wanted.accept, wanted.error) == ("/metrics", "text/plain,*/*", 0)


def test_a_turn_makes_one_piece_at_the_most_however_many_read(loop: Loop) -> None:
    callers = [loop.call(GET) for _ in range(MOST)]
    reading, most = set(callers), 0
    while reading:
        for caller in list(reading):
            with contextlib.suppress(BlockingIOError):
                if not caller.recv(1 << 20):
                    reading.remove(caller)
        most = max(most, loop.turn())
    for caller in callers:
        caller.close()
    assert (most, loop.made) == (1, 20 * MOST)


def test_a_reader_that_takes_nothing_costs_no_turn_and_no_memory_and_is_cut_off_in_the_end(loop: Loop) -> None:
    with loop.call(GET) as caller:
        loop.turn(50)
        made = loop.made
        assert loop.selector.select(0) == []
        assert made < 10
        assert loop.server.pause() == RESPONSE
        loop.now += RESPONSE
        loop.turn()
        assert loop.server.pause() is None
        assert len(loop.read(caller) or b"") < len(PIECE) * 20


def test_half_a_request_is_cut_off_in_the_end(loop: Loop) -> None:
    with loop.call(b"GET /metrics HT") as caller:
        assert loop.server.pause() == REQUEST
        loop.now += REQUEST
        loop.turn()
        assert loop.read(caller) == b""
    assert loop.wanted == []


def test_a_reader_that_does_not_hang_up_is_waited_for_a_moment(loop: Loop) -> None:
    with loop.call(GET) as caller:
        loop.read(caller)
        assert loop.server.pause() == FAREWELL
        loop.now += FAREWELL
        loop.turn()
        assert loop.server.pause() is None


def test_of_too_many_the_one_that_was_idle_longest_makes_room(loop: Loop) -> None:
    idle = loop.call(b"GET /")
    loop.now += 1
    others = [loop.call(b"GET /") for _ in range(MOST - 1)]
    with loop.call(GET) as one_more:
        assert loop.read(one_more) is not None
    assert loop.read(idle) in (b"", None)
    others[0].send(b"metrics HTTP/1.0\r\n\r\n")
    assert loop.read(others[0])
    for caller in (idle, *others):
        caller.close()


def test_a_reader_that_hangs_up_in_the_middle_is_forgotten(loop: Loop) -> None:
    for said in (b"", b"GET /", GET):
        loop.call(said).close()
        loop.turn(30)
    assert loop.server.pause() is None


def test_an_answer_that_can_t_be_finished_is_cut_off_and_not_ended(loop: Loop) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one\n"
        raise LookupError

    loop.pieces = broken  # type: ignore[method-assign]
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(loop.path))
    caller.send(b"GET / HTTP/1.1\r\n\r\n")
    with caller, pytest.raises(LookupError):
        loop.turn(20)
    assert loop.server.pause() is None


def test_a_socket_can_be_read_by_all_who_may_enter_its_folder_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    endpoint = Endpoint("", 0, str(path))
    with closing(listen(endpoint)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        with pytest.raises(OSError, match="in use"):
            listen(endpoint)
        remove(endpoint)
    assert not path.exists()


def test_the_socket_of_a_server_that_died_is_replaced_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listen(Endpoint("", 0, str(path))).close()  # its path stays
    listen(Endpoint("", 0, str(path))).close()
    path.unlink()
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        listen(Endpoint("", 0, str(path)))
    assert path.read_text() == "precious"


def test_a_port_without_a_host_is_there_for_every_address_of_the_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with closing(listen(Endpoint("", port))):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()

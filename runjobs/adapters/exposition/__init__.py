"""Serving a few pages over HTTP on somebody else's loop: no thread, and no wait for anybody.

Readers may be slow, half or many: each step is short, each connection has its deadlines, and there are only so many.
Every answer ends its connection; its body comes in pieces, the next one made when the one before was taken.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.exposition.talk import Wanted, head_of, read_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST: Final = 16  # connections at once; when one more comes, the one that has been idle longest has to go
REQUEST: Final = 10.0  # seconds for a whole request
RESPONSE: Final = 60.0  # seconds for a whole answer: a scrape has 10 to 30 s at most
FAREWELL: Final = 2.0  # seconds for a reader to hang up: to close at once might take the answer away from him
REST: Final = 1.0  # seconds
READ: Final = 4_096


class Page(NamedTuple):
    """An answer: its status and content type, and its body in pieces; an empty piece means that it takes a while."""

    status: int
    kind: str
    pieces: Iterator[bytes]


class _Connection:
    """One reader: what it has asked, and what is still to be sent to it."""

    def __init__(self, channel: socket.socket, now: float) -> None:
        self.channel = channel
        self.asked = b""
        self.rest = b""
        self.pieces: Iterator[bytes] | None = None  # None: it is still asking, or all is sent
        self.is_chunked = False
        self.is_leaving = False
        self.deadline = now + REQUEST
        self.moved = now  # when something last came of it


class Server:
    """Answers on one listening socket, whenever `serve` is called."""

    def __init__(
        self,
        listener: socket.socket,
        selector: selectors.BaseSelector,
        answer: Callable[[Wanted], Page],
        monotonic: Callable[[], float],
    ) -> None:
        """Be told by `selector`, whose keys have a function as data that is called when they are ready."""
        self._listener = listener
        self._selector = selector
        self._answer = answer
        self._monotonic = monotonic
        self._connections: dict[_Connection, None] = {}
        self._ready: dict[_Connection, None] = {}
        self._has_callers = False
        self._deaf_until: float | None = None
        listener.settimeout(0)
        selector.register(listener, selectors.EVENT_READ, self._call)

    def pause(self) -> float | None:
        """Seconds until somebody has had long enough; None: nobody is there."""
        ends = [each.deadline for each in self._connections]
        if self._deaf_until is not None:
            ends.append(self._deaf_until)
        return max(0.0, min(ends) - self._monotonic()) if ends else None

    def serve(self) -> None:
        """Go one step on with each connection that is ready; one piece of one answer is made, and no more."""
        now = self._monotonic()
        if self._deaf_until is not None and now >= self._deaf_until:
            self._deaf_until = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._call)
        if self._has_callers:
            self._has_callers = False
            self._accept(now)
        ready = [each for each in self._ready if each in self._connections]
        self._ready.clear()
        has_made = False
        for connection in sorted(ready, key=lambda each: each.moved):
            with self._dropping(connection):
                if connection.pieces is None and not connection.rest:
                    self._hear(connection, now)
                else:
                    has_made |= self._send(connection, now, may_make=not has_made)
        for connection in [each for each in self._connections if each.deadline <= now]:
            self._drop(connection)

    def close(self) -> None:
        """Hang up on everybody, and serve no more."""
        for connection in list(self._connections):
            self._drop(connection)
        if self._deaf_until is None:
            self._selector.unregister(self._listener)
        self._listener.close()

    def _call(self) -> None:
        self._has_callers = True

    def _accept(self, now: float) -> None:
        for _ in range(MOST):
            try:
                channel, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return  # nobody more, or one who has gone
            except OSError:
                self._turn_away(now + REST)  # no descriptors: who calls would call in each turn of the loop
                return
            if len(self._connections) >= MOST:
                self._drop(min(self._connections, key=lambda each: each.moved))
            channel.settimeout(0)
            connection = _Connection(channel, now)
            self._connections[connection] = None
            self._listen(connection, selectors.EVENT_READ, is_new=True)

    def _turn_away(self, until: float) -> None:
        """Don't listen for a while."""
        if self._deaf_until is None:
            self._selector.unregister(self._listener)
        self._deaf_until = until

    def _listen(self, connection: _Connection, what: int, *, is_new: bool = False) -> None:
        change = self._selector.register if is_new else self._selector.modify
        change(connection.channel, what, partial(self._ready.setdefault, connection))

    def _hear(self, connection: _Connection, now: float) -> None:
        """Take what it asks, and begin to answer once that is whole."""
        data = connection.channel.recv(READ)
        if not data:
            self._drop(connection)
        if not data or connection.is_leaving:
            return
        connection.asked += data
        connection.moved = now
        wanted = read_request(connection.asked)
        if wanted is None:
            return
        page = self._answer(wanted)
        connection.is_chunked = wanted.is_chunked and not wanted.is_head
        connection.rest = head_of(page.status, page.kind, wanted)
        connection.pieces = iter(()) if wanted.is_head else page.pieces
        connection.deadline = now + RESPONSE
        self._listen(connection, selectors.EVENT_WRITE)

    def _send(self, connection: _Connection, now: float, *, may_make: bool) -> bool:
        """Send what is left of a piece, else make the next one and begin to send it; whether one was made."""
        has_made = False
        if not connection.rest:
            if not may_make:
                return False
            has_made = True
            connection.rest = self._next(connection)
        if connection.rest:
            connection.rest = connection.rest[connection.channel.send(connection.rest) :]
        connection.moved = now
        if not connection.rest and connection.pieces is None:
            connection.channel.shutdown(socket.SHUT_WR)
            connection.is_leaving, connection.deadline = True, now + FAREWELL
            self._listen(connection, selectors.EVENT_READ)
        return has_made

    def _next(self, connection: _Connection) -> bytes:
        """The next piece as it goes out; after the last one what says so."""
        assert connection.pieces is not None  # noqa: S101 (the caller has looked)
        piece = next(connection.pieces, None)
        if piece is None:
            connection.pieces = None
            return b"0\r\n\r\n" if connection.is_chunked else b""
        return b"%x\r\n%b\r\n" % (len(piece), piece) if piece and connection.is_chunked else piece

    @contextlib.contextmanager
    def _dropping(self, connection: _Connection) -> Iterator[None]:
        """A reader that is gone is nobody's trouble."""
        try:
            yield
        except BlockingIOError:
            pass
        except OSError:
            self._drop(connection)
        except BaseException:
            self._drop(connection)  # cut off, so that nobody takes half an answer for a whole one
            raise

    def _drop(self, connection: _Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._selector.unregister(connection.channel)
            connection.channel.close()

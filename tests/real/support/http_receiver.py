"""A real HTTP receiver that does what its script says, one step for each request: faults of all kinds, then well."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from email.message import Message


class Asked(NamedTuple):
    """One request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes


class HttpReceiver:
    """Its script has steps such as `200`, `429 Retry-After:7`, `reset`, `hang`, `loris`, `huge`, `mute`; then `200`."""

    def __init__(self, *script: str, said: bytes = b"ok") -> None:
        """Begin with this script; `said` is what it answers."""
        self.script = list(script)
        self.said = said
        self.asked: list[Asked] = []
        self.hung_up = threading.Event()  # by the other side, while we were slow
        self.over = threading.Event()
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.receiver = self

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.server_address[1])

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        """Its URL; its certificate, where it has one, is that of localhost."""
        return f"{scheme}://localhost:{self.port}{path}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: HttpReceiver

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        receiver.asked.append(Asked(self.command, self.path, self.headers, body))
        step, *headers = (receiver.script.pop(0) if receiver.script else "200").split(" ")
        self.close_connection = True
        if step.isdigit():
            self._answer(int(step), headers)
        else:
            getattr(self, f"_{step}")(receiver)

    def do_CONNECT(self) -> None:
        self.server.receiver.asked.append(Asked("CONNECT", self.path, self.headers, b""))
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as there:
            self.send_response(200)
            self.end_headers()
            answers = threading.Thread(target=_relay, args=(there, self.connection), daemon=True)
            answers.start()
            _relay(self.connection, there)
            answers.join()
        self.close_connection = True

    def _answer(self, status: int, headers: list[str]) -> None:
        self.send_response(status)
        for header in headers:
            name, _, value = header.replace("_", " ").partition(":")
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.receiver.said)))
        self.end_headers()
        self.wfile.write(self.server.receiver.said)

    def _reset(self, _receiver: HttpReceiver) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _mute(self, _receiver: HttpReceiver) -> None:
        """Hang up without a word."""

    def _babble(self, _receiver: HttpReceiver) -> None:
        self.wfile.write(b"220 this is no web server\r\n\r\n")

    def _hang(self, receiver: HttpReceiver) -> None:
        receiver.over.wait()

    def _loris(self, receiver: HttpReceiver) -> None:
        """A byte now and then, for as long as anybody listens."""
        self._drip(receiver, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"z", 0.02)

    def _huge(self, receiver: HttpReceiver) -> None:
        """An answer without an end."""
        self._drip(receiver, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", b"x" * 65_536, 0)

    def _drip(self, receiver: HttpReceiver, head: bytes, piece: bytes, pause: float) -> None:
        try:
            self.wfile.write(head)
            while not receiver.over.wait(pause):
                self.wfile.write(piece)
        except OSError:
            receiver.hung_up.set()

    def log_message(self, *_: Any) -> None:  # noqa: ANN401 (as http.server has it)
        """Say nothing."""


def _relay(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := here.recv(65_536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def receiving(*script: str, said: bytes = b"ok", tls: ssl.SSLContext | None = None) -> Iterator[HttpReceiver]:
    """A receiver on a port of its own, until the end."""
    receiver = HttpReceiver(*script, said=said)
    if tls is not None:
        receiver.server.socket = tls.wrap_socket(
            receiver.server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()

"""Connections that end at a deadline, however slowly the other side talks; TLS that is always verified."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Deadline:
    """A point on the monotonic clock by which all of one try must be over."""

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. TimeoutError when none are."""
        rest = self._end - time.monotonic()
        if rest <= 0:
            raise TimeoutError("it took too long")
        return rest


class Line(socket.socket):
    """A connection whose every call gets what is left until the deadline, not a time-out of its own."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401 (as socket has it)
        """As socket has it, within the deadline: a byte now and then does not keep it alive."""
        self._hurry()
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:  # noqa: ANN401 (as socket has it)
        """As socket has it, within the deadline."""
        self._hurry()
        super().sendall(data, flags)

    def _hurry(self) -> None:
        if self.deadline is not None:
            self.settimeout(self.deadline.left())


class _Tls(ssl.SSLSocket):
    """The same under TLS. Its sendall(), which sends piece by piece, comes to `send`."""

    deadline: Deadline | None = None

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:  # noqa: ANN401 (as ssl has it)
        self._hurry()
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 (as ssl has it)
        self._hurry()
        return super().send(data, flags)

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 (as ssl has it)
        self._hurry()
        super().do_handshake(block)

    def _hurry(self) -> None:
        if self.deadline is not None:
            self.settimeout(self.deadline.left())


def tls(settings: Mapping[str, str], deadline: Deadline) -> ssl.SSLContext:
    """TLS as the system trusts it; SSL_CERT_FILE and SSL_CERT_DIR name others to trust, as OpenSSL has it."""
    context = ssl.create_default_context(
        cafile=settings.get("SSL_CERT_FILE") or None, capath=settings.get("SSL_CERT_DIR") or None
    )
    context.sslsocket_class = type("Tls", (_Tls,), {"deadline": deadline})
    return context


def dial(host: str, port: int, deadline: Deadline) -> Line:
    """Connect to the first of a host's addresses that answers. OSError when none does in time."""
    trouble: OSError | None = None
    for family, kind, protocol, _, address in _look_up(host, port, deadline):
        line = Line(family, kind, protocol)
        line.deadline = deadline
        try:
            line.settimeout(deadline.left())
            line.connect(address)
        except OSError as error:
            trouble = error
            line.close()
        else:
            return line
    raise trouble or OSError("it has no address")


def _look_up(host: str, port: int, deadline: Deadline) -> list[Any]:
    """A name service may take minutes, and can't be told to hurry: past the deadline it is left to itself."""
    found: list[Any] = []
    trouble: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            trouble.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(deadline.left())
    if trouble:
        raise OSError(f"there is no host {host}: {getattr(trouble[0], 'strerror', None) or trouble[0]}")
    if asking.is_alive():
        raise TimeoutError(f"the name {host} could not be looked up in time")
    return found

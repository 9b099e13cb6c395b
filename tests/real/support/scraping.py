"""A client of our own for what a foreground serves: over TCP, or through a socket in the file system."""

from __future__ import annotations

import socket
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


class _Unix(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def fetch(place: Path | int, path: str = "/metrics", *, method: str = "GET", accept: str = "") -> Answer:
    """Ask once. `place` is a socket's path, or a port of this machine. An answer that is cut short is an error."""
    asking = _Unix(place) if isinstance(place, Path) else HTTPConnection("127.0.0.1", place, timeout=60)
    with closing(asking):
        asking.request(method, path, headers={"Accept": accept} if accept else {})
        answer = asking.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())


def answers(place: Path | int, path: str = "/healthz", status: int = 200) -> bool:
    """Whether this is answered so; a server that is not there is no answer."""
    try:
        return fetch(place, path).status == status
    except OSError:
        return False


def value(exposed: str, name: str, **labels: str) -> float | None:
    """One sample; None: there is none."""
    for family in text_string_to_metric_families(exposed):
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return float(sample.value)
    return None


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])

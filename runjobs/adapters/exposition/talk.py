"""The little of HTTP that is spoken here, RFC 9112: a request read, the head of an answer written."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

LONGEST: Final = 8_192  # bytes of a whole request; browsers and scrapers send some hundred
METHODS: Final = ("GET", "HEAD")


class Wanted(NamedTuple):
    """A request: `error` says what is wrong with it (0: nothing), and then the rest says little."""

    path: str = ""
    accept: str = ""
    error: int = 0
    is_head: bool = False
    is_chunked: bool = True


def read_request(data: bytes) -> Wanted | None:
    """Read the head of a request; None while it has not come to its end. A body is not looked at."""
    head, end, _ = data.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
    if len(data) > LONGEST:
        return Wanted(error=HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\n")
    words = first.split(" ")
    if len(words) != len(("GET", "/", "HTTP/1.1")) or words[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        return Wanted(error=HTTPStatus.BAD_REQUEST, is_chunked=False)
    error = 0 if words[0] in METHODS else HTTPStatus.METHOD_NOT_ALLOWED
    path = words[1].partition("?")[0]
    return Wanted(path, _accept(lines), error, words[0] == "HEAD", words[2] == "HTTP/1.1")


def head_of(status: int, kind: str, wanted: Wanted) -> bytes:
    """The head of an answer, which ends its connection; where it is not chunked, that is how its body ends."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {kind}", "Connection: close"]
    if wanted.is_chunked:
        lines.append("Transfer-Encoding: chunked")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        lines.append(f"Allow: {', '.join(METHODS)}")
    lines += ["Cache-Control: no-store", "Vary: Accept", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _accept(lines: list[str]) -> str:
    fields = (line.partition(":") for line in lines)
    return ",".join(value.strip() for name, _, value in fields if name.strip().lower() == "accept")

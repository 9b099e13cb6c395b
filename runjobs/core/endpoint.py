"""Where something is served: a port, on every address or one, or a socket in the file system."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from runjobs.core.errors import FieldError

UNIX: Final = "unix:"
LONGEST: Final = 107  # bytes of a socket's path, unix(7)
HIGHEST: Final = 65_535
HINT: Final = "write :9750 for every address, 127.0.0.1:9750 or [::1]:9750 for one, or unix:/run/runjobs/metrics.sock"
_TCP: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\[\]\s/]*)):([0-9]{1,5})")


class Endpoint(NamedTuple):
    """A host ("": every address) and a port, or the path of a socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        """As a person writes it."""
        if self.path:
            return f"{UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read `:PORT`, `HOST:PORT` or `unix:PATH`; FieldError for anything else."""
    if text.startswith(UNIX):
        return Endpoint("", 0, _path(text.removeprefix(UNIX)))
    match = _TCP.fullmatch(text)
    if match is None:
        raise FieldError(f"{text!r} is no address", HINT)
    port = int(match[3])
    if not 0 < port <= HIGHEST:
        raise FieldError(f"port {match[3]} is not there", f"ports go from 1 to {HIGHEST}")
    return Endpoint(match[1] or match[2] or "", port)


def _path(path: str) -> str:
    if not path or "\0" in path:
        raise FieldError("unix: names no path", HINT)
    if len(path.encode("utf-8", "surrogateescape")) > LONGEST:
        raise FieldError(f"the path of a socket has at most {LONGEST} bytes", "name one in a folder that is less deep")
    return path

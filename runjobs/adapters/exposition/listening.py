"""The socket that pages are served on: made before anything else begins, so that what is wrong with it is said then."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runjobs.core.endpoint import Endpoint

BACKLOG: Final = 64
OPEN_TO_ALL: Final = 0o666  # as a port is: who may not read it is kept out of its folder


def listen(endpoint: Endpoint) -> socket.socket:
    """A listening socket; OSError says why there is none. That of a process that has died is replaced."""
    if endpoint.path:
        return _listen_unix(endpoint.path)
    if not endpoint.host:
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        return socket.create_server(("", endpoint.port), family=family, dualstack_ipv6=both, backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    return socket.create_server((endpoint.host, endpoint.port), family=family, backlog=BACKLOG)


def remove(endpoint: Endpoint) -> None:
    """Take the path of a socket away. Call it while that still listens, so that nobody else's can be there by now."""
    if endpoint.path:
        with contextlib.suppress(OSError):
            os.unlink(endpoint.path)


def _listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        listener.bind(path)
        os.chmod(path, OPEN_TO_ALL)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _make_way(path: str) -> None:
    """Remove a socket that nobody listens to; OSError where somebody does, or where it is something else."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, which is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(0)
        try:
            caller.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

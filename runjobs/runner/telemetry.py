"""What machines ask a foreground for, over HTTP: metrics, and whether it is well."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from runjobs.adapters.exposition import Page, Server
from runjobs.adapters.exposition.listening import remove
from runjobs.core.metrics import style_for
from runjobs.runner.exposing import exposition

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from runjobs.adapters.exposition.talk import Wanted
    from runjobs.core.endpoint import Endpoint
    from runjobs.core.job import Job
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground
    from runjobs.runner.health import Health

PLAIN: Final = "text/plain; charset=utf-8"


class Telemetry:
    """An attendant that serves `/metrics` and `/healthz`."""

    def __init__(self, engine: Engine, health: Health, endpoint: Endpoint, listener: socket.socket) -> None:
        """Serve from the first turn on; the jobs are those that the foreground follows then."""
        self._engine = engine
        self._health = health
        self._endpoint = endpoint
        self._jobs: Mapping[str, Job] = {}
        self._server = Server(listener, engine.crew.selector, self._answer, engine.monotonic)

    def pause(self) -> float | None:
        """Seconds until a reader has had long enough; None: nobody reads."""
        return self._server.pause()

    def wake(self) -> None:
        """Readers come by themselves."""

    def attend(self, foreground: Foreground) -> None:
        """Go on with each reader by a step."""
        self._jobs = foreground.jobs
        self._health.look(foreground)
        self._server.serve()

    def close(self) -> None:
        """Hang up, and serve no more."""
        remove(self._endpoint)
        self._server.close()

    def _answer(self, wanted: Wanted) -> Page:
        if wanted.error:
            return _page(wanted.error, f"{HTTPStatus(wanted.error).phrase}\n")
        match wanted.path:
            case "/metrics":
                style = style_for(wanted.accept)
                return Page(HTTPStatus.OK, style.value, exposition(self._engine.ledger, self._jobs, style))
            case "/healthz":
                troubles = self._health.troubles()
                return _page(503, "".join(f"{each}\n" for each in troubles)) if troubles else _page(200, "ok\n")
        return _page(HTTPStatus.NOT_FOUND, "there are /metrics and /healthz\n")


def _page(status: int, text: str) -> Page:
    return Page(status, PLAIN, iter([text.encode("utf-8", "backslashreplace")]))

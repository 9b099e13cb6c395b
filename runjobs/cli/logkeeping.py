"""The foreground's events in a log file of its own: what is told there, and what becomes of lines on a full disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from runjobs.adapters import process
from runjobs.adapters.clock import now
from runjobs.adapters.runnerlog import Bounds, RunnerLog
from runjobs.core.errors import RunjobsError
from runjobs.core.event import Event, Happening
from runjobs.render.events import json_line, text_line
from runjobs.render.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path
    from types import TracebackType

    from runjobs.runner.attending import Attendant
    from runjobs.runner.foreground import Foreground

RETRY: Final = 10.0  # seconds between two tries to say what was lost


class LogKeeper:
    """Tells each event in a log file; an attendant of the foreground, so that a loss is told once it has passed."""

    def __init__(self, path: Path, bounds: Bounds, zone: tzinfo | None, *, json_lines: bool) -> None:
        """Open the log. RunjobsError where it can't be written."""
        try:
            self._log = RunnerLog(path, bounds, process.fork)
        except OSError as error:
            problem = "it is a symbolic link" if path.is_symlink() else error.strerror
            hint = "name a file in a folder that this user can write, with --log-file PATH"
            raise RunjobsError(f"the log file {path} can't be written: {problem}", hint) from error
        self._zone = zone
        self._json = json_lines

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """A daemon that fails has nobody but its log to tell."""
        if isinstance(error, Exception):
            self.tell(_warning(f"the runner ends: {error}"))
        self._log.close()

    @property
    def attendants(self) -> Sequence[Attendant]:
        """The keeper itself."""
        return (self,)

    def tell(self, event: Event) -> None:
        """Tell one event, and before it what could not be told so far."""
        self._catch_up()
        self._log.line(self._line(event))

    def turn_over(self) -> None:
        """Begin a new file, or take the one that logrotate has made."""
        self._log.turn_over()

    def flush(self) -> None:
        """Nothing waits here."""

    def pause(self) -> float | None:
        """Nothing to do while nothing is lost."""
        return RETRY if self._log.lost or self._log.trouble else None

    def wake(self) -> None:
        """Nothing comes from outside."""

    def attend(self, foreground: Foreground) -> None:  # noqa: ARG002 (an attendant's signature)
        """Say what was lost, if that can be said by now."""
        self._catch_up()

    def close(self) -> None:
        """The runner is told to stop, and has more to tell: the log is closed when that is done."""

    def _catch_up(self) -> None:
        trouble, self._log.trouble = self._log.trouble, ""
        if trouble:
            self._log.line(self._line(_warning(trouble)))
        if self._log.lost and self._log.line(self._line(_warning(self._log.excuse())), counts=False):
            self._log.forgive()

    def _line(self, event: Event) -> bytes:
        if self._json:
            return json_line(event).encode()
        text = f"{event.time.astimezone(self._zone):%Y-%m-%d} {text_line(event, self._zone, Screen(unicode=True))}"
        return text.encode("utf-8", "backslashreplace")


def _warning(message: str) -> Event:
    return Event(now(), Happening.WARNING, facts={"message": message})

"""What a foreground sees to beside its timer and its guards: jobs files that change, paths that are watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from runjobs.runner.foreground import Foreground

FILES: Final = "files"  # the part of the jobs that stands in jobs files
ONCE: Final = "once"  # the part that `runjobs at` asked for


class Attendant(Protocol):
    """One such thing. It registers its descriptors with `engine.crew.listen` itself, and acts in `attend` alone."""

    def pause(self) -> float | None:
        """Seconds until it needs to be attended to; None: only when one of its descriptors is readable."""

    def wake(self) -> None:
        """Somebody said that there may be news (SIGUSR2, a stopped runner that goes on): look at the next `attend`."""

    def attend(self, foreground: Foreground) -> None:
        """Called at each turn of the loop: act where there is something to do, else return at once.

        LedgerError and OSError are told as warnings by who calls.
        """

    def close(self) -> None:
        """Let go of descriptors, when the runner is told to stop."""

"""A foreground that has a supervisor, such as systemd: told when it is ready, how it stands, and that it is alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.adapters.sdnotify import monotonic_usec

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.adapters.sdnotify import Notifier
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground, Hooks
    from runjobs.runner.health import Health

SHARE: Final = 2  # a word of life at half of the time in which one is expected, sd_watchdog_enabled(3)
CALM: Final = 1.0  # seconds between two words on how it stands
AGAIN: Final = 0.1  # seconds until a supervisor that was busy is spoken to again


class Supervised:
    """An attendant that speaks to the supervisor. It comes after the one that reads jobs files anew."""

    def __init__(self, engine: Engine, health: Health, notifier: Notifier, zone: tzinfo | None) -> None:
        """Say nothing before it is ready; times are told in `zone`."""
        self._engine = engine
        self._health = health
        self._notifier = notifier
        self._zone = zone
        self._said = ""
        self._is_reloading = False
        self._is_calm_at = 0.0
        self._is_unsaid = False
        self._alive_at = 0.0  # when the next word of life is due

    def hooked(self, hooks: Hooks) -> Hooks:
        """These hooks, and what is said on the same occasions."""

        def ready() -> None:
            hooks.on_ready()
            self._notifier.send(READY="1")

        def hangup() -> None:
            self._reloading()
            hooks.on_hangup()

        return hooks._replace(on_ready=ready, on_hangup=hangup)

    def _reloading(self) -> None:
        """It was told to read its files anew; the next turn does so, and then this is over."""
        self._is_reloading = True
        self._notifier.send(RELOADING="1", MONOTONIC_USEC=monotonic_usec())

    def pause(self) -> float | None:
        """Seconds until there is something to say."""
        now = self._engine.monotonic()
        at = [self._is_calm_at] if self._is_unsaid else []
        if self._notifier.watchdog is not None:
            at.append(self._alive_at)
        if self._notifier.has_words_left:
            at.append(now + AGAIN)
        return max(0.0, min(at) - now) if at else None

    def wake(self) -> None:
        """What it says is looked up at each turn."""

    def attend(self, foreground: Foreground) -> None:
        """Say what there is to say."""
        self._notifier.flush()
        self._health.look(foreground)
        if self._is_reloading:
            self._is_reloading = False
            self._notifier.send(READY="1")
        self._tell_status(foreground)
        self._tell_alive()

    def close(self) -> None:
        """It is told to stop."""
        self._notifier.send(STOPPING="1", STATUS="stopping")
        self._notifier.close()

    def _tell_status(self, foreground: Foreground) -> None:
        now, status = self._engine.monotonic(), self._status(foreground)
        self._is_unsaid = status != self._said
        if self._is_unsaid and now >= self._is_calm_at:
            self._said, self._is_unsaid = status, False
            self._is_calm_at = now + CALM
            self._notifier.send(STATUS=status)

    def _status(self, foreground: Foreground) -> str:
        if stalls := self._health.stalls():
            return "; ".join(stalls)
        number, running = len(foreground.jobs), self._engine.crew.number
        said = f"{number} job{'' if number == 1 else 's'}, {running} running"
        if foreground.upcoming is None:
            return said
        at, job = foreground.upcoming
        return f"{said}, next: {job} at {at.astimezone(self._zone):%Y-%m-%d %H:%M:%S %Z}"

    def _tell_alive(self) -> None:
        """While it is well, which a new start would not mend: a full disk, say, is told, and no reason to end it."""
        watchdog, now = self._notifier.watchdog, self._engine.monotonic()
        if watchdog is None or now < self._alive_at:
            return
        self._alive_at = now + watchdog / SHARE
        if not self._health.stalls():
            self._notifier.send(WATCHDOG="1")

"""The fuzzer: runners and guards killed and frozen at random, while others call and jobs run."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, TypeVar

from tests.prove import present
from tests.prove.callers import FOREGROUND, MANUAL, PASS, Signalled, next_tick
from tests.prove.choices import choices

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prove.callers import Caller
    from tests.prove.choices import Choice
    from tests.prove.stage import Campaign

Item = TypeVar("Item")
CROWD = 3  # passes and single jobs at once: cron calls the next pass though the last one goes on
THAW_AFTER = 3.0  # seconds that anybody stays frozen at the most


class Fuzzer:
    """Does what is chosen to one campaign."""

    def __init__(self, campaign: Campaign, say: Callable[[str], None]) -> None:
        """Do nothing yet."""
        self._campaign = campaign
        self._root = campaign.place.root
        self._callers = campaign.callers
        self._say = say
        self._frozen: list[tuple[float, Callable[[signal.Signals], object]]] = []

    def run(self, kills: int, seed: int) -> None:
        """Go on until so many were killed."""
        said = 0
        for choice in choices(seed, self._campaign.jobs):
            if len(self._campaign.kills) >= kills:
                break
            self._call(choice)
            time.sleep(choice.pause + (next_tick() if choice.on_tick else 0))
            self._thaw(time.monotonic())
            self._act(choice)
            if len(self._campaign.kills) >= said + 50:
                said = len(self._campaign.kills)
                self._say(f"{said} kills")
        self._thaw(float("inf"))

    def _call(self, choice: Choice) -> None:
        """Have those call who call in this scene."""
        staying = self._callers.of(FOREGROUND)
        for extra in staying[choice.scene.foregrounds :]:
            self._callers.stop(extra)
        if not choice.rest:
            for _ in range(choice.scene.foregrounds - len(staying)):
                self._callers.foreground(cgroup=choice.cgroup, leaves=choice.leaves)
        if choice.scene.passes and len(self._callers.of(PASS)) < CROWD:
            self._callers.start(PASS, cgroup=choice.cgroup)

    def _act(self, choice: Choice) -> None:
        match choice.act:
            case "kill runner":
                self._kill_runners(self._some_runner(choice))
            case "kill guard":
                self._kill("guard", _pick(present.guards(self._root), choice.which))
            case "kill recorder":
                self._kill("recorder", _pick(present.recorders(self._root), choice.which))
            case "kill both":
                self._kill_both(choice)
            case "kill all":
                self._kill_runners(self._runners())
                self._kill("guard", present.guards(self._root))
            case "run job" if len(self._callers.of(MANUAL)) < CROWD:
                self._callers.start(MANUAL, choice.job, cgroup=choice.cgroup, job=choice.job)
            case _:
                self._disturb(choice)

    def _disturb(self, choice: Choice) -> None:
        match choice.act:
            case "stop runner":
                for caller in self._some_runner(choice):
                    self._callers.stop(caller)
            case "freeze runner":
                for caller in self._some_runner(choice):
                    self._freeze(caller.process.send_signal, choice.how_long)
            case "freeze guard":
                for guard in _pick(present.guards(self._root), choice.which):
                    self._freeze(guard.send, choice.how_long)

    def _runners(self) -> list[Caller]:
        self._callers.look()
        return list(self._callers.present)

    def _some_runner(self, choice: Choice) -> list[Caller]:
        return _pick(self._runners(), choice.which)

    def _kill_both(self, choice: Choice) -> None:
        """A runner and all its guards; the guards first in one half of the cases."""
        for caller in self._some_runner(choice):
            guards = [guard for guard in present.guards(self._root) if guard.parent == caller.process.pid]
            if choice.how_long % 1 < 0.5:
                self._kill("guard", guards)
                self._kill_runners([caller])
            else:
                self._kill_runners([caller])
                self._kill("guard", guards)

    def _kill(self, kind: str, targets: list[present.Present]) -> None:
        for target in targets:
            self._campaign.kill(kind, target)

    def _kill_runners(self, callers: list[Caller]) -> None:
        for caller in callers:
            if not caller.is_over:
                at = time.time() * 1000
                caller.process.kill()
                self._campaign.kills.append(Signalled(caller.kind, caller.process.pid, at))

    def _freeze(self, send: Callable[[signal.Signals], object], seconds: float) -> None:
        send(signal.SIGSTOP)
        self._frozen.append((time.monotonic() + min(seconds, THAW_AFTER), send))

    def _thaw(self, now: float) -> None:
        for each in [each for each in self._frozen if each[0] <= now]:
            self._frozen.remove(each)
            each[1](signal.SIGCONT)


def _pick(items: list[Item], which: float) -> list[Item]:
    """One of them; none where there is none."""
    return [items[int(which * len(items))]] if items else []

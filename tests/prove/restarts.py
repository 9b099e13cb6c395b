"""Restarts under load: one runner in the foreground after the other, told to leave or killed, and all runs go on."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from tests.prove.callers import FOREGROUND, Signalled
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prove.stage import Campaign

LONGEST_LIFE = 2.0  # seconds between two restarts
PATIENCE = 30  # seconds for a runner that is told to leave


def restart(campaign: Campaign, times: int, seed: int, say: Callable[[str], None]) -> None:
    """Start so many runners one after the other; TERM and KILL end them in turn, at random instants."""
    draw = random.Random(seed)
    for number in range(times):
        runner = campaign.callers.foreground(cgroup=draw.random() < 0.5)
        time.sleep(draw.uniform(0.1, LONGEST_LIFE))
        if number % 2:
            runner.process.kill()
            campaign.kills.append(Signalled(FOREGROUND, runner.process.pid, time.time() * 1000))
        else:
            campaign.callers.stop(runner)
        if not wait_until(lambda one=runner: one.is_over, PATIENCE, pause=0.01):  # type: ignore[misc]
            campaign.hangs.append(f"a runner does not leave: pid {runner.process.pid}")
        campaign.callers.look()
        if number % 20 == 19:
            say(f"{number + 1} restarts")

"""A crowd: so many passes called at the same instant on one folder, round after round."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tests.prove.callers import PASS
from tests.prove.oracle import Violation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prove.callers import Called
    from tests.prove.stage import Campaign

PERIOD = 5  # seconds between two instants at which the works of the crowd are due


class Round(NamedTuple):
    """What the passes of one round came to, and how long it took from the first call to the last end, in seconds."""

    calls: list[Called]
    seconds: float


def crowd(campaign: Campaign, runners: int, rounds: int, say: Callable[[str], None]) -> list[Round]:
    """Call so many passes at each of the next due instants, and wait for all of them."""
    done = []
    for number in range(rounds):
        time.sleep(PERIOD - time.time() % PERIOD)
        before, begin = len(campaign.callers.past), time.monotonic()
        for _ in range(runners):
            campaign.callers.start(PASS)
        campaign.hangs += [f"a pass hangs: {each.process.pid}" for each in campaign.callers.dismiss(120)]
        done.append(Round(campaign.callers.past[before:], time.monotonic() - begin))
        say(f"round {number + 1}: {runners} passes in {done[-1].seconds:.1f} s")
    return done


def judge(rounds: list[Round]) -> list[Violation]:
    """Where nothing goes wrong, every pass of a crowd is silent and says 0."""
    return [
        Violation("a crowd is silent", f"pass {call.pid} said {call.status}: {call.stderr[-800:]}")
        for round_ in rounds
        for call in round_.calls
        if call.status or call.stderr
    ]

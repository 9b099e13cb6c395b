"""Ending a whole tree: TERM, then some time, then KILL until nothing is left."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from runjobs.adapters import tree

if TYPE_CHECKING:
    from runjobs.adapters.cgroup import Leaf
    from runjobs.core.outcome import Verdict
    from runjobs.core.procstat import Stat

FIRST_RETRY = 0.01  # seconds; what was killed is gone sooner, but for a core dump or a large memory
LONGEST_RETRY = 60.0
STUCK_AFTER = 2.5  # seconds of KILL; a process that outlives them is in D state, or another user's
NEVER = float("inf")


class Ending:
    """How far the end of a run has come. `verdict` None: it ended by itself, and only leftovers are to go.

    Times are seconds of the monotonic clock. `next_at` is when `step` has something to do again.
    """

    def __init__(self, verdict: Verdict | None, leaf: Leaf | None, now: float, kill_after: float) -> None:
        """Ask the whole tree to end; after `kill_after` seconds it is killed."""
        self.verdict = verdict
        self.began = now
        self.next_at = now + kill_after
        self.is_killing = False
        self.stuck: list[Stat] = []
        self._leaf = leaf
        self._retry = FIRST_RETRY
        self._killing_since = NEVER
        if kill_after > 0:
            tree.terminate(os.getpid())

    @property
    def signal_name(self) -> str:
        """The strongest signal that it took."""
        return "SIGKILL" if self.is_killing else "SIGTERM"

    def hurry(self, at: float) -> None:
        """Kill no later than this."""
        if not self.is_killing:
            self.next_at = min(self.next_at, at)

    def step(self, now: float) -> None:
        """Do what is due."""
        if now < self.next_at:
            return
        if not self.is_killing:
            self.is_killing = True
            self._killing_since = now
        if self._leaf is not None:
            enlist(self._leaf)
            self._leaf.kill()
        left = tree.kill(os.getpid())
        if now - self._killing_since >= STUCK_AFTER:
            self.stuck = left
        self.next_at = now + self._retry
        self._retry = min(self._retry * 2, LONGEST_RETRY)


def milliseconds_to(until: float) -> int | None:
    """How long to poll; rounded up, or the last millisecond would be spent in polls that don't wait."""
    return None if until == NEVER else max(0, math.ceil((until - time.monotonic()) * 1000))


def enlist(leaf: Leaf) -> None:
    """Move the whole tree into its control group, again until nobody was forked outside of it meanwhile."""
    before: set[int] = set()
    for _ in range(tree.ATTEMPTS):
        outside = {process.pid for process in tree.descendants(os.getpid())} - set(leaf.members())
        if outside <= before:
            return  # all are in, but for those that can't be moved
        for pid in outside:
            leaf.take(pid)
        before = outside

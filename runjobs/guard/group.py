"""The control group of a run: made when it has to be, asked what became of the run in it, and gone after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.adapters import cgroup
from runjobs.adapters.launch import LaunchError
from runjobs.core.limits import Lack, Memory, limits_of, out_of_memory
from runjobs.guard.ending import NEVER, enlist

if TYPE_CHECKING:
    from runjobs.adapters.cgroup import Leaf
    from runjobs.adapters.process import Used
    from runjobs.core.outcome import Verdict
    from runjobs.guard.assignment import Assignment

ENLIST_AFTER = 0.1  # seconds: moving into a control group takes up to 20 ms, which a short job need not pay


class Group:
    """A job with limits begins in its group, and whom it leaves behind stays there; any other moves in after a while.

    `leaf` is None while there is none. `enlist_at` is when `enlist` has something to do, in monotonic seconds.
    """

    def __init__(self, assignment: Assignment, began: float) -> None:
        """Nothing is made yet."""
        self.leaf: Leaf | None = None
        self._assignment = assignment
        self._limits = limits_of(assignment.job.options)
        is_enlisted = assignment.cgroup is not None and not self.is_limited
        self.enlist_at = began + ENLIST_AFTER if is_enlisted else NEVER
        self._memory = Memory()
        self._cpu = (0.0, 0.0)

    @property
    def is_limited(self) -> bool:
        """Whether the job has limits."""
        return bool(self._limits.controllers)

    def confine(self) -> int | None:
        """Make the group with its limits, before the job starts; the descriptor by which the job goes in, if it does.

        LaunchError where a limit can't be held: then the job does not start.
        """
        if not self.is_limited:
            return None
        from runjobs.adapters.cgroup import limited, scope

        names, ground = self._limits.controllers, self._assignment.ground
        if isinstance(ground, Lack):
            raise LaunchError("limits", f"{ground.of(names)}; {ground.remedy}")
        try:
            if ground.is_scope:
                scope.enter(ground.base, names)
            self.leaf = limited.make_limited(ground.base, self._assignment.run_id, self._limits.writes)
            return limited.open_entrance(self.leaf)
        except OSError as error:
            lack = Lack(f"{error.filename or ground.base}: {error.strerror}", "")
            raise LaunchError("limits", lack.of(names)) from error

    def enlist(self, now: float) -> None:
        """Move the run into a group of its own, if it has lived long enough to be worth it."""
        if now < self.enlist_at:
            return
        self.enlist_at = NEVER
        self.leaf = cgroup.make_leaf(str(self._assignment.cgroup), self._assignment.run_id)
        if self.leaf is not None:
            enlist(self.leaf)

    def is_killed(self) -> bool:
        """Whether the kernel killed the whole group, for want of memory: who is still there is dying."""
        if self.leaf is None or self._limits.memory is None:
            return False
        from runjobs.adapters.cgroup import limited

        return limited.memory_of(self.leaf).killed > 0

    def close(self, *, is_empty: bool) -> None:
        """Ask the group what it knows, and remove it; whom a job with limits left behind keeps it, and them."""
        if self.leaf is None:
            return
        from runjobs.adapters.cgroup import limited

        self._memory = limited.memory_of(self.leaf)
        if not self.is_limited:
            self.leaf.dissolve()
            return
        self._cpu = limited.spent_by(self.leaf)
        if is_empty:
            self.leave()

    def leave(self) -> None:
        """Remove the group, in which nobody is any more."""
        if self.leaf is not None:
            self.leaf.remove()
            self.leaf = None

    def judge(self, verdict: Verdict) -> Verdict:
        """A verdict, once more, by what the group said."""
        return out_of_memory(verdict, self._memory, self._limits)

    def correct(self, used: Used) -> Used:
        """What a run has used, by the group's word where that knows more: of those that nobody waited for, too."""
        user, system = self._cpu
        peak = self._memory.peak if self._limits.memory is not None else None
        return used._replace(
            cpu_user=max(used.cpu_user, user), cpu_system=max(used.cpu_system, system), max_rss=peak or used.max_rss
        )

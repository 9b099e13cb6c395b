"""A guard: one forked process per run, which starts the job, watches it, ends all of it, and reports."""

from __future__ import annotations

from runjobs.guard.assignment import Assignment, Equipment, Passthrough
from runjobs.guard.messages import Ack, Channel, Message, Stop, Stuck
from runjobs.guard.remains import Remains, kill_remains
from runjobs.guard.spawn import make_channel, spawn_guard, stop_guard, warm

__all__ = [
    "Ack",
    "Assignment",
    "Channel",
    "Equipment",
    "Message",
    "Passthrough",
    "Remains",
    "Stop",
    "Stuck",
    "kill_remains",
    "make_channel",
    "spawn_guard",
    "stop_guard",
    "warm",
]

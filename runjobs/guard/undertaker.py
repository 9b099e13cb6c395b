"""The undertaker: a process that ends what is left of a run whose guard is dead, where that takes longer.

It stands where the guard stood: it holds the run's lock, reports to the runner or records alone, and outlives it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import time
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from runjobs.adapters import process
from runjobs.guard.account import NAMED
from runjobs.guard.ending import LONGEST_RETRY, STUCK_AFTER
from runjobs.guard.life import ACK_PATIENCE, NOTE_AFTER
from runjobs.guard.messages import Ack, Stuck
from runjobs.guard.remains import PAUSE, Hunt
from runjobs.guard.spawn import stand_apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.core.run import ProcessId, RunEnd
    from runjobs.guard.messages import Channel
    from runjobs.guard.remains import Remains


class Burial(NamedTuple):
    """Everything an undertaker needs.

    `main` and `base` are as for `kill_remains`. `lock_fds` hold the run's locks; they are let go once the end is
    recorded. `describe` makes an end of all that was killed, `note` is told it before anybody else.
    """

    run_id: str
    main: ProcessId | None
    base: str | None
    channel: Channel
    lock_fds: tuple[int, ...]
    describe: Callable[[Remains], RunEnd]
    note: Callable[[RunEnd], None]


def spawn_undertaker(burial: Burial, record_alone: Callable[[RunEnd], None]) -> int:
    """Fork an undertaker; returns its pid, in the caller alone. For `record_alone` and the rest see `spawn_guard`.

    OSError when no process can be made.
    """
    pid = process.fork()
    if pid == 0:
        _become_undertaker(burial, record_alone)
    return pid


def _become_undertaker(burial: Burial, record_alone: Callable[[RunEnd], None]) -> NoReturn:
    status = 70  # EX_SOFTWARE, sysexits(3): the run has no end then, and the next recovery begins anew
    try:
        gc.disable()
        # by its title too it is a guard: nothing that matters to whoever looks for the holder tells them apart
        stand_apart((0, 1, 2), burial.channel.fileno(), *burial.lock_fds)
        bury(burial, record_alone)
        status = 0
    finally:
        os._exit(status)


def bury(burial: Burial, record_alone: Callable[[RunEnd], None]) -> None:
    """Kill until nothing is left, then report: to the runner, or where it does not answer, alone.

    A process that can't be killed yet is told once; it is tried again after 0.1 s, 0.2 s and so on up to a minute,
    and its end is noticed at once.
    """
    hunt = Hunt(burial.run_id, burial.main, burial.base)
    began, pause, is_told = time.monotonic(), PAUSE, False
    while hunt.step(pause):
        pause = min(pause * 2, LONGEST_RETRY)
        if not is_told and time.monotonic() - began >= STUCK_AFTER:
            is_told = True
            burial.channel.send(Stuck(burial.run_id, hunt.remains.stuck[:NAMED]))
    _report(burial, burial.describe(hunt.remains), record_alone)


def _report(burial: Burial, end: RunEnd, record_alone: Callable[[RunEnd], None]) -> None:
    """Have the end recorded, as a guard does."""
    burial.channel.send(end)
    if not _wait_for_ack(burial.channel, NOTE_AFTER):
        with contextlib.suppress(OSError):  # a full disk
            burial.note(end)
    if not _wait_for_ack(burial.channel, ACK_PATIENCE):
        record_alone(end)


def _wait_for_ack(channel: Channel, seconds: float) -> bool:
    patience = time.monotonic() + seconds
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    while channel.is_open and (left := patience - time.monotonic()) > 0:
        poller.poll(left * 1000)
        if any(isinstance(message, Ack) for message in channel.receive()):
            return True
    return False

"""The clock, the zone of this machine, the boot, and a timer on the wall clock."""

from __future__ import annotations

import errno
import io
import os
import struct
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.core.clockwatch import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOCALTIME: Final = Path("/etc/localtime")
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
TFD_TIMER_ABSTIME: Final = 1  # linux/timerfd.h
TFD_TIMER_CANCEL_ON_SET: Final = 2
CLOSE: Final = 0.1  # seconds: clocks that are read within it are read at once
ATTEMPTS: Final = 3
TFD_FLAGS: Final = os.O_CLOEXEC | os.O_NONBLOCK


def now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def local_zone(environ: Mapping[str, str] | None = None, localtime: Path = LOCALTIME) -> tzinfo:
    """The machine's zone: TZ, else what /etc/localtime is, else UTC (as localtime(3) has it)."""
    from zoneinfo import ZoneInfo

    name = (os.environ if environ is None else environ).get("TZ", "").removeprefix(":")
    try:
        if name:
            return _zone(name)
        _, found, key = str(localtime.resolve()).partition("/zoneinfo/")
        if found:
            return ZoneInfo(key)
        with localtime.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError, KeyError):
        return UTC  # no zone data, or a name or rule that is none


def _zone(name: str) -> tzinfo:
    """The zone of this name, or else of a POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`; ValueError for neither."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return ZoneInfo.from_file(io.BytesIO(_footer_alone(name.encode("ascii"))), key=name)


def _footer_alone(rule: bytes) -> bytes:
    """Zone data in which everything is left to the footer, tzfile(5)."""
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4)
    block = header + struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    return block + block + b"\n" + rule + b"\n"


def boot_id() -> str:
    """The kernel's id of this boot, random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def reading() -> Reading:
    """All clocks at once; a container may have a boot clock of its own, time_namespaces(7), which is another boot."""
    boot = f"{boot_id()}/{_time_namespace()}"
    for _ in range(ATTEMPTS):
        uptime, wall, awake = time.clock_gettime(time.CLOCK_BOOTTIME), now(), time.clock_gettime(time.CLOCK_MONOTONIC)
        if time.clock_gettime(time.CLOCK_BOOTTIME) - uptime < CLOSE:
            break  # neither suspended nor put aside in between
    return Reading(wall, timedelta(seconds=uptime), timedelta(seconds=awake), boot)


def _time_namespace() -> int:
    try:
        return os.stat("/proc/self/ns/time").st_ino
    except OSError:
        return 0  # a kernel before 5.6, or one of its imitations


def boot() -> tuple[str, datetime]:
    """The boot as a job sees it: its identity (boot id and PID 1's start, in ticks) and when PID 1 started.

    A restarted container has a new PID 1 on the same boot id, proc_pid_stat(5) field 22.
    """
    try:
        stat = Path("/proc/1/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return boot_id(), now() - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))  # hidepid, proc(5)
    ticks = int(stat.rpartition(")")[2].split()[19])
    up = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / TICKS_PER_SECOND)
    return f"{boot_id()}/{ticks}", now() - up


class Timer:
    """A timerfd on the wall clock: readable at the instant set, or as soon as somebody sets the clock or it has slept.

    An absolute timer is 0.1 to 0.2 ms late after a minute; the timeout of a poll is late by 0.1 % of its length.
    """

    def __init__(self) -> None:
        """Open the timer, unarmed; OSError where the kernel refuses."""
        self._settime = _load_settime()
        self.fd = _create()

    def arm(self, at: datetime | None) -> bool:
        """Wake at `at`; None: only when the clock is set.

        True: it was set since the last look, and nothing else tells.
        """
        # an instant of zero would disarm it: one in the past fires at once
        seconds = max(at.timestamp(), 1e-9) if at is not None else float(1 << 40)
        whole = int(seconds)
        value = struct.pack("@qqqq", 0, 0, whole, int((seconds - whole) * 1e9))
        try:
            self._settime(self.fd, value)
        except OSError as error:
            if error.errno != errno.ECANCELED:  # the kernel's timerfd_setup() arms it first, and then says so
                raise
            return True
        return False

    def drain(self) -> bool:
        """Take note of a wake-up; True when the clock was set (ECANCELED, timerfd_create(2))."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return False

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)


def _create() -> int:
    if hasattr(os, "timerfd_create"):
        return int(os.timerfd_create(time.CLOCK_REALTIME, flags=TFD_FLAGS))
    import ctypes

    fd = ctypes.CDLL(None, use_errno=True).timerfd_create(time.CLOCK_REALTIME, TFD_FLAGS)
    if fd < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return int(fd)


def _load_settime() -> Callable[[int, bytes], None]:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def settime(fd: int, value: bytes) -> None:
        # os.timerfd_settime (3.13) can't ask for cancel-on-set, so the C call serves every version
        if libc.timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, value, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    return settime

"""What of this machine runjobs depends on: a clock that is kept right, time zones, limits."""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path
from typing import Final, NamedTuple

ADJTIMEX_SIZE: Final = 512  # bytes: more than struct timex has anywhere, adjtimex(2)
TAG: Final = b"RUNJOBS_RUN_ID="
TIME_ERROR: Final = 5  # the clock is not synchronised


class Limits(NamedTuple):
    """How many files a process, and how many processes a user may have at the most; None: no bound."""

    files: int | None
    processes: int | None


def is_synchronised() -> bool | None:
    """Whether something keeps the clock right, by the kernel's word; None where it says nothing."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    state = int(adjtimex(ctypes.create_string_buffer(ADJTIMEX_SIZE)))  # all zeros: it only asks
    return None if state < 0 else state != TIME_ERROR


def zone_version() -> str:
    """The release of the time zone data, such as `2026a`; "" where there is none, or it does not say."""
    import zoneinfo

    for folder in zoneinfo.TZPATH:
        for name, skipped in (("tzdata.zi", "# version "), ("+VERSION", "")):
            try:
                with (Path(folder) / name).open(encoding="ascii", errors="replace") as file:
                    return file.readline().strip().removeprefix(skipped)
            except OSError:
                continue
    return ""


def has_zones() -> bool:
    """Whether zones other than UTC are known."""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo("Europe/Berlin")
    except (OSError, ValueError, KeyError):
        return False
    return True


def limits() -> Limits:
    """What we may have at the most."""
    kinds = (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
    hard = [resource.getrlimit(kind)[1] for kind in kinds]
    return Limits(*(None if value == resource.RLIM_INFINITY else value for value in hard))


def free_inodes(folder: Path) -> int | None:
    """How many more files a file system takes; None where it has no bound."""
    status = os.statvfs(folder)
    return status.f_favail if status.f_files else None


def tagged() -> dict[int, tuple[str, str]]:
    """The processes that we may look at and that have a run's id in their environment: its id, and their names."""
    found = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            told = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            comm = Path(f"/proc/{name}/comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue  # gone, or another user's
        run = next((word.partition(b"=")[2].decode("ascii", "replace") for word in told if word.startswith(TAG)), None)
        if run is not None:
            found[int(name)] = run, comm
    return found

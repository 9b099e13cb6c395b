"""Stable numbers from names: the minute that `H` picks, how long a jittered fire waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zlib import crc32

_WORD = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: neighbouring salts end up far apart (splitmix64)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stable_number(name: str, salt: int) -> int:
    """Return 64 bits that depend on name and salt alone: the same in every process and Python version.

    The checksum is mixed with splitmix64's finaliser, since crc32 is linear: without it the minute that a name
    gets would say which hours it can get.
    """
    number = (crc32(name.encode("utf-8", "surrogatepass")) + salt * _GOLDEN) & _WORD
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _WORD
    return number ^ (number >> 31)


def delay(job: str, scheduled: datetime, jitter: timedelta) -> timedelta:
    """Return how long this fire of this job waits: 0 to `jitter`, the same in every runner."""
    microseconds = jitter // timedelta(microseconds=1)
    if microseconds <= 0:
        return timedelta(0)
    instant = (scheduled - _EPOCH) // timedelta(seconds=1)
    return timedelta(microseconds=stable_number(job, instant) % (microseconds + 1))

"""What became of the clock between two readings: how long the machine slept, how far its clock was set."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.fire import from_milliseconds, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runjobs.core.plan import Decision

# NTP slews the wall clock and the boot clock alike, up to 500 ppm, and a leap second is one second: neither is a step.
# The clocks of one reading are not read at one instant either, and no schedule notices less.
NOTICEABLE = timedelta(seconds=2)
NOTHING = timedelta(0)
MILLISECOND = timedelta(milliseconds=1)
NAMED = 3  # jobs that a sentence names


class Reading(NamedTuple):
    """The clocks at one instant.

    `wall` is aware; `uptime` counts from the boot, sleep included, and `awake` without it (CLOCK_BOOTTIME and
    CLOCK_MONOTONIC, clock_gettime(2)). Readings can be compared where `boot`, the boot that these count from, is one.
    """

    wall: datetime
    uptime: timedelta
    awake: timedelta
    boot: str


class Shift(NamedTuple):
    """For how long the machine slept, and how far its clock was set forward (negative: back)."""

    asleep: timedelta = NOTHING
    stepped: timedelta = NOTHING


STILL = Shift()


def shift_between(before: Reading, after: Reading) -> Shift:
    """Say what became of the clock; too little to matter is none, and after a restart nothing can be said."""
    if before.boot != after.boot:
        return STILL
    asleep = (after.uptime - after.awake) - (before.uptime - before.awake)
    stepped = (after.wall - after.uptime) - (before.wall - before.uptime)
    return Shift(
        asleep if asleep >= NOTICEABLE else NOTHING,
        stepped if abs(stepped) >= NOTICEABLE else NOTHING,
    )


def pack(reading: Reading) -> str:
    """Write a reading as a line of text, to the millisecond."""
    return " ".join(
        map(
            str, (milliseconds(reading.wall), reading.uptime // MILLISECOND, reading.awake // MILLISECOND, reading.boot)
        )
    )


def unpack(text: str | None) -> Reading | None:
    """Read what `pack` wrote; None for what it did not."""
    try:
        wall, uptime, awake, boot = (text or "").split(" ")
        return Reading(from_milliseconds(int(wall)), int(uptime) * MILLISECOND, int(awake) * MILLISECOND, boot)
    except (ValueError, OverflowError):
        return None


def sentence_on_resets(decisions: Sequence[Decision]) -> str:
    """Tell of marks in the future that were given up, in one sentence however many they are; "": there are none."""
    resets = [(decision.reset_from, decision.job) for decision in decisions if decision.reset_from is not None]
    if not resets:
        return ""
    names = ", ".join(job for _, job in resets[:NAMED])
    if len(resets) > NAMED:
        names += f" and {len(resets) - NAMED} more"
    until = max(instant for instant, _ in resets).isoformat(timespec="seconds")
    return (
        f"the clock was set back: {names} had fires on record up to {until}, which is still to come;"
        " these keep their records, and the jobs go on from now"
    )

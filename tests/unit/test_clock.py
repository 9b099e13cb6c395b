"""The clock: the machine's zone, its boot, and a timer on the wall clock."""

from __future__ import annotations

import contextlib
import errno
import os
import select
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from runjobs.adapters import clock
from runjobs.adapters.clock import Timer, local_zone
from runjobs.core.clockwatch import STILL, pack, shift_between, unpack

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)
NOWHERE = Path("/no/such/localtime")
BERLIN = Path("/usr/share/zoneinfo/Europe/Berlin")
needs_zone_files = pytest.mark.skipif(not BERLIN.exists(), reason="there are no zone files (apt-get install tzdata)")


@pytest.mark.parametrize("name", ["Europe/Berlin", ":Europe/Berlin"])
def test_tz_names_the_zone_with_or_without_a_colon(name: str) -> None:
    assert local_zone({"TZ": name}, NOWHERE) == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("name", ["Nowhere/AtAll", "CET-99,nonsense", "\u00e9", "../../etc/passwd", "/etc/passwd"])
def test_a_zone_that_cannot_be_read_is_utc_as_the_c_library_has_it(name: str) -> None:
    assert local_zone({"TZ": name}, NOWHERE) is UTC


@needs_zone_files
def test_without_tz_the_link_at_localtime_names_the_zone(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to(BERLIN)
    assert str(local_zone({}, link)) == "Europe/Berlin"
    assert str(local_zone({"TZ": ""}, link)) == "Europe/Berlin"


@needs_zone_files
def test_a_localtime_that_is_a_copy_has_the_rules_of_the_zone_though_no_name(tmp_path: Path) -> None:
    copy = tmp_path / "localtime"
    copy.write_bytes(BERLIN.read_bytes())
    assert local_zone({}, copy).utcoffset(SUMMER) == timedelta(hours=2)


@pytest.mark.parametrize("content", [b"", b"no zone"])
def test_a_localtime_that_is_missing_or_broken_is_utc(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "localtime").write_bytes(content)
    assert local_zone({}, tmp_path / "localtime") is UTC
    assert local_zone({}, NOWHERE) is UTC


def test_the_boot_is_the_same_each_time_we_look_and_lies_in_the_past() -> None:
    (identity, at), (again, _) = clock.boot(), clock.boot()
    assert identity == again
    assert identity.startswith(clock.boot_id())
    assert at < clock.now()


def test_now_is_aware_and_in_utc() -> None:
    assert clock.now().tzinfo is UTC


def test_two_readings_of_an_undisturbed_machine_show_no_shift() -> None:
    before, after = clock.reading(), clock.reading()
    assert shift_between(before, after) == STILL
    assert before.boot == after.boot
    assert before.uptime <= after.uptime


def test_a_reading_is_kept_as_a_line_of_text() -> None:
    reading = clock.reading()
    kept = unpack(pack(reading))
    assert kept is not None
    assert kept.boot == reading.boot
    assert shift_between(kept, reading) == STILL


def is_readable(timer: Timer, milliseconds: int | None) -> bool:
    poller = select.poll()
    poller.register(timer.fd, select.POLLIN)
    return bool(poller.poll(milliseconds))


@pytest.mark.parametrize("before", [timedelta(0), timedelta(days=3), timedelta(days=60 * 365)])
def test_a_timer_for_an_instant_that_has_passed_is_readable(before: timedelta) -> None:
    timer = Timer()
    timer.arm(clock.now() - before)
    assert is_readable(timer, 60_000)
    assert not timer.drain()  # nobody has set the clock
    assert not is_readable(timer, 0)
    timer.close()


def test_a_timer_that_waits_for_nothing_or_for_later_is_not_readable() -> None:
    timer = Timer()
    assert not is_readable(timer, 0)
    timer.arm(None)
    assert not is_readable(timer, 0)
    timer.arm(clock.now() + timedelta(days=400))
    assert not is_readable(timer, 0)
    assert not timer.drain()
    timer.close()


def test_a_timer_wakes_at_its_instant_and_not_before() -> None:
    timer = Timer()
    at = clock.now() + timedelta(milliseconds=20)
    timer.arm(at)
    assert is_readable(timer, 60_000)
    assert clock.now() >= at
    timer.close()


@pytest.mark.parametrize("number", [errno.ECANCELED, errno.EINVAL])
def test_a_clock_that_is_set_before_the_timer_is_armed_again_is_told_by_arming_it(number: int) -> None:
    def refuse(fd: int, value: bytes) -> None:
        raise OSError(number, "timerfd_settime")

    timer = Timer()
    assert not timer.arm(None)
    timer._settime = refuse
    with contextlib.nullcontext() if number == errno.ECANCELED else pytest.raises(OSError, match="timerfd_settime"):
        assert timer.arm(None)
    timer.close()


def test_a_program_that_is_started_does_not_get_the_timer() -> None:
    timer = Timer()
    assert not os.get_inheritable(timer.fd)
    timer.close()


@pytest.mark.parametrize(
    ("rule", "winter", "summer"),
    [
        ("CET-1CEST,M3.5.0,M10.5.0/3", 60, 120),
        ("<+0330>-3:30", 210, 210),
        ("GMT+3", -180, -180),
        ("EST5EDT", -300, -240),
    ],
)
def test_a_posix_rule_is_a_zone_too(rule: str, winter: int, summer: int) -> None:
    zone = local_zone({"TZ": rule})
    offsets = [datetime(2026, month, 1, tzinfo=UTC).astimezone(zone).utcoffset() for month in (1, 7)]
    assert offsets == [timedelta(minutes=winter), timedelta(minutes=summer)]
    assert str(zone) == rule  # a schedule's identity, which must be the same in each process

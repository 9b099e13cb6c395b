"""PID files: held by one, read by all, stale without harm, removed by who made them alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters import pidfile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runner.pid"


def test_who_takes_it_keeps_others_out_until_it_is_closed(path: Path) -> None:
    first = pidfile.take(path)
    assert first is not None
    assert pidfile.read(path) == os.getpid()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert pidfile.take(path) is None
    first.close()
    assert not path.exists()
    second = pidfile.take(path)
    assert second is not None
    second.close()


@pytest.mark.parametrize("text", ["", "12", "99999999999999999999\n", "none of ours, and long\n" * 100, "\0" * 4096])
def test_what_stood_in_a_stale_one_is_gone(path: Path, text: str) -> None:
    path.write_text(text)
    held = pidfile.take(path)
    assert held is not None
    assert path.read_text() == f"{os.getpid()}\n"
    held.close()


@pytest.mark.parametrize("text", ["", "twelve\n", "-1\n", "\0" * 4096, "1 2\n"])
def test_a_file_without_a_pid_names_nobody(path: Path, text: str) -> None:
    path.write_text(text)
    assert pidfile.read(path) is None


def test_where_there_is_no_file_there_is_no_pid(path: Path) -> None:
    assert pidfile.read(path) is None


def test_a_file_that_somebody_put_in_its_place_is_not_removed(path: Path) -> None:
    held = pidfile.take(path)
    assert held is not None
    path.unlink()
    path.write_text("another's\n")
    held.close()
    assert path.read_text() == "another's\n"


def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "."):
        with pytest.raises(OSError, match=r"."):
            pidfile.take(tmp_path / name)
    assert not target.exists()
    assert pidfile.read(tmp_path / "pipe") is None

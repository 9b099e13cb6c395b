"""What the options of a runner that stays come to."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runjobs.adapters.runnerlog import Bounds
from runjobs.cli.staying import Staying, absolute, staying
from runjobs.core.errors import UsageError
from runjobs.settings import Settings


def read(words: dict[str, str], *, daemon: bool = False) -> Staying:
    asked: dict[str, str | None] = dict.fromkeys(("--pid-file", "--log-file", "--log-size", "--log-keep"))
    given = {f"--{name.replace('_', '-')}": text for name, text in words.items()}
    return staying(timedelta(seconds=8), asked | given, leave=False, daemon=daemon)


@pytest.mark.parametrize(
    ("words", "bounds"),
    [
        ({}, Bounds(10_000_000, files=10)),
        ({"log_size": "1Mi"}, Bounds(1_048_576, files=10)),
        ({"log_keep": "3"}, Bounds(10_000_000, files=3)),
        ({"log_keep": "50M"}, Bounds(10_000_000, total=50_000_000)),
        ({"log_size": "4096", "log_keep": "5000b"}, Bounds(4096, total=5000)),
    ],
)
def test_a_plain_number_is_one_of_files_and_one_with_a_unit_of_bytes(words: dict[str, str], bounds: Bounds) -> None:
    assert read({"log_file": "/log"} | words).bounds == read(words, daemon=True).bounds == bounds


@pytest.mark.parametrize(
    "words", [{"log_size": "4095"}, {"log_size": "big"}, {"log_keep": "0"}, {"log_keep": "0M"}, {"log_keep": "-1"}]
)
def test_bounds_that_can_not_be_are_usage_errors_with_a_way_out(words: dict[str, str]) -> None:
    with pytest.raises(UsageError) as refused:
        read(words, daemon=True)
    assert refused.value.message.startswith(f"--{next(iter(words)).replace('_', '-')} ")
    assert refused.value.hint


@pytest.mark.parametrize("name", ["log_size", "log_keep"])
def test_bounds_of_a_log_that_is_not_there_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is for a log file, and there is none"):
        read({name: "10"})


def test_a_daemon_leaves_its_folder_so_its_paths_are_made_to_mean_the_same() -> None:
    settings = absolute(Settings(("jobs.d", "/etc/jobs"), "--jobs", "state", cwd="."))
    assert all(path.startswith("/") for path in (*settings.jobs, settings.state, settings.cwd or ""))
    assert settings.jobs[1] == "/etc/jobs"
    assert absolute(Settings((), "", "/state")).cwd is None

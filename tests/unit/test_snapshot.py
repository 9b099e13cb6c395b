"""What a look leaves out, since runners write it, and what it says of paths that are not there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.snapshot import Ours, look
from runjobs.core.watchpaths import read_paths

if TYPE_CHECKING:
    from pathlib import Path

    from runjobs.core.watching import Sight

STAMP = "20261121T040000.123Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("state/logs/job", "in"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("state/ledger", "state/logs/job/1.log", "in/a", "in/runner.log", f"in/runner.log.{STAMP}.gz"):
        (tmp_path / name).touch()
    (tmp_path / "in" / "link").symlink_to("../state/logs/job/1.log")
    (tmp_path / "in" / "away").symlink_to("../state/logs")
    return tmp_path


def seen(root: Path, *paths: str, own: tuple[str, ...] = (), recursive: bool = True) -> Sight:
    patterns = read_paths("@watch " + " ".join(f"{root}/{path}" for path in paths))
    without = Ours([str(root / "state"), str(root / "nowhere")], [str(root / each) for each in own])
    return look(patterns, recursive=recursive, without=without)


def names(root: Path, sight: Sight) -> set[str]:
    return {os.path.relpath(path, root) for path in sight.entries}


@pytest.mark.parametrize(
    "path",
    ["state", "state/logs", "state/logs/job/1.log", "state/*", "state/*/job", "state/l*/job/*", "in/away",
     "in/away/job", "in/away/*/1.log", "in/link", "state/to-come"],
)  # fmt: skip
def test_nothing_in_a_folder_of_ours_is_looked_at_by_whatever_path_it_is_reached(root: Path, path: str) -> None:
    sight = seen(root, path)
    assert (sight.entries, sight.missing, sight.unread) == ({}, {}, {})
    assert not any(str(root / "state") in os.path.realpath(place) for place in sight.places)


def test_a_link_to_a_file_of_ours_does_not_change_with_it(root: Path) -> None:
    before = seen(root, "in")
    (root / "state" / "logs" / "job" / "1.log").write_text("more")
    assert seen(root, "in") == before
    (root / "in" / "link").unlink()
    (root / "in" / "link").symlink_to("../state/ledger")
    assert seen(root, "in").entries != before.entries


def test_all_else_is_seen_with_what_is_beside_it(root: Path) -> None:
    assert {"in", "in/a", "in/link", "in/away", "in/runner.log"} <= names(root, seen(root, "in"))
    assert "state/logs" not in names(root, seen(root, "*"))


@pytest.mark.parametrize("path", ["in", "in/*", "in/runner.log", "*/runner.log", f"in/runner.log.{STAMP}.gz"])
def test_a_log_of_a_runner_is_left_out_with_what_is_made_of_it(root: Path, path: str) -> None:
    (root / "in" / f"runner.log.{STAMP}").touch()
    sight = seen(root, path, own=("in/runner.log", "gone/x"))
    assert not [name for name in names(root, sight) if "runner.log" in name]
    assert any("runner.log" in each for each in sight.ours) or path == "in/*"


def test_a_log_is_left_out_by_its_links_too(root: Path) -> None:
    (root / "other").symlink_to("in")
    (root / "current").symlink_to("in/runner.log")
    sight = seen(root, "current", "other", own=("other/runner.log",))
    assert names(root, sight) == {"other", "other/a", "other/link", "other/away"}
    before = seen(root, "in", own=("in/a",))
    (root / "in" / "to-a").symlink_to("a")
    with_link = seen(root, "in", own=("in/a",))
    (root / "in" / "a").write_text("more")
    assert seen(root, "in", own=("in/a",)).entries == with_link.entries != before.entries


def test_a_file_with_almost_the_name_of_our_log_is_seen(root: Path) -> None:
    for name in ("runner.log.conf", "runner-log", "my.runner.log", ".runner.log.x"):
        (root / "in" / name).touch()
    (root / "in" / ".runner.log.41.tmp").touch()
    assert names(root, seen(root, "in", own=("in/runner.log",))) == {
        *("in", "in/a", "in/link", "in/away"),
        *("in/runner.log.conf", "in/runner-log", "in/my.runner.log", "in/.runner.log.x"),
    }


def test_of_a_named_path_that_is_not_there_it_is_known_when_its_folder_changed(root: Path) -> None:
    os.utime(root / "in", ns=(7, 7))
    os.utime(root, ns=(9, 9))
    sight = seen(root, "in/none", "no/such/path", "in/a/b")
    assert sight.missing == {
        str(root / "in/none"): 7,
        str(root / "no/such/path"): 9,
        str(root / "in/a/b"): (root / "in" / "a").stat().st_mtime_ns,
    }
    assert sight.touched == 0

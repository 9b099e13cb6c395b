"""docs/ahead.md: its screens are what the commands print, and its tables name every key of their documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runjobs.core.comparing import Kind
from tests.support.ahead import screens
from tests.support.calling import call
from tests.support.night import build

PAGE = (Path(__file__).parents[2] / "docs/ahead.md").read_text(encoding="utf-8")


def test_the_screens_are_what_the_commands_print(tmp_path: Path) -> None:
    for command, screen in screens(tmp_path).items():
        assert f"```\n$ {command}\n{screen}\n```\n" in PAGE, screen


def documented(command: str) -> set[str]:
    """The keys that the page names for a command's document, those of its parts too."""
    part = PAGE.partition(f"### {command} --json")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([a-z_]+)`", row)}


def keys(value: object) -> set[str]:
    match value:
        case dict():
            return {key for key in value if "_" in key or key.isalpha()} | {
                key for name, part in value.items() if name not in COUNTERS for key in keys(part)
            }
        case list():
            return {key for part in value for key in keys(part)}
    return set()


COUNTERS = {"ends", "skipped", "missed", "waits"}  # objects whose keys are outcomes, reasons, or what is waited for


@pytest.mark.parametrize(
    "words",
    [
        ["explain", "30 2 * * 7", "--tz", "Europe/Berlin"],
        ["simulate", "--cold", "--from", "2026-11-20T00:00Z", "--to", "2026-11-21T00:00Z"],
        ["diff", "jobs", "new"],
    ],
)
def test_every_key_of_a_document_is_documented_and_no_other(words: list[str], tmp_path: Path) -> None:
    build(tmp_path)
    (tmp_path / "new").write_text((tmp_path / "jobs").read_text().replace("15 3 *", "45 3 *").replace("--all", ""))
    place = ["--jobs", str(tmp_path / "jobs"), "--trust-jobs", "--json"]
    if words[0] == "simulate":
        place += ["--state", str(tmp_path / "state")]
    called = ["diff", str(tmp_path / "jobs"), str(tmp_path / "new"), "--json"] if words[0] == "diff" else words + place
    assert documented(words[0]) == keys(call(*called).json)


def test_every_kind_of_difference_is_documented() -> None:
    assert [kind.value for kind in Kind if f"| `{kind.value}` |" not in PAGE] == []

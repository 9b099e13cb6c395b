"""The house itself: floors that hold, documents that tell the truth, and words that have no place here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from runjobs.cli.main import COMMANDS
from tests.support.calling import call

ROOT = Path(__file__).parents[2]
OURS = [".ci", "bench", "contrib", "docs", "jobs.d", "runjobs", "tests"]
MODULES = sorted(path.relative_to(ROOT / "runjobs").with_suffix("").as_posix() for path in ROOT.glob("runjobs/**/*.py"))
DOCUMENTS = [
    "README.md",
    "docs/jobs-file.md",
    "contrib/container.md",
    "contrib/runjobs.cron",
    "contrib/runjobs.service",
]
CALL = re.compile(r"(?:^|`)(?:ExecStart=/\S+/)?(?:# )?(?:(?:\* ){5}(?:root )?)?(runjobs [^`\n]+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def calls(document: str) -> list[list[str]]:
    """The words of every `runjobs …` that stands in a block of commands, in backquotes, in a crontab or a unit."""
    text = read(document)
    if document.endswith(".service"):
        text = text.replace("ExecStart=/usr/local/bin/", "")
    found = [match[1] for match in CALL.finditer(text) if not re.search(r"[│─…]|: ", match[1])]
    return [shlex.split(line, comments=True) for line in found]


def texts() -> list[Path]:
    """Every file of ours that a person reads or writes."""
    top = [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".coverage")]
    below = [path for folder in OURS for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in top + below if path.suffix != ".pyc" and "cases" not in path.relative_to(ROOT).parts]


def test_the_floors_hold() -> None:
    linter = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    ended = subprocess.run([sys.executable, "-c", linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_in_a_document_exist_with_their_options(document: str) -> None:
    for words in calls(document):
        answer = call(*words[1:], "--help")
        assert answer.code == 0, f"{document}: {' '.join(words)}: {answer.err}"


def test_the_readme_shows_every_command_and_every_exit_code() -> None:
    assert {words[1] for words in calls("README.md") if not words[1].startswith("-")} == set(COMMANDS)
    assert [code for code in (0, 1, 2, 70, 74, 75, 78, 124, 130) if f"| {code} |" not in read("README.md")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_documents(command: str) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    assert any(re.search(rf"\brunjobs {command}\b", page) for page in pages)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "completion"])  # it finds --jobs on the line
def test_every_shared_option_of_the_readme_is_an_option(command: str) -> None:
    assert "--jobs PATH" in call(command, "--help").out


@pytest.mark.parametrize("document", ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    assert [link for link in LINK.findall(read(document)) if not (folder / link).exists()] == []


def test_the_changelog_has_a_place_for_the_next_change() -> None:
    assert "\n## [Unreleased]\n" in read("CHANGELOG.md")


@pytest.mark.parametrize("decision", sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md")))
def test_a_decision_fits_on_a_page(decision: str) -> None:
    assert len(read(f"docs/decisions/{decision}").splitlines()) <= 25


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_owns_here_and_in_the_architecture(module: str) -> None:
    name = module.removesuffix("/__init__")
    assert (import_module("runjobs." + name.replace("/", ".")).__doc__ or "").strip()
    assert name in {"__init__", "__main__"} or name in read("docs/architecture.md")


def test_the_architecture_names_no_module_that_is_not_there() -> None:
    named = re.findall(r"`((?:cli|render|runner|guard|adapters|core)/[a-z/]+)`", read("docs/architecture.md"))
    there = {module.removesuffix("/__init__") for module in MODULES}
    assert sorted(set(named) - there) == []


def test_no_file_names_a_registry_or_leaves_work_for_later() -> None:
    unwanted = re.compile(r"index-url|//[\w.-]*(?:pypi|pythonhosted|artifactory)|\bTO" + r"DO\b|\bFIX" + r"ME\b")
    found = {path.relative_to(ROOT): unwanted.search(path.read_text("utf-8", "replace")) for path in texts()}
    assert {path: match[0] for path, match in found.items() if match and path.name != "test_house.py"} == {}

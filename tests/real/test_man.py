"""The manual's pages: what the commands say of themselves, in a form that man accepts without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runjobs.cli.group import load
from runjobs.cli.main import COMMANDS
from runjobs.core.option_table import OPTIONS
from tests.real.support.command_line import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ["runjobs.1", "runjobs.5"]
CHECKERS = {
    "mandoc": ["mandoc", "-Tlint", "-Wwarning"],
    "groff": ["groff", "-man", "-ww", "-Tutf8", "-Kutf8", "-z"],
}
VARIABLES = re.compile(r"\bRUNJOBS_[A-Z_]+\b")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man")
    subprocess.run([sys.executable, ROOT / ".ci" / "manual", folder], check=True, timeout=120, env=environment())
    return folder


def plain(page: Path) -> str:
    """The words of a page, without fonts and escapes."""
    text = re.sub(r"\\f[BIR]|\\&", "", page.read_text())
    return text.replace(r"\-", "-").replace(r"\e", "\\").replace(r"\(aq", "'").replace(r"\(ti", "~")


@pytest.mark.parametrize("page", PAGES)
def test_the_page_in_the_house_says_what_the_commands_say(made: Path, page: str) -> None:
    assert [
        line
        for line in (made / page).read_text().splitlines()[1:]
        if line not in (ROOT / "docs" / "man" / page).read_text().splitlines()[1:]
    ] == [], "make man writes it anew"


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_passes_without_a_warning(made: Path, page: str, checker: str) -> None:
    if shutil.which(checker) is None:
        pytest.skip(f"{checker} is not installed; make check installs it as root, on Debian")
    words = [*CHECKERS[checker], str(made / page)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_there_with_its_options(made: Path, name: str) -> None:
    page = plain(made / "runjobs.1")
    _, _, part = page.partition(f"\n.SS runjobs {name}")
    part = re.split(r"\n\.S[SH] ", part, maxsplit=1)[0]
    command = load(name, COMMANDS[name])
    with command.make_context(name, [], resilient_parsing=True) as context:
        words = [word for param in command.get_params(context) for word in param.opts if word.startswith("--")]
    assert [word for word in words if word not in part] == []


def test_what_holds_for_all_commands_stands_there(made: Path) -> None:
    page = plain(made / "runjobs.1")
    assert [code for code in (0, 1, 2, 70, 74, 75, 78, 124, 126, 127) if f"\n.TP\n{code}\n" not in page] == []
    assert {"RUNJOBS_JOBS", "RUNJOBS_STATE", "RUNJOBS_CWD"} <= set(VARIABLES.findall(page))
    assert [signal for signal in ("TERM", "INT", "HUP", "QUIT") if signal not in page] == []


def test_every_option_of_jobs_stands_there(made: Path) -> None:
    page = plain(made / "runjobs.5")
    assert [option.key for option in OPTIONS.values() if f"\n.TP\n{option.key} (as in " not in page] == []


def test_a_page_that_says_nothing_new_keeps_its_date(made: Path, tmp_path: Path) -> None:
    for page in PAGES:
        (tmp_path / page).write_text(re.sub(r"\d{4}-\d\d-\d\d", "2001-02-03", (made / page).read_text(), count=1))
    subprocess.run([sys.executable, ROOT / ".ci" / "manual", tmp_path], check=True, timeout=120, env=environment())
    assert [(tmp_path / page).read_text().count("2001-02-03") for page in PAGES] == [1, 1]

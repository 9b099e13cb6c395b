"""The command line as a shell meets it: closed and full and broken streams, terminals, locales, and what it imports."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.real.support.command_line import ROOT, SILENT, environment
from tests.real.support.processes import stat, wait_until

if TYPE_CHECKING:
    from pathlib import Path

RUNJOBS = f"{sys.executable} -m runjobs"
JOBS = "".join(f"#: name=job-{number}\n15 3 * * * echo 'é 漢 [red]' # {'x' * 100}\n" for number in range(1000))
SECOND_OF_WORK = os.sysconf("SC_CLK_TCK")  # ticks: by then it has started
SGR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    file = tmp_path / "jobs"
    file.write_text(JOBS, encoding="utf-8")
    return file


def shell(command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of sh, with no standard input."""
    words, environ = ["sh", "-c", command], bare(cwd) | more
    return subprocess.run(words, cwd=cwd, env=environ, stdin=SILENT, capture_output=True, timeout=120, check=False)


def bare(home: Path) -> dict[str, str]:
    """An environment without locale, terminal or zone."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)}


def on_terminal(command: str, cwd: Path, **more: str) -> str:
    """Run a line of sh on a pseudo-terminal and return what it shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve("/bin/sh", ["sh", "-c", command], bare(cwd) | more)
    shown = b""
    with suppress(OSError):  # EIO: the other side is closed
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    os.waitpid(pid, 0)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", ["list", "next --count 2000", "check", "list --json", "--help"])
def test_a_reader_that_leaves_ends_the_command_quietly(jobs: Path, command: str) -> None:
    line = f"{{ {RUNJOBS} {command}; echo $? >code; }} | head -n 1"
    ended = shell(line, jobs.parent, RUNJOBS_JOBS="jobs")
    assert ended.stderr == b""
    assert ended.stdout.count(b"\n") == 1
    assert (jobs.parent / "code").read_text() in {"141\n", "0\n"}  # 0: all of it went into the pipe before


def test_a_reader_that_leaves_is_told_to_the_caller_as_sigpipe_would(jobs: Path) -> None:
    shell(f"{{ {RUNJOBS} list; echo $? >code; }} | true", jobs.parent, RUNJOBS_JOBS="jobs")
    assert (jobs.parent / "code").read_text() == "141\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["--version", "list", "check --json"])
def test_closed_streams_are_no_accident(jobs: Path, command: str, closed: str) -> None:
    ended = shell(f"{RUNJOBS} {command} {closed}", jobs.parent, RUNJOBS_JOBS="jobs")
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_error_with_standard_error_closed_still_has_its_code(jobs: Path) -> None:
    assert shell(f"{RUNJOBS} nonsense 2>&-", jobs.parent).returncode == 2


@pytest.mark.parametrize("command", ["--version", "--help", "list", "check", "next", "list --json"])
def test_a_full_disk_behind_standard_output_is_an_error_of_its_own(jobs: Path, command: str) -> None:
    ended = shell(f"{RUNJOBS} {command} >/dev/full", jobs.parent, RUNJOBS_JOBS="jobs")
    assert ended.returncode == 74
    assert ended.stderr.count(b"runjobs: ") == 1
    assert b"No space left on device" in ended.stderr


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_any_locale_will_do(jobs: Path, locale: str) -> None:
    for command in ("list", "check", "next", "list --json"):
        ended = shell(f"{RUNJOBS} {command}", jobs.parent, RUNJOBS_JOBS="jobs", LC_ALL=locale)
        assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_encoding_that_lacks_a_character_shows_its_escape(jobs: Path) -> None:
    ended = shell(f"{RUNJOBS} list", jobs.parent, RUNJOBS_JOBS="jobs", PYTHONIOENCODING="latin-1")
    assert ended.returncode == 0
    assert "'é \\u6f22 [red]'".encode("latin-1") in ended.stdout


def test_text_that_is_no_utf_8_is_shown_escaped(jobs: Path) -> None:
    jobs.write_bytes(b"15 3 * * * echo \xff\n")
    ended = shell(f"{RUNJOBS} list", jobs.parent, RUNJOBS_JOBS="jobs", LC_ALL="C.UTF-8")
    assert (ended.returncode, b"echo \\udcff" in ended.stdout) == (0, True)


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_a_table_fits_the_terminal(jobs: Path, width: str) -> None:
    for command in ("list", "next"):
        line = f"{RUNJOBS} {command}"
        shown = on_terminal(line, jobs.parent, RUNJOBS_JOBS="jobs", COLUMNS=width, LANG="C.UTF-8", TERM="xterm")
        assert "\x1b[1m" in shown
        assert max(map(len, SGR.sub("", shown).splitlines())) <= int(width)


def test_no_color_means_none(jobs: Path) -> None:
    shown = on_terminal(f"{RUNJOBS} list", jobs.parent, RUNJOBS_JOBS="jobs", NO_COLOR="1", TERM="xterm", LANG="C.UTF-8")
    assert "\x1b" not in shown
    assert "─" in shown


def test_a_terminal_without_utf_8_gets_a_table_in_ascii(jobs: Path) -> None:
    jobs.write_text("15 3 * * * true\n")
    shown = on_terminal(f"{RUNJOBS} list", jobs.parent, RUNJOBS_JOBS="jobs", TERM="xterm", LANG="C")
    assert "----" in shown
    assert shown.isascii()


def test_a_pipe_gets_no_colour_and_no_frame(jobs: Path) -> None:
    ended = shell(f"{RUNJOBS} list", jobs.parent, RUNJOBS_JOBS="jobs", TERM="xterm", LANG="C.UTF-8")
    assert b"\x1b" not in ended.stdout
    assert b"--" not in ended.stdout


@pytest.mark.parametrize(
    ("command", "unwanted"),
    [
        ("--version", {"rich", "croniter", "dateutil", "filelock", "sqlite3", "pydantic", "runjobs.wiring"}),
        ("--help", {"rich", "croniter", "dateutil", "filelock", "sqlite3", "pydantic", "runjobs.wiring"}),
        ("list", {"rich", "filelock", "sqlite3", "pydantic", "runjobs.runner.engine"}),
    ],
)
def test_a_command_imports_only_what_it_needs(jobs: Path, command: str, unwanted: set[str]) -> None:
    line = f"{sys.executable} -X importtime -m runjobs {command}"
    ended = shell(line, jobs.parent, RUNJOBS_JOBS="jobs")
    imported = {line.rpartition(b"|")[2].strip().decode() for line in ended.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & unwanted


def test_ctrl_c_while_it_works_exits_130_without_a_word(jobs: Path) -> None:
    words = [sys.executable, "-m", "runjobs", "next", "--until", "9999-01-01", "--count", "100000000"]
    busy = subprocess.Popen(
        words, env=environment(RUNJOBS_JOBS=str(jobs)), stdin=SILENT, stdout=SILENT, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 else ignored, as ours may be
    )  # fmt: skip
    assert wait_until(lambda: (seen := stat(busy.pid)) and seen.ticks > SECOND_OF_WORK)
    busy.send_signal(signal.SIGINT)
    _, said = busy.communicate(timeout=60)
    assert (busy.returncode, said) == (130, b"")


def test_long_work_shows_a_sign_of_life_on_a_terminal_and_clears_it(tmp_path: Path) -> None:
    program = (
        "import sys; from runjobs.render.progress import waiting\nwith waiting('reading [red]'): input()\nprint('read')"
    )
    shown = on_terminal(
        f'{{ sleep 2; echo; }} | {sys.executable} -c "{program}"', tmp_path, TERM="xterm", LANG="C.UTF-8"
    )
    assert "reading [red]" in SGR.sub("", shown)
    assert shown.rstrip().endswith("read")


def test_short_work_shows_no_sign_of_life(jobs: Path) -> None:
    jobs.write_text("15 3 * * * true\n")
    assert "checking" not in on_terminal(f"{RUNJOBS} check", jobs.parent, RUNJOBS_JOBS="jobs", TERM="xterm")

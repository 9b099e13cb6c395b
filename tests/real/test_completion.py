"""Completion as it is met: real shells on real terminals, the key pressed, and what is then called."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from runjobs.cli.completion import SHELLS
from tests.real.support.command_line import ROOT, SILENT, Place, environment
from tests.real.support.stage import stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOBS = "#: name=backup\n0 3 * * * true\n#: name=db/nightly\n0 4 * * * true\n#: name=daily-report\n0 5 * * * true\n"
TAB, PATIENCE = "\t", 60
STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(runjobs completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -D -u; eval "$(runjobs completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "runjobs completion fish | source"),
}
PROGRAM = '#!/bin/sh\nif [ "$1" = completion ]; then {completion}; fi\necho "$@" >>"$HOME/calls"\n'
QUIET = "set enable-bracketed-paste off\nset bell-style none\n"


class Desk(NamedTuple):
    """A folder with jobs, and a `runjobs` on the PATH that writes down what it is called with."""

    place: Place

    @property
    def home(self) -> Path:
        return self.place.root

    def prepare(self) -> None:
        self.place.write("jobs", JOBS)
        program = self.home / "bin" / "runjobs"
        program.parent.mkdir()
        program.write_text(PROGRAM.format(completion=f'exec {sys.executable} -m runjobs "$@"'))
        program.chmod(0o755)
        (self.home / "inputrc").write_text(QUIET)

    def environ(self) -> dict[str, str]:
        return environment(
            HOME=str(self.home), PATH=f"{self.home / 'bin'}:{os.environ['PATH']}", TERM="dumb", PS1="> ",
            INPUTRC=str(self.home / "inputrc"), RUNJOBS_JOBS=str(self.place.jobs), RUNJOBS_STATE=str(self.place.state),
            PYTHONPATH=str(ROOT), XDG_CONFIG_HOME=str(self.home), XDG_DATA_HOME=str(self.home),
            XDG_RUNTIME_DIR=str(self.home),
        )  # fmt: skip

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with stage_in(tmp_path) as stage:
        found = Desk(stage.place)
        found.prepare()
        yield found


def there(shell: str) -> str:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; make check installs it as root, on Debian")
    return shell


def typed(desk: Desk, shell: str, lines: list[str]) -> str:
    """Type lines into a shell on a terminal, with its completion in force, and return all that was shown."""
    words, start = STARTS[there(shell)]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(desk.home)
        os.execvpe(words[0], words, desk.environ())
    shown = _type(terminal, start, "calls-0")
    for number, line in enumerate(lines, 1):
        shown += _type(terminal, line, f"calls-{number}")
    with suppress(OSError):
        os.write(terminal, b"exit\n")
        while piece := os.read(terminal, 65536):
            shown += piece
    os.close(terminal)
    os.waitpid(pid, 0)
    return shown.decode(errors="replace")


def _type(terminal: int, line: str, mark: str) -> bytes:
    """Type a line and then one that shows a mark, and wait for the mark; it is typed so that its echo is not it."""
    head, tail = mark.split("-")
    os.write(terminal, f"{line}\necho {head}'-'{tail}\n".encode())
    shown, deadline = b"", time.monotonic() + PATIENCE
    while mark.encode() not in shown:
        if not select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
            pytest.fail(f"no answer to {line!r}: {shown!r}")
        shown += os.read(terminal, 65536)
    return shown


@pytest.mark.parametrize("shell", SHELLS)
def test_the_key_completes_commands_options_values_jobs_and_paths(desk: Desk, shell: str) -> None:
    lines = {
        f"runjobs hist{TAB}": "history",
        f"runjobs run --on-s{TAB} le{TAB}": "run --on-stop leave",
        f"runjobs history --outcome=tim{TAB}": "history --outcome=timeout",
        f"runjobs why dai{TAB}": "why daily-report",
        f"runjobs logs db/{TAB} ba{TAB}": "logs db/nightly backup",
        f"runjobs list --jobs job{TAB}": "list --jobs jobs.d",
        f"runjobs list --jobs=jobs.d/{TAB}": "list --jobs=jobs.d/jobs",
        f"runjobs run --state {desk.home.parent}/{desk.home.name}/b{TAB}": f"run --state {desk.home}/bin",
        f"runjobs at now -- mkfi{TAB}": "at now -- mkfifo",
    }
    shown = typed(desk, shell, list(lines))
    # zsh takes the slash at the end of a folder away again when the line is sent
    assert [call.rstrip("/") for call in desk.calls()] == list(lines.values()), shown


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_to_complete_is_no_error(desk: Desk, shell: str) -> None:
    desk.place.write("jobs", "not a job\n")
    shown = typed(desk, shell, [f"runjobs why x{TAB}", f"runjobs nonsense x{TAB}", f"runjobs --jobs{TAB}"])
    assert desk.calls() == ["why x", "nonsense x", "--jobs"], shown
    assert "rror" not in shown


@pytest.mark.parametrize("shell", SHELLS)
def test_a_runjobs_that_fails_leaves_the_line_as_it_is(desk: Desk, shell: str) -> None:
    (desk.home / "failing").write_text(PROGRAM.format(completion="echo trouble >&2; exit 1"))
    shown = typed(desk, shell, ["cp failing bin/runjobs", f"runjobs hist{TAB}"])
    assert desk.calls() == ["hist"], shown
    assert "trouble" not in shown


def test_where_looking_takes_too_long_there_is_no_answer_and_no_word_of_it() -> None:
    program = (
        "import sys, time, runjobs.cli.completing as completing, runjobs.cli.main as cli;"
        "completing.complete = lambda *_, **__: time.sleep(300);"
        "sys.exit(cli.main(['completion', 'zsh', '--', 'x']))"
    )
    words = [sys.executable, "-c", program]
    ended = subprocess.run(words, env=environment(), stdin=SILENT, capture_output=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGALRM, b"", b"")

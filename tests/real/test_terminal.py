"""The command line on a terminal: a screen that is drawn anew, keys, signals, and screens that can show little."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from typing import TYPE_CHECKING

import pytest

from tests.real.support.command_line import environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# a session of its own, whose terminal is standard input: so that keys become signals
CONTROLLED = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execvp(sys.argv[1], sys.argv[1:])"
)
ENTER, LEAVE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
SGR = re.compile(r"\x1b\[[0-9;]*m")
HOME = b"\x1b[H"
COMMANDS = (["status"], ["history"], ["timeline"], ["list"], ["next"], ["why", "quick"], ["check"], ["doctor"])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as made:
        yield made


class Terminal:
    """A terminal, and what was written to it."""

    def __init__(self, columns: int, lines: int) -> None:
        self.master, self.slave = os.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.written = b""
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._closed.is_set():
            if select.select([self.master], [], [], 0.05)[0]:
                self.written += os.read(self.master, 65_536)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    @property
    def screen(self) -> str:
        """The last screen that was drawn whole: the one before the one that is drawn just now."""
        drawn = self.written.split(HOME)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn[-1].decode()) if len(drawn) > 1 else ""

    def shows(self, text: str) -> bool:
        """Wait until a screen shows this."""
        return wait_until(lambda: text in self.screen)

    @property
    def is_as_before(self) -> bool:
        """Whether it is left as it was: in its modes, on its first screen, with its cursor."""
        settled = wait_until(lambda: self.written.rfind(LEAVE) > self.written.rfind(ENTER), 20)
        cursor = self.written.rfind(SHOW_CURSOR) > self.written.rfind(b"\x1b[?25l")
        return settled and cursor and termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        self._closed.set()
        self._reader.join()
        os.close(self.master)
        os.close(self.slave)


@contextlib.contextmanager
def terminal(columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    made = Terminal(columns, lines)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def watching(stage: Stage, shown: Terminal, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`runjobs status --watch` on a terminal."""
    command = [sys.executable, "-c", CONTROLLED, *stage.place.command("status", "--watch", *words)]
    said = environment(TERM="xterm-256color")
    with subprocess.Popen(command, env=said, stdin=shown.slave, stdout=shown.slave, stderr=shown.slave) as started:
        try:
            yield started
        finally:
            started.kill()


def test_a_watch_shows_what_happens_while_it_happens_and_q_leaves_the_terminal_as_it_was(stage: Stage) -> None:
    stage.jobs("#: name=quick\n0 0 1 1 * until [ -e go ]; do sleep 0.05; done\n")
    with terminal() as shown, watching(stage, shown) as watch:
        assert shown.shows("never ran")
        runner = stage.start("quick")
        assert shown.shows("running")
        (stage.root / "go").touch()
        assert runner.wait(60) == 0
        assert shown.shows("✓ ok")
        shown.press(b"\x1b[A")  # an arrow is no Escape
        assert shown.shows("1 job, 0 running")
        assert watch.poll() is None
        shown.press(b"\x1b[Bq")  # both at once
        assert watch.wait(60) == 0
        assert shown.is_as_before


@pytest.mark.parametrize(("end", "code"), [("key", 130), ("TERM", 143), ("HUP", 129)])
def test_a_watch_that_is_ended_leaves_the_terminal_as_it_was(stage: Stage, end: str, code: int) -> None:
    stage.jobs("#: name=quick\n0 0 1 1 * true\n")
    with terminal() as shown, watching(stage, shown) as watch:
        assert shown.shows("never ran")
        if end == "key":
            shown.press(b"\x03")
        else:
            watch.send_signal(signal.Signals[f"SIG{end}"])
        assert watch.wait(60) == code
        assert shown.is_as_before


def test_a_watch_that_is_stopped_gives_the_terminal_back_until_it_goes_on(stage: Stage) -> None:
    stage.jobs("#: name=quick\n0 0 1 1 * true\n")
    with terminal() as shown, watching(stage, shown) as watch:
        assert shown.shows("never ran")
        watch.send_signal(signal.SIGTSTP)
        assert shown.is_as_before
        entered = shown.written.count(ENTER)
        assert wait_until(lambda: "T" in (stage_of(watch.pid)))
        watch.send_signal(signal.SIGCONT)
        assert wait_until(lambda: shown.written.count(ENTER) == entered + 1)
        shown.press(b"q")
        assert watch.wait(60) == 0
        assert shown.is_as_before


def stage_of(pid: int) -> str:
    """The state of a process, as proc(5) has it."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def test_a_watch_follows_the_size_of_its_window(stage: Stage) -> None:
    jobs = "".join(f"#: name=job-{number}\n0 0 1 1 * true\n" for number in range(30))
    stage.jobs(jobs)
    with terminal(80, 60) as shown, watching(stage, shown) as watch:
        assert shown.shows("job-29")
        shown.resize(70, 12)
        assert shown.shows("jobs more")
        assert wait_until(lambda: max(map(len, shown.screen.splitlines())) <= 70)
        assert len(shown.screen.splitlines()) <= 12
        shown.resize(80, 60)
        assert shown.shows("job-29")
        shown.press(b"q")
        assert watch.wait(60) == 0


def test_a_watch_says_what_is_wrong_with_files_and_ledger_and_goes_on(stage: Stage) -> None:
    stage.jobs("#: name=quick\n0 0 1 1 * true\n")
    with terminal(200) as shown, watching(stage, shown) as watch:
        assert shown.shows("never ran")
        stage.place.write("bad", "75 * * * * true\n")
        assert shown.shows("1 error in the jobs files: runjobs check")
        (stage.place.jobs / "bad").unlink()
        stage.place.state.mkdir(mode=0o700)
        (stage.place.state / "ledger.sqlite3").mkdir()
        assert shown.shows("it is a folder, not a file")
        (stage.place.state / "ledger.sqlite3").rmdir()
        assert shown.shows("never ran")
        shown.press(b"q")
        assert watch.wait(60) == 0


def printed(stage: Stage, words: list[str], columns: int, **said: str) -> bytes:
    """What a command writes to a terminal of so many columns."""
    with terminal(columns) as shown:
        ended = subprocess.run(
            stage.place.command(*words),
            env=environment(**said), stdin=shown.slave, stdout=shown.slave, stderr=shown.slave, timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode in {0, 1}  # the doctor may find a problem on the machine
        mark = b"-end-of-it-"
        os.write(shown.slave, mark)
        assert wait_until(lambda: mark in shown.written)
        return shown.written.partition(mark)[0]


@pytest.mark.parametrize(
    "said",
    [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm", "LC_ALL": "C"}],
    ids=["NO_COLOR", "dumb", "C"],
)
def test_a_terminal_is_given_only_what_it_can_show(stage: Stage, said: dict[str, str]) -> None:
    stage.jobs("#: name=quick\n0 0 1 1 * echo said; exit 3\n#: name=other\n*/5 * * * * true\n")
    assert stage.start("quick").wait(60) == 3
    for columns, words in zip((80, 200, 80, 200, 80, 200, 80, 200), COMMANDS, strict=True):
        written = printed(stage, words, columns, **said)
        assert written, words
        if "LC_ALL" in said:
            assert written.isascii(), words
        else:
            assert b"\x1b" not in written, words
        if words in (["status"], ["timeline"]):
            lines = SGR.sub("", written.decode()).split("\r\n")
            assert max(map(len, lines)) <= columns

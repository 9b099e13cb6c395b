"""`runjobs status --watch`: how it stands, drawn anew while it changes."""

from __future__ import annotations

import os
import re
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from runjobs.adapters import terminal
from runjobs.adapters.ledger import LedgerError
from runjobs.cli import recorded, status
from runjobs.core.errors import UsageError
from runjobs.render import standing
from runjobs.render.live import canvas
from runjobs.render.prose import prose
from runjobs.render.screen import screen_of
from runjobs.render.table import draw
from runjobs.render.text import clip, counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runjobs.core.errors import Problem
    from runjobs.render.live import Canvas
    from runjobs.render.screen import Screen
    from runjobs.settings import Settings

EACH: Final = 1.0  # seconds between two looks, so that what runs is seen to run
GLANCE: Final = 0.2  # seconds between two glances at the ledger, the window and the keys
FRAME: Final = 4  # lines of a screen that are neither jobs nor sentences: titles, a rule, what is left out, a blank
SHARE: Final = 3  # a look that takes long is followed by a rest this much longer: others need the machine too
QUIT: Final = frozenset(("q", "Q", "\x1b", terminal.END))
SEQUENCE: Final = re.compile(
    r"\x1b[\[O][0-9;]*[a-zA-Z~]"
)  # of an arrow and its like: it begins with Escape, and is none


def watch(settings: Settings, names: Sequence[str] | None) -> None:
    """Draw the status of these jobs until `q` or Ctrl-C. UsageError where nothing can be drawn anew."""
    screen = screen_of(sys.stdout)
    if not screen.pretty or os.environ.get("TERM", "dumb") == "dumb":
        what = "a terminal that can draw a screen anew" if screen.pretty else "a terminal, and standard output is none"
        raise UsageError(f"--watch needs {what}", "runjobs status, or runjobs status --json for a program")
    with recorded.opened(settings) as record:  # a job that there is none of is a mistake before anything is drawn
        record.named(names or ())
    keys = terminal.Keys()
    with canvas(sys.stdout, screen) as drawn, terminal.borrowed(keys, drawn.leave, drawn.enter):
        _follow(settings, names, drawn, keys)


def _follow(settings: Settings, names: Sequence[str] | None, drawn: Canvas, keys: terminal.Keys) -> None:
    while True:
        began, before = time.monotonic(), _state(settings, drawn)
        drawn.draw(_lines(settings, names, drawn.height))
        took = time.monotonic() - began
        until = time.monotonic() + max(EACH - took, SHARE * took)
        while (left := until - time.monotonic()) > 0:
            if QUIT.intersection(SEQUENCE.sub("", keys.wait(min(GLANCE, left)))):
                return
            if took < GLANCE and _state(settings, drawn) != before:
                break


def _state(settings: Settings, drawn: Canvas) -> object:
    """What changes whenever there is something new to draw: the ledger's files, and the size of the window."""
    return (_written(settings, ""), _written(settings, "-wal"), drawn.height, screen_of(sys.stdout).width)


def _written(settings: Settings, ending: str) -> int:
    try:
        return os.stat(os.path.join(settings.state, f"ledger.sqlite3{ending}")).st_mtime_ns
    except OSError:
        return 0  # nothing is on record yet


def _lines(settings: Settings, names: Sequence[str] | None, height: int) -> list[str]:
    """What there is to see just now, in as many lines as there is room for."""
    screen, now, said = screen_of(sys.stdout), datetime.now(UTC), list[str]()

    def mention(wrong: Sequence[Problem]) -> None:
        if wrong:
            said.append(f"{counted(len(wrong), 'error')} in the jobs files: runjobs check")

    try:
        with recorded.opened(settings, mention, said.append) as record:
            known = record.named(names) if names else list(record.jobs)
            report = status.look(record, known, now)
    except (LedgerError, UsageError) as error:
        return [*prose(error.message, screen, color="red").splitlines(), "", "q ends"]
    clock = f"{now.astimezone(settings.local):%H:%M:%S}"
    head = [screen.paint(clip(f"{clock}  {_sum(report)}  (q ends)", screen.width), "dim")]
    head += [screen.paint(clip(line, screen.width), "yellow") for line in said]
    return [*head, "", *_fitted(report, settings, screen, height - len(head) - 1)]


def _sum(report: status.Report) -> str:
    """All jobs in one line."""
    going = sum(len(each.running) for each in report.standings)
    wrong = sum(each.trouble is not None for each in report.standings)
    return f"{counted(len(report.standings), 'job')}, {going} running, {wrong} in trouble"


def _fitted(report: status.Report, settings: Settings, screen: Screen, height: int) -> list[str]:
    """The report; where it is too long, the jobs that matter most, and as much of what is wrong as half of it takes."""
    if len(report.standings) < height:
        lines = status.text(report, settings.local, screen).splitlines()
        if len(lines) <= height:
            return lines
    told: list[str] = []
    for remark in status.remarks(report, settings.local):
        sentence = standing.draw_remarks([remark], screen).splitlines()
        if len(told) + len(sentence) <= height // 2:
            told += sentence
    chosen = standing.foremost(report.standings, max(height - len(told) - FRAME, 1))
    table = draw(standing.table(chosen, report.now, settings.local, screen), screen).splitlines()
    left = len(report.standings) - len(chosen)
    more = [screen.paint(f"and {counted(left, 'job')} more", "dim")] if left else []
    return [*table, *more, "", *told]

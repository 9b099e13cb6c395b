"""The screens and pictures of docs/terminal.md: three weeks of seven jobs on record, asked by the commands' functions.

The record is written through the ledger and the logs as runners write them, at times of its own, so that the screens
are the same wherever they are made. Called as a program it writes them into the page, and the pictures beside it.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runjobs.adapters import locks
from runjobs.adapters.ledger import Beginning, Skip
from runjobs.cli import check, status, timeline, why
from runjobs.cli import next as coming
from runjobs.cli.recorded import opened
from runjobs.core.run import RunEnd
from runjobs.core.timeline import bounds, read_day
from runjobs.render.reasons import tell
from runjobs.render.screen import Screen
from runjobs.render.table import draw
from runjobs.settings import Settings
from tests.support.ahead import BERLIN, explaining
from tests.support.night import FAILING, RUNNER, Night

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.cli.recorded import Recorded

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "terminal.md"
PICTURES: Final = DOCS / "pictures"
NOW: Final = datetime(2026, 11, 20, 10, 40, tzinfo=UTC)
DAYS: Final = 20
NARROW: Final = Screen(pretty=True, width=80, unicode=True)
PLAIN: Final = Screen(pretty=True, width=80)
WIDE: Final = Screen(pretty=True, width=100, color=True, unicode=True)
JOBS: Final = """\
#: name=vacuum lock=database timeout=2h
0 1 * * * /usr/local/bin/vacuum
#: name=backup retries=1 retry-delay=5m
15 2 * * * /usr/local/bin/backup --all
#: name=report after=backup
30 3 * * * /usr/local/bin/report
#: name=mirror timeout=2h
0 4 * * * /usr/local/bin/mirror
#: name=invoices
0 8-18 * * mon-fri /usr/local/bin/invoices
#: name=poll
*/10 * * * * /usr/local/bin/poll
#: name=certs
H 5 * * * /usr/local/bin/certs
"""
MISTAKEN: Final = """\
#: name=backup timeuot=30m
15 3 * * * /bin/true --all
75 3 * * * /bin/true --report
#: name=mirror
0 0 30 2 * /bin/true --mirror
#: name=mirror
*/45 * * * * /bin/true --twice
"""
OK: Final = RunEnd("", "ok", exit_code=0)
FAILED: Final = RunEnd("", "failed", "exit", "exit code 2", exit_code=2)
TIMEOUT: Final = RunEnd("", "timeout", "timeout", "it ran longer than 2h", signal=15)


def write(state: Path) -> tuple[Night, str]:
    """Put three weeks on record; the run that goes on, of invoices."""
    weeks = Night(state, JOBS)
    for ago in range(DAYS, -1, -1):
        _write_day(weeks, NOW.replace(hour=0, minute=0) - timedelta(days=ago), ago)
    began = NOW.replace(minute=0)
    return weeks, weeks.start(weeks.claim("invoices", began), "invoices", began)


def _write_day(weeks: Night, midnight: datetime, ago: int) -> None:
    """A day: each job takes as long as it took, and some of them fail."""
    wobble = (ago * 7) % 11  # what makes no two days the same, and every making of the screens so

    def run(job: str, clock: float, minutes: float, end: RunEnd = OK, said: str = "") -> None:
        at = midnight + timedelta(hours=clock)
        if at < NOW.replace(minute=0):
            weeks.run(job, at, timedelta(minutes=minutes), end, said)

    run("vacuum", 1, 38 + wobble)
    if ago:
        run("backup", 2.25, 24 + wobble + (DAYS - ago) * 1.5, FAILED if ago == 9 else OK, "copying /home\n")
        run("report", 3.5, 5 + wobble / 3)
    else:
        _fail_last_night(weeks, midnight)
    run("mirror", 4, 120 if ago == 5 else 70 - wobble * 2, TIMEOUT if ago == 5 else OK, "receiving file list\n")
    run("certs", _certs(weeks, midnight), 0.2 + wobble / 40)
    for hour in range(8, 19) if midnight.weekday() < 5 and ago < 3 else ():
        run("invoices", hour, 4 + (hour * 5 + wobble) % 9)
    for number in range(6 * 24) if ago < 2 else ():
        run("poll", number / 6, 0.01)
    if not ago:
        for minute in range(0, 40, 10):
            weeks.run("poll", NOW.replace(minute=minute), timedelta(seconds=0.4), OK)


def _certs(weeks: Night, midnight: datetime) -> float:
    """The hour at which certs is due, by its hash."""
    due = weeks.jobs["certs"].schedule.next(midnight)
    assert due is not None
    return (due - midnight) / timedelta(hours=1)


def _fail_last_night(weeks: Night, midnight: datetime) -> None:
    """A backup that fails, is tried again, and fails for good; so that the report after it is skipped."""
    at = midnight + timedelta(hours=2, minutes=15)
    took, delay = timedelta(minutes=41), timedelta(minutes=5)
    fire = weeks.claim("backup", at)
    again = FAILED._replace(again_at=(at + took + delay).timestamp())
    weeks.end(weeks.start(fire, "backup", at), at, took, again, "copying /home\n", "backup")
    second = weeks.start(fire, "backup", at + took + delay, 2)
    weeks.end(second, at + took + delay, timedelta(minutes=12), FAILED, FAILING, "backup")
    due = midnight + timedelta(hours=3, minutes=30)
    skip = Skip(weeks.claim("report", due), "skipped", "dependency", "backup ended as failed")
    weeks.ledger.start(RUNNER, due, Beginning(skips=[skip]))


@contextmanager
def recorded(folder: Path) -> Iterator[Recorded]:
    """The record of the three weeks, made in a folder; one run goes on."""
    (folder / "state" / "locks").mkdir(parents=True)
    (folder / "jobs").write_text(JOBS)
    weeks, going = write(folder / "state")
    weeks.ledger.close()
    lock = locks.take(folder / "state" / "locks" / "job.invoices")
    assert lock is not None
    locks.write(lock.fd, {"run": going, "pid": os.getpid()})
    with opened(_settings(folder)) as record:
        yield record
    os.close(lock.fd)


def _settings(folder: Path, jobs: str = "jobs") -> Settings:
    return Settings((str(folder / jobs),), "--jobs", str(folder / "state"), trust_jobs=True, local=UTC)


def screens(folder: Path) -> dict[str, str]:
    """What the page shows: by the command line, and what is said of the terminal."""
    with recorded(folder) as record:
        return {
            "runjobs status": _status(record, NARROW),
            "runjobs timeline": _timeline(record, "today", NARROW),
            "runjobs timeline --day tomorrow": _timeline(record, "tomorrow", NARROW),
            "LC_ALL=C runjobs status": _status(record, PLAIN),
            "LC_ALL=C runjobs timeline": _timeline(record, "today", PLAIN),
            "runjobs why backup": _clean(folder, tell(why.find(record, "backup", None, NOW), UTC, NARROW)),
            "runjobs next -n 5": _next(folder),
            'runjobs explain "30 2 * * 7" --tz Europe/Berlin': explaining("30 2 * * 7", BERLIN),
            "runjobs check --jobs jobs.d": _check(folder),
        }


def pictures(folder: Path) -> dict[str, str]:
    """The pictures: file names and what they hold, on a terminal of 100 columns with colours."""
    with recorded(folder) as record:
        return {
            "status.svg": picture("runjobs status", _status(record, WIDE)),
            "timeline.svg": picture("runjobs timeline", _timeline(record, "today", WIDE)),
        }


def picture(title: str, screen: str) -> str:
    """Draw a screen as SVG: without fonts from elsewhere, and the same each time."""
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=WIDE.width, file=StringIO(), force_terminal=True, color_system="standard")
    console.print(Text.from_ansi(screen))
    drawn = console.export_svg(title=title, unique_id=title.replace(" ", "-"))
    drawn = re.sub(r"\s*@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = drawn.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    drawn = drawn.replace("<svg ", '<svg xml:space="preserve" ', 1)  # some viewers drop blanks at the start of a text
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def _status(record: Recorded, screen: Screen) -> str:
    return status.text(status.look(record, list(record.jobs), NOW), UTC, screen)


def _timeline(record: Recorded, day: str, screen: Screen) -> str:
    span = bounds(read_day(day, NOW.date()), UTC)
    return timeline.text(timeline.look(record, list(record.jobs), span, NOW, UTC), UTC, screen)


def _next(folder: Path) -> str:
    found = list(coming.within(coming.of_jobs(_settings(folder), None, NOW), coming.Span(NOW, None, 5)))
    return draw(coming.table(found, NOW, UTC), NARROW)


def _check(folder: Path) -> str:
    (folder / "jobs.d").mkdir()
    (folder / "jobs.d" / "nightly").write_text(MISTAKEN)
    settings = _settings(folder, "jobs.d")
    return _clean(folder, check.text(settings, *check.examine(settings), NARROW))


def _clean(folder: Path, text: str) -> str:
    """The text without the folder that a test or a program has made for it."""
    return text.replace(f"{folder}/", "")


def fill(page: str, made: dict[str, str]) -> str:
    """Put each screen into its block of the page."""
    for command, screen in made.items():
        block = f"```\n$ {command}\n{screen}\n```"
        page, number = re.subn(rf"```\n\$ {re.escape(command)}\n.*?\n```", lambda _: block, page, flags=re.DOTALL)  # noqa: B023
        assert number == 1, f"the page has no block for: {command}"
    return page


def main() -> None:
    """Write the page's screens and the pictures anew."""
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), screens(Path(name))), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        for file, drawn in pictures(Path(name)).items():
            (PICTURES / file).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()

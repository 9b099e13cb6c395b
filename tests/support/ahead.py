"""The screens of docs/ahead.md: made by the commands' own functions from the files that the page shows.

Called as a program it prints them.
"""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from runjobs.cli import diff, explain, simulate
from runjobs.core.comparing import Window
from runjobs.core.schedule import parse_schedule
from runjobs.render import differences, explained, simulated
from runjobs.render.screen import Screen
from runjobs.settings import Settings
from tests.support.night import build

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.core.job import Job
    from runjobs.core.schedule import Schedule

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
SCREEN = Screen(pretty=True, width=80, unicode=True)
CHANGES = (
    ("15 3 * * * /usr/local/bin/backup --all", "45 3 * * * /usr/local/bin/backup --all --verbose"),
    ("#: name=mirror\n", "#: name=mirror timeout=2h\n"),
    ("name=poll", "name=poller"),
)


def settings(folder: Path, jobs: str) -> Settings:
    """The settings of a folder in which the night is on record."""
    return Settings((str(folder / jobs),), "--jobs", str(folder / "state"), trust_jobs=True, local=UTC)


def screens(folder: Path) -> dict[str, str]:
    """What the commands print, on a terminal of 80 columns: by their command lines."""
    build(folder)
    text = (folder / "jobs").read_text()
    for old, new in CHANGES:
        text = text.replace(old, new)
    (folder / "new").write_text(text)
    here, there = settings(folder, "jobs"), settings(folder, "new")
    month = Window(NOW, NOW + timedelta(days=31))
    found, _ = diff.work_out(here, there, month)
    day = simulate.work_out(here, (NOW, NOW + timedelta(days=1)), timedelta(minutes=1))
    return {
        'runjobs explain "30 2 * * 7" --tz Europe/Berlin': explaining("30 2 * * 7", BERLIN),
        'runjobs explain "*/45 9-17 13 * fri"': explaining("*/45 9-17 13 * fri", UTC),
        "runjobs simulate": simulated.tell(day, UTC, SCREEN),
        "runjobs diff jobs new": re.sub(r"\S*/(?=jobs|new)", "", differences.tell(found, UTC, SCREEN)),
    }


def explaining(expression: str, zone: tzinfo) -> str:
    """What `explain` prints of a schedule."""
    schedule: Schedule = parse_schedule(expression, local=zone)
    job: Job | None = None
    asked = explain.Look(NOW, 3, None, zone, UTC)
    return explained.tell(explain.look(schedule, job, asked), SCREEN)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for command, screen in screens(Path(name)).items():
            print(f"```\n$ {command}\n{screen}\n```\n")

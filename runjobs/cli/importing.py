"""`runjobs import`: what other schedulers run, taken over into a jobs folder."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options
from runjobs.core.errors import RunjobsError, Severity
from runjobs.core.imports.account import Fate
from runjobs.core.imports.kinds import Kind
from runjobs.core.imports.secrets import hide
from runjobs.render.problems import draw_problem
from runjobs.render.screen import screen_of
from runjobs.render.text import counted, printable

if TYPE_CHECKING:
    from runjobs.adapters.takeover import Made
    from runjobs.cli.gathering import Gathering, Import

NOT_ALL = 65  # EX_DATAERR, sysexits(3)

From = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="KIND", help="crontab, cron.d, anacrontab, systemd or yacron; else by the path's name."
    ),
]
To = Annotated[str, typer.Option("--to", metavar="DIR", help="The jobs folder to write into.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH", help="Files or folders to take over; - is standard input.", show_default=False),
]


def take_over(
    paths: Paths = None,
    source: From = None,
    to: To = "jobs.d",
    dry_run: DryRun = False,
    json: options.Json = False,
) -> int:
    """Take over crontabs, anacrontabs, systemd timers and yacron files into a jobs folder.

    \b
    runjobs import                          my crontab, as crontab -l has it
    runjobs import --from cron.d            /etc/crontab and /etc/cron.d
    runjobs import --from systemd --dry-run the timers that are enabled here

    What can't be carried over stays in the new file as a comment with the reason, and is told: place, what, way out.
    No file is overwritten. `runjobs check --jobs PATH` looks at the result. Exits 0 if all was carried over, 65 if not
    all was, 66 if there is nothing to read, 73 if a file is in the way.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    from runjobs.adapters import takeover
    from runjobs.cli.gathering import Gathering

    gathering = Gathering(_names_in(to))
    gathering.gather(_kind(source), paths or ())
    if not gathering.imports:
        _tell(gathering)
        raise RunjobsError("there is nothing to take over", "runjobs import --help", exit_code=takeover.NO_INPUT)
    made = [takeover.Made(each.taken.name, each.taken.text, each.private) for each in gathering.imports]
    if not dry_run:
        takeover.write_all(to, made)
    if json:
        from runjobs.render.json import to_json

        print(to_json(as_json(gathering, made, to, dry_run=dry_run)))
    else:
        _say(gathering, made, to, dry_run=dry_run)
    return NOT_ALL if lost(gathering) else 0


def _kind(word: str | None) -> Kind | None:
    return None if word is None else Kind(options.choose("--from", word, [kind.value for kind in Kind]))


def _names_in(folder: str) -> list[str]:
    """Name the jobs that are there already, so that no name is given twice."""
    if not os.path.isdir(folder):
        return []
    from runjobs.settings import resolve
    from runjobs.wiring import load_jobs

    return [job.name for job in load_jobs(resolve((folder,), None, user_column=False, trust_jobs=True)).jobs]


def lost(gathering: Gathering) -> int:
    """Count what was not carried over."""
    return sum(problem.severity is Severity.ERROR for problem in gathering.problems)


def _tell(gathering: Gathering) -> None:
    screen = screen_of(sys.stdout)
    for skipped in gathering.skipped:
        print(f"skipped: {printable(skipped.path)}: {skipped.reason}")
    for problem in dict.fromkeys(gathering.problems):
        print(draw_problem(problem, screen))


def _say(gathering: Gathering, made: list[Made], to: str, *, dry_run: bool) -> None:
    _tell(gathering)
    for each, file in zip(gathering.imports, made, strict=True):
        path = printable(os.path.join(to, file.name))
        if dry_run:
            print(f"==> {path} <==")
            print("\n".join(printable(line) for line in hide(file.text).split("\n")))
        else:
            sources = printable(", ".join(source.path for source in each.taken.counted))
            print(f"{path}: {counted(each.taken.jobs, 'job')} from {sources}")
    jobs = counted(sum(each.taken.jobs for each in gathering.imports), "job")
    number = lost(gathering)
    missing = f"; {number} not carried over, see above and the comments in the files" if number else ""
    print(f"{jobs} in {counted(len(made), 'file')} {'would be written' if dry_run else 'written'}{missing}")
    if not dry_run:
        print(f"  try: runjobs check --jobs {printable(to)}")
        print("  then: take the jobs out where they came from, or they run twice")


def as_json(gathering: Gathering, made: list[Made], to: str, *, dry_run: bool) -> dict[str, object]:
    """Return all that `import` knows, for machines; secrets are hidden."""
    return {
        "to": to,
        "written": not dry_run,
        "files": [_file(each, file, to) for each, file in zip(gathering.imports, made, strict=True)],
        "skipped": [skipped._asdict() for skipped in gathering.skipped],
        "problems": [
            {
                "severity": problem.severity,
                **problem.place._asdict(),
                "message": problem.message,
                "hint": problem.hint,
                "text": problem.text,
            }
            for problem in dict.fromkeys(gathering.problems)
        ],
    }


def _file(each: Import, file: Made, to: str) -> dict[str, object]:
    return {
        "path": os.path.join(to, file.name),
        "mode": f"{file.mode:04o}",
        "jobs": each.taken.jobs,
        "sources": [
            {"path": source.path, "lines": {fate.value: source.fates.count(fate) for fate in Fate}}
            for source in each.taken.counted
        ],
        "text": hide(file.text),
    }

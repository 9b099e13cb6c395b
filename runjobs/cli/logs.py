"""`runjobs logs`: what runs have said, and what they go on to say."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from runjobs.cli import options, recorded, streams
from runjobs.core.answers import TROUBLES
from runjobs.core.errors import UsageError
from runjobs.core.nearest import nearest_word
from runjobs.render.entries import run_time
from runjobs.render.glyphs import color_of, told
from runjobs.render.output import Lines
from runjobs.render.screen import screen_of
from runjobs.render.times import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, tzinfo

    from runjobs.cli.recorded import Recorded
    from runjobs.core.answers import Attempt

SHOWN = 10  # lines that a follow begins with, as in tail(1)
SHORTEST = 4  # characters of a run's id that are enough: fewer say nothing of a time

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="JOB|RUN", help="Jobs, or runs by their ids or the beginnings of these.", show_default=False
    ),
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, of runs to come too.")]
Number = Annotated[
    int | None, typer.Option("--lines", "-n", min=0, metavar="N", help=f"The last N lines.  [all; with -f: {SHOWN}]")
]
Every = Annotated[bool, typer.Option("--all", help="Of each run whose log is kept, not the newest alone.")]


class Source(NamedTuple):
    """A run whose output is asked for, and its job."""

    job: str
    run: Attempt
    path: str


class Asked(NamedTuple):
    """What the words of the command line mean: whole jobs, and runs."""

    jobs: list[str]
    runs: list[Source]


def show_logs(
    words: Words = None,
    follow: Follow = False,
    lines: Number = None,
    every: Every = False,
    jobs: options.Jobs = None,
    state: options.State = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
) -> None:
    """Show what a job's newest run has said, or a run. With -f go on with what comes, until Ctrl-C.

    Of several jobs each line has its job's name before it. A follow goes on from one run of a job to the next, and
    loses nothing when a log is cut; without a job it follows all.

    \b
    runjobs logs backup
    runjobs logs -f backup report
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    if not words and not follow:
        raise UsageError("logs of what? name a job or a run", "runjobs logs JOB, or runjobs logs -f for all of them")
    settings = options.settings(jobs, user_column=user_column, trust_jobs=trust_jobs, state=state)
    with recorded.opened(settings) as record:
        asked = read_words(record, words or list(record.jobs))
        owners = [*asked.jobs, *(source.job for source in asked.runs)]
        output = Lines(owners if len(set(owners)) > 1 else (), screen_of(sys.stdout))
        found = [*asked.runs, *(source for job in asked.jobs for source in sources(record, job, every=every))]
        if not follow:
            show(found, output, lines, settings.local)
            say_what_is_missing(asked.jobs, found)
            return
    from runjobs.cli.following import Followed

    Followed(settings, asked.jobs, output, SHOWN if lines is None else lines).run(found)


def read_words(record: Recorded, words: Sequence[str]) -> Asked:
    """Tell jobs from runs; a word that is neither is a UsageError with the nearest."""
    asked, on_record = Asked([], []), record.reader.jobs()
    for word in dict.fromkeys(words):
        if word in record.jobs or word in on_record:
            asked.jobs.append(word)
        else:
            asked.runs.append(_run(record, word, on_record))
    return asked


def _run(record: Recorded, word: str, on_record: Sequence[str]) -> Source:
    found = record.reader.run_ids(word) if len(word) >= SHORTEST else []
    if len(found) == 1 or word in found:
        entry = record.reader.run(found[0])
        if entry is not None:
            return Source(entry.job, entry.runs[0], record.log_of(entry.runs[0]))
    if found:
        raise UsageError(f"several runs begin with {word}", f"{found[0]}, {found[1]} …")
    near = nearest_word(word, [*record.jobs, *on_record])
    raise UsageError(f"no job and no run is named {word}", near or "runjobs history")


def sources(record: Recorded, job: str, *, every: bool) -> list[Source]:
    """The newest run of a job, or each of them, oldest first."""
    entries = record.reader.runs_of(job, None if every else 1)
    runs = [run for entry in entries for run in entry.runs]
    return [Source(job, run, record.log_of(run)) for run in (runs if every else runs[-1:])]


def show(found: Sequence[Source], output: Lines, lines: int | None, zone: tzinfo | None) -> None:
    """Write what these runs have said; of several, say aside which begins."""
    from runjobs.adapters import joblog

    for source in found:
        pieces: Iterable[bytes] = joblog.read_log(source.path)
        if lines is not None:
            pieces = (joblog.tail(source.path, lines, source.run.output_bytes or 1 << 40),)
        is_silent = True
        for piece in pieces:
            if is_silent and len(found) > 1:
                announce(f"{source.job}: run {source.run.run_id}{_when(source.run.started_at, zone)}")
            is_silent = False
            write(output.add(source.run.run_id, source.job, piece))
        write(output.end(source.run.run_id, source.job))
        if len(found) == 1:
            if is_silent:
                announce(_silence(source))
            _say_way_on(source)


def _when(started: datetime | None, zone: tzinfo | None) -> str:
    return f", {clock(started.replace(microsecond=0), zone)}" if started else ""


def _say_way_on(source: Source) -> None:
    """Tell a person, though no script, that this run went wrong, and what says more."""
    if source.run.outcome in TROUBLES and screen_of(sys.stderr).pretty:
        said = f"run {source.run.run_id}: {told(source.run.outcome, screen_of(sys.stderr))}"
        detail = f", {source.run.detail}" if source.run.detail else ""
        announce(f"{said}{detail}\n  try: runjobs why {source.job}", color_of(source.run.outcome))


def _silence(source: Source) -> str:
    run = source.run
    if run.output_bytes:
        return f"the log of run {run.run_id} of {source.job} is not kept any more, or its disk was full"
    said = "has said nothing yet" if run.ended_at is None else "said nothing"
    return f"run {run.run_id} of {source.job} {said}"


def say_what_is_missing(jobs: Sequence[str], found: Sequence[Source]) -> None:
    """Say aside which jobs have had no run."""
    known = {source.job for source in found}
    for job in jobs:
        if job not in known:
            announce(f"{job} has had no run yet")


def write(data: bytes) -> None:
    """Write output as it is: it may be no text at all."""
    if not data:
        return
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(data.decode("utf-8", "backslashreplace"))
    else:
        sys.stdout.flush()
        binary.write(data)


def announce(text: str, color: str = "dim") -> None:
    """Say something aside, in its place among the output, and so that it is told from it."""
    streams.flush()
    streams.complain(screen_of(sys.stderr).paint(f"runjobs: {text}", color))


def ending(source: Source, now: datetime) -> str:
    """How a run ended, in words."""
    run = source.run
    took = run_time(run, now)
    detail = f": {run.detail}" if run.detail else ""
    outcome = told(run.outcome, screen_of(sys.stderr))
    return f"{source.job}: run {run.run_id} ended, {outcome}{detail}{f', after {took}' if took else ''}"

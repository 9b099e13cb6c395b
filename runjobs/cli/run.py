"""`runjobs run`: one pass, named jobs now, or the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options
from runjobs.core.errors import FieldError, UsageError
from runjobs.settings import resolve

if TYPE_CHECKING:
    from datetime import timedelta


Names = Annotated[list[str] | None, typer.Argument(metavar="[JOB]...", help="Run these now, one after the other.")]
Foreground = Annotated[bool, typer.Option("--foreground", help="Stay and follow the schedules; works as PID 1.")]
Grace = Annotated[
    str, typer.Option("--grace", metavar="DURATION", help="How long a stop may take in all; half of it in peace.")
]
OnStop = Annotated[
    str, typer.Option("--on-stop", metavar="stop|leave", help="End the running jobs, or leave them to their guards.")
]
LogFormat = Annotated[str, typer.Option("--log-format", metavar="text|json", help="How the foreground tells events.")]
MaxParallel = Annotated[
    str | None,
    typer.Option(
        "--max-parallel",
        metavar="N|none",
        help="How many runs may go on at once; further ones wait.  [RUNJOBS_MAX_PARALLEL; else by memory, up to 1000]",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Do not start while any jobs file has a mistake.")]


def run(
    jobs_named: Names = None,
    jobs: options.Jobs = None,
    state: options.State = None,
    *,
    foreground: Foreground = False,
    grace: Grace = "8s",  # containers are killed 10 s after they were told to stop
    on_stop: OnStop = "stop",
    log_format: LogFormat = "text",
    max_parallel: MaxParallel = None,
    cwd: options.Cwd = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    strict: Strict = False,
) -> int:
    """Run what is due once; with JOB, run that job now; with --foreground, stay and follow the schedules.

    One pass is what the system's cron calls each minute: silent when all went well, otherwise a summary with
    the output's tail on standard error, and exit code 1. A named job's output is passed through untouched, and
    so is its exit code.
    """
    from runjobs.cli import working  # (start-up: only this command works)

    settings = resolve(
        jobs or (), state, user_column=user_column, trust_jobs=trust_jobs, cwd=cwd, max_parallel=max_parallel
    )
    json_lines = _choice("--log-format", log_format, ("text", "json")) == "json"
    work = working.Work(settings, json_lines=json_lines, strict=strict)
    if foreground and jobs_named:
        raise UsageError("--foreground follows the schedules, so it takes no JOB", "leave out one of them")
    if foreground:
        stays = _choice("--on-stop", on_stop, ("stop", "leave"))
        return work.stay(_duration("--grace", grace), leave=stays == "leave")
    return work.run_named(jobs_named) if jobs_named else work.run_pass()


def _choice(option: str, text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise UsageError(f"{option} {text!r} is none of {', '.join(words)}", f"{option} {words[0]}")
    return text


def _duration(option: str, text: str) -> timedelta:
    from runjobs.core.duration import parse_duration

    try:
        return parse_duration(text)
    except FieldError as error:
        raise UsageError(f"{option} {error.message}", error.hint) from error

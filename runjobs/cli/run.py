"""`runjobs run`: one pass, named jobs now, or the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runjobs.cli import options
from runjobs.core.errors import FieldError, UsageError
from runjobs.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta


Names = Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Run these now, one after the other.")]
Foreground = Annotated[bool, typer.Option("--foreground", help="Stay and follow the schedules; works as PID 1.")]
Grace = Annotated[
    str, typer.Option("--grace", metavar="DURATION", help="How long a stop may take in all; half of it in peace.")
]
OnStop = Annotated[
    str, typer.Option("--on-stop", metavar="stop|leave", help="End the running jobs, or leave them to their guards.")
]
LogFormat = Annotated[str, typer.Option("--log-format", metavar="text|json", help="How the foreground tells events.")]
Daemon = Annotated[
    bool, typer.Option("--daemon", help="As --foreground, but detached; ends with 0 once it follows the schedules.")
]
PidFile = Annotated[
    str | None,
    typer.Option("--pid-file", metavar="PATH", help="A PID file besides runner.pid in the state folder; also a lock."),
]
LogFile = Annotated[
    str | None,
    typer.Option("--log-file", metavar="PATH", help="Tell events there.  [--daemon: runner.log in the state folder]"),
]
LogSize = Annotated[
    str | None, typer.Option("--log-size", metavar="SIZE", help="Begin a new log file when one is so large.  [10M]")
]
LogKeep = Annotated[
    str | None,
    typer.Option("--log-keep", metavar="N|SIZE", help="How many older log files are kept, or how many bytes.  [10]"),
]
MaxParallel = Annotated[
    str | None,
    typer.Option(
        "--max-parallel",
        metavar="N|none",
        help="How many runs may go on at once; further ones wait.  [RUNJOBS_MAX_PARALLEL; else by memory, up to 1000]",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        metavar=":PORT|HOST:PORT|unix:PATH",
        help="Serve /metrics and /healthz there while it stays.  [RUNJOBS_METRICS]",
    ),
]
MetricsFile = Annotated[
    str | None,
    typer.Option(
        "--metrics-file",
        metavar="PATH",
        help="Write metrics there after a pass, for node-exporter, readable by all.  [RUNJOBS_METRICS_FILE]",
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
    daemon: Daemon = False,
    pid_file: PidFile = None,
    log_file: LogFile = None,
    log_size: LogSize = None,
    log_keep: LogKeep = None,
    max_parallel: MaxParallel = None,
    metrics: Metrics = None,
    metrics_file: MetricsFile = None,
    cwd: options.Cwd = None,
    user_column: options.UserColumn = False,
    trust_jobs: options.TrustJobs = False,
    strict: Strict = False,
) -> int:
    """Run what is due once; with JOB, run that job now; with --foreground, stay and follow the schedules.

    \b
    runjobs run                              what the system's cron calls each minute
    runjobs run backup                       that job now, whatever its schedule says
    runjobs run --foreground --jobs jobs.d   as a service, or in a container

    One pass is what the system's cron calls each minute: silent when all went well, otherwise a summary with
    the output's tail on standard error, and exit code 1. A named job's output is passed through untouched, and
    so is its exit code.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    from runjobs.cli import working  # (start-up: only this command works)

    settings = resolve(
        jobs or (), state, user_column=user_column, trust_jobs=trust_jobs, cwd=cwd,
        max_parallel=max_parallel, metrics_file=metrics_file,
    )  # fmt: skip
    json_lines = options.choose("--log-format", log_format, ("text", "json")) == "json"
    asked = {"--pid-file": pid_file, "--log-file": log_file, "--log-size": log_size, "--log-keep": log_keep}
    asked["--metrics"] = metrics
    if not foreground and not daemon:
        _refuse(asked)
        work = working.Work(settings, json_lines=json_lines, strict=strict)
        return work.run_named(jobs_named) if jobs_named else work.run_pass()
    from runjobs.cli.staying import absolute, refuse_clashes, staying

    if jobs_named:
        option = "--daemon" if daemon else "--foreground"
        raise UsageError(f"{option} follows the schedules, so it takes no JOB", "leave out one of them")
    if metrics_file is not None:
        raise UsageError("--metrics-file is for passes; a runner that stays serves metrics", "--metrics :9750")
    leave = options.choose("--on-stop", on_stop, ("stop", "leave")) == "leave"
    how = staying(_duration("--grace", grace), asked, leave=leave, daemon=daemon)
    refuse_clashes(how, settings.state)
    settings = absolute(settings) if daemon else settings
    return working.Work(settings, json_lines=json_lines, strict=strict).stay(how)


def _refuse(asked: Mapping[str, str | None]) -> None:
    """Options that only a runner that stays knows: what does nothing is not accepted."""
    for option, text in asked.items():
        if text is not None:
            raise UsageError(f"{option} is for a runner that stays", "add --foreground or --daemon")


def _duration(option: str, text: str) -> timedelta:
    from runjobs.core.duration import parse_duration

    try:
        return parse_duration(text)
    except FieldError as error:
        raise UsageError(f"{option} {error.message}", error.hint) from error

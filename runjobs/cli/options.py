"""The options that several commands share, each written down once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from runjobs.core.errors import UsageError
from runjobs.settings import Settings, resolve

Jobs = Annotated[
    list[str] | None,
    typer.Option(
        "--jobs",
        metavar="PATH",
        help="A jobs file or a folder of them; may be given several times.  [RUNJOBS_JOBS; else ./jobs.d]",
    ),
]
State = Annotated[
    str | None,
    typer.Option("--state", metavar="DIR", help="Where the ledger, the locks and the logs are.  [RUNJOBS_STATE]"),
]
UserColumn = Annotated[
    bool, typer.Option("--user-column", help="The files have a user column, as /etc/crontab and /etc/cron.d have.")
]
TrustJobs = Annotated[
    bool, typer.Option("--trust-jobs", help="Take jobs and env-files whoever owns them, as on a bind mount.")
]
Cwd = Annotated[
    str | None,
    typer.Option("--cwd", metavar="DIR", help="Where jobs run that name no folder.  [RUNJOBS_CWD; else home]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def choose(option: str, text: str, words: Sequence[str]) -> str:
    """Give a word back that is one of those an option knows; a UsageError names the nearest."""
    if text in words:
        return text
    from runjobs.core.nearest import nearest_word

    near = nearest_word(text, words)
    raise UsageError(f"{option} {text!r} is none of {', '.join(words)}", f"{option} {near or words[0]}")


def settings(jobs: list[str] | None, *, user_column: bool, trust_jobs: bool, state: str | None = None) -> Settings:
    """Settle the settings of a command that only asks."""
    return resolve(jobs or (), state, user_column=user_column, trust_jobs=trust_jobs)

"""Settings: what flags, `RUNJOBS_*` variables and defaults come to, in this order."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import clock
from runjobs.core.errors import RunjobsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

SYSTEM_JOBS = "/etc/runjobs/jobs.d"
SYSTEM_STATE = "/var/lib/runjobs"


class Settings(NamedTuple):
    """What one call of runjobs works with.

    `jobs` are the folders or files that hold jobs and `jobs_why` the rule that chose them; `state` is the state
    folder; `local` the zone of schedules that name none; `cwd` where jobs run that name no folder (None: home).
    """

    jobs: tuple[str, ...]
    jobs_why: str
    state: str
    user_column: bool = False
    trust_jobs: bool = False
    local: tzinfo | None = None
    cwd: str | None = None


def resolve(  # noqa: PLR0913 (one parameter per flag that every command shares)
    jobs: Sequence[str] = (),
    state: str | None = None,
    *,
    user_column: bool = False,
    trust_jobs: bool = False,
    cwd: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settle the settings. RunjobsError where no state folder can be told."""
    environ = os.environ if environ is None else environ
    paths, why = choose_jobs(jobs, environ)
    return Settings(
        jobs=paths,
        jobs_why=why,
        state=state or environ.get("RUNJOBS_STATE") or choose_state(paths, environ),
        user_column=user_column,
        trust_jobs=trust_jobs,
        local=clock.local_zone(),
        cwd=cwd or environ.get("RUNJOBS_CWD") or None,
    )


def choose_jobs(asked: Sequence[str], environ: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """Which jobs folders or files, and the rule that chose them."""
    if asked:
        return tuple(asked), "--jobs"
    if named := environ.get("RUNJOBS_JOBS"):
        return tuple(filter(None, named.split(os.pathsep))), "RUNJOBS_JOBS"
    if Path("jobs.d").is_dir():
        return ("jobs.d",), "./jobs.d"
    default = default_jobs(environ)
    return (default,), "the default of root" if default == SYSTEM_JOBS else "the default of this user"


def default_jobs(environ: Mapping[str, str]) -> str:
    """The jobs folder where nothing else is said."""
    if os.geteuid() == 0:
        return SYSTEM_JOBS
    return str(Path(environ.get("XDG_CONFIG_HOME") or Path(_home(environ)) / ".config") / "runjobs" / "jobs.d")


def choose_state(jobs: Sequence[str], environ: Mapping[str, str]) -> str:
    """The state folder: one for the default jobs folder, and below it one for each other set of them."""
    base = Path(_state_base(environ))
    roots = sorted(os.path.abspath(path) for path in jobs)
    if roots == [default_jobs(environ)]:
        return str(base)
    import zlib

    slug = re.sub(r"[^A-Za-z0-9]+", "-", roots[0]).strip("-")[-60:]
    return str(base / "roots" / f"{slug}-{zlib.crc32(os.pathsep.join(roots).encode(errors='surrogateescape')):08x}")


def _state_base(environ: Mapping[str, str]) -> str:
    if given := environ.get("STATE_DIRECTORY"):  # systemd.exec(5); several are joined by colons
        return given.split(":", 1)[0]
    if os.geteuid() == 0:
        return SYSTEM_STATE
    return str(Path(environ.get("XDG_STATE_HOME") or Path(_home(environ)) / ".local" / "state") / "runjobs")


def _home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    if not home.startswith("/"):
        message = f"uid {os.geteuid()} has no home folder, so there is no default for jobs and state"
        raise RunjobsError(message, "name them: --jobs PATH --state DIR")
    return home

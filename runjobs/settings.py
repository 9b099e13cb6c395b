"""Settings: what flags, `RUNJOBS_*` variables and defaults come to, in this order."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import clock, machine
from runjobs.core.errors import RunjobsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

SYSTEM_JOBS = "/etc/runjobs/jobs.d"
SYSTEM_STATE = "/var/lib/runjobs"


class Settings(NamedTuple):
    """What one call of runjobs works with.

    `jobs` are the folders or files that hold jobs and `jobs_why` the rule that chose them; `state` is the state
    folder; `local` the zone of schedules that name none; `cwd` where jobs run that name no folder (None: home);
    `most` is how many runs may go on at once (None: no bound); `metrics_file` is what a pass writes metrics to.
    """

    jobs: tuple[str, ...]
    jobs_why: str
    state: str
    user_column: bool = False
    trust_jobs: bool = False
    local: tzinfo | None = None
    cwd: str | None = None
    most: int | None = None
    metrics_file: str | None = None


def resolve(  # noqa: PLR0913 (one parameter per flag that every command shares)
    jobs: Sequence[str] = (),
    state: str | None = None,
    *,
    user_column: bool = False,
    trust_jobs: bool = False,
    cwd: str | None = None,
    max_parallel: str | None = None,
    metrics_file: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settle the settings. RunjobsError where no state folder can be told."""
    environ = os.environ if environ is None else environ
    uid = os.geteuid()
    paths, why = choose_jobs(jobs, environ, uid)
    return Settings(
        jobs=paths,
        jobs_why=why,
        state=state or environ.get("RUNJOBS_STATE") or choose_state(paths, environ, uid),
        user_column=user_column,
        trust_jobs=trust_jobs,
        local=clock.local_zone(),
        cwd=cwd or environ.get("RUNJOBS_CWD") or None,
        most=choose_parallel(max_parallel or environ.get("RUNJOBS_MAX_PARALLEL") or ""),
        metrics_file=metrics_file or environ.get("RUNJOBS_METRICS_FILE") or None,
    )


def choose_parallel(text: str) -> int | None:
    """How many runs may go on at once: a number, `none` for no bound, or what suits the machine."""
    if text == "none":
        return None
    if not text:
        return machine.sensible_parallel()
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise UsageError(f"--max-parallel {text!r} is no number of runs", "write a number from 1 on, or none")
    return int(text)


def choose_jobs(asked: Sequence[str], environ: Mapping[str, str], uid: int) -> tuple[tuple[str, ...], str]:
    """Which jobs folders or files, and the rule that chose them."""
    if asked:
        return tuple(asked), "--jobs"
    if named := tuple(filter(None, environ.get("RUNJOBS_JOBS", "").split(os.pathsep))):
        return named, "RUNJOBS_JOBS"
    if Path("jobs.d").is_dir():
        return ("jobs.d",), "./jobs.d"
    default = default_jobs(environ, uid)
    return (default,), "the default of root" if default == SYSTEM_JOBS else "the default of this user"


def default_jobs(environ: Mapping[str, str], uid: int) -> str:
    """The jobs folder where nothing else is said."""
    if uid == 0:
        return SYSTEM_JOBS
    base = _absolute(environ, "XDG_CONFIG_HOME") or Path(_home(environ, uid)) / ".config"
    return str(base / "runjobs" / "jobs.d")


def choose_state(jobs: Sequence[str], environ: Mapping[str, str], uid: int) -> str:
    """The state folder: one for the default jobs folder, and below it one for each other set of them."""
    base = Path(_state_base(environ, uid))
    roots = sorted(os.path.abspath(path) for path in jobs)
    with contextlib.suppress(RunjobsError):  # who has no home has no default jobs folder either, so this is none
        if roots == [default_jobs(environ, uid)]:
            return str(base)
    import zlib

    slug = re.sub(r"[^A-Za-z0-9]+", "-", roots[0]).strip("-")[-60:]
    return str(base / "roots" / f"{slug}-{zlib.crc32(os.pathsep.join(roots).encode(errors='surrogateescape')):08x}")


def _state_base(environ: Mapping[str, str], uid: int) -> str:
    if given := environ.get("STATE_DIRECTORY"):  # systemd.exec(5); several are joined by colons
        return given.split(":", 1)[0]
    if uid == 0:
        return SYSTEM_STATE
    base = _absolute(environ, "XDG_STATE_HOME") or Path(_home(environ, uid)) / ".local" / "state"
    return str(base / "runjobs")


def _absolute(environ: Mapping[str, str], name: str) -> Path | None:
    """A base folder of the XDG base directory specification, which has relative ones ignored."""
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else None


def _home(environ: Mapping[str, str], uid: int) -> str:
    home = environ.get("HOME") or _passwd_home(uid)
    if not home.startswith("/"):
        message = f"uid {uid} has no home folder, so there is no default for jobs and state"
        raise RunjobsError(message, "name them: --jobs PATH --state DIR")
    return home


def _passwd_home(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""  # as in a container, whose uid may be anything

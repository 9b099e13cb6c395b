"""What a run is started with: its user, its folder and its environment. Where finding out may hang, a run does it."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.launch import LaunchError
from runjobs.adapters.mounts import is_local, read_mounts
from runjobs.core.environment import RunFacts, job_environment
from runjobs.core.errors import FieldError
from runjobs.guard import Equipment

if TYPE_CHECKING:
    from runjobs.core.job import Job

LARGEST_ENV_FILE: Final = 1_048_576  # bytes; a process can be given 2 MiB in all, execve(2)


class Person(NamedTuple):
    """Whom a job runs as: the name to become (None: nobody else), its login name and home."""

    become: str | None
    logname: str
    home: str


class QuickEquip:
    """Equips runs whose start can't hang, in the runner, ahead of the forks: for all others it has nothing."""

    def __init__(self, default_cwd: str | None) -> None:
        """Find out once who we are and what the jobs inherit."""
        self._person = _ourselves(os.geteuid())
        self._default_cwd = default_cwd or _usable_home(self._person)
        self._inherited = dict(os.environ)
        self._local: dict[str, bool] = {}
        self._mounts: dict[str, str] = {}

    def refresh(self) -> None:
        """Look at the mounts anew."""
        self._mounts = read_mounts()
        self._local = {}

    def equipment(self, job: Job, facts: RunFacts) -> Equipment | None:
        """What a run is started with; None where finding out, or entering its folder, might hang."""
        options = job.options
        if options.user is not None or options.env_file is not None or options.nice:
            return None
        cwd = options.cwd or self._default_cwd
        if cwd not in self._local:
            self._local[cwd] = is_local(cwd, self._mounts)
        if not self._local[cwd]:
            return None
        person = self._person
        environment = job_environment(job, self._inherited, home=person.home, logname=person.logname, facts=facts)
        return Equipment(environment, cwd, None)


def equip(job: Job, facts: RunFacts, default_cwd: str | None) -> Equipment:
    """Work out what a run is started with. LaunchError where its user or its env-file can't be had."""
    person = _person(job.options.user)
    text = _read_env_file(job.options.env_file) if job.options.env_file is not None else ""
    try:
        environment = job_environment(
            job, os.environ, home=person.home, logname=person.logname, facts=facts, env_file_text=text
        )
    except FieldError as error:
        raise LaunchError("env-file", f"{job.options.env_file}: {error.message}") from error
    return Equipment(environment, job.options.cwd or default_cwd or _usable_home(person), person.become)


def _person(user: str | None) -> Person:
    uid = os.geteuid()
    if user is None:
        return _ourselves(uid)
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise LaunchError("user", f"there is no user {user}") from error
    if entry.pw_uid == uid:
        return _ourselves(uid)
    if uid != 0:
        raise LaunchError("user", f"only root can run a job as {user}; this runner is uid {uid}")
    return Person(entry.pw_name, entry.pw_name, entry.pw_dir)


def _ourselves(uid: int) -> Person:
    """Who the runner is; in a container there may be no passwd entry for it."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Person(None, os.environ.get("LOGNAME") or str(uid), os.environ.get("HOME") or "/")
    return Person(None, entry.pw_name, os.environ.get("HOME") or entry.pw_dir)


def _usable_home(person: Person) -> str:
    """The home, or / where there is none, such as for nobody; another user's is entered as that user, or not."""
    return person.home if person.become is not None or Path(person.home).is_dir() else "/"


def _read_env_file(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="surrogateescape", newline="") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise LaunchError("env-file", f"{path} is not a regular file")
            return file.read(LARGEST_ENV_FILE)
    except OSError as error:
        raise LaunchError("env-file", f"{path}: {error.strerror}") from error

"""What a run is started with: its user, its folder and its environment. Where finding out may hang, a run does it."""

from __future__ import annotations

import contextlib
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters.files import envfile
from runjobs.adapters.files.walk import RefusedError
from runjobs.adapters.launch import LaunchError
from runjobs.adapters.mounts import is_local, read_mounts
from runjobs.core.environment import RunFacts, job_environment, read_env_file
from runjobs.core.errors import FieldError
from runjobs.core.trust import Judge, Refusal
from runjobs.guard import Equipment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runjobs.core.job import Job


class Person(NamedTuple):
    """Whom a job runs as: the name to become (None: nobody else), its login name, home and uid."""

    become: str | None
    logname: str
    home: str
    uid: int


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


def equip(job: Job, facts: RunFacts, default_cwd: str | None, *, trust: bool = False) -> Equipment:
    """Work out what a run is started with. LaunchError where its user or its env-file can't be had.

    `trust` lets an env-file pass that others could have written.
    """
    person = _person(job.options.user)
    try:
        text = envfile.read_env_file(job.options.env_file, _judge(person), trust=trust) if job.options.env_file else ""
        environment = job_environment(
            job, os.environ, home=person.home, logname=person.logname, facts=facts, env_file_text=text
        )
    except RefusedError as error:
        raise LaunchError("env-file", f"{error.refusal.message}; try: {error.refusal.hint}") from error
    except FieldError as error:
        raise LaunchError("env-file", f"{job.options.env_file}: {error.message}") from error
    return Equipment(environment, job.options.cwd or default_cwd or _usable_home(person), person.become)


def doubts(jobs: Iterable[Job], *, trust: bool) -> Iterator[tuple[Job, Refusal]]:
    """What is to be said of the jobs' env-files before a run needs them; what stands in them is never told.

    Each file comes once, with the first job that has it.
    """
    seen = set()
    for job in jobs:
        try:
            person = _person(job.options.user)
        except LaunchError:  # the run says so; it may be another's machine that is asked
            continue
        path, judge = job.options.env_file, _judge(person)
        if path is None or (path, judge) in seen:
            continue
        seen.add((path, judge))
        for doubt in _doubts(path, judge, trust=trust):
            yield job, doubt


def _doubts(path: str, judge: Judge, *, trust: bool) -> Iterator[Refusal]:
    yield from envfile.doubts(path, judge, trust=trust)
    with contextlib.suppress(RefusedError):
        try:
            read_env_file(envfile.read_env_file(path, judge, trust=trust))
        except FieldError as error:
            yield Refusal(f"{path}: {error.message}", error.hint)


def _judge(person: Person) -> Judge:
    """As root an env-file may belong to the user who is given what stands in it."""
    return Judge(os.geteuid(), person.uid)


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
    return Person(entry.pw_name, entry.pw_name, entry.pw_dir, entry.pw_uid)


def _ourselves(uid: int) -> Person:
    """Who the runner is; in a container there may be no passwd entry for it."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Person(None, os.environ.get("LOGNAME") or str(uid), os.environ.get("HOME") or "/", uid)
    return Person(None, entry.pw_name, os.environ.get("HOME") or entry.pw_dir, uid)


def _usable_home(person: Person) -> str:
    """The home, or / where there is none, such as for nobody; another user's is entered as that user, or not."""
    return person.home if person.become is not None or Path(person.home).is_dir() else "/"

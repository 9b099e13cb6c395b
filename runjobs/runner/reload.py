"""Live reload: jobs files that change are read again, once they are left alone, and the foreground follows them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.mounts import is_local, read_mounts
from runjobs.adapters.watch import Watch
from runjobs.core.changes import changes
from runjobs.core.errors import Severity
from runjobs.core.event import Event, Happening
from runjobs.core.settling import Settling, torn_by
from runjobs.runner.attending import FILES
from runjobs.runner.loading import SETTLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from runjobs.adapters.files import Folder, Stamp
    from runjobs.core.changes import Change
    from runjobs.core.errors import Problem
    from runjobs.runner.engine import Engine
    from runjobs.runner.foreground import Foreground
    from runjobs.runner.loading import Loaded, Source

GLANCE: Final = 0.25  # seconds between two looks at files that are being written, which need not be listened to then
KINDS: Final = (Happening.JOB_ADDED, Happening.JOB_CHANGED, Happening.JOB_REMOVED)
NET: Final = 55.0  # seconds: a foreground turns once a minute anyhow, and what nobody has told is found then


class Reload:
    """Sees to the jobs files of a foreground, as its attendant."""

    def __init__(self, engine: Engine, source: Source, loaded: Loaded) -> None:
        """`loaded` is what the foreground begins with; what has changed since is found at its first turn."""
        self._engine = engine
        self._source = source
        self._loaded = loaded
        self._told = _states(loaded)
        self._settling = Settling(SETTLE)
        read = {file.path: file.stamp for folder in loaded.folders for file in folder.files}
        self._settling.take(read, read)
        self._watch = Watch(lambda path: is_local(path, read_mounts()))
        self._is_listening = False
        self._is_awake = True
        self._is_demanded = False
        self._is_unkept = True
        self._has_complained = False
        self._next_look = 0.0

    def pause(self) -> float | None:
        """Seconds until a file may have settled, or is to be looked at since nobody tells of it."""
        if self._is_awake:
            return 0.0
        if self._settling.changed:
            return max(0.0, self._next_look - self._engine.monotonic())
        return self._watch.pause()

    def wake(self) -> None:
        """Look at the next turn."""
        self._is_awake = True

    def demand(self) -> None:
        """At the next turn read every file as it is, settled or not, and tell what came of it, be it nothing."""
        self._is_awake = self._is_demanded = True

    def attend(self, foreground: Foreground) -> None:
        """Look at the files where something has been heard, and have the foreground follow what they say now."""
        if not self._is_time():
            return
        self._is_awake = False
        self._look(foreground)
        self._listen(wanted=not self._settling.changed)
        self._next_look = self._engine.monotonic() + (GLANCE if self._settling.changed else NET)

    def close(self) -> None:
        """Stop listening."""
        if self._is_unkept:
            self._keep()
        self._listen(wanted=False)
        self._watch.close()

    def _is_time(self) -> bool:
        if self._settling.changed and not self._is_awake:
            return self._engine.monotonic() >= self._next_look
        return self._watch.is_due() or self._is_awake or self._engine.monotonic() >= self._next_look

    def _listen(self, *, wanted: bool) -> None:
        """Listen to what the kernel tells of changes, or not: while files are written it may tell thousands."""
        fd = self._watch.fd
        if fd is None or wanted is self._is_listening:
            return
        self._is_listening = wanted
        if wanted:
            self._engine.crew.listen(fd, self._watch.heard)
        else:
            self._engine.crew.selector.unregister(fd)

    def _look(self, foreground: Foreground) -> None:
        self._watch.follow(self._places())
        for trouble in self._watch.take_troubles():
            self._tell(Happening.WARNING, message=trouble)
        stamps = self._source.stamps()
        settled = self._settling.look(stamps, self._engine.monotonic())
        if settled or self._is_demanded:
            self._read(foreground, stamps, settled)
        elif self._is_unkept:
            self._keep()

    def _places(self) -> list[str]:
        """The paths to follow: the jobs paths, and the files in them that are written to by other paths."""
        mounts = read_mounts()
        real = {path: os.path.realpath(path) for path in self._source.paths}
        apart = [
            path
            for path in self._source.stamps()
            if os.path.islink(path)
            or os.path.join(real.get(os.path.dirname(path), ""), os.path.basename(path)) in mounts
        ]
        return [*self._source.paths, *apart]

    def _read(self, foreground: Foreground, before: Mapping[str, Stamp], settled: set[str]) -> None:
        """Read all files, but leave those as they were that are being written, at the latest while they are read."""
        folders = self._source.read()
        after = self._source.stamps()
        read = {file.path: file.stamp for folder in folders for file in folder.files}
        torn = torn_by(before, read, after)
        unsettled = torn if self._is_demanded else torn | (self._settling.changed - settled)
        known = {folder.path: folder for folder in self._loaded.folders}
        self._settling.take((self._settling.changed | before.keys()) - unsettled, before)
        self._accept(foreground, [_mixed(folder, known[folder.path], unsettled) for folder in folders])
        if unsettled:
            self._settling.look(after, self._engine.monotonic())

    def _accept(self, foreground: Foreground, folders: Sequence[Folder]) -> None:
        """Judge what was read, tell what is new, and have the foreground follow it."""
        before, self._loaded = self._loaded, self._source.load(folders)
        jobs = {job.name: job for job in self._loaded.jobs}
        found = changes({job.name: job for job in before.jobs}, jobs)
        self._tell_files()
        self._tell_jobs(found)
        if self._is_demanded:
            self._is_demanded = False
            counts = [sum(change.happening is kind for change in found) for kind in KINDS]
            bad = len(self._told)
            self._tell(
                Happening.RELOADED, jobs=len(jobs), added=counts[0], changed=counts[1], removed=counts[2], bad_files=bad
            )
        if self._loaded.jobs != before.jobs:
            others = [change.job.name for change in found if change.happening is not Happening.JOB_ADDED]
            # what comes due until now is that of the jobs as they were, and what comes due after that of the others
            since = foreground.fire(others) if others else self._engine.now()
            foreground.take_jobs(FILES, jobs, since)
        self._is_unkept = self._is_awake = True  # a disk takes its time: at the next turn, after the pass

    def _keep(self) -> None:
        """Write down what is good; while that can't be done, it is tried again now and then."""
        try:
            self._source.keep(self._loaded, self._engine.now())
        except OSError as error:
            if not self._has_complained:
                message = f"the last good versions of the jobs files can't be kept: {error.strerror}"
                self._tell(Happening.WARNING, message=message)
            self._is_unkept = self._has_complained = True
        else:
            self._is_unkept = self._has_complained = False

    def _tell_files(self) -> None:
        """Tell of each file that is bad now, once for each change of it, and of each that was and is not any more."""
        now = _states(self._loaded)
        there = {file.source for file in self._loaded.files}
        for path in self._told.keys() - now.keys():
            if path in there or any(folder.path == path for folder in self._loaded.folders):
                self._tell(Happening.FILE_MENDED, file=path)
        for path, state in now.items():
            if self._told.get(path) != state:
                first = state.problems[0]
                more = len(state.problems) - 1
                facts = {"line": first.place.line, "message": first.message, "hint": first.hint, "more_errors": more}
                self._tell(Happening.FILE_BAD, file=path, **facts, held=state.held, held_since=state.since)
        self._told = now

    def _tell_jobs(self, found: Sequence[Change]) -> None:
        now = self._engine.now()
        for change in found:
            job = change.job
            facts: dict[str, object] = {"schedule": job.schedule.expression, "file": job.source, "line": job.line}
            if change.happening is Happening.JOB_CHANGED:
                facts["what"] = change.what
            self._engine.report(Event(now, change.happening, job.name, facts=facts))

    def _tell(self, happening: Happening, **facts: object) -> None:
        self._engine.report(Event(self._engine.now(), happening, facts=facts))


class _State(NamedTuple):
    """How bad a path is: its text where there is one, its errors, and how many files are held because of it."""

    text: str | None
    problems: tuple[Problem, ...]
    held: int
    since: datetime | None


def _states(loaded: Loaded) -> dict[str, _State]:
    """The paths that are bad, with all that makes one bad version differ from another."""
    texts = {file.path: file.text for folder in loaded.folders for file in folder.files}
    errors: dict[str, list[Problem]] = {}
    for problem in loaded.problems:
        if problem.severity is Severity.ERROR:
            errors.setdefault(problem.place.source, []).append(problem)
    states = {}
    for path, those in errors.items():
        held = [each for each in loaded.held.values() if each.blamed == path]
        states[path] = _State(
            texts.get(path), tuple(those), len(held), max((each.since for each in held), default=None)
        )
    return states


def _mixed(read: Folder, known: Folder, unsettled: set[str]) -> Folder:
    """A folder as it was read, but with the unsettled files as they were known."""
    files = [file for file in read.files if file.path not in unsettled]
    files += [file for file in known.files if file.path in unsettled]
    problems = [problem for problem in read.problems if problem.place.source not in unsettled]
    problems += [problem for problem in known.problems if problem.place.source in unsettled]
    return read._replace(files=tuple(sorted(files, key=lambda file: file.path)), problems=tuple(problems))

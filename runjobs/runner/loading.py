"""Loading jobs: files are read and judged, and where one is bad its last good version takes its place."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.adapters.files import fingerprint, read_folder
from runjobs.core.crontab import parse
from runjobs.core.errors import Place, Problem, Severity
from runjobs.core.settling import PUT_OFF
from runjobs.core.versions import Version, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from runjobs.adapters.files import Folder, JobsText, Skipped, Stamp
    from runjobs.adapters.lastgood import Copy, LastGood
    from runjobs.core.crontab import JobsFile
    from runjobs.core.job import Job

SETTLE: Final = 0.5  # seconds: a file that was left alone for so long has been written
MOST_WAITS: Final = 4  # of a pass, for files that are being written
BESIDE: Final = (
    "the file is not there, and a new file beside it is being written",
    "if it was moved, there is nothing to do; its jobs go once the new one is left alone for half a second",
)
UNSETTLED: Final = (
    "the file is being written to: it was not left alone for half a second",
    "it is read as soon as it is; or write a new file, and move it over this one",
)


class Held(NamedTuple):
    """A file whose last good version is in force: when that was taken, and the path whose problem keeps it there."""

    since: datetime
    blamed: str


class Loaded(NamedTuple):
    """All that was found at the jobs paths: the jobs in force, what is wrong, and what was passed over.

    `files` are the files of `folders` as they are now, in their order, whether they are in force or not. `held` tells
    by path whose last good version is in force instead. `changed` are the files that are not as they were when they
    were good last, `fresh` those of them that are good as they are now, and `gone` the files that were deleted.
    """

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    skipped: tuple[Skipped, ...]
    files: tuple[JobsFile, ...]
    folders: tuple[Folder, ...]
    held: dict[str, Held]
    changed: tuple[JobsText, ...]
    fresh: tuple[JobsText, ...]
    gone: tuple[str, ...]

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep something from running as it is written."""
        return [problem for problem in self.problems if problem.severity is Severity.ERROR]


class Parser:
    """Parses jobs files, and remembers those of the last load: only what has changed since is parsed again."""

    def __init__(self, local: tzinfo | None, *, user_column: bool) -> None:
        """`local` is the zone of schedules that name none."""
        self.local = local
        self._user_column = user_column
        self._known: dict[tuple[str, str], JobsFile] = {}
        self._used: dict[tuple[str, str], JobsFile] = {}

    def parse(self, path: str, text: str) -> JobsFile:
        """The file as `core.crontab.parse` has it."""
        key = (path, text)
        file = self._used.get(key) or self._known.get(key)
        if file is None:
            file = parse(text, source=path, user_column=self._user_column, local=self.local)
        self._used[key] = file
        return file

    def turn(self) -> None:
        """Begin another load: what the last one did not use is forgotten."""
        self._known, self._used = self._used, {}


class Source:
    """The jobs paths of one runner, and the last good versions of what stands there."""

    def __init__(
        self, paths: Sequence[str], copies: LastGood, parser: Parser, *, trust: bool, is_strict: bool = False
    ) -> None:
        """`is_strict`: of a file that is bad and never was good nothing is taken."""
        self._paths = tuple(paths)
        self._copies = copies
        self._parser = parser
        self._trust = trust
        self._is_strict = is_strict

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders, or single files, that hold the jobs."""
        return self._paths

    def read(self) -> list[Folder]:
        """Read every jobs file. What is wrong with them is in the result; nothing is raised."""
        uid = os.geteuid()
        return [read_folder(path, trust=self._trust, uid=uid) for path in self._paths]

    def stamps(self) -> dict[str, Stamp]:
        """The stamps of all that `read` would read, and of the folders, by their paths."""
        return {stamp.path: stamp for path in self._paths for stamp in fingerprint(path)}

    def load(self, folders: Sequence[Folder]) -> Loaded:
        """Parse and judge what was read; nothing is raised, and nothing is written."""
        self._parser.turn()
        files = [file for folder in folders for file in folder.files]
        deleted = [folder.path for folder in folders if self._is_deleted(folder)]
        finds = [find for folder in folders if folder.path not in deleted for find in self._finds(folder)]
        verdict = judge([find.version for find in finds], is_strict=self._is_strict)
        held = {
            find.version.path: Held(find.copy.since, find.blamed)
            for find in finds
            if find.copy is not None and find.version.path in verdict.held
        }
        problems = [problem for folder in folders for problem in folder.problems]
        return Loaded(
            jobs=verdict.jobs,
            problems=(*problems, *verdict.problems, *_notes(held, self._parser.local)),
            skipped=tuple(skip for folder in folders for skip in folder.skipped),
            files=tuple(self._parser.parse(file.path, file.text) for file in files),
            folders=tuple(folders),
            held=held,
            changed=tuple(find.file for find in finds if find.file is not None and not find.version.is_same),
            fresh=tuple(find.file for find in finds if find.file is not None and find.version.path in verdict.fresh),
            gone=(*deleted, *(path for folder in folders for path in self._gone(folder))),
        )

    def load_settled(
        self, wall_ns: Callable[[], int] = time.time_ns, pause: Callable[[float], object] = time.sleep
    ) -> Loaded:
        """Read and load, once no file is being written that was there before: for who reads them a single time.

        A file that is written to for longer than two seconds is taken for one that can't be read.
        """
        loaded = self.load(self.read())
        if not self._copies.is_there():  # the first time: who has just written these files knows that they are whole
            return loaded
        for _ in range(MOST_WAITS):
            unsettled = self._unsettled(loaded, wall_ns())
            if not unsettled:
                return loaded
            pause(max(unsettled.values()))
            loaded = self.load(self.read())
        unsettled = self._unsettled(loaded, wall_ns())
        if not unsettled:
            return loaded
        missing = {path for path in loaded.gone if self._may_have_moved(path, loaded, unsettled, wall_ns())}
        return self.load([_without(folder, unsettled, missing) for folder in loaded.folders])

    def keep(self, loaded: Loaded, now: datetime) -> None:
        """Write down what is good now, for the time when it is not. OSError where that can't be written."""
        self._copies.prepare()
        for file in loaded.fresh:
            self._copies.keep(file.path, file.text, now)
        for path in loaded.gone:
            self._copies.forget(path)

    def _finds(self, folder: Folder) -> Iterator[_Find]:
        for file in folder.files:
            now, copy = self._parser.parse(file.path, file.text), self._copies.find(file.path)
            is_same = copy is not None and copy.text == file.text
            good = None if is_same else self._good(file.path, copy)
            yield _Find(Version(file.path, now, good, is_same), copy, file.path, file)
        there = {file.path for file in folder.files}
        if _is_closed(folder):
            for copy in self._copies.below(folder.path):
                path = os.path.join(folder.path, os.path.basename(copy.path))
                shown = folder.path if copy.path == os.path.abspath(folder.path) else path
                yield _Find(Version(shown, None, self._good(shown, copy)), copy, folder.path)
            return
        for path in dict.fromkeys(problem.place.source for problem in folder.problems):
            if path not in there:
                copy = self._copies.find(path)
                yield _Find(Version(path, None, self._good(path, copy)), copy, path)

    def _good(self, path: str, copy: Copy | None) -> JobsFile | None:
        return None if copy is None else self._parser.parse(path, copy.text)

    def _gone(self, folder: Folder) -> list[str]:
        """The files that were deleted: their folder was read, and they are not in it. All else is bad, not gone."""
        if _is_closed(folder):
            return []
        present = {file.path for file in folder.files} | {problem.place.source for problem in folder.problems}
        return self._copies.gone(folder.path, present)

    def _is_deleted(self, folder: Folder) -> bool:
        """Whether this was a single file, which is not in its folder any more; a folder of jobs may be unmounted."""
        path = folder.path
        if not _is_closed(folder) or os.path.lexists(path) or not os.path.isdir(os.path.dirname(path) or "."):
            return False
        return [copy.path for copy in self._copies.below(path)] == [os.path.abspath(path)]

    def _unsettled(self, loaded: Loaded, now: int) -> dict[str, float]:
        """For how many seconds each file that has changed, and is not left alone, should be waited for."""
        read = {file.path: file.stamp for file in loaded.changed}
        if not (read or loaded.held or loaded.gone):
            return {}
        stamps = self.stamps()
        doubtful = {*read, *loaded.held, *(folder.path for folder in loaded.folders if loaded.gone)}
        waits = {}
        for path in doubtful & stamps.keys():
            age = (now - _touched_ns(stamps[path])) / 1e9 if stamps[path] == read.get(path, stamps[path]) else 0.0
            if 0 <= age < SETTLE:  # what comes from the future was stamped by another clock
                waits[path] = SETTLE - age
        return waits

    def _may_have_moved(self, gone: str, loaded: Loaded, unsettled: Mapping[str, float], now: int) -> bool:
        """Whether a file that is gone may be the new one in its folder that is being written; for `PUT_OFF` seconds."""
        stamps, place = self.stamps(), os.path.dirname(gone)
        return any(
            os.path.abspath(folder.path) == place
            and (now - stamps[folder.path].ctime_ns) / 1e9 < PUT_OFF
            and any(file.path in unsettled and self._copies.find(file.path) is None for file in folder.files)
            for folder in loaded.folders
        )


class _Find(NamedTuple):
    """A file or what is left of it: its versions, its copy, the path to blame for what is wrong, and its text."""

    version: Version
    copy: Copy | None
    blamed: str
    file: JobsText | None = None


def _is_closed(folder: Folder) -> bool:
    """Whether the path itself can't be read or trusted, so that nobody knows what is in it."""
    return not folder.files and any(problem.place.source == folder.path for problem in folder.problems)


def _touched_ns(stamp: Stamp) -> int:
    """When a path was changed last; of one that leads nowhere, when its folder was."""
    if stamp.size >= 0:
        return stamp.ctime_ns
    try:
        return os.stat(os.path.dirname(stamp.path) or ".").st_ctime_ns
    except OSError:
        return 0


def _without(folder: Folder, paths: Mapping[str, float], missing: set[str]) -> Folder:
    """The folder without the files that are still being written; `missing` ones are not gone yet."""
    problems = [Problem(Place(file.path, 1), *UNSETTLED) for file in folder.files if file.path in paths]
    problems += [
        Problem(Place(os.path.join(folder.path, os.path.basename(path)), 1), *BESIDE)
        for path in sorted(missing)
        if os.path.dirname(path) == os.path.abspath(folder.path)
    ]
    files = tuple(file for file in folder.files if file.path not in paths)
    return folder._replace(files=files, problems=(*folder.problems, *problems))


def _notes(held: Mapping[str, Held], zone: tzinfo | None) -> Iterator[Problem]:
    """Say which files are bad and have their last good versions in force."""
    by_blame: dict[str, list[Held]] = {}
    for each in held.values():
        by_blame.setdefault(each.blamed, []).append(each)
    for path, those in by_blame.items():
        if path in held:
            message = f"its last good version of {those[0].since.astimezone(zone):%Y-%m-%d %H:%M:%S} is in force"
            hint = "mend it, and it is taken; delete it, and its jobs go"
        else:
            message = f"the last good versions of the files in it are in force, which are {len(those)}"
            hint = "mend it or bring it back, and they are taken; leave it there without them, and their jobs go"
        yield Problem(Place(path, 1), message, hint, severity=Severity.WARNING)

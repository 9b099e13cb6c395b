"""From the paths of `runjobs import` to jobs files: each source found, read and made into one."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from runjobs.adapters import takeover
from runjobs.core.crontab import parse
from runjobs.core.errors import FieldError, Place, Problem, RunjobsError, Severity, UsageError
from runjobs.core.imports.account import Source, Taken
from runjobs.core.imports.kinds import TRIGGERS, YAML, Kind, guess, holds_scripts, is_template, owner
from runjobs.core.imports.naming import file_name
from runjobs.core.names import file_part, skip_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runjobs.adapters.takeover import Found
    from runjobs.core.imports.triggers import UnitFiles

INPUT = "-"
_USUAL = {
    Kind.CRON_D: ("/etc/crontab", "/etc/cron.d"),
    Kind.ANACRONTAB: ("/etc/anacrontab",),
}


class Skipped(NamedTuple):
    """Something that is not taken over, and why."""

    path: str
    reason: str


class Import(NamedTuple):
    """One jobs file that was made: what is to be said of it, and whether others may read what it was made of."""

    taken: Taken
    private: bool


class Gathering:
    """All that one call takes over."""

    def __init__(self, names: Iterable[str]) -> None:
        """Begin with nothing; `names` are those of jobs that are already there."""
        self.imports: list[Import] = []
        self.skipped: list[Skipped] = []
        self.problems: list[Problem] = []
        self._names = set(names)
        self._stems: set[str] = set()

    def gather(self, kind: Kind | None, paths: Sequence[str]) -> None:
        """Take over what the paths hold; without paths, what is where it usually is."""
        if not paths:
            self._usual(kind or Kind.CRONTAB)
        for path in paths:
            self._path(kind, path)

    def _usual(self, kind: Kind) -> None:
        if kind is Kind.CRONTAB:
            self._make(kind, takeover.own_crontab(), f"crontab-{_user()}")
        elif kind is Kind.SYSTEMD:
            self._units(takeover.wanted_units(takeover.UNIT_FOLDERS, TRIGGERS), takeover.UNIT_FOLDERS)
        elif kind is Kind.YACRON:
            raise UsageError("where is yacron's file?", "runjobs import --from yacron FILE")
        for path in _USUAL.get(kind, ()):
            if os.path.lexists(path):
                self._path(kind, path)

    def _path(self, kind: Kind | None, path: str) -> None:
        if path == INPUT:
            self._input(kind or Kind.CRONTAB)
            return
        if holds_scripts(path):
            message = f"{path} holds scripts and no crontab"
            raise UsageError(message, "runjobs import /etc/crontab, or /etc/anacrontab, which run them by run-parts")
        try:
            names = takeover.names_in(path)
        except OSError as error:
            self._unreadable(path, error)
            return
        kind = kind or guess(os.path.abspath(path), names or ())
        if kind is Kind.SYSTEMD:
            self._unit_path(path, names)
        elif names is None:
            self._file(kind, path)
        else:
            self._folder(kind, path, names)

    def _input(self, kind: Kind) -> None:
        if kind is Kind.SYSTEMD:
            raise UsageError("units can't be read from standard input", "name their folder")
        text = os.fsdecode(sys.stdin.buffer.read())
        self._make(kind, takeover.Found("standard input", text, private=True), "imported")

    def _folder(self, kind: Kind, path: str, names: Sequence[str]) -> None:
        for name in names:
            here = os.path.join(path, name)
            why = skip_reason(name)
            if not why and os.path.isdir(here):
                why = "a folder"
            if not why and kind is Kind.YACRON and not name.endswith(YAML):
                why = "its name ends neither in .yaml nor in .yml"
            if why:
                self.skipped.append(Skipped(here, why))
            else:
                self._file(kind, here)
                if kind is Kind.CRON_D and "." in name:
                    message = "Debian's cron passes over files with a dot in their name; others read them"
                    self._say(here, message, "see whether these jobs have ever run", Severity.WARNING)

    def _file(self, kind: Kind, path: str) -> None:
        found = self._read(path)
        if found is not None:
            self._make(kind, found, os.path.basename(path))

    def _read(self, path: str) -> Found | None:
        try:
            return takeover.read(path)
        except OSError as error:
            self._unreadable(path, error)
        except RunjobsError as error:
            self._say(path, error.message, error.hint)
        return None

    def _unreadable(self, path: str, error: OSError) -> None:
        self._say(path, f"it can't be read: {error.strerror}", f"namei -l {path} shows what is there")

    def _say(self, path: str, message: str, hint: str, severity: Severity = Severity.ERROR) -> None:
        self.problems.append(Problem(Place(path, 1), message, hint, severity=severity))

    # units

    def _unit_path(self, path: str, names: Sequence[str] | None) -> None:
        folder = path if names is not None else os.path.dirname(os.path.abspath(path))
        here = os.path.realpath(folder)
        known = takeover.UNIT_FOLDERS if here in map(os.path.realpath, takeover.UNIT_FOLDERS) else ()
        if names is None:
            names = [os.path.basename(path)]
            if not os.path.lexists(path) or not names[0].endswith(TRIGGERS):
                self._say(path, "this is no timer", "name a folder of units, or a file that ends in .timer or .path")
                return
        self._units([name for name in names if name.endswith(TRIGGERS)], [folder, *known])

    def _units(self, names: Iterable[str], folders: Sequence[str]) -> None:
        from runjobs.core.imports.triggers import service_name, take_trigger

        for name in names:
            if is_template(name):
                self.skipped.append(Skipped(name, "a template: only its instances start anything"))
                continue
            trigger, private = self._unit(name, folders)
            if not trigger.sources:
                self.skipped.append(Skipped(name, "masked, or not to be found"))
                continue
            service, hidden = self._unit(service_name(trigger), folders)
            target = file_name(name.rpartition(".")[0], self._stems)
            taken = take_trigger(trigger, service, target, taken=self._names, exists=takeover.exists)
            self._keep(taken, private=private or hidden)

    def _unit(self, name: str, folders: Sequence[str]) -> tuple[UnitFiles, bool]:
        from runjobs.core.imports.triggers import UnitFiles

        found = [file for path in takeover.unit_files(name, folders) for file in [self._read(path)] if file]
        return UnitFiles(name, [Source(file.path, file.text) for file in found]), any(file.private for file in found)

    # the result

    def _make(self, kind: Kind, found: Found, base: str) -> None:
        name = file_name(base, self._stems)
        try:
            taken = self._taken(kind, Source(found.path, found.text), name)
        except FieldError as error:
            self._say(found.path, error.message, error.hint)
        else:
            self._keep(taken, private=found.private)

    def _taken(self, kind: Kind, source: Source, name: str) -> Taken:
        from runjobs.core.imports.anacrontab import take_anacrontab
        from runjobs.core.imports.crontab import Crontab, take_crontab

        if kind is Kind.ANACRONTAB:
            return take_anacrontab(source, name, self._names)
        if kind is Kind.YACRON:
            from runjobs.adapters.yamlfile import read_yaml
            from runjobs.core.imports.yacron import take_yacron

            return take_yacron(source, read_yaml(source.text), name, self._names)
        whose = owner(os.path.abspath(source.path)) if os.geteuid() == 0 else ""
        return take_crontab(Crontab(source, name, kind is Kind.CRON_D, whose), self._names)

    def _keep(self, taken: Taken, *, private: bool) -> None:
        self._stems.add(file_part(taken.name))
        self._names.update(job.name for job in parse(taken.text, source=taken.name).jobs)
        self.imports.append(Import(taken, private or taken.private))
        self.problems += taken.problems


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())

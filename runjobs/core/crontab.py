"""Jobs files: text in, jobs and problems out; the grammar is crontab(5), with options in `#:` lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.directives import IS_DIRECTIVE, Directive, Setting, read_directive
from runjobs.core.entry import Entry, check_command, split_input, strange_blank, take_apart
from runjobs.core.environment import IS_ASSIGNMENT
from runjobs.core.errors import FieldError, Place, Problem
from runjobs.core.job import Job
from runjobs.core.lines import Report, read_lines
from runjobs.core.names import derived_name, file_part, numbered, same_name
from runjobs.core.schedule import parse_schedule
from runjobs.core.scope import Scope
from runjobs.core.watchpaths import is_watch, misplaced

if TYPE_CHECKING:
    from datetime import tzinfo

    from runjobs.core.schedule import Schedule


class JobsFile(NamedTuple):
    """One jobs file, read: its jobs in file order, and all that is wrong with it."""

    source: str
    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]


def parse(
    text: str,
    *,
    source: str = "<text>",
    user_column: bool = False,
    local: tzinfo | None = None,
) -> JobsFile:
    """Read a jobs file; never raises.

    `text` may hold surrogate escapes for bytes that are not UTF-8. `user_column` says that a user stands before
    each command, as in /etc/crontab. `local` is the zone of schedules that name none (UTC without it).
    A line that is wrong becomes a problem and no job; every other job stays.
    """
    report = Report(source)
    reading = _Reading(report, local, user_column=user_column)
    for number, line in read_lines(text, report):
        reading.take(number, line)
    reading.end()
    return JobsFile(source, tuple(reading.jobs), tuple(report.problems))


class _Pending:
    """The `#:` lines above a job: what they set, and whether anything was wrong with them."""

    __slots__ = ("bad", "line", "number", "settings", "unsure_fields")

    def __init__(self, number: int, line: str) -> None:
        self.number = number
        self.line = line
        self.settings: dict[str, tuple[Setting, int]] = {}
        self.bad = False
        self.unsure_fields = False  # the mistake may be in `fields=`: judging the fields would only add noise

    def values(self) -> dict[str, object]:
        return {key: setting.value for key, (setting, _number) in self.settings.items()}


_NOTHING = _Pending(0, "")


class _Reading:
    """One pass over one file: what is in force at this line, and what has been found so far."""

    def __init__(self, report: Report, local: tzinfo | None, *, user_column: bool) -> None:
        self.source = report.source
        self.report = report
        self.local = local
        self.user_column = user_column
        self.jobs: list[Job] = []
        self.scope = Scope(report)
        self.pending: _Pending | None = None
        self.prefix = file_part(report.source)
        self.names: dict[str, int] = {}
        self.repeats: dict[str, int] = {}
        self.schedules: dict[tuple[str, str | None, int, str], Schedule] = {}
        self.directives: dict[str, Directive] = {}
        self.seen_job = False

    def take(self, number: int, line: str | None) -> None:
        """Read one line; None is one that could not be used, and whatever stood above it was meant for it."""
        body = line.lstrip(" \t") if line is not None else ""
        if line is None:
            self.pending = None
        elif not body:
            return
        elif body[0] == "#":
            if IS_DIRECTIVE.match(body):
                self._directive(number, line, len(line) - len(body) + 2)
        elif IS_ASSIGNMENT.match(line):
            self.scope.assign(number, line)
        else:
            self._job(number, line, len(line) - len(body))

    def end(self) -> None:
        """Close the file: options that no job followed are a mistake."""
        if self.pending is not None and self.pending.settings:
            hint = "put them right above the job they belong to"
            self.report.add(self.pending.number, self.pending.line, FieldError("no job follows these options", hint))

    # directives

    def _directive(self, number: int, line: str, start: int) -> None:
        directive = self.directives.get(line)
        if directive is None:
            directive = self.directives[line] = read_directive(line, start)
        faults = list(directive.faults)
        for fault in faults:
            hint = fault.hint
            if directive.defaults:
                hint = f"{hint}; until then the jobs below it are not loaded"
            self.report.add(number, line, FieldError(fault.message, hint, start=fault.start, end=fault.end))
        if directive.defaults:
            self.scope.set_defaults(number, line, directive)
        else:
            self._options(number, line, directive)

    def _options(self, number: int, line: str, directive: Directive) -> None:
        pending = self.pending = self.pending or _Pending(number, line)
        if directive.faults:
            pending.bad = True
            pending.unsure_fields = pending.unsure_fields or "fields" in line
        for setting in directive.settings:
            if setting.key == "user-column":
                self._set_user_column(number, line, setting)
            elif setting.key in pending.settings:
                pending.bad = True
                first = pending.settings[setting.key][1]
                error = _at(setting, f"{setting.key} is given twice for one job", f"keep one (see line {first})")
                self.report.add(number, line, error, other=first)
            elif self.scope.accepts(number, line, setting):
                pending.settings[setting.key] = (setting, number)
            else:
                pending.bad = True

    def _set_user_column(self, number: int, line: str, setting: Setting) -> None:
        if self.seen_job:
            error = _at(setting, "user-column comes after a job", "put it at the top: it is for the whole file")
            self.report.add(number, line, error)
        else:
            self.user_column = bool(setting.value)

    # jobs

    def _job(self, number: int, line: str, start: int) -> None:
        self.seen_job = True
        pending, self.pending = self.pending or _NOTHING, None
        if pending.unsure_fields:
            return
        settings = pending.values() if pending.settings else {}
        fields = self.scope.fields_of(settings)
        try:
            entry = take_apart(line, self._skip_dash(number, line, start), fields, user_column=self.user_column)
        except FieldError as error:
            self.report.add(number, line, strange_blank(line, start, len(line)) or error)
            return
        name = self._name(number, line, pending, entry)
        schedule = self._schedule(number, line, entry, name, settings)
        command, stdin = split_input(entry.command)
        good = self._check(number, line, entry, command, pending)
        if name is None or schedule is None or not good or not self.scope.sound(settings):
            return
        options = self.scope.options(settings, entry.user, reboot=entry.expression == "@reboot")
        environment = self.scope.environment()
        self.jobs.append(Job(name, command, stdin, schedule, options, environment, self.source, number))

    def _skip_dash(self, number: int, line: str, start: int) -> int:
        """Answer cronie's leading `-`, which keeps a command out of syslog and which only root may write."""
        if line[start] != "-":
            return start
        error = FieldError("a leading - does nothing here", "take it out: runs are recorded, syslog is not used")
        error.start, error.end = start, start + 1
        if not self.user_column:  # a user's crontab: cronie refuses the line
            raise error
        self.report.warn(number, line, error)
        return start + 1

    def _name(self, number: int, line: str, pending: _Pending, entry: Entry) -> str | None:
        """Name the job, also a broken one: mending it must not rename the jobs that share its command."""
        if "name" in pending.settings:
            setting, _at_line = pending.settings["name"]
            name = str(setting.value)
            first = self.names.setdefault(name, number)
            if first != number:
                self.report.problems.append(
                    same_name(name, Place(self.source, number), Place(self.source, first), line)
                )
                return None
            return name
        name = numbered(derived_name(self.prefix, entry.command), self.repeats, self.names)
        self.names[name] = number
        return name

    def _schedule(
        self, number: int, line: str, entry: Entry, name: str | None, settings: dict[str, object]
    ) -> Schedule | None:
        """Read the schedule; equal ones are shared, but those that a hash of the name spreads."""
        expression = entry.expression
        tz, fields = self.scope.zone_of(settings), self.scope.fields_of(settings)
        spread = name or "" if "H" in expression or "~" in expression else ""
        key = (expression, tz, fields, spread)
        schedule = self.schedules.get(key)
        if schedule is not None:
            return schedule
        try:
            schedule = parse_schedule(expression, tz=tz, name=name or "", fields=fields, local=self.local)
        except FieldError as error:
            end = len(expression) if error.end is None else error.end
            here = FieldError(error.message, error.hint, start=entry.at + error.start, end=entry.at + end)
            self.report.add(number, line, strange_blank(line, entry.at, entry.command_at) or here)
            return None
        self.schedules[key] = schedule
        return schedule

    def _check(self, number: int, line: str, entry: Entry, command: str, pending: _Pending) -> bool:
        """Check what the line and its options say together; tell whether the job may run."""
        good = not pending.bad
        if wrong := misplaced(entry.expression, pending.settings):
            key, hint = wrong
            _setting, at = pending.settings[key]
            what = "a schedule that watches paths" if is_watch(entry.expression) else "a schedule of times"
            self.report.add(number, line, FieldError(f"{key} says nothing of {what}", hint), other=at)
            good = False
        if entry.user is not None and "user" in pending.settings:
            _setting, at = pending.settings["user"]
            hint = f"{entry.user} stands in the user column: take user= out"
            error = FieldError("the user is given twice", hint, start=entry.command_at - 1)
            self.report.add(number, line, error, other=at)
            good = False
        try:
            check_command(entry, command)
        except FieldError as error:
            self.report.add(number, line, error)
            good = False
        return good


def _at(setting: Setting, message: str, hint: str) -> FieldError:
    return FieldError(message, hint, start=setting.start, end=setting.end)

"""Timers and path units of systemd taken over, each with its service: what starts a job, systemd.timer(5)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from runjobs.core.duration import format_duration
from runjobs.core.errors import FieldError
from runjobs.core.imports.account import Source, Taken, visible
from runjobs.core.imports.calendar import read_calendar
from runjobs.core.imports.draft import Draft
from runjobs.core.imports.execline import specified
from runjobs.core.imports.running import Plan
from runjobs.core.imports.secrets import has_secret
from runjobs.core.imports.services import ask_conditions, pass_by, read_service
from runjobs.core.imports.shelltext import quote
from runjobs.core.imports.spans import read_span
from runjobs.core.imports.units import Setting, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

_START = ("OnBootSec", "OnStartupSec", "OnActiveSec")
_AGAIN = ("OnUnitActiveSec", "OnUnitInactiveSec")
_SAID = frozenset({"AccuracySec", "RemainAfterElapse", "Unit"})  # runjobs is exact to the second
_YES = frozenset({"1", "yes", "y", "true", "t", "on"})


class UnitFiles(NamedTuple):
    """A unit: its name, and its files as systemd reads them, drop-ins last."""

    name: str
    sources: Sequence[Source]


class _Start(NamedTuple):
    """One way in which a job is started: a schedule, its options, and how long the command waits before it begins."""

    schedule: str
    options: dict[str, str]
    wait: timedelta = timedelta(0)


def service_name(trigger: UnitFiles) -> str:
    """Say which service a timer or path unit starts."""
    named = Unit(trigger.name, trigger.sources).last("Unit")
    return named.value if named else f"{trigger.name.rsplit('.', 1)[0]}.service"


def take_trigger(
    trigger: UnitFiles,
    service: UnitFiles,
    name: str,
    *,
    taken: Collection[str] = (),
    exists: Callable[[str], bool] = lambda _path: False,
) -> Taken:
    """Make a jobs file of a timer, or a path unit, and its service; without files the service is not to be found.

    `name` is that of the file to write, `taken` are names of jobs that must not be used again, `exists` tells whether
    a file is there.
    """
    return _Taking(trigger, service, taken, exists).take(name)


class _Taking:
    """One timer or path unit on its way."""

    def __init__(
        self, trigger: UnitFiles, service: UnitFiles, taken: Collection[str], exists: Callable[[str], bool]
    ) -> None:
        self.trigger = Unit(trigger.name, trigger.sources)
        self.service = Unit(service.name, service.sources)
        self.found = bool(service.sources)
        self.draft = Draft(", ".join(source.path for source in (*trigger.sources, *service.sources)), taken)
        self.plan = Plan(self.service, exists)

    def take(self, name: str) -> Taken:
        read_service(self.plan)
        ask_conditions(self.plan, self.trigger)
        starts = list(self._starts())
        jitter = self._jitter()
        for setting in self.trigger.others(frozenset({*_START, *_AGAIN, *_DONE})):
            if setting.key in _SAID:
                setting.carry()
            elif not setting.key.startswith(("Condition", "Assert")):
                pass_by(setting)
        self._write(starts, jitter)
        units = (self.trigger, self.service)
        counted = tuple(each for unit in units for each in unit.close())
        self.draft.add(*(line for unit in units for line in unit.kept()))
        text = self.draft.text
        problems = tuple(problem for unit in units for problem in unit.problems)
        return Taken(name, text, self.draft.jobs, problems, counted, has_secret(text))

    # when

    def _starts(self) -> Iterator[tuple[Setting, _Start]]:
        catchup = self.trigger.last("Persistent")
        if catchup:
            catchup.carry()
        options = {"catchup": "last"} if catchup and catchup.value.lower() in _YES else {}
        for setting in self.trigger.all("OnCalendar"):
            yield from self._attempt(setting, lambda setting: self._calendar(setting, options))
        for key in _START:
            for setting in self.trigger.all(key):
                yield from self._attempt(setting, _at_boot)
        for key in _AGAIN:
            for setting in self.trigger.all(key):
                yield from self._attempt(setting, _again)
        for key in ("PathChanged", "PathModified"):
            for setting in self.trigger.all(key):
                yield from self._attempt(setting, self._path)

    def _attempt(self, setting: Setting, read: Callable[[Setting], _Start]) -> Iterator[tuple[Setting, _Start]]:
        try:
            start = read(setting)
        except FieldError as error:
            setting.lose(error.message, error.hint)
        else:
            setting.carry()
            yield setting, start

    def _calendar(self, setting: Setting, options: dict[str, str]) -> _Start:
        when = read_calendar(specified(setting.value, self.trigger.name))
        more = ({"fields": str(when.fields)} if when.fields > _FIELDS else {}) | ({"tz": when.tz} if when.tz else {})
        return _Start(when.schedule, options | more)

    def _path(self, setting: Setting) -> _Start:
        return _Start(f"@watch {quote(specified(setting.value, self.trigger.name))} --", {})

    def _jitter(self) -> dict[str, str]:
        setting = self.trigger.last("RandomizedDelaySec")
        if setting is None:
            return {}
        try:
            span = read_span(setting.value)
        except FieldError as error:
            setting.lose(error.message, error.hint)
            return {}
        setting.carry()
        return {"jitter": format_duration(span)} if span else {}

    # the jobs

    def _write(self, starts: list[tuple[Setting, _Start]], jitter: dict[str, str]) -> None:
        about = self.service.last("Description")
        if about:
            self.draft.remark(about.value)
        self.draft.add("", *self.plan.variables)
        if not self.found or not self.plan.command:
            what = "starts nothing" if self.found else "is not to be found"
            for setting, _start in starts:
                setting.lose(f"its service {self.service.name} {what}", "name the folder that it is in, too")
            return
        if self.plan.off:
            self.draft.remark("Switched off, since not all that decides how it runs could be carried over: see below.")
        called = self.trigger.name.rsplit(".", 1)[0]
        # one unit runs once at a time, whatever has started it
        shared = {"lock": called.replace("@", "-")} if len(starts) > 1 else {}
        for setting, start in starts:
            off = {"enabled": "no"} if self.plan.off else {}
            spread = {} if start.schedule.startswith("@") else jitter
            options = {**self.plan.options, **start.options, **spread, **shared, **off}
            seconds = start.wait // timedelta(seconds=1)
            command = f"sleep {seconds}; {self.plan.command}" if seconds else self.plan.command
            try:
                self.draft.add_job(called, start.schedule, command, options)
            except FieldError as error:
                setting.lose(visible(error.message), error.hint)


_FIELDS = 5
_DONE = ("OnCalendar", "Persistent", "RandomizedDelaySec", "PathChanged", "PathModified")


def _at_boot(setting: Setting) -> _Start:
    span = read_span(setting.value)
    if span is None:
        raise FieldError("it never comes", "take it out")
    if setting.key != "OnBootSec":
        setting.warn(f"{setting.key} is counted from the start of the machine here", "see whether that is soon enough")
    return _Start("@reboot", {}, span)


def _again(setting: Setting) -> _Start:
    span = read_span(setting.value)
    if span is None or span % timedelta(seconds=1) or not span:
        raise FieldError(f"{setting.value} is no period of whole seconds", "write @every and a period")
    period = format_duration(span)
    message = f"every {period} is counted from 1970 on here, and not from the last start or end"
    setting.warn(message, "write a schedule of times if it must be otherwise")
    return _Start(f"@every {period}", {})

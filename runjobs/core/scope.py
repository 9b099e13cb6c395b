"""What is in force from a line of a jobs file down: variables, time zone, delay and default options."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from runjobs.core.environment import FACTS, FIXED, read_assignment
from runjobs.core.errors import FieldError
from runjobs.core.job import Options
from runjobs.core.zone import zone_named

if TYPE_CHECKING:
    from runjobs.core.directives import Directive, Setting
    from runjobs.core.lines import Report

_NOT_OPTIONS = frozenset({"name", "fields", "user-column"})  # about the file or the line, not about the run


class Scope:
    """The state of one pass over a file; equal environments and options are shared between jobs."""

    def __init__(self, report: Report) -> None:
        """Begin at the top of a file: nothing is set."""
        self.defaults: dict[str, object] = {}
        self._report = report
        self._variables: dict[str, str] = {}
        self._shared: tuple[tuple[str, str], ...] | None = ()
        self._cron_tz: str | None = None
        self._bad_cron_tz = False
        self._bad_defaults = False
        self._delay: timedelta | None = None  # RANDOM_DELAY
        self._zones: dict[str, FieldError | None] = {}
        self._interned: dict[Options, Options] = {}
        self._plain: dict[tuple[str | None, bool], Options] = {}

    def zone_of(self, settings: dict[str, object]) -> str | None:
        """Give a job's zone: its own `tz=`, the defaults' one, then CRON_TZ."""
        tz = settings.get("tz", self.defaults.get("tz", self._cron_tz))
        return tz if isinstance(tz, str) else None

    def fields_of(self, settings: dict[str, object]) -> int:
        """Give the number of fields a job's schedule has."""
        fields = settings.get("fields", self.defaults.get("fields"))
        return fields if isinstance(fields, int) else 5

    def sound(self, settings: dict[str, object]) -> bool:
        """Tell whether a job here runs as it was meant; a broken default or zone above it leaves that open."""
        zone_given = "tz" in settings or "tz" in self.defaults
        return not self._bad_defaults and (zone_given or not self._bad_cron_tz)

    def environment(self) -> tuple[tuple[str, str], ...]:
        """Give the variables in force."""
        if self._shared is None:
            self._shared = tuple(self._variables.items())
        return self._shared

    # variables

    def assign(self, number: int, line: str) -> None:
        """Take an environment line."""
        try:
            name, value = read_assignment(line)
            if name in FIXED or name in FACTS:
                self._warn_fixed(number, line, name)
                return
            if name == "CRON_TZ":
                self._set_cron_tz(line, value)
            elif name == "RANDOM_DELAY":
                self._set_delay(line, value)
        except FieldError as error:
            self._report.add(number, line, error)
            return
        self._variables[name] = value
        self._shared = None

    def _warn_fixed(self, number: int, line: str, name: str) -> None:
        start = line.index(name)
        error = FieldError(f"{name} can't be changed here", "take the line out", start=start, end=start + len(name))
        self._report.warn(number, line, error)

    def _set_cron_tz(self, line: str, value: str) -> None:
        error = self.zone_error(value) if value else None
        self._bad_cron_tz = error is not None
        self._cron_tz = None if error is not None else value or None  # cronie: an empty one means local time
        if error is not None:
            hint = f"{error.hint}; until then the jobs below it are not loaded".removeprefix("; ")
            raise _at_value(line, error.message, hint)

    def _set_delay(self, line: str, value: str) -> None:
        self._delay = None
        self._plain.clear()
        if not re.fullmatch("[0-9]{1,6}", value):
            message = f"RANDOM_DELAY={value} is not a number of minutes"
            raise _at_value(line, message, "write RANDOM_DELAY=15")
        self._delay = timedelta(minutes=int(value))

    def zone_error(self, tz: str) -> FieldError | None:
        """Say what is wrong with a time zone (None: nothing)."""
        if tz not in self._zones:
            self._zones[tz] = None
            try:
                zone_named(tz)
            except FieldError as error:
                self._zones[tz] = error
        return self._zones[tz]

    # options

    def accepts(self, number: int, line: str, setting: Setting) -> bool:
        """Check what only loading can tell of a setting: whether its time zone exists; say so if not."""
        error = self.zone_error(str(setting.value)) if setting.key == "tz" else None
        if error is not None:
            start = setting.start + len("tz=")
            self._report.add(number, line, FieldError(error.message, error.hint, start=start, end=setting.end))
        return error is None

    def set_defaults(self, number: int, line: str, directive: Directive) -> None:
        """Take a `#: defaults` line; a bad one keeps the jobs below it from being loaded, lest `user=` be lost."""
        self._bad_defaults = self._bad_defaults or bool(directive.faults)
        self._plain.clear()
        for setting in directive.settings:
            if self.accepts(number, line, setting):
                self.defaults[setting.key] = setting.value
            else:
                self._bad_defaults = True

    def options(self, settings: dict[str, object], user: str | None, *, reboot: bool) -> Options:
        """Build a job's options: its own before the defaults above it, the user column before both."""
        if settings:
            return self._build(settings, user, reboot=reboot)
        found = self._plain.get((user, reboot))
        if found is None:
            found = self._plain[user, reboot] = self._build({}, user, reboot=reboot)
        return found

    def _build(self, settings: dict[str, object], user: str | None, *, reboot: bool) -> Options:
        values: dict[str, object] = {"timeout": None} if reboot else {}  # what starts with the system is to stay
        if self._delay is not None:
            values["jitter"] = self._delay
        values |= self.defaults
        values |= settings
        if user is not None:
            values["user"] = user
        chosen = {key.replace("-", "_"): value for key, value in values.items() if key not in _NOT_OPTIONS}
        options = Options(**chosen)  # type: ignore[arg-type]  # the table's parsers give what Options holds
        return self._interned.setdefault(options, options)


def _at_value(line: str, message: str, hint: str) -> FieldError:
    start = line.index("=") + 1
    start += len(line[start:]) - len(line[start:].lstrip())
    return FieldError(message, hint, start=start, end=len(line.rstrip()))

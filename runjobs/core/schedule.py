"""When a job is due: the kinds of schedule, how they are read, and what each answers to "when next?"."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from runjobs.core.dst import LAST, DstEffect, effects_on, first_fire
from runjobs.core.duration import parse_duration
from runjobs.core.errors import FieldError
from runjobs.core.expression import parse_rule, words
from runjobs.core.nearest import nearest_word
from runjobs.core.spread import delay
from runjobs.core.watchpaths import is_watch, read_paths
from runjobs.core.zone import from_seconds, to_seconds, zone_named, zone_of

if TYPE_CHECKING:
    from runjobs.core.fields import Field
    from runjobs.core.rule import Rule
    from runjobs.core.zone import Zone

__all__ = ["AtSchedule", "CronSchedule", "DstEffect", "EverySchedule", "OnceSchedule", "RebootSchedule", "Schedule",
           "ScheduleKind", "WatchSchedule", "delay", "dst_effects", "parse_schedule"]  # fmt: skip

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_KNOWN = (*NICKNAMES, "@reboot", "@every", "@at", "@watch")


class ScheduleKind(Enum):
    """What makes a schedule fire: fields of wall time, a period, one instant, the machine's start, or changed paths."""

    CRON = "cron"
    EVERY = "every"
    AT = "at"
    REBOOT = "reboot"
    WATCH = "watch"


class Schedule(ABC):
    """The rule that says when a job is due.

    `expression` is what was written, blanks evened out; `tz` the zone that was asked for by name, if any.
    """

    __slots__ = ("expression", "tz")
    kind: ClassVar[ScheduleKind]

    def __init__(self, expression: str, tz: str | None) -> None:
        """Keep the text and the zone's name."""
        self.expression = expression
        self.tz = tz

    @property
    @abstractmethod
    def key(self) -> str:
        """What tells this schedule from others: schedules of one key have the same fires."""

    @abstractmethod
    def next(self, after: datetime) -> datetime | None:
        """Return the first fire strictly after an aware instant, in UTC; None if there is none ever again."""

    def offset(self, instant: datetime) -> timedelta:  # noqa: ARG002
        """Return how far the wall clock that this schedule goes by is ahead of UTC at an instant."""
        return timedelta(0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key}>"


class CronSchedule(Schedule):
    """Fields of wall time, kept in a zone by Debian cron's rules for changes of the clock."""

    __slots__ = ("rule", "seed", "zone")
    kind = ScheduleKind.CRON

    def __init__(self, expression: str, tz: str | None, zone: Zone, rule: Rule, seed: str) -> None:
        """Keep the parts; `seed` is the job's name where `H` or `~` drew from it, else empty."""
        super().__init__(expression, tz)
        self.zone = zone
        self.rule = rule
        self.seed = seed

    @property
    def key(self) -> str:
        """The expression, the zone, and the job's name where it had a part in the values."""
        return " ".join(filter(None, (self.expression.lower(), self.zone.key, self.seed)))

    def next(self, after: datetime) -> datetime | None:
        """Return the first fire strictly after an aware instant, in UTC; None if there is none ever again."""
        instant = first_fire(self.rule, self.zone, to_seconds(after) + 1)
        return None if instant is None else from_seconds(instant)

    def offset(self, instant: datetime) -> timedelta:
        """Return how far the zone's wall clock is ahead of UTC at an instant."""
        return self.zone.offset_at(instant)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, from seconds to year (where there is one), each with its kind, text and values."""
        return tuple(field for field in self.rule if field is not None)


def dst_effects(schedule: Schedule, start: datetime, end: datetime) -> list[DstEffect]:
    """Say what changes of the clock after `start` and up to `end` make a schedule skip, move or repeat."""
    return effects_on(schedule.rule, schedule.zone, start, end) if isinstance(schedule, CronSchedule) else []


class EverySchedule(Schedule):
    """A fire at each multiple of a period since the epoch: every runner agrees on them, with no state to keep."""

    __slots__ = ("period",)
    kind = ScheduleKind.EVERY

    def __init__(self, expression: str, tz: str | None, period: int) -> None:
        """Keep the period, in seconds."""
        super().__init__(expression, tz)
        self.period = period

    @property
    def key(self) -> str:
        """The period, however it was written."""
        return f"@every {self.period}s"

    def next(self, after: datetime) -> datetime | None:
        """Return the next multiple of the period."""
        instant = (to_seconds(after) // self.period + 1) * self.period
        return from_seconds(instant) if instant < LAST else None


class AtSchedule(Schedule):
    """One fire, at one instant."""

    __slots__ = ("instant",)
    kind = ScheduleKind.AT

    def __init__(self, expression: str, tz: str | None, instant: datetime) -> None:
        """Keep the instant, in UTC."""
        super().__init__(expression, tz)
        self.instant = instant

    @property
    def key(self) -> str:
        """The instant, in whatever zone it was written."""
        return f"@at {self.instant.isoformat()}"

    def next(self, after: datetime) -> datetime | None:
        """Return the instant, until it has come."""
        return self.instant if self.instant > after else None


class OnceSchedule(AtSchedule):
    """One fire that was asked for: at whatever time it is seen first, it counts since it was asked for."""

    __slots__ = ("since",)

    def __init__(self, expression: str, tz: str | None, instant: datetime, asked_at: datetime) -> None:
        """Keep the instants, in UTC."""
        super().__init__(expression, tz, instant)
        self.since = min(asked_at, instant) - timedelta(milliseconds=1)

    @property
    def key(self) -> str:
        """The instant, and since when: what is asked for anew under an old name is another one."""
        return f"{super().key} since {self.since.isoformat()}"


class RebootSchedule(Schedule):
    """Due once per start of the machine or container: that is the runner's to see, no time says it."""

    __slots__ = ()
    kind = ScheduleKind.REBOOT

    @property
    def key(self) -> str:
        """The same for all."""
        return "@reboot"

    def next(self, after: datetime) -> datetime | None:  # noqa: ARG002
        """Return None: no instant is due."""
        return None


class WatchSchedule(Schedule):
    """Due when something changes at its paths: that is the runner's to see, no time says it."""

    __slots__ = ("paths",)
    kind = ScheduleKind.WATCH

    def __init__(self, expression: str, paths: tuple[str, ...]) -> None:
        """Keep the paths, as patterns of fnmatch(3)."""
        super().__init__(expression, None)
        self.paths = paths

    @property
    def key(self) -> str:
        """The paths, in whatever order and way they were written."""
        return f"@watch {' '.join(sorted(self.paths))}"

    def next(self, after: datetime) -> datetime | None:  # noqa: ARG002
        """Return None: no instant is due."""
        return None


def parse_schedule(
    expression: str,
    *,
    tz: str | None = None,
    name: str = "",
    fields: int = 5,
    local: tzinfo | None = None,
) -> Schedule:
    """Read a schedule for the job of this name; without `tz` it is kept in `local`, by default UTC.

    `fields` is 5, 6 (seconds first) or 7 (year last). Raises FieldError with offsets into `expression`, or into
    `tz` where that is unknown.
    """
    zone = zone_of(local or UTC) if tz is None else zone_named(tz)
    if expression.lstrip(" \t").startswith("@"):
        return _parse_named(expression, tz, zone)
    rule, hashed = parse_rule(expression, fields, name)
    return CronSchedule(" ".join(words(expression)), tz, zone, rule, name if hashed else "")


def _parse_named(expression: str, tz: str | None, zone: Zone) -> Schedule:
    if is_watch(expression.lstrip(" \t")):
        return WatchSchedule(expression.strip(" \t"), read_paths(expression))
    name, _, argument = expression.strip(" \t").replace("\t", " ").partition(" ")
    text, argument, start = " ".join(words(expression)), argument.strip(), expression.index(name)
    if name == "@every":
        return EverySchedule(text, tz, _period(expression, argument))
    if name == "@at":
        return AtSchedule(text, tz, _instant(expression, argument, zone))
    if name not in _KNOWN:
        raise FieldError(f'"{name}" is not known', _nearest_name(name), start=start, end=start + len(name))
    if argument:
        at = expression.rindex(argument)
        raise FieldError(f'"{argument}" after {name} is not understood', f"{name} stands alone", start=at,
                         end=at + len(argument))  # fmt: skip
    if name == "@reboot":
        return RebootSchedule(text, tz)
    rule, _ = parse_rule(NICKNAMES[name], 5)
    return CronSchedule(text, tz, zone, rule, "")


def _nearest_name(name: str) -> str:
    nearest = nearest_word(name.lower(), _KNOWN)
    return f'did you mean "{nearest}"?' if nearest else f"there are {', '.join(_KNOWN)}"


def _period(expression: str, argument: str) -> int:
    at = expression.rindex(argument)
    try:
        period = parse_duration(argument)
    except FieldError as error:
        end = len(argument) if error.end is None else error.end
        raise FieldError(error.message, error.hint, start=at + error.start, end=at + end) from None
    seconds, rest = divmod(period, timedelta(seconds=1))
    if seconds < 1 or rest:
        message = f"a period of {argument} is not in whole seconds"
        raise FieldError(message, "the shortest is @every 1s", start=at, end=at + len(argument))
    return seconds


def _instant(expression: str, argument: str, zone: Zone) -> datetime:
    at = expression.rindex(argument)
    try:
        written = datetime.fromisoformat(argument)
        instant = written.astimezone(UTC) if written.tzinfo else zone.instant_of(written)
    except (ValueError, OverflowError):
        message = f'"{argument}" is not a date and time'
        hint = "write @at 2026-12-24T18:00, or with an offset @at 2026-12-24T18:00+01:00"
        raise FieldError(message, hint, start=at, end=at + len(argument)) from None
    if instant.microsecond:
        raise FieldError("fires are at whole seconds", "drop the fraction", start=at, end=at + len(argument))
    return instant

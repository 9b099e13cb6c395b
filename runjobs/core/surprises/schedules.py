"""What will surprise in a schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runjobs.core.dst import DstEffect, Effect
from runjobs.core.errors import FieldError
from runjobs.core.fieldkinds import DAY, HOUR, MINUTE, SECOND
from runjobs.core.schedule import CronSchedule, dst_effects
from runjobs.core.surprises.seen import field_at

if TYPE_CHECKING:
    from datetime import datetime

    from runjobs.core.fields import Field
    from runjobs.core.rule import Rule
    from runjobs.core.surprises.seen import Seen

YEAR = timedelta(days=366)  # long enough for both changes of the clock, whenever one asks


def _rule(seen: Seen) -> Rule | None:
    schedule = seen.job.schedule
    return schedule.rule if isinstance(schedule, CronSchedule) and schedule.expression[0] != "@" else None


def uneven_step(seen: Seen) -> FieldError | None:
    """`*/45` in the minutes: 0 and 45, so 45 minutes and 15 minutes apart in turn."""
    rule = _rule(seen)
    if rule is None:
        return None
    for index, field in enumerate(_in_order(seen, rule)):
        error = uneven(field)
        if error is not None:
            error.start, error.end = field_at(seen.line, index)
            return error
    return None


def _in_order(seen: Seen, rule: Rule) -> list[Field]:
    fields = [rule.minute, rule.hour, rule.day, rule.month, rule.weekday]
    return [rule.second, *fields] if len(seen.job.schedule.expression.split()) > len(fields) else fields


def uneven(field: Field) -> FieldError | None:
    """A step that leaves a shorter gap behind its last value, or takes only the first one; no place in any text."""
    if field.text.startswith("*/") and len(field.values) == 1 and not field.special:
        only = field.values[0]
        return FieldError(f"{field.text} means {field.kind.name} {only} and no other", f"write {only} if that is meant")
    if field.uneven_step is None:
        return None
    message = f"{field.text} is not even: after {field.kind.name} {field.values[-1]} comes {field.values[0]} again"
    unit = _UNITS.get(field.kind)
    hint = f"for equal gaps write @every {field.uneven_step}{unit}" if unit else "list the values that are meant"
    return FieldError(message, hint)


_UNITS = {SECOND: "s", MINUTE: "m", HOUR: "h", DAY: "d"}


def two_day_fields(seen: Seen) -> FieldError | None:
    """Day of month and day of week: either of them is enough, unless one begins with a star, crontab(5)."""
    rule = _rule(seen)
    error = two_days(rule) if rule is not None else None
    if rule is None or error is None:
        return None
    index = _in_order(seen, rule).index(rule.day)
    error.start, error.end = field_at(seen.line, index)[0], field_at(seen.line, index + 2)[1]
    return error


def two_days(rule: Rule) -> FieldError | None:
    """Both day fields given: how they go together, with no place in any text."""
    if rule.day.full or rule.weekday.full:
        return None
    if rule.day.starred or rule.weekday.starred:
        message = "day of month and day of week must both match here, as one of them begins with *"
        return FieldError(message, "without the leading * either would be enough")
    message = "day of month or day of week: the job runs when either matches"
    return FieldError(message, "for both at once test one of them in the command, or write such as fri#2 or 5L")


class Clock:
    """Changes of the clock: worked out once for all jobs of equal schedules."""

    def __init__(self, now: datetime) -> None:
        """Look at the 12 months after `now`."""
        self.now = now
        self.found: dict[str, list[DstEffect]] = {}

    def surprise(self, seen: Seen) -> FieldError | None:
        """A fire that the coming change of the clock skips, repeats or moves.

        A job of every hour goes on at its pace through a change, so there is nothing to say of it.
        """
        schedule = seen.job.schedule
        if not isinstance(schedule, CronSchedule) or schedule.rule.hour.full:
            return None
        effects = self.found.get(schedule.key)
        if effects is None:
            effects = self.found[schedule.key] = dst_effects(schedule, self.now, self.now + YEAR)
        if not effects:
            return None
        first = effects[0]
        start, end = field_at(seen.line, 0)[0], max(1, seen.at)
        end = len(seen.line[:end].rstrip())
        day, wall = first.wall.strftime("%Y-%m-%d"), first.wall.strftime("%H:%M")
        message = f"on {day} the clock in {schedule.zone.key} {_WHAT_HAPPENS[first.effect].format(wall=wall)}"
        hint = "choose another hour, or a zone without summer time such as tz=UTC"
        return FieldError(message, hint, start=start, end=end)


_WHAT_HAPPENS = {
    Effect.SKIPPED: "jumps over {wall}: the job does not run then",
    Effect.MOVED: "jumps over {wall}: the job runs right after the jump",
    Effect.REPEATED: "shows {wall} twice: the job runs both times",
}

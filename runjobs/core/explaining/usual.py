"""What people usually mean by a schedule, where that is something else than what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.duration import format_duration
from runjobs.core.explaining.days import SHORTEST, is_daily
from runjobs.core.explaining.phrases import MONTHS, WEEKDAYS, clock, listed, ordinal, step_of
from runjobs.core.fieldkinds import WEEKDAY, YEAR
from runjobs.core.hashed import is_hashed
from runjobs.core.schedule import CronSchedule, EverySchedule, RebootSchedule, WatchSchedule
from runjobs.core.surprises.schedules import two_days, uneven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runjobs.core.fields import Field
    from runjobs.core.job import Job
    from runjobs.core.rule import Rule
    from runjobs.core.schedule import Schedule

HOUR: Final = 3_600  # seconds
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
FEBRUARY: Final = 2
LEAST: Final = 5  # words of an expression that has neither seconds nor a year
FEW_TIMES: Final = 6


class Remark(NamedTuple):
    """A difference between what is written and what is usually meant; `hint` is what to write ("" where none is)."""

    message: str
    hint: str = ""


def remarks(schedule: Schedule) -> list[Remark]:
    """Return all that may surprise in a schedule, the gravest first."""
    if isinstance(schedule, CronSchedule):
        return [remark for judge in CRON for remark in judge(schedule)]
    if isinstance(schedule, EverySchedule):
        return [*_every(schedule)]
    if isinstance(schedule, RebootSchedule):
        return [
            Remark("a restart of the runner is no start of the machine: it does not fire again then"),
            Remark("a job that is new while the machine is up waits for the next start"),
        ]
    return [*WATCHING] if isinstance(schedule, WatchSchedule) else []


WATCHING: Final = (
    Remark("what changes while a run goes on makes one more run after it, however many changes that are"),
    Remark("what changes while no runner is there is found by the next one that looks"),
)


def remarks_on_job(job: Job) -> list[Remark]:
    """Return what the options of a job do to the times of its schedule."""
    options, found = job.options, []
    if not options.enabled:
        found.append(Remark("the job is switched off (enabled=no): it does not fire at all"))
    if options.jitter:
        span = format_duration(options.jitter)
        found.append(Remark(f"each fire starts up to {span} later (jitter), the same in every runner"))
    if options.after:
        found.append(Remark(f"each fire waits for the newest one of {listed(options.after)} (after) to end well"))
    if isinstance(job.schedule, WatchSchedule):
        below = ", and at all that is below them" if options.recursive else ""
        happenings = listed(sorted(each.value for each in options.on))
        span = format_duration(options.settle)
        found.append(
            Remark(f"it looks for {happenings} (on){below}, and waits until nothing changed for {span} (settle)")
        )
    return found


def _each_minute(schedule: CronSchedule) -> Iterator[Remark]:
    """`* 3 * * *`: every minute of the hour, where once was meant."""
    rule, written = schedule.rule, _written(schedule)
    if rule.minute.text == "*" and _is_picked(rule.hour):
        wrong, message = rule.minute, "the * in the minutes makes it fire in every minute of the hour, not once"
    elif rule.second.text == "*" and _is_picked(rule.minute):
        wrong, message = rule.second, "the * in the seconds makes it fire in every second of the minute, not once"
    else:
        return
    yield Remark(message, f"write {' '.join('0' if field is wrong else text for text, field in written)} for once")


def _is_picked(field: Field) -> bool:
    """Whether it names single values, such as one hour: a range of hours is meant to be gone through."""
    return not field.full and step_of(field.values) != 1 and "/" not in field.text


def _written(schedule: CronSchedule) -> list[tuple[str, Field]]:
    """The words of the expression, each with the field that was read from it; none for a nickname."""
    texts = schedule.expression.split()
    fields = schedule.fields[1:] if len(texts) == LEAST else schedule.fields
    return [] if schedule.expression.startswith("@") else list(zip(texts, fields, strict=True))


def _uneven_steps(schedule: CronSchedule) -> Iterator[Remark]:
    for _, field in _written(schedule):
        if field.kind is not YEAR and (error := uneven(field)) is not None:
            yield Remark(error.message, error.hint)


def _two_day_fields(schedule: CronSchedule) -> Iterator[Remark]:
    if (error := two_days(schedule.rule)) is not None:
        yield Remark(error.message, error.hint)


def _short_months(schedule: CronSchedule) -> Iterator[Remark]:
    """`0 0 31 * *`: months that have no such day are passed over, not made do with."""
    day, months = schedule.rule.day, schedule.rule.month.values
    if day.full or "/" in day.text:
        return
    for alone in (value for value in day.values if value > SHORTEST and value - 1 not in day.values):
        without = [MONTHS[month - 1] for month in months if LENGTHS[month - 1] < alone]
        if without:
            message = (
                f"{listed(without)} {'has' if len(without) == 1 else 'have'} no {ordinal(alone)}: it is left out there"
            )
            yield Remark(message, "L is the last day of every month")
        elif alone == SHORTEST + 1 and FEBRUARY in months:
            yield Remark("February has a 29th in leap years only", "L is the last day of every month")


def _hashed(schedule: CronSchedule) -> Iterator[Remark]:
    """`H` and `~`: a value of the job's own, which does not change from day to day."""
    whose = f"by the name of the job, {schedule.seed}" if schedule.seed else "for a job without a name"
    for text, field in _written(schedule):
        if any(is_hashed(item) for item in text.split(",")):
            values = listed(str(value) for value in field.values)
            yield Remark(f"{text} is {field.kind.name} {values}, {whose}: the same each time and on every machine")


def _weekday_numbers(schedule: CronSchedule) -> Iterator[Remark]:
    """Weekdays by number: 7 is Sunday too; and Quartz, whose schedules have seconds as well, counts otherwise."""
    written = _written(schedule)
    text = next((text for text, field in written if field.kind is WEEKDAY), "")
    if len(written) > LEAST and any(map(str.isdigit, text.partition("#")[0].partition("/")[0])):
        names = listed(WEEKDAYS[value] for value in _weekdays(schedule.rule))
        message = f"weekdays count from 0 for Sunday, as in cron: {text} is {names}; in Quartz Sunday is 1"
        yield Remark(message, "names such as mon are the same everywhere")
    elif text == "7":
        yield Remark("weekday 7 is Sunday, as 0 is", "sun is plainer")


def _weekdays(rule: Rule) -> list[int]:
    special = {int(item[1:] if item.startswith("l") else item[0]) for item in rule.weekday.special}
    return sorted({*rule.weekday.values, *special})


def _night_before(schedule: CronSchedule) -> Iterator[Remark]:
    """`0 0 * * mon`: the very beginning of Monday, which many call Sunday night."""
    rule = schedule.rule
    if rule.weekday.full or is_daily(rule) or rule.hour.values != (0,) or len(rule.minute.values) > 1:
        return
    at, day = clock(0, rule.minute.values[0]), _weekdays(rule)[0]
    yield Remark(f"{at} on a {WEEKDAYS[day]} is in the night from {WEEKDAYS[day - 1]} to {WEEKDAYS[day]}")


def _open_steps(schedule: CronSchedule) -> Iterator[Remark]:
    """`5/15`: cron refuses it; we read it as most programs do."""
    for text, field in _written(schedule):
        first, slash, step = text.partition("/")
        if slash and first.isdigit():
            plain = f"{first}-{field.kind.top}/{step}"
            yield Remark(f"{text} means {plain} here; cron itself refuses it", f"write {plain} for both")


def _nicknames(schedule: CronSchedule) -> Iterator[Remark]:
    """Nicknames have one moment for all."""
    if schedule.expression.startswith("@"):
        fields = " ".join(field.text for field in schedule.fields[1:])
        message = f"{schedule.expression} is short for {fields}: all such jobs of a machine start together"
        yield Remark(message, "H in the minutes, as in H 3 * * *, gives each job a minute of its own")


def _every(schedule: EverySchedule) -> Iterator[Remark]:
    period = schedule.period
    yield Remark("it fires at multiples of the period since 1970-01-01 00:00 UTC, whenever the runner was started")
    if period % WEEK == 0:
        yield Remark("that is at 00:00 UTC on a Thursday: 1970-01-01 was one", "fields with a weekday name the day")
    elif period % DAY == 0:
        hint = "@daily, or fields with an hour, keep the time of a zone"
        yield Remark("that is at 00:00 UTC, not at midnight in another zone", hint)
    elif DAY % period:
        yield Remark("a day is no multiple of the period: it fires at other times each day")
    elif period > HOUR:
        times = listed(clock(*divmod(second // 60, 60)) for second in range(0, DAY, period)[:FEW_TIMES])
        more = " and so on" if DAY // period > FEW_TIMES else ""
        yield Remark(f"that is at {times}{more}, UTC: by the wall clock of a zone it moves when that is changed")


CRON: Final[tuple[Callable[[CronSchedule], Iterator[Remark]], ...]] = (
    _each_minute,
    _two_day_fields,
    _uneven_steps,
    _short_months,
    _night_before,
    _weekday_numbers,
    _hashed,
    _open_steps,
    _nicknames,
)

"""Anacrontabs taken over: periods of days become schedules that catch up, one job at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError
from runjobs.core.imports.account import Account, Fate, Source, Taken, visible
from runjobs.core.imports.draft import Draft
from runjobs.core.imports.secrets import has_secret, is_secret
from runjobs.core.imports.shelltext import assignment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_VARIABLE = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)")
_JOB = re.compile(r"[ \t]*(\S+)[ \t]+(\d+)[ \t]+(\S+)[ \t]+(\S.*)")
_HOURS = re.compile(r"(\d+)-(\d+)")
_DAY = 24 * 60  # minutes
# the fields behind minute and hour, for periods that a calendar has; cronie reads @monthly as the calendar's month
_DAYS = {"1": "* * *", "7": "* * 0", "30": "1 * *", "31": "1 * *"}
_NAMES = {"@daily": "1", "@weekly": "7", "@monthly": "30", "@yearly": "365", "@annually": "365"}
_YEARLY = "1 1 *"
_SHELL = "/bin/sh"
_OURS = frozenset({"MAILTO", "MAILFROM", "RANDOM_DELAY"})  # the same in a jobs file
_FIXED = frozenset({"LOGNAME", "USER"})


def take_anacrontab(source: Source, name: str, taken: Collection[str] = ()) -> Taken:
    """Make a jobs file of an anacrontab, anacrontab(5); `taken` are names of jobs that it must not use again."""
    return _Taking(source, taken).take(name)


class _Taking:
    """One anacrontab on its way."""

    def __init__(self, source: Source, taken: Collection[str]) -> None:
        self.account = Account(source)
        self.draft = Draft(source.path, taken)
        self.start = 0  # minutes after midnight from which on jobs may start
        self.private = False

    def take(self, name: str) -> Taken:
        self.draft.remark("As anacron has it: one job at a time, and what the machine was off for is caught up with.")
        self.draft.add("#: defaults env=clean timeout=none cwd=/ catchup=last overlap=queue lock=anacron")
        for first, last, line in _joined(self.account.lines):
            self._read(first, last, line)
        counted = self.account.close(lambda line: line.startswith("#"))
        self.draft.add(*self.account.kept())
        text = self.draft.text
        private = self.private or has_secret(text)
        return Taken(name, text, self.draft.jobs, tuple(self.account.problems), (counted,), private)

    def _read(self, first: int, last: int, line: str) -> None:
        body = line.strip(" \t")
        if not body or body.startswith("#"):
            # what speaks to runjobs spoke to nobody there
            self.draft.add(f"# :{visible(body[2:])}" if body.startswith("#:") else visible(line))
            self.account.settle(Fate.COMMENT if body else Fate.BLANK, first, last)
            return
        try:
            self._take(first, line)
        except FieldError as error:
            self.account.lose(first, error.message, error.hint, last)
        else:
            self.account.settle(Fate.CARRIED, first, last)

    def _take(self, number: int, line: str) -> None:
        variable, job = _VARIABLE.fullmatch(line), _JOB.fullmatch(line)
        if variable:
            self._variable(number, variable[1], variable[2].rstrip())
        elif job:
            self._job(number, job)
        else:
            raise FieldError("this is neither NAME=value nor a job", "a job is: period delay name command")

    def _variable(self, number: int, name: str, value: str) -> None:
        if name == "START_HOURS_RANGE":
            self._hours(number, value)
        elif name in _FIXED:
            self.account.drop(number, f"{name} is set by runjobs itself", "there is nothing to do")
        elif name in _OURS:
            self.draft.add(f"{name}={value}")
        elif name == "SHELL":
            if value != _SHELL:
                self.account.warn(
                    number, "anacron's commands were run by /bin/sh; here SHELL runs them", "see that it can"
                )
            self.draft.add(f"SHELL={value}")
        else:
            self.draft.add(assignment(name, value))
            if is_secret(name, value):
                self.private = True
                self.account.warn(
                    number, f"{name} looks like a secret", "put it into an env-file, and write env-file=PATH"
                )

    def _hours(self, number: int, value: str) -> None:
        hours = _HOURS.fullmatch(value)
        if hours is None or int(hours[1]) * 60 >= _DAY:
            raise FieldError(f"START_HOURS_RANGE={value} is no range of hours", "write START_HOURS_RANGE=3-22")
        self.start = int(hours[1]) * 60
        self.draft.remark(f"START_HOURS_RANGE={value}: jobs start from {hours[1]} o'clock on")
        message = f"nothing keeps a job from being caught up with after {hours[2]} o'clock"
        self.account.warn(number, message, "write start-within=… and catchup=none where that matters")

    def _job(self, number: int, job: re.Match[str]) -> None:
        period, delay, called, command = job[1], int(job[2]), job[3], job[4]
        period = _NAMES.get(period, period.lstrip("0"))
        if not period.isascii() or not period.isdigit():
            raise FieldError(f"{job[1]} is no period", "write a number of days, or @daily, @weekly, @monthly")
        at = self.start + delay
        days = _YEARLY if job[1] in {"@yearly", "@annually"} else _DAYS.get(period)
        if days is None:
            schedule = f"@every {period}d"
            message = f"every {period} days are counted here from 1970 on, at midnight UTC, without the delay"
            self.account.warn(number, message, "choose days of the month or week if that does not fit")
        elif at >= _DAY:
            raise FieldError(f"a delay of {delay} minutes goes past midnight", "write the job by hand")
        else:
            schedule = f"{at % 60} {at // 60} {days}"
        self.draft.add_job(called, schedule, command, {})


def _joined(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Give each line with its numbers; one that ends in a backslash goes on in the next."""
    first, text = 1, ""
    for number, line in enumerate(lines, 1):
        if line.endswith("\\") and number < len(lines):
            text += line[:-1]
            continue
        yield first, number, text + line
        first, text = number + 1, ""

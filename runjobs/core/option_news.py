"""The options about telling: how each value is read, what it means, and what holds without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError
from runjobs.core.job import NotifyOn
from runjobs.core.option import Option
from runjobs.core.values import some_of, up_to_a_year

if TYPE_CHECKING:
    from datetime import timedelta

    from runjobs.core.receivers import Receiver


def notify(text: str) -> tuple[Receiver, ...]:
    """Read who is told, or `none`, which takes back what the defaults above say."""
    if text == "none":
        return ()
    from runjobs.core.receivers import parse_receivers  # most files tell nobody

    return parse_receivers(text)


def span(text: str) -> timedelta:
    """Read a duration that something may take: more than 0, and at most a year."""
    duration = up_to_a_year(text)
    if not duration:
        raise FieldError("the duration must be more than 0", "write 30s, 5m or 1h30m")
    return duration


NEWS: tuple[Option, ...] = (
    Option(
        "notify",
        notify,
        "none",
        "Who is told of the job: a list of receivers, such as a mail address or a web hook; `none` tells nobody.",
        "notify=mail:ops@example.org",
    ),
    Option(
        "notify-on",
        some_of(NotifyOn, "nothing to tell of"),
        "change",
        "What is told: `failure`, `recovery`, `change` (the first failure, and recovery), `always`, `missed`, `slow`.",
        "notify-on=failure,missed",
    ),
    Option(
        "expect-within",
        span,
        "",
        "It is told when the job has not gone well for so long, whatever the reason: a dead man's switch.",
        "expect-within=26h",
    ),
    Option(
        "slow-after",
        span,
        "",
        "From when on a run counts as slow, for `notify-on=slow`; without it, by what is usual for the job.",
        "slow-after=45m",
    ),
)

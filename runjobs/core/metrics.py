"""What is counted and measured of jobs, as text that Prometheus and others read: OpenMetrics, or the older format.

The names are part of the interface: they never change their meaning. No sample has a time stamp.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.fire import milliseconds
from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
CHUNK: Final = 250  # jobs in one piece of text: a few milliseconds of work
ONCES: Final = "at/*"  # the one name under which all that `runjobs at` has asked for is counted
OPEN: Final = "application/openmetrics-text"


class Style(Enum):
    """The two formats, by their content types."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"  # the format of textfiles, and of readers that ask for nothing
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Tally(NamedTuple):
    """What the ledger has counted of one job; times in milliseconds since the epoch.

    `counts` are in the order of OUTCOMES (empty: not known). `status` is the exit status of the run that ended last as
    a shell has it, 124 after a time-out and 126 where it could not start; it took `took_ms`.
    """

    counts: tuple[int, ...] = (0,) * len(OUTCOMES)
    running: int = 0
    started_ms: int | None = None
    succeeded_ms: int | None = None
    took_ms: int | None = None
    status: int | None = None


class Lag(NamedTuple):
    """How many runs started so late: at most `up_to_ms`, and later than the bound before (None: any later)."""

    up_to_ms: int | None
    starts: int
    total_ms: int


class Counted(NamedTuple):
    """A job, what is counted of it, and when it is due next."""

    job: str
    tally: Tally = Tally()
    next_fire: datetime | None = None

    def uncounted(self) -> Counted:
        """Without what has to be counted from the beginning."""
        return self._replace(tally=Tally((), self.tally.running))


class Build(NamedTuple):
    """Which program this is."""

    version: str
    python: str


class _Family(NamedTuple):
    """A metric: its name, kind and unit, what it says, and the value of a job (None: it has none)."""

    name: str
    kind: str
    unit: str
    help: str


RUNS: Final = _Family(
    "runjobs_job_runs",
    "counter",
    "",
    "Runs that ended, by outcome; skipped and missed: fires that never came to a run.",
)
LAG: Final = _Family("runjobs_fire_lag_seconds", "histogram", "seconds", "How late runs started, after their due time.")
BUILD: Final = _Family("runjobs_build", "info", "", "The version of runjobs, and of the Python that it runs on.")
GAUGES: Final[Sequence[tuple[_Family, Callable[[Counted], float | None]]]] = (
    (
        _Family("runjobs_job_running", "gauge", "", "How many runs go on."),
        lambda each: each.tally.running,
    ),
    (
        _Family("runjobs_job_last_start_timestamp_seconds", "gauge", "seconds", "When its newest run started."),
        lambda each: _seconds(each.tally.started_ms),
    ),
    (
        _Family("runjobs_job_last_success_timestamp_seconds", "gauge", "seconds", "When a run last ended well."),
        lambda each: _seconds(each.tally.succeeded_ms),
    ),
    (
        _Family("runjobs_job_last_duration_seconds", "gauge", "seconds", "How long the run took that ended last."),
        lambda each: _seconds(each.tally.took_ms),
    ),
    (
        _Family(
            "runjobs_job_last_exit_code", "gauge", "",
            "The exit status of the run that ended last; 128 + n: signal n; 124: timed out; 126: could not start.",
        ),
        lambda each: each.tally.status,
    ),
    (
        _Family("runjobs_job_next_fire_timestamp_seconds", "gauge", "seconds", "When the job is due next."),
        lambda each: None if each.next_fire is None else milliseconds(each.next_fire) / 1000,
    ),
)  # fmt: skip


def style_for(accept: str) -> Style:
    """The format that a reader asks for by its Accept header; the older one where it does not name the other."""
    for wanted in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in wanted.split(";"))
        if kind == OPEN and not any(_is_refusal(parameter) for parameter in parameters):
            return Style.OPENMETRICS
    return Style.TEXT


def pieces(jobs: Sequence[Counted], lags: Sequence[Lag], build: Build, style: Style) -> Iterator[str]:
    """The whole exposition, in pieces that each take little time to make; without lags there is no histogram."""
    labels = [f'{{job="{escape(each.job)}"' for each in jobs]
    yield _build(build, style)
    if lags:
        yield _histogram(lags, style)
    yield _head(RUNS, style)
    for some in _chunks(len(jobs)):
        yield "".join(_counts(labels[number], jobs[number].tally) for number in some)
    for family, value in GAUGES:
        yield _head(family, style)
        for some in _chunks(len(jobs)):
            yield "".join(_samples(family.name, ((labels[number], value(jobs[number])) for number in some)))
    if style is Style.OPENMETRICS:
        yield "# EOF\n"


def escape(value: str) -> str:
    """The value of a label."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _is_refusal(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")


def _head(family: _Family, style: Style) -> str:
    """The lines before the samples. In the older format a counter and an info are named as their samples are."""
    name, kind = family.name, family.kind
    if style is Style.OPENMETRICS:
        unit = f"# UNIT {name} {family.unit}\n" if family.unit else ""
        return f"# TYPE {name} {kind}\n{unit}# HELP {name} {family.help}\n"
    name += {"counter": "_total", "info": "_info"}.get(kind, "")
    return f"# HELP {name} {family.help}\n# TYPE {name} {'gauge' if kind == 'info' else kind}\n"


def _build(build: Build, style: Style) -> str:
    labels = ",".join(f'{name}="{escape(value)}"' for name, value in build._asdict().items())
    return f"{_head(BUILD, style)}{BUILD.name}_info{{{labels}}} 1\n"


def _histogram(lags: Sequence[Lag], style: Style) -> str:
    lines, number = [_head(LAG, style)], 0
    for lag in lags:
        number += lag.starts
        bound = "+Inf" if lag.up_to_ms is None else repr(lag.up_to_ms / 1000)
        lines.append(f'{LAG.name}_bucket{{le="{bound}"}} {number}\n')
    lines.append(f"{LAG.name}_sum {sum(lag.total_ms for lag in lags) / 1000!r}\n{LAG.name}_count {number}\n")
    return "".join(lines)


def _counts(label: str, tally: Tally) -> str:
    return "".join(
        f'{RUNS.name}_total{label},outcome="{outcome}"}} {count}\n'
        for outcome, count in zip(OUTCOMES, tally.counts, strict=False)  # none, or one of each
    )


def _samples(name: str, found: Iterable[tuple[str, float | None]]) -> Iterator[str]:
    return (f"{name}{label}}} {value!r}\n" for label, value in found if value is not None)


def _seconds(value: int | None) -> float | None:
    return None if value is None else value / 1000


def _chunks(number: int) -> Iterator[range]:
    return (range(first, min(first + CHUNK, number)) for first in range(0, number, CHUNK))

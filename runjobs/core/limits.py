"""What a job may use at the most: how `memory`, `cpu` and `pids` are read, and what the kernel is told of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.errors import FieldError, Place, Problem, Severity
from runjobs.core.outcome import Outcome, Verdict
from runjobs.core.values import parse_size, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from runjobs.core.job import Job, Options

LEAST_MEMORY: Final = 1_000_000  # bytes: with less the shell itself can't start
PERIOD: Final = 100_000  # microseconds: the kernel's own, within which a job's share of CPU time is counted
LEAST_CPU: Final = 0.01  # the kernel gives 1 ms of a period at the least
MOST_CPU: Final = 1024.0
MOST_BARE: Final = 32  # more than that without a % can only be a slip: cpu=50 for cpu=50%
UNITS: Final = (("G", 10**9), ("M", 10**6), ("k", 10**3))


class Limits(NamedTuple):
    """The most that all processes of a run may use together: bytes, CPUs, processes and threads; None: no bound."""

    memory: int | None = None
    cpu: float | None = None
    pids: int | None = None

    @property
    def controllers(self) -> tuple[str, ...]:
        """The controllers of the kernel that it takes, cgroups(7): options and controllers have the same names."""
        return tuple(name for name, value in self._asdict().items() if value is not None)

    @property
    def writes(self) -> tuple[tuple[str, str], ...]:
        """What is written where in a control group, in this order, cgroup-v2.rst."""
        writes: list[tuple[str, str]] = []
        if self.memory is not None:
            # without swap, or a job would use that up instead; and it is killed whole, not a part that others wait for
            writes += [("memory.swap.max", "0"), ("memory.oom.group", "1"), ("memory.max", str(self.memory))]
        if self.cpu is not None:
            writes.append(("cpu.max", f"{round(self.cpu * PERIOD)} {PERIOD}"))
        if self.pids is not None:
            writes.append(("pids.max", str(self.pids)))
        return tuple(writes)


class Lack(NamedTuple):
    """Why limits can't be held, and what to do about it; `is_final`: whoever runs the jobs on this machine."""

    message: str
    remedy: str
    is_final: bool = False

    def of(self, controllers: Sequence[str]) -> str:
        """What is promised in vain, and why."""
        return f"{listed([f'{name}=' for name in controllers])} can't be held: {self.message}"


class Memory(NamedTuple):
    """What a control group says of its memory: bytes at the most (None: it was not counted), and why it was killed.

    `killed` counts processes that were killed for want of memory, `at_limit` how often its own limit was the reason.
    """

    peak: int | None = None
    killed: int = 0
    at_limit: int = 0


NOWHERE: Final = Lack("nobody has looked for a place", "look for one first")


def limits_of(options: Options) -> Limits:
    """The limits among the options of a job."""
    return Limits(options.memory, options.cpu, options.pids)


def memory(text: str) -> int:
    """Read a size in bytes that a shell can start in."""
    size = parse_size(text)
    if size < LEAST_MEMORY:
        raise FieldError(f"{text} is less memory than a shell takes", "write 1M or more, such as 100M")
    return size


def cpu(text: str) -> float:
    """Read `50%` or `1.5`: a share of one CPU, or so many of them."""
    match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,4})?)(%?)", text)
    if match is None:
        raise FieldError(f"{text!r} is no share of CPU time", "write 50% for half a CPU, or 1.5 for one and a half")
    number = float(match[1])
    if not match[2] and number > MOST_BARE:
        way_out = f"write {text}% for a share of one CPU, or {number * 100:.0f}% for so many"
        raise FieldError(f"{text} means {text} CPUs", way_out)
    cpus = number / 100 if match[2] else number
    if not LEAST_CPU <= cpus <= MOST_CPU:
        raise FieldError(f"{text} is not from 1% to {MOST_CPU:.0f} CPUs", "write 50% for half a CPU")
    return cpus


pids: Callable[[str], int] = whole_number(1, 4_194_304)  # pid_max of 64 bits, proc(5)


def out_of_memory(verdict: Verdict, seen: Memory, limits: Limits) -> Verdict:
    """The verdict on a run, with the reason `out-of-memory` if it failed and the kernel had killed it for that."""
    if verdict.outcome is not Outcome.FAILED or not seen.killed:
        return verdict
    peak = "" if seen.peak is None else f" (at the most it had {in_units(seen.peak)})"
    if limits.memory is not None and seen.at_limit:
        detail = f"killed for want of memory: it may have memory={in_units(limits.memory)}{peak}"
    else:
        detail = f"killed for want of memory: the machine, or a group above the job's, had none left{peak}"
    return Verdict(Outcome.FAILED, "out-of-memory", detail)


def in_units(size: int) -> str:
    """A size as one would write it in a jobs file, such as 100M."""
    for unit, factor in UNITS:
        if size >= factor:
            return f"{size / factor:.3g}{unit}" if size < 1000 * factor else f"{size // factor}{unit}"
    return str(size)


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them: one, two and three."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def unheld(jobs: Iterable[Job], find: Callable[[tuple[str, ...]], Lack | None]) -> Iterator[Problem]:
    """What of the jobs' limits can't be held; `find` gives what is lacking for some controllers.

    It is an error where nobody on this machine could hold them, and a warning where another runner might.
    """
    found: dict[tuple[str, ...], Lack | None] = {}
    for job in jobs:
        names = limits_of(job.options).controllers
        if names and names not in found:
            found[names] = find(names)
        if names and (lack := found[names]) is not None:
            severity = Severity.ERROR if lack.is_final else Severity.WARNING
            yield Problem(Place(job.source, job.line), lack.of(names), lack.remedy, severity=severity)

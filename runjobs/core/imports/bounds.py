"""What bounds a service of systemd: time, memory, priority, how it ends; in the words of a jobs file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.duration import format_duration
from runjobs.core.errors import FieldError
from runjobs.core.imports.spans import read_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.core.imports.running import Plan
    from runjobs.core.imports.units import Setting

IO_CLASS = frozenset({"IOSchedulingClass", "IOSchedulingPriority"})
_IO_CLASSES = {"none": "0", "realtime": "1", "best-effort": "2", "idle": "3"}
_KEYS = {
    "CPUQuota": "cpu", "Nice": "nice", "RuntimeMaxSec": "timeout", "TasksMax": "pids", "TimeoutSec": "timeout",
    "TimeoutStartSec": "timeout", "TimeoutStopSec": "kill-after", "UMask": "umask",
}  # fmt: skip
_ENDLESS = frozenset({"oneshot"})  # only these are starting for as long as they run
_PLAIN_TYPES = frozenset({"exec", "idle", "oneshot", "simple"})
# sysexits(3): the names that systemd.exec(5) knows exit codes by
_EXITS = {
    name: str(number)
    for number, name in enumerate(
        """USAGE DATAERR NOINPUT NOUSER NOHOST UNAVAILABLE SOFTWARE OSERR OSFILE CANTCREAT IOERR TEMPFAIL PROTOCOL
        NOPERM CONFIG""".split(),  # noqa: SIM905
        start=64,
    )
} | {"SUCCESS": "0", "FAILURE": "1"}


def _time(plan: Plan, setting: Setting) -> None:
    key, span = _KEYS[setting.key], read_span(setting.value)
    kind = plan.unit.last("Type")
    if setting.key.startswith("TimeoutS") and key == "timeout" and (kind is None or kind.value not in _ENDLESS):
        return  # it bounds the start, which is over at once, and not the run
    if span is None and key == "kill-after":
        raise FieldError("a run that is to end is killed sooner or later", "write kill-after=1h, or as it needs")
    plan.option(key, "none" if span is None else format_duration(span))


def _memory(plan: Plan, setting: Setting) -> None:
    size = re.fullmatch(r"(\d+)([KMG]?)", setting.value)
    if size:
        plan.option("memory", f"{size[1]}{size[2] and size[2] + 'i'}")
    elif setting.value != "infinity":
        raise FieldError(f"memory={setting.value} can't be said here", "write a size such as memory=100M")


def _plain(plan: Plan, setting: Setting) -> None:
    if setting.value != "infinity":
        plan.option(_KEYS[setting.key], setting.value)


def _kill_mode(plan: Plan, setting: Setting) -> None:
    plan.options["leftovers"] = "kill" if setting.value in {"control-group", "mixed"} else "keep"


def _kill_signal(_plan: Plan, setting: Setting) -> None:
    if setting.value not in {"SIGTERM", "TERM", "15"}:
        raise FieldError(f"runs are ended with TERM, not with {setting.value}", "trap TERM in the command")


def _type(plan: Plan, setting: Setting) -> None:
    if setting.value == "forking":
        plan.options["leftovers"] = "keep"
        raise FieldError("what it leaves in the background is no part of the run", "start it in the foreground")
    if setting.value not in _PLAIN_TYPES:
        setting.warn(f"nobody waits for the readiness that Type={setting.value} speaks of", "there is nothing to do")


def _restart(_plan: Plan, setting: Setting) -> None:
    if setting.value != "no":
        raise FieldError("a job is not restarted for ever", "write retries=3 retry-delay=1m above the job")


def _success(plan: Plan, setting: Setting) -> None:
    codes = [_EXITS.get(word, word) for word in setting.value.split()]
    known = plan.options.get("success-codes", "0")
    plan.option("success-codes", ",".join([known, *(code for code in codes if code != "0")]))


def take_io_class(plan: Plan) -> None:
    """Have the command set its class and priority for the disk, which its children inherit."""
    kind, level = plan.unit.last("IOSchedulingClass"), plan.unit.last("IOSchedulingPriority")
    given = [setting for setting in (kind, level) if setting]
    number = _IO_CLASSES.get(kind.value, kind.value) if kind else "2"
    words = ["-c", number]
    if level and number in {"1", "2"}:
        words += ["-n", level.value]
    good = all(re.fullmatch("-[cn]|[0-7]", word) for word in words)
    if given and good:
        plan.steps.append(f"ionice {' '.join(words)} -p $$")
    for setting in given:
        if good:
            setting.carry()
        else:
            setting.lose(f"ionice knows no {setting.value}", "write ionice in front of the command")


TAKEN: dict[str, Callable[[Plan, Setting], None]] = {
    "Type": _type,
    "TimeoutSec": _time,
    "TimeoutStartSec": _time,
    "RuntimeMaxSec": _time,
    "TimeoutStopSec": _time,
    "KillMode": _kill_mode,
    "KillSignal": _kill_signal,
    "Restart": _restart,
    "SuccessExitStatus": _success,
    "Nice": _plain,
    "UMask": _plain,
    "MemoryMax": _memory,
    "MemoryLimit": _memory,
    "CPUQuota": _plain,
    "TasksMax": _plain,
}

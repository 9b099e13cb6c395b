"""What a service of systemd runs, as whom, where and with which variables, systemd.exec(5), as the plan of a job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError
from runjobs.core.imports.execline import Exec, read_exec, specified, split_words
from runjobs.core.imports.secrets import is_secret
from runjobs.core.imports.shelltext import assignment, quote
from runjobs.core.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.core.imports.units import Setting, Unit

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # systemd.exec(5)
SECRET_HINT = "put it into a file that only the job's user can read, and write env-file=PATH"  # noqa: S105
# what systemd does unasked, systemd.service(5), systemd.exec(5), systemd.kill(5)
_AS_SYSTEMD = {"timeout": "none", "kill-after": "1m30s", "env": "clean", "cwd": "/", "leftovers": "kill"}
_LOGGED = frozenset({"inherit", "journal", "journal+console", "kmsg", "syslog"})  # a run's output goes to its log
NO = frozenset({"no", "false", "f", "n", "0", "off"})


@dataclass
class Plan:
    """A job in the making: its options in the words of a jobs file, variables as lines, steps for the shell.

    `off`: what decides whether, as whom or what it runs could not be carried over, so the job is to be switched off
    until somebody has looked. `exists` tells whether a file is there.
    """

    unit: Unit
    exists: Callable[[str], bool]
    options: dict[str, str] = field(default_factory=lambda: dict(_AS_SYSTEMD))
    variables: list[str] = field(default_factory=lambda: [PATH])
    steps: list[str] = field(default_factory=list)
    commands: list[Exec] = field(default_factory=list)
    off: bool = False

    def option(self, key: str, value: str) -> None:
        """Set an option; FieldError where a jobs file can't have it."""
        OPTIONS[key].parse(value)
        self.options[key] = value

    @property
    def lowered(self) -> bool:
        """Whether the unit runs as a user of its own."""
        return bool(self.unit.all("User") or self.unit.all("DynamicUser"))

    @property
    def command(self) -> str:
        """The whole command; "" where there is none."""
        if not self.commands:
            return ""
        runs = [f"{{ {each.text} || :; }}" if each.may_fail else each.text for each in self.commands]
        cut = ["set -f"] if any(each.cut for each in self.commands) else []
        return "; ".join([*self.steps, *cut, " && ".join(runs)])


def _exec(plan: Plan, setting: Setting) -> None:
    plan.commands += read_exec(setting.value, plan.unit.name, lowered=plan.lowered)


def _exec_condition(plan: Plan, setting: Setting) -> None:
    asked = read_exec(setting.value, plan.unit.name, lowered=plan.lowered)
    plan.steps += [f"{each.text} || exit 0" for each in asked]


def _user(plan: Plan, setting: Setting) -> None:
    plan.option("user", specified(setting.value, plan.unit.name))


def _folder(plan: Plan, setting: Setting) -> None:
    path = specified(setting.value, plan.unit.name)
    if path == "~":
        del plan.options["cwd"]  # the user's home is where jobs start
        return
    plan.option("cwd", path.removeprefix("-"))
    if path.startswith("-"):
        setting.warn("the folder must be there, or the job can't start", "write cwd=/ if it may be missing")


def _environment(plan: Plan, setting: Setting) -> None:
    for word in split_words(setting.value):
        name, equals, value = specified(word, plan.unit.name).partition("=")
        if not equals:
            raise FieldError(f"{name!r} is not NAME=value", "write NAME=value")
        line = assignment(name, value)
        plan.variables = [each for each in plan.variables if not each.startswith(f"{name}=")]
        plan.variables.append(line)
        if is_secret(name, value):
            setting.warn(f"{name} looks like a secret", SECRET_HINT)


def _environment_file(plan: Plan, setting: Setting) -> None:
    path = specified(setting.value, plan.unit.name)
    if path.startswith("-") and not plan.exists(path[1:]):
        raise FieldError(f"{path[1:]} is not there, as it need not be", f"write env-file={path[1:]} once it is")
    if "env-file" in plan.options:
        hint = f"copy what is in it into {plan.options['env-file']}"
        raise FieldError("a job has one env-file", hint)
    plan.option("env-file", path.removeprefix("-"))
    if path.startswith("-"):
        setting.warn("without its env-file a job does not start", f"take env-file= out should {path[1:]} go away")


def _output(plan: Plan, setting: Setting) -> None:
    stream = {"StandardOutput": "", "StandardError": "2"}[setting.key]
    kind, _, path = setting.value.partition(":")
    if kind == "null":
        plan.steps.append(f"exec {stream}>/dev/null")
    elif kind == "append" and not plan.unit.all("User"):  # with a user systemd opens it before it becomes that user
        plan.steps.append(f"exec {stream}>>{quote(path)}")
    elif kind not in _LOGGED:
        message = f"{setting.key}={kind} is not taken over: what a run says is in its log"
        raise FieldError(message, "redirect it in the command")


def _input(_plan: Plan, setting: Setting) -> None:
    if setting.value != "null":
        raise FieldError("a job's standard input is empty", "redirect it in the command")


def _identity(_plan: Plan, setting: Setting) -> None:
    if setting.value.lower() not in NO:
        raise FieldError(f"runjobs has nothing like {setting.key}", "write user= and what else it needs")


TAKEN: dict[str, Callable[[Plan, Setting], None]] = {
    "ExecCondition": _exec_condition,
    "ExecStartPre": _exec,
    "ExecStart": _exec,
    "ExecStartPost": _exec,
    "User": _user,
    "DynamicUser": _identity,
    "RootDirectory": _identity,
    "RootImage": _identity,
    "WorkingDirectory": _folder,
    "Environment": _environment,
    "EnvironmentFile": _environment_file,
    "StandardInput": _input,
    "StandardOutput": _output,
    "StandardError": _output,
}

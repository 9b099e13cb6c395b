"""Services of systemd as jobs: every setting taken over, passed over, or lost and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runjobs.core.errors import FieldError
from runjobs.core.imports import bounds, conditions, running
from runjobs.core.imports.execline import specified
from runjobs.core.imports.running import NO, Plan
from runjobs.core.imports.shelltext import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from runjobs.core.imports.units import Setting, Unit

    Take = Callable[[Plan, Setting], None]

_TAKEN: dict[str, Take] = {**running.TAKEN, **bounds.TAKEN}
_LISTS = frozenset({"Environment", "EnvironmentFile", "ExecCondition", "ExecStart", "ExecStartPost", "ExecStartPre",
                    "SuccessExitStatus"})  # fmt: skip
# whoever loses these runs something else, or as somebody else
_VITAL = frozenset({"DynamicUser", "ExecCondition", "ExecStart", "ExecStartPost", "ExecStartPre", "RootDirectory",
                    "RootImage", "User"})  # fmt: skip
# they speak to people, or say what holds here anyway
_SAID = frozenset(
    """Alias Also CPUAccounting DefaultDependencies DefaultInstance Delegate Description Documentation ExecReload
    IOAccounting IgnoreSIGPIPE LogLevelMax MemoryAccounting RefuseManualStart RefuseManualStop RequiredBy Slice
    SourcePath StopWhenUnneeded SyslogFacility SyslogIdentifier SyslogLevel SyslogLevelPrefix TasksAccounting
    WantedBy""".split()  # noqa: SIM905
)
_WALLS = ("Private", "Protect", "Restrict", "NoNewPrivileges", "LockPersonality", "MemoryDenyWriteExecute")
_UNITS = frozenset({"After", "Before", "Conflicts", "PartOf", "Upholds", "Wants"})


def read_service(plan: Plan) -> None:
    """Read a service into the plan of a job; each of its settings is accounted for."""
    unit = plan.unit
    ask_conditions(plan, unit)
    for key, take in _TAKEN.items():
        last = unit.last(key) if key not in _LISTS else None
        for setting in unit.all(key) if key in _LISTS else [last] if last else []:
            _attempt(plan, setting, take)
    bounds.take_io_class(plan)
    for setting in unit.others(frozenset({*_TAKEN, *bounds.IO_CLASS})):
        if not _is_condition(setting):
            pass_by(setting)


def ask_conditions(plan: Plan, unit: Unit) -> None:
    """Have the command ask a unit's conditions first."""
    for setting in unit.others(frozenset()):
        if _is_condition(setting):
            _attempt(plan, setting, _ask)


def _is_condition(setting: Setting) -> bool:
    return setting.key.startswith(("Condition", "Assert"))


def _ask(plan: Plan, setting: Setting) -> None:
    plan.steps.append(conditions.step(setting.key, specified(setting.value, plan.unit.name)))


def _attempt(plan: Plan, setting: Setting, take: Take) -> None:
    try:
        take(plan, setting)
    except FieldError as error:
        # on battery a job runs as well, and nobody is harmed; what else was to hold it back still does
        gate = _is_condition(setting) and setting.key != "ConditionACPower"
        off = gate or setting.key in _VITAL
        plan.off = plan.off or off
        setting.lose(error.message, f"{error.hint}; until then the job is switched off" if off else error.hint)
    else:
        setting.carry()


def pass_by(setting: Setting) -> None:
    """Account for a setting that no job can have: one that says nothing here, or one that is lost."""
    key, value = setting.key, setting.value
    unwalled = key.startswith(_WALLS) and value.lower() in NO
    if key in _SAID or key.startswith("X-") or unwalled:
        setting.pass_over()
    elif key in _UNITS:
        setting.drop(f"{key} names units, which jobs know nothing of", "write after=JOB where one job needs another")
    elif key in {"OnFailure", "OnSuccess"}:
        setting.lose(f"{key} starts a unit, which runjobs does not do", "start what it does from the command")
    elif setting.section == "Service":
        hint = f"let systemd see to it: systemd-run --wait --pipe -p {quote(f'{key}={value}')} COMMAND"
        setting.lose(f"runjobs has nothing like {key}", hint)
    else:
        setting.lose(f"runjobs has nothing like {key}", "see whether the job needs it, and put it into the command")

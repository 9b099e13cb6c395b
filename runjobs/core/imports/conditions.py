"""Conditions of units, systemd.unit(5), as questions that the shell asks before the command."""

from __future__ import annotations

from runjobs.core.errors import FieldError
from runjobs.core.imports.shelltext import quote

_TESTS = {
    "PathExists": "[ -e {} ]",
    "PathIsDirectory": "[ -d {} ]",
    "PathIsSymbolicLink": "[ -L {} ]",
    "FileNotEmpty": "[ -s {} ]",
    "FileIsExecutable": "[ -x {} ]",
    "DirectoryNotEmpty": '[ -n "$(ls -A {} 2>/dev/null)" ]',
}
_GLOB = "ls -d {} >/dev/null 2>&1"


def step(key: str, value: str) -> str:
    """Write `ConditionX=` or `AssertX=` as a step that ends the command early; FieldError where no shell can ask it.

    A condition that does not hold ends it well, as for systemd it is no failure; one that was asserted fails.
    """
    kind = key.removeprefix("Condition").removeprefix("Assert")
    code = 1 if key.startswith("Assert") else 0
    turned = "! " if value.startswith("!") else ""
    path = value.removeprefix("!").strip()
    if not path.startswith("/") or (kind not in _TESTS and kind != "PathExistsGlob"):
        raise FieldError(f"{key}={value} can't be asked here", "test for it at the beginning of the command")
    if kind == "PathExistsGlob":
        if set(path) & set(" \t\n\"'\\$`;&|<>(){}"):
            raise FieldError(f"{path} holds what the shell would read", "test for it at the beginning of the command")
        return f"{turned}{_GLOB.format(path)} || exit {code}"
    return f"{turned}{_TESTS[kind].format(quote(path))} || exit {code}"

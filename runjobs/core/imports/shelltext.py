"""Commands on their way into a jobs file: words for the shell, and the shell's text in a crontab's spelling."""

from __future__ import annotations

import re
import shlex

from runjobs.core.entry import split_input
from runjobs.core.errors import FieldError


def quote(word: str) -> str:
    """Quote a word for the shell, in a way that a jobs file can hold whatever stands in it but a newline."""
    return shlex.quote(word).replace("\\%", "\\''%")


def written(command: str) -> str:
    r"""Write a shell's command as a crontab has it, with `\%` for `%`; FieldError where it can't hold it."""
    lines = command.strip("\n").split("\n")
    text = lines[0] if len(lines) == 1 else _script(lines)
    if text.lstrip(" \t")[:1] in {"*", "-", ""}:
        raise FieldError("a command can't be empty or begin with * or -", "write the command's path in front")
    if "\0" in text or "\r" in text:
        raise FieldError("the command holds a NUL byte or a carriage return", "take it out")
    text = text.lstrip(" \t")
    spelled = re.sub("%", r"\\%", text)
    if split_input(spelled) != (text, None):
        hint = "put the command into a script"
        raise FieldError("a crontab can't hold a backslash right before a %", hint)
    return spelled


def _script(lines: list[str]) -> str:
    """Return one line that is the same to the shell as several."""
    return "eval \"$(printf '%s\\n' " + " ".join(map(quote, lines)) + ')"'


def assignment(name: str, value: str) -> str:
    """Write a variable as a line of a jobs file; FieldError where no such line can hold it."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise FieldError(f"{name!r} can't be the name of a variable", "use letters, digits and _")
    if name in _MEANING:
        raise FieldError(f"{name} has a meaning of its own in a jobs file", f"set it in the command: {name}=… command")
    if re.search(r"[\0\r\n]", value):
        raise FieldError(f"the value of {name} has more than one line", "set it in a script")
    if value == value.strip(" \t\v\f") and value[:1] not in {'"', "'"}:
        return f"{name}={value}"
    mark = next((mark for mark in ('"', "'") if mark not in value), None)
    if mark is None:
        raise FieldError(f"no quotes fit around the value of {name}", "set it in a script, or in an env-file")
    return f"{name}={mark}{value}{mark}"


# what a jobs file goes by, so that a variable of these names would do more than be there
_MEANING = frozenset({"SHELL", "CRON_TZ", "RANDOM_DELAY", "MAILTO", "MAILFROM", "LOGNAME", "USER"})

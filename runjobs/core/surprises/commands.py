"""What will surprise in a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runjobs.core.environment import CLEAN_PATH
from runjobs.core.errors import FieldError
from runjobs.core.job import Base
from runjobs.core.names import LEADING_ASSIGNMENTS

if TYPE_CHECKING:
    from runjobs.core.job import Job
    from runjobs.core.surprises.seen import Seen

_SHELL_WORDS = frozenset(
    """! . : [ [[ { alias bg break case cd command continue declare echo eval exec exit export false fg for
    function getopts hash if jobs kill let local printf pwd read readonly return select set shift source test
    time times trap true type typeset ulimit umask unalias unset until wait while""".split()  # noqa: SIM905
)
_SHELLS = frozenset({"ash", "bash", "dash", "ksh", "mksh", "sh", "zsh"})
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./+@-]*(?=[ \t;&|<>]|$)")
_QUOTED = re.compile(r"""\\.|"(?:[^"\\]|\\.)*"|'[^']*'""")


def bare_percent(seen: Seen) -> FieldError | None:
    """`date +%Y`: cron ends the command at the `%`."""
    if seen.job.stdin is None:
        return None
    head = seen.job.command
    open_quotes = re.search("[\"']", _QUOTED.sub("", head))
    cut_short = open_quotes or head.count("`") % 2 or head.count("$(") > head.count(")")
    if not cut_short and not re.search(r"""[-+=_:.,/'"]$""", head):
        return None
    at = seen.line.index("%", seen.at)
    message = "the command ends at this %: what follows is its standard input"
    return FieldError(message, r"for a % in the command write \%", start=at, end=at + 1)


def looks_like_field(seen: Seen) -> FieldError | None:
    """`0 0 1 1 * * cmd`: a field too many makes `*` or `5` the command."""
    match = re.match(r"[0-9*?][0-9*?,/-]*(?=[ \t]|$)", seen.job.command)
    if match is None:
        return None
    hint = "#: fields=6 puts seconds first, #: fields=7 a year last"
    message = f"{match[0]} is taken for the command, but looks like one more field"
    return FieldError(message, hint, start=seen.at, end=seen.at + match.end())


def missing_command(seen: Seen) -> FieldError | None:
    """A command that is not on the job's PATH, which is not the PATH of a login shell."""
    job = seen.job
    word = _command_word(job)
    if seen.find_command is None or word is None:
        return None
    path = dict(job.environment).get("PATH", CLEAN_PATH if job.options.env is Base.CLEAN else seen.path)
    if seen.find_command(word, path):
        return None
    at = seen.at + job.command.index(word)
    rest = _PLAIN_WORD.match(job.command[job.command.index(word) + len(word) :].lstrip())
    if rest is not None and "/" not in word and seen.find_command(rest[0], path):
        hint = f"if {word} is a user, say so at the top of the file: #: user-column"
    else:
        hint = "write its whole path, or set PATH= above the job" if "/" not in word else "check the path"
    where = f"in {path}" if "/" not in word else "there"
    return FieldError(f"there is no command {word} {where}", hint, start=at, end=at + len(word))


def _command_word(job: Job) -> str | None:
    """The command's first word, where it is plain enough to be sure what it names."""
    if job.shell.rpartition("/")[2] not in _SHELLS or job.options.env_file is not None:
        return None
    lead = LEADING_ASSIGNMENTS.match(job.command)
    if lead is not None and "PATH=" in lead[0]:
        return None
    match = _PLAIN_WORD.match(job.command, lead.end() if lead else 0)
    if match is None or match[0] in _SHELL_WORDS or match[0].startswith("."):
        return None
    return match[0]

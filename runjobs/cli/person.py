"""Who gives an order, and why: the words that go on record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes on record and is shown.")]


def who(environ: Mapping[str, str] | None = None, uid: int | None = None) -> str:
    """The person: whoever became root by sudo(8), else the login name, else the number of the user."""
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    name = (environ.get("SUDO_USER") if uid == 0 else None) or environ.get("LOGNAME") or _passwd_name(uid)
    return one_line(name) or f"uid {uid}"


def one_line(text: str) -> str:
    """Words on one line: a record is one, and a lock file has little room."""
    return " ".join(text.split())


def detail(verb: str, reason: str) -> str:
    """What a record says: `stopped by root: it hangs`."""
    why = one_line(reason)
    return f"{verb} by {who()}: {why}" if why else f"{verb} by {who()}"


def _passwd_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""  # as in a container, whose uid may be anything

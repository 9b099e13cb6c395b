"""The two pages of the manual, from the commands' own help, the table of options, and the documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import roff

import runjobs
from runjobs.cli.group import build, load
from runjobs.cli.main import COMMANDS
from runjobs.core.option_table import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
SHARED = ("--jobs", "--state", "--user-column", "--trust-jobs", "--json", "--help")
# of docs/running.md, under the titles that manual pages have for them
OF_RUNNING = {
    "Three ways in": "WAYS OF RUNNING",
    "Exit codes": "EXIT STATUS",
    "Signals": "SIGNALS",
    "Outcomes and reasons": "OUTCOMES",
    "Folders and settings": "ENVIRONMENT AND FILES",
}


def commands() -> Iterator[str]:
    """Give runjobs(1), all but its title line."""
    yield from (".SH NAME", r"runjobs \- a cron that you can trust and ask questions")
    yield ".SH SYNOPSIS"
    yield from _synopsis()
    yield ".SH DESCRIPTION"
    yield from _description()
    yield ".SH COMMANDS"
    for name in COMMANDS:
        yield from _command(name)
    yield ".SH SHARED OPTIONS"
    yield from roff.paragraph("Most commands know these, and say so above.")
    for param in _shared().values():
        yield from _option(param)
    running = {part.title: part for part in roff.sections((DOCS / "running.md").read_text("utf-8"))}
    for title, ours in OF_RUNNING.items():
        yield f".SH {ours}"
        yield from roff.render(running[title].tokens)
    yield from _see_also(r"\fBrunjobs\fR(5), \fBcrontab\fR(5), \fBcron\fR(8), \fBflock\fR(2), \fBsystemd.timer\fR(5)")


def jobs_files() -> Iterator[str]:
    """Give runjobs(5), all but its title line."""
    yield from (".SH NAME", r"runjobs \- jobs files: crontabs with options in comments")
    before, *parts = roff.sections((DOCS / "jobs-file.md").read_text("utf-8"))
    yield ".SH DESCRIPTION"
    yield from roff.render(before.tokens[3:])  # without the title of the document
    for part in parts:
        yield f".SH {roff.escaped(part.title.upper())}"
        yield from _options() if part.title == "Options" else ()
        yield from roff.render(_without_options(part.tokens) if part.title == "Options" else part.tokens)
    yield from _see_also(r"\fBrunjobs\fR(1), \fBcrontab\fR(5), \fBcron\fR(8)")


def title(name: str, section: int, date: str) -> str:
    """Return the title line of a page."""
    kind = {1: "User Commands", 5: "File Formats"}[section]
    return f'.TH {name.upper()} {section} "{date}" "runjobs {runjobs.__version__}" "{kind}"'


class Told(NamedTuple):
    """What a command says of itself: its help, what follows it in its usage line, and its parameters."""

    help: str
    usage: str
    params: list[Any]


def _told(name: str) -> Told:
    command = load(name, COMMANDS[name])
    with command.make_context(name, [], resilient_parsing=True) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        return Told(command.help or "", usage, command.get_params(context))


def _synopsis() -> Iterator[str]:
    for name in COMMANDS:
        yield from (roff.bold(f"runjobs {name}"), roff.escaped(_told(name).usage), ".br")


def _description() -> Iterator[str]:
    group = build(COMMANDS)
    yield from _help(group.help or "")
    with group.make_context("runjobs", [], resilient_parsing=True) as context:
        for param in group.get_params(context):
            yield from _option(param)


def _command(name: str) -> Iterator[str]:
    told = _told(name)
    yield f".SS runjobs {name} {roff.escaped(told.usage.removeprefix('[OPTIONS]'))}".rstrip()
    yield from _help(told.help)
    shared = []
    for param in told.params:
        if param.param_type_name == "argument":
            yield from roff.defined(rf"\fI{roff.escaped(param.metavar)}\fR", roff.escaped(param.help or ""))
        elif _is_shared(param):
            shared.append(max(param.opts, key=len))
        else:
            yield from _option(param)
    yield from roff.paragraph("Shared options: " + ", ".join(map(roff.bold, shared)) + ".")


def _help(text: str) -> Iterator[str]:
    for part in text.split("\n\n"):
        if part.startswith("\b\n"):
            yield from roff.verbatim(part.removeprefix("\b\n"))
        else:
            yield from roff.paragraph(roff.inline(roff.READER.parseInline(part)[0]))


def _option(param: Any) -> Iterator[str]:  # noqa: ANN401 (an option of typer's)
    spelled = ", ".join(map(roff.bold, sorted(param.opts, key=len)))
    value = "" if param.is_flag else rf" \fI{roff.escaped(param.metavar)}\fR"
    default = _default(param)
    yield from roff.defined(spelled + value, roff.escaped((param.help or "").replace("  [", " [")) + default)


def _default(param: Any) -> str:  # noqa: ANN401 (an option of typer's)
    """Say what holds without it, where the help does so by typer's own means."""
    if param.is_flag or param.default in {None, ""} or "[" in (param.help or ""):
        return ""
    return roff.escaped(f" [default: {param.default}]")


def _is_shared(param: Any) -> bool:  # noqa: ANN401 (a parameter of typer's)
    word = max(param.opts, key=len)
    return word in SHARED and param.help == _shared()[word].help


def _shared() -> dict[str, Any]:
    found = {max(param.opts, key=len): param for param in _told("status").params}
    return {word: found[word] for word in SHARED}


def _options() -> Iterator[str]:
    for option in OPTIONS.values():
        default = rf", default \fB{roff.escaped(option.default)}\fR" if option.default else ""
        doc = roff.inline(roff.READER.parseInline(option.doc)[0])
        yield from roff.defined(rf"{roff.bold(option.key)} (as in {roff.bold(option.example)}{default})", doc)


def _without_options(tokens: list[Any]) -> list[Any]:
    """Drop the first table: it is that of the options."""
    first = next(at for at, token in enumerate(tokens) if token.type == "table_open")
    last = next(at for at, token in enumerate(tokens) if token.type == "table_close")
    return tokens[:first] + tokens[last + 1 :]


def _see_also(pages: str) -> Iterator[str]:
    yield from (".SH SEE ALSO", *roff.lines(pages))

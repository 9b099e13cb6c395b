"""The group of commands: each one is imported and built only when it is asked for."""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, cast

import typer
from typer.core import TyperCommand, TyperGroup

import runjobs
from runjobs.cli.parameters import lighten
from runjobs.core.errors import UsageError
from runjobs.core.nearest import nearest_word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typer._click import Command, Context, HelpFormatter, Parameter

    from runjobs.cli.main import Entry

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
# what other tools call it
OTHER_WORDS = {
    "cancel": "stop",
    "crontab": "list",
    "daemon": "run --daemon",
    "disable": "pause",
    "enable": "resume",
    "exec": "run",
    "foreground": "run --foreground",
    "help": "--help",
    "jobs": "list",
    "kill": "stop",
    "lint": "check",
    "ls": "list",
    "ps": "status",
    "quit": "shutdown",
    "runs": "history",
    "schedule": "next",
    "start": "run",
    "tail": "logs -f",
    "test": "check",
    "unpause": "resume",
    "validate": "check",
    "version": "--version",
}


class LightCommand(TyperCommand):
    """A command whose plain parameters are read without importing pydantic."""

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return the parameters, the help option too."""
        return lighten(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """Return what follows the command in its usage line: arguments as their metavars have them."""
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        return ["[OPTIONS]", *map(_usage_of, arguments)]


class LazyGroup(TyperGroup):
    """A group that knows its commands by a table, and imports none of them to list them."""

    table: Mapping[str, Entry]

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Return the parameters, the help option too."""
        return lighten(super().get_params(ctx))

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 typer's signature
        """Return the names of the commands, in the order of the help."""
        return list(self.table)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002 typer's signature
        """Import and build a command; an unknown one is a UsageError that names the nearest."""
        if cmd_name.startswith("-"):
            return None  # an option in the wrong place: typer says so
        entry = self.table.get(cmd_name)
        if entry is None:
            raise unknown_command(cmd_name, self.table)
        return load(cmd_name, entry)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002 typer's signature
        """Write the list of commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.table.items()])


def build(table: Mapping[str, Entry]) -> TyperGroup:
    """Return the whole command line; no command's module is imported yet."""
    app = typer.Typer(
        name="runjobs", cls=LazyGroup, add_completion=False, rich_markup_mode=None, context_settings=SETTINGS
    )
    app.callback(invoke_without_command=True)(_root)
    group = cast("LazyGroup", typer.main.get_command(app))
    group.table = table
    return group


def load(name: str, entry: Entry) -> Command:
    """Import the function of a command and build its typer command."""
    from importlib import import_module

    module, _, function = entry.place.partition(":")
    callback: Callable[..., object] = getattr(import_module(module), function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    told = examples_first(callback.__doc__ or "")
    app.command(name, cls=LightCommand, help=told, short_help=entry.summary, context_settings=SETTINGS)(callback)
    return typer.main.get_command(app)


def examples_first(doc: str) -> str:
    r"""Return a docstring with its examples, which `\b` keeps as they are, behind the first paragraph."""
    first, *others = cleandoc(doc).split("\n\n")
    return "\n\n".join([first, *sorted(others, key=lambda each: not each.startswith("\b"))])


def _usage_of(argument: Parameter) -> str:
    name = argument.metavar or ""
    if "[" in name:
        return name  # it says by itself what may be left out
    if not argument.required:
        name = f"[{name}]"
    elif "|" in name:
        name = f"{{{name}}}"
    return name if argument.nargs == 1 else f"{name}..."


def unknown_command(name: str, known: Mapping[str, Entry]) -> UsageError:
    """Return the error for a command that is not there: the nearest one, or how to run a job of that name."""
    near = OTHER_WORDS.get(name) or nearest_word(name, known)
    hint = f"runjobs {near}" if near else f"runjobs run {name}, if {name} is a job; runjobs --help lists the commands"
    return UsageError(f"no such command: {name}", hint)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runjobs {runjobs.__version__}")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 its callback answers
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
    debug: Annotated[  # noqa: ARG001 main() reads it, so that it may stand anywhere
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """A cron that you can trust and ask questions.

    \b
    runjobs run               run what is due, once: for the system's cron, every minute
    runjobs run backup        run that job now, its output on the terminal
    runjobs run --foreground  stay and follow the schedule: for a service or a container
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)

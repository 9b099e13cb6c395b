"""What an error means for the person and for the caller: a message, the way out, and an exit code."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from runjobs.cli import streams
from runjobs.core.errors import FieldError, Place, RunjobsError, UsageError
from runjobs.render.text import printable

INTERNAL = 70  # EX_SOFTWARE, sysexits(3)
INPUT_OUTPUT = 74  # EX_IOERR, sysexits(3)
BROKEN_PIPE = 141  # as a shell shows a program that SIGPIPE ended
CTRL_C = 130  # as a shell shows a program that SIGINT ended


class WordError(UsageError):
    """A word of the command line that can't be read; it is shown with a caret under the mistake."""

    def __init__(self, option: str, text: str, error: FieldError) -> None:
        """Keep the word and the place of the mistake in it."""
        super().__init__(f"{option}: {error.message}", error.hint)
        self.text = text
        width = (len(text) if error.end is None else error.end) - error.start
        self.place = Place(option, 1, error.start + 1, max(width, 1))


class Failure(NamedTuple):
    """How a command that failed ends; an empty message says nothing."""

    exit_code: int
    message: str = ""
    hint: str = ""


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say on standard error what went wrong, with the traceback if `debug`, and return the exit code."""
    failure = judge(error)
    if debug and failure.message:
        import traceback

        streams.complain("".join(traceback.format_exception(error)).rstrip("\n"))
    if failure.message:
        streams.complain(f"runjobs: {printable(failure.message)}")
    if isinstance(error, WordError):
        streams.complain("\n".join(_excerpt(error)))
    if failure.hint:
        streams.complain(f"  try: {printable(failure.hint)}")
    return _settle(failure.exit_code)


def _excerpt(error: WordError) -> list[str]:
    from runjobs.render.problems import draw_excerpt
    from runjobs.render.screen import screen_of

    return draw_excerpt(error.text, error.place, screen_of(sys.stderr))


def judge(error: BaseException) -> Failure:
    """Return what an exception that reached the top means."""
    match error:
        case RunjobsError():
            return Failure(error.exit_code, error.message, error.hint)
        case KeyboardInterrupt():
            return Failure(CTRL_C)
        case BrokenPipeError():
            return Failure(BROKEN_PIPE)
        case SystemExit():
            return Failure(error.code if isinstance(error.code, int) else 0)
        case OSError():
            where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
            return Failure(INPUT_OUTPUT, f"{where}{error.strerror or error}", "--debug shows where it happened")
    return _judge_typer(error)


def _judge_typer(error: BaseException) -> Failure:
    import typer

    match error:
        case typer.Exit():
            return Failure(error.exit_code)
        case typer.Abort():
            return Failure(CTRL_C)
        case typer.TyperException():
            return Failure(UsageError.exit_code, *_usage(error))
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Failure(INTERNAL, f"internal error: {what}", "the same command with --debug, and report what it shows")


def _usage(error: object) -> tuple[str, str]:
    """Return the message and the way out of typer's usage error; its attributes differ by kind."""
    message = str(getattr(error, "message", "") or error)
    near = getattr(error, "possibilities", None)
    if near is None and hasattr(error, "format_message"):
        message = error.format_message()
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "runjobs")
    hint = near[0] if near else f"{path} --help"
    return (message[:1].lower() + message[1:]).rstrip("."), hint


def _settle(exit_code: int) -> int:
    """Hand over what was printed; return the exit code, or that of a failed hand-over where all was well until then."""
    try:
        streams.flush()
    except BrokenPipeError:
        streams.discard()
        return exit_code or BROKEN_PIPE
    except streams.OutputError as error:
        streams.discard()
        if not exit_code:
            streams.complain(f"runjobs: {error.message}")
        return exit_code or error.exit_code
    return exit_code

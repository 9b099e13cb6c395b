"""Standard streams that nothing can surprise: closed, full, broken, or of a small encoding."""

from __future__ import annotations

import io
import os
import sys

from runjobs.core.errors import RunjobsError

STANDARD = 3  # descriptors 0, 1 and 2


class OutputError(RunjobsError):
    """Standard output takes no more."""

    exit_code = 74  # EX_IOERR, sysexits(3)


def secure() -> None:
    """Open what is closed of the standard descriptors, and let no character be an encoding error.

    Else the next file that we open becomes descriptor 1, and receives what is printed: `runjobs list >&-`.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor < STANDARD:
        os.set_inheritable(descriptor, True)
        descriptor = os.dup(descriptor)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 open until the end
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 open until the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Hand over what is still in the buffer of standard output; raises OutputError or BrokenPipeError."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"can't write to standard output: {error.strerror}") from error


def discard() -> None:
    """Send what standard output still holds to nowhere, so that no flush at exit fails once more."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)


def complain(text: str) -> None:
    """Write lines to standard error; where that can't be, there is nobody left to tell."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):  # full, closed, or none at all
        return

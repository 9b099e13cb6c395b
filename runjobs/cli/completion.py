"""`runjobs completion`: the scripts that shells complete with, and the words that these ask for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from runjobs.cli import options

SHELLS: Final = ("bash", "zsh", "fish")
PATIENCE: Final = 3  # seconds: whoever has pressed a key waits; a disk that has gone away is not waited for

Shell = Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell.", show_default=False)]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[-- WORD...]", help="What these words may become, the last of them; as the scripts ask.",
        show_default=False,
    ),
]  # fmt: skip


def completion(shell: Shell, words: Words = None) -> None:
    """Print what makes a shell complete commands, options and their values, names of jobs and ids of runs.

    \b
    eval "$(runjobs completion bash)"               a line for ~/.bashrc
    runjobs completion zsh > ~/.zfunc/_runjobs      a folder of $fpath, before compinit
    runjobs completion fish > ~/.config/fish/completions/runjobs.fish

    Words are looked up when the key is pressed, so jobs are those of the files as they are then. Nothing is
    written, no error is shown, and after three seconds there is no answer.
    """  # noqa: D301 \b keeps the lines as they are, in typer's help
    shell = options.choose("SHELL", shell, SHELLS)
    if words is None:
        print(script(shell), end="")
    else:
        answer(words, broken=shell == "bash")


def script(shell: str) -> str:
    """Return the script of a shell."""
    path = os.path.join(os.path.dirname(__file__), "shells", f"runjobs.{shell}")
    with open(path, encoding="utf-8") as file:
        return file.read()


def answer(words: list[str], *, broken: bool) -> None:
    """Print what the last of the words may become, one to a line, each with a tab and a note where there is one."""
    from runjobs.cli import completing
    from runjobs.cli.main import COMMANDS
    from runjobs.render.text import printable

    found = []
    # whatever is wrong, this is not the moment to tell
    with contextlib.suppress(Exception), _at_most(PATIENCE):
        found = completing.complete(COMMANDS, words, broken=broken)
    lines = [f"{word.text}\t{printable(word.note)}" if word.note else word.text for word in found]
    print("".join(f"{line}\n" for line in lines), end="")


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """End this process by SIGALRM, whose default works even where a file system hangs, unless it is done in time."""
    import signal

    handler, timer = signal.signal(signal.SIGALRM, signal.SIG_DFL), signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler)

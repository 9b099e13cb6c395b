"""The command line called in this process: fast, and with all that it prints."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

from runjobs.cli.main import main


class Answer(NamedTuple):
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 a document of any shape
        """The document on standard output."""
        return json.loads(self.out)


def call(*words: str, terminal: bool = False) -> Answer:
    """Run `runjobs WORDS…` as its console script does, with a pipe or a terminal on both sides."""
    out, err = Captured(terminal), Captured(terminal)
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return Answer(code, out.getvalue(), err.getvalue())


class Captured(io.StringIO):
    """A stream that says whether it is a terminal."""

    encoding = "utf-8"

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        """Say what it was made to say."""
        return self.terminal

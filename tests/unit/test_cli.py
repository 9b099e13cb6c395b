"""The shell around the commands: the table, the errors, the exit codes."""

from __future__ import annotations

import errno
import re
from importlib import import_module

import pytest
import typer

import runjobs
from runjobs.cli.errors import judge
from runjobs.cli.group import OTHER_WORDS, load
from runjobs.cli.main import COMMANDS, rewrite
from runjobs.cli.streams import OutputError
from runjobs.core.errors import RunjobsError, UsageError
from tests.support.calling import call


def test_the_version_is_the_package_s() -> None:
    assert call("--version") == (0, f"runjobs {runjobs.__version__}\n", "")


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_lists_every_command_and_goes_to_standard_output(word: str) -> None:
    answer = call(word)
    assert (answer.code, answer.err) == (0, "")
    assert all(f"\n  {name} " in answer.out for name in COMMANDS)


def test_no_command_at_all_is_a_mistake_that_shows_the_help() -> None:
    answer = call()
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Usage: runjobs")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_has_help(name: str) -> None:
    module, _, function = COMMANDS[name].place.partition(":")
    assert getattr(import_module(module), function).__doc__
    assert call(name, "--help").code == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_what_it_does_and_with_examples_that_can_be_typed(name: str) -> None:
    command = load(name, COMMANDS[name])
    first, examples, *_ = (command.help or "").split("\n\n")
    assert not first.startswith("\b")
    lines = examples.split("\n")
    assert lines[0] == "\b"
    assert 2 <= len(lines) <= 5
    with command.make_context(name, [], resilient_parsing=True) as context:
        known = {word for param in command.get_params(context) for word in param.opts}
    for line in lines[1:]:
        ours = re.split(r"\s{2,}|[|>]| -- |runjobs shutdown --now|\)\"", line.replace('eval "$(', ""))[0]
        assert ours.startswith(f"runjobs {name}")
        assert [word for word in ours.split() if word.startswith("-") and word.partition("=")[0] not in known] == []


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_into_100_columns(name: str) -> None:
    assert [line for line in call(*name.split(), "--help").out.splitlines() if len(line) > 100] == []


def test_the_words_of_other_tools_lead_to_commands_there_are() -> None:
    assert [each for each in OTHER_WORDS.values() if call(*each.split(), "--help").code] == []
    assert set(OTHER_WORDS) & set(COMMANDS) == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "runjobs: no such command: lst\n  try: runjobs list\n"),
        (["backup"], "runjobs: no such command: backup\n  try: runjobs run backup, if backup is a job; "),
        (["Status"], "runjobs: no such command: Status\n  try: runjobs status\n"),
        (["kill"], "runjobs: no such command: kill\n  try: runjobs stop\n"),
        (
            ["run", "--log-format", "jsn", "--foreground"],
            "runjobs: --log-format 'jsn' is none of text, json\n  try: --log-format json\n",
        ),
        (["import", "--from", "systmd"], "runjobs: --from 'systmd' is none of crontab, cron.d, "),
        (["list", "--jbos", "x"], "runjobs: no such option: --jbos\n  try: --jobs\n"),
        (["--vresion"], "runjobs: no such option: --vresion\n  try: --version\n"),
        (["next", "--count", "ten"], "runjobs: invalid value for '--count' / '-n': 'ten' is not a whole number\n"),
        (["next", "--count", "0"], "runjobs: invalid value for '--count' / '-n': 0 is less than 1\n"),
        (["next", "--fields", "8"], "runjobs: invalid value for '--fields': 8 is more than 7\n"),
        (["next", "--until"], "runjobs: option '--until' requires an argument\n  try: runjobs --help\n"),
        (["check", "extra"], "runjobs: got unexpected extra argument(s) (extra)\n  try: runjobs check --help\n"),
    ],
)
def test_a_wrong_word_exits_2_and_names_the_right_one(words: list[str], said: str) -> None:
    answer = call(*words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(said)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["--foreground"], ["run", "--foreground"]),
        (["--jobs", "x", "--foreground"], ["run", "--jobs", "x", "--foreground"]),
        (["run", "--foreground"], ["run", "--foreground"]),
        (["--help", "--foreground"], ["--help", "--foreground"]),
        (["list", "--debug"], ["list"]),
        (["run", "--", "--debug"], ["run", "--", "--debug"]),
        (["--jobs", "x"], ["--jobs", "x"]),
    ],
)
def test_foreground_needs_no_command_and_debug_may_stand_anywhere(words: list[str], given: list[str]) -> None:
    assert rewrite(words) == given


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (RunjobsError("bad"), 78, "bad"),
        (RunjobsError("bad", exit_code=75), 75, "bad"),
        (UsageError("what?"), 2, "what?"),
        (OutputError("full"), 74, "full"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (OSError(errno.ENOSPC, "No space left on device", "state/x"), 74, "state/x: No space left on device"),
        (OSError(errno.ENOSPC, "No space left on device"), 74, "No space left on device"),
        (typer.Exit(3), 3, ""),
        (typer.Abort(), 130, ""),
        (SystemExit(4), 4, ""),
        (ZeroDivisionError("division by zero"), 70, "internal error: ZeroDivisionError: division by zero"),
        (MemoryError(), 70, "internal error: MemoryError"),
    ],
)
def test_every_exception_has_an_exit_code_and_a_line(error: BaseException, code: int, message: str) -> None:
    failure = judge(error)
    assert (failure.exit_code, failure.message) == (code, message)


def test_a_traceback_is_shown_with_debug_alone() -> None:
    words = ["next", "--expr", "75 * * * *"]
    assert "Traceback" not in call(*words).err
    assert "Traceback" in call("--debug", *words).err
    assert "Traceback" in call(*words, "--debug").err


def test_an_error_shows_control_characters_instead_of_sending_them() -> None:
    assert r"\x1b[2J" in call("\x1b[2J").err
    assert "\x1b" not in call("\x1b[2J").err

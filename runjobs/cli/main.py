"""The entry point: the table of commands, and the one place that turns whatever happens into an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry(NamedTuple):
    """Where a command's function is, and what the list of commands says of it."""

    place: str  # module:function
    summary: str


# In the order of the help. Only the module of the command that was asked for is imported.
COMMANDS = {
    "run": Entry(
        "runjobs.cli.run:run", "Run what is due once, or the named jobs now, or stay and follow the schedule."
    ),
    "status": Entry("runjobs.cli.status:show_status", "Show how it stands with each job, and what is wrong."),
    "history": Entry("runjobs.cli.history:show_history", "Show what became of each fire."),
    "logs": Entry("runjobs.cli.logs:show_logs", "Show what runs have said, and with -f what they go on to say."),
    "why": Entry("runjobs.cli.why:show_why", "Say what became of a job at a time, or why it was not due then."),
    "timeline": Entry("runjobs.cli.timeline:show_timeline", "Draw a day: who ran when, how it went, what is to come."),
    "stop": Entry("runjobs.cli.stop:stop", "Stop runs that go on, whoever started them, and fires that wait."),
    "pause": Entry("runjobs.cli.pausing:pause", "Pause jobs: their fires are skipped until a time, or until resume."),
    "resume": Entry("runjobs.cli.pausing:resume", "Let paused jobs fire again."),
    "locks": Entry("runjobs.cli.locks:show_locks", "Show who holds which lock, since when, and which are free."),
    "reload": Entry("runjobs.cli.signalling:reload", "Have the runner that stays read its jobs files at once."),
    "shutdown": Entry("runjobs.cli.signalling:shutdown", "Stop the runner that stays, and wait for its end."),
    "at": Entry("runjobs.cli.at:at", "Run a command once, at a time; show what is planned, and take it back."),
    "check": Entry("runjobs.cli.check:check", "Check the jobs files: all mistakes at once, and what will surprise."),
    "list": Entry(
        "runjobs.cli.listing:list_jobs", "List the jobs: schedule, next fire, command, and where they stand."
    ),
    "next": Entry("runjobs.cli.next:show_next", "Show when jobs fire next, or when a schedule would."),
    "explain": Entry(
        "runjobs.cli.explain:explain_schedule", "Say in plain words when a schedule fires, and what may surprise."
    ),
    "simulate": Entry(
        "runjobs.cli.simulate:simulate", "Play a time to come: overlaps, skips, waits, and how much runs at once."
    ),
    "diff": Entry("runjobs.cli.diff:diff", "Compare two sets of jobs by what they do: exits 1 if anything differs."),
    "import": Entry(
        "runjobs.cli.importing:take_over", "Take over crontabs, systemd timers and their like into a jobs folder."
    ),
    "notify": Entry(
        "runjobs.cli.notify:notify", "Test who is told of jobs; show news that waits or could not be delivered."
    ),
    "doctor": Entry("runjobs.cli.doctor:doctor", "Check all that runjobs depends on, and say how to mend it."),
    "completion": Entry(
        "runjobs.cli.completion:completion", "Print what makes bash, zsh or fish complete commands, options and jobs."
    ),
}

HELP = frozenset({"-h", "--help", "--version"})
STAYING = frozenset({"--foreground", "--daemon"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; no exception gets out, SystemExit neither."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in _ours(words)
    try:
        if os.getpid() == 1:  # else the import would be for nothing
            from runjobs.adapters.signals import die_as_others_do

            die_as_others_do()
        return _carry_out(words)
    except BaseException as error:  # noqa: BLE001 the one place where every error ends
        from runjobs.cli.errors import report

        return report(error, debug=debug)


def rewrite(words: Sequence[str]) -> list[str]:
    """Return the words as typer is given them.

    `runjobs --foreground …` means `runjobs run --foreground …`, and so with `--daemon`; `--debug` may stand anywhere
    before a `--`.
    """
    ours = _ours(words)
    rest = words[len(ours) :]
    ours = [word for word in ours if word != "--debug"]
    if ours and ours[0].startswith("-") and not STAYING.isdisjoint(ours) and HELP.isdisjoint(ours[:1]):
        ours.insert(0, "run")
    return [*ours, *rest]


def _ours(words: Sequence[str]) -> list[str]:
    """Return the words before the first `--`: what follows it belongs to a command that we are to run."""
    return list(words[: words.index("--")] if "--" in words else words)


def _carry_out(words: Sequence[str]) -> int:
    from runjobs.cli import streams

    streams.secure()
    from runjobs.cli.group import build

    group = build(COMMANDS)
    # not group.main(): its handling of errors and of broken pipes is not ours
    with group.make_context("runjobs", rewrite(words)) as context:
        code = group.invoke(context)
    streams.flush()
    return code if isinstance(code, int) else 0

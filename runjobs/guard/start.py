"""The starter: a short-lived child of the guard that starts the job, and leaves it to the guard as an orphan.

Between fork and exec a start may hang for ever, in a folder on a stalled mount or in a name service. Then only the
starter hangs, and it is killed with the tree. And the memory that a start touches is given back when it ends.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from runjobs.adapters import process
from runjobs.adapters.launch import Launch, LaunchError, launch, launch_here
from runjobs.core.outcome import Outcome, Verdict
from runjobs.core.run import ProcessId, Started

if TYPE_CHECKING:
    from runjobs.guard.assignment import Assignment

REPORT = 4096  # bytes, which a pipe takes in one piece


class Streams(NamedTuple):
    """Descriptors that a job starts with: its output, and where it enters its control group, if it has limits."""

    stdout: int
    stderr: int
    entrance: int | None = None


class Begun(NamedTuple):
    """The job runs: its main process, and the memory in bytes that any process has for having been forked here."""

    pid: int
    inherited_memory: int


class Starter(NamedTuple):
    """The starter of a job: its pid, and the pipe that its report will come through."""

    pid: int
    descriptor: int

    def report(self) -> Begun | Verdict:
        """What came of it: it runs, or why it does not. Call it when the pipe is readable."""
        text = os.read(self.descriptor, REPORT).decode("utf-8", "replace")
        if not text:
            return Verdict(Outcome.ERROR, "start", "the process that was to start it was killed")
        word, _, rest = text.partition(" ")
        if word != "started":
            return Verdict(Outcome.ERROR, word, rest)
        pid, _, memory = rest.partition(" ")
        return Begun(int(pid), int(memory))


def fork_starter(assignment: Assignment, streams: Streams, started_at: float) -> Starter:
    """Fork a starter for the job, which gets these streams. OSError when no process can be made."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = process.fork()
    if pid == 0:
        _live(assignment, streams, started_at, writer)
    os.close(writer)
    return Starter(pid, reader)


def start_here(assignment: Assignment, streams: Streams, started_at: float) -> Begun:
    """Start a job whose start can't hang, without a starter. LaunchError when it can't be started."""
    if assignment.nofile is not None:
        process.limit_files(assignment.nofile)
    what = _what(assignment, streams)
    try:
        pid = launch_here(what)
    finally:
        if what.stdin:
            os.close(what.stdin)
    unknown = ProcessId(pid, 0, "", 0)  # the runner looks it up, whose memory is its own
    assignment.channel.send(Started(assignment.run_id, os.getpid(), unknown, started_at))
    return Begun(pid, process.peak_memory())


def _live(assignment: Assignment, streams: Streams, started_at: float, writer: int) -> NoReturn:
    report = "start its starter failed"
    try:
        process.die_with_parent()  # a starter that hangs holds the run's locks, and nothing but its guard knows of it
        report = _start(assignment, streams, started_at)
    except LaunchError as error:
        report = f"{error.reason} {error.detail}"
    except Exception as error:  # noqa: BLE001 (a mistake of ours: it goes on the record of the run)
        report = f"start its starter failed: {type(error).__name__}: {error}"
    finally:
        os.write(writer, report.encode("utf-8", "replace")[:REPORT])
        os._exit(0)


def _start(assignment: Assignment, streams: Streams, started_at: float) -> str:
    process.default_signals()
    if assignment.nofile is not None:
        process.limit_files(assignment.nofile)
    if assignment.equip is not None:
        assignment = assignment._replace(**assignment.equip()._asdict())
    main = launch(_what(assignment, streams))
    main.returncode = 0  # the guard's to reap: Popen must not wait for it when it is thrown away
    guard = os.getppid()
    found = process.identity(main.pid) or ProcessId(main.pid, 0, "", 0)
    assignment.channel.send(Started(assignment.run_id, guard, found, started_at))
    return f"started {main.pid} {process.peak_memory()}"


def _what(assignment: Assignment, streams: Streams) -> Launch:
    job, options = assignment.job, assignment.job.options
    return Launch(
        arguments=(job.shell, "-c", job.command),
        environment=assignment.environment,
        cwd=assignment.cwd,
        stdin=_open_stdin(job.stdin),
        stdout=streams.stdout,
        stderr=streams.stderr,
        user=assignment.user,
        umask=assignment.umask if options.umask is None else options.umask,
        nice=options.nice,
        entrance=streams.entrance,
    )


def _open_stdin(text: str | None) -> int:
    """What follows a % in a file without a name, which keeps nobody waiting; else our own, which is /dev/null."""
    if text is None:
        return 0
    descriptor = os.memfd_create("stdin", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor

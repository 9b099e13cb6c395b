"""Signals to the runner that stays, by the table of docs/signals.md: idle and with 20 jobs, as PID 1 and not."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.real.support import ledger, namespaces
from tests.real.support.command_line import ROOT, SILENT, environment
from tests.real.support.processes import stat, tree, wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = (ROOT / "docs" / "signals.md").read_text(encoding="utf-8")
OF_THE_C_LIBRARY = 0b11 << 31  # 32 and 33, which no program can set, nptl(7)
TICK = "#: name=tick\n@every 1s echo $RUNJOBS_SCHEDULED_AT >>ticks\n"
LEAP = "#: name=leap\n0 0 29 2 * true\n"
MANY = 20
MASKS = ("SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:")  # of /proc/PID/status
HARMLESS = ("reaps", "goes on", "reloads", "wakes")
AS_PID_1 = pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
PLACES = [False, pytest.param(True, marks=AS_PID_1)]
NAMES = ["plain", "pid1"]


class Row(NamedTuple):
    """A signal of the table, and the first words of what it does to a runner, and to one that is PID 1."""

    signal: str
    plain: str
    as_pid_1: str


def table() -> list[Row]:
    """The table of the document, a row for each signal; `other` stands for all that are not named."""
    lines = [line.strip("| ").split(" | ") for line in DOCUMENT.splitlines() if line.startswith("| ")]
    rows = [line for line in lines if re.match(r"`[A-Z0-9]+`", line[0]) or line[0] == "any other"]
    return [
        Row(name, *(re.split("[:;,]", cell)[0] for cell in row[1:]))
        for row in rows
        for name in re.findall(r"`([A-Z0-9]+)`", row[0]) or ["other"]
    ]


def named(word: str, place: str = "plain") -> list[str]:
    """The signals of the table that do this."""
    return [row.signal for row in table() if getattr(row, place).startswith(word)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


class Runner(NamedTuple):
    """A runner that stays: what was started, and its pid out here."""

    process: subprocess.Popen[bytes]
    pid: int

    def send(self, name: str) -> None:
        os.kill(self.pid, signal.Signals[f"SIG{name}"])

    @property
    def stands_still(self) -> bool:
        found = stat(self.pid)
        return found is not None and found.state == "T"


@contextlib.contextmanager
def running(stage: Stage, *words: str, as_pid_1: bool) -> Iterator[Runner]:
    """A foreground runner that has made its first pass, as PID 1 of a namespace or not."""
    command = stage.place.command("run", "--foreground", "--log-format", "json", *words)
    if as_pid_1:
        command = namespaces.as_pid_1(command)
    with (stage.root / "out").open("ab") as out, (stage.root / "err").open("ab") as err:
        # in a group of its own, as a shell starts it: in one that nobody looks after TSTP does nothing, setpgid(2)
        process = subprocess.Popen(
            command, env=environment(), stdin=SILENT, stdout=out, stderr=err, process_group=0
        )  # fmt: skip
    with process:
        try:
            assert stage.heard("runner-started"), stage.err
            family = tree(process.pid)
            inside = [pid for pid, found in family.items() if found.parent == process.pid]
            yield Runner(process, inside[0] if as_pid_1 else process.pid)
        finally:
            process.kill()


def soon(name: str, work: str, options: str = "") -> str:
    """A job that starts once, when its runner is there."""
    return f"#: name={name} tz=UTC {options}\n@at {datetime.now(UTC) + timedelta(seconds=2):%Y-%m-%dT%H:%M:%S} {work}\n"


def many(count: int) -> str:
    """Jobs that start soon, and work until the file `release` is there."""
    return "".join(soon(f"long{number}", "until test -e release; do sleep 0.1; done") for number in range(count))


def ticks(stage: Stage) -> list[str]:
    """The due times for which the job `tick` has run, by its own word."""
    path = stage.root / "ticks"
    return path.read_text().split() if path.exists() else []


def goes_on(stage: Stage) -> bool:
    """Wait until another fire has run that was not due yet."""
    now = datetime.now(UTC)
    return wait_until(lambda: any(datetime.fromisoformat(due) > now for due in ticks(stage)))


def lost_or_doubled(stage: Stage) -> list[str]:
    """What is wrong with the seconds from the first fire of `tick` to its last: each is accounted for just once."""
    fires = ledger.fires(stage.place.state, "tick")
    due = Counter(at for fire in fires for at in range(fire["scheduled_at"], fire["last_at"] + 1, 1000))
    wrong = [f"{at}: {due[at]} times" for at in range(min(due), max(due) + 1, 1000) if due[at] != 1]
    return wrong + [f"ran {count} times: {at}" for at, count in Counter(ticks(stage)).items() if count != 1]


@pytest.mark.parametrize("count", [0, MANY], ids=["idle", "20 running"])
@pytest.mark.parametrize("as_pid_1", PLACES, ids=NAMES)
def test_signals_that_stop_nothing_cost_no_fire_and_no_run(stage: Stage, as_pid_1: bool, count: int) -> None:
    place = "as_pid_1" if as_pid_1 else "plain"
    stage.jobs(TICK + many(count))
    with running(stage, "--grace", "20s", as_pid_1=as_pid_1) as runner:
        assert wait_until(lambda: len(stage.events("started", job="tick")) >= 1)
        assert wait_until(lambda: len(running_now(stage)) == count)
        for name in (name for word in HARMLESS for name in named(word, place)):
            runner.send("ALRM" if name == "other" else name)
            assert goes_on(stage), name
            assert not runner.stands_still
        assert len(stage.events("reloaded")) == len(named("reloads", place))
        for name in named("reports", place):
            runner.send(name)
            assert stage.heard("runner-status")
            assert stage.events("runner-status")[-1]["running"] in {count, count + 1}  # a tick may be running
        reported = {event["job"] for event in stage.events("running")}
        assert reported - {"tick"} == {f"long{number}" for number in range(count)}
        (stage.root / "release").touch()
        assert wait_until(lambda: len(ended_ok(stage)) == count)
        runner.send("TERM")
        assert runner.process.wait(60) == 0
    assert lost_or_doubled(stage) == []
    assert {fire["outcome"] for fire in ledger.fires(stage.place.state, "tick")} <= {"ok", "missed"}
    assert stage.err == ""


def running_now(stage: Stage) -> list[str]:
    return [run["id"] for run in ledger.runs(stage.place.state, "long%") if run["state"] == "running"]


def ended_ok(stage: Stage) -> list[str]:
    return [run["id"] for run in ledger.runs(stage.place.state, "long%") if run["outcome"] == "ok"]


@pytest.mark.parametrize("count", [0, MANY], ids=["idle", "20 running"])
def test_a_runner_that_stood_still_fires_once_for_all_that_it_slept_through(stage: Stage, count: int) -> None:
    stage.jobs(f"{TICK}#: name=brief start-within=1s\n@every 3s touch brief\n{many(count)}")
    with running(stage, "--grace", "20s", as_pid_1=False) as runner:
        assert stage.exists("brief")
        assert wait_until(lambda: len(running_now(stage)) == count)
        stand_still(stage, runner, "TSTP", 5.2)
        assert goes_on(stage)
        assert wait_until(lambda: "late" in reasons(stage, "brief"))
        (stage.root / "release").touch()
        assert wait_until(lambda: len(ended_ok(stage)) == count)
        runner.send("TERM")
        assert runner.process.wait(60) == 0
    assert lost_or_doubled(stage) == []
    assert reasons(stage, "tick") == {"superseded"}
    missed = [fire for fire in ledger.fires(stage.place.state, "tick") if fire["outcome"] == "missed"]
    assert sum(fire["count"] for fire in missed) >= 3


def test_whatever_makes_it_stand_still_it_goes_on_afterwards(stage: Stage) -> None:
    stage.jobs(TICK)
    with running(stage, as_pid_1=False) as runner:
        for name in named("stands still"):
            stand_still(stage, runner, name, 0.0)
            assert goes_on(stage), name
    assert lost_or_doubled(stage) == []


def stand_still(stage: Stage, runner: Runner, name: str, seconds: float) -> None:
    """Have it stand still for so long, in which nothing is started."""
    runner.send(name)
    assert wait_until(lambda: runner.stands_still), name
    count, since = len(ticks(stage)), time.monotonic()
    assert wait_until(lambda: time.monotonic() >= since + seconds)
    assert len(ticks(stage)) <= count + 1  # one may have been started just before
    runner.send("CONT")


def reasons(stage: Stage, job: str) -> set[str]:
    """Why fires of this job were missed."""
    return {fire["reason"] for fire in ledger.fires(stage.place.state, job) if fire["outcome"] == "missed"}


@AS_PID_1
@pytest.mark.parametrize("name", named("stands still", "as_pid_1"))
def test_pid_1_stands_still_where_the_table_says_so(stage: Stage, name: str) -> None:
    stage.jobs(TICK)
    with running(stage, as_pid_1=True) as runner:
        runner.send(name)
        assert wait_until(lambda: runner.stands_still)
        runner.send("CONT")
        assert goes_on(stage)
    assert lost_or_doubled(stage) == []


@pytest.mark.parametrize("count", [0, MANY], ids=["idle", "20 running"])
@pytest.mark.parametrize("as_pid_1", PLACES, ids=NAMES)
@pytest.mark.parametrize("name", named("stops"))
def test_a_signal_that_stops_ends_all_within_the_grace_and_the_second_at_once(
    stage: Stage, name: str, as_pid_1: bool, count: int
) -> None:
    stage.jobs(LEAP + many(count))
    with running(stage, "--grace", "1h", as_pid_1=as_pid_1) as runner:
        assert wait_until(lambda: len(running_now(stage)) == count)
        runner.send(name)
        if count:
            assert stage.heard("runner-stopping", running=count)
            runner.send("HUP")  # means nothing any more
            runner.send(name)
        assert runner.process.wait(60) == 0
    runs = ledger.runs(stage.place.state)
    assert {(run["outcome"], run["reason"]) for run in runs} <= {("interrupted", "shutdown")}
    assert len(runs) == count
    assert stage.members() == []
    assert not (stage.place.state / "runner.pid").exists()


@pytest.mark.parametrize("as_pid_1", PLACES, ids=NAMES)
@pytest.mark.parametrize("name", named("wakes"))
def test_a_runner_that_is_woken_looks_at_once_at_what_others_left(stage: Stage, name: str, as_pid_1: bool) -> None:
    stage.jobs("#: name=leap\n0 0 29 2 * touch started; sleep 1000\n")
    with running(stage, as_pid_1=as_pid_1) as runner:
        assert wait_until((stage.place.state / "locks" / "runner").exists)
        leave_an_end_open(stage)
        runner.send(name)
        # by itself it looks around a minute after its start
        assert wait_until(lambda: [fire["state"] for fire in ledger.fires(stage.place.state)] == ["ended"], 40)
    assert [event["outcome"] for event in stage.events("ended")] == ["interrupted"]


def leave_an_end_open(stage: Stage) -> None:
    """Have a person's run of the job, and kill its caller and its guard: nobody is left who could record its end."""
    with stage.start("leap") as person:
        assert stage.exists("started")
        guards = [pid for pid, found in tree(person.pid).items() if found.name == "runjobs-guard"]
        assert len(guards) == 1
        person.kill()
        os.kill(guards[0], signal.SIGKILL)


def test_a_signal_that_is_not_for_it_ends_the_runner_and_no_run(stage: Stage) -> None:
    (name,) = named("dies")
    assert name == "other"
    stage.jobs(soon("job", "touch started; until test -e release; do sleep 0.05; done; exit 3"))
    with running(stage, as_pid_1=False) as runner:
        assert stage.exists("started")
        runner.send("ALRM")
        assert runner.process.wait(60) == -signal.SIGALRM
    (stage.root / "release").touch()
    assert wait_until(lambda: [run["exit_code"] for run in ledger.runs(stage.place.state)] == [3])


def test_the_table_has_a_row_for_every_signal_that_the_runner_hears() -> None:
    with_rows = {row.signal for row in table()}
    assert {"TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "CHLD", "PIPE", "TSTP", "CONT", "other"} <= with_rows
    from runjobs.runner.foreground import HEARD

    assert {number.name[3:] for number in HEARD} <= with_rows


@pytest.mark.parametrize("as_pid_1", PLACES, ids=NAMES)
@pytest.mark.parametrize("options", ["", "nice=1"], ids=["spawned", "by a starter"])
def test_a_job_starts_with_default_signals_and_an_empty_mask_whatever_the_runner_was_given(
    stage: Stage, options: str, as_pid_1: bool
) -> None:
    stage.jobs(soon("job", "exec cp /proc/self/status status", options))
    deaf = (
        "import os, signal, sys\n"
        "for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    signal.signal(number, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", deaf, *stage.place.command("run", "--foreground", "--log-format", "json")]
    if as_pid_1:
        command = namespaces.as_pid_1(command)
    with (stage.root / "out").open("ab") as out, subprocess.Popen(command, env=environment(), stdout=out) as runner:
        try:
            assert stage.heard("ended", job="job", outcome="ok")
            pid = next(pid for pid, found in tree(runner.pid).items() if found.name.startswith("python"))
            os.kill(pid, signal.SIGTERM)  # what was ignored and held back is heard
            assert runner.wait(60) == 0
        finally:
            runner.kill()
    lines = [line.split() for line in (stage.root / "status").read_text().splitlines()]
    masks = {words[0]: int(words[1], 16) & ~OF_THE_C_LIBRARY for words in lines if words[0] in MASKS}
    assert masks == dict.fromkeys(MASKS, 0)


@pytest.mark.parametrize("words", [[], ["nohup"]], ids=["by itself", "under nohup"])
def test_a_terminal_that_hangs_up_stops_its_runner_unless_hangups_are_ignored(stage: Stage, words: list[str]) -> None:
    stage.jobs(TICK)
    ours, terminal = pty.openpty()
    command = [*words, *stage.place.command("run", "--foreground", "--log-format", "json")]

    def own_it() -> None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    with (
        (stage.root / "out").open("ab") as out,
        subprocess.Popen(
            command,
            env=environment(),
            stdin=terminal,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=own_it,  # noqa: PLW1509 (there are no threads)
        ) as runner,
    ):
        os.close(terminal)
        try:
            assert wait_until(partial(ticks, stage))
            runner.send_signal(signal.SIGHUP)
            assert goes_on(stage)  # with its terminal there, it means to reload
            os.close(ours)
            if words:
                assert goes_on(stage)
                assert runner.poll() is None
            else:
                assert runner.wait(60) == 0
                assert stage.events("runner-stopped", left=0)
        finally:
            runner.kill()

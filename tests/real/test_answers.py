"""Asking while things happen: runs that go on and are killed, and logs that are followed while they are written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.support import namespaces
from tests.real.support.command_line import SILENT, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GAP = re.compile("\\[… ([0-9,]+) bytes (?:came too fast to be shown|dropped) …\\]\n".encode())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as made:
        yield made


@contextlib.contextmanager
def following(stage: Stage, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`runjobs logs -f WORDS`, whose output goes to the file `said` and its remarks to `aside`."""
    with (stage.root / "said").open("wb") as out, (stage.root / "aside").open("wb") as err:
        command = stage.place.command("logs", "-f", *words)
        started = subprocess.Popen(command, env=environment(), stdin=SILENT, stdout=out, stderr=err)
    with started:
        try:
            yield started
        finally:
            started.kill()


def said(stage: Stage) -> bytes:
    return (stage.root / "said").read_bytes()


def aside(stage: Stage) -> str:
    return (stage.root / "aside").read_text()


def asked(stage: Stage, *words: str) -> Any:  # noqa: ANN401 a document of any shape
    ended = stage.place.call(*words, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_follow_goes_from_run_to_run_and_ends_with_ctrl_c(stage: Stage) -> None:
    stage.jobs('#: name=greet\n0 0 1 1 * echo "hello $RUNJOBS_ATTEMPT"; echo end\n')
    with following(stage, "greet") as follower:
        assert wait_until(lambda: "greet has had no run yet" in aside(stage))
        for number in (1, 2, 3):
            assert stage.start("greet").wait(60) == 0
            assert wait_until(lambda: said(stage) == b"hello 1\nend\n" * number)  # noqa: B023 (waited for at once)
            assert wait_until(lambda: aside(stage).count("ended, ok") == number)  # noqa: B023
        follower.send_signal(signal.SIGINT)
        assert follower.wait(60) == 130
    assert said(stage) == b"hello 1\nend\n" * 3


def test_a_follow_of_a_run_ends_with_it_and_begins_with_what_was_said(stage: Stage) -> None:
    stage.jobs(
        "#: name=slow\n0 0 1 1 * for i in 1 2 3; do echo $i; done; until [ -e go ]; do sleep 0.05; done; echo 4\n"
    )
    runner = stage.start("slow")
    assert wait_until(lambda: asked(stage, "status", "slow")["jobs"][0]["running"])
    (run,) = asked(stage, "status", "slow")["jobs"][0]["running"]
    with following(stage, run, "--lines", "2") as follower:
        assert wait_until(lambda: said(stage) == b"2\n3\n")
        (stage.root / "go").touch()
        assert follower.wait(60) == 0
    assert said(stage) == b"2\n3\n4\n"
    assert runner.wait(60) == 0
    assert "ended, ok" in aside(stage)


@pytest.mark.parametrize(
    ("limit", "count", "pause"), [("1M", 600_000, "0"), ("40k", 9_000, "0.2"), ("40k", 9_000, "0")]
)
def test_a_follow_over_a_log_that_is_cut_loses_and_doubles_nothing_in_silence(
    stage: Stage, limit: str, count: int, pause: str
) -> None:
    part = count // 6
    stage.jobs(
        f"#: name=loud log-limit={limit}\n0 0 1 1 * echo ready; until [ -e go ]; do sleep 0.05; done;"
        f" for i in 0 1 2 3 4 5; do seq $((i * {part} + 1)) $((i * {part} + {part})); sleep {pause}; done; echo done\n"
    )
    runner = stage.start("loud")
    with following(stage, "loud") as follower:
        assert wait_until(lambda: said(stage) == b"ready\n")
        (stage.root / "go").touch()
        assert runner.wait(60) == 0
        assert wait_until(lambda: "ended, ok" in aside(stage))
        follower.send_signal(signal.SIGINT)
        follower.wait(60)
    sent = b"ready\n" + b"".join(b"%d\n" % number for number in range(1, count + 1)) + b"done\n"
    check(sent, said(stage))


def check(sent: bytes, shown: bytes) -> None:
    """All that was sent is shown, in order, but for gaps whose length is told."""
    position = 0
    for number, part in enumerate(GAP.split(shown)):
        if number % 2:
            # the gap's line is on a line of its own: a line that was begun before it is ended
            position += int(part.replace(b",", b""))
            continue
        begun = part
        if sent[position : position + len(part)] != part:
            begun = part.removesuffix(b"\n")
        assert sent[position : position + len(begun)] == begun
        position += len(begun)
    assert position == len(sent)


def test_several_jobs_are_followed_at_once_each_line_with_its_name(stage: Stage) -> None:
    stage.jobs("#: name=one\n@every 1s echo 1\n#: name=three\n@every 1s echo 3\n")
    with stage.foreground(), following(stage):
        assert wait_until(lambda: said(stage).count(b"one   | 1\n") > 1 and said(stage).count(b"three | 3\n") > 1)
    assert set(said(stage).splitlines()) == {b"one   | 1", b"three | 3"}


def test_a_run_whose_guard_was_killed_is_not_shown_as_running(stage: Stage) -> None:
    stage.jobs("#: name=long\n0 0 1 1 * sleep 600\n")
    runner = stage.start("long")
    assert wait_until(lambda: asked(stage, "status", "long")["jobs"][0]["running"])
    (fire,) = asked(stage, "history", "long")["fires"]
    (run,) = fire["runs"]
    assert "running" in stage.place.call("status").stdout
    runner.kill()
    runner.wait()
    os.kill(run["guard_pid"], signal.SIGKILL)
    assert wait_until(lambda: asked(stage, "status", "long")["jobs"][0]["dead"] == [run["run"]])
    (job,) = asked(stage, "status", "long")["jobs"]
    assert job["running"] == []
    assert "nobody watches over run" in stage.place.call("status").stdout
    told = stage.place.call("why", "long").stdout
    assert "which has ended" in told
    assert "nobody watches over it" in told


def test_a_runner_in_the_foreground_is_named_and_its_runs_are_told(stage: Stage) -> None:
    stage.jobs("#: name=quick\n@every 1s echo quick\n")
    with stage.foreground() as runner:
        assert stage.heard("ended", job="quick", outcome="ok")
        status = stage.place.call("status")
        assert f"a foreground runner follows them: pid {runner.pid}" in status.stdout
        assert asked(stage, "status")["watched"] is True
        told = stage.place.call("why", "quick").stdout
        assert f"claimed by the foreground runner, pid {runner.pid}, which is alive" in told


def test_nothing_is_made_or_changed_by_asking(stage: Stage) -> None:
    stage.jobs("#: name=quick\n@every 1s echo quick\n")
    for words in (["status"], ["history"], ["why", "quick"], ["logs", "quick"]):
        assert stage.place.call(*words).returncode == 0
    assert not stage.place.state.exists()


FULL = (
    'mount -t tmpfs -o size=16m none "$0" && cp -r "$1"/. "$0" || exit 9;'
    ' cat /dev/zero >"$0/fill" 2>/dev/null; shift; "$@"'
)


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not() or "it can be made")
def test_asking_works_on_a_read_only_disk_and_on_a_full_one(stage: Stage, tmp_path: Path) -> None:
    stage.jobs("#: name=quick\n0 0 1 1 * echo quick\n")
    assert stage.start("quick").wait(60) == 0
    before = sorted(os.listdir(stage.place.state))
    (tmp_path / "elsewhere").mkdir()
    status = stage.place.command("status")
    small = [str(tmp_path / "elsewhere") if word == str(stage.place.state) else word for word in status]
    for command in (
        namespaces.with_read_only_root(str(tmp_path / "elsewhere"), status),
        namespaces.mounting(["sh", "-c", FULL, str(tmp_path / "elsewhere"), str(stage.place.state), *small]),
    ):
        ended = subprocess.run(
            command, env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert re.search(r"^quick +ok", ended.stdout, re.MULTILINE)
    assert sorted(os.listdir(stage.place.state)) == before

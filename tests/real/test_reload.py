"""Live reload: what changes on disk is in force, whole or not at all, and the last good version outlives bad ones."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.prove.editors import JOBS, Edit
from tests.prove.edits import Moment, judge, run
from tests.real.support import ledger
from tests.real.support.command_line import environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = "#: name=a\n@daily true\n#: name=b\n@daily true\n"
SECOND = "#: name=b timeout=1h\n@hourly true\n#: name=c\n@daily true\n"
BAD = f"{SECOND}75 * * * * true\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


@pytest.fixture
def jobs(stage: Stage) -> Path:
    return stage.place.write("jobs", FIRST)


def told(stage: Stage) -> list[tuple[str, ...]]:
    """What was said of jobs and files since the runner began, as short as it can be said."""
    wanted = ("job-added", "job-changed", "job-removed", "file-bad", "file-mended", "reloaded")
    return [
        (each["event"], each.get("job") or os.path.basename(each.get("file", "")), *each.get("what", ()))
        for each in stage.events()
        if each["event"] in wanted
    ]


def hears(stage: Stage, *expected: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Wait until as much is said as is expected; what is."""
    wait_until(lambda: len(told(stage)) >= len(expected))
    return told(stage)


def in_force(stage: Stage) -> dict[str, str]:
    """The jobs that the asking commands see, each with its schedule."""
    lines = stage.place.call("list").stdout.splitlines()[1:]
    return {name: schedule for name, schedule, *_ in map(str.split, lines)}


def is_in_force(stage: Stage, **schedules: str) -> bool:
    return wait_until(lambda: in_force(stage) == schedules)


@contextlib.contextmanager
def without_extra(stage: Stage, *before: str) -> Iterator[subprocess.Popen[bytes]]:
    """A runner as it is where inotify_simple is not installed; `before` are the words that start it."""
    hidden = stage.root / "hidden"
    hidden.mkdir()
    (hidden / "inotify_simple.py").write_text("raise ImportError\n")
    with started(stage, *before, PYTHONPATH=f"{hidden}:{environment()['PYTHONPATH']}") as runner:
        yield runner


@contextlib.contextmanager
def started(
    stage: Stage, *before: str, after: Sequence[str] = (), **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    words = [*before, *stage.place.command("run", "--foreground", "--log-format", "json", *after)]
    with (stage.root / "out").open("ab") as out, (stage.root / "err").open("ab") as err:
        runner = subprocess.Popen(words, env=environment() | variables, stdout=out, stderr=err)
    with runner:
        try:
            yield runner
        finally:
            runner.kill()


WAYS_TO_LEARN = {"inotify": Stage.foreground, "polling": without_extra}
both = pytest.mark.parametrize("follow", WAYS_TO_LEARN.values(), ids=WAYS_TO_LEARN)
Follow = Callable[[Stage], contextlib.AbstractContextManager[subprocess.Popen[bytes]]]


# what takes effect


def test_files_that_are_added_changed_renamed_and_removed_take_effect_with_a_line_per_job(
    stage: Stage, jobs: Path
) -> None:
    with stage.foreground() as runner:
        assert stage.heard("runner-started", jobs=2)
        jobs.write_text(SECOND)
        expected = [("job-removed", "a"), ("job-changed", "b", "schedule", "timeout"), ("job-added", "c")]
        assert hears(stage, *expected) == expected
        stage.place.write("more", "#: name=d\n@daily true\n")
        expected += [("job-added", "d")]
        assert hears(stage, *expected) == expected
        jobs.rename(jobs.with_name("renamed"))
        expected += [("job-changed", "b", "file"), ("job-changed", "c", "file")]
        assert hears(stage, *expected) == expected
        jobs.with_name("renamed").unlink()
        expected += [("job-removed", "b"), ("job-removed", "c")]
        assert hears(stage, *expected) == expected
        runner.terminate()
        assert runner.wait(60) == 0
    assert stage.err == ""


def test_a_job_that_is_running_when_it_changes_or_goes_is_left_alone(stage: Stage) -> None:
    run = "touch {0}.on; while ! test -e {0}.off; do sleep 0.1; done"
    text = "".join(f"#: name={name}\n@every 1s {run.format(name)}\n" for name in ("gone", "other"))
    stage.jobs(text)
    with stage.foreground():
        assert stage.exists("gone.on")
        assert stage.exists("other.on")
        stage.jobs("#: name=other\n@daily true\n")
        assert stage.heard("job-removed", job="gone")
        assert stage.heard("job-changed", job="other")
        for name in ("gone", "other"):
            (stage.root / f"{name}.off").touch()
            assert stage.heard("ended", job=name, outcome="ok")


def test_what_came_due_before_a_job_went_is_that_of_the_job_as_it_was(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s true\n")
    with stage.foreground() as runner:
        assert stage.heard("ended", job="job")
        runner.send_signal(signal.SIGSTOP)
        begin = time.time()
        assert wait_until(lambda: time.time() > begin + 2.1)
        stage.jobs("#: name=other\n@daily true\n")
        runner.send_signal(signal.SIGHUP)
        runner.send_signal(signal.SIGCONT)
        assert stage.heard("job-removed", job="job")
    assert {second * 1000 for second in range(int(begin) + 1, int(begin) + 3)} <= accounted(stage, "job")


SLOW = """
import time
from runjobs.runner.foreground import Foreground
take_jobs = Foreground.take_jobs
def slowly(*words):
    take_jobs(*words)
    end = time.monotonic() + 2.2
    while time.monotonic() < end:
        time.sleep(0.05)
Foreground.take_jobs = slowly
from runjobs.cli.main import main
main()
"""


def test_what_comes_due_while_jobs_are_being_replaced_has_a_record(stage: Stage) -> None:
    before = "#: name=changed\n@every 1s true\n#: name=removed\n@every 1s true\n"
    after = "#: name=changed\n@every 2s true\n#: name=added\n@every 1s true\n"
    stage.jobs(before)
    words = stage.place.command("run", "--foreground", "--log-format", "json")[3:]
    with (stage.root / "out").open("ab") as out:
        runner = subprocess.Popen([sys.executable, "-c", SLOW, *words], env=environment(), stdout=out)
    with runner:
        assert stage.heard("ended", job="changed")
        assert stage.heard("ended", job="removed")
        stage.jobs(after)
        assert stage.heard("ended", job="added")
        assert wait_until(lambda: any(at > last(stage, "removed") + 4000 for at in accounted(stage, "added")))
        runner.kill()
    lasting = accounted(stage, "removed") | accounted(stage, "added")
    assert lasting >= set(range(min(lasting), max(lasting), 1000))
    evens = {at for at in accounted(stage, "changed") if at % 2000 == 0}
    assert evens >= set(range(min(evens), max(evens), 2000))


def last(stage: Stage, job: str) -> int:
    return max(accounted(stage, job))


def accounted(stage: Stage, job: str) -> set[int]:
    """The seconds, in milliseconds, whose fires of this job have a record."""
    rows = ledger.fires(stage.place.state, job)
    return {at for row in rows for at in range(row["scheduled_at"], row["last_at"] + 1000, 1000)}


# whatever the editor does


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def in_halves(path: Path, text: str) -> None:
    middle = text.index("true") + 2  # in a word, which is another command
    with path.open("w") as file:
        file.write(text[:middle])
        file.flush()
        begin = time.monotonic()
        wait_until(lambda: time.monotonic() > begin + 0.3)
        file.write(text[middle:])


def rename_over(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text)
    draft.chmod(0o644)
    draft.rename(path)


def aside_and_anew(path: Path, text: str) -> None:
    path.rename(f"{path}~")
    path.write_text(text)
    path.chmod(0o644)


def by_sed(path: Path, text: str) -> None:
    script = "".join(f"{line}\\\n" for line in text.splitlines()).removesuffix("\\\n")
    subprocess.run(["sed", "-i", "-e", f"1i\\\n{script}\n", "-e", "d", str(path)], check=True)


def by_vim(path: Path, text: str) -> None:
    commands = ["set nocompatible", "%delete", "0put! =$NEW", "$delete", "wq"]
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["vim", "-u", "NONE", "-es", *words, str(path)], env=environment(NEW=text), check=True, timeout=60)


def by_cp(path: Path, text: str) -> None:
    draft = path.parents[1] / "draft"
    draft.write_text(text)
    subprocess.run(["cp", str(draft), str(path)], check=True)


WAYS = [in_place, in_halves, rename_over, aside_and_anew, by_sed, by_cp]
WAYS += [by_vim] if shutil.which("vim") else []


@both
def test_it_does_not_matter_how_a_file_is_written_and_no_half_of_it_is_taken(
    stage: Stage, jobs: Path, follow: Follow
) -> None:
    with follow(stage):
        assert stage.heard("runner-started")
        expected: list[tuple[str, ...]] = [("job-removed", "a"), ("job-removed", "b")]
        for number, way in enumerate(WAYS):
            way(jobs, f"#: name=job{number}\n@daily true\n#: name=same\n@daily true {number}\n")
            if number:
                expected += [("job-removed", f"job{number - 1}"), ("job-added", f"job{number}")]
                expected += [("job-changed", "same", "command")]
            else:
                expected += [("job-added", "job0"), ("job-added", "same")]
            assert hears(stage, *expected) == expected, way.__name__


@both
def test_a_config_map_is_swapped_as_a_whole(stage: Stage, follow: Follow) -> None:
    folder = stage.place.jobs
    folder.mkdir(mode=0o755)
    mount(folder, "v1", {"one": "#: name=a\n@daily true\n", "two": "#: name=b\n@daily true\n"})
    for name in ("one", "two"):
        (folder / name).symlink_to(f"..data/{name}")
    with follow(stage):
        assert stage.heard("runner-started", jobs=2)
        mount(folder, "v2", {"one": "#: name=b\n@daily true\n", "two": "#: name=c\n@daily true\n"})
        expected = [("job-removed", "a"), ("job-changed", "b", "file"), ("job-added", "c")]
        assert hears(stage, *expected) == expected


@both
def test_a_link_to_a_file_elsewhere_is_followed_to_it(stage: Stage, jobs: Path, follow: Follow) -> None:
    far = jobs.rename(stage.root / "far")
    jobs.symlink_to(far)
    with follow(stage):
        assert stage.heard("runner-started", jobs=2)
        far.write_text(SECOND)
        assert stage.heard("job-added", job="c")


def mount(folder: Path, version: str, files: dict[str, str]) -> None:
    """Put a version of a ConfigMap in force, as a kubelet does: `..data` is a link that is replaced."""
    (folder / f"..{version}").mkdir(mode=0o755)
    for name, text in files.items():
        (folder / f"..{version}" / name).write_text(text)
        (folder / f"..{version}" / name).chmod(0o644)
    (folder / "..new").symlink_to(f"..{version}")
    (folder / "..new").rename(folder / "..data")


# what is bad


def test_a_file_that_turns_bad_keeps_its_last_good_jobs_and_says_so_once_for_each_change(
    stage: Stage, jobs: Path
) -> None:
    with stage.foreground():
        assert stage.heard("runner-started")
        jobs.write_text(BAD)
        assert stage.heard("file-bad", line=5, held=1)
        jobs.write_text(f"# {BAD}")
        expected = [("file-bad", "jobs")] * 2
        assert hears(stage, *expected) == expected
        assert in_force(stage) == {"a": "@daily", "b": "@daily"}
        jobs.write_text(FIRST)
        expected += [("file-mended", "jobs")]
        assert hears(stage, *expected) == expected


def test_the_last_good_version_outlives_the_runner_and_is_what_a_pass_and_check_know(stage: Stage, jobs: Path) -> None:
    assert stage.place.call("run").returncode == 0
    jobs.write_text(BAD)
    ended = stage.place.call("run")
    assert (ended.returncode, "minute 75 is past 59" in ended.stderr) == (78, True)
    assert "its last good version of " in ended.stderr
    assert in_force(stage) == {"a": "@daily", "b": "@daily"}
    with stage.foreground():
        assert stage.heard("runner-started", jobs=2)
    checked = stage.place.call("check", "--state", str(stage.place.state))
    assert (checked.returncode, "its last good version of " in checked.stdout) == (78, True)
    jobs.write_text(SECOND)
    assert stage.place.call("run").returncode == 0
    assert in_force(stage) == {"b": "@hourly", "c": "@daily"}


def test_a_file_that_was_deleted_is_gone_and_what_comes_in_its_place_begins_anew(stage: Stage, jobs: Path) -> None:
    with stage.foreground():
        assert stage.heard("runner-started")
        jobs.unlink()
        assert stage.heard("job-removed", job="b")
        jobs.write_text(BAD)
        jobs.chmod(0o644)
        expected = [("job-removed", "a"), ("job-removed", "b")]
        expected += [("file-bad", "jobs"), ("job-added", "b"), ("job-added", "c")]
        assert hears(stage, *expected) == expected
        assert stage.events("file-bad")[0]["held"] == 0
    assert not [*(stage.place.state / "lastgood").iterdir()]


@contextlib.contextmanager
def single_file(stage: Stage, jobs: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A runner of this one file."""
    words = [sys.executable, "-m", "runjobs", "run", "--jobs", str(jobs), "--state", str(stage.place.state)]
    with (stage.root / "out").open("ab") as out:
        runner = subprocess.Popen(
            [*words, "--foreground", "--log-format", "json"], env=environment(), stdout=out, stderr=subprocess.DEVNULL
        )
    with runner:
        try:
            yield runner
        finally:
            runner.kill()


def test_a_single_file_that_was_deleted_is_gone_and_one_that_was_moved_away_with_its_folder_is_bad(
    stage: Stage, jobs: Path
) -> None:
    with single_file(stage, jobs):
        assert stage.heard("runner-started", jobs=2)
        folder_gone(jobs)
        assert stage.heard("file-bad", held=1)
        back(jobs)
        assert stage.heard("file-mended")
        jobs.unlink()
        assert stage.heard("job-removed", job="b")
        assert [(each["held"], each["message"]) for each in stage.events("file-bad")[1:]] == [
            (0, "the path can't be read: No such file or directory")
        ]
        jobs.write_text(SECOND)
        jobs.chmod(0o644)
        assert stage.heard("job-added", job="c")


def test_a_file_that_is_moved_and_written_on_in_keeps_the_jobs_that_it_had(stage: Stage, jobs: Path) -> None:
    with stage.foreground():
        assert stage.heard("runner-started")
        moved = jobs.rename(jobs.with_name("moved"))
        for number in range(10):
            moved.write_text(f"{FIRST}#: name=c\n@daily true {number}\n")
            begin = time.monotonic()
            wait_until(lambda begin=begin: time.monotonic() > begin + 0.15)  # type: ignore[misc]
        expected = [("job-changed", "a", "file"), ("job-changed", "b", "file"), ("job-added", "c")]
        assert hears(stage, *expected) == expected


def link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def others_may_write(path: Path) -> None:
    path.chmod(0o666)


def folder_of_others(path: Path) -> None:
    path.parent.chmod(0o777)


def folder_gone(path: Path) -> None:
    path.parent.rename(path.parents[1] / "elsewhere")


def back(path: Path) -> None:
    """As it was, whatever was done to it."""
    elsewhere = path.parents[1] / "elsewhere"
    if elsewhere.exists():
        elsewhere.rename(path.parent)
    path.parent.chmod(0o755)
    if path.is_symlink() or not path.is_file():
        path.unlink()
        path.write_text(FIRST)
    path.chmod(0o644)


def test_a_file_that_cannot_be_read_or_trusted_is_bad_and_not_gone(stage: Stage, jobs: Path) -> None:
    with stage.foreground():
        assert stage.heard("runner-started")
        for number, spoil in enumerate((link_to_nowhere, fifo, others_may_write, folder_of_others, folder_gone), 1):
            spoil(jobs)
            assert wait_until(lambda count=number: len(stage.events("file-bad", held=1)) == count), spoil.__name__  # type: ignore[misc]
            assert in_force(stage) == {"a": "@daily", "b": "@daily"}
            back(jobs)
            assert wait_until(lambda count=number: len(stage.events("file-mended")) == count), spoil.__name__  # type: ignore[misc]
        assert not {"job-added", "job-changed", "job-removed"} & {word for word, *_ in told(stage)}


def test_strictly_nothing_is_taken_of_a_file_that_was_never_good(stage: Stage, jobs: Path) -> None:
    with stage.foreground("--strict"):
        assert stage.heard("runner-started")
        stage.place.write("bad", "#: name=c\n@daily true\n75 * * * * true\n")
        assert stage.heard("file-bad", held=0)
        stage.place.write("good", "#: name=d\n@daily true\n")
        assert stage.heard("job-added", job="d")
        assert not stage.events("job-added", job="c")


def test_a_name_that_is_taken_by_two_files_stays_with_the_job_that_had_it(stage: Stage, jobs: Path) -> None:
    with stage.foreground():
        assert stage.heard("runner-started")
        stage.place.write("0new", "#: name=a\n@hourly false\n")
        assert stage.heard("file-bad", held=0)
        jobs.write_text(FIRST.replace("=a", "=z"))
        assert stage.heard("job-changed", job="a", what=["schedule", "command", "file"])
        assert stage.heard("file-mended")


# on demand


def test_sighup_reads_at_once_and_says_what_came_of_it_even_if_nothing_did(stage: Stage, jobs: Path) -> None:
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        runner.send_signal(signal.SIGHUP)
        assert stage.heard("reloaded", jobs=2, added=0, changed=0, removed=0, bad_files=0)
        jobs.write_text(SECOND)
        runner.send_signal(signal.SIGHUP)
        assert stage.heard("reloaded", jobs=2, added=1, changed=1, removed=1, bad_files=0)
        assert [word for word, *_ in told(stage)] == [
            "reloaded", "job-removed", "job-changed", "job-added", "reloaded",
        ]  # fmt: skip


# where the kernel does not tell of everything


def warnings(stage: Stage) -> list[str]:
    return [each["message"] for each in stage.events("warning")]


def test_more_changes_than_the_kernel_keeps_are_found_by_looking_and_said_once(stage: Stage, jobs: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 200_000:  # 16,384 unless somebody has set it
        pytest.skip(f"a queue of {most} events takes too long to fill")
    with stage.foreground() as runner:
        assert stage.heard("runner-started")
        stage.place.write("settled", "#: name=c\n@daily true\n")
        assert stage.heard("job-added", job="c")  # from here on it listens
        for last in ("d", "e"):
            runner.send_signal(signal.SIGSTOP)
            for number in range(most):
                jobs.chmod(0o600 if number % 2 else 0o644)
                jobs.with_name("settled").chmod(0o600 if number % 2 else 0o644)
            runner.send_signal(signal.SIGCONT)
            jobs.write_text(f"#: name={last}\n@daily true\n")
            assert stage.heard("job-added", job=last)
        assert len(warnings(stage)) == 1
        assert "more files have changed than the kernel could tell" in warnings(stage)[0]


def test_where_no_more_can_be_watched_it_looks_each_second_and_says_so_once(stage: Stage, jobs: Path) -> None:
    limit = 'echo 2 >/proc/sys/user/max_inotify_watches && exec "$@"'
    bounded = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh"]
    if subprocess.run([*bounded, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces with a limit of their own can't be made here")
    with started(stage, *bounded, after=["--trust-jobs"]):  # in there the folders above are nobody's
        assert stage.heard("runner-started")
        jobs.write_text(SECOND)
        assert stage.heard("job-added", job="c")
        jobs.write_text(FIRST)
        assert stage.heard("job-added", job="a")
    assert len(warnings(stage)) == 1
    assert "fs.inotify.max_user_watches" in warnings(stage)[0]


def test_without_the_extra_nothing_is_said_of_it(stage: Stage, jobs: Path) -> None:
    with without_extra(stage):
        assert stage.heard("runner-started")
        jobs.write_text(SECOND)
        assert stage.heard("job-added", job="c")
    assert warnings(stage) == []


# all of it at random: the short form of `python -m tests.prove.edits`

EDITS, SEED, PACE = 40, 20261121, 0.25


def test_after_random_edits_the_last_good_version_of_each_file_is_in_force_and_none_was_ever_torn(stage: Stage) -> None:
    made, seen = run(stage, EDITS, SEED, PACE, lambda _: None, patience=60)
    assert len(made) == EDITS
    assert seen.wrong == []


FROM, TO = Edit("f0", "cp", 10.0, 10.1, 2), Edit("f0", "mv", 20.0, 20.1, 3)
WRONG = {
    "torn": [(11.0, {1: 3, 2: 3})],
    "half": [(11.0, {2: 5})],
    "never to be in force": [(11.0, {7: JOBS})],
    "not in force in time": [(13.0, {2: JOBS}), (21.0, {3: JOBS})],
    "in force and then not": [(11.0, {2: JOBS}), (12.0, {1: JOBS}), (21.0, {3: JOBS})],
    "not in force in time, but": [],
}


def test_the_checker_notices_a_bad_version_that_is_in_force_and_a_good_one_that_went_with_it() -> None:
    bad = FROM._replace(version=1, is_bad=True)
    assert judge([bad], [], 30.0).wrong == []
    assert judge([bad], [Moment(11.0, {"f0": {2: JOBS}})], 30.0).wrong
    assert judge([bad], [Moment(11.0, {"f0": {}})], 30.0).wrong


@pytest.mark.parametrize("steps", WRONG.values(), ids=WRONG)
def test_the_checker_notices(steps: list[tuple[float, dict[int, int]]]) -> None:
    assert judge([FROM, TO], [Moment(at, {"f0": each}) for at, each in steps], 30.0).wrong


def test_the_checker_finds_nothing_wrong_where_nothing_is() -> None:
    seen = [Moment(11.0, {"f0": {2: JOBS}}), Moment(21.0, {"f0": {3: JOBS}})]
    assert judge([FROM, TO], seen, 30.0).wrong == []

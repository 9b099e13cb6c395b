"""Limits: how they are read, what the kernel is told, what is said where they can't be held, and of who ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runjobs.adapters.cgroup import Leaf, find_leaf, leaf_of
from runjobs.adapters.cgroup.ground import divide, write
from runjobs.adapters.cgroup.limited import make_limited, memory_of, spent_by
from runjobs.core.crontab import parse
from runjobs.core.errors import FieldError, Place, Problem, Severity
from runjobs.core.job import Options
from runjobs.core.limits import Lack, Limits, Memory, in_units, limits_of, out_of_memory, unheld
from runjobs.core.options import find_option
from runjobs.core.outcome import Exit, Outcome, Verdict, judge

if TYPE_CHECKING:
    from pathlib import Path

KILLED = judge(Exit(signal=9), {0})
HUNDRED = Limits(memory=100_000_000)
JOBS = """\
#: memory=1M pids=5
* * * * * true
* * * * * true
#: pids=9
* * * * * true
#: memory=2M pids=6
@daily true
"""


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("memory", "100M", 100_000_000),
        ("memory", "1Gi", 2**30),
        ("memory", "1000k", 1_000_000),
        ("cpu", "50%", 0.5),
        ("cpu", "1.5", 1.5),
        ("cpu", "12.5%", 0.125),
        ("cpu", "400%", 4.0),
        ("cpu", "32", 32.0),
        ("cpu", "3300%", 33.0),
        ("pids", "50", 50),
        ("pids", "1", 1),
    ],
)
def test_a_limit_is_read(key: str, text: str, value: object) -> None:
    assert find_option(key).parse(text) == value


@pytest.mark.parametrize(
    ("key", "text", "said", "hint"),
    [
        ("memory", "100", "less memory than a shell takes", "100M"),
        ("memory", "999k", "less memory than a shell takes", "100M"),
        ("memory", "much", "not a size", "10M"),
        ("cpu", "50", "means 50 CPUs", "50% for a share of one CPU, or 5000%"),
        ("cpu", "half", "no share of CPU time", "50%"),
        ("cpu", "-1", "no share of CPU time", "50%"),
        ("cpu", "0.5%", "not from 1% to 1024 CPUs", "50%"),
        ("cpu", "0", "not from 1%", "50%"),
        ("cpu", "102401%", "not from 1%", "50%"),
        ("pids", "0", "not a whole number from 1", "1"),
        ("pids", "many", "not a whole number", "1"),
    ],
)
def test_a_bad_limit_is_refused_with_the_way_out(key: str, text: str, said: str, hint: str) -> None:
    with pytest.raises(FieldError) as caught:
        find_option(key).parse(text)
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("word", "meant"),
    [("mem", "memory"), ("memory-limit", "memory"), ("MemoryMax", "memory"), ("cpus", "cpu"), ("tasks-max", "pids")],
)
def test_what_others_call_a_limit_is_answered_with_our_word(word: str, meant: str) -> None:
    with pytest.raises(FieldError) as caught:
        find_option(word)
    assert caught.value.hint == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("limits", "controllers", "writes"),
    [
        (Limits(), (), ()),
        (Limits(pids=50), ("pids",), (("pids.max", "50"),)),
        (Limits(cpu=0.5), ("cpu",), (("cpu.max", "50000 100000"),)),
        (Limits(cpu=1.5), ("cpu",), (("cpu.max", "150000 100000"),)),
        (
            Limits(memory=100_000_000, pids=7),
            ("memory", "pids"),
            (
                ("memory.swap.max", "0"),
                ("memory.oom.group", "1"),
                ("memory.max", "100000000"),
                ("pids.max", "7"),
            ),
        ),
    ],
)
def test_what_the_kernel_is_told(
    limits: Limits, controllers: tuple[str, ...], writes: tuple[tuple[str, str], ...]
) -> None:
    assert limits.controllers == controllers
    assert limits.writes == writes


def test_the_limits_of_a_job_are_those_of_its_options() -> None:
    assert limits_of(Options(memory=1, cpu=2.0, pids=3)) == Limits(1, 2.0, 3)


def test_a_run_that_was_killed_at_its_limit_is_out_of_memory_and_says_which_and_how_much_it_had() -> None:
    verdict = out_of_memory(KILLED, Memory(99_999_744, killed=2, at_limit=3), HUNDRED)
    detail = "killed for want of memory: it may have memory=100M (at the most it had 100M)"
    assert verdict == Verdict(Outcome.FAILED, "out-of-memory", detail)


@pytest.mark.parametrize(
    ("seen", "limits"),
    [(Memory(killed=1), HUNDRED), (Memory(killed=1, at_limit=4), Limits(pids=5)), (Memory(killed=1), Limits())],
)
def test_a_run_that_was_killed_below_its_limit_says_that_the_machine_had_none_left(
    seen: Memory, limits: Limits
) -> None:
    verdict = out_of_memory(KILLED, seen, limits)
    assert verdict.reason == "out-of-memory"
    assert verdict.detail == "killed for want of memory: the machine, or a group above the job's, had none left"


@pytest.mark.parametrize(
    ("verdict", "seen"),
    [
        (KILLED, Memory(peak=5, at_limit=3)),  # it was at its limit, and found something to give back
        (judge(Exit(code=0), {0}), Memory(killed=1)),
        (Verdict(Outcome.TIMEOUT, "timeout"), Memory(killed=1)),
    ],
)
def test_no_other_end_is_called_out_of_memory(verdict: Verdict, seen: Memory) -> None:
    assert out_of_memory(verdict, seen, HUNDRED) == verdict


@pytest.mark.parametrize(
    ("size", "written"),
    [(999, "999"), (64_000, "64k"), (100_000_000, "100M"), (1_500_000_000, "1.5G"), (2_000_000_000_000, "2000G")],
)
def test_a_size_is_written_as_one_would(size: int, written: str) -> None:
    assert in_units(size) == written


@pytest.mark.parametrize(("is_final", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)])
def test_each_job_whose_limits_cannot_be_held_is_named_with_the_reason_and_the_remedy(
    is_final: bool, severity: Severity
) -> None:
    asked = []

    def find(names: tuple[str, ...]) -> Lack | None:
        asked.append(names)
        return Lack("it is v1's", "boot with v2", is_final) if "memory" in names else None

    problems = list(unheld(parse(JOBS, source="f").jobs, find))
    message = "memory= and pids= can't be held: it is v1's"
    assert problems == [Problem(Place("f", line), message, "boot with v2", severity=severity) for line in (2, 7)]
    assert asked == [("memory", "pids"), ("pids",)]  # each once


@pytest.mark.parametrize(
    ("names", "said"), [(("cpu",), "cpu="), (("memory", "cpu", "pids"), "memory=, cpu= and pids=")]
)
def test_what_is_lacking_names_all_that_is_promised_in_vain(names: tuple[str, ...], said: str) -> None:
    assert Lack("why", "").of(names) == f"{said} can't be held: why"


def test_the_words_of_a_group_are_read(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 31\noom 2\noom_kill 3\noom_group_kill 1\n")
    (tmp_path / "memory.peak").write_text("99999744\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    leaf = Leaf(str(tmp_path))
    assert memory_of(leaf) == Memory(99_999_744, killed=3, at_limit=2)
    assert spent_by(leaf) == (2.0, 0.5)


def test_a_group_that_counts_nothing_says_nothing(tmp_path: Path) -> None:
    leaf = Leaf(str(tmp_path / "gone"))
    assert memory_of(leaf) == Memory()
    assert spent_by(leaf) == (0.0, 0.0)


def test_where_a_limit_cannot_be_written_there_is_no_group(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        make_limited(str(tmp_path), "r1", (("memory.swap.max", "0"), ("memory.max", "5")))
    assert caught.value.filename.endswith("runjobs-r1/memory.max")  # without swap it would have gone on
    assert list(tmp_path.iterdir()) == []


def test_controllers_that_work_already_are_not_asked_for_again(tmp_path: Path) -> None:
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu memory pids\n")
    divide(str(tmp_path), ("memory", "cpu"))
    assert control.read_text() == "cpu memory pids\n"
    divide(str(tmp_path), ("memory", "io"))
    assert control.read_text().startswith("+memory +io")


def test_a_file_of_a_group_is_written_and_never_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(str(tmp_path / "pids.max"), "5")


def test_the_group_of_a_run_is_looked_for_below_ours(tmp_path: Path) -> None:
    assert find_leaf(None, "r1") is None
    assert find_leaf(str(tmp_path), "r1") == leaf_of(str(tmp_path), "r1")  # which it would have

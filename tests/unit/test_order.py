"""The order that after= asks for: jobs that could never start are errors, the others run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.crontab import parse
from runjobs.core.names import JobsFolder, merge
from runjobs.core.order import find_cycles


def folder(**after: str) -> JobsFolder:
    lines = [
        f"#: name={name}{f' after={others}' if others else ''}\n* * * * * {name}\n" for name, others in after.items()
    ]
    return merge([parse("".join(lines), source="f")])


def names(found: JobsFolder) -> list[str]:
    return [job.name for job in found.jobs]


def test_jobs_may_come_after_each_other_in_any_order_of_the_file() -> None:
    found = folder(report="dump,backup", backup="dump", dump="")
    assert (names(found), found.problems) == (["report", "backup", "dump"], ())


def test_a_circle_is_an_error_of_each_job_in_it_and_the_others_run() -> None:
    found = folder(a="b", b="c", c="a", d="")
    assert names(found) == ["d"]
    assert [problem.message for problem in found.problems] == [
        "a comes after b comes after c comes after a",
        "b comes after c comes after a comes after b",
        "c comes after a comes after b comes after c",
    ]
    assert all("none of them runs" in problem.hint and problem.other for problem in found.problems)


def test_a_job_that_comes_after_itself_is_an_error() -> None:
    found = folder(a="a")
    (problem,) = found.problems
    assert (names(found), problem.message, problem.other) == ([], "a comes after itself", None)


@pytest.mark.parametrize(("named", "hint"), [("bakcup", "did you mean after=backup?"), ("xyz", "does not run")])
def test_a_name_that_no_job_has_is_an_error_with_the_nearest_right_one(named: str, hint: str) -> None:
    found = folder(backup="", report=named)
    (problem,) = found.problems
    assert names(found) == ["backup"]
    assert (problem.place.line, problem.message) == (4, f"report comes after {named}, and there is no such job")
    assert hint in problem.hint


def test_who_comes_after_a_job_that_can_t_run_can_t_run_either() -> None:
    found = folder(a="gone", b="a", c="b", d="")
    assert names(found) == ["d"]
    assert [problem.message.split(", ")[-1] for problem in found.problems] == [
        "and there is no such job",
        "which can't run",
        "which can't run",
    ]


def test_circles_that_share_a_job_are_told_one_after_the_other() -> None:
    found = folder(a="b,c", b="a", c="a")
    assert names(found) == []
    assert len(found.problems) == 3


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"), unique=True, max_size=3)))
def test_what_is_left_has_no_circle_and_lacks_nobody(graph: dict[str, list[str]]) -> None:
    found = folder(**{name: ",".join(after) for name, after in graph.items()})
    kept = {job.name: job for job in found.jobs}
    assert not find_cycles(kept)
    assert all(name in kept for job in kept.values() for name in job.options.after)
    assert kept.keys() | {_of(problem.message) for problem in found.problems} == graph.keys()


def _of(message: str) -> str:
    return message.split(" ", 1)[0]

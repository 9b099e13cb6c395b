"""What differs between two sets of jobs, what has settled, and which version of a file is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runjobs.core.changes import changes
from runjobs.core.crontab import parse
from runjobs.core.event import Happening
from runjobs.core.settling import PUT_OFF, Settling, torn_by
from runjobs.core.versions import Verdict, Version, judge
from tests.support.jobs import job_of, jobs_of

if TYPE_CHECKING:
    from runjobs.core.crontab import JobsFile

GOOD = "#: name=x\n@daily true\n"
BAD = "#: name=x\n@daily false\n75 * * * * true\n"


def told(before: str, after: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        (change.happening.value, change.job.name, change.what) for change in changes(jobs_of(before), jobs_of(after))
    ]


def test_jobs_that_went_come_first_then_those_that_came_or_are_others_in_the_order_of_the_files() -> None:
    before = "#: name=a\n@daily true\n#: name=b\n@daily true\n#: name=c\n@daily true\n"
    after = "#: name=d\n@daily true\n#: name=c\n@hourly true\n#: name=a\n@daily true\n"
    assert told(before, after) == [
        ("job-removed", "b", ()), ("job-added", "d", ()), ("job-changed", "c", ("schedule",)),
    ]  # fmt: skip


def test_a_job_that_only_moved_to_another_line_or_is_spelled_in_another_way_has_not_changed() -> None:
    assert told("#: name=a timeout=60m\n0 3 * * * true\n", "\n\n#: timeout=1h\n#: name=a\n0  3 * *\t*  true\n") == []


@pytest.mark.parametrize(
    ("after", "what"),
    [
        ("#: name=a\n@hourly true\n", ("schedule",)),
        ("#: name=a\n@daily false\n", ("command",)),
        ("#: name=a\n@daily true%input\n", ("input",)),
        ("#: name=a timeout=1h kill-after=1s\n@daily true\n", ("timeout", "kill-after")),
        ("#: name=a enabled=no\n@daily true\n", ("enabled",)),
        ("B=2\nA=1\n#: name=a\n@daily true\n", ("A", "B")),
    ],
)
def test_a_change_names_what_is_different_by_the_words_of_the_file(after: str, what: tuple[str, ...]) -> None:
    assert told("#: name=a\n@daily true\n", after) == [("job-changed", "a", what)]


def test_no_change_shows_the_value_of_a_variable_or_a_word_of_a_command() -> None:
    before, after = jobs_of("S=old\n#: name=a\n@daily true\n"), jobs_of("S=secret\n#: name=a\n@daily secret\n")
    (change,) = changes(before, after)
    assert "secret" not in repr(change.what)


def test_a_job_that_moved_to_another_file_has_changed_its_file() -> None:
    before, after = parse(GOOD, source="a").jobs, parse(GOOD, source="b").jobs
    (change,) = changes({"x": before[0]}, {"x": after[0]})
    assert (change.happening, change.what) == (Happening.JOB_CHANGED, ("file",))


def test_the_same_job_is_not_compared_with_itself() -> None:
    job = job_of("@daily")
    assert changes({"a": job}, {"a": job}) == []


def test_a_version_has_settled_when_it_was_seen_twice_half_a_second_apart() -> None:
    settling = Settling(0.5)
    settling.take(["a"], {"a": 1})
    assert settling.look({"a": 2}, 10.0) == set()
    assert settling.changed == {"a"}
    assert settling.look({"a": 2}, 10.4) == set()
    assert settling.look({"a": 2}, 10.5) == {"a"}
    settling.take(["a"], {"a": 2})
    assert settling.look({"a": 2}, 20.0) == settling.changed == set()


def test_each_new_version_begins_the_wait_anew_and_going_back_to_what_was_taken_is_no_change() -> None:
    settling = Settling(0.5)
    settling.take(["a"], {"a": 1})
    settling.look({"a": 2}, 10.0)
    assert settling.look({"a": 3}, 10.5) == set()
    assert settling.look({"a": 2}, 10.9) == set()
    assert settling.look({"a": 2}, 11.3) == set()
    assert settling.look({"a": 1}, 11.5) == settling.changed == set()


def test_what_is_missing_is_a_version_and_one_that_is_restless_holds_up_no_other() -> None:
    settling = Settling(0.5)
    settling.take(["a", "b"], {"a": 1, "b": 1})
    settling.look({"b": 2, "c": 1}, 10.0)
    assert settling.look({"b": 3, "c": 1}, 10.5) == {"a", "c"}
    settling.take(["a", "c"], {"b": 3, "c": 1})
    assert settling.changed == {"b"}
    assert settling.look({"b": 3, "c": 1}, 11.0) == {"b"}


def test_while_a_new_name_beside_it_is_restless_what_is_missing_has_not_settled_for_up_to_five_seconds() -> None:
    settling = Settling(0.5, PUT_OFF)
    settling.take(["j/a", "j/x", "k/a"], {"j/a": 1, "j/x": 1, "k/a": 1})
    for tenth in range(55):
        now = 10 + tenth / 10
        settled = settling.look({"j/b": tenth, "j/x": 1 if tenth < 3 else 2}, now)
        assert ("k/a" in settled) is (tenth >= 5), tenth
        assert ("j/x" in settled) is (tenth >= 8), tenth
        assert ("j/a" in settled) is (tenth >= 50), tenth
        assert "j/b" not in settled


def test_what_is_missing_settles_together_with_the_new_name_beside_it() -> None:
    settling = Settling(0.5, PUT_OFF)
    settling.take(["j/a", "j/b"], {"j/a": 1, "j/b": 1})
    assert settling.look({"j/b": 2, "j/c": 1}, 10.0) == set()
    assert settling.look({"j/b": 3, "j/c": 2}, 10.4) == set()
    assert settling.look({"j/b": 4, "j/c": 2}, 10.8) == set()
    assert settling.look({"j/b": 5, "j/c": 2}, 10.9) == {"j/a", "j/c"}


def test_what_is_missing_is_not_without_the_new_name_that_it_may_have_moved_to() -> None:
    settling = Settling(0.5, PUT_OFF)
    settling.take(["j/a"], {"j/a": 1})
    for tenth in range(9):
        assert settling.look({"j/b": tenth, "j/c": 1}, 10 + tenth / 10) == set()
    settling.look({"j/b": 9, "j/c": 1}, 11.0)
    assert settling.look({"j/b": 9, "j/c": 1}, 11.5) == {"j/a", "j/b", "j/c"}


@pytest.mark.parametrize(
    ("before", "read", "after"),
    [
        ({"a": 1}, {"a": 1}, {"a": 2}), ({"a": 1}, {"a": 2}, {"a": 1}), ({"a": 1}, {"a": 2}, {"a": 2}),
        ({}, {"a": 1}, {"a": 1}), ({"a": 1}, {"a": 1}, {}), ({"a": 1}, {}, {"a": 2}), ({}, {"a": 1}, {}),
    ],
)  # fmt: skip
def test_what_changes_while_it_is_read_is_torn(
    before: dict[str, int], read: dict[str, int], after: dict[str, int]
) -> None:
    same = {"b": 1, "folder": 1}
    assert torn_by(same | before, {"b": 1} | read, same | after) == {"a"}


def version(path: str, now: str | None, good: str | None = None) -> Version:
    def read(text: str | None) -> JobsFile | None:
        return None if text is None else parse(text, source=path)

    return Version(path, read(now), None if good == now else read(good), now is not None and good == now)


def in_force(verdict: Verdict) -> list[tuple[str, str]]:
    return [(job.source, f"{job.name} {job.command}") for job in verdict.jobs]


def test_a_file_that_turns_bad_has_its_last_good_version_in_force_and_all_its_mistakes_told() -> None:
    verdict = judge([version("a", BAD, GOOD)])
    assert in_force(verdict) == [("a", "x true")]
    assert [problem.place.line for problem in verdict.problems] == [3]
    assert (set(verdict.held), set(verdict.fresh)) == ({"a"}, set())


def test_a_file_that_cannot_be_read_has_its_last_good_version_in_force() -> None:
    assert in_force(judge([version("a", None, GOOD)])) == [("a", "x true")]


def test_a_file_that_was_bad_from_the_start_runs_its_good_jobs_and_none_when_strict() -> None:
    assert in_force(judge([version("a", BAD)])) == [("a", "x false")]
    assert in_force(judge([version("a", BAD)], is_strict=True)) == []
    assert judge([version("a", BAD)]).held == frozenset()
    assert judge([version("a", None)]) == Verdict((), (), frozenset(), frozenset())


def test_a_good_file_is_fresh_unless_it_is_the_good_version_itself() -> None:
    assert judge([version("a", GOOD)]).fresh == {"a"}
    assert judge([version("a", GOOD, "@daily false\n")]).fresh == {"a"}
    assert judge([version("a", GOOD, GOOD)]).fresh == frozenset()


def test_a_version_that_was_good_for_another_runjobs_and_is_not_for_this_one_is_no_last_good_one() -> None:
    verdict = judge([version("a", "#: name=y\n@daily true\n75 * * * * x\n", BAD)])
    assert (in_force(verdict), verdict.held) == ([("a", "y true")], frozenset())
    assert in_force(judge([version("a", BAD, BAD)])) == [("a", "x false")]


def test_warnings_make_no_file_bad() -> None:
    warned = "LOGNAME=bob\n" + GOOD
    verdict = judge([version("a", warned, GOOD)])
    assert verdict.problems
    assert verdict.fresh == {"a"}


def test_of_two_jobs_of_one_name_the_one_that_is_in_force_goes_on_whatever_its_file_is_called() -> None:
    other = "#: name=x\n@hourly false\n"
    verdict = judge([version("0new", other), version("a", GOOD, GOOD)])
    assert in_force(verdict) == [("a", "x true")]
    assert [(problem.place.source, problem.other and problem.other.source) for problem in verdict.problems] == [
        ("0new", "a")
    ]
    assert verdict.fresh == frozenset()


def test_a_file_whose_change_takes_a_name_that_another_has_is_held_as_it_was() -> None:
    before = "#: name=y\n@daily true\n"
    verdict = judge([version("a", GOOD, GOOD), version("b", before + GOOD, before)])
    assert in_force(verdict) == [("a", "x true"), ("b", "y true")]
    assert [problem.place.source for problem in verdict.problems] == ["b"]
    assert verdict.held == {"b"}


def test_a_job_that_moves_from_one_file_to_another_is_taken_when_both_files_are_written() -> None:
    verdict = judge([version("a", "", GOOD), version("b", GOOD, "")])
    assert in_force(verdict) == [("b", "x true")]
    assert (verdict.problems, set(verdict.fresh)) == ((), {"a", "b"})


def test_two_changes_that_are_in_each_others_way_leave_both_files_as_they_were() -> None:
    first, second = "#: name=p\n@daily true\n", "#: name=q\n@daily true\n"
    verdict = judge([version("a", first + second, first), version("b", second + first, second)])
    assert in_force(verdict) == [("a", "p true"), ("b", "q true")]
    assert verdict.held == {"a", "b"}


def test_a_job_that_comes_after_one_that_is_not_there_holds_its_file_and_of_a_new_file_leaves_out_the_job() -> None:
    after = "#: name=z after=nobody\n@daily true\n"
    assert in_force(judge([version("a", after, GOOD)])) == [("a", "x true")]
    verdict = judge([version("a", GOOD + after)])
    assert in_force(verdict) == [("a", "x true")]
    assert len(verdict.problems) == 1
    strict = judge([version("a", GOOD + after)], is_strict=True)
    assert (in_force(strict), len(strict.problems)) == ([], 1)


def test_a_job_loses_the_one_that_it_comes_after_by_the_change_of_another_file_and_that_is_told() -> None:
    report = "#: name=z after=x\n@daily true\n"
    verdict = judge([version("a", "", GOOD), version("b", report, report)])
    assert in_force(verdict) == []
    assert [problem.place.source for problem in verdict.problems] == ["b"]
    assert verdict.fresh == {"a"}

"""Names of jobs and locks, derived names, names given twice, and files that are no jobs files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.crontab import parse
from runjobs.core.errors import FieldError, Place
from runjobs.core.names import LONGEST, check_name, derived_name, file_part, merge, skip_reason, word_part

LEFTOVERS = ("bak", "swp", "swo", "orig", "rej", "tmp", "dpkg-old", "dpkg-new", "rpmsave", "ucf-dist")


@pytest.mark.parametrize("name", ["a", "0", "backup", "db/nightly.full", "a_b-c.d", "x" * LONGEST])
def test_a_name_of_the_alphabet_is_taken_as_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "start", "end", "said"),
    [
        ("", 0, None, "empty"),
        ("-a", 0, 1, "begin with '-'"),
        ("a b", 1, 2, "contain ' '"),
        ("backü", 4, 5, "contain"),
        ("a//b", 2, 2, "segment ''"),
        ("a/", 2, 2, "segment ''"),
        ("a/../b", 2, 4, "segment '..'"),
        ("a/./b", 2, 3, "segment '.'"),
        ("x" * (LONGEST + 1), LONGEST, LONGEST + 1, "201 characters"),
    ],
)
def test_a_bad_name_is_refused_and_the_offending_part_pointed_at(
    name: str, start: int, end: int | None, said: str
) -> None:
    with pytest.raises(FieldError, match=said) as caught:
        check_name(name)
    assert (caught.value.start, caught.value.end) == (start, end)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("/etc/cron.d/backup", "backup"),
        ("jobs.d/web.cron", "web"),
        ("jobs.d/web.prod.cron", "web.prod"),
        ("<text>", "text"),
        ("jobs.d/my jobs.txt", "my-jobs"),
        ("jobs.d/ünï", "n"),
        ("...", "job"),
        (".hidden", "hidden"),
    ],
)
def test_a_derived_name_begins_with_the_file_without_its_extension(source: str, part: str) -> None:
    assert file_part(source) == part


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("/usr/local/bin/backup --all", "backup"),
        ("ID=pip LC_ALL=C pip freeze", "pip"),
        ("$INSTALL_PATH/scripts/run_task x", "run_task"),
        ("[ -x /bin/x ] && /bin/x", "job"),
        ("(cd /tmp; ls)", "cd"),
        ("| true", "true"),
        ("A=$(date) cmd", "A"),
        (";;", "job"),
        ("x" * 99, "x" * 40),
    ],
)
def test_a_derived_name_has_the_base_name_of_the_first_word(command: str, word: str) -> None:
    assert word_part(command) == word


def test_derived_names_are_the_same_for_ever() -> None:
    assert derived_name("web", "/usr/bin/backup --all") == "web/backup-80e635"  # a change here renames people's jobs


@given(st.text(), st.text())
def test_every_derived_name_is_a_good_name(source: str, command: str) -> None:
    name = derived_name(file_part(source), command.encode("utf-8", "replace").decode())
    assert check_name(name) == name


def test_of_two_files_jobs_with_one_name_the_first_is_kept_and_both_places_are_shown() -> None:
    first = parse("#: name=backup\n* * * * * a\n", source="a.cron")
    second = parse("\n#: name=backup\n* * * * * b\n* * * * * c\n61 * * * * d\n", source="b.cron")
    folder = merge([first, second])
    assert [job.command for job in folder.jobs] == ["a", "c"]
    assert [problem.message for problem in folder.problems[:1]] == ["minute 61 is past 59"]
    assert [(p.place.source, p.place.line, p.other) for p in folder.problems[1:]] == [
        ("b.cron", 3, Place("a.cron", 2)),
    ]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("backup", True),
        ("web.cron", True),
        ("0hourly", True),
        ("a.bak.cron", True),
        ("x.dpkg.cron", True),
        (".placeholder", False),
        ("backup~", False),
        ("#backup#", False),
        *((f"backup.{end}", False) for end in LEFTOVERS),
    ],
)
def test_editors_and_package_managers_leftovers_are_no_jobs_files(name: str, counts: bool) -> None:
    assert (skip_reason(name) == "") is counts

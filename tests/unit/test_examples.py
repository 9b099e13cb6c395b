"""The examples that are shipped, and the page about jobs files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runjobs.core.crontab import parse
from runjobs.core.names import merge, skip_reason
from runjobs.core.options import OPTIONS
from runjobs.core.surprises import surprises
from runjobs.core.values import parse_size

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "jobs.d").iterdir())
PAGE = (ROOT / "docs" / "jobs-file.md").read_text()
NOW = datetime(2026, 11, 20, tzinfo=UTC)
WITHIN = 10  # seconds until a first look shows something


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_shipped_example_is_read_with_no_problem_and_no_warning(path: Path) -> None:
    text = path.read_text()
    file = parse(text, source=f"jobs.d/{path.name}")
    assert file.jobs
    assert not file.problems
    assert not surprises(file, text, now=NOW)
    assert not skip_reason(path.name)


def test_the_examples_stand_in_one_folder_and_one_of_them_is_due_within_seconds() -> None:
    folder = merge([parse(path.read_text(), source=f"jobs.d/{path.name}") for path in EXAMPLES])
    assert not folder.problems
    firsts = [due for job in folder.jobs if job.options.enabled and (due := job.schedule.next(NOW)) is not None]
    assert (min(firsts) - NOW).total_seconds() <= WITHIN


def code_blocks(language: str) -> list[str]:
    return [part.split("```")[0] for part in PAGE.split(f"```{language}\n")[1:]]


@pytest.mark.parametrize("text", code_blocks("cron"), ids=range(len(code_blocks("cron"))))
def test_each_example_on_the_page_is_right(text: str) -> None:
    file = parse(text, source="docs/jobs-file.md")
    assert not file.problems


def test_each_option_stands_on_the_page_with_its_default_and_its_meaning() -> None:
    rows = {line.split("|")[1].strip(" `"): line for line in PAGE.splitlines() if line.startswith("| `")}
    for option in OPTIONS.values():
        row = rows[option.key]
        assert f"`{option.example}`" in row
        assert option.doc in row
        assert f"| `{option.default}` |" in row if option.default else "| none |" in row


def test_the_differences_from_cron_that_the_tests_list_stand_on_the_page() -> None:
    for said in ("no command before the %", "CRLF", "carriage return", "LOGNAME", "50-10", "5=1", "fields=7", "FOO='"):
        assert said in PAGE, said


def test_the_table_of_options_writes_sizes_as_they_are_read() -> None:
    assert parse_size(OPTIONS["log-limit"].default) == 10_000_000

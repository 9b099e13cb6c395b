"""The nearest right word, and times whose words are misspelled."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runjobs.core.errors import FieldError
from runjobs.core.nearest import nearest_word
from runjobs.core.timeline import read_day
from runjobs.core.when import parse_when

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ["backup", "db/nightly", "mail/Report-1f2e3d", "mail/report-1f2e3d.2"]


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("bakup", "backup"),
        ("BACKUP", "backup"),
        ("db/nihgtly", "db/nightly"),
        ("nightly", "db/nightly"),
        ("REPORT", "mail/Report-1f2e3d"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_the_nearest_is_the_most_similar_or_the_shortest_that_has_the_word_as_a_part(word: str, near: str) -> None:
    assert nearest_word(word, NAMES) == near


def test_among_no_words_none_is_near() -> None:
    assert nearest_word("backup", []) == ""


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("tommorow 7:30", "tomorrow 7:30"),
        ("las fridy", "last friday"),
        ("in 10 minuts", "in 10 minutes"),
        ("yesturday", "yesterday"),
    ],
)
def test_a_misspelled_time_is_refused_with_the_right_spelling(text: str, near: str) -> None:
    with pytest.raises(FieldError) as refused:
        parse_when(text, NOW, UTC)
    assert (refused.value.message, refused.value.hint) == (f'"{text}" is not a point in time', f'"{near}"')


@pytest.mark.parametrize("text", ["foo", "tommorow 25:30", "in 999999999999 wekes"])
def test_a_spelling_that_would_be_no_time_either_is_not_suggested(text: str) -> None:
    with pytest.raises(FieldError) as refused:
        parse_when(text, NOW, UTC)
    assert not refused.value.hint.startswith('"')


@pytest.mark.parametrize(("text", "near"), [("yesturday", "yesterday"), ("Tommorow", "tomorrow")])
def test_a_misspelled_day_is_refused_with_the_right_one(text: str, near: str) -> None:
    with pytest.raises(FieldError) as refused:
        read_day(text, NOW.date())
    assert refused.value.hint == near

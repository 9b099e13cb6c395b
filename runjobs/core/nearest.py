"""The nearest right word to one that is wrong: what every error that knows the right words suggests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PART = re.compile(r"[^./_-]+")  # what the names of jobs are put together from


def nearest_word(word: str, words: Iterable[str]) -> str:
    """Return the most similar of the words, or "" where none is near; capitals don't count.

    Where none is similar as a whole, the shortest of those that have the word as a part: `backup` finds
    `nightly/backup-1f2e3d`.
    """
    from difflib import get_close_matches  # only a mistake pays for the import

    known = {each.casefold(): each for each in words}
    wrong = word.casefold()
    if close := get_close_matches(wrong, known, n=1):
        return known[close[0]]
    return min((known[each] for each in known if wrong in _PART.findall(each)), key=len, default="")

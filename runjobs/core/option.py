"""What an option of `#:` directives is: its key, how its value is read, what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Option(NamedTuple):
    """One key: `default` is as one would write it ("" where there is none), `doc` one sentence for people.

    `parse` raises FieldError with offsets into the value. `once` keys can't be given in `#: defaults`.
    """

    key: str
    parse: Callable[[str], object]
    default: str
    doc: str
    example: str
    once: bool = False

"""How letters travel: one by one while they are few, else as one digest; again and again, until it is too late."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.core.fire import MILLISECOND
from runjobs.core.letter import Kind, Letter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEW: Final = 3  # letters to one receiver in a minute that go one by one
CROWD: Final = timedelta(minutes=1)  # for how long those that are more wait for company
NAMED: Final = 50  # of a digest's letters that are told of; the others are counted
FIRST: Final = timedelta(seconds=10)  # before the second try
LONGEST: Final = timedelta(hours=1)  # between two tries
GIVE_UP: Final = timedelta(days=3)  # after a letter was written
TOLD: Final = (
    "job",
    "run",
    "outcome",
    "reason",
    "detail",
    "exit_code",
    "signal",
    "scheduled_at",
    "ended_at",
    "seconds",
)


class Crowd(NamedTuple):
    """The letters that a receiver got of late: since when they are counted, in milliseconds, and how many."""

    since: int = 0
    number: int = 0


def joined(crowd: Crowd, now: int) -> tuple[Crowd, int]:
    """The crowd with one letter more, and when that is to be sent: now, or when the minute is over.

    After a minute with many, all of the next one wait: what goes on is no news that must be told at once.
    """
    length = CROWD // MILLISECOND
    if not crowd.since <= now < crowd.since + length:
        goes_on = crowd.number > FEW and crowd.since <= now < crowd.since + 2 * length
        crowd = Crowd(now, FEW if goes_on else 0)
    crowd = crowd._replace(number=crowd.number + 1)
    return crowd, now if crowd.number <= FEW else crowd.since + length


def pause_after(tries: int, asked: float | None = None) -> timedelta:
    """How long to wait after so many tries in a row that failed; a receiver may have asked for more, up to a day."""
    pause = min(FIRST * (1 << min(tries - 1, 20)), LONGEST)
    return max(pause, min(timedelta(seconds=asked), timedelta(days=1))) if asked else pause


def digest(letters: Sequence[Letter], counts: Mapping[str, int], receiver: str) -> Letter:
    """One letter for many: the first of them, and how many of each kind there are in all."""
    named = letters[:NAMED]
    name = hashlib.blake2b("\n".join(letter.key for letter in named).encode(), digest_size=6).hexdigest()
    total = sum(counts.values())
    facts: dict[str, Any] = {
        "letters": [{"kind": letter.kind.value} | _brief(letter) for letter in named],
        "left_out": total - len(named),
        "kinds": dict(counts),
        "number": total,
    }
    return Letter(f"digest-{name}.digest.{receiver}", Kind.DIGEST, "", facts)


def _brief(letter: Letter) -> dict[str, Any]:
    return {name: letter.facts[name] for name in TOLD if name in letter.facts}

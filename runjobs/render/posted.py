"""News that waits or could not be delivered, as a table and for machines; of receivers only what may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runjobs.render.table import Column, Table
from runjobs.render.text import counted
from runjobs.render.times import distance, near

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime, tzinfo

    from runjobs.adapters.ledger.letters import Posted
    from runjobs.adapters.ledger.tidings import Glance

COLUMNS: Final = (
    Column("TO"),
    Column("NEWS"),
    Column("JOB", color="bold"),
    Column("SINCE", right=True),
    Column("TRIES", right=True),
    Column("NEXT TRY", right=True),
    Column("WHY", clipped=True),
)


def table(posted: Sequence[Posted], now: datetime) -> Table:
    """Return a row for each letter."""
    return Table(COLUMNS, [_row(each, now) for each in posted])


def _row(each: Posted, now: datetime) -> list[str]:
    following = "given up" if each.has_failed else "now" if each.due_at <= now else f"in {distance(each.due_at - now)}"
    job = each.letter.job or f"{each.letter.facts.get('number', 0)} in one"
    since = f"{distance(now - each.made_at)} ago" if each.made_at < now else "now"
    return [each.receiver.name, each.letter.kind.value, job, since, str(each.tries), following, each.detail]


def remarks(news: Glance, names: Collection[str], now: datetime, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Return what is wrong with the news of these jobs: sentences, each with the next command."""
    told = [
        (
            f"{name} has not gone well for as long as expect-within= allows, since {near(at, now, zone)}",
            f"runjobs why {name}",
        )
        for name, at in news.lapsed.items()
        if name in names
    ]
    if news.failed:
        told.append((f"{counted(news.failed, 'letter')} of news could not be delivered", "runjobs notify --list"))
    return told


def as_json(each: Posted) -> dict[str, object]:
    """Return all of one that may be shown."""
    return {
        "key": each.letter.key,
        "kind": each.letter.kind.value,
        "job": each.letter.job or None,
        "receiver": each.receiver.name,
        "state": "failed" if each.has_failed else "waiting",
        "made_at": each.made_at,
        "next_try": None if each.has_failed else each.due_at,
        "tries": each.tries,
        "detail": each.detail or None,
    }

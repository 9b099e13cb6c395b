"""Letters in SQLite: written, taken to be sent, settled. Each function is a step of a transaction; times in ms."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runjobs.core import digest
from runjobs.core.fire import MILLISECOND, from_milliseconds, milliseconds
from runjobs.core.letter import Kind, Letter
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.news import PING, receiver_from, receiver_hash, receiver_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from runjobs.core.letter import Delivery
    from runjobs.core.receivers import Receiver

MOST: Final = 10_000  # letters that could not be delivered are kept
KEPT: Final = timedelta(days=30) // MILLISECOND
DUE: Final = (
    "SELECT receiver, address FROM postboxes WHERE coalesce(again_at, 0) <= ?1 AND EXISTS(SELECT 1 FROM letters"
    " WHERE NOT has_failed AND letters.receiver = postboxes.receiver AND due_at <= ?1)"
)
FRESH: Final = (  # what one digest may stand for
    "NOT has_failed AND letters.tries = 0 AND kind NOT IN ('digest', 'test') AND letters.receiver = ? AND due_at <= ?"
)
KINDS: Final = f"SELECT kind, count(*) FROM letters WHERE {FRESH} GROUP BY kind"  # noqa: S608 (a condition of ours)
DROP: Final = (  # all but the newest so many
    f"DELETE FROM letters WHERE id IN (SELECT id FROM letters WHERE {FRESH} ORDER BY id DESC LIMIT -1 OFFSET ?)"  # noqa: S608
)
LETTER: Final = (
    "SELECT letters.id, key, kind, job, facts, address, made_at, due_at, letters.tries, has_failed, detail"
    " FROM letters JOIN postboxes ON postboxes.receiver = letters.receiver"
)


class Posted(NamedTuple):
    """A letter on record: to whom, when it was written and is due next, how often it was tried, how that went."""

    id: int
    letter: Letter
    receiver: Receiver
    made_at: datetime
    due_at: datetime
    tries: int
    has_failed: bool
    detail: str

    @property
    def postbox(self) -> str:
        """What its receiver is called here."""
        return receiver_hash(self.receiver)


def post(connection: sqlite3.Connection, letters: Iterable[tuple[Receiver, Letter]], now: int) -> None:
    """Write letters; those that are more than a few to one receiver wait for company. Pings can't: they tell a time."""
    crowds: dict[str, digest.Crowd] = {}
    for receiver, letter in letters:
        name = receiver_hash(receiver)
        crowds[name], due_at = digest.joined(crowds.get(name) or _crowd(connection, name, receiver), now)
        _insert(connection, name, letter, now, now if receiver.kind == PING else due_at)
    connection.executemany(
        "UPDATE postboxes SET since = ?, number = ? WHERE receiver = ?",
        [(*crowd, name) for name, crowd in crowds.items()],
    )


def _crowd(connection: sqlite3.Connection, name: str, receiver: Receiver) -> digest.Crowd:
    insert = "INSERT OR IGNORE INTO postboxes(receiver, address) VALUES (?, ?)"
    connection.execute(insert, (name, receiver_text(receiver)))
    row = connection.execute("SELECT since, number FROM postboxes WHERE receiver = ?", (name,)).fetchone()
    return digest.Crowd(*row)


def _insert(connection: sqlite3.Connection, postbox: str, letter: Letter, made_at: int, due_at: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO letters(key, receiver, kind, job, facts, made_at, due_at) VALUES (?,?,?,?,?,?,?)",
        (letter.key, postbox, letter.kind.value, letter.job, json.dumps(letter.facts), made_at, due_at),
    )


def postboxes(connection: sqlite3.Connection, now: int) -> list[Receiver]:
    """The receivers to whom something is to be sent now."""
    return [receiver_from(json.loads(address)) for _, address in connection.execute(DUE, (now,))]


def take(connection: sqlite3.Connection, receiver: Receiver, now: int) -> Posted | None:
    """The next letter to a receiver, many as one; it is written down as tried, and to be tried again later."""
    name = receiver_hash(receiver)
    _crowd_together(connection, name, receiver, now)
    # pings tell a story, in order; of other letters one may be at fault, and must not keep the others
    order = "letters.id" if receiver.kind == PING else "letters.tries, letters.id"
    where = f"NOT has_failed AND letters.receiver = ? AND due_at <= ? ORDER BY {order} LIMIT 1"
    for posted in read(connection, where, name, now):
        tries = posted.tries + 1
        again = now + digest.pause_after(tries) // MILLISECOND
        connection.execute("UPDATE letters SET tries = ?, due_at = ? WHERE id = ?", (tries, again, posted.id))
        return posted._replace(tries=tries)
    return None


def _crowd_together(connection: sqlite3.Connection, name: str, receiver: Receiver, now: int) -> None:
    """Make one letter of many that were not tried yet; of many pings the newest are enough."""
    counts = dict(connection.execute(KINDS, (name, now)).fetchall())
    if sum(counts.values()) <= digest.FEW:
        return
    spared = digest.FEW if receiver.kind == PING else 0
    first = read(connection, f"{FRESH} ORDER BY letters.id LIMIT ?", name, now, digest.NAMED)
    connection.execute(DROP, (name, now, spared))
    if receiver.kind != PING:
        _insert(connection, name, digest.digest([posted.letter for posted in first], counts, name), now, now)


def settle(connection: sqlite3.Connection, posted: Posted, delivery: Delivery, now: int) -> bool:
    """Write how a try went; whether its receiver may be sent more at once."""
    name = posted.postbox
    if delivery.verdict == "sent":
        connection.execute("DELETE FROM letters WHERE id = ?", (posted.id,))
        connection.execute("UPDATE postboxes SET again_at = NULL, tries = 0 WHERE receiver = ?", (name,))
        return True
    is_over = now - milliseconds(posted.made_at) >= digest.GIVE_UP // MILLISECOND
    has_failed = delivery.verdict == "never" or is_over
    (tries,) = connection.execute("SELECT tries FROM postboxes WHERE receiver = ?", (name,)).fetchone()
    again = now + digest.pause_after(tries + 1, delivery.after) // MILLISECOND
    connection.execute(
        "UPDATE letters SET has_failed = ?, due_at = ?, detail = ? WHERE id = ?",
        (has_failed, again, delivery.detail, posted.id),
    )
    if delivery.verdict == "later":
        update = "UPDATE postboxes SET again_at = ?, tries = ? WHERE receiver = ?"
        connection.execute(update, (again, tries + 1, name))
    return delivery.verdict == "never"


def read(connection: sqlite3.Connection, where: str, *values: object) -> list[Posted]:
    """The letters for which a condition of ours holds."""
    return [_posted(row) for row in connection.execute(f"{LETTER} WHERE {where}", values)]


def _posted(row: Sequence[Any]) -> Posted:
    number, key, kind, job, facts, address, made, due, tries, failed, detail = row
    letter = Letter(key, Kind(kind), job, json.loads(facts))
    receiver = receiver_from(json.loads(address))
    made_at, due_at = from_milliseconds(made), from_milliseconds(due)
    return Posted(number, letter, receiver, made_at, due_at, tries, bool(failed), detail)


def retry(connection: sqlite3.Connection, now: int) -> int:
    """Have all that waits tried at once, and what was given up once more; how many letters that is."""
    connection.execute("UPDATE postboxes SET again_at = NULL, tries = 0")
    update = "UPDATE letters SET due_at = ?1, has_failed = 0, made_at = CASE WHEN has_failed THEN ?1 ELSE made_at END"
    return connection.execute(update, (now,)).rowcount


def tidy(connection: sqlite3.Connection, now: int) -> None:
    """Let go of what nobody needs any more."""
    connection.execute("DELETE FROM letters WHERE has_failed AND made_at < ?", (now - KEPT,))
    connection.execute(
        "DELETE FROM letters WHERE id IN"
        " (SELECT id FROM letters WHERE has_failed ORDER BY made_at DESC, id DESC LIMIT -1 OFFSET ?)",
        (MOST,),
    )
    connection.execute(
        "DELETE FROM postboxes WHERE since < ? AND NOT EXISTS"
        "(SELECT 1 FROM letters WHERE letters.receiver = postboxes.receiver)",
        (now - 2 * digest.CROWD // MILLISECOND,),
    )
    connection.execute(
        "DELETE FROM subscriptions WHERE (is_gone OR job LIKE ? AND job NOT IN (SELECT job FROM onces))"
        " AND job NOT IN (SELECT job FROM news)"
        " AND NOT EXISTS(SELECT 1 FROM fires WHERE job = subscriptions.job AND state <> 'ended')",
        (f"{ONCE_PREFIX}%",),
    )

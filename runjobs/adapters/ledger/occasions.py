"""What happened, in SQLite, as far as it is news: fires with their last runs, and what letters say besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runjobs.core.news import Occasion, Standing, from_text, iso, usual_of

if TYPE_CHECKING:
    import sqlite3

    from runjobs.core.news import Terms

USUAL: Final = 100  # runs that say what is usual
EXPECTED: Final = "it has not gone well for as long as expect-within= allows"
FIRE: Final = "SELECT state, scheduled_at, outcome, reason, detail, ended_at, attempts, count FROM fires WHERE id = ?"
RUN: Final = (
    "SELECT id, started_at, exit_code, signal, log FROM runs WHERE fire = ? ORDER BY attempt DESC, id DESC LIMIT 1"
)
LAST_OK: Final = (
    "SELECT ended_at FROM fires WHERE job = ? AND outcome = 'ok' AND scheduled_at < ?"
    " ORDER BY scheduled_at DESC LIMIT 1"
)
TOOK: Final = (
    "SELECT (runs.ended_at - started_at) / 1000.0 FROM runs WHERE outcome = 'ok' AND started_at IS NOT NULL AND fire IN"
    " (SELECT id FROM fires WHERE job = ? AND outcome = 'ok' AND id <> ? ORDER BY scheduled_at DESC LIMIT ?)"
)


def standing(connection: sqlite3.Connection, job: str) -> tuple[Terms, Standing] | None:
    """What is to be told of a job, and how it stands with it by what was told; None: nothing is to be told."""
    row = connection.execute("SELECT terms, failures, lapsed_at FROM subscriptions WHERE job = ?", (job,)).fetchone()
    return None if row is None else (from_text(row[0]), Standing(row[1], row[2] is not None))


def occasion(connection: sqlite3.Connection, what: str, job: str, fire: int | None, at: int) -> Occasion | None:
    """What happened; None: it is not on record any more, or it has not ended after all."""
    if fire is None:
        facts = {"detail": EXPECTED} | _around(connection, job, at)
        return Occasion(what, job, at, outcome="missed", reason="expected", facts=facts)
    row = connection.execute(FIRE, (fire,)).fetchone()
    if row is None:
        return None
    if what == "start":
        return _start(connection, job, fire, row)
    return _end(connection, job, fire, row) if row[0] == "ended" else None


def _start(connection: sqlite3.Connection, job: str, fire: int, row: tuple[Any, ...]) -> Occasion:
    run, started, *_ = _run(connection, fire)
    facts = {"started_at": _when(started), "attempt": row[6]} | _around(connection, job, row[1])
    return Occasion("start", job, started or row[1], row[1], run, facts=_known(facts))


def _end(connection: sqlite3.Connection, job: str, fire: int, row: tuple[Any, ...]) -> Occasion:
    _, scheduled, outcome, reason, detail, ended, attempts, count = row
    run, started, code, signal, log = _run(connection, fire)
    times = {"started_at": _when(started), "ended_at": _when(ended), "attempt": attempts or None}
    how = {"detail": detail, "exit_code": code, "signal": signal, "log_path": log}
    facts = times | how | {"fires": count if count != 1 else None} | _around(connection, job, scheduled)
    took = max(0, ended - started) / 1000 if started and ended else None
    usual = _usual(connection, job, fire) if outcome == "ok" and took else None
    at = ended or scheduled
    return Occasion("end", job, at, scheduled, run, outcome, reason or "", took, usual, _known(facts))


def _run(connection: sqlite3.Connection, fire: int) -> tuple[str, int | None, int | None, int | None, str | None]:
    return connection.execute(RUN, (fire,)).fetchone() or ("", None, None, None, None)


def _around(connection: sqlite3.Connection, job: str, scheduled: int) -> dict[str, Any]:
    """When it goes on, and when it last went well."""
    ok = connection.execute(LAST_OK, (job, scheduled)).fetchone()
    following = connection.execute("SELECT next_fire FROM marks WHERE job = ?", (job,)).fetchone()
    return _known({"last_success": _when(ok and ok[0]), "next_fire": _when(following and following[0])})


def _usual(connection: sqlite3.Connection, job: str, fire: int) -> float | None:
    return usual_of([seconds for (seconds,) in connection.execute(TOOK, (job, fire, USUAL))])


def _when(milliseconds: int | None) -> str | None:
    return iso(milliseconds) if milliseconds else None


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None and value != ""}

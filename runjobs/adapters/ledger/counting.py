"""A step of the schema: what machines ask for, counted by the ledger itself.

How the runs of each job ended, and fires that never came to one; its last run; how late runs started. Whoever records
an end, it is counted in that very transaction, by triggers; no restart and no pruning takes anything away. The runs of
all onces count as those of one job, `at/*`, or there would be ever more names.
"""

from __future__ import annotations

from typing import Final

_NAME: Final = "CASE WHEN substr(fires.job, 1, 3) = 'at/' THEN 'at/*' ELSE fires.job END"
_STATUS: Final = (
    "CASE WHEN new.outcome = 'timeout' THEN 124 WHEN new.outcome = 'error' THEN 126"
    " WHEN new.signal IS NOT NULL THEN 128 + new.signal ELSE coalesce(new.exit_code, 1) END"
)
_WORDS: Final = ("ok", "failed", "timeout", "stopped", "interrupted", "skipped", "error", "missed")
_COUNT: Final = ", ".join(f"{word} = {word} + (new.outcome = '{word}') * NUMBER" for word in _WORDS)
_OF_RUN: Final = f"SELECT {_NAME} FROM fires WHERE id = new.fire"  # noqa: S608
_IS_LAST: Final = "new.ended_at >= coalesce(ended_at, 0)"
_LATE: Final = (
    "max(0, new.started_at - coalesce(new.due_at,"
    " (SELECT scheduled_at FROM fires WHERE id = new.fire), new.started_at))"
)
# no upsert and no OR IGNORE: within a REPLACE, which makes triggers go its way, they would write another row
_RUN_ENDED: Final = f"""
    INSERT INTO tallies(job) {_OF_RUN} AND NOT EXISTS(SELECT 1 FROM tallies WHERE tallies.job = {_NAME});
    UPDATE tallies SET {_COUNT.replace("NUMBER", "1")},
        succeeded_at = CASE WHEN new.outcome = 'ok' THEN max(coalesce(succeeded_at, 0), new.ended_at)
            ELSE succeeded_at END,
        started_at = CASE WHEN {_IS_LAST} THEN new.started_at ELSE started_at END,
        status = CASE WHEN {_IS_LAST} THEN {_STATUS} ELSE status END,
        ended_at = CASE WHEN {_IS_LAST} THEN new.ended_at ELSE ended_at END
        WHERE job = ({_OF_RUN});
"""  # noqa: S608 (words of ours, here and below)
_FIRE_ENDED: Final = f"""
    INSERT INTO tallies(job) SELECT {_NAME.replace("fires.", "new.")}
        WHERE NOT EXISTS(SELECT 1 FROM tallies WHERE job = {_NAME.replace("fires.", "new.")});
    UPDATE tallies SET {_COUNT.replace("NUMBER", "max(new.count, 1)")} WHERE job = {_NAME.replace("fires.", "new.")};
"""  # noqa: S608
_RUN_STARTED: Final = f"""
    UPDATE lags SET starts = starts + 1, total = total + {_LATE}
        WHERE up_to = (SELECT min(up_to) FROM lags WHERE up_to >= {_LATE});
"""  # noqa: S608
_TIMELY: Final = "EXISTS(SELECT 1 FROM fires WHERE id = new.fire AND trigger IN ('schedule', 'once'))"
_PAST: Final = f"""
    SELECT {_NAME} AS job, runs.outcome AS outcome, 1 AS number, started_at, runs.ended_at AS ended_at,
        {_STATUS.replace("new.", "runs.")} AS status FROM runs JOIN fires ON fires.id = runs.fire
    WHERE runs.state = 'ended'
"""  # noqa: S608
_SUMS: Final = ", ".join(f"sum((outcome = '{word}') * number) AS {word}" for word in _WORDS)
VERSION_5: Final = f"""
ALTER TABLE runs ADD COLUMN due_at INTEGER;
CREATE TABLE tallies(
    job TEXT PRIMARY KEY, {", ".join(f"{word} INTEGER NOT NULL DEFAULT 0" for word in _WORDS)},
    succeeded_at INTEGER, started_at INTEGER, ended_at INTEGER, status INTEGER
) WITHOUT ROWID;
CREATE TABLE lags(up_to INTEGER PRIMARY KEY, starts INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0);
INSERT INTO lags(up_to) VALUES (5), (10), (25), (50), (100), (250), (500), (1000), (2500), (5000), (10000), (30000),
    (60000), (300000), (900000), (3600000), (1 << 60);

INSERT INTO tallies(job, started_at, ended_at, status)
    SELECT job, started_at, max(ended_at), status FROM ({_PAST}) GROUP BY job;
INSERT INTO tallies(job, {", ".join(_WORDS)}, succeeded_at)
    SELECT job, {_SUMS}, max(CASE WHEN outcome = 'ok' THEN ended_at END) FROM (
        {_PAST} UNION ALL SELECT {_NAME}, outcome, max(count, 1), NULL, NULL, NULL FROM fires
        WHERE state = 'ended' AND attempts = 0 AND outcome IS NOT NULL
    ) WHERE true GROUP BY job
    ON CONFLICT(job) DO UPDATE SET {", ".join(f"{word} = excluded.{word}" for word in (*_WORDS, "succeeded_at"))};
INSERT INTO lags(up_to, starts, total)
    SELECT (SELECT min(up_to) FROM lags WHERE up_to >= late), count(*), sum(late) FROM (
        SELECT max(0, started_at - scheduled_at) AS late FROM runs JOIN fires ON fires.id = runs.fire
        WHERE attempt = 1 AND started_at IS NOT NULL AND trigger IN ('schedule', 'once')
    ) WHERE true GROUP BY 1
    ON CONFLICT(up_to) DO UPDATE SET starts = excluded.starts, total = excluded.total;

CREATE TRIGGER tally_run AFTER UPDATE OF state ON runs WHEN new.state = 'ended' AND old.state <> 'ended' BEGIN
    {_RUN_ENDED}
END;
CREATE TRIGGER tally_run_that_is_over AFTER INSERT ON runs WHEN new.state = 'ended' BEGIN
    {_RUN_ENDED}
END;
CREATE TRIGGER tally_fire AFTER UPDATE OF state ON fires
WHEN new.state = 'ended' AND old.state <> 'ended' AND new.attempts = 0 BEGIN
    {_FIRE_ENDED}
END;
CREATE TRIGGER tally_fire_that_is_over AFTER INSERT ON fires
WHEN new.state = 'ended' AND new.attempts = 0 AND new.outcome <> '' BEGIN
    {_FIRE_ENDED}
END;
CREATE TRIGGER lag_of_run AFTER UPDATE OF started_at ON runs
WHEN old.started_at IS NULL AND new.started_at IS NOT NULL AND new.attempt = 1 AND {_TIMELY} BEGIN
    {_RUN_STARTED}
END;
-- before: a REPLACE has not yet deleted what it replaces
CREATE TRIGGER lag_of_run_that_is_over BEFORE INSERT ON runs
WHEN new.started_at IS NOT NULL AND new.attempt = 1 AND {_TIMELY}
    AND NOT EXISTS(SELECT 1 FROM runs WHERE id = new.id AND started_at IS NOT NULL) BEGIN
    {_RUN_STARTED}
END;
"""  # noqa: S608

"""The ledger's tables, as the steps that lead from one version of them to the next.

Times are milliseconds since the epoch, in UTC; durations of CPU are seconds; sizes are bytes.
"""

from __future__ import annotations

from typing import Final

from runjobs.adapters.ledger.counting import VERSION_5

VERSION_1: Final = """
CREATE TABLE facts(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE marks(
    job TEXT PRIMARY KEY, schedule_key TEXT NOT NULL, watermark INTEGER NOT NULL,
    next_fire INTEGER, next_start INTEGER, utc_offset INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE fires(
    id INTEGER PRIMARY KEY, job TEXT NOT NULL, trigger TEXT NOT NULL, key TEXT NOT NULL,
    scheduled_at INTEGER NOT NULL, last_at INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL, outcome TEXT, reason TEXT, detail TEXT,
    runner TEXT, runner_lock TEXT, claimed_at INTEGER, ended_at INTEGER,
    UNIQUE(job, trigger, key)
);
CREATE INDEX fires_of_job ON fires(job, scheduled_at);
CREATE INDEX fires_claimed ON fires(id) WHERE state = 'claimed';

CREATE TABLE runs(
    id TEXT PRIMARY KEY, fire INTEGER NOT NULL REFERENCES fires(id), attempt INTEGER NOT NULL, state TEXT NOT NULL,
    lock TEXT NOT NULL, log TEXT NOT NULL, runner TEXT,
    guard_pid INTEGER, pid INTEGER, start_time INTEGER, boot_id TEXT, pid_namespace INTEGER,
    started_at INTEGER, ended_at INTEGER, outcome TEXT, reason TEXT, detail TEXT, exit_code INTEGER, signal INTEGER,
    cpu_user REAL, cpu_system REAL, max_rss INTEGER, blocks_in INTEGER, blocks_out INTEGER,
    switches_voluntary INTEGER, switches_involuntary INTEGER,
    output_bytes INTEGER, dropped_bytes INTEGER, leftovers TEXT
);
CREATE INDEX runs_of_fire ON runs(fire);
CREATE INDEX runs_unended ON runs(id) WHERE state <> 'ended';
"""

# fires wait (for a retry, for other jobs, for a lock or a place); jobs are paused; history is asked
VERSION_2: Final = """
ALTER TABLE fires ADD COLUMN wait TEXT;
ALTER TABLE fires ADD COLUMN waiting_since INTEGER;
ALTER TABLE fires ADD COLUMN not_before INTEGER;
ALTER TABLE fires ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
UPDATE fires SET attempts = (SELECT count(*) FROM runs WHERE runs.fire = fires.id);
CREATE INDEX fires_waiting ON fires(job, scheduled_at) WHERE state = 'waiting';
CREATE INDEX fires_by_time ON fires(scheduled_at);
CREATE INDEX fires_by_outcome ON fires(job, outcome, scheduled_at);

CREATE TABLE pauses(
    job TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER, reason TEXT NOT NULL, who TEXT NOT NULL
) WITHOUT ROWID;
"""

# what `runjobs at` asked for, until its fire has ended; what watched paths were like when their job was last claimed
VERSION_3: Final = """
CREATE TABLE onces(
    id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, what TEXT NOT NULL
);
CREATE INDEX fires_once ON fires(scheduled_at) WHERE trigger = 'once';
CREATE TRIGGER once_missed AFTER INSERT ON fires WHEN new.state = 'ended' AND new.trigger = 'once' BEGIN
    DELETE FROM onces WHERE job = new.job AND at = new.scheduled_at;
END;
CREATE TRIGGER once_ended AFTER UPDATE OF state ON fires WHEN new.state = 'ended' AND new.trigger = 'once' BEGIN
    DELETE FROM onces WHERE job = new.job AND at = new.scheduled_at;
END;
CREATE TRIGGER once_over AFTER DELETE ON onces BEGIN DELETE FROM marks WHERE job = old.job; END;

CREATE TABLE watches(job TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
"""

# Who is told of what: terms of jobs, news that nobody has looked at, letters that are to be sent, and how it goes with
# each receiver, who stands here by a hash. Whoever records an end makes news of it in that very transaction, by these
# triggers; an end that can't be news, since all was and is well, is left out.
VERSION_4: Final = """
CREATE TABLE subscriptions(
    job TEXT PRIMARY KEY, terms TEXT NOT NULL, wants_all INTEGER NOT NULL, has_pings INTEGER NOT NULL,
    expect INTEGER, lapse_at INTEGER, lapsed_at INTEGER, failures INTEGER NOT NULL DEFAULT 0,
    is_gone INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX subscriptions_lapse ON subscriptions(lapse_at) WHERE lapse_at IS NOT NULL;

CREATE TABLE news(
    id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, job TEXT NOT NULL, fire INTEGER, at INTEGER
);
CREATE INDEX news_of_job ON news(job);
CREATE TRIGGER news_inserted AFTER INSERT ON fires WHEN new.state = 'ended' AND EXISTS(
    SELECT 1 FROM subscriptions WHERE job = new.job AND (wants_all OR new.outcome NOT IN ('ok', 'skipped')
    OR new.outcome = 'ok' AND (failures OR lapsed_at OR EXISTS(SELECT 1 FROM news WHERE job = new.job)))
) BEGIN
    INSERT INTO news(what, job, fire, at) VALUES ('end', new.job, new.id, new.ended_at);
END;
CREATE TRIGGER news_ended AFTER UPDATE OF state ON fires
WHEN new.state = 'ended' AND old.state <> 'ended' AND EXISTS(
    SELECT 1 FROM subscriptions WHERE job = new.job AND (wants_all OR new.outcome NOT IN ('ok', 'skipped')
    OR new.outcome = 'ok' AND (failures OR lapsed_at OR EXISTS(SELECT 1 FROM news WHERE job = new.job)))
) BEGIN
    INSERT INTO news(what, job, fire, at) VALUES ('end', new.job, new.id, new.ended_at);
END;
CREATE TRIGGER news_begun AFTER UPDATE OF state ON fires
WHEN new.state = 'running' AND old.state <> 'running' AND EXISTS(
    SELECT 1 FROM subscriptions WHERE job = new.job AND has_pings
) BEGIN
    INSERT INTO news(what, job, fire, at) VALUES ('start', new.job, new.id, NULL);
END;
CREATE TRIGGER expected_inserted AFTER INSERT ON fires WHEN new.state = 'ended' AND new.outcome = 'ok' BEGIN
    UPDATE subscriptions SET lapse_at = max(coalesce(lapse_at, 0), new.ended_at + expect)
    WHERE job = new.job AND expect IS NOT NULL AND NOT is_gone;
END;
CREATE TRIGGER expected_ended AFTER UPDATE OF state ON fires
WHEN new.state = 'ended' AND old.state <> 'ended' AND new.outcome = 'ok' BEGIN
    UPDATE subscriptions SET lapse_at = new.ended_at + expect
    WHERE job = new.job AND expect IS NOT NULL AND NOT is_gone;
END;

CREATE TABLE letters(
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, receiver TEXT NOT NULL, kind TEXT NOT NULL,
    job TEXT NOT NULL, facts TEXT NOT NULL, made_at INTEGER NOT NULL, due_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, has_failed INTEGER NOT NULL DEFAULT 0, detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX letters_due ON letters(receiver, due_at) WHERE NOT has_failed;
CREATE INDEX letters_failed ON letters(made_at) WHERE has_failed;

CREATE TABLE postboxes(
    receiver TEXT PRIMARY KEY, address TEXT NOT NULL, since INTEGER NOT NULL DEFAULT 0,
    number INTEGER NOT NULL DEFAULT 0, again_at INTEGER, tries INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""

STEPS: Final = (VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5)  # step n leads from version n to n + 1
VERSION: Final = len(STEPS)

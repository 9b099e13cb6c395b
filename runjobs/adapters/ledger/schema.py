"""The ledger's tables, as the steps that lead from one version of them to the next.

Times are milliseconds since the epoch, in UTC; durations of CPU are seconds; sizes are bytes.
"""

from __future__ import annotations

from typing import Final

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

STEPS: Final = (VERSION_1, VERSION_2)  # step n leads from version n to n + 1
VERSION: Final = len(STEPS)

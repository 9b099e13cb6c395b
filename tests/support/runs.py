"""Runs for tests, as the ledger hands them to recovery."""

from __future__ import annotations

from runjobs.core.run import Unended

UNENDED = Unended("run-0", 1, "backup", 0, "/nowhere/job.backup", None, None)

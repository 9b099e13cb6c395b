"""A daemon on APScheduler 3: reads entries from a JSON file, runs each through a shell in its thread pool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger


def run(command: str) -> None:
    """Run one command as cron would."""
    subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, check=False)


def main(path: str) -> None:
    """Load the entries and stay."""
    scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(1000)}, timezone="UTC")
    for fields, command in json.loads(Path(path).read_text()):
        names = ("second", "minute", "hour", "day", "month", "day_of_week")
        trigger = CronTrigger(timezone="UTC", **dict(zip(names, fields.split(), strict=True)))
        scheduler.add_job(run, trigger, args=[command], misfire_grace_time=None, max_instances=1000)
    scheduler.start()


main(sys.argv[1])

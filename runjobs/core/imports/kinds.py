"""What a path to take over holds, by its name."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


class Kind(Enum):
    """Where something is taken over from."""

    CRONTAB = "crontab"
    CRON_D = "cron.d"
    ANACRONTAB = "anacrontab"
    SYSTEMD = "systemd"
    YACRON = "yacron"


TRIGGERS = (".timer", ".path")
YAML = (".yaml", ".yml")
# /etc/crontab and /etc/cron.d, and copies of them, name a user for each job
_SYSTEM = re.compile(r"(?:^|/)(?:etc/crontab|cron\.d(?:/[^/]*)?)$")
_SCRIPTS = re.compile(r"cron\.(?:hourly|daily|weekly|monthly)$")
# where cron keeps one crontab per user, named after them
_SPOOL = re.compile(r"(?:^|/)(?:var/spool/cron(?:/crontabs)?|crontabs)$")


def guess(path: str, names: Collection[str]) -> Kind:
    """Tell by its path, and by the names in it where it is a folder, what is to be found there."""
    base = path.rstrip("/").rsplit("/", 1)[-1]
    found = (base, *names)
    if base == "anacrontab":
        return Kind.ANACRONTAB
    if any(name.endswith((*TRIGGERS, ".service")) for name in found):
        return Kind.SYSTEMD
    if any(name.endswith(YAML) for name in found):
        return Kind.YACRON
    return Kind.CRON_D if _SYSTEM.search(path.rstrip("/")) else Kind.CRONTAB


def holds_scripts(path: str) -> bool:
    """Tell whether this is a folder of scripts, such as /etc/cron.daily, which some crontab runs with run-parts."""
    return _SCRIPTS.search(path.rstrip("/")) is not None


def owner(path: str) -> str:
    """Say whose crontab a file in cron's own folder is ("" elsewhere)."""
    folder, _, base = path.rpartition("/")
    return base if _SPOOL.search(folder) else ""


def is_template(unit: str) -> bool:
    """Tell whether a unit is only a pattern for others, `backup@.timer`."""
    return "@." in unit

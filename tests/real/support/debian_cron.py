"""Debian's own cron daemon, in a mount and pid namespace where the machine's crontabs are out of sight."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CRON = Path("/usr/sbin/cron")

# $1 is the folder that `in_a_namespace` filled. The daemon keeps /var/run/crond.pid, reads /etc/crontab, /etc/cron.d
# and /var/spool/cron/crontabs, and mails through /usr/sbin/sendmail (strings(1) of the binary): each is ours in here.
_SCRIPT = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/spool/cron
mount -t tmpfs -o mode=755 tmpfs /etc/cron.d
if [ -e /etc/crontab ]; then mount --bind "$1/empty" /etc/crontab; fi
mkdir -m 1730 /var/spool/cron/crontabs
install -m 600 "$1/crontab" /var/spool/cron/crontabs/root
mount --bind "$1/sbin" /usr/sbin
exec /usr/sbin/cron -f
"""


def why_not() -> str:
    """Say why the daemon can't be run here; "" when it can."""
    if os.geteuid() != 0:
        return "Debian's cron needs root: it starts each job as its user"
    if not CRON.exists():
        return "Debian's cron is not installed (apt-get install cron)"
    return "" if shutil.which("unshare") else "unshare(1) is not installed"


def in_a_namespace(folder: Path, crontab: str, sendmail: str = "#!/bin/sh\nexec cat >/dev/null\n") -> list[str]:
    """Write root's crontab and a stand-in for sendmail into `folder`; returns the command that runs the daemon.

    Kill the command with SIGKILL: the daemon and all that it started end with it. It never writes outside of `folder`.
    """
    sbin = folder / "sbin"
    sbin.mkdir()
    shutil.copy(CRON, sbin)
    (folder / "crontab").write_text(crontab)
    (folder / "empty").touch()
    (sbin / "sendmail").write_text(sendmail)
    (sbin / "sendmail").chmod(0o755)
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return [*namespaces, "sh", "-c", _SCRIPT, "sh", str(folder)]

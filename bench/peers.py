"""The programs measured beside ours: got from PyPI into a venv of their own, and from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = Path(os.environ.get("BENCH_VENV", ROOT / ".venv-bench"))
PYTHON = VENV / "bin" / "python"
PACKAGES = {"apscheduler": "apscheduler>=3.10,<4", "cronstable": "cronstable", "yacron": "yacron"}
CRON = Path("/usr/sbin/cron")
BUSYBOX = VENV / "debian" / "bin" / "busybox"  # of busybox-static: Debian builds the ordinary one without crond


def install() -> list[str]:
    """Get whatever peer is not there yet; returns one sentence for each that can't be had."""
    return [*filter(None, map(_from_pypi, PACKAGES)), *filter(None, (_cron(), _busybox()))]


def has(peer: str) -> bool:
    """Whether a peer can be used here; root is needed for the crons: they start jobs as their users."""
    if peer in {"cron", "busybox"}:
        return {"cron": CRON, "busybox": BUSYBOX}[peer].exists() and os.geteuid() == 0
    return _installed(peer)


def _installed(package: str) -> bool:
    return any(VENV.glob(f"lib/python*/site-packages/{package}/__init__.py"))


def _from_pypi(package: str) -> str:
    if _installed(package):
        return ""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    return _told(package, [PYTHON, "-m", "pip", "install", "--quiet", PACKAGES[package]])


def _cron() -> str:
    if os.geteuid() != 0:
        return "Debian's cron is left out: it needs root"
    if CRON.exists():
        return ""
    return _told("Debian's cron", ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "cron"])


def _busybox() -> str:
    if BUSYBOX.exists():
        return ""
    BUSYBOX.parent.parent.mkdir(parents=True, exist_ok=True)
    unpacked = "apt-get download --quiet busybox-static && dpkg-deb --extract busybox-static_*.deb ."
    return _told("busybox", ["sh", "-c", f"cd {BUSYBOX.parent.parent} && {unpacked}"])


def _told(what: str, command: list[str | Path]) -> str:
    """Run a command that gets something; "" when it did, else the sentence that says what is missing."""
    if not shutil.which(command[0]):
        return f"{what} can't be had: there is no {command[0]} here"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    asked = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    reason = (asked.stderr.strip().splitlines() or ["no reason given"])[-1]
    return "" if asked.returncode == 0 else f"{what} can't be had: {reason}"

"""A process that no signal ends, as one in D state: the freezer of control groups version 1 holds it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FREEZER = Path("/sys/fs/cgroup/freezer")


def why_not() -> str:
    """Say why nothing can be frozen here; "" when it can."""
    return "" if os.access(FREEZER, os.W_OK) and os.geteuid() == 0 else "there is no freezer that we may use"


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Hold a process still; what it was sent meanwhile reaches it afterwards."""
    group = FREEZER / f"runjobs-test-{pid}"
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        assert wait_until(lambda: (group / "freezer.state").read_text().strip() == "FROZEN")
        yield
    finally:
        (group / "freezer.state").write_text("THAWED")
        with contextlib.suppress(OSError):
            (FREEZER / "cgroup.procs").write_text(str(pid))
        assert wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()

"""What the kernel says of a process in one line: /proc/PID/stat, proc_pid_stat(5)."""

from __future__ import annotations

from typing import NamedTuple

DEAD = frozenset("ZXx")


class Stat(NamedTuple):
    """A process at one instant; `start_time` in clock ticks since boot."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    session: int
    threads: int
    start_time: int

    @property
    def is_alive(self) -> bool:
        """Whether any of it still runs: a main thread that has ended shows as a zombie while others go on."""
        return self.state not in DEAD or self.threads > 1


def parse_stat(line: bytes) -> Stat:
    """Read the line; the name may hold anything, parentheses and newlines too, so the last one closes it."""
    front, _, rest = line.rpartition(b")")
    pid, _, name = front.partition(b" (")
    fields = rest.split()
    return Stat(
        pid=int(pid),
        name=name.decode("utf-8", "backslashreplace"),
        state=fields[0].decode("ascii"),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        threads=int(fields[17]),
        start_time=int(fields[19]),
    )

"""A runner that knows nothing but guards: it forks one as it is told, and passes on what it hears.

Called with a descriptor to read one JSON object from; writes a line per message to descriptor 3, takes orders as
lines on descriptor 0.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runjobs.adapters import cgroup
from runjobs.core.job import Job, Leftovers, Options
from runjobs.guard import (
    Ack,
    Assignment,
    Channel,
    Equipment,
    Passthrough,
    Stop,
    make_channel,
    spawn_guard,
    stop_guard,
    warm,
)

if TYPE_CHECKING:
    from runjobs.core.run import RunEnd

TELL = 3
CLONE_NEWNS = 0x20000
DURATIONS = ("timeout", "kill_after")


def read_job(told: dict[str, Any]) -> Job:
    """The job, of which the test has said what matters to it."""
    options = dict(told.get("options", {}))
    for name in DURATIONS:
        if options.get(name) is not None:
            options[name] = timedelta(seconds=options[name])
    if "leftovers" in options:
        options["leftovers"] = Leftovers(options["leftovers"])
    shell = (("SHELL", told["shell"]),) if "shell" in told else ()
    return Job("job", told["command"], told.get("stdin"), None, Options(**options), shell, "test", 1)  # type: ignore[arg-type]


def read_assignment(told: dict[str, Any], channel: Channel) -> Assignment:
    """The assignment; with `starter` the job is started by a process of its own, else by the guard itself."""
    equipment = Equipment(told["environment"], told.get("cwd", "/"), told.get("user"))
    plain = Assignment(
        told["run_id"],
        read_job(told),
        channel,
        log_path=told.get("log"),
        lock_fds=(lock(told["lock"]),) if "lock" in told else (),
        mode=Passthrough(told.get("mode", "none")),
        nofile=tuple(told["nofile"]) if "nofile" in told else None,
        cgroup=cgroup.find_base() if told.get("cgroup") else None,
    )
    if told.get("starter"):
        return plain._replace(equip=lambda: equipment)
    return plain._replace(environment=equipment.environment, cwd=equipment.cwd, user=equipment.user)


def lock(path: str) -> int:
    """Take a lock as a runner does; whoever inherits the descriptor holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def stall(path: str) -> None:
    """Mount a file system at `path`, in a mount namespace of our own, whose server never answers anybody."""
    libc = ctypes.CDLL(None, use_errno=True)
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"stalled", path.encode(), b"fuse", 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def shrink(path: str, size: int) -> None:
    """Mount a small file system at `path`, in a mount namespace of our own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    private = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC: what is mounted here is seen by nobody else
    libc.mount(b"none", b"/", None, private, None)
    if libc.mount(b"small", path.encode(), b"tmpfs", 0, f"size={size}".encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def tell(kind: str, message: dict[str, Any]) -> None:
    """Pass a message on to the test."""
    os.write(TELL, json.dumps({"kind": kind, **message}).encode() + b"\n")


def serve(channel: Channel, guard: int, *, acknowledge: bool) -> None:
    """Pass on what the guard says and what the test orders, until the guard hangs up."""
    is_open = True
    while channel.is_open:
        readable, _, _ = select.select([channel.fileno(), *([0] if is_open else [])], [], [])
        for message in channel.receive() if channel.fileno() in readable else ():
            kind = type(message).__name__
            tell(kind, message._asdict())
            if kind == "RunEnd" and acknowledge:
                channel.send(Ack(message.run_id))  # type: ignore[union-attr]
        if 0 in readable:
            line = os.read(0, 65536)
            is_open = bool(line)
            for order in line.splitlines():
                obey(json.loads(order), channel, guard)


def obey(order: dict[str, Any], channel: Channel, guard: int) -> None:
    """Do what the test wants done."""
    if order["do"] == "ack":
        channel.send(Ack(order["run_id"]))
    else:
        stop_guard(channel, guard, Stop(**order["stop"]))


def main() -> None:
    """Fork a guard, serve it, and end when it is gone."""
    with open(int(sys.argv[1]), "rb") as file:
        told = json.loads(file.read())
    os.set_inheritable(TELL, False)
    if "stall" in told:
        stall(told["stall"])
    if "small" in told:
        shrink(told["small"], told["size"])
    if "most_bytes" in told:
        resource.setrlimit(resource.RLIMIT_FSIZE, (told["most_bytes"], told["most_bytes"]))
    warm()
    ours, theirs = make_channel()

    def record_alone(end: RunEnd) -> None:
        with open(told["alone"], "a") as file:
            file.write(json.dumps(end._asdict()) + "\n")

    guard = spawn_guard(read_assignment(told, theirs), record_alone)
    theirs.close()
    tell("Guard", {"pid": guard})
    serve(ours, guard, acknowledge=told.get("acknowledge", True))
    tell("Closed", {})
    os.waitpid(guard, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


if __name__ == "__main__":
    main()

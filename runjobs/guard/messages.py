"""What a guard and its runner say to each other, over a pair of sockets that keep messages apart."""

from __future__ import annotations

import marshal
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runjobs.core.outcome import Outcome
from runjobs.core.run import ProcessId, RunEnd, Started

if TYPE_CHECKING:
    from runjobs.core.job import Options

LARGEST = 131_072  # bytes; well below what a socket takes in one message (net.core.wmem_default, 208 KiB)


class Stop(NamedTuple):
    """Runner to guard: end the job. A second one means: at once. `kill_after` in seconds, None: the job's own."""

    kill_after: float | None = None
    outcome: str = Outcome.STOPPED.value
    reason: str = "stop"
    detail: str = "stopped"

    def within(self, options: Options) -> Stop:
        """As it is for a job of these options, whose own `kill_after` is the most that it may take."""
        own = options.kill_after.total_seconds()
        return self._replace(kill_after=own if self.kill_after is None else min(self.kill_after, own))


class Ack(NamedTuple):
    """Runner to guard: the end is recorded durably, the locks can go."""

    run_id: str


class Stuck(NamedTuple):
    """Guard to runner, once: these processes don't end though they were killed; the guard goes on trying."""

    run_id: str
    processes: tuple[tuple[int, str], ...]


Message: TypeAlias = Stop | Ack | Stuck | Started | RunEnd
KINDS: dict[str, Any] = {kind.__name__: kind for kind in (Stop, Ack, Stuck, Started, RunEnd)}


def encode(message: Message) -> bytes:
    """A message as bytes: marshal, since both ends are one program, and it touches a tenth of the memory of json."""
    values: list[Any] = [type(message).__name__, *map(_plain, message)]
    return marshal.dumps(values)


def _plain(value: object) -> object:
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value  # marshal knows no subclasses


def decode(data: bytes) -> Message:
    """The message in the bytes."""
    kind, *values = marshal.loads(data)  # noqa: S302 (from our own fork, over a pair of sockets that none else has)
    message: Message = KINDS[kind](*values)
    if isinstance(message, Started):
        return message._replace(process=ProcessId(*message.process))
    if isinstance(message, RunEnd):
        return message._replace(leftovers=tuple((pid, name) for pid, name in message.leftovers))
    if isinstance(message, Stuck):
        return message._replace(processes=tuple((pid, name) for pid, name in message.processes))
    return message


class Channel:
    """One end of the talk between a runner and a guard. `is_open` turns false when the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        """Talk through this end of a pair, SOCK_SEQPACKET."""
        self._socket = end
        self.is_open = True

    def fileno(self) -> int:
        """The descriptor, for a poll: readable when there is a message, or the other end is gone."""
        return self._socket.fileno()

    def send(self, message: Message) -> None:
        """Say something; when nobody is there to hear it, the channel is no longer open."""
        try:
            self._socket.send(encode(message), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            self.is_open = False

    def receive(self) -> list[Message]:
        """What was said and not read yet, without waiting."""
        messages: list[Message] = []
        while self.is_open:
            try:
                data = self._socket.recv(LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:  # ECONNRESET: it ended without reading all that we had said
                data = b""
            if data:
                messages.append(decode(data))
            else:
                self.is_open = False
        return messages

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        self._socket.close()

"""What runner and guard say to each other, and what a guard takes for an order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runjobs.adapters import locks
from runjobs.adapters.process import Heard
from runjobs.core.procstat import parse_stat
from runjobs.core.run import ProcessId, RunEnd, Started
from runjobs.guard import Ack, Channel, Stop, Stuck, make_channel
from runjobs.guard.orders import Orders, order_of, stop_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runjobs.adapters.locks import Lock
    from runjobs.guard import Message

TERM = Heard(15, 4242, 1000)
MESSAGES: list[Message] = [
    Stop(1.5, "interrupted", "shutdown", "the runner was told to stop"),
    Ack("r1"),
    Stuck("r1", ((1, "nfs"), (2, "d\udcffd"))),
    Started("r1", 10, ProcessId(11, 12345, "boot", 4026531836), 1.25),
    RunEnd("r1", "failed", "exit", "exit code 3", 3, None, 1.0, 2.0, leftovers=((7, "sleep"),)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_said_is_what_is_heard(message: Message) -> None:
    ours, theirs = make_channel()
    ours.send(message)
    assert theirs.receive() == [message]
    ours.close()
    theirs.close()


def test_messages_stay_apart_and_in_order() -> None:
    ours, theirs = make_channel()
    for message in MESSAGES:
        ours.send(message)
    assert theirs.receive() == MESSAGES
    assert theirs.receive() == []
    assert theirs.is_open
    ours.close()
    theirs.close()


def test_who_hangs_up_is_missed_by_the_other_end() -> None:
    ours, theirs = make_channel()
    theirs.send(Ack("unread"))
    theirs.close()
    assert ours.receive() == [Ack("unread")]
    assert not ours.is_open
    ours.close()


def test_speaking_to_nobody_is_no_error() -> None:
    ours, theirs = make_channel()
    theirs.close()
    ours.send(Ack("r1"))
    assert not ours.is_open
    assert ours.receive() == []
    ours.close()


def said(orders: Orders, messages: list[Stop], terms: int) -> list[str]:
    return [stop.reason for stop in orders.stops(messages, [TERM] * terms)]


def test_a_message_and_its_signal_are_one_order_together_or_apart() -> None:
    orders = Orders()
    assert said(orders, [Stop()], 1) == ["stop"]
    assert said(orders, [Stop()], 0) == ["stop"]
    assert said(orders, [], 1) == []


def test_a_signal_alone_is_an_order_that_says_who_gave_it() -> None:
    (stop,) = Orders().stops([], [TERM])
    assert (stop.outcome, stop.reason, stop.detail) == (
        "stopped",
        "signal",
        "stopped by SIGTERM from pid 4242 (uid 1000)",
    )


def test_a_person_and_the_runner_are_two_orders() -> None:
    assert said(Orders(), [Stop()], 2) == ["stop", "signal"]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Lock]:
    lock = locks.take(tmp_path / "job.backup")
    assert lock is not None
    yield lock
    os.close(lock.fd)


def leave(lock: Lock, stop: Stop, number: str = "1", run_id: str = "run-1") -> None:
    locks.write_order(Path(lock.path), order_of(run_id, stop, number))


PERSON = Stop(2.5, "stopped", "person", "stopped by root: it hangs")


def test_an_order_in_the_lock_file_says_what_a_signal_means(held: Lock) -> None:
    leave(held, PERSON)
    assert Orders("run-1", [held.fd]).stops([], [TERM]) == [PERSON]


def test_an_order_is_not_obeyed_before_its_signal_has_come(held: Lock) -> None:
    leave(held, PERSON)
    orders = Orders("run-1", [held.fd])
    assert orders.stops([], []) == []
    assert orders.stops([], [TERM]) == [PERSON]


def test_a_second_order_of_the_same_words_is_another_one(held: Lock) -> None:
    orders = Orders("run-1", [held.fd])
    leave(held, PERSON, "1")
    assert orders.stops([], [TERM]) == [PERSON]
    leave(held, PERSON, "2")
    assert orders.stops([], [TERM]) == [PERSON]


def test_an_order_that_was_obeyed_does_not_explain_the_next_signal(held: Lock) -> None:
    orders = Orders("run-1", [held.fd])
    leave(held, PERSON)
    orders.stops([], [TERM])
    assert said(orders, [], 1) == ["signal"]


def test_an_order_for_an_earlier_run_under_the_lock_is_none(held: Lock) -> None:
    leave(held, PERSON, run_id="run-0")
    assert said(Orders("run-1", [held.fd]), [], 1) == ["signal"]


def test_an_order_whose_signal_melted_into_that_of_a_message_is_obeyed_all_the_same(held: Lock) -> None:
    leave(held, PERSON)
    assert said(Orders("run-1", [held.fd]), [Stop()], 1) == ["stop", "person"]


def test_a_guard_that_has_let_go_reads_no_orders(held: Lock) -> None:
    orders = Orders("run-1", [held.fd])
    orders.close()
    leave(held, PERSON)
    assert said(orders, [], 1) == ["signal"]


def test_the_order_is_read_from_the_runs_own_lock_alone(held: Lock, tmp_path: Path) -> None:
    shared = locks.take(tmp_path / "lock.database")
    assert shared is not None
    leave(shared, PERSON)
    assert said(Orders("run-1", [held.fd, shared.fd]), [], 1) == ["signal"]
    os.close(shared.fd)


@pytest.mark.parametrize(
    "wrong", [{"outcome": "fine"}, {"outcome": 3}, {"kill_after": "soon"}, {"detail": None}, {"outcome": ["stopped"]}]
)
def test_an_order_that_makes_no_sense_is_none(wrong: dict[str, object]) -> None:
    assert stop_in(order_of("run-1", PERSON, "1"), "run-1") == PERSON
    assert stop_in(order_of("run-1", PERSON, "1") | wrong, "run-1") is None


def test_an_order_may_say_more_than_this_version_knows() -> None:
    assert stop_in(order_of("run-1", PERSON, "1") | {"weather": "fine"}, "run-1") == PERSON


@pytest.mark.parametrize("name", ["sh", "a b", "a) R 1 (b", "(", ")", "new\nline"])
def test_a_process_may_have_any_name(name: str) -> None:
    line = f"42 ({name}) S 1 40 39 34816 42 4194304 " + "0 " * 8 + "20 0 3 0 777 0 0\n"
    stat = parse_stat(line.encode())
    assert stat[:6] == (42, name, "S", 1, 40, 39)
    assert (stat.threads, stat.start_time) == (3, 777)


def test_a_process_whose_main_thread_has_ended_lives_on_in_the_others() -> None:
    with open("/proc/self/stat", "rb") as file:
        here = parse_stat(file.read())
    assert (here.pid, here.is_alive) == (os.getpid(), True)
    assert not here._replace(state="Z", threads=1).is_alive
    assert here._replace(state="Z", threads=2).is_alive


def test_a_channel_can_be_polled() -> None:
    ours, theirs = make_channel()
    assert isinstance(ours, Channel)
    assert ours.fileno() >= 0
    ours.close()
    theirs.close()

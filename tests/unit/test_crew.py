"""The guards of one runner: how long it waits for them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from runjobs.runner.crew import Crew


def test_a_turn_waits_for_news_even_if_nothing_is_to_be_done_for_years() -> None:
    ledger = cast("Any", SimpleNamespace(record=lambda *_: []))
    crew = Crew(ledger, lambda _: None, lambda: datetime(2026, 11, 20, tzinfo=UTC))
    reading, writing = os.pipe()
    os.write(writing, b"news")
    heard: list[bytes] = []
    crew.listen(reading, lambda: heard.append(os.read(reading, 4)))
    crew.turn(3 * 366 * 86_400.0)  # epoll_wait(2) takes some 24 days at the most
    crew.selector.close()
    for fd in (reading, writing):
        os.close(fd)
    assert heard == [b"news"]

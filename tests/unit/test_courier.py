"""What a sender does with a letter before any channel has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.core.letter import Delivery, Kind, Letter
from runjobs.core.receivers import parse_receivers
from runjobs.runner.sender import Courier

if TYPE_CHECKING:
    from runjobs.core.receivers import Receiver

TROUBLE = "the secrets in /etc/runjobs/secrets can't be read: others can read them"


def carried(receiver: str, trouble: str) -> tuple[Delivery, list[Receiver]]:
    asked: list[Receiver] = []

    def deliver(one: Receiver, *_: Any) -> Delivery:  # noqa: ANN401 (the rest of a delivery)
        asked.append(one)
        return Delivery("sent", "", None)

    (one,) = parse_receivers(receiver)
    letter = Letter("run.failure.1", Kind.FAILURE, "backup", {})
    return Courier(deliver, {}, Path("/logs"), trouble).carry(one, letter), asked


@pytest.mark.parametrize("receiver", ["mail:ops@example.org", "webhook:https://example.org/hook", "ping:@HC"])
def test_where_the_secrets_can_not_be_read_nothing_goes_another_way_than_they_say(receiver: str) -> None:
    delivery, asked = carried(receiver, TROUBLE)
    assert (delivery.verdict, delivery.detail, asked) == ("later", TROUBLE, [])


@pytest.mark.parametrize(("receiver", "trouble"), [("command:/usr/bin/page", TROUBLE), ("mail:ops@example.org", "")])
def test_what_needs_no_secret_is_told(receiver: str, trouble: str) -> None:
    delivery, asked = carried(receiver, trouble)
    assert (delivery.verdict, len(asked)) == ("sent", 1)

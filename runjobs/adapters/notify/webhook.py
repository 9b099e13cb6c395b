"""Web hooks: JSON of ours, or in the shapes that Slack and ntfy take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runjobs.adapters.notify.asking import Question, judge, post
from runjobs.core.addresses import read_url
from runjobs.core.lettertext import chat, payload, push

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.adapters.notify.dialing import Deadline
    from runjobs.core.addresses import Url
    from runjobs.core.letter import Delivery, Letter
    from runjobs.core.receivers import Receiver


def send(receiver: Receiver, letter: Letter, settings: Mapping[str, str], deadline: Deadline) -> Delivery:
    """POST the letter, with its key in `Idempotency-Key`, so that a repeat can be known for one."""
    url, said = _shaped(receiver, letter)
    headers = {"Content-Type": "application/json", "Idempotency-Key": letter.key}
    token = dict(receiver.options).get("token")
    private = {"Authorization": f"Bearer {token}"} if token else {}
    return judge(post(Question(url, json.dumps(said).encode(), headers, private), settings, deadline))


def _shaped(receiver: Receiver, letter: Letter) -> tuple[Url, dict[str, Any]]:
    url = read_url(receiver.address)
    if receiver.kind == "slack":
        return url, chat(letter)
    if receiver.kind == "ntfy":  # its JSON is taken at the root of the server, and names the topic
        root, _, topic = url.target.partition("?")[0].rstrip("/").rpartition("/")
        return url._replace(target=f"{root}/"), push(letter, topic)
    return url, payload(letter)

"""Receivers: who is told, as `notify=` names them, and what of them may be shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.addresses import is_address, is_tokenlike, read_addresses, read_url
from runjobs.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# each kind, and the options that it knows
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "mail": ("from",),
    "webhook": ("token",),
    "slack": (),
    "ntfy": ("token",),
    "ping": (),
    "command": (),
}
_EXAMPLES: Final = {
    "webhook": "webhook:@OPS_HOOK",
    "slack": "slack:@TEAM_HOOK",
    "ntfy": "ntfy:https://ntfy.sh/topic",
    "ping": "ping:@HC_BACKUP",
    "command": "command:/usr/local/bin/tell",
}
# what other tools call it
_SYNONYMS: Final = {
    "email": "mail",
    "mailto": "mail",
    "healthchecks": "ping",
    "hook": "webhook",
    "exec": "command",
    "cmd": "command",
    "http": "webhook",
    "https": "webhook",
}
_REFERENCE: Final = re.compile(r"@([A-Za-z_][A-Za-z0-9_]*)")
_KIND: Final = re.compile(r"([A-Za-z]+):")
_WRITTEN: Final = re.compile(
    r"(?:([A-Za-z]+):)?(https?://)((?:(?!,[A-Za-z]+:)[^\s\"';])*)"
)  # a URL, perhaps with its kind

_LITERAL: Final = re.compile(r"(;token=)(?!@)([^\s\"';,]+)")


class Receiver(NamedTuple):
    """Who is told: the kind of channel, the address as it was written, and options.

    An address `@NAME` stands among the secrets; "", which only mail has, is the job's MAILTO.
    """

    kind: str
    address: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """How it is written: `parse_receivers` reads it back. Not to be shown."""
        return self._written(self.address)

    @property
    def name(self) -> str:
        """What may be shown of it: never a secret, and told apart from others."""
        return self._written(_veiled(self.address)) if has_secret(self) else self.text

    def _written(self, address: str) -> str:
        words = [f"{self.kind}:{address}" if address else self.kind]
        return ";".join([*words, *(f"{key}={value}" for key, value in self.options)])


def parse_receivers(text: str) -> tuple[Receiver, ...]:
    """Read `mail:ops@example.org,webhook:@OPS_HOOK`; FieldError with offsets into the text.

    A comma begins a new receiver where a kind follows it; else it belongs to the address, as in `mail:a@x.org,b@x.org`.
    """
    found: list[Receiver] = []
    for start, item in _items(text):
        try:
            receiver = _parse(item)
        except FieldError as error:
            end = start + len(item) if error.end is None else start + error.end
            raise FieldError(error.message, error.hint, start=start + error.start, end=end) from None
        if receiver in found:
            message = f"{receiver.name} stands here twice"
            raise FieldError(message, "take one out", start=start, end=start + len(item))
        found.append(receiver)
    return tuple(found)


def _items(text: str) -> Iterable[tuple[int, str]]:
    start = 0
    for match in re.finditer(",", text):
        rest = text[match.end() :]
        if _KIND.match(rest) or re.match(r"mail(?=[,;]|$)", rest):
            yield start, text[start : match.start()]
            start = match.end()
    yield start, text[start:]


def _parse(item: str) -> Receiver:
    kind = re.split("[:;]", item, maxsplit=1)[0]
    colon, rest = item[len(kind) :][:1] == ":", item[len(kind) :].removeprefix(":")
    if kind not in KINDS:
        raise _unknown(kind, item)
    address, options = (rest, ()) if kind == "command" else _options(kind, rest, len(item) - len(rest))
    if not address:
        if kind == "mail" and not colon:
            return Receiver(kind, "", options)
        raise FieldError(f"{kind} has no address", f"write {_EXAMPLES.get(kind, 'mail:ops@example.org')}")
    receiver = Receiver(kind, address, options)
    if not _REFERENCE.fullmatch(address):
        try:
            check(receiver)
        except FieldError as error:
            raise FieldError(error.message, error.hint, start=len(kind) + 1) from None
    return receiver


def _unknown(kind: str, item: str) -> FieldError:
    from runjobs.core.nearest import nearest_word

    kinds = "the kinds are " + ", ".join(KINDS)
    if not item:
        return FieldError("there is no receiver here", kinds)
    if "@" in kind:
        return FieldError(f"{kind} does not say what it is", f"write mail:{item}")
    if kind in {"http", "https"}:
        return FieldError(
            "a URL does not say what is to be done with it", "write webhook:, slack:, ntfy: or ping: first"
        )
    near = _SYNONYMS.get(kind.lower()) or nearest_word(kind.lower(), KINDS)
    return FieldError(
        f"there is no kind of receiver {kind!r}", f"did you mean {near}: ?" if near else kinds, end=len(kind)
    )


def _options(kind: str, rest: str, start: int) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Split `address;key=value`; offsets of FieldErrors count from the kind's beginning."""
    address, *words = rest.split(";")
    at = start + len(address) + 1
    options: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        try:
            _check_option(kind, key, value, options)
        except FieldError as error:
            raise FieldError(error.message, error.hint, start=at, end=at + len(word)) from None
        options[key] = value
        at += len(word) + 1
    return address, tuple(options.items())


def _check_option(kind: str, key: str, value: str, before: Mapping[str, str]) -> None:
    known = KINDS[kind]
    if key in before:
        raise FieldError(f"{key} stands here twice", "take one out")
    if key not in known:
        hint = f"{kind} has {known[0]}=" if known else f"{kind} has no options"
        raise FieldError(f"{kind} has no option {key!r}", f"{hint}; in a URL write ; as %3B")
    if key == "token" and not _REFERENCE.fullmatch(value):
        raise FieldError("a token is a secret", "write token=@NAME, and NAME=… among the secrets")
    if key == "from" and not is_address(value):
        raise FieldError(f"{value!r} is no mail address", "write from=cron@example.org")


def check(receiver: Receiver) -> None:
    """Check an address, one that stood among the secrets too; FieldError names no secret."""
    if receiver.kind == "mail":
        read_addresses(receiver.address)
    elif receiver.kind == "command":
        if not receiver.address.strip() or "\0" in receiver.address:
            raise FieldError("there is no command here", f"write {_EXAMPLES['command']}")
    else:
        read_url(receiver.address)


def has_secret(receiver: Receiver) -> bool:
    """Whether the address, as it was written, holds what should stand among the secrets.

    That is a login, a piece that looks like a token, and each address of those who are pinged: who knows it can
    say that all is well.
    """
    if receiver.kind in {"mail", "command"} or _REFERENCE.fullmatch(receiver.address):
        return False
    try:
        url = read_url(receiver.address)
    except FieldError:
        return True  # who knows what it is
    return bool(url.login) or receiver.kind in {"ping", "slack"} or is_tokenlike(url.target)


def _veiled(address: str) -> str:
    """Where it leads, and a few bits of the rest, which tell nobody the rest."""
    from zlib import crc32

    try:
        url = read_url(address)
    except FieldError:
        return "..."
    return f"{url.site}/...{crc32(url.target.encode()) & 0xFFFF:04x}"


def masked(text: str) -> str:
    """A line of a jobs file with stars for each URL that is, or may be, a secret; all else stays in its place."""

    def hidden(match: re.Match[str]) -> str:
        kind, scheme, rest = match.groups()
        if kind in KINDS and not has_secret(Receiver(kind, scheme + rest)):
            return match[0]
        return match[0][: len(match[0]) - len(rest)] + "*" * len(rest)

    return _LITERAL.sub(lambda match: match[1] + "*" * len(match[2]), _WRITTEN.sub(hidden, text))


def shown(text: str) -> str:
    """The value of a `notify=` as others may see it."""
    try:
        return ",".join(receiver.name for receiver in parse_receivers(text))
    except FieldError:
        return masked(text)


def references(receiver: Receiver) -> tuple[str, ...]:
    """The names of the secrets that it needs."""
    values = [receiver.address, *(value for key, value in receiver.options if key == "token")]
    return tuple(match[1] for match in map(_REFERENCE.fullmatch, values) if match)


def resolved(receiver: Receiver, secrets: Mapping[str, str]) -> Receiver:
    """The receiver with its secrets in their places; FieldError names the one that is not there, or can't be used."""
    names = references(receiver)
    missing = [name for name in names if not secrets.get(name)]
    if missing:
        hint = f"put {missing[0]}=… into the file that RUNJOBS_SECRETS names, or set it for the runner"
        raise FieldError(f"the secret {missing[0]} is not set", hint)
    found = receiver._replace(
        address=_filled(receiver.address, secrets),
        options=tuple((key, _filled(value, secrets) if key == "token" else value) for key, value in receiver.options),
    )
    try:
        check(found)
    except FieldError as error:
        where = f"the secret {names[0]}: " if names else ""
        message = error.message if found.kind != "mail" or not names else "there is no list of mail addresses in it"
        raise FieldError(f"{where}{message}", error.hint) from None
    return found


def _filled(text: str, secrets: Mapping[str, str]) -> str:
    match = _REFERENCE.fullmatch(text)
    return secrets[match[1]].strip() if match else text


def addressed(receivers: tuple[Receiver, ...], environment: Mapping[str, str], owner: str) -> tuple[Receiver, ...]:
    """Receivers with `mail` alone turned into what a job's MAILTO and MAILFROM say, as cron has it.

    Without MAILTO it is the owner, who the job runs as; `MAILTO=""` is nobody.
    """
    return tuple(filter(None, (_addressed(receiver, environment, owner) for receiver in receivers)))


def _addressed(receiver: Receiver, environment: Mapping[str, str], owner: str) -> Receiver | None:
    if receiver.kind != "mail":
        return receiver
    address = receiver.address or environment.get("MAILTO", owner).strip()
    sender = environment.get("MAILFROM", "").strip()
    if not address:
        return None
    options = receiver.options or ((("from", sender),) if sender else ())
    return Receiver("mail", address, options)

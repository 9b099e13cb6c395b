"""Addresses: mail addresses and URLs as people write them, and which of them give a secret away."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from runjobs.core.errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Iterable

# printable ASCII without the quotes, comments and lists of RFC 5322; nothing that a mail program takes for an option
_ADDRESS: Final = re.compile(r"[!#$%&'*+./0-9=?A-Z^_`a-z{|}~][!#$%&'*+./0-9=?A-Z^_`a-z{|}~-]*(?:@[A-Za-z0-9.-]+)?")
_URL: Final = re.compile(
    r"(https?)://(?:([^/?#@\s]*)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?((?:[/?][!-\"$-~]*)?)"
)
# a piece of a URL that nobody would choose as a name (a UUID, or letters and digits in no order), or says what it is
_TOKEN: Final = re.compile(
    r"(?=[A-Za-z_]*[0-9])(?=[0-9_]*[A-Za-z])[A-Za-z0-9_]{16,}|[0-9A-Fa-f-]{32,}"
    r"|[?&](?:api_?key|auth|key|password|secret|sig|signature|(?:access_)?token)=[^&]",
    re.IGNORECASE,
)
_PORTS: Final = {"http": 80, "https": 443}
_PAST_PORTS: Final = 2**16
_SHORT: Final = 4  # characters: to hide what is shorter would take words apart


class Url(NamedTuple):
    """An http or https URL in its parts; `target` is path and query, `login` what stands before the @."""

    scheme: str
    login: str
    host: str
    port: int
    target: str

    @property
    def site(self) -> str:
        """Scheme and host, with the port where it is not the usual one: what may be shown of it."""
        return f"{self.scheme}://{self.place}"

    @property
    def place(self) -> str:
        """Host and port, as a `Host` header has them."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"


def read_url(text: str) -> Url:
    """Read an http or https URL; FieldError quotes nothing of it, since all of it may be secret."""
    match = _URL.fullmatch(text)
    port = int(match[4]) if match and match[4] else None
    if match is None or (port is not None and not 0 < port < _PAST_PORTS):
        raise FieldError("this is no http or https URL", "write https://host/path, with %XX for what is not ASCII")
    target = match[5] if match[5].startswith("/") else f"/{match[5]}"
    return Url(match[1], match[2] or "", match[3].lower(), port or _PORTS[match[1]], target)


def is_tokenlike(target: str) -> bool:
    """Whether a piece of a URL's path or query looks like a secret rather than like a name."""
    return _TOKEN.search(target) is not None


def is_address(text: str) -> bool:
    """Whether this is one mail address, or the name of a user."""
    return _ADDRESS.fullmatch(text) is not None


def read_addresses(text: str) -> tuple[str, ...]:
    """Read mail addresses with commas or blanks between them, as MAILTO has them; a user's name is one as well."""
    found: list[str] = []
    hint = "write ops@example.org, or the name of a user"
    for match in re.finditer(r"[^\s,]+", text):
        if not is_address(match[0]):
            raise FieldError(f"{match[0]!r} is no mail address", hint, start=match.start(), end=match.end())
        found.append(match[0])
    if not found:
        raise FieldError("there is no mail address here", hint)
    return tuple(found)


def hide(text: str, secrets: Iterable[str], mark: str = "...") -> str:
    """Take secrets out of a text, the longest first; what is shorter than 4 characters stays."""
    for secret in sorted({secret for secret in secrets if len(secret) >= _SHORT}, key=len, reverse=True):
        text = text.replace(secret, mark)
    return text

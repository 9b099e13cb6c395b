"""What looks like a secret in a configuration: found, so that it can be pointed out, and hidden where text is shown."""

from __future__ import annotations

import re

_NAMES = r"PASSW(?:OR)?D|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|DSN"
_NAME = re.compile(_NAMES, re.IGNORECASE)
_NAMED = re.compile(rf"""(\w*(?:{_NAMES})\w*["']?[ \t]*[=:][ \t]*)(?:"[^"]*"|'[^']*'|[^\s"']+)""", re.IGNORECASE)
# yacron's lists of variables: name and value are entries of their own, on one line or on two
_LISTED = rf"""key["']?:[ \t]*["']?\w*(?:{_NAMES})\w*["']?"""
_VALUE = r"""(value["']?:[ \t]*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}}]+)"""
_NEXT = r"[ \t]*(?:,|\n[#\s]*)[ \t]*"
_NAME_FIRST = re.compile(rf"({_LISTED}{_NEXT})" + _VALUE, re.IGNORECASE)
_VALUE_FIRST = re.compile(_VALUE + rf"({_NEXT}{_LISTED})", re.IGNORECASE)
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
HIDDEN = "(hidden)"
# names that speak of a secret's place, which is none
_PLACE = re.compile(r"(?:_FILE|_PATH|_DIR|FILE)$", re.IGNORECASE)


def is_secret(name: str, value: str) -> bool:
    """Tell whether a variable looks like a secret, by its name, or by a password in a URL."""
    named = _NAME.search(name) is not None and _PLACE.search(name) is None
    return bool(value) and (named or _IN_URL.search(value) is not None)


def hide(text: str) -> str:
    """Return text with all that looks like a secret's value taken out."""
    text = _VALUE_FIRST.sub(rf"\1{HIDDEN}\2", _NAME_FIRST.sub(rf"\1\2{HIDDEN}", text))
    return _IN_URL.sub(rf"\1{HIDDEN}", _NAMED.sub(rf"\1{HIDDEN}", text))


def has_secret(text: str) -> bool:
    """Tell whether `hide` would take something out."""
    return hide(text) != text

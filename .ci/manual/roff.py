"""Markdown as our documents use it, as man(7): paragraphs, lists, code, and tables as lists of what they define."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

READER = MarkdownIt("commonmark").enable("table")
_FONTS = {"strong_open": r"\fB", "strong_close": r"\fR", "em_open": r"\fI", "em_close": r"\fR"}
_BREAKS = {".PP", ".br"}
_SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}


class Section(NamedTuple):
    """A part of a document below one heading of the second level: its title, and its tokens without that heading."""

    title: str
    tokens: list[Token]


def sections(markdown: str) -> list[Section]:
    """Split a document by its headings of the second level; what stands before them has no title."""
    found = [Section("", [])]
    tokens = READER.parse(markdown)
    for at, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            found.append(Section(tokens[at + 1].content, []))
        else:
            found[-1].tokens.append(token)
    return [part._replace(tokens=part.tokens if not part.title else part.tokens[2:]) for part in found]


def escaped(text: str) -> str:
    """Return plain text as roff has it."""
    plain = "".join(_SPECIAL.get(char, char if char.isascii() else rf"\[u{ord(char):04X}]") for char in text)
    return re.sub(r"^(?=[.'])", r"\&", plain, flags=re.MULTILINE)


def bold(text: str) -> str:
    """Return text in bold."""
    return rf"\fB{escaped(text)}\fR"


def paragraph(text: str) -> list[str]:
    """Return a paragraph of roff text, a line for each sentence or so."""
    return [".PP", *lines(text)]


def lines(text: str) -> list[str]:
    """Break roff text into lines: they may be broken at any blank, and a line must not begin as a request does."""
    found = [""]
    for word in text.split():
        if len(found[-1]) + len(word) > 78:  # noqa: PLR2004 (columns, so that a difference can be read)
            found.append("")
        found[-1] = f"{found[-1]} {word}".strip()
    return [rf"\&{line}" if line.startswith((".", "'")) else line for line in found if line]


def verbatim(text: str) -> list[str]:
    """Return lines that stay as they are."""
    return [".PP", ".RS 4", ".EX", *(escaped(line) for line in text.rstrip("\n").split("\n")), ".EE", ".RE"]


def defined(term: str, text: str) -> list[str]:
    """Return a term, as roff text, and what is to say of it."""
    return [".TP", term, *lines(text)]


def tidied(page: Sequence[str]) -> list[str]:
    """Return a page without the breaks that a heading makes anyway, before it or behind."""
    around = zip(("", *page), page, (*page[1:], ""), strict=False)
    return [line for before, line, after in around if not (line in _BREAKS and _is_heading(before, after))]


def _is_heading(before: str, after: str) -> bool:
    return before.startswith((".SH", ".SS")) or after.startswith((".SH", ".SS"))


def render(tokens: Sequence[Token]) -> Iterator[str]:
    """Give the lines of man(7) for a section."""
    walk = iter(tokens)
    depth = 0
    for token in walk:
        match token.type:
            case "heading_open":
                yield f".SS {inline(next(walk))}"
            case "inline" if depth:
                yield from lines(inline(token))
            case "inline":
                yield from paragraph(inline(token))
            case "fence" | "code_block":
                yield from verbatim(token.content)
            case "list_item_open":
                depth += 1
                mark = f"{token.info}." if token.info else r"\(bu"
                yield f".IP {mark} 3"
            case "list_item_close":
                depth -= 1
            case "table_open":
                yield from _table(walk)


def _table(walk: Iterator[Token]) -> Iterator[str]:
    """Give a table: the first cell of each row is the term, the others say what their column holds of it."""
    rows: list[list[Token]] = []
    for token in walk:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    head, *body = rows
    titles = [inline(cell) for cell in head]
    for term, *cells in body:
        said = [(title, inline(cell)) for title, cell in zip(titles[1:], cells, strict=True) if cell.content]
        if len(titles) == 2:  # noqa: PLR2004 (a term and its meaning)
            yield from defined(inline(term), said[0][1])
        else:
            text = "; ".join(f"{title}: {text}" for title, text in said)
            yield from defined(inline(term), text)


def inline(token: Token) -> str:
    """Return what stands inside a block, as roff text."""
    return "".join(_piece(child) for child in token.children or ())


def _piece(token: Token) -> str:
    match token.type:
        case "text":
            return escaped(token.content)
        case "code_inline":
            return bold(token.content)
        case "softbreak" | "hardbreak":
            return " "
    return _FONTS.get(token.type, "")

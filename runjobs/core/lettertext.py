"""What letters say: a headline, a text for people, and the JSON that each kind of web hook takes."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from runjobs.core.duration import format_duration
from runjobs.core.letter import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runjobs.core.letter import Letter

LONGEST_SUBJECT: Final = 200  # characters; mail programs show some 70, and a line of a mail can have 998, RFC 5322
LONGEST_CHAT: Final = 3_000  # characters of output in a chat: a text block of Slack's has no room for more
LONGEST_PUSH: Final = 3_900  # bytes: ntfy makes a file of a message past 4,096
# how the facts are called in a letter to people, in the order in which they stand there
LABELS: Final = {
    "job": "job",
    "run": "run",
    "outcome": "outcome",
    "reason": "reason",
    "detail": "detail",
    "exit_code": "exit code",
    "signal": "signal",
    "attempt": "attempt",
    "scheduled_at": "scheduled",
    "started_at": "started",
    "ended_at": "ended",
    "seconds": "took",
    "usual_seconds": "usually takes",
    "failures": "failures in a row",
    "last_success": "last success",
    "next_fire": "next fire",
    "schedule": "schedule",
    "command": "command",
    "user": "user",
    "host": "host",
}
_URGENT: Final = frozenset({Kind.FAILURE, Kind.MISSED})
_TAGS: Final = {
    Kind.FAILURE: "x",
    Kind.MISSED: "hourglass",
    Kind.RECOVERY: "white_check_mark",
    Kind.SUCCESS: "white_check_mark",
    Kind.SLOW: "snail",
}  # the short codes of emojis, as ntfy knows them
_PLURALS: Final = {"failure": "failures", "recovery": "recoveries", "success": "successes", "start": "starts"}
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def clean(text: str) -> str:
    """Text that every mail program and every JSON parser takes: no control characters, no lone surrogates."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n")).encode("utf-8", "replace").decode("utf-8")


def line(text: str, longest: int = LONGEST_SUBJECT) -> str:
    """One line of it: blanks run together, and what is too long is cut."""
    whole = " ".join(clean(text.replace("\r", " ")).split())
    return whole if len(whole) <= longest else f"{whole[: longest - 3]}..."


def headline(letter: Letter) -> str:
    """What happened, in one line."""
    return line(_headline(letter.kind, letter.job, letter.facts))


def _headline(kind: Kind, job: str, facts: Mapping[str, Any]) -> str:
    why = str(facts.get("detail") or facts.get("reason") or "")
    because = f": {why}" if why else ""
    match kind:
        case Kind.FAILURE:
            return f"{job} {_went(facts)}{because}{_again(facts)}"
        case Kind.RECOVERY:
            return f"{job} is well again{_after(facts)}"
        case Kind.SUCCESS:
            return f"{job} ok{_took(facts)}"
        case Kind.MISSED:
            return f"{job} missed{because}"
        case Kind.SLOW:
            return f"{job} was slow{because or _slow(facts)}"
        case Kind.START:
            return f"{job} has started"
        case Kind.DIGEST:
            return _counts(facts)
    return f"a test by runjobs on {facts.get('host') or 'this machine'}: news of jobs arrives here"


def _went(facts: Mapping[str, Any]) -> str:
    outcome = str(facts.get("outcome") or "failed")
    return {"timeout": "ran into its timeout", "interrupted": "was interrupted", "stopped": "was stopped",
            "error": "could not start"}.get(outcome, outcome)  # fmt: skip


def _again(facts: Mapping[str, Any]) -> str:
    failures = facts.get("failures", 0)
    return f" ({failures} failures in a row)" if failures > 1 else ""


def _after(facts: Mapping[str, Any]) -> str:
    failures = facts.get("failures", 0)
    if not failures:
        return ""
    return f" after {failures} failures" if failures > 1 else " after a failure"


def _took(facts: Mapping[str, Any]) -> str:
    return f", it took {_span(facts['seconds'])}" if "seconds" in facts else ""


def _slow(facts: Mapping[str, Any]) -> str:
    usual = f" instead of {_span(facts['usual_seconds'])}" if "usual_seconds" in facts else ""
    return f"{_took(facts)}{usual}"


def _counts(facts: Mapping[str, Any]) -> str:
    letters: list[dict[str, Any]] = facts.get("letters", [])
    kinds = facts.get("kinds") or Counter(str(each.get("kind")) for each in letters)
    total = facts.get("number") or len(letters) + facts.get("left_out", 0)
    told = ", ".join(f"{count} {_PLURALS.get(kind, kind) if count != 1 else kind}" for kind, count in kinds.items())
    return f"{total} pieces of news: {told}"


def _span(seconds: float) -> str:
    """A duration to three digits or so: nobody reads the milliseconds of an hour."""
    exact = timedelta(milliseconds=round(seconds * 1000)) if seconds < 60 else timedelta(seconds=round(seconds))  # noqa: PLR2004
    return format_duration(exact)


def subject(letter: Letter) -> str:
    """The subject of a mail: `Cron <user@host> `, which filters look for, what happened, and the command."""
    user, host = (str(letter.facts.get(name) or "?") for name in ("user", "host"))
    command = f" -- {letter.facts['command']}" if letter.facts.get("command") else ""
    return line(f"Cron <{user}@{host}> {headline(letter)}{command}")


def body(letter: Letter) -> str:
    """The text of a letter to people, with a newline at its end."""
    parts = [headline(letter), _told(letter), _output(letter.facts)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _told(letter: Letter) -> str:
    if letter.kind is Kind.DIGEST:
        return "\n".join(_each(letter.facts))
    facts = letter.facts | {
        name: _span(letter.facts[name]) for name in ("seconds", "usual_seconds") & letter.facts.keys()
    }
    rows = [(label, line(str(facts[name]), 500)) for name, label in LABELS.items() if facts.get(name, "") != ""]
    width = max((len(label) for label, _ in rows), default=0) + 3
    return "\n".join(f"{label + ':':{width}}{value}" for label, value in rows)


def _each(facts: Mapping[str, Any]) -> list[str]:
    rows = [_row(each) for each in facts.get("letters", [])]
    left = facts.get("left_out", 0)
    return [*rows, *([f"and {left} more, see runjobs history"] if left else [])]


def _row(facts: Mapping[str, Any]) -> str:
    told = _headline(Kind(facts["kind"]), str(facts.get("job", "?")), facts)
    when = facts.get("ended_at") or facts.get("scheduled_at")
    return line(f"{when} {told}" if when else told, 300)


def _output(facts: Mapping[str, Any]) -> str:
    log = clean(str(facts.get("log") or "")).strip("\n")
    return f"The end of its output:\n\n{log}" if log.strip() else ""


def payload(letter: Letter) -> dict[str, Any]:
    """What a web hook is sent: `key`, `kind`, `title`, and the facts."""
    return {"key": clean(letter.key), "kind": letter.kind.value, "title": headline(letter), **_cleaned(letter.facts)}


def _cleaned(value: Any) -> Any:  # noqa: ANN401 (whatever JSON knows)
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(name)): _cleaned(each) for name, each in value.items()}
        case list() | tuple():
            return [_cleaned(each) for each in value]
    return value


def chat(letter: Letter) -> dict[str, Any]:
    """What Slack, and what understands the same, takes: a `text` with a little markup."""
    told = [f"*{_escaped(headline(letter))}*"]
    if letter.kind is Kind.DIGEST:
        told.append(_escaped("\n".join(_each(letter.facts)))[:LONGEST_CHAT])
    elif where := " on ".join(
        _escaped(line(str(letter.facts[name]))) for name in ("schedule", "host") if name in letter.facts
    ):
        told.append(where)
    if log := clean(str(letter.facts.get("log") or "")).strip():
        told.append("```\n" + _escaped(log[-LONGEST_CHAT:].replace("```", "'''")) + "\n```")
    return {"text": "\n".join(told)}


def _escaped(text: str) -> str:
    """The three characters that mean something to Slack, so that no output can mention @channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def push(letter: Letter, topic: str) -> dict[str, Any]:
    """What ntfy takes as JSON."""
    text = body(letter).partition("\n\n")[2] or headline(letter)
    whole = text.encode()
    if len(whole) > LONGEST_PUSH:
        text = whole[:LONGEST_PUSH].decode("utf-8", "ignore") + "..."
    facts: dict[str, Any] = {"topic": topic, "title": headline(letter), "message": text}
    if letter.kind in _URGENT:
        facts["priority"] = 4  # of 5: a sound, and a place on the screen
    return facts | ({"tags": [_TAGS[letter.kind]]} if letter.kind in _TAGS else {})


def variables(letter: Letter) -> dict[str, str]:
    """The facts as variables of a command: `RUNJOBS_` and the fact's name; the run's id as a job knows it.

    Output and digests are no variables, since a variable can't be long: a command has them on its standard input.
    """
    facts = {name: value for name, value in letter.facts.items() if name not in {"log", "letters", "kinds"}}
    named = {"RUNJOBS_RUN_ID" if name == "run" else f"RUNJOBS_{name.upper()}": value for name, value in facts.items()}
    told = {"RUNJOBS_KEY": clean(letter.key), "RUNJOBS_KIND": letter.kind.value, "RUNJOBS_TITLE": headline(letter)}
    words = {name: clean(str(value))[:10_000] for name, value in named.items() if value is not None}
    return words | told | ({"RUNJOBS_JOB": clean(letter.job)} if letter.job else {})

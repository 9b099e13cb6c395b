"""The table of option keys: values read, mistakes pointed at."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runjobs.core.errors import FieldError
from runjobs.core.job import DAY, MINUTE, Base, Catchup, Leftovers, OnInterrupt, Options, Overlap, Pool
from runjobs.core.options import OPTIONS, find_option


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("name", "a/b", "a/b"),
        ("timeout", "30m", 30 * MINUTE),
        ("timeout", "none", None),
        ("kill-after", "0s", timedelta(0)),
        ("overlap", "allow", Overlap.ALLOW),
        ("lock", "db", "db"),
        ("pool", "up/loads:3", Pool("up/loads", 3)),
        ("after", "a", ("a",)),
        ("after", "dump,a/b", ("dump", "a/b")),
        ("retries", "0", 0),
        ("retry-delay", "366d", 366 * DAY),
        ("retry-on", "75,100-102,timeout", frozenset({75, 100, 101, 102, "timeout"})),
        ("on-interrupt", "rerun", OnInterrupt.RERUN),
        ("catchup", "all", Catchup.ALL),
        ("keep-for", "90d", 90 * DAY),
        ("keep-for", "none", None),
        ("success-codes", "0", frozenset({0})),
        ("success-codes", "0,2,10-12", frozenset({0, 2, 10, 11, 12})),
        ("start-within", "1h30m", 90 * MINUTE),
        ("jitter", "0s", timedelta(0)),
        ("tz", "Europe/Berlin", "Europe/Berlin"),
        ("user", "www-data", "www-data"),
        ("user", "1000", "1000"),
        ("user", r"CORP\ann@example", r"CORP\ann@example"),
        ("cwd", "/srv/my app", "/srv/my app"),
        ("umask", "027", 0o27),
        ("umask", "0", 0),
        ("umask", "0777", 0o777),
        ("env-file", "/etc/x.env", "/etc/x.env"),
        ("env", "clean", Base.CLEAN),
        ("nice", "-20", -20),
        ("nice", "+5", 5),
        ("leftovers", "kill", Leftovers.KILL),
        ("log-limit", "4096", 4096),
        ("log-limit", "64k", 64_000),
        ("log-limit", "10M", 10_000_000),
        ("log-limit", "1GB", 10**9),
        ("log-limit", "1Gi", 2**30),
        ("keep", "1", 1),
        ("enabled", "no", False),
        ("enabled", "yes", True),
        ("fields", "7", 7),
        ("user-column", "yes", True),
    ],
)
def test_a_value_is_read(key: str, text: str, value: object) -> None:
    assert find_option(key).parse(text) == value


@pytest.mark.parametrize(
    ("key", "text", "said", "hint"),
    [
        ("timeout", "0s", "more than 0", "30s"),
        ("timeout", "30", "not a duration", "30m"),
        ("start-within", "0s", "more than 0", "30s"),
        ("overlap", "skp", "'skp' is not a choice", "skip or queue or replace or allow"),
        ("pool", "uploads", "does not say how many", "pool=uploads:2"),
        ("pool", "", "does not say how many", "pool=uploads:2"),
        ("pool", "uploads:0", "from 1 to 1000", "1000"),
        ("pool", ":2", "can't be empty", "name=backup"),
        ("after", "", "can't be empty", "name=backup"),
        ("after", "a,b c", "contain ' '", "letters"),
        ("after", "a,b,a", "a stands here twice", "take one out"),
        ("retries", "-1", "from 0 to 1000", "1000"),
        ("retry-delay", "367d", "longer than a year", "366d"),
        ("retry-on", "75,tmeout", "'tmeout' is no way for a run to go wrong", "signal, timeout, error"),
        ("retry-on", "1,256", "from 0 to 255", "255"),
        ("catchup", "yes", "'yes' is not a choice", "none or last or all"),
        ("keep-for", "0s", "more than 0", "30s"),
        ("lock", "a b", "contain ' '", "letters"),
        ("success-codes", "", "not a whole number from 0 to 255", "255"),
        ("success-codes", "5-2", "backwards", "2-5"),
        ("tz", "", "empty", "Europe/Berlin"),
        ("user", "", "empty", "name"),
        ("user", "a:b", "can't be a user name", "name"),
        ("user", "-x", "can't be a user name", "name"),
        ("cwd", "srv", "not an absolute path", "begin it with /"),
        ("env-file", "~/x", "not an absolute path", "begin it with /"),
        ("umask", "8", "not an octal mask", "octal"),
        ("umask", "07777", "not an octal mask", "octal"),
        ("nice", "20", "from -20 to 19", "19"),
        ("nice", "9" * 5000, "not a whole number", "19"),
        ("nice", "٣", "not a whole number", "19"),
        ("log-limit", "10X", "not a size", "10M"),
        ("keep", "0", "from 1 to", "1"),
        ("enabled", "true", "neither yes nor no", "yes or no"),
        ("fields", "8", "from 5 to 7", "5 to 7"),
    ],
)
def test_a_bad_value_is_refused_with_the_way_out(key: str, text: str, said: str, hint: str) -> None:
    with pytest.raises(FieldError) as caught:
        find_option(key).parse(text)
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_bad_item_of_a_list_is_pointed_at_alone() -> None:
    with pytest.raises(FieldError) as caught:
        find_option("success-codes").parse("0,2,999,7")
    assert (caught.value.start, caught.value.end) == (4, 7)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("tmeout", "timeout"),
        ("Timeout", "timeout"),
        ("kill_after", "kill-after"),
        ("timezone", "tz"),
        ("working-directory", "cwd"),
        ("success-code", "success-codes"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_right_word(key: str, meant: str) -> None:
    with pytest.raises(FieldError, match=f"no option '{key}'") as caught:
        find_option(key)
    assert caught.value.hint == f"did you mean {meant}?"


def test_a_key_like_no_other_is_answered_with_all_of_them() -> None:
    with pytest.raises(FieldError) as caught:
        find_option("xyzzy")
    assert all(key in caught.value.hint for key in OPTIONS)


def test_each_key_but_those_of_the_line_is_a_field_of_options_with_the_same_default() -> None:
    plain = Options()
    for option in OPTIONS.values():
        if option.key in {"name", "fields", "user-column"}:
            continue
        without = () if option.key == "after" else None
        expected = option.parse(option.default) if option.default else without
        assert getattr(plain, option.key.replace("-", "_")) == expected, option.key


def test_each_example_in_the_table_is_right() -> None:
    for option in OPTIONS.values():
        key, equals, value = option.example.partition("=")
        assert key == option.key
        if equals:
            option.parse(value)
        assert option.doc.endswith(".")

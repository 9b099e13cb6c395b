"""Metrics: what is counted of jobs as text, in both formats, and who gets which; addresses to serve it on."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from runjobs.core.endpoint import Endpoint, parse_endpoint
from runjobs.core.errors import FieldError
from runjobs.core.metrics import CHUNK, ONCES, OUTCOMES, Build, Counted, Lag, Style, Tally, pieces, style_for
from runjobs.core.names import ONCE_PREFIX
from runjobs.core.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILD = Build("0.1.0", "3.14.0")
NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
LAGS = (Lag(10, 3, 12), Lag(1000, 2, 800), Lag(None, 1, 7_200_000))
TALLY = Tally((5, 2, 0, 0, 0, 1, 0, 4), 1, 1_000_250, 1_000_500, 1_500, 3)
BACKUP = Counted("backup", TALLY, NOON)
NEW = Counted("new")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def text(jobs: Sequence[Counted] = (BACKUP, NEW), lags: Sequence[Lag] = LAGS, style: Style = Style.TEXT) -> str:
    return "".join(pieces(jobs, lags, BUILD, style))


def samples(exposed: str, style: Style) -> Samples:
    """The samples as the reference implementation reads them; those of what was created when are made by it."""
    read = read_openmetrics if style is Style.OPENMETRICS else read_text
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in read(exposed)
        for each in family.samples
    }


def of(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((name, tuple(sorted(labels.items()))))


@pytest.mark.parametrize("style", Style)
def test_each_metric_says_what_the_ledger_has_counted(style: Style) -> None:
    found = samples(text(style=style), style)
    counts = {outcome: of(found, "runjobs_job_runs_total", job="backup", outcome=outcome) for outcome in OUTCOMES}
    assert counts == dict(zip(OUTCOMES, TALLY.counts, strict=True))
    assert of(found, "runjobs_job_running", job="backup") == 1
    assert of(found, "runjobs_job_last_start_timestamp_seconds", job="backup") == 1000.25
    assert of(found, "runjobs_job_last_success_timestamp_seconds", job="backup") == 1000.5
    assert of(found, "runjobs_job_last_duration_seconds", job="backup") == 1.5
    assert of(found, "runjobs_job_last_exit_code", job="backup") == 3
    assert of(found, "runjobs_job_next_fire_timestamp_seconds", job="backup") == NOON.timestamp()
    assert of(found, "runjobs_build_info", version="0.1.0", python="3.14.0") == 1


@pytest.mark.parametrize("style", Style)
def test_the_histogram_of_lags_is_cumulative_and_its_last_bucket_holds_all(style: Style) -> None:
    found = samples(text(style=style), style)
    buckets = {float(dict(labels)["le"]): value for (name, labels), value in found.items() if name.endswith("_bucket")}
    assert buckets == {0.01: 3, 1.0: 5, math.inf: 6}
    assert of(found, "runjobs_fire_lag_seconds_count") == 6
    assert of(found, "runjobs_fire_lag_seconds_sum") == 7200.812


def test_a_job_that_never_ran_has_counters_at_zero_so_that_its_first_failure_is_an_increase() -> None:
    found = samples(text(), Style.TEXT)
    assert {of(found, "runjobs_job_runs_total", job="new", outcome=outcome) for outcome in OUTCOMES} == {0}
    named = {name for name, labels in found if ("job", "new") in labels}
    assert named == {"runjobs_job_runs_total", "runjobs_job_running"}  # of what never was there is no time


def test_both_formats_hold_the_same_samples_and_no_time_stamp() -> None:
    plain, open_ = text(), text(style=Style.OPENMETRICS)
    lines = [line for line in open_.splitlines() if not line.startswith("#")]
    assert [line for line in plain.splitlines() if not line.startswith("#")] == lines
    assert all(line.rpartition("}")[2].count(" ") <= 1 for line in lines)
    assert open_.endswith("\n# EOF\n")
    assert "EOF" not in plain


def test_the_bounds_of_the_histogram_read_the_same_in_both_formats() -> None:
    assert 'le="1.0"' in text()
    assert 'le="1.0"' in text(style=Style.OPENMETRICS)


def test_what_can_t_be_counted_just_now_is_left_out_and_the_rest_is_told() -> None:
    found = samples(text([BACKUP.uncounted()], []), Style.TEXT)
    assert {name for name, _ in found} == {
        "runjobs_build_info", "runjobs_job_running", "runjobs_job_next_fire_timestamp_seconds",
    }  # fmt: skip


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), st.sampled_from(Style))
def test_any_name_comes_back_as_it_is(name: str, style: Style) -> None:
    assert of(samples(text([Counted(name)], [], style), style), "runjobs_job_running", job=name) == 0


def test_many_jobs_come_in_pieces_that_are_short() -> None:
    many = [BACKUP._replace(job=f"job-{number}") for number in range(4 * CHUNK)]
    made = list(pieces(many, LAGS, BUILD, Style.OPENMETRICS))
    assert max(piece.count("\n") for piece in made) <= CHUNK * len(OUTCOMES)
    assert len(samples("".join(made), Style.OPENMETRICS)) == 4 * CHUNK * (len(OUTCOMES) + 6) + len(LAGS) + 3


def test_each_outcome_is_counted_under_its_name() -> None:
    assert tuple(outcome.value for outcome in Outcome) == OUTCOMES
    assert ONCES.startswith(ONCE_PREFIX)


@pytest.mark.parametrize(
    ("accept", "style"),
    [
        ("", Style.TEXT),
        ("*/*", Style.TEXT),
        ("text/plain;version=0.0.4", Style.TEXT),
        ("application/openmetrics-text", Style.OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Style.OPENMETRICS),
        ("text/html, Application/OpenMetrics-Text; version=1.0.0; q=0.001", Style.OPENMETRICS),
        ("application/openmetrics-text;q=0, */*", Style.TEXT),
        ("application/openmetrics-text; q=0.00 ,text/plain", Style.TEXT),
        ("application/openmetrics-textual", Style.TEXT),
    ],
)
def test_openmetrics_goes_to_those_who_ask_for_it(accept: str, style: Style) -> None:
    assert style_for(accept) is style


@pytest.mark.parametrize(
    ("words", "endpoint"),
    [
        (":9750", Endpoint("", 9750)),
        ("127.0.0.1:1", Endpoint("127.0.0.1", 1)),
        ("localhost:65535", Endpoint("localhost", 65535)),
        ("[::1]:9750", Endpoint("::1", 9750)),
        ("unix:/run/runjobs.sock", Endpoint("", 0, "/run/runjobs.sock")),
        ("unix:here", Endpoint("", 0, "here")),
    ],
)
def test_an_address_is_a_port_a_host_with_a_port_or_a_path(words: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(words) == endpoint
    assert str(endpoint) == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("9750", "'9750' is no address"),
        ("", "'' is no address"),
        ("::1:9750", "'::1:9750' is no address"),
        ("http://localhost:9750", "'http://localhost:9750' is no address"),
        (":0", "port 0 is not there"),
        (":65536", "port 65536 is not there"),
        ("unix:", "unix: names no path"),
        ("unix:a\0b", "unix: names no path"),
        (f"unix:/{'a' * 107}", "the path of a socket has at most 107 bytes"),
    ],
)
def test_what_is_no_address_is_refused_with_a_way_out(words: str, said: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_endpoint(words)
    assert caught.value.message == said
    assert caught.value.hint

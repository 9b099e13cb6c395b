"""The values that a run is made of: ids that sort, ends and their status, verdicts, lines of /proc."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runjobs.core.outcome import Exit, Outcome, Verdict, judge
from runjobs.core.procstat import parse_stat
from runjobs.core.run import EPOCH_MS, RunEnd, begun_ms, run_id

NOW = 1_795_000_000_000  # in 2026
instants = st.integers(EPOCH_MS, EPOCH_MS + 70 * 365 * 86_400_000)
STAT = (
    b"4711 (%b) S 17 4711 4700 34816 4711 4194304 1 2 3 4 5 6 7 8 20 0 %d 0 987654 1 2 3"  # as proc_pid_stat(5) has it
)


@given(instants, instants, st.integers(0, 1 << 20))
def test_ids_of_later_runs_sort_after_those_of_earlier_ones(one: int, other: int, sequence: int) -> None:
    first, second = run_id(one, sequence), run_id(other, 0)
    assert (one < other) <= (first < second)


@given(instants, st.integers(0, 1 << 20))
def test_an_id_tells_when_its_run_was_begun(now: int, sequence: int) -> None:
    assert begun_ms(run_id(now, sequence)) == now


@given(instants, st.integers(0, (1 << 14) - 2))
def test_ids_of_one_instant_are_told_apart_and_sort_by_their_sequence(now: int, sequence: int) -> None:
    assert run_id(now, sequence) < run_id(now, sequence + 1)


@given(instants, st.integers(0, 1 << 40))
def test_an_id_has_eleven_letters_and_digits_of_which_none_reads_like_another(now: int, sequence: int) -> None:
    name = run_id(now, sequence)
    assert len(name) == 11
    assert name.isalnum()
    assert not set(name) & set("ilou")
    assert name == name.lower()


def test_a_clock_that_is_years_behind_still_gives_ids() -> None:
    assert run_id(0, 5) == "00000000005"


@pytest.mark.parametrize(
    ("end", "codes", "verdict"),
    [
        (Exit(code=0), {0}, Verdict(Outcome.OK)),
        (Exit(code=3), {0, 3}, Verdict(Outcome.OK)),
        (Exit(code=0), {3}, Verdict(Outcome.FAILED, "exit", "exit code 0")),
        (Exit(code=1), {0}, Verdict(Outcome.FAILED, "exit", "exit code 1")),
        (Exit(signal=9), {0, 137, 9}, Verdict(Outcome.FAILED, "signal", "ended by signal 9")),
    ],
)
def test_success_is_a_code_that_counts_as_such_and_never_a_signal(end: Exit, codes: set[int], verdict: Verdict) -> None:
    assert judge(end, codes) == verdict


@pytest.mark.parametrize(("end", "status"), [(Exit(code=0), 0), (Exit(code=7), 7), (Exit(signal=15), 143), (Exit(), 0)])
def test_the_status_of_a_process_is_what_a_shell_shows(end: Exit, status: int) -> None:
    assert end.status == status


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (RunEnd("r", "ok", exit_code=0), 0),
        (RunEnd("r", "failed", exit_code=3), 3),
        (RunEnd("r", "failed", signal=9), 137),
        (RunEnd("r", "timeout", signal=15), 124),
        (RunEnd("r", "timeout", exit_code=0), 124),
        (RunEnd("r", "interrupted"), 1),
    ],
)
def test_the_status_of_a_run_is_that_of_its_main_process_but_124_for_a_timeout(end: RunEnd, status: int) -> None:
    assert end.status == status


def test_the_outcome_of_an_end_is_a_word_of_ours() -> None:
    assert RunEnd("r", "timeout").verdict is Outcome.TIMEOUT
    with pytest.raises(ValueError, match="great"):
        _ = RunEnd("r", "great").verdict


def test_trouble_is_all_but_ok_and_skipped() -> None:
    assert {outcome for outcome in Outcome if not outcome.is_trouble} == {Outcome.OK, Outcome.SKIPPED}


@pytest.mark.parametrize("name", [b"sh", b"a b", b"(sd-pam)", b") R 1 1 1", b"\n)", b"a\xff"])
def test_a_process_may_be_called_anything(name: bytes) -> None:
    stat = parse_stat(STAT % (name, 1))
    assert (stat.pid, stat.state, stat.parent, stat.group, stat.session) == (4711, "S", 17, 4711, 4700)
    assert (stat.threads, stat.start_time) == (1, 987654)
    assert stat.name == name.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("state", "threads", "alive"), [("S", 1, True), ("D", 1, True), ("T", 1, True), ("Z", 1, False), ("X", 1, False)]
)
def test_a_zombie_is_dead(state: str, threads: int, alive: bool) -> None:
    assert parse_stat(STAT % (b"sh", threads))._replace(state=state).is_alive is alive


def test_a_zombie_of_which_threads_go_on_is_alive() -> None:
    assert parse_stat(STAT % (b"sh", 3))._replace(state="Z").is_alive

"""The output of a run: all of it or its two ends are kept, and talking never costs a job anything."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from runjobs.adapters.joblog import read_log, tail
from tests.real.support.guarding import is_alive, output_of, run, running, wait_gone
from tests.real.support.processes import wait_until

MEGABYTE = 1_000_000
FLOOD = int(os.environ.get("FLOOD_MEGABYTES", "200")) * MEGABYTE  # 2000 is what the program promises


def test_a_flood_keeps_its_head_and_tail_and_counts_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "log"
    told = {"log": str(log), "options": {"log_limit": MEGABYTE}, "acknowledge": False}
    with running(f"yes 0123456789 | head -c {FLOOD}", **told) as guarded:
        guard = guarded.guard()
        end = guarded.end()
        peak = int(Path(f"/proc/{guard}/status").read_text().partition("VmHWM:")[2].split()[0])
    print(f"{FLOOD:,} bytes in {end.ended_at - end.started_at:.2f} s, the guard's peak {peak:,} KiB")
    assert (end.outcome, end.output_bytes) == ("ok", FLOOD)
    marker = f"[… {end.dropped_bytes:,} bytes dropped …]\n".encode()
    kept = log.read_bytes()
    assert kept.startswith(b"0123456789\n" * 1000)
    assert marker in kept
    rest = len(kept) - len(kept.partition(marker)[2]) - len(marker)
    assert rest <= MEGABYTE // 2 + 1
    assert 0.9 * MEGABYTE < FLOOD - end.dropped_bytes <= MEGABYTE
    assert os.listdir(tmp_path) == ["log"]


def test_the_tail_ends_with_the_last_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    end = run("seq 1 300000", log=str(log), options={"log_limit": 100_000})
    lines = log.read_text().splitlines()
    assert (lines[0], lines[1], lines[-1]) == ("1", "2", "300000")
    assert end.output_bytes == sum(len(str(n)) + 1 for n in range(1, 300_001))
    assert tail(str(log), 2) == b"299999\n300000\n"


def test_binary_output_is_kept_as_it_is(tmp_path: Path) -> None:
    log, copy = tmp_path / "log", tmp_path / "copy"
    end = run(f"head -c 300000 /dev/urandom | tee {copy}", log=str(log))
    assert end.outcome == "ok"
    assert log.read_bytes() == copy.read_bytes()


def test_a_long_line_without_an_end_is_kept(tmp_path: Path) -> None:
    assert output_of("printf abc; head -c 2000000 /dev/zero | tr '\\0' x", tmp_path / "log") == "abc" + "x" * 2_000_000


def test_no_output_leaves_no_log(tmp_path: Path) -> None:
    assert output_of("true", tmp_path / "logs" / "log") == ""
    assert os.listdir(tmp_path) == []


def test_logs_are_closed_to_others_and_so_are_the_folders_made_for_them(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "job" / "log"
    output_of("umask 0; echo said", log)
    assert [path.stat().st_mode & 0o777 for path in (log, log.parent, log.parent.parent)] == [0o400, 0o700, 0o700]


def test_nobody_can_have_a_log_written_through_a_link_of_theirs(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "log").symlink_to(tmp_path / "precious")
    end = run("echo said", log=str(tmp_path / "log"))
    assert (end.outcome, end.dropped_bytes) == ("ok", 5)
    assert end.detail == "its log stopped: File exists"
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_job_that_closes_its_output_at_once_is_waited_for_without_spinning() -> None:
    with running("exec >&- 2>&-; sleep 1; exit 4", acknowledge=False) as guarded:
        guard = guarded.guard()
        guarded.hear("Started")
        end = guarded.end()
        ticks = sum(map(int, Path(f"/proc/{guard}/stat").read_text().rpartition(")")[2].split()[11:13]))
    assert (end.outcome, end.exit_code) == ("failed", 4)
    assert ticks < os.sysconf("SC_CLK_TCK") // 2


def test_a_child_that_keeps_the_pipe_does_not_keep_the_run_and_is_heard_to_its_end(tmp_path: Path) -> None:
    log, gate, done = tmp_path / "log", tmp_path / "gate", tmp_path / "done"
    os.mkfifo(gate)
    command = f"(read go < {gate}; head -c 3000000 /dev/zero; echo late; touch {done}) & echo early"
    with running(command, log=str(log)) as guarded:
        guard = guarded.guard()
        end = guarded.end()
        assert (end.outcome, end.output_bytes, [name for _, name in end.leftovers]) == ("ok", 6, ["sh"])
        guarded.hear("Closed")
        assert is_alive(guard)
        gate.write_text("go\n")
        assert wait_gone(guard)
        assert done.exists()
    assert log.read_bytes() == b"early\n" + bytes(3_000_000) + b"late\n"


def test_the_locks_are_free_while_a_child_still_keeps_the_pipe(tmp_path: Path) -> None:
    lock, gate = tmp_path / "lock", tmp_path / "gate"
    os.mkfifo(gate)
    with running(f"(read go < {gate}) & exit 0", lock=str(lock)) as guarded:
        guard = guarded.guard()
        guarded.hear("Closed")
        assert is_alive(guard)
        # the stand-in took the lock, so it holds it as well until it is gone
        guarded.runner.kill()
        guarded.runner.wait()
        assert subprocess.run(["flock", "--nonblock", str(lock), "true"], check=False).returncode == 0
        gate.write_text("go\n")
        assert wait_gone(guard)


def test_a_killed_guard_leaves_a_log_that_can_be_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = "seq 1 100000; touch ready; sleep 1000"
    with running(command, log=str(log), cwd=str(tmp_path), options={"log_limit": 100_000}) as guarded:
        guard = guarded.guard()
        assert wait_until((tmp_path / "ready").exists, pause=0.01)
        assert wait_until(lambda: tail(str(log), 1) == b"100000\n", pause=0.01)
        os.kill(guard, 9)
        assert wait_gone(guard)
    text = b"".join(read_log(str(log)))
    assert text.startswith(b"1\n2\n3\n")
    assert text.endswith(b"99999\n100000\n")
    assert b"bytes dropped" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_full_disk_costs_the_log_and_not_the_run(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    told = {"small": str(small), "size": 65_536, "log": str(small / "log")}
    end = run("head -c 1000000 /dev/zero; exit 3", **told)
    assert (end.outcome, end.exit_code, end.output_bytes) == ("failed", 3, MEGABYTE)
    assert end.detail == "exit code 3; its log stopped: No space left on device"
    assert end.dropped_bytes > 900_000


def test_a_log_that_grew_too_large_for_its_limit_costs_the_log_and_not_the_run(tmp_path: Path) -> None:
    end = run("head -c 1000000 /dev/zero; exit 3", log=str(tmp_path / "log"), most_bytes=50_000)
    assert (end.outcome, end.exit_code, end.output_bytes) == ("failed", 3, MEGABYTE)
    assert end.dropped_bytes == MEGABYTE - 50_000


def test_lines_go_to_stdout_with_the_job_before_them(tmp_path: Path) -> None:
    with running("printf 'one\\ntwo\\nrest'; echo also >&2", mode="text", streams=subprocess.PIPE) as guarded:
        assert guarded.end().outcome == "ok"
        guarded.runner.wait()
        assert guarded.runner.stdout is not None
        assert guarded.runner.stdout.read() == b"job | one\njob | two\njob | restalso\n"


def test_lines_can_go_to_stdout_as_objects() -> None:
    with running("printf 'a \"b\"\\n\\377\\n'", mode="json", streams=subprocess.PIPE) as guarded:
        guarded.hear("RunEnd")
        guarded.runner.wait()
        assert guarded.runner.stdout is not None
        records = [json.loads(line) for line in guarded.runner.stdout]
    assert [record["line"] for record in records] == ['a "b"', "\\xff"]
    assert {record["job"] for record in records} == {"job"}
    assert {record["run"] for record in records} == {guarded.run_id}


def test_a_reader_that_does_not_read_stalls_nobody_and_is_told_what_it_missed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running("seq 1 300000; exit 5", mode="text", streams=subprocess.PIPE, log=str(log)) as guarded:
        end = guarded.end()  # nobody has read a byte of stdout yet
        assert (end.outcome, end.exit_code) == ("failed", 5)
        assert guarded.runner.stdout is not None
        lines = guarded.runner.stdout.read().decode().splitlines()
        told = [line for line in lines if "dropped" in line]
        assert [line for line in lines if not line.startswith("job | ")] == []
        assert len(told) == 1
        count = int(told[0].split()[3].replace(",", ""))
        assert count + len(lines) - 1 == 300_000
    assert tail(str(log), 1) == b"300000\n"


def test_lines_of_many_guards_do_not_mix(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with contextlib.ExitStack() as stack, (tmp_path / "all").open("wb") as out:
        commands = [f"yes {letter * 60} | head -n 5000" for letter in "abcd"]
        guards = [stack.enter_context(running(command, mode="text", streams=writer)) for command in commands]
        cat = stack.enter_context(subprocess.Popen(["cat"], stdin=reader, stdout=out))
        os.close(writer)
        os.close(reader)
        for guarded in guards:
            assert guarded.end().outcome == "ok"
            guarded.runner.wait()
        assert cat.wait() == 0
    whole = {f"job | {letter * 60}" for letter in "abcd"}
    lines = (tmp_path / "all").read_text().splitlines()
    assert whole <= set(lines)
    assert [line for line in lines if line not in whole and "lines dropped" not in line] == []


def test_a_reader_that_goes_away_does_not_end_the_job(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = f"seq 1 100000; touch {tmp_path}/done"
    for mode in ("text", "live"):
        with running(command, mode=mode, streams=subprocess.PIPE, log=str(log) + mode) as guarded:
            assert guarded.runner.stdout is not None
            guarded.runner.stdout.close()
            assert guarded.end().outcome == "ok"
        assert tail(str(log) + mode, 1) == b"100000\n"


def test_live_output_goes_through_untouched_on_both_streams(tmp_path: Path) -> None:
    told = {"mode": "live", "streams": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running("printf 'out\\377'; printf 'err\\n\\n' >&2", **told, log=str(tmp_path / "log")) as guarded:
        guarded.hear("Closed")
        out, err = guarded.runner.communicate()
    assert (out, err) == (b"out\377", b"err\n\n")
    assert sorted((tmp_path / "log").read_bytes()) == sorted(b"out\377err\n\n")


def test_live_output_waits_for_its_reader_and_loses_nothing() -> None:
    with running("seq 1 300000", mode="live", streams=subprocess.PIPE) as guarded:
        out, _ = guarded.runner.communicate()
        assert out == b"".join(b"%d\n" % n for n in range(1, 300_001))
        assert guarded.end().outcome == "ok"


def test_a_reader_that_does_not_read_live_output_does_not_put_off_a_timeout() -> None:
    with running("yes", mode="live", streams=subprocess.PIPE, options={"timeout": 0.5, "kill_after": 0.5}) as guarded:
        end = guarded.end()
        assert end.outcome == "timeout"
        assert guarded.survivors() == []

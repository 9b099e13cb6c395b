"""News on its way: whoever records an end, it is told, at least once, under one key, and nobody waits for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from runjobs.adapters import locks
from tests.real.support import ledger, namespaces
from tests.real.support.command_line import environment
from tests.real.support.http_receiver import HttpReceiver, receiving
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# goes as the file `how` says
JOB = "* * * * * echo working; exit $(cat how)\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with receiving() as receiver:
        yield receiver


def write(stage: Stage, receiver: HttpReceiver, options: str = "", job: str = JOB) -> None:
    stage.jobs(f"#: name=job notify=webhook:{receiver.url()} {options}\n{job}")


def run(stage: Stage, how: int, *words: str) -> int:
    """A person runs the job, which ends like this."""
    (stage.root / "how").write_text(f"{how}\n")
    return stage.place.call("run", "job", *words).returncode


def told(receiver: HttpReceiver) -> list[dict[str, Any]]:
    return [json.loads(asked.body) for asked in receiver.asked]


def kinds(receiver: HttpReceiver) -> list[str]:
    return [each["kind"] for each in told(receiver)]


def keys(receiver: HttpReceiver) -> list[str | None]:
    return [asked.headers["Idempotency-Key"] for asked in receiver.asked]


def listed(stage: Stage) -> list[dict[str, Any]]:
    letters: list[dict[str, Any]] = json.loads(stage.place.call("notify", "--list", "--json").stdout)["letters"]
    return letters


def test_the_first_failure_and_the_recovery_are_told_and_no_failure_between_them(
    stage: Stage, receiver: HttpReceiver
) -> None:
    write(stage, receiver)
    assert [run(stage, how) for how in (0, 3, 4, 0, 0)] == [0, 3, 4, 0, 0]
    assert wait_until(lambda: len(receiver.asked) >= 2)
    assert wait_until(lambda: not stage.members())  # the sender has gone, and so has told all that it had to
    failure, recovery = told(receiver)
    assert (failure["kind"], failure["exit_code"], failure["failures"]) == ("failure", 3, 1)
    assert (failure["log"], failure["job"], failure["schedule"]) == ("working\n", "job", "* * * * *")
    assert (recovery["kind"], recovery["failures"]) == ("recovery", 2)
    runs = ledger.runs(stage.place.state)
    assert [failure["run"], recovery["run"]] == [runs[1]["id"], runs[3]["id"]]


def test_a_pass_ends_while_its_news_is_still_on_its_way(stage: Stage) -> None:
    with receiving("hang") as receiver:
        write(stage, receiver)
        (stage.root / "how").write_text("3\n")
        assert stage.place.call("run").returncode == 1
        assert wait_until(lambda: kinds(receiver) == ["failure"])
        assert ledger.fires(stage.place.state)[-1]["state"] == "ended"
        assert stage.members()  # the sender, which waits for an answer


def test_no_job_waits_for_a_receiver_that_does_not_answer(stage: Stage) -> None:
    with receiving("hang") as receiver:
        write(stage, receiver, "notify-on=failure", "@every 1s echo x >>ran; exit 1\n")
        with stage.foreground():
            assert wait_until(lambda: len(receiver.asked) == 1)
            before = len(ledger.runs(stage.place.state))
            assert wait_until(lambda: len(ledger.runs(stage.place.state)) >= before + 3)
            assert len(receiver.asked) == 1
    assert {fire["outcome"] for fire in ledger.fires(stage.place.state)} <= {"failed", None}


def test_each_try_bears_the_same_key_until_one_is_taken(stage: Stage) -> None:
    faults = ("500", "reset", "429 Retry-After:60", "mute")
    with receiving(*faults) as receiver:
        write(stage, receiver)
        assert run(stage, 3) == 3
        for number in range(1, len(faults) + 1):
            assert wait_until(lambda: any(each["detail"] and each["tries"] == number for each in listed(stage)))  # noqa: B023
            assert len(receiver.asked) == number
            assert stage.place.call("notify", "--retry").returncode == 0
        assert wait_until(lambda: not listed(stage))
        assert len(receiver.asked) == len(faults) + 1
        assert len(set(keys(receiver))) == 1


def test_a_letter_whose_sender_was_killed_is_sent_again_under_the_same_key(stage: Stage) -> None:
    with receiving("hang") as receiver:
        write(stage, receiver)
        run(stage, 3)
        assert wait_until(lambda: len(receiver.asked) == 1)
        sender = locks.read(stage.place.state / "locks" / "sender")["pid"]
        assert sender in stage.members()
        os.kill(sender, signal.SIGKILL)
        assert wait_until(lambda: not stage.members())
        assert [(each["state"], each["tries"]) for each in listed(stage)] == [("waiting", 1)]
        assert "failure" in stage.place.call("notify", "--list").stdout
        stage.place.call("notify", "--retry")
        assert wait_until(lambda: not listed(stage))
        assert keys(receiver) == [keys(receiver)[0]] * 2


def test_what_was_given_up_is_shown_by_status_doctor_and_notify_and_can_be_tried_once_more(stage: Stage) -> None:
    with receiving("404") as receiver:
        write(stage, receiver)
        run(stage, 3)
        assert wait_until(lambda: [each["state"] for each in listed(stage)] == ["failed"])
        for command in ("status", "doctor"):
            shown = stage.place.call(command).stdout
            assert "could not be delivered" in shown
            assert "runjobs notify --list" in shown
        table = stage.place.call("notify")
        assert "given up" in table.stdout
        assert "404" in table.stdout
        assert "runjobs notify --retry" in table.stderr
        assert stage.place.call("notify", "--retry").stdout.startswith("1 letter is tried again")
        assert wait_until(lambda: not listed(stage))
        assert len(set(keys(receiver))) == 1
        nothing = "runjobs: no news waits, and none was given up\n"
        assert [stage.place.call("notify", *word).stderr for word in ((), ("--retry",))] == [nothing] * 2


def test_an_end_is_told_though_its_runner_was_killed(stage: Stage, receiver: HttpReceiver) -> None:
    write(stage, receiver, job="* * * * * touch started; until test -e release; do sleep 0.05; done; exit 7\n")
    with stage.start("job") as runner:
        assert stage.exists("started")
        os.kill(runner.pid, signal.SIGKILL)
    (stage.root / "release").touch()
    assert wait_until(lambda: kinds(receiver) == ["failure"])
    assert told(receiver)[0]["exit_code"] == 7


def test_a_run_whose_guard_was_killed_is_told_by_who_finds_it(stage: Stage, receiver: HttpReceiver) -> None:
    write(stage, receiver, "", "0 5 31 12 * touch started; exec sleep 1000\n")
    with stage.start("job"):
        assert stage.exists("started")
        stage.clear()
    assert kinds(receiver) == []
    stage.place.call("run")
    assert wait_until(lambda: kinds(receiver) == ["failure"])
    assert (told(receiver)[0]["outcome"], told(receiver)[0]["reason"]) == ("interrupted", "guard-died")


def test_a_run_that_is_tried_again_is_told_once_by_its_last_try(stage: Stage, receiver: HttpReceiver) -> None:
    write(stage, receiver, "retries=2 retry-delay=0s notify-on=always")
    assert run(stage, 3) == 3
    assert wait_until(lambda: kinds(receiver) == ["failure"])
    assert wait_until(lambda: not stage.members())
    assert [(each["kind"], each["attempt"]) for each in told(receiver)] == [("failure", 3)]


def test_a_job_that_has_not_gone_well_for_too_long_is_told_once_by_any_pass_and_status_and_why_say_so(
    stage: Stage, receiver: HttpReceiver
) -> None:
    write(stage, receiver, "expect-within=1s notify-on=recovery")
    assert run(stage, 3) == 3
    assert wait_until(lambda: stage.place.call("status").stdout.count("expect-within=") == 1)
    assert "expect-within=" in stage.place.call("why", "job").stdout
    stage.place.call("run")
    assert wait_until(lambda: kinds(receiver) == ["missed"])
    stage.place.call("run")
    assert run(stage, 0) == 0
    assert wait_until(lambda: kinds(receiver) == ["missed", "recovery"])


def test_a_foreground_notices_a_lapse_and_who_is_told_follows_the_file(stage: Stage, receiver: HttpReceiver) -> None:
    stage.jobs("#: name=job\n@daily true\n")
    with stage.foreground():
        assert stage.heard("runner-started")
        write(stage, receiver, "expect-within=1s", "@daily true\n")
        assert wait_until(lambda: kinds(receiver) == ["missed"])


def test_of_many_failures_a_few_are_told_one_by_one_and_the_others_in_one_letter(
    stage: Stage, receiver: HttpReceiver
) -> None:
    names = [f"job-{number}" for number in range(40)]
    rows = "".join(f"#: name={name}\n* * * * * exit 3\n" for name in names)
    stage.jobs(f"#: defaults notify=webhook:{receiver.url()}\n{rows}")
    stage.place.call("run", *names)
    assert wait_until(lambda: len(receiver.asked) == 3 and len(listed(stage)) == 37)
    stage.place.call("notify", "--retry")  # the minute is over
    assert wait_until(lambda: not listed(stage))
    assert kinds(receiver) == ["failure", "failure", "failure", "digest"]
    digest = told(receiver)[-1]
    assert (digest["number"], digest["left_out"]) == (37, 0)
    assert {each["job"] for each in [*digest["letters"], *told(receiver)[:3]]} == set(names)


def test_a_secret_is_read_by_the_sender_and_stands_nowhere_else(stage: Stage, receiver: HttpReceiver) -> None:
    secrets = stage.root / "secrets"
    secrets.write_text(f"OPS_HOOK={receiver.url('/t0psecret')}\n")
    secrets.chmod(0o600)
    stage.jobs("#: name=job notify=webhook:@OPS_HOOK\n* * * * * exit 3\n")
    known = environment(RUNJOBS_SECRETS=str(secrets))

    def call(*words: str) -> str:
        ended = subprocess.run(
            stage.place.command(*words), env=known, capture_output=True, text=True, timeout=60, check=False
        )
        return ended.stdout + ended.stderr

    said = call("run", "job")
    assert wait_until(lambda: [asked.path for asked in receiver.asked] == ["/t0psecret"])
    said += call("notify", "--test") + call("notify", "--list") + call("doctor") + call("list", "--json")
    assert len(receiver.asked) == 2
    assert wait_until(lambda: not stage.members())
    assert "t0psecret" not in said
    kept = [path for path in stage.place.state.rglob("*") if path.is_file() and b"t0psecret" in path.read_bytes()]
    assert kept == []


def test_secrets_that_others_can_read_are_refused_and_doctor_says_so(stage: Stage, receiver: HttpReceiver) -> None:
    secrets = stage.root / "secrets"
    secrets.write_text(f"OPS_HOOK={receiver.url()}\n")
    secrets.chmod(0o644)
    stage.jobs("#: name=job notify=webhook:@OPS_HOOK\n* * * * * exit 3\n")
    known = environment(RUNJOBS_SECRETS=str(secrets))
    command = stage.place.command("notify", "--test", "job")
    tested = subprocess.run(command, env=known, capture_output=True, text=True, timeout=60, check=False)
    assert (tested.returncode, receiver.asked) == (1, [])
    assert f"others can read the secrets in {secrets}" in tested.stdout
    assert "chmod 600" in tested.stdout
    stage.place.call("run", "job")
    doctor = subprocess.run(
        stage.place.command("doctor"), env=known, capture_output=True, text=True, timeout=60, check=False
    )
    assert f"others can read the secrets in {secrets}" in doctor.stdout


def test_a_test_goes_to_each_receiver_and_says_who_did_not_take_it(stage: Stage, receiver: HttpReceiver) -> None:
    stage.jobs(
        f"#: defaults notify=webhook:{receiver.url('/a')}\n#: name=a\n@daily true\n"
        f"#: name=b notify=webhook:{receiver.url('/b')},webhook:{receiver.url('/a')}\n@daily true\n"
    )
    tested = stage.place.call("notify", "--test")
    assert (tested.returncode, sorted(asked.path for asked in receiver.asked)) == (0, ["/a", "/b"])
    assert {each["kind"] for each in told(receiver)} == {"test"}
    receiver.script.append("500")
    tested = stage.place.call("notify", "--test", "a")
    assert tested.returncode == 1
    assert "500" in tested.stdout
    assert stage.place.call("notify", "--test", "nobody-i-know").returncode == 2


@pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not())
def test_the_first_process_of_a_container_stays_until_its_news_is_sent(stage: Stage) -> None:
    with receiving() as receiver:
        write(stage, receiver)
        (stage.root / "how").write_text("3\n")
        command = namespaces.as_pid_1(stage.place.command("run", "job"))
        ended = subprocess.run(command, env=environment(), capture_output=True, timeout=90, check=False)
        assert ended.returncode == 3
        assert kinds(receiver) == ["failure"]

"""Metrics and health as machines get them: from a foreground over HTTP, and as a textfile after a pass."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import stat
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from runjobs.core.metrics import Style
from tests.real.support import ledger
from tests.real.support.command_line import ROOT, SILENT, environment
from tests.real.support.processes import wait_until
from tests.real.support.scraping import answers, fetch, free_port, value
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOBS = "#: name=good\n@every 1s true\n#: name=bad\n@every 1s exit 3\n#: name=new\n@yearly true\n"
OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
UP = 'up{job="runjobs"} == 1'
without_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
without_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


@contextmanager
def serving(stage: Stage, *words: str, **streams: object) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A foreground that serves on a socket in the stage's folder."""
    path = stage.root / "metrics.sock"
    with stage.foreground("--metrics", f"unix:{path}", *words, **streams) as runner:
        assert wait_until(lambda: answers(path)), stage.err
        yield runner, path


def ran(place: Path | int, job: str = "good", outcome: str = "ok") -> float:
    return value(fetch(place).body, "runjobs_job_runs_total", job=job, outcome=outcome) or 0


def promtool(*words: str, said: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *words], input=said, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_foreground_tells_how_its_jobs_went(stage: Stage) -> None:
    stage.jobs(JOBS)
    with serving(stage) as (_, path):
        assert wait_until(lambda: ran(path) >= 2 and ran(path, "bad", "failed") >= 2)
        told = fetch(path)
        assert told.headers["Content-Type"] == Style.TEXT.value
        assert value(told.body, "runjobs_job_last_exit_code", job="bad") == 3
        assert value(told.body, "runjobs_job_runs_total", job="new", outcome="failed") == 0
        assert (value(told.body, "runjobs_fire_lag_seconds_count") or 0) >= 4
        started, ended, due = (
            value(told.body, f"runjobs_job_{name}_timestamp_seconds", job="good") or 0
            for name in ("last_start", "last_success", "next_fire")
        )
        assert started <= ended <= due + 1
        asked = fetch(path, accept=OPEN)
        assert asked.headers["Content-Type"] == Style.OPENMETRICS.value
        families = read_openmetrics(asked.body)  # type: ignore[no-untyped-call]  # it has no types
        assert {family.name for family in families} >= {"runjobs_job_runs", "runjobs_build"}


@without_promtool
def test_prometheus_own_checker_finds_nothing_to_say(stage: Stage) -> None:
    stage.jobs(JOBS)
    with serving(stage) as (_, path):
        assert wait_until(lambda: ran(path) >= 1 and ran(path, "bad", "failed") >= 1)
        checked = promtool("check", "metrics", said=fetch(path).body)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_no_restart_takes_a_count_back(stage: Stage) -> None:
    stage.jobs(JOBS)
    with serving(stage) as (runner, path):
        assert wait_until(lambda: ran(path) >= 2)
        runner.kill()
        runner.wait()
    stage.jobs("#: name=good history=1\n@yearly true\n")
    with serving(stage) as (_, path):
        ended = [run for run in ledger.runs(stage.place.state, "good") if run["outcome"] == "ok"]
        assert ran(path) == len(ended) >= 2


def test_it_is_served_on_a_port_and_other_pages_and_methods_are_refused(stage: Stage) -> None:
    stage.jobs(JOBS)
    port = free_port()
    with stage.foreground("--metrics", f"127.0.0.1:{port}"):
        assert wait_until(lambda: answers(port))
        assert fetch(port, "/healthz").body == "ok\n"
        assert fetch(port, method="HEAD").body == ""
        assert [fetch(port, "/").status, fetch(port, method="POST").status] == [404, 405]
        assert "runjobs_build_info" in fetch(port, "/metrics?x=y").body


def test_where_it_can_t_be_served_nothing_is_started_and_the_way_out_is_said(stage: Stage) -> None:
    stage.jobs("#: name=good\n@every 1s touch ran\n")
    with serving(stage) as (runner, path):
        other = stage.place.call(
            "run", "--state", str(stage.root / "other"), "--foreground", "--metrics", f"unix:{path}"
        )
        runner.terminate()
        assert runner.wait(60) == 0
    assert other.returncode == 78
    assert f"metrics can't be served on unix:{path}: Address already in use\n  try: name another" in other.stderr
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics", "9750", "--foreground"], "--metrics: '9750' is no address\n  try: write :9750 for every"),
        (["--metrics", ":9750"], "--metrics is for a runner that stays\n  try: add --foreground or --daemon"),
        (["--metrics-file", "x", "--foreground"], "--metrics-file is for passes; a runner that stays serves"),
    ],
)
def test_what_makes_no_sense_is_refused(stage: Stage, words: list[str], said: str) -> None:
    stage.jobs(JOBS)
    answer = stage.place.call("run", *words)
    assert (answer.returncode, said in answer.stderr) == (2, True)


def test_a_ledger_that_takes_no_writes_is_unhealthy_until_it_does_and_no_count_seems_to_be_reset(stage: Stage) -> None:
    stage.jobs(JOBS)
    with serving(stage, stdout=SILENT) as (runner, path):
        assert wait_until(lambda: ran(path) >= 1)
        before = ran(path)
        most = resource.prlimit(runner.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(runner.pid, resource.RLIMIT_FSIZE, (0, most[1]))  # as a disk without room
        assert wait_until(lambda: answers(path, status=503))
        assert "the ledger takes no writes" in fetch(path, "/healthz").body
        told = fetch(path).body
        assert value(told, "runjobs_job_runs_total", job="good", outcome="ok") is None
        assert value(told, "runjobs_job_running", job="new") == 0
        resource.prlimit(runner.pid, resource.RLIMIT_FSIZE, most)
        assert wait_until(lambda: answers(path))
        assert ran(path) > before


def test_who_reads_slowly_or_never_keeps_no_job_waiting(stage: Stage) -> None:
    stage.jobs(JOBS)
    with serving(stage) as (_, path):
        idle = [socket.socket(socket.AF_UNIX) for _ in range(40)]
        for caller in idle:
            caller.connect(str(path))
            caller.send(b"GET /metrics HTTP/1.1\r\n")
        before = ran(path)
        assert wait_until(lambda: ran(path) >= before + 2)
        for caller in idle:
            caller.close()


def test_a_pass_writes_a_textfile_that_all_can_read_and_a_pass_with_nothing_new_leaves_it(stage: Stage) -> None:
    stage.jobs("#: name=bad\n* * * * * exit 3\n")
    folder = stage.root / "textfiles"
    folder.mkdir()
    path = folder / "runjobs.prom"
    old = os.umask(0o077)
    try:
        assert stage.place.call("run", "--metrics-file", str(path)).returncode == 1
    finally:
        os.umask(old)
    told = path.read_text()
    assert value(told, "runjobs_job_runs_total", job="bad", outcome="failed") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert all(line.rpartition("}")[2].count(" ") <= 1 for line in told.splitlines() if line[0] != "#")  # no times
    stage.place.write("jobs", "")
    stage.place.call("run", "--metrics-file", str(path))

    def is_left() -> bool:
        before = path.stat()
        stage.place.call("run", "--metrics-file", str(path))
        after = path.stat()
        return (after.st_ino, after.st_mtime_ns > before.st_mtime_ns) == (before.st_ino, True)  # a sign of life alone

    assert wait_until(is_left)  # what a pass notices of the clock of a busy machine is something new
    assert os.listdir(folder) == ["runjobs.prom"]


def test_a_named_run_writes_the_textfile_too_and_the_variable_names_it(stage: Stage) -> None:
    stage.jobs("#: name=bad\n@yearly exit 3\n")
    path = stage.root / "runjobs.prom"
    called = subprocess.run(
        stage.place.command("run", "bad"),
        env=environment(RUNJOBS_METRICS_FILE=str(path)), stdin=SILENT, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert called.returncode == 3
    assert value(path.read_text(), "runjobs_job_runs_total", job="bad", outcome="failed") == 1


def test_a_textfile_that_can_t_be_written_is_told_and_the_jobs_run_all_the_same(stage: Stage) -> None:
    stage.jobs("#: name=good\n* * * * * touch ran\n")
    answer = stage.place.call("run", "--metrics-file", str(stage.root / "nowhere" / "runjobs.prom"))
    assert (answer.returncode, stage.exists("ran")) == (74, True)
    assert (
        "runjobs.prom can't be written: No such file or directory\n  try: a path with --metrics-file" in answer.stderr
    )


@without_promtool
def test_the_alert_rules_load_and_each_is_raised_when_it_should_be() -> None:
    checked = promtool("check", "rules", "contrib/alerts.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", "alerts.test.yml", folder=ROOT / "tests" / "cases")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@without_promtool
def test_what_the_dashboard_asks_can_be_asked(stage: Stage, tmp_path: Path) -> None:
    text = (ROOT / "contrib" / "grafana-dashboard.json").read_text()
    asked = [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    rules = [
        {"record": f"asked:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(asked)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", "--lint=none", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    stage.jobs(JOBS)
    with serving(stage) as (_, served):
        assert wait_until(lambda: ran(served) >= 1)
        there = set(re.findall(r"^(\w+)", fetch(served).body, re.MULTILINE))
    alerts = (ROOT / "contrib" / "alerts.yml").read_text()
    assert set(re.findall(r"runjobs_\w+", "\n".join(asked) + alerts)) <= there


@without_prometheus
def test_a_real_prometheus_scrapes_it_and_loads_the_rules(stage: Stage) -> None:
    stage.jobs(JOBS)
    port, own = free_port(), free_port()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "contrib" / "alerts.yml")],
        "scrape_configs": [
            {"job_name": "runjobs", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    path = stage.root / "prometheus.yml"
    path.write_text(json.dumps(config))
    words = [f"--config.file={path}", f"--storage.tsdb.path={stage.root / 'data'}"]
    words.append(f"--web.listen-address=127.0.0.1:{own}")

    def ask(what: str) -> list[dict[str, object]]:
        try:
            with urlopen(f"http://127.0.0.1:{own}/api/v1/{what}", timeout=30) as answer:
                found: dict[str, list[dict[str, object]]] = json.load(answer)["data"]
        except OSError:
            return []
        return found.get("result") or found.get("groups") or []

    with (
        stage.foreground("--metrics", f"127.0.0.1:{port}"),
        subprocess.Popen(["prometheus", *words], stdin=SILENT, stdout=SILENT, stderr=SILENT) as prometheus,
    ):
        try:
            wanted = 'runjobs_job_runs_total{job="bad", outcome="failed"} >= 2'
            assert wait_until(lambda: ask(f"query?query={quote(wanted)}"))
            assert ask(f"query?query={quote(UP)}")
            assert [group["name"] for group in ask("rules")] == ["runjobs"]
        finally:
            prometheus.terminate()

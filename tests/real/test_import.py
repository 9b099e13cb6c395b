"""`runjobs import` on real files, beside the programs it takes over from."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runjobs.core.errors import FieldError
from runjobs.core.imports.calendar import read_calendar
from runjobs.core.schedule import parse_schedule
from tests.real.support import namespaces
from tests.real.support.command_line import SILENT, Place, environment
from tests.support.imports import CASES

SAMPLES = CASES.parent / "crontabs" / "samples"
BASE = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 6
ASK = ["systemd-analyze", "calendar", f"--iterations={COUNT}", f"--base-time={BASE:%Y-%m-%d %H:%M:%S} UTC"]
RUN = [sys.executable, "-m", "runjobs"]
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
in_a_namespace = pytest.mark.skipif(bool(namespaces.why_not()), reason=namespaces.why_not() or "there are namespaces")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount over cron's own folder")


def call(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *map(str, words)], env=environment(**more), stdin=SILENT, capture_output=True, text=True, timeout=120,
        check=False, errors="backslashreplace",
    )  # fmt: skip


def written(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


# every file there is


@pytest.mark.parametrize(
    ("kind", "sources"),
    [
        ("crontab", sorted(path for path in SAMPLES.iterdir() if path.name != "MANIFEST.tsv")),
        ("cron.d", [CASES / "cron.d"]),
        ("anacrontab", [CASES / "anacrontab"]),
        ("systemd", [CASES / "systemd"]),
        ("yacron", [CASES / "yacron"]),
    ],
)
def test_check_finds_no_error_in_what_was_taken_over_and_no_line_is_lost(
    tmp_path: Path, kind: str, sources: list[Path]
) -> None:
    if kind == "yacron":
        pytest.importorskip("yaml", reason="PyYAML is not installed")
    to = tmp_path / "jobs.d"
    ended = call("import", "--json", "--from", kind, "--to", to, *sources)
    assert ended.returncode in {0, 65}, ended.stderr
    made = json.loads(ended.stdout)["files"]
    assert written(to) == sorted(Path(each["path"]).name for each in made)
    for source in (source for each in made for source in each["sources"]):
        text = Path(source["path"]).read_text()
        assert sum(source["lines"].values()) == text.count("\n") + (not text.endswith("\n") and text != "")
    # memory= and its like are errors of the machine, where it can't hold them
    checked = call("check", "--trust-jobs", "--jobs", to)
    assert " 0 errors," in checked.stdout, checked.stdout


def test_without_pyyaml_a_yaml_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    without = "import sys; sys.modules['yaml'] = None; from runjobs.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = ["import", "--to", str(tmp_path / "jobs.d"), str(CASES / "yacron")]
    ended = subprocess.run(
        [sys.executable, "-c", without, *words], env=environment(), stdin=SILENT, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, "pip install 'runjobs[yaml]'" in ended.stderr) == (78, True)
    assert not (tmp_path / "jobs.d").exists()


# what crontab(1) says


@as_root
@in_a_namespace
@pytest.mark.skipif(not shutil.which("crontab"), reason="crontab(1) is not installed (apt-get install cron)")
def test_the_crontab_that_crontab_shows_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("MAILTO=me\n5 4 * * * date +\\%F\n")
    mount = "mount -t tmpfs -o mode=755 tmpfs /var/spool/cron && mkdir -m 1730 /var/spool/cron/crontabs"
    script = f'{mount} && crontab "$0/mine" && exec "$@"'
    command = namespaces.mounting(["sh", "-c", script, str(tmp_path), *RUN, "import", "--to", str(tmp_path / "jobs.d")])
    ended = subprocess.run(
        command, env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stderr
    (name,) = written(tmp_path / "jobs.d")
    path = tmp_path / "jobs.d" / name
    assert (name, path.stat().st_mode & 0o777) == ("crontab-root", 0o600)
    assert "MAILTO=me\n5 4 * * * date +\\%F\n" in path.read_text()


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("echo '5 4 * * * true'", 0, "1 job in 1 file written"),
        ("echo 'no crontab for me' >&2; exit 1", 66, "crontab -l: no crontab for me"),
        ("exit 3", 66, "crontab -l: exit code 3"),
        (None, 66, "crontab is not installed"),
    ],
)
def test_what_crontab_answers_is_passed_on(tmp_path: Path, program: str | None, code: int, said: str) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    if program is not None:
        (tools / "crontab").write_text(f"#!/bin/sh\n{program}\n")
        (tools / "crontab").chmod(0o755)
    ended = call("import", "--to", tmp_path / "jobs.d", PATH=str(tools))
    assert (ended.returncode, said in ended.stdout + ended.stderr) == (code, True)


# systemd


def theirs(expressions: list[str]) -> list[list[datetime] | None]:
    """The next fires of each expression as systemd has them; None where it refuses it."""
    found: list[list[datetime] | None] = []
    for expression in expressions:
        ended = subprocess.run(
            [*ASK, expression],
            env=environment(TZ="UTC"), stdin=SILENT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        times = re.findall(r"(?:elapse|Iter\. #\d+): \w+ (\S+ \S+) UTC", ended.stdout)
        found.append([datetime.fromisoformat(f"{time}+00:00") for time in times] if ended.returncode == 0 else None)
    return found


def ours(expression: str) -> list[datetime] | None:
    """The same of ours; None where it can't be carried over."""
    try:
        when = read_calendar(expression)
        schedule = parse_schedule(when.schedule, fields=when.fields, tz=when.tz or None, local=UTC)
    except FieldError:
        return None
    found = [BASE]
    while len(found) <= COUNT and (following := schedule.next(found[-1])) is not None:
        found.append(following)
    return found[1:]


def made_up(number: int) -> list[str]:
    """Calendar expressions of every shape, the same at each call."""
    chance = random.Random(4711)

    def component(low: int, high: int) -> str:
        first, last = sorted(chance.choices(range(low, high + 1), k=2))
        shapes = ("*", "*", f"{first}", f"{first}..{last}", f"{first}/{chance.randint(1, 9)}", f"{first},{last}",
                  f"{first}..{last}/{chance.randint(1, 5)}")  # fmt: skip
        return chance.choice(shapes)

    def one() -> str:
        days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
        first, last = sorted(chance.choices(range(7), k=2))
        weekday = chance.choice(
            ["", "", "", f"{days[first]} ", f"{days[first]}..{days[last]} ", f"{days[first]},{days[last]} "]
        )
        end = chance.choice(["-", "-", "-", "~"])
        date = f"{component(1, 12)}{end}{component(1, 28)} "
        year = chance.choice(["*", "*", "*", "2026..2027", "2028"])
        clock = f"{component(0, 23)}:{component(0, 59)}{chance.choice(['', f':{component(0, 59)}'])}"
        return f"{weekday}{year}-{date}{clock}{chance.choice(['', ' UTC', ' Asia/Tokyo'])}"

    return [one() for _ in range(number)]


@needs_systemd
def test_calendar_expressions_are_due_when_this_systemd_says() -> None:
    rows = [json.loads(line)["expression"] for line in (CASES / "calendar.jsonl").read_text().splitlines()]
    expressions = [*filter(None, rows), *made_up(200)]
    carried = 0
    for expression, expected in zip(expressions, theirs(expressions), strict=True):
        found = ours(expression)
        if found is not None and expected is not None:
            carried += 1
            assert found == expected, expression
    assert carried > len(expressions) // 2


@needs_systemd
def test_the_timers_that_are_enabled_here_are_taken_over_or_reported(tmp_path: Path) -> None:
    ended = call("import", "--json", "--dry-run", "--from", "systemd", "--to", tmp_path / "jobs.d")
    if ended.returncode == 66:
        pytest.skip("no timer is enabled on this machine")
    assert ended.returncode in {0, 65}, ended.stderr
    assert not (tmp_path / "jobs.d").exists()


# the jobs themselves


def test_what_a_unit_starts_is_started_with_the_same_words(tmp_path: Path) -> None:
    units = tmp_path / "units"
    units.mkdir()
    (units / "a.timer").write_text("[Timer]\nOnCalendar=yearly\n")
    (units / "a.service").write_text(
        '[Service]\nEnvironment="X=two words" Y=*\nExecStartPre=-/bin/false\n'
        'ExecStart=/usr/bin/printf "[%%s]" \'a  b\' ${X} pre${X} $X $Y $$Y \\x41 50%% "it\'s" %p ""\n'
        "ExecStart=/bin/sh -c 'pwd; echo \"$$Y\"; umask'\nUMask=0027\n"
    )  # fmt: skip
    place = Place(tmp_path)
    assert call("import", "--to", place.jobs, units).returncode == 0
    ended = place.call("run", "--trust-jobs", "a")
    said = "[a  b][two words][pretwo words][two][words][*][$Y][A][50%][it's][a][]/\n*\n0027\n"
    assert (ended.stdout, ended.returncode) == (said, 0), ended.stderr


def test_a_script_of_several_lines_runs_as_yacron_ran_it(tmp_path: Path) -> None:
    pytest.importorskip("yaml", reason="PyYAML is not installed")
    source = tmp_path / "a.yaml"
    source.write_text(
        "defaults:\n  environment: [{key: A, value: 'a  b'}]\njobs:\n- name: a\n  schedule: '@yearly'\n  command: |\n"
        "    for x in 1 2; do\n      echo \"$x $A '$B' 100%\"\n    done\n\n    exit 3\n"
        '  environment: [{key: B, value: "it\'s"}]\n'
    )
    place = Place(tmp_path)
    assert call("import", "--to", place.jobs, source).returncode == 0
    ended = place.call("run", "--trust-jobs", "a")
    assert (ended.stdout, ended.returncode) == ("1 a  b 'it's' 100%\n2 a  b 'it's' 100%\n", 3), ended.stderr


def test_an_anacron_job_has_the_environment_it_had(tmp_path: Path) -> None:
    source = tmp_path / "anacrontab"
    source.write_text('A=x y\n1 5 a pwd; echo "$A" 50%; echo ${HIDDEN-gone}\n')
    place = Place(tmp_path)
    assert call("import", "--to", place.jobs, source).returncode == 0
    command = place.command("run", "--trust-jobs", "a")
    ended = subprocess.run(
        command, env=environment(HIDDEN="1"), stdin=SILENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.stdout, ended.returncode) == ("/\nx y 50%\ngone\n", 0), ended.stderr


# writing


def test_of_two_at_once_one_writes_and_the_other_says_what_is_in_the_way(tmp_path: Path) -> None:
    to = tmp_path / "jobs.d"
    sources = [tmp_path / f"{number:02}" for number in range(20)]
    for source in sources:
        source.write_text("5 4 * * * true\n")
    command = [*RUN, "import", "--to", str(to), *map(str, sources)]
    both = [subprocess.Popen(command, env=environment(), stdin=SILENT, stdout=SILENT, stderr=SILENT) for _ in range(2)]
    assert sorted(each.wait(120) for each in both) == [0, 73]
    assert written(to) == [source.name for source in sources]


@as_root
@in_a_namespace
def test_on_a_full_disk_nothing_is_left_half_done(tmp_path: Path) -> None:
    sources = [tmp_path / name for name in "abc"]
    for source in sources:
        source.write_text("5 4 * * * true\n" * 3000)
    disk = tmp_path / "disk"
    disk.mkdir()
    # the listing is made inside: the small disk is gone with the namespace
    script = (
        'mount -t tmpfs -o size=100k tmpfs "$0" || exit 99; "$@"; code=$?; ls -A "$0/jobs.d" >"$0/../left"; exit $code'
    )
    command = ["sh", "-c", script, str(disk), *RUN, "import", "--to", str(disk / "jobs.d"), *map(str, sources)]
    ended = subprocess.run(
        namespaces.mounting(command), env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, "No space left" in ended.stderr) == (74, True), ended.stderr
    assert (tmp_path / "left").read_text() == ""

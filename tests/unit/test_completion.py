"""What completion offers, for every command by its own parameters, and how fast names are found in jobs files."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runjobs.cli.candidates import CHOICES, SOURCES
from runjobs.cli.completing import kinds
from runjobs.cli.group import load
from runjobs.cli.main import COMMANDS
from runjobs.core.crontab import parse
from runjobs.core.jobnames import names_in
from runjobs.core.outcome import Outcome
from runjobs.core.run import RunEnd
from runjobs.core.when import parse_when
from tests.support.calling import call
from tests.support.night import MORNING, Night, at, build

CASES = sorted(path for path in (Path(__file__).parents[1] / "cases" / "crontabs").rglob("*") if path.is_file())
JOBS = "#: name=backup\n0 3 * * * true\n#: name=db/nightly lock=database\n0 4 * * * true\n15 5 * * * report\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    path = tmp_path / "jobs"
    path.write_text(JOBS)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    build(folder)
    return folder


@pytest.fixture
def night(built: Path, tmp_path: Path) -> list[str]:
    """The options that lead to a night on record."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state"), "--trust-jobs"]


def offered(*words: str, shell: str = "zsh") -> list[str]:
    """The words that are offered, without their notes."""
    answer = call("completion", shell, "--", *words)
    assert (answer.code, answer.err) == (0, "")
    return [line.partition("\t")[0] for line in answer.out.splitlines()]


def params(name: str) -> list[Any]:
    command = load(name, COMMANDS[name])
    with command.make_context(name, [], resilient_parsing=True) as context:
        return command.get_params(context)


def test_every_command_is_offered_with_its_summary() -> None:
    lines = call("completion", "fish", "--", "").out.splitlines()
    assert lines == [f"{name}\t{entry.summary}" for name, entry in COMMANDS.items()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_offered(name: str) -> None:
    options = {word for param in params(name) if param.param_type_name == "option" for word in param.opts}
    assert set(offered(name, "-")) == options


@pytest.mark.parametrize("name", COMMANDS)
def test_for_the_value_of_every_option_and_argument_it_is_decided_what_to_offer(name: str) -> None:
    metavars = [param.metavar for param in params(name) if not getattr(param, "is_flag", False)]
    unknown = [
        kind
        for metavar in metavars
        for kind in kinds(name, metavar or "(none)")
        if not (kind in SOURCES or kind in CHOICES or kind.islower())
    ]
    assert unknown == [], "name each in runjobs/cli/candidates.py, in SOURCES or in CHOICES"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["hist"], ["history"]),
        (["nonsense", ""], []),
        (["run", "--on-stop", ""], ["stop", "leave"]),
        (["run", "--on-stop=l"], ["--on-stop=leave"]),
        (["run", "--max-parallel", ""], ["none"]),
        (["run", "--grace", ""], []),
        (["run", "--log-format", "text", "--log-f"], ["--log-file"]),
        (["run", "--jobs", "x", "--jo"], ["--jobs"]),
        (["run", "--", "--jo"], []),
        (["--foreground", "--on"], ["--on-stop"]),
        (["--vers"], ["--version"]),
        (["--daem"], ["--daemon"]),
        (["history", "--outcome", "inter"], ["interrupted"]),
        (["history", "--outcome", "failed,mis"], ["failed,missed"]),
        (["list", "--jobs", ""], [":files"]),
        (["list", "--jobs=x"], [":files"]),
        (["list", "--state", ""], [":folders"]),
        (["at", "tom"], ["tomorrow"]),
        (["at", "tomorrow", ""], [":programs"]),
        (["at", "--set", "time"], ["timeout="]),
        (["import", "--from", "s"], ["systemd"]),
        (["next", "--tz", "Europe/Berl"], ["Europe/Berlin"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["notify", "--test", "sl"], ["slack:"]),
        (["reload", "--"], ["--jobs", "--state", "--pid-file", "--user-column", "--trust-jobs", "--help"]),
    ],
)
def test_a_word_is_completed_by_where_it_stands(words: list[str], found: list[str]) -> None:
    assert offered(*words) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["history", "--outcome", "=", "fa"], ["failed"]),
        (["history", "--outcome", "="], [f"{outcome.value}" for outcome in Outcome] + ["trouble"]),
        (["why", "backup", "--at", "7", ":", "30", "--js"], ["--json"]),
        (["list", "--jobs", "=", "x"], [":files"]),
    ],
)
def test_words_that_bash_has_broken_are_mended_and_broken_again(words: list[str], found: list[str]) -> None:
    assert offered(*words, shell="bash") == found


def test_jobs_are_those_of_the_files_that_the_line_names(files: Path) -> None:
    there = ["--jobs", str(files), "--trust-jobs"]
    names = [job.name for job in parse(JOBS, source=str(files)).jobs]
    assert offered("list", *there, "") == names
    assert offered("run", f"--jobs={files}", "--trust-jobs", "b") == ["backup"]
    assert offered("list", *there, "backup", "") == names[1:]
    assert offered("why", *there, "backup", "") == []


def test_jobs_runs_and_locks_are_those_on_record(night: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("#: name=brand-new\n0 3 * * * true\n")
    assert offered("status", *night, "") == ["brand-new", "backup", "mirror", "poll", "report", "vacuum"]
    assert offered("logs", *night, "") == ["brand-new"]
    lines = call("history", *night, "--json", "backup").json["fires"]
    ids = [run["run"] for fire in lines for run in fire["runs"]]
    assert len(ids) > 1
    assert set(ids) <= set(offered("logs", *night, "3"))
    note = call("completion", "zsh", "--", "logs", *night, ids[0]).out
    assert note.startswith(f"{ids[0]}\tbackup, ")
    call("pause", *night, "brand-new")
    assert offered("resume", *night, "") == ["brand-new"]


def test_what_goes_on_is_offered_to_who_stops_it(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    night = Night(tmp_path / "state")
    run = night.start(night.claim("vacuum", at("3:00")), "vacuum", at("3:00"))
    night.run("poll", at("3:10"), timedelta(seconds=1), RunEnd("", "ok", exit_code=0))
    there = ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state")]
    assert offered("stop", *there, "") == ["vacuum", run]
    night.ledger.close()


def test_locks_are_offered_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "state" / "locks").mkdir(parents=True)
    for name in ("job.db,nightly", "job.db,nightly+2", "pool.uploads", "runner"):
        (tmp_path / "state" / "locks" / name).touch()
    there = ["--state", str(tmp_path / "state")]
    assert offered("locks", *there, "") == ["job", "lock", "pool", "runner", "db/nightly", "uploads"]


def test_what_is_planned_is_offered_to_who_takes_it_back(night: list[str]) -> None:
    assert call("at", *night, "in 2h", "--name", "tidy", "--", "true").code == 0
    assert offered("at", *night, "--remove", "") == ["at/tidy"]
    assert offered("run", *night, "at/") == ["at/tidy"]


def test_a_record_that_cannot_be_read_leaves_the_jobs(night: list[str], tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("#: name=here\n0 3 * * * true\n")
    (tmp_path / "state" / "ledger.sqlite3").write_bytes(b"no ledger at all" * 100)
    assert offered("status", *night, "") == ["here"]
    assert offered("logs", *night, "h") == ["here"]
    assert offered("stop", *night, "h") == []


def test_asking_leaves_nothing_behind(night: list[str], tmp_path: Path) -> None:
    def seen() -> dict[str, tuple[int, int]]:
        found = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}

    before = seen()
    for words in (["status", *night, ""], ["stop", *night, ""], ["logs", *night, "3"], ["locks", *night, ""]):
        offered(*words)
    assert seen() == before


def test_where_nothing_is_yet_nothing_is_made(tmp_path: Path) -> None:
    there = ["--jobs", str(tmp_path / "jobs"), "--state", str(tmp_path / "state")]
    for command in ("status", "stop", "resume", "logs", "run"):
        assert offered(command, *there, "x") == []
    assert offered("locks", *there, "") == ["job", "lock", "pool", "runner"]
    assert list(tmp_path.iterdir()) == []


def test_a_shell_that_is_not_known_is_a_mistake_that_names_the_nearest() -> None:
    answer = call("completion", "zhs")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "runjobs: SHELL 'zhs' is none of bash, zsh, fish\n  try: SHELL zsh\n"


@pytest.mark.parametrize("word", CHOICES["WHEN"])
def test_every_time_that_is_offered_is_one(word: str) -> None:
    assert parse_when(word, MORNING, MORNING.tzinfo)  # type: ignore[arg-type]  # it has one


@pytest.mark.parametrize("user_column", [False, True])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_a_glance_finds_the_names_that_a_whole_parse_gives(path: Path, user_column: bool) -> None:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    jobs = parse(text, source=str(path), user_column=user_column).jobs
    found = names_in(text, source=str(path), user_column=user_column)
    assert [name for name in found if name in {job.name for job in jobs}] == [job.name for job in jobs]


@pytest.mark.parametrize(
    "text",
    [
        "#: defaults fields=6\n0 0 3 * * * six\n#: fields=7 name=seven\n0 0 3 * * * * x\n#: fields=5\n0 3 * * * five\n",
        "#: user-column\n0 3 * * * root first\n#: fields=6\n0 0 3 * * * root second\n",
        "#: name=a\n\n# between\nA=1\n#: timeout=1h\n@daily x\n@daily x\n@daily x\n@every 90s y\n",
        "\ufeff#: 'name=b c' name=d\n0 3 * * * x\n#: name=e\n0 3 * * *\n0 4 * * * y\n",
        "#: name=gone\n\0\n0 3 * * * x\n  #:name=near\n  @reboot z\n@watch /srv/in -- z\n",
        '#: name="never closed\n0 3 * * * y\n#: defaults fields=nine\n0 4 * * * z\n',
        "-0 3 * * * x\n",
    ],
)
def test_a_glance_reads_what_names_depend_on(text: str) -> None:
    for user_column in (False, True):
        jobs = parse(text, source="/etc/jobs.d/some", user_column=user_column).jobs
        found = names_in(text, source="/etc/jobs.d/some", user_column=user_column)
        assert [name for name in found if name in {job.name for job in jobs}] == [job.name for job in jobs]

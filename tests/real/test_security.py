"""Who may write what runs, and who may read what is secret: each case tried as an attacker, or a slip, would have it.

As root each case is tried by root and by nobody; else by whoever runs the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from runjobs.adapters.statefolder import OURS
from tests.real.support import ledger, namespaces
from tests.real.support.command_line import SILENT, Place, environment
from tests.real.support.processes import wait_until
from tests.real.support.stage import Stage, stage_in

if TYPE_CHECKING:
    from collections.abc import Iterator

IS_ROOT = os.geteuid() == 0
NOBODY = 65534
STRANGER = 4711
# the interpreter may live below a folder of root's alone, which reading and searching gets past, writing not
AS_NOBODY = [
    *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
]
SECRET = "hunter2-but-longer"
JOB = "#: name=job cwd=/\n0 0 29 2 * echo it runs\n"
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files away, or become somebody else")


class Case(NamedTuple):
    """A place that belongs to a person, and that person's way to call runjobs."""

    place: Place
    uid: int

    @property
    def root(self) -> Path:
        return self.place.root

    def call(self, verb: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        person = [] if self.uid == os.geteuid() else AS_NOBODY
        return subprocess.run(
            [*person, *self.place.command(verb, *words)], env=environment(**variables), stdin=SILENT,
            capture_output=True, text=True, timeout=60, check=False, cwd="/",
        )  # fmt: skip

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file of this person's beside the jobs folder, or in it: `jobs.d/NAME`."""
        path = self.root / name
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.own(path.parent, path)
        return path

    def own(self, *paths: Path) -> None:
        """Give these to the person."""
        for path in paths:
            if self.uid != os.geteuid():
                os.lchown(path, self.uid, self.uid)

    def outcomes(self) -> list[tuple[str, str, str]]:
        return [(run["outcome"], run["reason"], run["detail"]) for run in ledger.runs(self.place.state)]


@pytest.fixture(params=["root", "nobody"] if IS_ROOT else ["self"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "nobody" and not shutil.which("setpriv"):
        pytest.skip("setpriv(1) is not installed")
    uid = {"root": 0, "nobody": NOBODY, "self": os.geteuid()}[request.param]
    folder = Path(tempfile.mkdtemp(prefix="runjobs-"))  # nobody can't enter the folders of root's pytest
    try:
        made = Case(Place(folder), uid)
        folder.chmod(0o755)
        made.own(folder)
        made.write("jobs.d/jobs", JOB)
        yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with stage_in(tmp_path) as stage:
        yield stage


def refused(case: Case, *said: str) -> None:
    """`check` says all of this, and for `run` there is no such job."""
    checked, ended = case.call("check"), case.call("run", "job")
    text = " ".join(checked.stdout.split())
    assert [piece for piece in said if piece not in text] == []
    assert checked.returncode == 78
    assert (ended.returncode, ended.stdout) == (2, ""), ended


def runs(case: Case) -> None:
    ended = case.call("run", "job")
    assert (ended.returncode, ended.stdout) == (0, "it runs\n"), ended.stderr


# --- who may write what runs -----------------------------------------------------------------------------------------


def test_a_file_that_others_can_write_is_refused_until_it_is_mended_or_trusted(case: Case) -> None:
    path = case.write("jobs.d/jobs", JOB, mode=0o646)
    refused(case, f"others can write {path}: owner ", "mode 0646", f"chmod go-w {path}", "--trust-jobs")
    assert case.call("run", "--trust-jobs", "job").stdout == "it runs\n"
    path.chmod(0o644)
    runs(case)


def test_a_file_that_its_group_can_write_is_refused_as_root_and_else_warned_of(case: Case) -> None:
    path = case.write("jobs.d/jobs", JOB, mode=0o664)
    if case.uid == 0:
        refused(case, f"others can write {path}: owner root, mode 0664", f"chmod go-w {path}")
        return
    ended = case.call("check")
    assert ended.returncode == 0
    assert "1 warning" in ended.stdout
    assert "the group can write" in ended.stdout
    runs(case)


def test_a_folder_above_that_others_can_write_is_refused_unless_it_is_sticky(case: Case) -> None:
    case.root.chmod(0o777)
    refused(case, f"others can write the folder {case.root}: owner ", "mode 0777", f"chmod go-w {case.root}")
    case.root.chmod(0o1777)
    runs(case)


@as_root
def test_a_file_or_folder_of_another_user_is_refused(case: Case) -> None:
    path = case.root / "jobs.d" / "jobs"
    os.chown(path, STRANGER, STRANGER)
    whose, command = ("root's", "chown root") if case.uid == 0 else ("ours", f"as root: chown {case.uid}")
    refused(case, f"{path} is not {whose}: owner 4711, mode 0644", f"{command} {path}")


@as_root
def test_root_is_not_told_to_take_a_persons_home_away(stage: Stage) -> None:
    home = stage.root / "home"
    (home / "jobs.d").mkdir(parents=True)
    (home / "jobs.d" / "jobs").write_text(JOB)
    for path in (home, home / "jobs.d", home / "jobs.d" / "jobs"):
        os.chown(path, STRANGER, STRANGER)
    place = Place(home)
    checked = place.call("check")
    assert checked.returncode == 78
    assert "move the jobs to /etc/runjobs/jobs.d" in checked.stdout
    assert "chown" not in checked.stdout
    os.chown(home, 0, 0)  # what was named itself may be given away
    assert f"try: chown root {home}/jobs.d; or pass --trust-jobs" in place.call("check").stdout


@as_root
def test_a_symlink_to_another_users_file_is_refused(case: Case) -> None:
    strangers = case.write("strangers", JOB)
    os.chown(strangers, STRANGER, STRANGER)
    link = case.root / "jobs.d" / "jobs"
    link.unlink()
    link.symlink_to(strangers)
    case.own(link)
    refused(case, f"{strangers} is not ", "owner 4711, mode 0644")
    case.own(strangers)
    if case.uid == 0:
        os.chown(strangers, 0, 0)
    runs(case)


@as_root
def test_another_users_symlink_is_refused_though_it_leads_to_a_file_of_ours(case: Case) -> None:
    link = case.root / "jobs.d" / "jobs"
    link.unlink()
    link.symlink_to(case.write("ours", JOB))
    os.lchown(link, STRANGER, STRANGER)
    refused(case, f"the symlink {link} is not ours: owner 4711, mode 0777", "chown -h ")


def test_a_symlink_through_a_folder_that_others_can_write_is_refused(case: Case) -> None:
    loose = case.root / "loose"
    target = case.write("loose/jobs", JOB)
    loose.chmod(0o777)
    link = case.root / "jobs.d" / "jobs"
    link.unlink()
    link.symlink_to(target)
    case.own(link)
    refused(case, f"others can write the folder {loose}: owner ", "mode 0777", f"chmod go-w {loose}")


def test_a_hard_link_is_refused_until_it_is_a_file_of_its_own(case: Case) -> None:
    path = case.root / "jobs.d" / "jobs"
    os.link(path, case.root / "other")
    command = f"cp -p {path} {path}.tmp && mv {path}.tmp {path}"
    refused(case, f"{path} is a hard link, one of 2 names of its file: owner ", "mode 0644", command)
    subprocess.run(["sh", "-c", command], check=True)
    case.own(path)
    runs(case)


def test_what_a_stranger_writes_into_a_file_that_was_well_does_not_run_and_what_stood_there_before_does(
    case: Case,
) -> None:
    runs(case)
    case.write("jobs.d/jobs", JOB.replace("it runs", "a stranger runs"), mode=0o646)
    ended = case.call("run", "job")
    assert (ended.returncode, ended.stdout) == (0, "it runs\n")
    assert case.call("check").returncode == 78


def test_a_configmap_is_followed_through_its_two_links_and_a_swap_of_them_is_another_file(case: Case) -> None:
    (case.root / "jobs.d" / "jobs").unlink()
    for number in (1, 2):
        case.write(f"jobs.d/..2026_{number}/jobs", JOB.replace("it runs", f"it runs {number}"))
    case.own(case.root / "jobs.d")
    data, link = case.root / "jobs.d" / "..data", case.root / "jobs.d" / "jobs"
    data.symlink_to("..2026_1")
    link.symlink_to("..data/jobs")
    case.own(data, link)
    assert case.call("run", "job").stdout == "it runs 1\n"
    new = case.root / "jobs.d" / "..data_tmp"
    new.symlink_to("..2026_2")
    case.own(new)
    new.rename(data)
    assert case.call("run", "job").stdout == "it runs 2\n"
    assert case.call("check").returncode == 0


# --- what is no file -------------------------------------------------------------------------------------------------


def put(kind: str, path: Path) -> None:
    """Something in the place of a file that would keep us waiting, or do who knows what."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if kind == "a FIFO":
        os.mkfifo(path, 0o600)
    elif kind == "a socket":
        short = Path(tempfile.mkdtemp()) / "s"  # the address of a socket has room for 107 bytes
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(short))
        short.rename(path)
        short.parent.rmdir()
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_what_is_no_file_is_refused_as_a_jobs_file_and_hangs_nobody(case: Case, kind: str) -> None:
    path = case.root / "jobs.d" / "jobs"
    put(kind, path)
    case.own(path)
    refused(case, f"{'/dev/zero' if kind == 'a device' else path} is {kind}, not a file: owner ", "mode 0", "rm ")


@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a device"])
def test_what_is_no_file_is_refused_as_an_env_file_and_hangs_nobody(stage: Stage, kind: str) -> None:
    put(kind, stage.root / "env")
    stage.jobs(f"#: name=job env-file={stage.root}/env\n0 0 29 2 * true\n")
    ended = stage.place.call("run", "job")
    assert ended.returncode == 126
    ((outcome, reason, detail),) = [
        (run["outcome"], run["reason"], run["detail"]) for run in ledger.runs(stage.place.state)
    ]
    assert (outcome, reason) == ("error", "env-file")
    assert f"is {kind}, not a file: owner " in detail
    assert "; try: rm " in detail
    assert f"is {kind}, not a file" in stage.place.call("check").stdout


@pytest.mark.parametrize(("kind", "seen"), [("a FIFO", "a FIFO"), ("a socket", "a socket"), ("a device", "a symlink")])
def test_what_is_no_file_is_refused_as_a_lock_and_hangs_nobody(stage: Stage, kind: str, seen: str) -> None:
    put(kind, stage.place.state / "locks" / "job.job")
    stage.jobs("#: name=job\n0 0 29 2 * true\n#: name=other\n0 0 29 2 * true\n")
    ended = stage.place.call("run", "job")
    path = stage.place.state / "locks" / "job.job"
    assert ended.returncode == 126
    assert (
        f"{path} is {seen}, not a regular file, so it can't be a lock (owner uid {os.geteuid()}, mode 0" in ended.stderr
    )
    assert f"try: rm {path}" in ended.stderr
    assert stage.place.call("run", "other").returncode == 0
    assert [fire["reason"] for fire in ledger.fires(stage.place.state, "job")] == ["lock"]


@pytest.mark.parametrize("kind", ["a FIFO", "a socket"])
@pytest.mark.parametrize("name", ["ledger.sqlite3", "ledger.lock", "standin.lock"])
def test_what_is_no_file_is_refused_as_a_file_of_the_state_folder_and_hangs_nobody(
    stage: Stage, kind: str, name: str
) -> None:
    stage.jobs(JOB)
    path = stage.place.state / name
    put(kind, path)
    for words in (["run", "job"], ["run"], ["doctor"]):
        ended = stage.place.call(*words)
        said = " ".join((ended.stdout + ended.stderr).split())
        assert ended.returncode == (1 if words == ["doctor"] else 78)
        assert f"{path} is {kind}, not a file: owner " in said
        assert f"mv {path} {path}.aside" in said
    if name == "ledger.sqlite3":
        ended = stage.place.call("history")
        assert ended.returncode != 0
        assert f"it is {kind}, not a file" in ended.stderr


def test_a_runner_whose_lock_is_a_fifo_says_so_and_hangs_nobody(stage: Stage) -> None:
    stage.jobs(JOB)
    put("a FIFO", stage.place.state / "locks" / "runner")
    ended = stage.place.call("run", "job")
    assert ended.returncode == 74
    assert f"{stage.place.state}/locks/runner is a FIFO, not a regular file" in ended.stderr


@pytest.mark.parametrize("name", ["../../x", "..", "a/../../x", "/etc/x", "a//x", "./x", "-x", ".x"])
def test_a_name_that_would_lead_out_of_the_state_folder_is_an_error(stage: Stage, name: str) -> None:
    stage.jobs(f"#: name={name} lock=fine\n* * * * * touch {stage.root}/ran\n#: name=j lock={name}\n0 0 29 2 * true\n")
    checked = stage.place.call("check")
    assert checked.returncode == 78
    assert checked.stdout.count("a name can't") == 2
    assert stage.place.call("run").returncode == 78
    assert not (stage.root / "ran").exists()


# --- env-files -------------------------------------------------------------------------------------------------------


def with_env_file(case: Case, mode: int, options: str = "") -> Path:
    """A job that needs its env-file; the folder of the file is closed to others unless it is opened."""
    path = case.write("env", f"TOKEN={SECRET}\n", mode)
    case.write(
        "jobs.d/jobs",
        f'#: name=job cwd=/ env-file={path} {options}\n0 0 29 2 * test "$TOKEN" = {SECRET[:3]}"{SECRET[3:]}"\n',
    )
    return path


@pytest.mark.parametrize("mode", [0o602, 0o622])
def test_an_env_file_that_others_can_write_ends_the_run_as_an_error_with_the_mending_command(
    case: Case, mode: int
) -> None:
    path = with_env_file(case, mode)
    ended = case.call("run", "job")
    assert ended.returncode == 126
    assert f"others can write {path}: owner " in ended.stderr
    ((outcome, reason, detail),) = case.outcomes()
    assert (outcome, reason) == ("error", "env-file")
    assert f"mode {mode:04o}; try: chmod go-w {path}; or pass --trust-jobs" in detail
    assert case.call("check", "--strict").returncode == 78
    assert case.call("run", "--trust-jobs", "job").returncode == 0


def test_an_env_file_that_others_can_read_is_a_warning_of_check_and_doctor_and_the_job_runs(case: Case) -> None:
    path = with_env_file(case, 0o644)
    said = f"others can read the env-file {path}: owner "
    assert case.call("run", "job").returncode == 0
    checked = case.call("check")
    assert checked.returncode == 0
    assert said in checked.stdout
    assert f"chmod o-r {path}" in checked.stdout
    assert "1 warning" in checked.stdout
    assert said in case.call("doctor").stdout
    case.root.chmod(0o700)  # nobody else can enter: what is in it can't be read
    assert "0 warnings" in case.call("check").stdout
    case.root.chmod(0o755)
    path.chmod(0o640)
    assert "0 warnings" in case.call("check").stdout


@as_root
def test_as_root_an_env_file_may_be_the_jobs_users_but_no_third_persons() -> None:
    folder = Path(tempfile.mkdtemp(prefix="runjobs-"))
    try:
        folder.chmod(0o755)
        case = Case(Place(folder), 0)
        path = with_env_file(case, 0o600, "user=nobody")
        assert case.call("run", "job").returncode == 0
        os.chown(path, NOBODY, NOBODY)
        assert case.call("run", "job").returncode == 0
        os.chown(path, STRANGER, STRANGER)
        assert case.call("run", "job").returncode == 126
        assert f"{path} is not root's: owner 4711, mode 0600; try: chown root {path}" in case.outcomes()[-1][2]
    finally:
        shutil.rmtree(folder)


@as_root
def test_root_reads_no_env_file_through_a_link_of_the_jobs_user() -> None:
    folder = Path(tempfile.mkdtemp(prefix="runjobs-"))
    try:
        folder.chmod(0o755)
        case = Case(Place(folder), 0)
        path = with_env_file(case, 0o600, "user=nobody")
        path.rename(folder / "roots")  # what nobody may not read, and would be given
        path.symlink_to("roots")
        os.lchown(path, NOBODY, NOBODY)
        for more in ([], ["--trust-jobs"]):
            ended = case.call("run", *more, "job")
            assert ended.returncode == 126
            said = f"the symlink {path} is not ours: owner nobody (65534), mode 0777; try: replace the link by a file"
            assert case.outcomes()[-1][2] == said
            assert SECRET not in ended.stdout + ended.stderr
    finally:
        shutil.rmtree(folder)


def test_a_hard_link_is_refused_as_an_env_file(case: Case) -> None:
    path = with_env_file(case, 0o600)
    os.link(path, case.root / "other")
    assert case.call("run", "job").returncode == 126
    assert f"{path} is a hard link, one of 2 names of its file" in case.outcomes()[-1][2]


# --- secrets ---------------------------------------------------------------------------------------------------------

ASKING = (
    ["check"], ["check", "--json"], ["list", "--json"], ["status", "--json"], ["history", "--json"], ["why", "ok"],
    ["why", "bad"], ["logs", "ok"], ["doctor", "--json"],
)  # fmt: skip


def told(place: Place, *words: str) -> str:
    """All that a command says, also with the tracebacks of --debug."""
    ended = place.call(*words)
    return ended.stdout + ended.stderr


def in_foreground(stage: Stage, form: str) -> str:
    """All that a foreground says while each job runs at least once."""
    path = stage.root / f"told-{form}"
    with path.open("ab") as out, stage.start("--foreground", "--log-format", form, stdout=out) as runner:
        before = len(ledger.runs(stage.place.state, "shell"))
        assert wait_until(lambda: len(ledger.runs(stage.place.state, "shell")) > before + 1)
        runner.terminate()
    return path.read_text()


def test_what_an_env_file_says_is_told_nowhere(stage: Stage) -> None:
    files = {
        "ok": f"TOKEN={SECRET}\n",
        "bad": f"TOKEN={SECRET}\n{SECRET} without an equals sign\n",
        "large": f"TOKEN={SECRET}{'x' * 131_072}\n",
        "nul": f"TOKEN={SECRET}\0\n",
        "shell": f"TOKEN={SECRET}\n",
    }
    lines = []
    for name, text in files.items():
        (stage.root / f"{name}.env").write_text(text)
        (stage.root / f"{name}.env").chmod(0o604)
        shell = "SHELL=/no/such/shell\n" if name == "shell" else ""
        lines.append(f'{shell}#: name={name} env-file={stage.root}/{name}.env\n@every 1s test -n "$TOKEN"; exit 3\n')
    stage.jobs("".join(lines))
    said = [told(stage.place, "run", *files), told(stage.place, "run", "--debug", *files)]
    said += [in_foreground(stage, form) for form in ("json", "text")]
    said += [told(stage.place, *words) for words in ASKING]
    said.append(stage.err)
    assert {run["outcome"] for run in ledger.runs(stage.place.state)} == {"failed", "error"}
    assert [text for text in said if SECRET in text] == []
    kept = [path for path in stage.place.state.rglob("*") if path.is_file()]
    assert len(kept) > 5
    assert [path for path in kept if SECRET.encode() in path.read_bytes()] == []


def test_no_process_of_ours_shows_a_secret_in_its_command_line_or_its_name(stage: Stage) -> None:
    (stage.root / "env").write_text(f"TOKEN={SECRET}\n")
    (stage.root / "env").chmod(0o600)
    stage.jobs(f'#: name=job env-file={stage.root}/env\n@every 1s test -n "$TOKEN" && touch runs && sleep 1000\n')
    with stage.foreground():
        assert stage.exists("runs")
        members = stage.members()
        shown = b""
        for pid in members:
            for name in ("cmdline", "comm"):
                with contextlib.suppress(OSError):
                    shown += Path(f"/proc/{pid}/{name}").read_bytes()
    assert len(members) >= 3  # the runner, the guard, the job
    assert b"runjobs" in shown
    assert SECRET.encode() not in shown


def test_settings_and_secrets_of_ours_are_in_no_jobs_environment_and_a_files_own_are(stage: Stage) -> None:
    (stage.root / "env").write_text("RUNJOBS_FROM_FILE=1\n")
    (stage.root / "env").chmod(0o600)
    command = "env | grep ^RUNJOBS_ | cut -d= -f1 | sort"
    stage.jobs(
        f"#: name=plain\n0 0 29 2 * {command}\n#: name=starter nice=1\n0 0 29 2 * {command}\n"
        f"#: name=clean env=clean\n0 0 29 2 * {command}\n#: name=own env-file={stage.root}/env\n0 0 29 2 * {command}\n"
    )
    settings = {
        "RUNJOBS_STATE": str(stage.place.state), "RUNJOBS_JOBS": str(stage.place.jobs), "RUNJOBS_SECRET": SECRET,
        "RUNJOBS_CWD": str(stage.root), "RUNJOBS_MAX_PARALLEL": "7", "RUNJOBS_RUN_ID": "another's",
    }  # fmt: skip
    facts = ["RUNJOBS_ATTEMPT", "RUNJOBS_JOB", "RUNJOBS_RUN_ID", "RUNJOBS_SCHEDULED_AT"]
    for name in ("plain", "starter", "clean", "own"):
        ended = subprocess.run(
            stage.place.command("run", name), env=environment(**settings), stdin=SILENT, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.split() == sorted([*facts, *(["RUNJOBS_FROM_FILE"] if name == "own" else [])]), name


# --- the state folder ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0, 0o077])
def test_all_that_a_runner_makes_is_for_its_owner_alone_whatever_the_umask(stage: Stage, umask: int) -> None:
    mark = f"touch {stage.root}/${{RUNJOBS_JOB}}"
    stage.jobs(
        f"#: name=a/b log-limit=4k\n@every 1s seq 10000; {mark}b; sleep 1000\n"
        f"#: name=locked lock=x pool=p:2\n@every 1s echo said; {mark}; sleep 1000\n"
        f"#: name=many overlap=allow\n@every 1s {mark}; exec sleep 1.5\n"
        f"#: name=quick\n@every 1s {mark}; exit 3\n"
    )
    (stage.root / "a").mkdir()
    nested = stage.place._replace(root=stage.root)
    with stage.foreground(umask=umask):
        assert all(stage.exists(name) for name in ("a/bb", "locked", "many", "quick"))
        assert wait_until((nested.state / "locks" / "job.many+2").exists)
        assert wait_until(lambda: ledger.runs(nested.state, "quick"))
        seen = everything(nested.state)
        assert any(name.endswith("ledger.sqlite3-wal") for name in seen)
    seen |= everything(nested.state)
    assert {name: oct(mode) for name, mode in seen.items() if mode & 0o077} == {}
    assert {name.split("/")[0].partition(".")[0] for name in seen if name != "."} <= OURS


def everything(state: Path) -> dict[str, int]:
    """The modes of all that is in a state folder."""
    found = {}
    for path in (state, *state.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            found[str(path.relative_to(state))] = path.lstat().st_mode & 0o7777
    return found


def test_a_state_folder_that_others_could_read_is_closed_to_them_and_the_run_says_so_once(case: Case) -> None:
    runs(case)
    state = case.place.state
    state.chmod(0o755)
    (state / "logs").chmod(0o750)
    ended = case.call("run", "job")
    assert (ended.returncode, ended.stdout) == (0, "it runs\n")
    assert f"the state folder {state} could be read by others (mode 0755): it is closed to them now" in ended.stderr
    assert f"the state folder {state}/logs could be read by others (mode 0750)" in ended.stderr
    assert [path.stat().st_mode & 0o777 for path in (state, state / "logs")] == [0o700] * 2
    assert case.call("run", "job").stderr == ""


def test_a_state_folder_that_others_can_write_is_refused(case: Case) -> None:
    runs(case)
    case.place.state.chmod(0o777)
    ended = case.call("run", "job")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert f"others can write the state folder {case.place.state}: owner " in ended.stderr
    assert "mode 0777" in ended.stderr
    assert f"chmod go-w {case.place.state}" in ended.stderr


@as_root
def test_a_state_folder_of_another_user_is_refused_and_nothing_is_put_into_it(case: Case) -> None:
    case.place.state.mkdir(mode=0o755)
    os.chown(case.place.state, STRANGER, STRANGER)
    ended = case.call("run", "job")
    assert ended.returncode == 78
    assert f"the state folder {case.place.state} is not ours: owner 4711, mode 0755" in ended.stderr
    assert list(case.place.state.iterdir()) == []


@as_root
@pytest.mark.parametrize(
    ("owner", "mode", "way"), [(STRANGER, 0o755, "chown root {}"), (0, 0o777, "chmod +t {}"), (0, 0o770, "chmod +t {}")]
)
def test_root_runs_nothing_from_a_state_folder_that_another_could_put_there(
    stage: Stage, owner: int, mode: int, way: str
) -> None:
    """Whose folder it lies in could move it aside, and put one there with a ledger that has root run what it says."""
    above = stage.root / "above"
    above.mkdir()
    above.chmod(mode)
    os.chown(above, owner, owner)
    place = Place(above)
    stage.jobs(JOB)
    words = ["--jobs", str(stage.place.jobs), "--state", str(place.state), "--trust-jobs"]
    for more in (["job"], [], ["--foreground"]):
        command = [sys.executable, "-m", "runjobs", "run", *words, *more]
        ended = subprocess.run(command, env=environment(), stdin=SILENT, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (78, "")
        assert f"{above} above the state folder" in ended.stderr
        assert way.format(above) in ended.stderr
        assert not place.state.exists()


@as_root
def test_a_ledger_that_was_put_in_the_place_of_ours_meanwhile_is_not_read(stage: Stage) -> None:
    stage.jobs("#: name=job\n@every 1s true\n")
    with stage.foreground() as runner:
        assert stage.heard("ended", job="job")
        forged = stage.root / "forged"
        shutil.copytree(stage.place.state, forged)
        for path in (forged, *forged.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        stage.place.state.rename(stage.root / "aside")
        forged.rename(stage.place.state)
        assert stage.heard("warning")
        assert runner.poll() is None
    assert f"belongs to uid {NOBODY}" in stage.events("warning")[0]["message"]
    known, found = ledger.fires(stage.root / "aside"), ledger.fires(stage.place.state)
    assert len(found) <= len(known)  # nothing was written to it


def test_a_log_is_not_written_through_a_link_in_the_place_of_the_jobs_folder(case: Case) -> None:
    runs(case)
    logs = case.place.state / "logs" / "job"
    shutil.rmtree(logs)
    elsewhere = case.root / "elsewhere"
    elsewhere.mkdir()
    logs.symlink_to(elsewhere)
    case.own(elsewhere, logs)
    assert case.call("run", "job").returncode == 0
    assert list(elsewhere.iterdir()) == []


# --- user= -----------------------------------------------------------------------------------------------------------


@as_root
def test_a_job_of_another_user_has_that_users_groups_alone_and_no_way_back(stage: Stage) -> None:
    if why := namespaces.why_not():
        pytest.skip(why)
    groups = stage.root / "group"
    groups.write_text(Path("/etc/group").read_text() + "probe:x:7777:nobody\nother:x:7778:root\n")
    stage.jobs(
        "#: name=job user=nobody cwd=/ umask=027\n"
        "0 0 29 2 * id -G; umask; grep -E '^([UG]id|Groups|CapEff):' /proc/self/status; cat /etc/shadow\n"
    )
    mounted = ["sh", "-c", 'mount --bind "$0" /etc/group && exec "$@"', str(groups)]
    ended = subprocess.run(
        namespaces.mounting([*mounted, *stage.place.command("run", "job")]),
        env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=60, check=False,
        extra_groups=[0, 4, 27, 7778],
    )  # fmt: skip
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert [sorted(lines[0]), lines[1]] == [["65534", "7777"], ["0027"]], ended.stderr
    told = {words[0]: words[1:] for words in lines[2:]}
    assert told["Uid:"] == told["Gid:"] == ["65534"] * 4  # the saved ones too
    assert sorted(told["Groups:"]) == ["65534", "7777"]
    assert int(told["CapEff:"][0], 16) == 0
    assert "/etc/shadow: Permission denied" in ended.stderr


@as_root
def test_a_job_of_another_user_can_read_nothing_of_ours(stage: Stage) -> None:
    for folder in stage.root.parents[:2]:
        folder.chmod(0o755)
    stage.root.chmod(0o755)
    state = stage.place.state
    tries = f"ls {state}; cat {state}/ledger.sqlite3; cat /proc/$(cut -d' ' -f4 /proc/$$/stat)/environ; true"
    stage.jobs(f"#: name=job user=nobody cwd=/\n0 0 29 2 * {tries}\n")
    ended = stage.place.call("run", "job")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.count("Permission denied") == 3


def test_the_first_line_of_a_run_as_another_user_is_json_for_machines_too(case: Case) -> None:
    """What is refused is told to machines with the same words."""
    path = case.write("jobs.d/jobs", JOB, mode=0o646)
    (problem,) = json.loads(case.call("check", "--json").stdout)["problems"]
    assert problem["severity"] == "error"
    assert problem["message"].startswith(f"others can write {path}: owner ")
    assert problem["hint"].startswith(f"chmod go-w {path}; ")

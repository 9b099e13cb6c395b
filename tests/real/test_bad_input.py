"""Bad input of every kind: a clear message, the documented exit code, no traceback, and the other jobs run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.support import ledger
from tests.real.support.command_line import SILENT, Place, environment

if TYPE_CHECKING:
    from pathlib import Path

BAD = 78  # the documented code of bad jobs files and settings
IS_ROOT = os.geteuid() == 0
# root reads and writes whatever it likes, until it lacks these two capabilities: capabilities(7)
_POWERLESS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if IS_ROOT else []
needs_setpriv = pytest.mark.skipif(IS_ROOT and not shutil.which("setpriv"), reason="setpriv(1) is not installed")

# each with what its message has to say, and where
BAD_FILES = {
    "NUL byte": (b"* * * * * ec\0ho\n", "zz:1:13: error: a NUL byte"),
    "line of 1 MB": (b"* * * * * echo " + b"x" * 1_000_000 + b"\n", "zz:1:11: error: the command is longer"),
    "line of 1 MB without a blank": (b"x" * 1_000_000 + b"\n", "zz:1:1"),
    "binary garbage": (random.Random(4).randbytes(5000), "zz:1:"),
    "a minute past 59": (b"61 * * * * true\n", "zz:1:1: error:"),
    "an unknown option": (b"#: tiemout=3s\n* * * * * true\n", "timeout"),
    "a name that another file has": (b"#: name=good\n* * * * * true\n", "good"),
    "a word that is no schedule": (b"@fortnightly true\n", "zz:1:1"),
}
# each runs, though cron would choke on some
ODD_FILES = {
    "lines end in CRLF": b"* * * * * touch odd\r\n",
    "a BOM first": b"\xef\xbb\xbf* * * * * touch odd\n",
    "no newline last": b"* * * * * touch odd",
    "not UTF-8": b"* * * * * touch odd # \xe9\n",
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with one good job that is due at once, and leaves a file."""
    place = Place(tmp_path)
    place.write("good", f"#: defaults cwd={tmp_path}\n#: name=good\n* * * * * touch good\n")
    return place


def is_clean(text: str) -> bool:
    """Whether it is fit for a person: no traceback, no internal error, no line too long to read."""
    return (
        "Traceback" not in text and "internal error" not in text and max(map(len, text.splitlines()), default=0) < 400
    )


def good_ran(place: Place) -> bool:
    return (place.root / "good").exists()


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_told_with_its_place_and_the_other_jobs_run(place: Place, content: bytes, message: str) -> None:
    place.write("zz", content)
    ended = place.call("run")
    assert (ended.returncode, ended.stdout) == (BAD, "")
    assert message in ended.stderr
    assert is_clean(ended.stderr)
    assert good_ran(place)


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_check_says_the_same_and_exits_78(place: Place, content: bytes, message: str) -> None:
    place.write("zz", content)
    ended = place.call("check")
    assert ended.returncode == BAD
    assert message in ended.stdout
    assert is_clean(ended.stdout + ended.stderr)


@pytest.mark.parametrize("content", ODD_FILES.values(), ids=ODD_FILES)
def test_an_odd_file_runs(place: Place, content: bytes) -> None:
    place.write("zz", f"#: defaults cwd={place.root}\n".encode() + content if content[:1] == b"*" else content)
    ended = place.call("run")
    assert is_clean(ended.stderr)
    assert ended.returncode == 0, ended.stderr
    assert good_ran(place)
    assert {fire["outcome"] for fire in ledger.fires(place.state)} == {"ok"}
    assert len(ledger.fires(place.state)) == 2


def test_an_empty_file_is_no_problem_and_nothing_is_said(place: Place) -> None:
    place.write("zz", "")
    ended = place.call("run")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert good_ran(place)


def test_two_jobs_of_one_name_are_shown_with_both_places(place: Place) -> None:
    place.write("zz", "\n\n#: name=good\n* * * * * touch other\n")
    ended = place.call("run")
    assert ended.returncode == BAD
    assert f"{place.jobs}/zz:4" in ended.stderr
    assert f"{place.jobs}/good, line 3" in ended.stderr


@pytest.mark.skipif(not IS_ROOT, reason="only root may run a job as another user")
def test_a_job_of_an_unknown_user_is_an_error_that_names_the_user(place: Place) -> None:
    place.write("zz", "#: name=foreign user=nosuchuser\n* * * * * true\n")
    ended = place.call("run")
    assert ended.returncode in {1, BAD}  # a job that can't start has failed
    assert "nosuchuser" in ended.stderr
    assert is_clean(ended.stderr)
    assert good_ran(place)
    assert [fire["outcome"] for fire in ledger.fires(place.state, "foreign")] == ["error"]


def test_a_job_whose_folder_does_not_exist_is_an_error_that_names_the_folder(place: Place) -> None:
    place.write("zz", "#: name=lost cwd=/no/such/folder\n* * * * * true\n")
    ended = place.call("run")
    assert ended.returncode == 1
    assert "/no/such/folder" in ended.stderr
    assert is_clean(ended.stderr)
    assert good_ran(place)
    assert [fire["outcome"] for fire in ledger.fires(place.state, "lost")] == ["error"]


def test_a_file_that_others_can_write_is_refused_and_the_message_mends_it(place: Place) -> None:
    path = place.write("zz", "* * * * * true\n")
    path.chmod(0o666)
    ended = place.call("run")
    assert ended.returncode == BAD
    assert f"chmod go-w {path}" in ended.stderr
    assert good_ran(place)
    assert len(ledger.fires(place.state)) == 1


def test_a_fifo_in_the_jobs_folder_is_told_and_hangs_nobody(place: Place) -> None:
    os.mkfifo(place.jobs / "zz")
    ended = place.call("run")
    assert ended.returncode == BAD
    assert "FIFO" in ended.stderr
    assert good_ran(place)


def test_a_link_that_leads_nowhere_is_told(place: Place) -> None:
    (place.jobs / "zz").symlink_to("/no/such/file")
    ended = place.call("run")
    assert ended.returncode == BAD
    assert f"{place.jobs}/zz" in ended.stderr
    assert good_ran(place)


def powerless(place: Place, verb: str) -> subprocess.CompletedProcess[str]:
    command = [*_POWERLESS, *place.command(verb)]
    return subprocess.run(
        command, env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=60, check=False
    )


@needs_setpriv
@pytest.mark.parametrize("verb", ["run", "check"])
def test_an_unreadable_folder_is_told(place: Place, verb: str) -> None:
    place.jobs.chmod(0)
    ended = powerless(place, verb)
    place.jobs.chmod(0o755)
    assert ended.returncode == BAD
    assert f"{place.jobs}" in ended.stdout + ended.stderr
    assert "Permission denied" in ended.stdout + ended.stderr
    assert is_clean(ended.stdout + ended.stderr)


@needs_setpriv
def test_an_unreadable_file_is_told_and_the_other_jobs_run(place: Place) -> None:
    place.write("zz", "* * * * * true\n").chmod(0)
    ended = powerless(place, "run")
    assert ended.returncode == BAD
    assert f"{place.jobs}/zz" in ended.stderr
    assert is_clean(ended.stderr)
    assert good_ran(place)


@needs_setpriv
def test_a_state_folder_that_cannot_be_written_is_told(place: Place) -> None:
    place.state.mkdir(mode=0o500)
    ended = powerless(place, "run")
    assert ended.returncode == BAD
    assert str(place.state) in ended.stderr
    assert is_clean(ended.stderr)


def test_a_state_folder_that_is_a_file_is_told(place: Place) -> None:
    place.state.touch()
    ended = place.call("run")
    assert ended.returncode == BAD
    assert str(place.state) in ended.stderr
    assert is_clean(ended.stderr)


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_jobs_folder_that_does_not_exist_is_told(tmp_path: Path, verb: str) -> None:
    place = Place(tmp_path)
    ended = place.call(verb)
    assert ended.returncode == BAD
    assert str(place.jobs) in ended.stdout + ended.stderr
    assert is_clean(ended.stdout + ended.stderr)


@pytest.mark.parametrize("garbage", [b"not a database at all\n" * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_ledger_is_set_aside_with_a_message_and_the_jobs_run(place: Place, garbage: bytes) -> None:
    place.state.mkdir(mode=0o700)
    (place.state / "ledger.sqlite3").write_bytes(garbage)
    ended = place.call("run")
    assert ended.returncode == 0
    assert str(place.state / "ledger.sqlite3") in ended.stderr
    assert is_clean(ended.stderr)
    assert good_ran(place)
    assert [path.read_bytes() for path in place.state.glob("ledger.sqlite3.broken-*")] == [garbage]


def test_a_ledger_broken_in_its_middle_is_told_and_not_a_traceback(place: Place) -> None:
    assert place.call("run").returncode == 0
    path = place.state / "ledger.sqlite3"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    (place.root / "good").unlink()
    ended = place.call("run")
    assert is_clean(ended.stderr)
    assert ended.returncode == 0 or "ledger" in ended.stderr


def test_nothing_is_started_while_strict_finds_a_mistake(place: Place) -> None:
    place.write("zz", "61 * * * * true\n")
    ended = place.call("run", "--strict")
    assert ended.returncode == BAD
    assert is_clean(ended.stderr)
    assert not good_ran(place)


def test_the_foreground_tells_a_mistake_and_runs_the_others(place: Place) -> None:
    place.write("zz", "61 * * * * true\n")
    place.write("good", f"#: defaults cwd={place.root}\n#: name=good\n@every 1s touch good; kill -TERM $(cat pid)\n")
    command = ["sh", "-c", f'echo $$ >{place.root}/pid; exec "$@"', "sh", *place.command("run", "--foreground")]
    ended = subprocess.run(
        command, env=environment(), stdin=SILENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0
    assert f"{place.jobs}/zz:1:1: error:" in ended.stderr
    assert is_clean(ended.stderr)
    assert good_ran(place)

"""Debian's own cron calls `runjobs run` each minute; one scenario of two minutes, looked at from several sides."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.real.support import debian_cron, ledger
from tests.real.support.command_line import ROOT, SILENT, Place, environment
from tests.real.support.processes import wait_until

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(bool(debian_cron.why_not()), reason=debian_cron.why_not()),
    pytest.mark.xdist_group("system cron"),
]

# a mail is whole when it has its last name
SENDMAIL = """#!/bin/sh
PATH=/usr/bin:/bin
part=$(mktemp "{folder}/part.XXXXXX")
{{ echo "arguments: $*"; cat; }} >"$part"
mv "$part" "{folder}/mail.${{part##*.}}"
"""
JOBS = """
#: name=long
* * * * * until test -e {release}; do sleep 0.2; done; echo released
#: name=bad
* * * * * echo "no space left on the backup disk"; exit 3
"""


class Night(NamedTuple):
    """What was left after cron had called twice while `long` ran, and `long` then ended."""

    troubled: Place
    quiet: Place
    mails: list[str]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Let cron call twice, once for a place with a long and a failing job, once for one where all is well."""
    folder = tmp_path_factory.mktemp("cron")
    troubled, quiet = (Place(folder / name) for name in ("troubled", "quiet"))
    release = folder / "release"
    for place, text in (troubled, JOBS.format(release=release)), (quiet, "#: name=well\n* * * * * echo all is well\n"):
        place.root.mkdir()
        place.write("jobs", text)
    command = debian_cron.in_a_namespace(folder, _crontab(troubled, quiet), SENDMAIL.format(folder=folder))
    cron = subprocess.Popen(command, stdin=SILENT, stdout=SILENT, stderr=SILENT, env=environment())
    try:
        assert wait_until(lambda: _outcomes(troubled, "long", "skipped"), 200), "cron has not called twice"
        assert wait_until(lambda: len(_outcomes(troubled, "bad", "failed")) >= 2, 60)
        assert wait_until(lambda: _mails(folder), 60), "no mail came"
        release.touch()
        assert wait_until(lambda: _outcomes(troubled, "long", "ok"), 60), "the long job has not ended"
        assert wait_until(lambda: len(_mails(folder)) >= 2, 60), "the first pass sent no mail"
        yield Night(troubled, quiet, _mails(folder))
    finally:
        cron.kill()  # the pid namespace ends with it, and all of its processes
        cron.wait()


def _crontab(*places: Place) -> str:
    lines = [f"PYTHONPATH={ROOT}", *(f"* * * * * {' '.join(place.command('run'))}" for place in places)]
    return "\n".join(lines) + "\n"


def _outcomes(place: Place, job: str, outcome: str) -> list[sqlite3.Row]:
    return [fire for fire in ledger.fires(place.state, job) if fire["outcome"] == outcome]


def _mails(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("mail.*"), key=lambda path: path.stat().st_mtime)]


def test_a_job_longer_than_a_minute_is_skipped_and_the_record_names_the_holder(night: Night) -> None:
    holder = ledger.runs(night.troubled.state, "long")[0]
    skipped = _outcomes(night.troubled, "long", "skipped")[0]
    assert skipped["reason"] == "overlap"
    assert holder["id"] in skipped["detail"]


def test_a_skipped_fire_started_nothing(night: Night) -> None:
    started = [run["scheduled_at"] for run in ledger.runs(night.troubled.state, "long")]
    skipped = [fire["scheduled_at"] for fire in _outcomes(night.troubled, "long", "skipped")]
    assert started
    assert not set(started) & set(skipped)


def test_the_long_job_ends_ok_though_cron_has_called_again_meanwhile(night: Night) -> None:
    first = ledger.fires(night.troubled.state, "long")[0]
    assert (first["state"], first["outcome"]) == ("ended", "ok")


def test_the_output_of_a_failing_job_arrives_in_crons_mail(night: Night) -> None:
    for mail in night.mails:
        assert "(Cron Daemon)" in mail
        assert "bad" in mail
        assert "exit code 3" in mail
        assert "no space left on the backup disk" in mail


def test_the_mail_says_nothing_of_the_jobs_that_went_well(night: Night) -> None:
    assert not any("released" in mail for mail in night.mails)


def test_a_pass_in_which_all_is_well_sends_no_mail(night: Night) -> None:
    assert len(_outcomes(night.quiet, "well", "ok")) >= 2
    assert not any(str(night.quiet.root) in mail for mail in night.mails)


def test_no_fire_is_started_twice(night: Night) -> None:
    for place in night.troubled, night.quiet:
        fires = [run["fire"] for run in ledger.runs(place.state)]
        assert len(fires) == len(set(fires))

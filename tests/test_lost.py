"""Day files that cannot be read: they end a run by name, or it goes on without them and says so."""

import gzip
import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeArchive, MakeLaunch
from distributed import Client
from gcs import Fault, served

import daskbinder as db
from daskbinder import job

FIRST = date(2021, 2, 24)
DAYS = 9
GOOD, BAD = f"events-{FIRST}.jsonl", f"events-{FIRST + timedelta(days=4)}.jsonl.gz"


@pytest.fixture
def archive(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    """Make days in two months of which one is packed and has launches of its neighbours."""
    days = {}
    for day in (FIRST + timedelta(days=i) for i in range(DAYS)):
        near = [-1, 0, 1] if BAD.startswith(f"events-{day}") else [0, 0]
        days[day] = [
            launch(f"{day + timedelta(days=off)}T10:00:00+00:00", spec=str(day)) for off in near
        ]
    return make_archive(days, gz=[FIRST + timedelta(days=4)])


def spoil(path: Path) -> bytes:
    """Cut a file short; return what it was."""
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    return whole


def run(archive: Path, dest: Path, **options: Any) -> db.Result:
    return db.run(db.plan(db.Archive(archive), dest, **options))


def files(dest: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(dest)): path for path in dest.rglob("*") if path.is_file()}
    found.pop("manifest.json")
    return {name: path.read_bytes() for name, path in found.items()}


def lost(dest: Path) -> dict[str, str]:
    return json.loads((dest / "manifest.json").read_bytes())["lost"]


def test_a_lost_file_ends_the_run_by_name_and_what_was_there_stands(
    archive: Path, tmp_path: Path, client: Client
) -> None:
    run(archive, tmp_path)
    before = files(tmp_path), (tmp_path / "manifest.json").read_bytes()
    whole = spoil(archive / BAD)
    with pytest.raises(db.JobError, match=rf"{BAD} is not a whole gzip file"):
        run(archive, tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == before[1]
    (archive / BAD).write_bytes(whole)
    run(archive, tmp_path, full=True)
    assert files(tmp_path).keys() == before[0].keys()


@pytest.mark.parametrize("refresh", [False, True])
def test_going_on_is_a_run_of_the_archive_without_the_file(
    archive: Path, tmp_path: Path, client: Client, refresh: bool
) -> None:
    dest = tmp_path / "out"
    if refresh:
        run(archive, dest)
    whole = spoil(archive / BAD)
    result = run(archive, dest, keep_going=True, blocksize=500)
    assert list(lost(dest)) == [BAD]
    assert "is not a whole gzip file" in lost(dest)[BAD]
    assert result.rollups.missing == [FIRST + timedelta(days=4)]
    (archive / BAD).unlink()
    run(archive, tmp_path / "without")
    assert files(dest) == files(tmp_path / "without")
    assert lost(tmp_path / "without") == {}

    [fault] = db.check(dest).faults
    assert fault.startswith(f"{BAD} was left out: ")
    (archive / BAD).write_bytes(whole)
    assert {file.name for file in db.plan(db.Archive(archive), dest).read} == {BAD}
    run(archive, dest)
    run(archive, tmp_path / "whole")
    assert files(dest) == files(tmp_path / "whole")
    assert db.check(dest, archive).ok


def test_files_still_lost_are_left_out_again_or_end_the_next_run(
    archive: Path, tmp_path: Path, client: Client
) -> None:
    spoil(archive / BAD)
    run(archive, tmp_path, keep_going=True)
    before = files(tmp_path)
    run(archive, tmp_path, keep_going=True)
    assert (list(lost(tmp_path)), files(tmp_path)) == ([BAD], before)
    with pytest.raises(db.JobError, match=BAD):
        run(archive, tmp_path)
    assert files(tmp_path).items() >= before.items()


def test_many_lost_files_are_found_in_few_rounds(
    archive: Path, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted(archive.iterdir())[::2]:
        if path.suffix != ".gz":
            packed = gzip.compress(path.read_bytes())
            path.with_name(f"{path.name}.gz").write_bytes(packed[:-9])
            path.unlink()
        else:
            spoil(path)
    rounds = []
    compute = job._compute
    monkeypatch.setattr(job, "_compute", lambda *given: rounds.append(1) or compute(*given))
    run(archive, tmp_path, keep_going=True)
    assert len(lost(tmp_path)) == 5
    assert len(rounds) <= 3


def test_an_archive_of_which_nothing_can_be_read_is_no_archive(
    archive: Path, tmp_path: Path, client: Client
) -> None:
    for path in archive.iterdir():
        if path.name != BAD:
            path.unlink()
    spoil(archive / BAD)
    with pytest.raises(db.JobError, match="is not a whole gzip file"):
        run(archive, tmp_path, keep_going=True)
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [503, "short", "flipped", "changed"])
def test_a_bucket_that_never_gives_a_file(
    archive: Path, tmp_path: Path, client: Client, kind: int | str
) -> None:
    with served(archive) as bucket:
        bucket.faults = [Fault(kind, rf"{GOOD}\?alt=media", 99)]
        source = db.Archive("gs://archive", storage_options=bucket.options)
        db.run(db.plan(source, tmp_path / "out", keep_going=True))
    (archive / GOOD).unlink()
    run(archive, tmp_path / "without")
    assert list(lost(tmp_path / "out")) == [GOOD]
    found, wanted = files(tmp_path / "out"), files(tmp_path / "without")
    assert found.keys() == wanted.keys()
    assert [name for name in found if found[name] != wanted[name]] == ["days.parquet"]


def test_the_command_ends_with_one(archive: Path, tmp_path: Path) -> None:
    spoil(archive / BAD)
    command = [sys.executable, "-m", "daskbinder", "run", archive, tmp_path / "out"]
    ended = subprocess.run(
        [*command, "--keep-going"], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert f"left out: {BAD}: " in ended.stdout
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "out" / "manifest.json").exists()

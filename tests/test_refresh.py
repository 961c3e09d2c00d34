"""A run over the results of an earlier one reads what changed and ends as if it read all."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeEvents
from daskbinder.archive import sample
from support.histories import FIRST, Writer, data, equals_a_rebuild


@pytest.fixture
def year(make_archive: MakeArchive, events: MakeEvents) -> Path:
    days = {FIRST + timedelta(days=i): events(FIRST + timedelta(days=i), 9) for i in range(70)}
    for day, made in days.items():
        for event in made:
            event["timestamp"] = f"{day}{event['timestamp'][10:]}"
    return make_archive(days)


def test_only_what_changed_is_read(
    year: Path, tmp_path: Path, events: MakeEvents, client: Client
) -> None:
    db.run(db.plan(db.Archive(year), tmp_path / "out"))
    assert not db.plan(db.Archive(year), tmp_path / "out").read
    day = FIRST + timedelta(days=30)
    Writer(year).write(day, [])
    plan = db.plan(db.Archive(year), tmp_path / "out")
    assert {file.date for file in plan.read} == {day}
    assert len(plan.names) < 16
    db.run(plan)
    equals_a_rebuild(year, tmp_path / "out", tmp_path / "spare")


def test_full_reads_everything(year: Path, tmp_path: Path, client: Client) -> None:
    db.run(db.plan(db.Archive(year), tmp_path / "out"))
    assert len(db.plan(db.Archive(year), tmp_path / "out", full=True).read) == 70


def test_other_options_are_counted_anew(year: Path, tmp_path: Path, client: Client) -> None:
    db.run(db.plan(db.Archive(year), tmp_path / "out"))
    again = db.plan(db.Archive(year), tmp_path / "out", windows=["daily"])
    assert len(again.read) == 70
    db.run(again)
    assert not list((tmp_path / "out/rollups").glob("weekly/*/*"))


def test_a_file_changed_behind_our_back_is_named(
    year: Path, tmp_path: Path, client: Client
) -> None:
    dest = tmp_path / "out"
    db.run(db.plan(db.Archive(year), dest))
    path = dest / "rollups/monthly/by-day/2021-01.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(db.InputError, match=r"2021-01\.parquet is not the file of the last run"):
        db.open(dest).load("monthly", by="day")


@pytest.mark.parametrize(
    ("name", "files", "gone"),
    [
        ("rollups/monthly/by-day/2021-01.parquet", 31, True),
        ("rollups/monthly/by-hour/2020-12.parquet", 6, False),
        ("rollups/weekly/by-hour/2021-W01.parquet", 7, False),
        ("rollups/weekly/by-day/2021-W09.parquet", 5, True),
        ("rollups/daily/by-hour/2021-01-05.parquet", 1, True),
        ("repositories/by-day/2020-12.parquet", 6, False),
        ("repositories/all.parquet", 0, True),
        ("federation/by-day.parquet", 70, False),
        ("days.parquet", 70, True),
        ("rejects.parquet", 70, False),
    ],
)
def test_a_file_that_is_gone_or_cut_is_written_again(
    year: Path, tmp_path: Path, client: Client, name: str, files: int, gone: bool
) -> None:
    dest = tmp_path / "out"
    db.run(db.plan(db.Archive(year), dest))
    before = data(dest)
    path = dest / name
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    plan = db.plan(db.Archive(year), dest)
    assert len(plan.read) == files
    db.run(plan)
    assert data(dest) == before
    assert not db.plan(db.Archive(year), dest).read


def test_a_second_run_is_refused(year: Path, tmp_path: Path, client: Client) -> None:
    from daskbinder.dataset.lock import locked

    plan = db.plan(db.Archive(year), tmp_path / "out")
    with (
        locked(plan.dest),
        pytest.raises(db.InputError, match="another run is writing to"),
    ):
        db.run(plan)
    db.run(plan)
    assert not (tmp_path / "out/.daskbinder").exists()


def test_a_plan_that_others_overtook_is_refused(year: Path, tmp_path: Path, client: Client) -> None:
    dest = tmp_path / "out"
    db.run(db.plan(db.Archive(year), dest))
    Writer(year).write(FIRST, [])
    planned = db.plan(db.Archive(year), dest)
    db.run(db.plan(db.Archive(year), dest))
    with pytest.raises(db.JobError, match="was written to since this run was planned"):
        db.run(planned)


# Killed at any moment --------------------------------------------------------------------------


def start(folder: Path, dest: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "daskbinder", "run", str(folder), str(dest), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_killed_run_is_taken_up_where_it_was(tmp_path: Path, client: Client) -> None:
    folder, dest = tmp_path / "in", tmp_path / "out"
    sample.write_sample(folder, days=300, events_per_day=1_000)
    running = start(folder, dest)
    while running.poll() is None and len(list(dest.glob(".daskbinder/done/*"))) < 35:
        time.sleep(0.005)
    running.kill()
    running.wait()
    assert not (dest / "manifest.json").exists()
    with pytest.raises(db.InputError, match="no finished data set"):
        db.open(dest)
    plan = db.plan(db.Archive(folder), dest)
    assert len(plan.read) < len(plan.files)
    db.run(plan)
    assert not (dest / ".daskbinder").exists()
    equals_a_rebuild(folder, dest, tmp_path / "spare")

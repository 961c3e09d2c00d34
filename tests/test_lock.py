"""One run at a time into a bucket: a second is refused, one that was killed is soon no obstacle."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder.dataset.lock import EXPIRY, locked
from daskbinder.storage.location import Location
from support.gcs import FakeGCS, served

LOCK = "out/.daskbinder/lock"


@pytest.fixture
def archives(make_archive: MakeArchive, launch: MakeLaunch) -> tuple[Path, Path]:
    """Make two archives of other days."""
    one, other = (
        make_archive({day: [launch(f"{day}T10:00", spec=day)]})
        for day in ("2021-03-04", "2021-04-04")
    )
    return one, other


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[FakeGCS]:
    with served(tmp_path) as server:
        yield server


def plan(archive: Path, bucket: FakeGCS) -> db.Plan:
    return db.plan(db.Archive(archive), "gs://archive/out", storage_options=bucket.options)


def place(bucket: FakeGCS) -> Location:
    return Location.at("gs://archive/out", bucket.options)


def test_a_second_run_into_a_bucket_is_refused(
    archives: tuple[Path, Path], bucket: FakeGCS, client: Client
) -> None:
    db.run(plan(archives[0], bucket))
    before = dict(bucket.objects)
    assert LOCK not in before
    with locked(place(bucket)):
        held = bucket.objects[LOCK]
        with pytest.raises(db.InputError, match="another run is writing to gs://archive/out"):
            db.run(plan(archives[1], bucket))
        assert bucket.objects == before | {LOCK: held}
    assert bucket.objects == before
    db.run(plan(archives[1], bucket))
    assert db.check("gs://archive/out", storage_options=bucket.options).ok


def test_the_lock_of_a_killed_run_is_taken_over_when_it_has_expired(
    archives: tuple[Path, Path], bucket: FakeGCS, client: Client
) -> None:
    left = bucket.put(LOCK, json.dumps({"run": "of somebody"}).encode())
    left.written = datetime.now(UTC) - timedelta(seconds=EXPIRY - 100)
    with pytest.raises(db.InputError, match=r"or for (9\d|10[01]) seconds if it was killed"):
        db.run(plan(archives[0], bucket))
    left.written = datetime.now(UTC) - timedelta(seconds=EXPIRY + 1)
    db.run(plan(archives[0], bucket))
    assert LOCK not in bucket.objects


def test_of_two_runs_that_take_over_at_once_one_is_refused(bucket: FakeGCS) -> None:
    left = bucket.put(LOCK, b"{}")
    left.written = datetime.now(UTC) - timedelta(days=1)
    looked = place(bucket)
    stamp = looked.stamp(".daskbinder/lock")
    with locked(place(bucket)), pytest.raises(db.JobError, match="by another run meanwhile"):
        looked.write(".daskbinder/lock", b"mine", stamp=stamp)


def test_a_lock_is_renewed_while_the_run_lives(bucket: FakeGCS) -> None:
    with locked(place(bucket), expiry=0.5) as still_held:
        first = bucket.objects[LOCK].generation
        for _ in range(100):
            if bucket.objects[LOCK].generation > first + 1:
                break
            time.sleep(0.05)
        assert bucket.objects[LOCK].generation > first + 1
        still_held()


def test_who_lost_the_lock_publishes_nothing_and_leaves_that_of_the_other(
    bucket: FakeGCS,
) -> None:
    with locked(place(bucket)) as still_held:
        bucket.put(LOCK, b"of another run")
        with pytest.raises(db.JobError, match="the lock of gs://archive/out was lost"):
            still_held()
    assert bucket.objects[LOCK].data == b"of another run"


def test_other_storages_have_the_lock_too(archives: tuple[Path, Path], client: Client) -> None:
    memory = fsspec.filesystem("memory")
    try:
        planned = db.plan(db.Archive(archives[0]), "memory://locked")
        with locked(planned.dest), pytest.raises(db.InputError, match="another run is writing"):
            db.run(planned)
        db.run(planned)
        assert not memory.exists("/locked/.daskbinder/lock")
    finally:
        memory.rm("/locked", recursive=True)

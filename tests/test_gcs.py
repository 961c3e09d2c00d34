"""An archive in a bucket, behind the real gcsfs: the right answer or a named error."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from distributed import Client

import daskbinder as db
from conftest import check_same
from daskbinder.storage import checksums
from daskbinder.storage.location import Location
from support import runs
from support.gcs import FakeGCS, Fault, served

DAYS = 8
URL = "gs://archive"
MEDIA, LIST = r"^GET .*alt=media", r"^GET /storage/v1/b/archive/o\?"


pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def bucket(sampled: Path) -> Iterator[FakeGCS]:
    with served(sampled) as server:
        yield server


def run(bucket: FakeGCS, dest: Path, client: Client, **options: Any) -> Path:
    wait = aiohttp.ClientTimeout(sock_connect=5, sock_read=0.5)
    storage = bucket.options | {"requests_timeout": wait}
    runs.run(db.Archive(URL, storage_options=storage), dest, client, **options)
    return dest


def test_bucket_counts_as_the_folder_does(
    bucket: FakeGCS, counted: Path, client: Client, tmp_path: Path
) -> None:
    check_same(run(bucket, tmp_path, client), counted)
    reads = [line for line in bucket.requests if "alt=media" in line and "events-" in line]
    assert len(reads) == DAYS
    assert all("generation=" in line for line in reads)


def test_large_files_are_read_in_ranges(
    bucket: FakeGCS, counted: Path, client: Client, tmp_path: Path
) -> None:
    check_same(run(bucket, tmp_path, client, blocksize=20_000), counted)
    assert len([line for line in bucket.requests if "alt=media" in line]) > 18


def test_the_index_comes_while_days_do(
    bucket: FakeGCS, counted: Path, client: Client, tmp_path: Path
) -> None:
    bucket.latency = 0.02
    check_same(run(bucket, tmp_path, client, blocksize=20_000), counted)
    reads = ["index" in line for line in bucket.requests if "alt=media" in line]
    assert sum(reads) == 1
    assert reads.index(True) < len(reads) / 2


def test_three_thousand_objects_are_listed_over_pages(bucket: FakeGCS) -> None:
    bucket.objects.clear()
    days = [date(2018, 11, 3) + timedelta(days=i) for i in range(3000)]
    for day in days:
        bucket.put(f"events-{day}.jsonl", b"")
    bucket.put("index.html", b"")
    bucket.put("other/events-2018-11-03.jsonl", b"")
    archive = db.Archive(URL, storage_options=bucket.options)
    assert [file.date for file in archive.files] == days
    assert len(bucket.requests) == 4


def test_listing_is_never_stale(bucket: FakeGCS) -> None:
    first = db.Archive(URL, storage_options=bucket.options)
    bucket.put("events-2021-03-20.jsonl", b"")
    bucket.put("events-2021-02-24.jsonl", b"new")
    second = db.Archive(URL, storage_options=bucket.options)
    assert len(second.files) == len(first.files) + 1
    assert second.files[0].fingerprint != first.files[0].fingerprint
    assert second.files[0].size == 3


@pytest.mark.parametrize(
    "kind", [429, 500, 502, 503, "reset", "truncated", "short", "stalled", "flipped"]
)
def test_passing_faults_of_reads_change_nothing(
    kind: int | str,
    bucket: FakeGCS,
    counted: Path,
    client: Client,
    tmp_path: Path,
) -> None:
    bucket.faults = [Fault(kind, rf"{MEDIA}.*|.*events-2021-02-2[68]\.jsonl\?alt=media", 2)]
    check_same(run(bucket, tmp_path, client), counted)
    assert bucket.faults[0].times == 0


@pytest.mark.parametrize("kind", [429, 503, "reset", "truncated", "short", "stalled"])
def test_passing_faults_of_listings_change_nothing(kind: int | str, bucket: FakeGCS) -> None:
    bucket.page = 4
    wait = aiohttp.ClientTimeout(sock_read=0.5)
    bucket.faults = [Fault(kind, LIST + ".*pageToken=4", 1)]
    archive = db.Archive(URL, storage_options=bucket.options | {"requests_timeout": wait})
    assert len(archive.files) == DAYS
    assert bucket.faults[0].times == 0


@pytest.mark.parametrize("kind", [503, "reset", "truncated", "short", "flipped"])
def test_lasting_faults_are_named(
    kind: int | str, bucket: FakeGCS, client: Client, tmp_path: Path
) -> None:
    bucket.faults = [Fault(kind, r"events-2021-02-28\.jsonl\?alt=media", 99)]
    with pytest.raises(db.JobError, match=r"events-2021-02-28\.jsonl could not be read in 6 attem"):
        run(bucket, tmp_path, client)
    assert not (tmp_path / "manifest.json").exists()


def test_day_rewritten_after_the_listing_is_named(
    bucket: FakeGCS, client: Client, tmp_path: Path
) -> None:
    bucket.faults = [Fault("changed", r"events-2021-02-28\.jsonl\?alt=media")]
    with pytest.raises(db.JobError, match=r"02-28\.jsonl was rewritten since .*; run again"):
        run(bucket, tmp_path, client)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("composite", [True, False])
def test_either_checksum_finds_a_flipped_bit(
    bucket: FakeGCS, fast: bool, composite: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "FAST_CRC", fast)
    bucket.objects["events-2021-02-28.jsonl"].composite = composite
    bucket.faults = [Fault("flipped", MEDIA, 6)]
    there = Location.at(URL, bucket.options)
    with pytest.raises(db.JobError, match="MD5" if not (fast or composite) else "CRC32C"):
        there.read("events-2021-02-28.jsonl")
    assert there.read("events-2021-02-28.jsonl")[:1] == b"{"


def test_closed_bucket_says_what_to_try(bucket: FakeGCS) -> None:
    bucket.private = True
    with pytest.raises(db.InputError, match=r"gs://archive cannot be .*; give an account"):
        db.Archive(URL, storage_options=bucket.options)
    assert len(bucket.requests) == 1


@pytest.mark.parametrize("url", ["gs://nowhere", "gs://archive/no/such/folder"])
def test_missing_bucket_or_folder_is_named(bucket: FakeGCS, url: str) -> None:
    with pytest.raises(db.InputError, match=f"there is no archive at {url}"):
        db.Archive(url, storage_options=bucket.options)


def test_source_needs_no_account_and_results_do() -> None:
    assert dict(Location.at(URL, public=True).options) == {"token": "anon"}
    assert dict(Location.at(URL, {"token": "cloud"}, public=True).options) == {"token": "cloud"}
    assert dict(Location.at(URL).options) == {}


def test_days_are_fetched_many_at_a_time(
    bucket: FakeGCS, counted: Path, client: Client, tmp_path: Path
) -> None:
    bucket.latency = 0.1
    check_same(run(bucket, tmp_path, client), counted)
    assert bucket.most > 4


def test_results_go_to_a_bucket_in_one_upload_each(
    bucket: FakeGCS, sampled: Path, counted: Path, client: Client
) -> None:
    bucket.latency = 0.05
    result = db.run(
        db.plan(db.Archive(sampled), f"{URL}/out", storage_options=bucket.options), client
    )
    assert bucket.most > 4
    uploads = [line for line in bucket.requests if line.startswith("POST")]
    # the others are gone again: a probe whether one can write, and what a next run would take up
    made = [name for name in bucket.uploads if "probe" not in name and ".daskbinder" not in name]
    assert sorted(made) == sorted(
        f"out/{name}" for name in [*result.rollups.manifest["files"], "manifest.json"]
    )
    assert "ifGenerationMatch=0" in uploads[-1]
    for path in counted.rglob("*.parquet"):
        if path.name != "days.parquet":
            stored = bucket.objects[f"out/{path.relative_to(counted)}"]
            assert stored.data == path.read_bytes()
    opened = db.open(f"{URL}/out", storage_options=bucket.options)
    assert opened.load("weekly", by="day")["n"].sum() == opened.manifest["totals"]["accepted"]


def test_of_two_runs_into_a_bucket_one_publishes(
    bucket: FakeGCS, sampled: Path, client: Client
) -> None:
    def interfere(read: int, launches: int) -> None:
        bucket.put("out/manifest.json", b'{"files": {}}')

    plan = db.plan(db.Archive(sampled), f"{URL}/out", storage_options=bucket.options)
    with pytest.raises(db.JobError, match=r"manifest\.json was written by another run meanwhile"):
        db.run(plan, client, progress=interfere)
    assert bucket.objects["out/manifest.json"].data == b'{"files": {}}'


def test_upload_whose_answer_is_lost_is_ours(bucket: FakeGCS) -> None:
    there = Location.at(URL, bucket.options)
    bucket.faults = [Fault("truncated", "^POST")]
    there.write("new.json", b"{}" * 1000, stamp={})
    assert bucket.objects["new.json"].data == b"{}" * 1000
    with pytest.raises(db.JobError, match="another run"):
        there.write("new.json", b"[]", stamp={})
    there.write("new.json", b"[]", stamp=there.stamp("new.json"))
    assert there.read("new.json") == b"[]"


def test_upload_damaged_on_the_way_is_made_again(bucket: FakeGCS) -> None:
    there = Location.at(URL, bucket.options)
    bucket.faults = [Fault(503, "^POST", 2)]
    there.write("a/b.parquet", b"data")
    assert there.read("a/b.parquet") == b"data"
    there.remove("a/b.parquet")
    there.remove("a/b.parquet")
    assert there.stamp("a/b.parquet") == {}


@pytest.mark.slow
def test_emulator_of_others_agrees(
    sampled: Path, counted: Path, client: Client, tmp_path: Path
) -> None:
    module = pytest.importorskip("gcp_storage_emulator.server")
    server = module.create_server("127.0.0.1", 0, in_memory=True, default_bucket="archive")
    server.start()
    try:
        url = f"http://127.0.0.1:{server._api._httpd.server_port}"
        options = {"endpoint_url": url, "token": "anon"}
        there = Location.at(URL, options)
        for path in sampled.iterdir():
            there.write(path.name, path.read_bytes())
        db.run(db.plan(db.Archive(URL, storage_options=options), tmp_path), client)
        check_same(tmp_path, counted)
    finally:
        server.stop()

"""Mirrors of an archive, and a look at one: incremental, verified, nothing lost in silence."""

import gzip
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder.archive.sample import write_sample
from daskbinder.cli import main
from daskbinder.dataset.layout import rollup_name
from daskbinder.model.hub import MYBINDER
from daskbinder.model.windows import GRAINS, KINDS
from support.gcs import FakeGCS, Fault, served
from support.web import FakeSite

DAYS = 29


pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sync") / "archive"
    write_sample(
        out,
        days=DAYS + 1,  # one is missing
        start=date(2021, 2, 1),
        events_per_day=50,
    )
    return out


@pytest.fixture
def bucket(folder: Path) -> Iterator[FakeGCS]:
    with served(folder) as server:
        yield server


def archive(bucket: FakeGCS) -> db.Archive:
    return db.Archive("gs://archive", storage_options=bucket.options)


def same(a: Path, b: Path) -> bool:
    found = [{path.name: path.read_bytes() for path in at.iterdir()} for at in (a, b)]
    return found[0] == found[1]


def reads(server: FakeGCS | FakeSite) -> int:
    return len([line for line in server.requests if line.startswith("GET") and "events-" in line])


def test_mirror_is_whole_and_the_second_fetches_nothing(
    bucket: FakeGCS, folder: Path, tmp_path: Path
) -> None:
    bucket.latency = 0.05
    told: list[tuple[int, int]] = []
    first = db.sync(archive(bucket), tmp_path, progress=lambda *done: told.append(done))
    assert same(tmp_path, folder)
    assert (len(first.fetched), first.unchanged) == (DAYS, 0)
    assert (
        sum(size for size, _ in told) == first.bytes == sum(f.size for f in archive(bucket).files)
    )
    assert bucket.most > 4

    bucket.requests.clear()
    second = db.sync(archive(bucket), tmp_path)
    assert (second.fetched, second.unchanged, reads(bucket)) == ((), DAYS, 0)


def test_only_what_changed_is_fetched(bucket: FakeGCS, folder: Path, tmp_path: Path) -> None:
    db.sync(archive(bucket), tmp_path)
    name = "events-2021-02-03.jsonl"
    lines = bucket.objects[name].data.splitlines(keepends=True)
    bucket.put(name, b"".join(lines[::-1]))
    new = lines[0].replace(b"2021-02-03", b"2021-03-20")
    bucket.put("events-2021-03-20.jsonl", new)
    bucket.requests.clear()
    again = db.sync(archive(bucket), tmp_path)
    assert again.fetched == (name, "events-2021-03-20.jsonl")
    assert reads(bucket) == 2
    assert (tmp_path / name).read_bytes() == bucket.objects[name].data


def test_stopped_sync_goes_on(bucket: FakeGCS, folder: Path, tmp_path: Path) -> None:
    bucket.faults = [Fault(503, "events-2021-02-01.*alt=media", 99)]  # the last to be asked for
    with pytest.raises(db.JobError, match=r"events-2021-02-01\.jsonl could not be read"):
        db.sync(archive(bucket), tmp_path)
    before = len(list(tmp_path.iterdir()))
    assert before > DAYS // 2
    bucket.faults.clear()
    again = db.sync(archive(bucket), tmp_path)
    assert len(again.fetched) == DAYS - before
    assert same(tmp_path, folder)


def test_mirror_made_by_other_means_is_verified_and_kept(
    bucket: FakeGCS, folder: Path, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    damaged = tmp_path / "events-2021-02-05.jsonl"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    mirror = db.sync(archive(bucket), tmp_path)
    assert mirror.fetched == (damaged.name,)
    assert same(tmp_path, folder)


@pytest.mark.parametrize("kind", ["truncated", "short", "flipped", "reset", 503])
def test_nothing_damaged_lands_in_the_mirror(
    kind: int | str, bucket: FakeGCS, folder: Path, tmp_path: Path
) -> None:
    bucket.faults = [Fault(kind, "alt=media", 20)]
    db.sync(archive(bucket), tmp_path)
    assert same(tmp_path, folder)


@pytest.mark.parametrize("delete", [False, True])
def test_deleted_and_shrunk_days_stay_unless_told(
    bucket: FakeGCS, tmp_path: Path, delete: bool
) -> None:
    db.sync(archive(bucket), tmp_path)
    gone, small = "events-2021-02-02.jsonl", "events-2021-02-03.jsonl"
    (tmp_path / "notes.txt").write_text("mine")
    kept = (tmp_path / small).read_bytes()
    del bucket.objects[gone]
    smaller = kept[: kept.index(b"\n") + 1]
    bucket.put(small, smaller)
    for _ in range(2):
        mirror = db.sync(archive(bucket), tmp_path, delete=delete)
        assert (tmp_path / gone).exists() is not delete
        assert (tmp_path / small).read_bytes() == (smaller if delete else kept)
        assert (tmp_path / "notes.txt").exists()
        if not delete:
            assert (mirror.gone, mirror.shrunk) == ((gone,), (small,))


PORTAL = b"<!DOCTYPE html>\n<title>Sign in</title>\n"


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("length", [1, 9_999])
def test_a_day_without_a_launch_never_replaces_one(
    bucket: FakeGCS, folder: Path, tmp_path: Path, delete: bool, length: int
) -> None:
    db.sync(archive(bucket), tmp_path)
    names = [path.name for path in sorted(folder.glob("events-*"))][:4]
    bodies = [PORTAL * length, "{}\n".encode("utf-16") * length, b"{}\n" * length]
    bodies.append(gzip.compress(PORTAL * length)[:-3])
    for name, body in zip(names, bodies, strict=True):
        bucket.put(name, body)
    bucket.put("events-2021-03-21.jsonl", PORTAL)
    bucket.put("index.jsonl", PORTAL)
    mirror = db.sync(archive(bucket), tmp_path, delete=delete)
    assert same(tmp_path, folder)
    assert mirror.lost.keys() >= {"events-2021-03-21.jsonl", "index.jsonl"}
    assert set(names) <= mirror.lost.keys() | set(mirror.shrunk)
    assert (mirror.fetched, mirror.gone, mirror.removed) == ((), (), ())


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("body", [PORTAL, b""])
def test_a_day_under_another_name_is_replaced_by_one_with_a_launch_alone(
    folder: Path, tmp_path: Path, delete: bool, body: bytes
) -> None:
    source, here = tmp_path / "source", tmp_path / "here"
    shutil.copytree(folder, source)
    db.sync(db.Archive(source), here)
    name = "events-2021-02-03.jsonl"
    whole = (here / name).read_bytes()
    (source / name).rename(source / f"{name}.gz")
    (source / f"{name}.gz").write_bytes(body)
    mirror = db.sync(db.Archive(source), here, delete=delete)
    assert (list(mirror.lost), mirror.gone, mirror.renamed) == ([f"{name}.gz"], (), ())
    assert (here / name).read_bytes() == whole
    (source / f"{name}.gz").write_bytes(gzip.compress(whole))
    mirror = db.sync(db.Archive(source), here, delete=delete)
    assert (mirror.fetched, mirror.renamed, mirror.lost) == ((f"{name}.gz",), (name,), {})
    assert same(source, here)


def test_an_empty_day_never_replaces_one_with_a_launch(folder: Path, tmp_path: Path) -> None:
    source, here = tmp_path / "source", tmp_path / "here"
    shutil.copytree(folder, source)
    db.sync(db.Archive(source), here)
    (source / "events-2021-02-03.jsonl").write_bytes(b"")
    (source / "events-2021-02-04.jsonl").write_bytes(PORTAL)
    mirror = db.sync(db.Archive(source), here, delete=True)
    assert list(mirror.lost) == ["events-2021-02-03.jsonl", "events-2021-02-04.jsonl"]
    assert "is empty, and" in mirror.lost["events-2021-02-03.jsonl"]
    assert mirror.shrunk == ()
    assert same(folder, here)


@pytest.mark.parametrize("body", [PORTAL, b""])
def test_a_good_day_stays_beside_a_bad_one_under_the_name_of_the_source(
    folder: Path, tmp_path: Path, body: bytes
) -> None:
    source, here = tmp_path / "source", tmp_path / "here"
    name = "events-2021-02-03.jsonl"
    shutil.copytree(folder, source)
    shutil.copytree(folder, here)
    (here / f"{name}.gz").write_bytes(gzip.compress((here / name).read_bytes()))
    for side in (source, here):
        (side / name).write_bytes(body)
        os.utime(side / name, (1, 1))
    for delete in (False, True):
        mirror = db.sync(db.Archive(source), here, delete=delete)
        assert (mirror.renamed, mirror.gone) == ((), ())
        assert (here / f"{name}.gz").exists()


def test_a_link_in_the_mirror_is_not_followed(folder: Path, tmp_path: Path) -> None:
    here, name = tmp_path / "here", "events-2021-02-03.jsonl"
    here.mkdir()
    shutil.copy(folder / name, tmp_path / "outside")
    os.utime(tmp_path / "outside", (1, 1))
    (here / name).symlink_to(tmp_path / "outside")
    with served(folder) as bucket:
        db.sync(archive(bucket), here)
        db.sync(archive(bucket), here)
    assert (tmp_path / "outside").stat().st_mtime == 1
    assert same(folder, here)


def test_a_mirror_of_a_portal_changes_nothing_and_ends_with_1(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", date(2026, 11, 1))
    here = tmp_path / "mirror"
    db.sync(db.Archive(folder), here)
    with FakeSite() as web:
        web.answer_all = PORTAL
        found = CliRunner().invoke(main, ["sync", web.url, str(here)])
    assert found.exit_code == 1
    last = found.output.splitlines()[-1]
    assert last.startswith("daskbinder: not taken: ")
    assert "has no launch in it: line 1 is not-json" in last
    assert same(here, folder)


def test_a_mirror_that_a_portal_got_into_heals(folder: Path, tmp_path: Path) -> None:
    names = [path.name for path in sorted(folder.glob("events-*"))]
    db.sync(db.Archive(folder), tmp_path)
    page = PORTAL * 99_999  # larger than any day
    for name in [*names[:3], "events-2019-01-01.jsonl", "events-2026-01-01.jsonl.gz"]:
        (tmp_path / name).write_bytes(page)
    (tmp_path / "events-2019-01-02.jsonl").write_bytes(b"")
    mirror = db.sync(db.Archive(folder), tmp_path)
    assert mirror.fetched == tuple(names[:3])
    assert mirror.removed == ("events-2019-01-01.jsonl", "events-2026-01-01.jsonl.gz")
    assert mirror.gone == ("events-2019-01-02.jsonl",)
    assert (mirror.shrunk, mirror.lost) == ((), {})
    (tmp_path / "events-2019-01-02.jsonl").unlink()
    assert same(tmp_path, folder)


def test_a_day_of_a_version_that_is_not_known_yet_is_mirrored(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path
) -> None:
    folder = make_archive({date(2021, 3, 4): [launch(version=99)]})
    assert len(db.sync(db.Archive(folder), tmp_path).fetched) == 1


def test_part_of_an_archive_can_be_mirrored(bucket: FakeGCS, tmp_path: Path) -> None:
    db.sync(archive(bucket), tmp_path, start="2021-02-10", end="2021-02-12", delete=True)
    db.sync(archive(bucket), tmp_path, start="2021-02-20", end="2021-02-20", delete=True)
    days = sorted(path.name[7:17] for path in tmp_path.glob("events-*"))
    assert days == ["2021-02-10", "2021-02-11", "2021-02-12", "2021-02-20"]


def test_empty_source_deletes_nothing(bucket: FakeGCS, tmp_path: Path) -> None:
    db.sync(archive(bucket), tmp_path)
    bucket.objects = {"index.html": bucket.put("index.html", b"")}
    with pytest.raises(db.InputError, match="has no day file"):
        db.sync(archive(bucket), tmp_path, delete=True)
    assert len(list(tmp_path.glob("events-*"))) == DAYS


def test_site_is_mirrored_by_time_and_size(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", date(2021, 2, 1))
    with FakeSite() as web:
        web.put_folder(folder)
        source = db.Archive(web.url, today=date(2021, 3, 10))
        assert len(db.sync(source, tmp_path).fetched) == DAYS
        assert same(tmp_path, folder)
        assert db.sync(source, tmp_path).fetched == ()
        os.utime(tmp_path / "events-2021-02-03.jsonl")
        assert db.sync(source, tmp_path).fetched == ("events-2021-02-03.jsonl",)


def test_mirror_goes_into_a_folder_only(folder: Path) -> None:
    with pytest.raises(db.InputError, match="is not a folder of this machine"):
        db.sync(db.Archive(folder), "memory://mirror")


def test_command_syncs_and_reports(bucket: FakeGCS, folder: Path, tmp_path: Path) -> None:
    source, dest = tmp_path / "a", tmp_path / "b"
    db.sync(db.Archive(folder), source)
    found = CliRunner().invoke(main, ["sync", str(source), str(dest)])
    assert found.exit_code == 0, found.output
    assert f"{DAYS} days fetched" in found.output
    (source / "events-2021-02-02.jsonl").unlink()
    found = CliRunner().invoke(main, ["sync", str(source), str(dest)])
    assert "1 day no longer in SOURCE (kept" in found.output
    assert "events-2021-02-02.jsonl" in found.output
    found = CliRunner().invoke(main, ["sync", str(source), str(dest), "--delete"])
    assert "(removed)" in found.output
    assert same(source, dest)


def test_overview_tells_days_gaps_and_what_the_index_lacks(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=i) for i in (0, 1, 2, 5, 6, 8)]
    for day in days:
        (tmp_path / f"events-{day}.jsonl").write_bytes(b"{}\n" if day != days[2] else b"")
    index = [*days[2:], today - timedelta(days=7)]
    (tmp_path / "index.jsonl").write_text(
        "".join(f'{{"name": "events-{day}.jsonl", "count": "1"}}\n' for day in index)
    )
    found = db.Overview.of(db.Archive(tmp_path))
    assert (found.days, found.first, found.last) == (6, days[-1], today)
    assert found.gaps == ((index[-1],) * 2, (days[3] + timedelta(1), days[2] - timedelta(1)))
    assert (found.missing, found.bytes) == (3, 15)
    assert found.provisional == found.unindexed == (days[1], days[0])
    assert found.empty == (days[2],)
    assert found.indexed_only == (index[-1],)

    shown = CliRunner().invoke(main, ["info", str(tmp_path), "--json"])
    told = json.loads(shown.output)
    assert told["gaps"][0] == [str(index[-1])] * 2
    assert told["provisional"] == [str(days[1]), str(days[0])]
    shown = CliRunner().invoke(main, ["info", str(tmp_path)])
    assert f"{days[1]} to {today}" in shown.output


def test_overview_of_a_bucket_takes_a_few_requests(bucket: FakeGCS) -> None:
    for i in range(3000):
        bucket.put(f"events-{date(2010, 1, 1) + timedelta(days=i)}.jsonl", b"")
    found = db.Overview.of(archive(bucket))
    assert found.days == 3000 + DAYS
    assert len(bucket.requests) == 4 + 2


def info(*given: str | Path) -> str:
    ended = CliRunner().invoke(main, ["info", *map(str, given)], env={"COLUMNS": "300"})
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_info_of_a_data_set_tells_what_the_run_left(
    sampled: Path, counted: Path, tmp_path: Path
) -> None:
    """The archive and the files themselves say what is to be told."""
    of_archive = json.loads(info(sampled, "--json"))
    told = json.loads(info(counted, "--json"))
    for fact in ("source", "days", "first", "last", "gaps", "missing"):
        assert told[fact] == of_archive[fact], fact
    assert (told["days"], told["missing"]) == (8, 1)
    assert told["instance"] == "mybinder.org"
    assert told["bytes"] == sum(at.stat().st_size for at in counted.rglob("*") if at.is_file())
    lines = sum(at.read_bytes().count(b"\n") for at in sampled.glob("events-*"))
    assert told["launches"] + told["rejected"] == lines
    assert told["rejected"] == sum(told["reasons"].values()) > 0
    rollups = {
        kind: {by: len(list((counted / f"rollups/{kind}/by-{by}").iterdir())) for by in GRAINS}
        for kind in KINDS
    }
    assert told["windows"] == rollups
    assert min(rollups["daily"].values()) >= 8
    lacking = db.plan(db.Archive(sampled), tmp_path / "another").incomplete()
    windows = [one for one in lacking if (counted / rollup_name(one, "day")).exists()]
    assert told["incomplete"] == len(windows) > 0

    shown = info(counted)
    [(day, _)] = told["gaps"]
    assert re.search(rf"^missing days +1: {day} *$", shown, re.MULTILINE)
    assert f"{rollups['daily']['hour']:,} by hour, {rollups['daily']['day']:,} by day" in shown
    for what, n in {
        "launches": told["launches"],
        "rejected lines": told["rejected"],
        "index mismatches": told["index_mismatches"],
        "incomplete": len(windows),
        "bytes": told["bytes"],
        **{f"  {reason}": n for reason, n in told["reasons"].items()},
    }.items():
        assert re.search(rf"^{what} +{n:,} *$", shown, re.MULTILINE), what
    assert "left out" not in shown


@pytest.mark.parametrize("compat", [None, "notebook"])
def test_info_of_a_data_set_tells_what_was_left_out_and_may_change(
    make_archive: MakeArchive,
    launch: MakeLaunch,
    client: Client,
    tmp_path: Path,
    compat: Literal["notebook"] | None,
) -> None:
    days = [datetime.now(UTC).date() - timedelta(days=i) for i in range(4, -1, -1)]
    source = make_archive({day: [launch(f"{day}T01:00")] for day in days}, gz=[days[2]])
    torn = source / f"events-{days[2]}.jsonl.gz"
    torn.write_bytes(torn.read_bytes()[:-9])
    options: dict[str, Any] = {
        "compat": compat,
        "keep_going": True,
        "windows": ["daily", "monthly"],
    }
    db.run(db.plan(db.Archive(source), tmp_path, **options), client)
    told = json.loads(info(tmp_path, "--json"))
    assert list(told["lost"]) == [torn.name]
    assert "not a whole gzip file" in told["lost"][torn.name]
    assert told["gaps"] == [[str(days[2])] * 2]
    assert told["provisional"] == [str(days[3]), str(days[4])]
    wanted = {"daily": dict.fromkeys(GRAINS, 4)}
    if compat is None:  # the older notebook has complete windows only
        months = len({day.month for day in days if day != days[2]})
        wanted["monthly"] = dict.fromkeys(GRAINS, months)
    assert told["windows"] == wanted
    shown = info(tmp_path)
    assert re.search(rf"^left out +1: {torn.name} *$", shown, re.MULTILINE)
    assert re.search(rf"^provisional +2: {days[3]} to {days[4]} *$", shown, re.MULTILINE)


def test_info_reads_the_manifest_and_the_day_table_alone(counted: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "days.parquet"):
        shutil.copy(counted / name, tmp_path)
    told, whole = (json.loads(info(at, "--json")) for at in (tmp_path, counted))
    assert told == whole | {"dest": str(tmp_path)}


def test_info_of_a_data_set_shows_strangers_text_as_text(counted: Path, tmp_path: Path) -> None:
    manifest = json.loads((counted / "manifest.json").read_bytes())
    shutil.copy(counted / "days.parquet", tmp_path)
    host, file = "[red]\x1b[2Jhost", "events-2021-02-25.jsonl\x07"
    manifest |= {"unknown_origins": [host], "lost": {file: "torn"}, "source": "\x1b]0;x[bold]"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    shown = info(tmp_path)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    for text in (host, file, manifest["source"]):
        assert text.replace("\x1b", r"\x1b").replace("\x07", r"\x07") in shown
    told = json.loads(info(tmp_path, "--json"))
    assert (told["unknown_hosts"], told["lost"]) == ([host], {file: "torn"})


def test_info_takes_a_place_with_day_files_for_an_archive(
    sampled: Path, counted: Path, tmp_path: Path
) -> None:
    shutil.copytree(counted, tmp_path, dirs_exist_ok=True)
    assert "launches" in json.loads(info(tmp_path, "--json"))
    shutil.copy(next(sampled.glob("events-*")), tmp_path)
    told = json.loads(info(tmp_path, "--json"))
    assert (told["days"], "launches" in told) == (1, False)


def test_info_of_a_damaged_data_set_is_one_sentence(counted: Path, tmp_path: Path) -> None:
    manifest = json.loads((counted / "manifest.json").read_bytes())
    shutil.copy(counted / "days.parquet", tmp_path)
    for spoiled, sentence in (
        (json.dumps({name: manifest[name] for name in manifest if name != "totals"}), "--full"),
        (json.dumps(manifest | {"incomplete": 1}), "does not state what a run leaves"),
        ("{", "is not a manifest of daskbinder"),
    ):
        (tmp_path / "manifest.json").write_text(spoiled)
        ended = CliRunner().invoke(main, ["info", str(tmp_path)])
        assert (ended.exit_code, ended.output.count("\n")) == (2, 1)
        assert sentence in ended.output


def test_info_of_a_site_asks_for_a_manifest_before_every_day(counted: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in ("manifest.json", "days.parquet"):
        shutil.copy(counted / name, flat)
    with FakeSite() as site:
        site.put_folder(flat)
        told = json.loads(info(site.url, "--json"))
        assert told["launches"] == json.loads(info(counted, "--json"))["launches"]
        assert len(site.requests) < 10
        site.files = {"events-2021-02-25.jsonl": b"{}\n", "manifest.json": b'{"name": "a page"}'}
        assert json.loads(info(site.url, "--json"))["days"] == 1

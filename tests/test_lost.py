"""Day files that cannot be read: they end a run by name, or it goes on without them and says so."""

import gzip
import json
import os
import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder.model.hub import MYBINDER
from daskbinder.pipeline import run as job
from daskbinder.storage.http import Site
from support.commands import command
from support.gcs import Fault, served
from support.runs import run
from support.web import FakeSite

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


def files(dest: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(dest)): path for path in dest.rglob("*") if path.is_file()}
    found.pop("manifest.json")
    return {name: path.read_bytes() for name, path in found.items()}


def tables(dest: Path) -> dict[str, bytes]:
    """All files of launches: not the day table, which says when its files were written."""
    found = files(dest)
    return {name: found[name] for name in found if name.count("/") and name[0] != "."}


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
    compute = job.compute
    monkeypatch.setattr(
        job, "compute", lambda *given, **options: rounds.append(1) or compute(*given, **options)
    )
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
        run(source, tmp_path / "out", keep_going=True)
    (archive / GOOD).unlink()
    run(archive, tmp_path / "without")
    assert list(lost(tmp_path / "out")) == [GOOD]
    found, wanted = files(tmp_path / "out"), files(tmp_path / "without")
    assert found.keys() == wanted.keys()
    assert [name for name in found if found[name] != wanted[name]] == ["days.parquet"]


def test_the_command_ends_with_one(archive: Path, tmp_path: Path) -> None:
    spoil(archive / BAD)
    ended = command("run", archive, tmp_path / "out", "--keep-going")
    assert ended.returncode == 1
    assert f"left out: {BAD}: " in ended.stdout
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "out" / "manifest.json").exists()


# Files that are not empty and have no launch ----------------------------------------------------

PORTAL = b"<!DOCTYPE html>\n<title>Down for maintenance</title>\n" * 20
LOST = {
    "a page": (PORTAL, "not-json and begins with '<!DOCTYPE html>'"),
    "UTF-16": ('{"timestamp": "2021-03-01"}\n'.encode("utf-16"), "not-utf8 and begins with "),
    "one object of pandas": (b'{"timestamp":{"0":"2021-02-28"},"spec":{"0":"a"}}', "other-schema"),
    "the end of a line": (b'"spec": "a/b", "status": "success"}\n', "not-json"),
    "bytes of nothing": (b"\0" * 4096, "not-json"),
    "a packed page": (gzip.compress(PORTAL), "not-json"),
    "half of a packed file": (gzip.compress(PORTAL * 99)[:-9], "is not a whole gzip file"),
    "bytes behind a packed file": (gzip.compress(PORTAL) + b"{}\n", "is not a whole gzip file"),
}


@pytest.mark.parametrize("blocksize", [300, 1 << 20])
@pytest.mark.parametrize("what", LOST)
def test_a_file_without_a_launch_is_lost_and_what_was_there_stands(
    archive: Path, tmp_path: Path, client: Client, what: str, blocksize: int
) -> None:
    dest = tmp_path / "out"
    run(archive, dest)
    tables_before, before = tables(dest), (dest / "manifest.json").read_bytes()
    good = (archive / GOOD).read_bytes()
    body, reason = LOST[what]
    (archive / GOOD).write_bytes(body)
    with pytest.raises(db.JobError, match=GOOD) as told:
        run(archive, dest, blocksize=blocksize)
    assert reason in str(told.value)
    if "gzip" not in reason:
        assert f"{GOOD} ({len(body):,} bytes) has no launch in it: " in str(told.value)
    assert (dest / "manifest.json").read_bytes() == before
    assert tables(dest) == tables_before

    run(archive, dest, blocksize=blocksize, keep_going=True)
    assert list(lost(dest)) == [GOOD]
    (archive / GOOD).write_bytes(good)
    run(archive, dest)
    assert tables(dest) == tables_before


def test_a_file_of_another_day_or_of_another_version_is_lost(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path, client: Client
) -> None:
    days = {date(2021, 3, 4): [launch()], date(2021, 3, 9): [launch(), launch()]}
    with pytest.raises(db.JobError, match=r"events-2021-03-09.*line 1 is outside-day"):
        run(make_archive(days), tmp_path)
    days = {date(2021, 3, 4): [launch(version=9)], date(2021, 3, 5): b""}
    with pytest.raises(db.JobError, match=r"line 1 is unknown-version.*with --accept-version"):
        run(make_archive(days), tmp_path)
    run(make_archive(days), tmp_path, accept_versions=[9])


def test_an_archive_of_pages_changes_nothing(
    archive: Path, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)
    with FakeSite() as site:
        site.put_folder(archive)
        today = FIRST + timedelta(days=DAYS)
        for rewrite in (False, True):
            if rewrite:
                site.files = {f"events-{FIRST + timedelta(days=i)}.jsonl": PORTAL for i in range(9)}
            source = db.Archive(site.url, today=today)
            for options in ({}, {"keep_going": True}, {"full": True})[: 3 if rewrite else 1]:
                plan = db.plan(source, tmp_path, **options)
                if rewrite:
                    with pytest.raises(db.JobError, match="has no launch in it"):
                        db.run(plan)
                else:
                    db.run(plan)
                    before = (tmp_path / "manifest.json").read_bytes()
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_lazy_frame_of_a_page_is_an_error(archive: Path, client: Client) -> None:
    (archive / GOOD).write_bytes(PORTAL)
    with pytest.raises(db.JobError, match="has no launch in it"):
        db.Archive(archive).events().compute()


@pytest.mark.parametrize("size", [1 << 20, 700])
def test_gzip_is_told_by_its_first_bytes_and_not_by_its_name(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path, client: Client, size: int
) -> None:
    day = date(2021, 3, 4)
    lines = b"".join(
        json.dumps(launch(f"2021-03-04T10:00:{i % 60:02}+00:00", spec=f"a/{i * i}")).encode()
        + b"\n"
        for i in range(400)
    )
    halves = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    plain, packed, called = (make_archive({day: lines}) for _ in range(3))
    (packed / f"events-{day}.jsonl").write_bytes(b"".join(map(gzip.compress, halves)))
    (called / f"events-{day}.jsonl").rename(called / f"events-{day}.jsonl.gz")
    for folder in (plain, packed, called):
        run(folder, tmp_path / folder.name, blocksize=size)
        wanted, found = files(tmp_path / plain.name), files(tmp_path / folder.name)
        assert len(db.plan(db.Archive(folder), tmp_path / "new", blocksize=700).blocks) > 1 or (
            folder is called
        )
        assert {n: b for n, b in found.items() if n != "days.parquet"} == {
            n: b for n, b in wanted.items() if n != "days.parquet"
        }
    assert lost(tmp_path / packed.name) == {}


# Files that we may not read ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 400), ("HEAD", 403), ("GET", 400), ("GET", 401), ("GET", 403)]
)
def test_one_file_that_a_site_refuses(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, status: int
) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)
    with FakeSite() as site:
        site.put_folder(archive)
        site.faults = [Fault(status, f"{method} /{GOOD}", 99)]
        source = db.Archive(site.url, today=FIRST + timedelta(days=8))
        with pytest.raises(db.JobError, match=GOOD) as told:
            db.run(db.plan(source, tmp_path), workers=1)
        assert str(told.value).startswith(f"{site.url}/{GOOD} ")
        db.run(db.plan(source, tmp_path, keep_going=True), workers=1)
    assert list(lost(tmp_path)) == [GOOD]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_one_file_that_a_bucket_refuses(
    archive: Path, tmp_path: Path, client: Client, status: int
) -> None:
    with served(archive) as bucket:
        bucket.faults = [Fault(status, rf"{GOOD}\?alt=media", 99)]
        source = db.Archive("gs://archive", storage_options=bucket.options)
        with pytest.raises(db.JobError, match=GOOD):
            db.run(db.plan(source, tmp_path), workers=1)
        run(source, tmp_path, keep_going=True)
    assert list(lost(tmp_path)) == [GOOD]


@pytest.mark.parametrize("status", [402, 405, 451])
def test_one_file_of_which_a_site_does_not_speak_is_left_out(
    archive: Path, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)
    with FakeSite() as site:
        site.put_folder(archive)
        site.faults = [Fault(status, f"HEAD /{GOOD}", 99)]
        source = db.Archive(site.url, today=FIRST + timedelta(days=8))
        run(source, tmp_path, keep_going=True)
        db.sync(source, tmp_path / "copy")
    assert list(lost(tmp_path)) == [GOOD]
    assert not (tmp_path / "copy" / GOOD).exists()


def test_an_index_that_counts_beyond_all_measure_is_no_index(
    archive: Path, tmp_path: Path, client: Client
) -> None:
    (archive / "index.jsonl").write_text(
        "".join(f'{{"name": "{GOOD}", "count": {n}}}\n' for n in (10**20, -1, "1e400", '"x"'))
    )
    run(archive, tmp_path)
    assert db.check(tmp_path, archive).ok


def test_a_size_beyond_all_measure_is_a_sentence(
    archive: Path, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Site.entry
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)
    monkeypatch.setattr(
        Site,
        "entry",
        lambda site, name: replace(entry(site, name), **{"size": 10**15} if name == GOOD else {}),
    )
    with FakeSite() as site:
        site.put_folder(archive)
        source = db.Archive(site.url, today=FIRST + timedelta(days=8))
        assert len(db.plan(source, tmp_path).blocks) <= 2_000
        with pytest.raises(db.JobError, match=GOOD):
            run(source, tmp_path)


def test_a_folder_whose_name_is_no_text_is_a_sentence(archive: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff"
    shutil.copytree(archive, os.fsdecode(folder))
    with pytest.raises(db.InputError, match="is not UTF-8; rename the folder"):
        db.Archive(os.fsdecode(folder))


def test_a_site_that_refuses_everything_is_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)
    with FakeSite() as site:
        site.faults = [Fault(403, "HEAD", 99)]
        with pytest.raises(db.InputError, match="permission denied"):
            db.Archive(site.url, today=FIRST + timedelta(days=8))


# Days that shrink -------------------------------------------------------------------------------


def test_a_day_that_shrinks_is_published_and_named_until_it_is_whole(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path, client: Client
) -> None:
    first, second = date(2021, 3, 3), date(2021, 3, 4)
    line = json.dumps(launch()).encode() + b"\n"
    folder = make_archive({first: line.replace(b"03-04", b"03-03") * 10, second: line * 100})
    day = folder / f"events-{second}.jsonl"

    def named(**options: Any) -> dict[str, Any]:
        run(folder, tmp_path, **options)
        told = json.loads((tmp_path / "manifest.json").read_bytes())["shrunk"]
        notes = [note for note in db.check(tmp_path).notes if "less than half" in note]
        assert len(notes) == bool(told)
        if told:
            assert f"2021-03-04: {told['2021-03-04']['now']} of 100" in notes[0]
        return dict(told)

    assert named() == {}
    day.write_bytes(line * 50)
    assert named() == {}
    day.write_bytes(line * 100)
    assert named() == {}
    day.write_bytes(line * 49)
    assert named() == {"2021-03-04": {"before": 100, "now": 49}}
    assert named() == {"2021-03-04": {"before": 100, "now": 49}}
    day.write_bytes(line * 48)
    assert named() == {"2021-03-04": {"before": 100, "now": 48}}
    day.write_bytes(line * 60)
    assert named() == {}
    day.write_bytes(line * 100)
    named()
    day.write_bytes(line)
    assert named(full=True) == {"2021-03-04": {"before": 100, "now": 1}}
    assert named(full=True) == {}

    day.write_bytes(line * 100)
    named()
    whole = {"2021-03-04": {"before": 100, "now": 3}}
    for forgetful in ("lost", "gone", "other windows", "damaged", "another range"):
        day.write_bytes(line * 3)
        if forgetful in ("other windows", "damaged"):
            assert named() == whole
        if forgetful == "lost":
            day.write_bytes(PORTAL)
            named(keep_going=True)
        elif forgetful == "gone":
            day.unlink()
            named()
        elif forgetful == "other windows":
            assert named(windows=["weekly"]) == whole
        elif forgetful == "damaged":
            (tmp_path / "rejects.parquet").unlink()
        else:
            named(end=first)
        day.write_bytes(line * 3)
        assert named() == whole, forgetful
        day.write_bytes(line * 100)
        assert named() == {}

    day.write_bytes(line * 2)
    shown = command("run", folder, tmp_path).stdout
    assert "1 day has less than half of the launches counted before (2021-03-04: 2 of 100)" in shown

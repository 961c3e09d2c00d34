"""An archive on a web site, behind fsspec's http: the right answer or a named error."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest
from distributed import Client

import daskbinder as db
from conftest import check_same
from daskbinder.archive.dayfiles import list_day_files
from daskbinder.model.hub import MYBINDER
from daskbinder.storage.location import Location
from support import runs
from support.gcs import Fault
from support.web import FakeSite

TODAY = date(2021, 3, 10)
FIRST = date(2021, 2, 20)
ASKED = (TODAY - FIRST).days + 1

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the archive begin a little before the sample does."""
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)


@pytest.fixture
def web(sampled: Path) -> Iterator[FakeSite]:
    with FakeSite() as server:
        server.put_folder(sampled)
        yield server


def run(web: FakeSite, dest: Path, client: Client, blocksize: int = 1 << 26) -> Path:
    wait = {"timeout": aiohttp.ClientTimeout(sock_read=0.5)}
    archive = db.Archive(web.url, storage_options={"client_kwargs": wait}, today=TODAY)
    runs.run(archive, dest, client, blocksize=blocksize)
    return dest


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("blocksize", [1 << 26, 20_000])
def test_site_counts_as_the_folder_does(
    web: FakeSite,
    counted: Path,
    client: Client,
    tmp_path: Path,
    ranges: bool,
    blocksize: int,
) -> None:
    web.ranges = ranges
    check_same(run(web, tmp_path, client, blocksize), counted)


@pytest.mark.parametrize("index", [None, b"", b'{"name": "events-2021-02-25.jsonl"}\n\xff{}\n7\n'])
def test_days_the_index_lacks_are_found(web: FakeSite, index: bytes | None) -> None:
    if index is None:
        del web.files["index.jsonl"]
    else:
        web.files["index.jsonl"] = index
    archive = db.Archive(web.url, today=TODAY)
    assert {file.name for file in archive.files} == set(web.files) - {"index.jsonl"}
    assert archive.index == {}


def test_days_are_asked_for_politely(web: FakeSite) -> None:
    web.latency = 0.05
    db.Archive(web.url, today=TODAY)
    heads = [line for line in web.requests if "events-" in line]
    assert len(heads) == len(set(heads)) == ASKED
    assert all(line.startswith("HEAD ") for line in heads)
    assert 8 < web.most <= 16


def test_days_end_today(web: FakeSite) -> None:
    files = list_day_files(Location.at(web.url), today=date(2021, 2, 26))
    assert [file.date.day for file in files] == [24, 25, 26]
    with pytest.raises(db.InputError, match="no day since 2021-02-20"):
        list_day_files(Location.at(web.url), today=date(2021, 2, 21))


def test_names_of_the_index_lead_nowhere_else(web: FakeSite) -> None:
    names = [
        "../../etc/passwd",
        "http://127.0.0.1:1/events-2021-03-01.jsonl",
        "x/events-2021-03-01.jsonl",
        "events-2021-03-01.jsonl?x=1",
        "events-2021-02-31.jsonl",
        "events-2011-03-01.jsonl",
        "events-2031-03-01.jsonl.gz",
        "events-2021-03-01.jsonl\\n",
        "events-2021-03-09.jsonl.gz",
    ]
    web.files["index.jsonl"] = b"".join(
        b'{"name": "%s", "count": "1"}\n' % name.encode() for name in names
    )
    db.Archive(web.url, today=TODAY)
    asked = {line.split(" ")[1] for line in web.requests}
    days = {f"/events-{FIRST + timedelta(days=i)}.jsonl" for i in range(ASKED)}
    assert asked == days | {"/index.jsonl", "/events-2021-03-09.jsonl.gz"}


def test_nothing_there_is_named(web: FakeSite) -> None:
    web.files.clear()
    with pytest.raises(db.InputError, match="has no day since 2021-02-20; give the address"):
        db.Archive(web.url, today=TODAY)


def test_no_server_is_named() -> None:
    with FakeSite() as gone:
        url = gone.url
    with pytest.raises(db.JobError, match=r"could not be read in 6 attempts .*run again later"):
        db.Archive(url, today=TODAY)


def test_closed_site_is_named(web: FakeSite) -> None:
    web.faults = [Fault(403, "index", 9)]
    with pytest.raises(db.InputError, match=r"index\.jsonl cannot be accessed"):
        db.Archive(web.url, today=TODAY)


@pytest.mark.parametrize("kind", [429, 500, 503, "reset"])
def test_day_that_does_not_answer_is_never_a_missing_day(web: FakeSite, kind: int | str) -> None:
    web.faults = [Fault(kind, "HEAD /events-2021-02-28", 5)]
    assert len(db.Archive(web.url, today=TODAY).files) == 8
    web.faults = [Fault(kind, "HEAD /events-2021-02-28", 99)]
    with pytest.raises(db.JobError, match=r"events-2021-02-28\.jsonl could not be read"):
        db.Archive(web.url, today=TODAY)


@pytest.mark.parametrize("kind", [429, 502, "reset", "truncated", "short", "stalled"])
def test_passing_faults_of_reads_change_nothing(
    kind: int | str,
    web: FakeSite,
    counted: Path,
    client: Client,
    tmp_path: Path,
) -> None:
    web.faults = [Fault(kind, r"GET /events-2021-02-2[68]", 2)]
    check_same(run(web, tmp_path, client), counted)
    assert web.faults[0].times == 0


@pytest.mark.parametrize("kind", [503, "truncated", "short"])
def test_lasting_faults_are_named(
    kind: int | str, web: FakeSite, client: Client, tmp_path: Path
) -> None:
    web.faults = [Fault(kind, r"GET /events-2021-02-28", 99)]
    with pytest.raises(db.JobError, match=r"events-2021-02-28\.jsonl could not be read in 6 attem"):
        run(web, tmp_path, client)


def test_day_rewritten_after_the_listing_is_named(
    web: FakeSite, client: Client, tmp_path: Path
) -> None:
    web.faults = [Fault("changed", r"GET /events-2021-02-28")]
    with pytest.raises(db.JobError, match=r"02-28\.jsonl was rewritten since .*; run again"):
        run(web, tmp_path, client)


@pytest.mark.parametrize(
    ("etags", "times", "begins"),
    [(True, True, "etag="), (False, True, "modified="), (False, False, "size=")],
)
def test_fingerprint_is_the_best_there_is(
    web: FakeSite, etags: bool, times: bool, begins: str
) -> None:
    web.etags, web.times = etags, times
    archive = db.Archive(web.url, today=TODAY)
    assert all(file.fingerprint_text.startswith(begins) for file in archive.files)
    assert bytes(archive.location.fetch(archive.files[0]))[:1] == b"{"

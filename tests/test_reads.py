"""Bytes that are not those listed, at the seam of the reader: found, or had again and right.

``DASKBINDER_READS`` says how many reads are spoilt.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from threading import Event

import pytest

from conftest import Report
from daskbinder.archive.dayfiles import DayFile, list_day_files
from daskbinder.archive.reading import Part, read_part
from daskbinder.archive.sample import write_sample
from daskbinder.errors import JobError, LostFiles
from daskbinder.model.hub import MYBINDER
from daskbinder.storage import retry
from daskbinder.storage.location import Location
from daskbinder.storage.retry import ATTEMPTS
from support.gcs import FakeGCS, Fault, served
from support.web import FakeSite

READS = int(os.environ.get("DASKBINDER_READS", "80"))
FIRST = date(2021, 2, 24)
Spoil = Callable[[bytes], bytes]

pytestmark = pytest.mark.usefixtures("hasty")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT", 1e-4)
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sample(tmp_path / "archive", days=5, start=FIRST, events_per_day=40)
    return tmp_path / "archive"


@pytest.fixture
def servers(folder: Path) -> Iterator[tuple[FakeGCS, FakeSite]]:
    with ExitStack() as stack:
        bucket, site = stack.enter_context(served(folder)), stack.enter_context(FakeSite())
        site.put_folder(folder)
        yield bucket, site


def flipped(chance: random.Random) -> Spoil:
    def spoil(body: bytes) -> bytes:
        at = chance.randrange(len(body))
        return body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]

    return spoil


def cut(chance: random.Random) -> Spoil:
    return lambda body: body[: chance.randrange(len(body))]


def grown(chance: random.Random) -> Spoil:
    return lambda body: body + body[: chance.randrange(1, len(body))]


def stale(chance: random.Random) -> Spoil:
    """Give lines in another order, as before the file was sorted anew: the same size."""

    def spoil(body: bytes) -> bytes:
        lines = body.splitlines(keepends=True)
        at = chance.randrange(1, len(lines))
        return b"".join(lines[at:] + lines[:at])

    return spoil


def test_no_spoilt_read_is_taken_for_the_file(
    folder: Path, servers: tuple[FakeGCS, FakeSite], report: Report
) -> None:
    chance = random.Random(11)
    bucket, site = servers
    places = {
        "bucket": (Location.at("gs://archive", bucket.options), bucket, r"events-{}\S*alt=media"),
        "site": (Location.at(site.url), site, r"GET /events-{}"),
    }
    seen: Counter[str] = Counter()
    for _ in range(READS):
        where = chance.choice(["bucket", "bucket", "site", "folder"])
        if where == "folder":
            seen[f"{spoil_a_file(folder, chance)} in a folder"] += 1
            continue
        there, server, pattern = places[where]
        file = chance.choice(list_day_files(there, today=date(2021, 3, 1)))
        part = chance.choice([Part(file, 0, file.size), Part(file, 0, file.size // 3)])
        kinds = {"cut": cut(chance), "grown": grown(chance)}
        kinds |= {"cut on the way": "truncated", "rewritten": "changed"}
        if where == "bucket" and part.whole:  # a part has no checksum, nor has a site any
            kinds |= {"flipped": flipped(chance), "stale": stale(chance)}
        if not part.whole:
            del kinds["grown"]
        kind = chance.choice(sorted(kinds))
        times = chance.choice([1, ATTEMPTS - 1, 99])
        server.faults = [Fault(kinds[kind], pattern.format(file.date), times)]
        lasting = times > ATTEMPTS or kind == "rewritten"
        wanted = (folder / file.name).read_bytes()
        expect(there, part, wanted, lost=lasting)
        assert server.faults[0].times < times
        seen[f"{kind} from a {where}"] += 1
        seen["detected for good" if lasting else "had again"] += 1
        server.faults = []
        server.put_folder(folder)
    kinds_seen = ", ".join(f"{n:,} {what}" for what, n in sorted(seen.items()))
    report(f"{READS:,} spoilt reads ({kinds_seen}): 0 taken for the file")


def expect(there: Location, part: Part, wanted: bytes, *, lost: bool) -> None:
    """Read a part: the true lines, or an error with the name of the file."""
    if lost:
        with pytest.raises(LostFiles) as error:
            list(read_part(there, part, 1 << 20))
        assert list(error.value.files) == [part.file.name]
        assert part.file.name in str(error.value)
        return
    found = b"".join(bytes(piece) for piece in read_part(there, part, 1 << 20))
    end = part.file.size if part.whole else wanted.index(b"\n", part.stop - 1) + 1
    assert found == wanted[:end]


def spoil_a_file(folder: Path, chance: random.Random) -> str:
    """Change a file after it was listed; say how, when the reader has found it."""
    there = Location.at(folder)
    file: DayFile = chance.choice(list_day_files(there))
    path = folder / file.name
    whole, times = path.read_bytes(), path.stat()
    kind = chance.choice(["cut", "grown", "stale", "gone"])
    if kind == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": cut, "grown": grown, "stale": stale}[kind](chance)(whole))
    expect(there, Part(file, 0, file.size), whole, lost=True)
    path.write_bytes(whole)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return kind


def test_a_link_to_a_file_that_was_rewritten_is_noticed(folder: Path, tmp_path: Path) -> None:
    target = folder / f"events-{FIRST}.jsonl"
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / target.name).symlink_to(target)
    there = Location.at(tmp_path / "linked")
    (file,) = list_day_files(there)
    whole = target.read_bytes()
    expect(there, Part(file, 0, file.size), whole, lost=False)
    target.write_bytes(whole[::-1])
    expect(there, Part(file, 0, file.size), whole, lost=True)


def test_files_that_go_while_a_folder_is_listed_do_no_harm(folder: Path) -> None:
    passing = [folder / f".passing-{i}" for i in range(20)]
    ended = Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for path in passing:
                path.touch()
            for path in passing:
                path.unlink()

    there = Location.at(folder)
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(come_and_go)
        try:
            found = {tuple(file.date for file in list_day_files(there)) for _ in range(500)}
        finally:
            ended.set()
    going.result()
    assert found == {tuple(FIRST + timedelta(days=i) for i in range(5))}


def test_an_error_names_the_folder_too(tmp_path: Path) -> None:
    there = Location.at(tmp_path)
    there.write("a/b.parquet", b"old")
    entry = there.entry("a/b.parquet")
    (tmp_path / "a/b.parquet").write_bytes(b"newer")
    with pytest.raises(JobError, match=r"/a/b\.parquet was rewritten since it was listed"):
        there.fetch(entry, "a/b.parquet")

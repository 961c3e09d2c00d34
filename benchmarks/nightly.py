"""What a refresh asks of a place: a long archive of which two days changed since the last run.

    python -m benchmarks.nightly --days 2900 --latency 50

The bucket and the site are fakes on loopback that count what they are asked; each answer waits as
long as told. Their work is in our time. What comes out is compared with a count of everything.
"""

import argparse
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import daskbinder as db
from benchmarks.data import FIRST, ROOT, Sample

sys.path.insert(0, str(ROOT / "tests"))

from support.gcs import FakeGCS, Server
from support.web import FakeSite

_DAY_FILE = re.compile(r"events-[\d-]+\.jsonl")


@dataclass(frozen=True)
class Night:
    """What one refresh took.

    Attributes
    ----------
    days : int
        Day files that were read.
    bytes : int
        Bytes of bodies that were sent, listings included.
    asked, listed, read : int
        Requests that ask for one file's state, that list, and that read.
    seconds : float
        From listing the archive to the manifest.
    """

    days: int
    bytes: int
    asked: int
    listed: int
    read: int
    seconds: float


def put(server: Server, name: str, data: bytes) -> None:
    """Put a file on a server."""
    if isinstance(server, FakeGCS):
        server.put(name, data)
    else:
        assert isinstance(server, FakeSite)
        server.files[name] = data


def refresh(server: Server, url: str, options: dict[str, Any], folder: Path, days: int) -> Night:
    """Count an archive, change its last two days, and count again."""
    today = FIRST + timedelta(days=days - 1)

    def count(dest: str, **how: bool) -> db.Result:
        archive = db.Archive(url, storage_options=options, today=today)
        return db.run(db.plan(archive, dest, **how))

    latency, server.latency = server.latency, 0.0
    with tempfile.TemporaryDirectory() as dest, tempfile.TemporaryDirectory() as anew:
        before = count(dest)
        for path in sorted(folder.glob("events-*"))[-2:]:
            lines = path.read_bytes().splitlines(keepends=True)
            put(server, path.name, b"".join([*lines, *lines[: len(lines) // 10]]))
        server.requests.clear()
        server.sent, server.latency = 0, latency
        started = time.perf_counter()
        after = count(dest)
        seconds = time.perf_counter() - started
        requests, sent = list(server.requests), server.sent
        server.latency = 0.0
        whole = count(anew, full=True)
        totals = [result.rollups.manifest["totals"] for result in (before, after, whole)]
        assert totals[1] == totals[2] != totals[0], "the refresh is not the count of everything"
    reads = [line for line in requests if "alt=media" in line or line.startswith("GET /events")]
    listed = [line for line in requests if line.partition("?")[0].endswith("/o")]
    return Night(
        days=sum(_DAY_FILE.search(line) is not None for line in reads),
        bytes=sent,
        asked=len(requests) - len(reads) - len(listed),
        listed=len(listed),
        read=len(reads),
        seconds=seconds,
    )


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="What a refresh asks of a place.")
    parser.add_argument("--days", type=int, default=2900)
    parser.add_argument("--events-per-day", type=int, default=500)
    parser.add_argument("--latency", type=float, nargs="+", default=[0, 50], help="ms")
    given = parser.parse_args()
    data = Sample(given.days, FIRST, given.events_per_day).make()
    print(f"{data.days} days, {data.bytes / 1e6:,.0f} MB, two days changed")
    print("| place | latency ms | day files read | KB received | requests: ask, list, read | s |")
    print("|---|---|---|---|---|---|")
    for latency in given.latency:
        for server in (FakeGCS(latency=latency / 1e3), FakeSite(latency=latency / 1e3)):
            with server:
                server.put_folder(data.folder)
                bucket = isinstance(server, FakeGCS)
                url, options = ("gs://archive", server.options) if bucket else (server.url, {})
                night = refresh(server, url, options, data.folder, given.days)
            print(
                f"| {'gs://' if bucket else 'https://'} | {latency:g} | {night.days} | "
                f"{night.bytes / 1e3:,.0f} | {night.asked:,}, {night.listed}, {night.read} | "
                f"{night.seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

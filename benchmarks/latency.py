"""What distance costs: the archive behind a slow link, counted from there in three ways.

    python -m benchmarks.latency --days 60 --latency 20 50 100 --bandwidth 100

The link is a fake bucket on loopback, in a process of its own, that waits before each answer and
sends all answers together at a given rate. Beside the ways stand their bounds: the transfer alone,
and counting the same files from a folder. All counts are compared.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from gcsfs.core import GCSFileSystem

import daskbinder as db
from benchmarks.data import ROOT, Data, Sample
from daskbinder.archive.reading import Part
from daskbinder.pipeline.counting_tasks import count_block
from daskbinder.pipeline.request import CountRules, RunPolicy
from daskbinder.storage.location import Location

URL = "gs://archive"


@contextmanager
def bucket(data: Data, latency: float, bandwidth: float) -> Iterator[dict[str, Any]]:
    """Serve an archive as a bucket; give the storage options that lead there."""
    command = [sys.executable, ROOT / "tests" / "support" / "gcs.py", data.folder]
    command += [f"--latency={latency}", f"--bandwidth={bandwidth}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield {"endpoint_url": f"http://127.0.0.1:{port}", "token": "anon"}
        finally:
            process.terminate()


def run(source: str | Path, options: dict[str, Any] | None = None) -> int:
    """Run the whole job and count its launches."""
    with tempfile.TemporaryDirectory() as dest:
        result = db.run(db.plan(db.Archive(source, storage_options=options), dest))
        return int(result.rollups.manifest["totals"]["accepted"])


def loop(options: dict[str, Any]) -> int:
    """Fetch and count one day after the other."""
    archive = db.Archive(URL, storage_options=options)
    launches = 0
    for file in archive.files:
        counted = count_block(
            archive.location, [Part(file, 0, file.size)], CountRules(), RunPolicy()
        )
        launches += sum(tally.accepted for _, tally in counted.tallies)
    return launches


def get_then_run(options: dict[str, Any]) -> int:
    """Get everything with gcsfs, then run from the folder."""
    with tempfile.TemporaryDirectory() as folder:
        fs = GCSFileSystem(**options, skip_instance_cache=True)
        fs.get("archive/", folder, recursive=True)
        return run(folder)


def transfer(options: dict[str, Any]) -> int:
    """Fetch everything, many files at a time, and forget it."""
    fs = GCSFileSystem(**options, skip_instance_cache=True)
    names = fs.ls("archive")
    for at in range(0, len(names), 32):
        fs.cat(names[at : at + 32], batch_size=32)
    return 0


def seconds(work: Callable[[], int], wanted: int) -> float:
    """Time some work and compare its count."""
    started = time.perf_counter()
    found = work()
    taken = time.perf_counter() - started
    assert found in (0, wanted), f"{found:,} launches in place of {wanted:,}"
    return taken


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="What distance costs.")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--latency", type=float, nargs="+", default=[20, 50, 100], help="ms")
    parser.add_argument("--bandwidth", type=float, default=100, help="MB/s")
    parser.add_argument("--repeat", type=int, default=3, help="Rounds, of which medians are shown.")
    given = parser.parse_args()
    data = Sample(given.days).make()
    data.warm()
    Location.at(URL, {"token": "anon"}).path()  # what is imported late, outside the clock
    wanted = run(data.folder)
    megabytes = data.bytes / 1e6
    print(f"{data.days} days, {megabytes:,.0f} MB, {given.bandwidth:g} MB/s, {given.repeat} rounds")
    print(
        "| latency ms | transfer s | local s | ours s | get, then run s | loop s | ours / bound |"
    )
    print("|---|---|---|---|---|---|---|")
    for latency in given.latency:
        with bucket(data, latency / 1e3, given.bandwidth * 1e6) as options:
            ways: list[Callable[[], int]] = [
                partial(transfer, options),
                partial(run, data.folder),
                partial(run, URL, options),
                partial(get_then_run, options),
                partial(loop, options),
            ]
            rounds = [[seconds(way, wanted) for way in ways] for _ in range(given.repeat)]
        columns = " | ".join(f"{median(times):.2f}" for times in zip(*rounds, strict=True))
        ratio = median(ours / max(alone, local) for alone, local, ours, *_ in rounds)
        print(f"| {latency:g} | {columns} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()

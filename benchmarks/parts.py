"""The parts of the job one by one, each beside a yardstick: the same thing done the plain way.

A part and its yardstick are timed in turn, so that their ratio says something on any machine and
at any hour. Knows no clock.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dask
import distributed
import pandas as pd
import pyarrow as pa
import pyarrow.json

import daskbinder
from benchmarks.data import ROOT, START, Data
from benchmarks.workloads import PYTHON
from daskbinder.counting.counts import Counts, count
from daskbinder.counting.rollup_tables import to_table
from daskbinder.counting.scan import Body, scan
from daskbinder.dataset.files import write_table
from daskbinder.model.dates import day_number
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import KEY
from daskbinder.storage.location import Location

Do = Callable[[], object]


@dataclass(frozen=True)
class Part:
    """A part of the job, ready to be timed as often as wanted.

    Attributes
    ----------
    ours, yardstick : callable
        What is timed.
    plain : str
        What the yardstick is.
    before : callable
        What comes before each of the two, outside the clock.
    bytes : int
        What is read of an archive; 0 where that is not what counts.
    """

    ours: Do
    yardstick: Do
    plain: str
    before: Do = lambda: None
    bytes: int = 0


def kernel(data: Data, scratch: Path) -> Part:
    """Bytes in memory to counts by hour."""
    bodies = _bodies(data)
    size = sum(len(body.data) for body in bodies)
    text = pa.BufferReader(b"".join(bytes(body.data) for body in bodies))
    schema = pa.schema({"timestamp": pa.string()} | KEY)
    options = {
        "read_options": pyarrow.json.ReadOptions(use_threads=False, block_size=1 << 24),
        "parse_options": pyarrow.json.ParseOptions(schema, unexpected_field_behavior="ignore"),
    }

    def parse() -> pa.Table:
        text.seek(0)
        return pyarrow.json.read_json(text, **options)

    return Part(lambda: count(scan(bodies)), parse, "pyarrow.json, no counting", bytes=size)


def graph(data: Data, scratch: Path) -> Part:
    """Day files to a plan: as many as `data` has, of 5 MB each, of which nothing is read."""
    archive, dest = _hollow_archive(data.days, scratch), scratch / "results"
    tasks = daskbinder.plan(daskbinder.Archive(archive), dest).n_tasks
    nothing = dask.delayed(_nothing, pure=False)
    return Part(
        lambda: daskbinder.plan(daskbinder.Archive(archive), dest).n_tasks,
        lambda: [nothing(i) for i in range(tasks)],
        "as many calls of dask.delayed",
    )


def scheduling(data: Data, scratch: Path) -> Part:
    """A plan's graph from end to end, its tasks doing nothing."""
    plan = daskbinder.plan(daskbinder.Archive(_hollow_archive(data.days, scratch)), scratch / "out")
    tasks: dict[Any, Any] = {}
    for output in plan.outputs:
        tasks |= dict(output.__dask_graph__())
    hollow = {key: (_nothing, list(task.dependencies)) for key, task in tasks.items()}
    outputs = [output.key for output in plan.outputs]

    def run(graph: dict[Any, Any], keys: list[Any]) -> None:
        with _client() as client:
            client.get(graph, keys)

    single = {f"nothing-{i}": (_nothing, i) for i in range(len(tasks))}
    return Part(
        lambda: run(hollow, outputs),
        lambda: run(single, list(single)),
        "as many tasks without dependencies",
    )


def writing(data: Data, scratch: Path) -> Part:
    """Counts to the Parquet files of daily rollups by hour."""
    counts = count(scan(_bodies(data)))
    days = [body.day for body in _bodies(data)]
    place = Location.at(scratch / "ours")
    frames = [to_table(counts.between(day, day)).to_pandas() for day in days]
    text = {name: "str" for name, dtype in KEY.items() if dtype == pa.string()}
    plain = [frame.astype(text) for frame in frames]
    folder = scratch / "plain"
    folder.mkdir()

    def ours(counts: Counts = counts) -> None:
        for day in days:
            write_table(place, f"{day}.parquet", to_table(counts.between(day, day)))

    def with_pandas() -> None:
        for day, frame in zip(days, plain, strict=True):
            frame.to_parquet(folder / f"{day}.parquet", compression="zstd")

    return Part(ours, with_pandas, "pandas, to_parquet with zstd")


def loading(data: Data, scratch: Path) -> Part:
    """The weekly rollups by day to one pandas frame."""
    dest = _finished(data, scratch)
    files = sorted((dest / "rollups" / "weekly" / "by-day").iterdir())
    return Part(
        lambda: daskbinder.open(str(dest)).load("weekly", by="day"),
        lambda: pd.concat([pd.read_parquet(file) for file in files]),
        "pandas, read_parquet and concat",
    )


def series(data: Data, scratch: Path) -> Part:
    """The federation series by day to a pandas frame."""
    dest = _finished(data, scratch)
    return Part(
        lambda: daskbinder.open(str(dest)).federation("day"),
        lambda: pd.read_parquet(dest / "federation" / "by-day.parquet"),
        "pandas, read_parquet",
    )


def help_text(data: Data, scratch: Path) -> Part:
    """``daskbinder --help`` as a process."""
    return Part(
        lambda: _process("-m", "daskbinder", "--help"),
        lambda: _process("-c", "import click"),
        "import click",
    )


def start_up(data: Data, scratch: Path) -> Part:
    """A run on one day of ten launches as a process: start, imports, cluster, end."""
    archive, dest = scratch / "tiny", scratch / "results"
    daskbinder.write_sample(archive, days=1, start=START, events_per_day=10)
    return Part(
        lambda: _process("-m", "daskbinder", "run", str(archive), str(dest)),
        lambda: _process("-c", "import distributed, pyarrow.parquet"),
        "import distributed, pyarrow.parquet",
        before=lambda: shutil.rmtree(dest, ignore_errors=True),
    )


def refresh(data: Data, scratch: Path) -> Part:
    """A run as a process after one day was added to a finished archive."""
    files = sorted(path for path in data.folder.iterdir() if MYBINDER.date_of(path.name))
    archive, kept, dest = scratch / "archive", scratch / "kept", scratch / "results"
    archive.mkdir()
    for path in files[:-1]:
        _link(path, archive)
    _process("-m", "daskbinder", "run", str(archive), str(dest))
    dest.rename(kept)
    _link(files[-1], archive)

    def before() -> None:
        shutil.rmtree(dest, ignore_errors=True)
        shutil.copytree(kept, dest)
        os.sync()

    command = ("-m", "daskbinder", "run", str(archive), str(dest))
    return Part(
        lambda: _process(*command), lambda: _process(*command, "--full"), "run --full", before
    )


PARTS: dict[str, Callable[[Data, Path], Part]] = {
    "kernel": kernel,
    "graph": graph,
    "scheduling": scheduling,
    "writing": writing,
    "loading": loading,
    "series": series,
    "help": help_text,
    "start-up": start_up,
    "refresh": refresh,
}


def _nothing(*_: object) -> None:
    """What a task of no content does."""


def _client() -> distributed.Client:
    return distributed.Client(
        processes=False,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
        set_as_default=False,
    )


def _process(*arguments: str) -> None:
    subprocess.run([PYTHON, *arguments], cwd=ROOT, check=True, capture_output=True)


def _link(path: Path, folder: Path) -> None:
    try:
        (folder / path.name).hardlink_to(path)
    except OSError:  # on another file system
        shutil.copy2(path, folder)


def _bodies(data: Data) -> list[Body]:
    """Read the day files, 40 MB of them at most: what one block of a run holds."""
    bodies: list[Body] = []
    for path in sorted(data.folder.iterdir()):
        day = MYBINDER.date_of(path.name)
        if day is not None and sum(len(body.data) for body in bodies) < 40e6:
            bodies.append(Body(path.name, day_number(day), path.read_bytes()))
    return bodies


def _hollow_archive(days: int, scratch: Path) -> Path:
    """Make day files of 5 MB that take no room on the disk."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    for i in range(days):
        day: date = START + timedelta(days=i)
        with (folder / f"events-{day}.jsonl").open("wb") as file:
            file.truncate(5_000_000)
    return folder


def _finished(data: Data, scratch: Path) -> Path:
    dest = scratch / "results"
    with _client() as client:
        daskbinder.run(daskbinder.plan(daskbinder.Archive(data.folder), dest), client)
    return dest

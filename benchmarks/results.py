"""One row a contender and run: what was measured, on what, with what; kept as JSON Lines."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.stopwatch import Measurement

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "results"
PACKAGES = (
    *("dask", "distributed", "pyarrow", "numpy", "pandas"),
    *("duckdb", "polars"),
)


@dataclass(frozen=True)
class Circumstances:
    """What all rows of one run share.

    Attributes
    ----------
    when : str
        UTC time at the start; tells one run from another.
    commit : str
        The commit measured, with ``+`` when the package has changes beside it.
    versions, machine : dict
        Of Python and the packages; processor, cores, memory in bytes.
    load : float
        Processes that wanted the machine when the run began: a busy one gives noisy rows.
    """

    when: str
    commit: str
    versions: dict[str, str]
    machine: dict[str, str | int]
    load: float

    @classmethod
    def now(cls) -> "Circumstances":
        """Look around."""
        return cls(
            datetime.now(UTC).isoformat(timespec="seconds"),
            _commit(),
            {"python": platform.python_version(), **dict(_versions())},
            {
                "cpu": _processor(),
                "cores": len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1,
                "memory": psutil.virtual_memory().total,
            },
            round(os.getloadavg()[0], 2),
        )


@dataclass(frozen=True)
class Row:
    """What one contender took in one run of a benchmark.

    Attributes
    ----------
    benchmark : str
        ``"compare"``, ``"cores"``, ``"small"``, ``"scale"`` or ``"ask"``.
    workload : str
        What was done, on how much; rows are comparable within one workload.
    contender : str
        Who did it.
    days, bytes, events : int
        Size of the input; 0 where that is not what counts.
    seconds, cpu_seconds : list of float
        Of each repetition, in turn with the other contenders.
    peak_bytes : list of int
        Of each repetition; empty where not measured.
    ratio : float
        Median over the repetitions of its seconds divided by ours of the same repetition.
    circumstances : Circumstances
    """

    benchmark: str
    workload: str
    contender: str
    days: int
    bytes: int
    events: int
    seconds: list[float]
    cpu_seconds: list[float]
    peak_bytes: list[int]
    ratio: float
    circumstances: Circumstances = field(repr=False)

    @property
    def time(self) -> float:
        """Median of its seconds."""
        return median(self.seconds)

    def record(self) -> dict[str, Any]:
        """Give the row as one flat object for a line of JSON."""
        fields = asdict(self)
        return fields.pop("circumstances") | fields

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Row":
        """Turn what `record` gave back into a row."""
        fields = dict(record)
        shared = {name: fields.pop(name) for name in Circumstances.__dataclass_fields__}
        return cls(**fields, circumstances=Circumstances(**shared))


def figures(took: Sequence[Measurement]) -> dict[str, list[Any]]:
    """Fields of a row that has repetitions of a command."""
    return {
        "seconds": [round(one.seconds, 4) for one in took],
        "cpu_seconds": [round(one.cpu_seconds, 3) for one in took],
        "peak_bytes": [one.peak_bytes for one in took],
    }


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """Median of the ratios of the same repetitions: how many times slower they are than we."""
    return median(t / o for t, o in zip(theirs, ours, strict=True))


def append(rows: Iterable[Row], folder: Path = FOLDER) -> None:
    """Add rows to the file of their benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        with (folder / f"{row.benchmark}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row.record()) + "\n")


def load(benchmark: str, folder: Path = FOLDER) -> list[Row]:
    """Read all rows of a benchmark, the oldest run first."""
    path = folder / f"{benchmark}.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [Row.from_record(json.loads(line)) for line in lines if line.strip()]
    return sorted(rows, key=lambda row: row.circumstances.when)


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "daskbinder", "pyproject.toml")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


def _versions() -> Iterable[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""Time the parts of the job, each in turn with its yardstick."""

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.data import Data
from benchmarks.parts import PARTS, Do
from benchmarks.results import Circumstances, Row, ratio
from benchmarks.workloads import OURS


def small(data: Data, names: Iterable[str], repeat: int) -> list[Row]:
    """Time parts.

    Parameters
    ----------
    data : Data
        The archive that gives them work.
    names : iterable of str
        Of `benchmarks.parts.PARTS`.
    repeat : int
        How often each part and its yardstick are run, after one run of each that is not timed.

    Returns
    -------
    list of Row
        Two a part.
    """
    circumstances = Circumstances.now()
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
            part = PARTS[name](data, Path(scratch))
            both = {OURS: part.ours, part.plain: part.yardstick}
            took: dict[str, list[tuple[float, float]]] = {who: [] for who in both}
            for turn in range(repeat + 1):
                for who, do in both.items():
                    part.before()
                    measured = _time(do)
                    if turn:
                        took[who].append(measured)
        base = [wall for wall, _ in took[OURS]]
        rows += [
            Row(
                benchmark="small",
                workload=f"{name}, {data.days} days",
                contender=who,
                days=data.days,
                bytes=part.bytes,
                events=0,
                seconds=[round(wall, 6) for wall, _ in measurements],
                cpu_seconds=[round(cpu, 4) for _, cpu in measurements],
                peak_bytes=[],
                ratio=round(ratio([wall for wall, _ in measurements], base), 4),
                circumstances=circumstances,
            )
            for who, measurements in took.items()
        ]
    return rows


def _time(do: Do) -> tuple[float, float]:
    """Wall and CPU seconds, those of processes it waited for included."""
    cpu, wall = os.times(), time.perf_counter()
    do()
    wall, after = time.perf_counter() - wall, os.times()
    return wall, sum(after[:4]) - sum(cpu[:4])

"""Which drawings the rows give: throughput and ratios over runs, cost over size."""

from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.chart import line_chart
from benchmarks.results import Row
from benchmarks.workloads import OURS

_OVER_RUNS: tuple[tuple[str, str, Callable[[Row], float]], ...] = (
    ("throughput", "MB/s", lambda row: row.bytes / row.time / 1e6),
    ("ratio", "times our seconds", lambda row: row.ratio),
)
_OVER_SIZE: tuple[tuple[str, Callable[[Row], float]], ...] = (
    ("time", lambda row: row.time),
    ("CPU time", lambda row: median(row.cpu_seconds)),
    ("peak memory", lambda row: median(row.peak_bytes)),
)
_FAMILIES = ("launches", "days", "workers", "blocks")


def over_runs(rows: Sequence[Row]) -> dict[str, str]:
    """Draw throughput and ratios of each workload over its runs.

    Parameters
    ----------
    rows : sequence of Row
        Of whole jobs, the oldest first.

    Returns
    -------
    dict of str
        File name to SVG.
    """
    drawn = {}
    for workload in dict.fromkeys(row.workload for row in rows):
        of_workload = [row for row in rows if row.workload == workload]
        runs = {row.circumstances.when: row.circumstances.commit for row in of_workload}
        by_run = {(row.circumstances.when, row.contender): row for row in of_workload}
        for what, unit, value in _OVER_RUNS:
            lines: dict[str, list[float | None]] = {}
            for name in dict.fromkeys(row.contender for row in of_workload):
                if what == "throughput" or name != OURS:
                    found = [by_run.get((when, name)) for when in runs]
                    lines[name] = [None if row is None else value(row) for row in found]
            title = f"{what.capitalize()}, {workload}"
            drawn[f"{what}-{workload.replace(', ', '-').replace(' ', '')}.svg"] = line_chart(
                title, unit, list(runs.values()), lines
            )
    return drawn


def over_size(rows: Sequence[Row]) -> dict[str, str]:
    """Draw time and memory of the newest run of `scale`, as multiples of its first case.

    Parameters
    ----------
    rows : sequence of Row
        Of `scale`, the oldest first.

    Returns
    -------
    dict of str
        File name to SVG.
    """
    if not rows:
        return {}
    newest = [row for row in rows if row.circumstances.when == rows[-1].circumstances.when]
    drawn = {}
    for family in _FAMILIES:
        cases = [row for row in newest if family in row.contender.split()]
        if family in ("launches", "days"):
            cases.insert(0, newest[0])
        lines = {
            name: [value(row) / value(newest[0]) for row in cases] for name, value in _OVER_SIZE
        }
        labels = [row.contender for row in cases]
        title = f"Cost over {family}, {newest[0].workload}"
        drawn[f"scale-{family}.svg"] = line_chart(title, "times the base", labels, lines)
    return drawn

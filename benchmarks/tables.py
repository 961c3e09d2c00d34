"""The tables of `benchmarks/README.md`, made from the newest rows of `results/*.jsonl`."""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.results import Row, load, ratio
from benchmarks.workloads import OURS

README = Path(__file__).with_name("README.md")
_LARGE, _FIRST_YEAR, _SMALL = "1299 days, 6.60 GB", "351 days, 0.90 GB", "99 days, 0.29 GB"
_SCALE = "199 days, 0.62 GB"
_OF_EVERY_SIZE = (OURS, "duckdb", "polars", "pandas")


def fill(text: str) -> str:
    """Put each table in its place: between ``<!-- NAME -->`` and ``<!-- end -->``."""
    compared = load("compare")
    large, first_year, small = (_newest(compared, of) for of in (_LARGE, _FIRST_YEAR, _SMALL))
    named = {row.contender for row in large} - {OURS}
    tables = {
        "large": jobs(large),
        "small": jobs([row for row in small if row.contender not in named]),
        "sizes": sizes([large, first_year, small]),
        "cores": cores(_newest(load("cores"), _FIRST_YEAR)),
        "parts": parts(load("small")),
        "scale": jobs(_newest(load("scale"), _SCALE)),
        "ask": questions(_newest(load("ask"))),
    }
    for name, table in tables.items():
        found = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = found.sub(lambda ends, table=table: f"{ends[1]}{table}\n{ends[2]}", text)
    return text


def jobs(rows: Sequence[Row]) -> str:
    """Write a table of whole jobs: medians over the rounds, a row a contender."""
    lines = ["| | seconds | CPU s | peak MB | ratio | commit |", "|---|---|---|---|---|---|"]
    for row in rows:
        cells = (
            f"{row.time:.2f}",
            f"{median(row.cpu_seconds):.1f}",
            f"{median(row.peak_bytes) / 1e6:,.0f}",
            f"{row.ratio:.2f}",
            row.circumstances.commit[:7],
        )
        lines.append(f"| {row.contender} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sizes(archives: Sequence[Sequence[Row]]) -> str:
    """Write seconds and ratios of the whole job: a row an archive, a column a contender."""
    lines = [f"| | {' | '.join(_OF_EVERY_SIZE)} |", "|---" * (len(_OF_EVERY_SIZE) + 1) + "|"]
    for rows in filter(None, archives):
        told = {row.contender: f"{row.time:.2f} ({row.ratio:.2f})" for row in rows}
        cells = [told.get(name, "") for name in _OF_EVERY_SIZE]
        lines.append(f"| {rows[0].workload} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cores(rows: Sequence[Row]) -> str:
    """Write what more cores than one save: a row a contender."""
    lines = ["| | one core | all cores | ratio |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in steps(rows))])


def steps(rows: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    """Give contender, seconds on one core and on all, and how many times as fast that is."""
    return [
        (
            every.contender,
            f"{one.time:.2f}",
            f"{every.time:.2f}",
            f"{ratio(one.seconds, every.seconds):.2f}",
        )
        for every, one in zip(rows[::2], rows[1::2], strict=True)
    ]


def parts(rows: Sequence[Row]) -> str:
    """Write how many times each part of the newest run is as fast as its yardstick, in a line."""
    newest = [row for row in rows if row.circumstances.when == rows[-1].circumstances.when]
    pairs = zip(newest[::2], newest[1::2], strict=True)
    told = (
        f"{ours.workload.partition(',')[0]} {plain.ratio:.2f} ({plain.contender})"
        for ours, plain in pairs
    )
    return "; ".join(told)


def questions(rows: Sequence[Row]) -> str:
    """Write the seconds of each question in a line."""
    return ", ".join(f"`{row.contender}` {row.time:.2f}" for row in rows)


def _newest(rows: Sequence[Row], workload: str | None = None) -> list[Row]:
    """Choose the newest row of each contender in a workload, by default that of the last row."""
    workload = workload or rows[-1].workload
    newest = {row.contender: row for row in rows if row.workload == workload}
    return list(newest.values())

"""``python -m benchmarks``: compare, cores, small, scale, ask, track, tables, check, soak."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import data as archives
from benchmarks import questions
from benchmarks.compare import AnswersDiffer, Case
from benchmarks.compare import compare as compare_all
from benchmarks.compare import cores as compare_cores
from benchmarks.compare import scale as scale_all
from benchmarks.draw import over_runs, over_size
from benchmarks.history import regressions, trends
from benchmarks.parts import PARTS
from benchmarks.results import FOLDER, Row, append, load
from benchmarks.small import small as time_parts
from benchmarks.soak import SOAKS
from benchmarks.soak import soak as run_soak
from benchmarks.stopwatch import CommandFailed, measure
from benchmarks.tables import README, fill, steps
from benchmarks.workloads import PEERS, contenders, ours

BLOCKS = ("16MiB", "32MiB", "64MiB", "128MiB", "256MiB")

_data = click.option(
    "--data",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An archive that is there, in place of a sample.",
)
_archive = click.option(
    "--archive",
    "named",
    type=click.Choice(list(archives.ARCHIVES)),
    help="The sample of this name, in place of one of so many days.",
)
_peers = click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(list(PEERS)),
    help="Only against this one; may be repeated.  [default: all that manage the days]",
)
_repeat = click.option(
    "--repeat", type=click.IntRange(1), default=5, show_default=True, help="Rounds."
)
_save = click.option(
    "--save/--no-save", default=True, show_default=True, help="Keep the rows in benchmarks/results."
)


def _days(default: int) -> Callable[[Any], Any]:
    return click.option(
        "--days",
        type=click.IntRange(1),
        default=default,
        show_default=True,
        help="Days of the sample archive; made once.",
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure the whole job, its parts, and how both changed."""


def _whole_job(command: Any) -> Any:
    """Give a command the options of a comparison of the whole job."""
    for option in (_save, _repeat, _peers, _data, _archive, _days(100)):
        command = option(command)
    return command


@main.command()
@_whole_job
def compare(**given: Any) -> None:
    """Whole job, ours and the peers in turn; every answer is checked."""
    _measure(compare_all, **given)


@main.command()
@_whole_job
def cores(**given: Any) -> None:
    """Whole job on all cores and on one, ours and the peers in turn; every answer is checked."""
    table = Table("", "one core", "all cores", "times as fast")
    for cells in steps(_measure(compare_cores, **given)):
        table.add_row(*cells)
    Console().print(table)


@main.command()
@_days(28)
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(list(PARTS)),
    help="Only this one; may be repeated.  [default: all]",
)
@_repeat
@_save
def small(days: int, parts: tuple[str, ...], repeat: int, save: bool) -> None:
    """Parts of the job, each in turn with its yardstick."""
    rows = time_parts(archives.Sample(days).make(), parts or PARTS, repeat)
    table = Table("part", "seconds", "CPU s", "MB/s", "yardstick", "its seconds", "ratio")
    for mine, plain in zip(rows[::2], rows[1::2], strict=True):
        table.add_row(
            mine.workload,
            f"{mine.time:.4f}",
            f"{median(mine.cpu_seconds):.3f}",
            f"{mine.bytes / mine.time / 1e6:,.0f}" if mine.bytes else "",
            plain.contender,
            f"{plain.time:.4f}",
            f"{plain.ratio:.2f}",
        )
    Console().print(table)
    if save:
        append(rows)


@main.command()
@_days(100)
@_archive
@_repeat
@_save
def scale(days: int, named: str | None, repeat: int, save: bool) -> None:
    """Our own cost as the work grows: more launches, more days, workers, block sizes."""
    sample = _sample_of(days, named)
    rate = sample.events_per_day
    base = sample.make()
    cases = [
        Case("base", ours(), base),
        Case("3x launches", ours(), replace(sample, events_per_day=3 * rate).make()),
        Case("10x launches", ours(), replace(sample, events_per_day=10 * rate).make()),
        Case("3x days", ours(), replace(sample, days=3 * sample.days).make()),
        *(Case(f"{n} workers", ours("--workers", str(n)), base) for n in (1, 2)),
        *(Case(f"blocks {size}", ours("--blocksize", size), base) for size in BLOCKS),
    ]
    rows = scale_all(cases, repeat, say=_say)
    _show(rows)
    if save:
        append(rows)


@main.command()
@_days(100)
@_archive
@_data
@click.option("--check/--no-check", "checked", default=True, help="Compare with DuckDB first.")
@_repeat
@_save
def ask(checked: bool, repeat: int, save: bool, **which: Any) -> None:
    """Questions to a finished data set: right by DuckDB on the raw JSON, and how fast."""
    data = _data_of(**which)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        dest = Path(scratch) / "dest"
        measure(ours().command(data.folder, dest), cwd=archives.ROOT)
        if checked:
            found = list(questions.differences(questions.count_raw(data.folder), dest))
            if found:
                raise click.ClickException("\n".join(found))
            _say("every table and every answer is what DuckDB counts")
        rows = questions.ask(data, dest, repeat, say=_say)
    _show(rows)
    if save:
        append(rows)
    slow = [row.contender for row in rows if row.time > questions.LIMIT]
    if slow:
        raise click.ClickException(f"longer than {questions.LIMIT:g} s: {', '.join(slow)}")


@main.command()
def track() -> None:
    """Table and drawings: throughput and ratios over commits, cost over size."""
    for benchmark in ("compare", "small"):
        rows = load(benchmark)
        table = Table(title=benchmark)
        for name in ("workload", "contender", "commit", "when", "seconds", "MB/s", "ratio"):
            table.add_column(name)
        for trend in trends(rows):
            for row in trend.rows:
                table.add_row(
                    trend.workload,
                    trend.contender,
                    row.circumstances.commit,
                    row.circumstances.when[:16],
                    f"{row.time:.3f}",
                    f"{row.bytes / row.time / 1e6:,.0f}" if row.bytes else "",
                    f"{row.ratio:.2f}",
                )
        Console().print(table)
    for name, drawing in (over_runs(load("compare")) | over_size(load("scale"))).items():
        path = FOLDER / name
        path.write_text(drawing, encoding="utf-8")
        _say(str(path))


@main.command()
def tables() -> None:
    """Put the newest figures into the tables of the README."""
    README.write_text(fill(README.read_text("utf-8")), "utf-8")
    _say(str(README))


@main.command()
def check() -> None:
    """Fail if the newest run lost more against a peer or yardstick than noise explains."""
    found = [line for name in ("compare", "small") for line in regressions(load(name))]
    for line in found:
        _say(line)
    if found:
        sys.exit(1)
    _say("no ratio is worse than noise explains")


@main.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SOAKS)), metavar="[NAME]...")
@click.option("--size", type=click.IntRange(1), help="How large.  [default: as in the README]")
def soak(names: tuple[str, ...], size: int | None) -> None:
    """Tests of what must never go wrong, for long, and the figures."""
    failed = [name for name in names or SOAKS if not run_soak(name, size)]
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


def _data_of(days: int, named: str | None, folder: Path | None) -> archives.Data:
    return archives.describe(folder) if folder else _sample_of(days, named).make()


def _sample_of(days: int, named: str | None) -> archives.Sample:
    return archives.ARCHIVES[named] if named else archives.Sample(days)


def _measure(
    measured: Callable[..., list[Row]],
    peers: Sequence[str],
    repeat: int,
    save: bool,
    **which: Any,
) -> list[Row]:
    """Measure the whole job; show the rows, and keep them."""
    data = _data_of(**which)
    try:
        rows = measured(data, contenders(data.days, peers), repeat, say=_say)
    except (AnswersDiffer, CommandFailed) as error:
        raise click.ClickException(str(error)) from error
    _show(rows)
    if save:
        append(rows)
    return rows


def _show(rows: Sequence[Row]) -> None:
    first = rows[0].circumstances
    machine = first.machine
    table = Table(
        title=f"{rows[0].workload} at {first.commit}, medians of {len(rows[0].seconds)}",
        caption=f"{machine['cpu']}, {machine['cores']} cores, load {first.load} at the start",
    )
    table.add_column("")
    for name in ("seconds", "CPU s", "peak MB", "MB/s", "launches/s", "ratio"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.contender,
            f"{row.time:.2f}",
            f"{median(row.cpu_seconds):.1f}",
            f"{median(row.peak_bytes) / 1e6:,.0f}",
            f"{row.bytes / row.time / 1e6:,.0f}",
            f"{row.events / row.time:,.0f}",
            f"{row.ratio:.2f}",
        )
    Console().print(table)


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")

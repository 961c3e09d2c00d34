"""The whole job in Polars: one lazy scan into an hourly frame, then a slice a window.

``sink_parquet(PartitionBy(...))`` was tried too: it took longer than slices of a sorted frame.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl

from benchmarks.peers import polars_repositories as repositories
from benchmarks.peers.layout import FIRST_HOST, KEYS, LABELS, command_line, day_files
from benchmarks.peers.members import lives, periods

SCHEMA: dict[str, type[pl.DataType]] = {"timestamp": pl.String, **dict.fromkeys(KEYS, pl.String)}
SCHEMA |= {"version": pl.Int64, "build_token": pl.Boolean}
_DATE = pl.col("timestamp").dt.date().alias("date")


def main(archive: Path, dest: Path, rollups_only: bool = False) -> dict[str, int]:
    """Write all results and return the launches in each."""
    stamp = pl.col("timestamp").str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%z", time_unit="us", time_zone="UTC"
    )
    hourly = (
        pl.scan_ndjson(archive / "events-*.jsonl", schema=SCHEMA)
        .with_columns(stamp.dt.truncate("1h"), pl.col("origin").fill_null(FIRST_HOST))
        .group_by("timestamp", *KEYS)
        .agg(n=pl.len().cast(pl.Int64))
        .sort("timestamp")
        .collect(engine="streaming")
    )
    daily = (
        hourly.lazy()
        .group_by(pl.col("timestamp").dt.truncate("1d"), *KEYS)
        .agg(pl.col("n").sum())
        .sort("timestamp")
        .collect(engine="streaming")
    )
    days = pl.DataFrame({"date": list(day_files(archive))}, {"date": pl.Date})
    by_host = _federations(daily)
    totals: Counter[str] = Counter()
    written = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for table, name, rows in _results(hourly, daily, by_host, days, rollups_only):
            if "n" in rows.columns:
                totals[table] += rows["n"].sum()
            written.append(pool.submit(_write, rows, dest / f"{name}.parquet"))
    for file in written:
        file.result()
    return totals


def _write(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path, compression="zstd")


def _results(
    hourly: pl.DataFrame,
    daily: pl.DataFrame,
    by_host: pl.DataFrame,
    days: pl.DataFrame,
    rollups_only: bool,
) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Give the rows of each file, with the names of its table and its own."""
    for grain, rows in (("by-hour", hourly), ("by-day", daily)):
        for window, label in LABELS.items():
            yield from _cut(f"rollups/{window}/{grain}", rows, label)
    for name, rows in _series(hourly, by_host, days).items():
        yield name, name, rows
    if not rollups_only:
        launched = repositories.launched(daily, by_host)
        yield from _cut("repositories/by-day", repositories.by_day(launched), LABELS["monthly"])
        for name, rows in repositories.summed_up(launched, days).items():
            yield name, name, rows


def _cut(table: str, rows: pl.DataFrame, label: str) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Cut sorted rows where the label of their time changes."""
    start = 0
    for length, name in rows.to_series().dt.strftime(label).rle().struct.unnest().iter_rows():
        yield table, f"{table}/{name}", rows.slice(start, length)
        start += length


def _federations(daily: pl.DataFrame) -> pl.DataFrame:
    """Who stands behind each origin on each date."""
    label = pl.col("host").str.split(".").list.first().replace("", "unknown")
    host = pl.col("origin").str.replace(r":\d+$", "").str.to_lowercase().str.strip_chars_end(".")
    known = pl.DataFrame(periods(), ["host", "date", "federation"], orient="row").sort("date")
    return (
        daily.select(_DATE, "origin")
        .unique()
        .with_columns(host=host)
        .sort("date")
        .join_asof(known, on="date", by="host", check_sortedness=False)
        .select("date", "origin", pl.col("federation").fill_null(label))
    )


def _series(
    hourly: pl.DataFrame, by_host: pl.DataFrame, days: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """Launches a member by hour and by day, with zeros while a member runs, and the mean."""
    counted = (
        hourly.group_by("timestamp", "origin")
        .agg(pl.col("n").sum())
        .with_columns(_DATE)
        .join(by_host, on=["date", "origin"])
        .group_by("timestamp", "date", "federation")
        .agg(pl.col("n").sum())
    )
    observed = counted.group_by("federation").agg(first=pl.col("date").min(), last=pl.max("date"))
    active = (
        pl.DataFrame(
            lives(),
            {"federation": pl.String, "begun": pl.Date, "ended": pl.Date},
            orient="row",
        )
        .join(observed, on="federation", how="full", coalesce=True)
        .select(
            "federation",
            begun=pl.min_horizontal("begun", "first"),
            ended=pl.max_horizontal("ended", "last"),
        )
        .drop_nulls()
    )
    dense = days.join(active, how="cross").filter(pl.col("date").is_between("begun", "ended"))
    hours = pl.DataFrame({"hour": [timedelta(hours=hour) for hour in range(24)]})
    utc = pl.col("date").cast(pl.Datetime("us", "UTC"))
    by_hour = (
        dense.join(hours, how="cross")
        .select(utc + pl.col("hour").alias("timestamp"), "federation")
        .rename({"date": "timestamp"})
        .join(
            counted.select("timestamp", "federation", "n"),
            on=["timestamp", "federation"],
            how="full",
            coalesce=True,
        )
        .with_columns(pl.col("n").fill_null(0))
        .sort("timestamp", "federation")
    )

    by_date = counted.group_by("date", "federation").agg(pl.col("n").sum())
    every_day = days.with_columns(present=True).join(
        by_date.select("date").unique(), on="date", how="full", coalesce=True
    )
    present = pl.col("present").fill_null(False)
    by_day = (
        every_day.join(active, how="cross")
        .join(by_date, on=["date", "federation"], how="left")
        .with_columns(present)
        .sort("federation", "date")
        .with_columns(
            launches=pl.when("present")
            .then(pl.col("n").fill_null(0))
            .otherwise(0)
            .rolling_sum_by("date", "7d")
            .over("federation"),
            days=pl.col("present").cast(pl.Int64).rolling_sum_by("date", "7d").over("federation"),
        )
        .filter(
            pl.col("n").is_not_null()
            | (pl.col("present") & pl.col("date").is_between("begun", "ended"))
        )
        .select(
            utc.alias("timestamp"),
            "federation",
            pl.col("n").fill_null(0),
            mean_7d=pl.when(pl.col("days") > 0).then(pl.col("launches") / pl.col("days")),
        )
        .sort("timestamp", "federation")
    )
    return {"federation/by-hour": by_hour, "federation/by-day": by_day}


if __name__ == "__main__":
    parser = command_line()
    parser.add_argument("--rollups-only", action="store_true", help="no tables of repositories")
    print(json.dumps(main(**vars(parser.parse_args()))))

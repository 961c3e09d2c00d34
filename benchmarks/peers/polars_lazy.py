"""The whole job in Polars: one lazy scan into an hourly frame, then a slice a window.

``sink_parquet(PartitionBy(...))`` was tried too: it took longer than slices of a sorted frame.
"""

import json
import os
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl

from benchmarks.peers.layout import FIRST_HOST, KEYS, LABELS, arguments, day_files, folder
from benchmarks.peers.members import lives, periods

SCHEMA: dict[str, type[pl.DataType]] = {"timestamp": pl.String, **dict.fromkeys(KEYS, pl.String)}
SCHEMA |= {"version": pl.Int64, "build_token": pl.Boolean}


def main(archive: Path, dest: Path) -> dict[str, int]:
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
    totals = {}
    written: list[Future[None]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for grain, frame in (("by-hour", hourly), ("by-day", daily)):
            for window, label in LABELS.items():
                into = folder(dest, "rollups", window, grain)
                totals[f"{window}/{grain}"] = int(frame["n"].sum())
                names = frame["timestamp"].dt.strftime(label).rle().struct.unnest()
                start = 0
                for rows, name in names.iter_rows():
                    piece = frame.slice(start, rows)
                    written.append(pool.submit(_write, piece, into / f"{name}.parquet"))
                    start += rows
    for file in written:
        file.result()

    into = folder(dest, "federation")
    for name, series in _series(hourly, archive).items():
        _write(series, into / f"{name}.parquet")
        totals[f"federation/{name}"] = int(series["n"].sum())
    return totals


def _write(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path, compression="zstd")


def _series(hourly: pl.DataFrame, archive: Path) -> dict[str, pl.DataFrame]:
    """Launches a member by hour and by day, with zeros while a member runs, and the mean."""
    date = pl.col("timestamp").dt.date().alias("date")
    label = pl.col("host").str.split(".").list.first().replace("", "unknown")
    host = pl.col("origin").str.replace(r":\d+$", "").str.to_lowercase().str.strip_chars_end(".")
    known = pl.DataFrame(periods(), ["host", "date", "federation"], orient="row").sort("date")
    counted = (
        hourly.group_by("timestamp", "origin")
        .agg(pl.col("n").sum())
        .with_columns(date, host.alias("host"))
        .sort("date")
        .join_asof(known, on="date", by="host", check_sortedness=False)
        .group_by("timestamp", "date", pl.col("federation").fill_null(label))
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
    days = pl.DataFrame({"date": list(day_files(archive))}, {"date": pl.Date})
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
    return {"by-hour": by_hour, "by-day": by_day}


if __name__ == "__main__":
    print(json.dumps(main(*arguments())))

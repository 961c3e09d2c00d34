"""What the three pandas-based peers share: counts of one day in, all results out."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd

from benchmarks.peers.layout import FIRST_HOST, KEYS, LABELS, folder
from benchmarks.peers.members import lives, periods

COLUMNS = ["timestamp", *KEYS]
DTYPES = dict.fromkeys(KEYS, "str") | {"version": "int64", "build_token": "boolean"}
ZONED = "datetime64[us, UTC]"

Engine = Literal["ujson", "pyarrow"]


def read_day(path: Path, engine: Engine = "ujson") -> pd.DataFrame:
    """Read the launches of one day file with columns and types that do not vary."""
    if not path.stat().st_size:
        return pd.DataFrame(columns=COLUMNS).astype({"timestamp": ZONED, **DTYPES})
    events = pd.read_json(path, lines=True, engine=engine).reindex(columns=COLUMNS)
    events["timestamp"] = pd.to_datetime(events["timestamp"], utc=True).astype(ZONED)
    events["origin"] = events["origin"].fillna(FIRST_HOST)
    return events.astype(DTYPES)


def count(events: pd.DataFrame) -> pd.DataFrame:
    """Launches by hour and key."""
    hour = events["timestamp"].dt.floor("h")
    counts = events.groupby([hour, *KEYS], dropna=False, observed=True).size()
    return counts.rename("n").reset_index()


def add_up(counts: pd.DataFrame, by: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """Launches by fewer columns, or by the same ones where rows repeat."""
    return counts.groupby(list(by), dropna=False, observed=True)["n"].sum().reset_index()


def by_day(hourly: pd.DataFrame) -> pd.DataFrame:
    """Launches by day and key, from those by hour."""
    return add_up(hourly.assign(timestamp=hourly["timestamp"].dt.floor("D")))


def write_all(
    hourly: pd.DataFrame, daily: pd.DataFrame, days: Iterable[date], dest: Path
) -> dict[str, int]:
    """Write rollups and series as Feather files and return the launches in each.

    Parameters
    ----------
    hourly, daily : pandas.DataFrame
        Counts in the order of their timestamps.
    days : iterable of date
        The days that have a file.
    dest : Path
        The folder for the results.
    """
    totals = {}
    for grain, counts in (("by-hour", hourly), ("by-day", daily)):
        codes, found = pd.factorize(counts["timestamp"].dt.floor("D"))
        for window, label in LABELS.items():
            into = folder(dest, "rollups", window, grain)
            labels = found.strftime(label).take(codes)
            for name, rows in counts.groupby(labels, sort=False):
                rows.reset_index(drop=True).to_feather(into / f"{name}.feather")
            totals[f"{window}/{grain}"] = int(counts["n"].sum())
    into = folder(dest, "federation")
    for name, series in _series(hourly, days).items():
        series.to_feather(into / f"{name}.feather")
        totals[f"federation/{name}"] = int(series["n"].sum())
    return totals


def _series(hourly: pd.DataFrame, days: Iterable[date]) -> dict[str, pd.DataFrame]:
    """Launches a member by hour and by day, with zeros while a member runs, and the mean."""
    counted = add_up(hourly, ["timestamp", "origin"])
    counted["date"] = counted["timestamp"].dt.floor("D")
    host = counted["origin"].str.replace(r":\d+$", "", regex=True).str.lower().str.rstrip(".")
    known = pd.DataFrame(periods(), columns=["host", "date", "federation"])
    known["date"] = pd.to_datetime(known["date"], utc=True).astype(ZONED)
    counted = pd.merge_asof(
        counted.assign(host=host), known.sort_values("date"), on="date", by="host"
    )
    label = counted["host"].str.split(".").str[0].replace("", "unknown")
    counted["federation"] = counted["federation"].fillna(label)
    counted = add_up(counted, ["timestamp", "date", "federation"])

    active = counted.groupby("federation")["date"].agg(["min", "max"])
    table = pd.DataFrame(lives(), columns=["federation", "begun", "ended"]).set_index("federation")
    table = table.apply(lambda day: pd.to_datetime(day, utc=True).astype(ZONED))
    active = active.join(table, how="outer").reset_index()
    active["begun"] = active[["begun", "min"]].min(axis=1)
    active["ended"] = active[["ended", "max"]].max(axis=1)
    active = active.dropna(subset=["begun", "ended"])[["federation", "begun", "ended"]]
    present = pd.DataFrame({"date": pd.to_datetime(list(days), utc=True).astype(ZONED)})
    dense = present.merge(active, how="cross").query("begun <= date <= ended")

    hours = pd.DataFrame({"hour": pd.to_timedelta(range(24), unit="h")})
    grid = dense.merge(hours, how="cross")
    grid = grid.assign(timestamp=(grid["date"] + grid["hour"]).astype(ZONED), n=0)
    columns = ["timestamp", "federation", "n"]
    hour_series = add_up(pd.concat([grid[columns], counted[columns]]), columns[:2])

    launches = counted.pivot_table(
        index="date", columns="federation", values="n", aggfunc="sum", fill_value=0
    ).reindex(columns=active["federation"], fill_value=0)
    of_present = launches.reindex(present["date"], fill_value=0)
    every_day = launches.index.union(of_present.index)
    count_of_days = pd.Series(1.0, of_present.index).reindex(every_day).rolling("7D").count()
    sums = of_present.reindex(every_day).rolling("7D", min_periods=1).sum()
    mean = sums.div(count_of_days, axis=0).stack().rename("mean_7d").reset_index()
    mean.columns = ["timestamp", "federation", "mean_7d"]
    columns = ["date", "federation", "n"]
    day_series = add_up(pd.concat([dense.assign(n=0)[columns], counted[columns]]), columns[:2])
    day_series = day_series.rename(columns={"date": "timestamp"})
    day_series = day_series.merge(mean, on=["timestamp", "federation"], how="left")
    return {"by-hour": hour_series, "by-day": day_series}

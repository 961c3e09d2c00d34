"""The whole job in a Dask bag: lines of text, ``json.loads``, frequencies of their keys."""

import json
from pathlib import Path
from typing import Any

import dask.bag as db
import pandas as pd
from dask.distributed import Client

from benchmarks.peers.layout import FIRST_HOST, KEYS, command_line, day_files
from benchmarks.peers.pandas_tables import COLUMNS, DTYPES, ZONED, by_day, write_all


def key(line: str) -> tuple[Any, ...]:
    """Return what a launch is counted by."""
    event = json.loads(line)
    event["origin"] = event.get("origin") or FIRST_HOST
    return (event["timestamp"][:13] + event["timestamp"][19:], *(event.get(name) for name in KEYS))


def main(archive: Path, dest: Path) -> dict[str, int]:
    """Write all results and return the launches in each."""
    files = day_files(archive)
    with Client(threads_per_worker=1, dashboard_address="127.0.0.1:0"):
        lines = db.read_text([str(path) for path in files.values()])
        counts = lines.map(key).frequencies().compute()
    keys, n = zip(*counts, strict=True)
    hourly = pd.DataFrame(keys, columns=COLUMNS).assign(n=n).astype(DTYPES)
    stamps = pd.to_datetime(hourly["timestamp"], format="%Y-%m-%dT%H%z", utc=True)
    hourly = hourly.assign(timestamp=stamps.astype(ZONED)).sort_values("timestamp")
    return write_all(hourly, by_day(hourly), files, dest)


if __name__ == "__main__":
    print(json.dumps(main(**vars(command_line().parse_args()))))

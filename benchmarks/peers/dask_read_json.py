"""The whole job in plain Dask DataFrames: ``read_json`` a file, one groupby over all of them.

``dd.read_json`` itself fails where files differ in their fields, so pandas reads each file.
"""

import json
from pathlib import Path

import dask.dataframe as dd
from dask.distributed import Client

from benchmarks.peers.layout import KEYS, command_line, day_files
from benchmarks.peers.pandas_tables import DTYPES, ZONED, by_day, read_day, write_all


def main(archive: Path, dest: Path) -> dict[str, int]:
    """Write all results and return the launches in each."""
    files = day_files(archive)
    meta = read_day(next(iter(files.values()))).head(0)
    with Client(threads_per_worker=1, dashboard_address="127.0.0.1:0"):
        events = dd.from_map(read_day, list(files.values()), meta=meta)
        hours = events.assign(timestamp=events["timestamp"].dt.floor("h"))
        counts = hours.groupby(["timestamp", *KEYS], dropna=False, observed=True).size()
        hourly = counts.compute().rename("n").reset_index()
    hourly = hourly.astype(DTYPES | {"timestamp": ZONED}).sort_values("timestamp")
    return write_all(hourly, by_day(hourly), files, dest)


if __name__ == "__main__":
    print(json.dumps(main(**vars(command_line().parse_args()))))

"""The whole job in pandas, as in the notebook: a loop over the days, a Feather file a window.

With ``--engine pyarrow`` the days are read by pyarrow's parser, which few notebooks do.
"""

import json
from pathlib import Path

import pandas as pd

from benchmarks.peers.layout import command_line, day_files
from benchmarks.peers.pandas_tables import Engine, add_up, by_day, count, read_day, write_all


def main(archive: Path, dest: Path, engine: Engine = "ujson") -> dict[str, int]:
    """Write all results and return the launches in each."""
    files = day_files(archive)
    by_file: list[pd.DataFrame] = []
    by_file_and_day: list[pd.DataFrame] = []
    strayed = False
    for day, path in files.items():
        counts = count(read_day(path, engine))
        strayed |= bool((counts["timestamp"].dt.date != day).any())
        by_file.append(counts)
        by_file_and_day.append(by_day(counts))
    hourly, daily = (pd.concat(parts, ignore_index=True) for parts in (by_file, by_file_and_day))
    if strayed:  # launches of one date stood in two files
        hourly, daily = add_up(hourly), add_up(daily)
    return write_all(hourly, daily, files, dest)


if __name__ == "__main__":
    parser = command_line()
    parser.add_argument("--engine", choices=("ujson", "pyarrow"), default="ujson")
    print(json.dumps(main(**vars(parser.parse_args()))))

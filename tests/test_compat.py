"""`--compat notebook` against what pandas itself gives: the older notebook, in a few lines."""

import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from distributed import Client
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import daskbinder as db
from conftest import MakeArchive
from support.notebook import GRAINS, KEY, as_rows, grouped, notebook
from support.oracle import SCHEMA, Oracle, dates, days_of, read_archive
from support.strategies import archives

DAY = timedelta(days=1)
SWITCHES = {
    date(2019, 4, 2): 2,
    date(2019, 6, 12): 3,
    date(2020, 6, 18): 4,
    date(2021, 7, 2): 5,
    date(2026, 3, 2): 6,
}
STRETCHES = [
    (date(2018, 12, 29), date(2019, 1, 7)),  # a year's end inside a week
    (date(2019, 3, 31), date(2019, 5, 1)),  # a whole month, on the second day of which 2 came
    (date(2019, 6, 9), date(2019, 6, 17)),
    (date(2020, 6, 15), date(2020, 6, 20)),  # a week without its Sunday
    (date(2021, 6, 28), date(2021, 8, 1)),
    (date(2021, 12, 27), date(2022, 1, 2)),
    (date(2026, 2, 23), date(2026, 3, 8)),
]
HOLES = {date(2021, 7, 20)}
MINUTES = [
    *("00:00:00", "00:29:59", "00:30:00", "01:30:00", "02:30:00", "03:31:00", "10:30:00.000001"),
    *("11:30:00", "11:59:59", "12:00:00", "12:00:00.0000009", "12:30:00", "22:30:00", "23:30:00"),
    *("23:29:59.999999", "23:59:00"),
]


def check(dest: Path, oracle: Oracle) -> None:
    wanted = notebook(oracle)
    found = {str(path.relative_to(dest)) for path in dest.rglob("*.feather")}
    assert found == set(wanted)
    for name, frame in wanted.items():
        table = pyarrow.feather.read_table(dest / name)
        assert table.column_names == list(frame.columns), name
        assert as_rows(table.to_pandas()) == as_rows(frame), name


@pytest.fixture(scope="session")
def switches(make_archive: MakeArchive) -> Path:
    """Make an archive around every change of version; members change over days apart."""
    drawn = random.Random(2019)
    days: dict[date | str, Any] = {}
    for day in (day for first, last in STRETCHES for day in dates(first, last)):
        if day not in HOLES:
            days[day] = [event(drawn, day) for _ in range(drawn.choice([3, 8, 8, 20]))]
    days[date(2021, 7, 15)] = b""
    days[date(2019, 6, 13)].append(b"not a launch")
    return make_archive(days, gz=[date(2021, 7, 2)])


def event(drawn: random.Random, day: date) -> dict[str, Any]:
    """Make a launch; before and after a change of version, some members are late or early."""
    version = 1
    for switch, new in SWITCHES.items():
        if day + DAY * drawn.choice([-2, -1, 0, 0, 0, 1]) >= switch:
            version = new
    fields = {
        "timestamp": f"{day + DAY * drawn.choice([0] * 9 + [1])}T{drawn.choice(MINUTES)}+00:00",
        "schema": SCHEMA,
        "version": version,
        "provider": drawn.choice(["GitHub", "Gist"]),
        "spec": drawn.choice(["a", "b/\u00e9", "007", "B"]),
        "status": drawn.choice(["success", "failure"]),
    }
    if version >= 3:
        fields["origin"] = drawn.choice(["gke.mybinder.org", "ovh.mybinder.org"])
    if version >= 4:
        fields["ref"] = drawn.choice(["x", "y"])
    if version >= 5:
        fields["build_token"] = drawn.choice([True, False, False, None])
    if version >= 6:
        fields["request_origin"] = drawn.choice(["", "example.org"])
    return fields


@pytest.fixture(scope="session")
def done(switches: Path, client: Client) -> Path:
    dest = switches.with_name("notebook")
    db.run(db.plan(db.Archive(str(switches)), str(dest), compat="notebook"))
    return dest


def test_every_row_is_pandas_row(switches: Path, done: Path) -> None:
    check(done, read_archive(switches))


@pytest.mark.parametrize("day", [date(2019, 4, 2), date(2020, 6, 18), date(2026, 3, 2)])
@pytest.mark.parametrize("grain", GRAINS)
def test_pandas_counts_the_same_from_the_file(
    switches: Path, done: Path, day: date, grain: str
) -> None:
    """Take nothing but pandas: no rule of ours, no oracle."""
    events = pd.read_json(switches / f"events-{day}.jsonl", lines=True, dtype=False)
    events["timestamp"] = pd.to_datetime(events["timestamp"], utc=True, format="ISO8601")
    frame = grouped(events.reindex(columns=["timestamp", *KEY]), GRAINS[grain])
    path = done / "daily" / f"by-{grain}" / f"daily-by-{grain}-{day}.feather"
    assert as_rows(pd.read_feather(path)) == as_rows(frame)
    assert len(frame) > 1


def test_the_archive_shows_what_the_notebook_does(switches: Path, done: Path) -> None:
    """Guard the comparison: rows are dropped, columns left out, times moved, windows missing."""
    oracle = read_archive(switches)
    wanted = notebook(oracle)
    weeks = {path[-15:-8] for path in wanted if path.startswith("weekly/by-day")}
    assert weeks >= {"019-w00", "019-w13", "019-w23", "022-w00", "026-w09"}
    assert "021-w29" not in weeks  # a day is missing
    assert "020-w24" not in weeks  # its Sunday is missing
    assert len([path for path in wanted if path.startswith("monthly/by-day")]) == 1
    month = wanted["monthly/by-day/monthly-by-day-2019-04.feather"]
    assert list(month.columns) == ["timestamp", *KEY[:5], "n"]
    mixed = wanted["weekly/by-hour/weekly-by-hour-2019-w23.feather"]
    assert set(mixed["version"]) == {3}
    counted = sum(len(oracle.by_file[day]) for day in days_of("weekly", "2019-W24"))
    assert 0 < mixed["n"].sum() < counted
    year_end = wanted["weekly/by-day/weekly-by-day-2019-w00.feather"]
    assert year_end["timestamp"].max() > pd.Timestamp("2019-01-06", tz="UTC")


def test_types_are_those_pandas_reads_without_us(done: Path) -> None:
    path = done / "weekly" / "by-hour" / "weekly-by-hour-2026-w09.feather"
    assert pyarrow.feather.read_table(path).schema.remove_metadata() == pa.schema(
        {
            "timestamp": pa.timestamp("us", "UTC"),
            "schema": pa.string(),
            "version": pa.int64(),
            "provider": pa.string(),
            "spec": pa.string(),
            "status": pa.string(),
            "origin": pa.string(),
            "build_token": pa.bool_(),
            "request_origin": pa.string(),
            "n": pa.int64(),
        }
    )


def test_only_the_notebooks_folders_and_the_tables_are_left(switches: Path, done: Path) -> None:
    left = {path.name for path in done.iterdir()}
    tables = {"days.parquet", "rejects.parquet", "manifest.json"}
    assert left == {"daily", "weekly", "monthly", *tables}
    oracle = read_archive(switches)
    days = pq.read_table(done / "days.parquet").to_pylist()
    assert [(row["date"], row["accepted"], row["rejected"]) for row in days] == [
        (day.date, day.accepted, day.rejected) for day in oracle.days
    ]
    assert pq.read_table(done / "rejects.parquet")["text"].to_pylist() == ["not a launch"]
    manifest = json.loads((done / "manifest.json").read_text("utf-8"))
    assert manifest["totals"]["accepted"] == oracle.accepted


@settings(max_examples=20)
@given(days=archives(), blocksize=st.sampled_from([200, 2_000, 1 << 20]))
def test_any_archive_is_counted_as_pandas_counts_it(
    make_archive: MakeArchive, client: Client, days: dict[date, bytes], blocksize: int
) -> None:
    folder = make_archive(days)
    assume(not read_archive(folder).lost)
    dest = folder.with_name(f"{folder.name}-out")
    db.run(db.plan(db.Archive(str(folder)), str(dest), compat="notebook", blocksize=blocksize))
    check(dest, read_archive(folder))

"""Results are read back at once or lazily; what is not there is refused in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import daskbinder as db
from daskbinder.dataset.rollups import Rollups
from support.oracle import read_archive


@pytest.mark.parametrize("by", ["hour", "day"])
@pytest.mark.parametrize("window", ["daily", "weekly", "monthly"])
def test_dask_has_the_rows_of_pandas_a_partition_a_window(
    counted: Path, window: str, by: str
) -> None:
    rollups = db.open(str(counted))
    lazy, loaded = rollups.dask(window, by=by), rollups.load(window, by=by)
    assert lazy.npartitions == len(list((counted / "rollups" / window / f"by-{by}").iterdir()))
    assert list(lazy.columns) == list(loaded.columns)
    for name in lazy.columns:
        assert isinstance(loaded[name].dtype, pd.CategoricalDtype) == (
            isinstance(lazy.dtypes[name], pd.CategoricalDtype)
        )
    found = lazy.compute(scheduler="sync")
    for name in lazy.columns:
        columns = (frame[name].astype(object) for frame in (found, loaded))
        ours, theirs = (column.where(column.notna(), None).tolist() for column in columns)
        assert ours == theirs, name
    assert lazy["n"].sum().compute(scheduler="sync") == loaded["n"].sum() > 0


def test_rejected_lines_load_as_a_frame(sampled: Path, counted: Path) -> None:
    rejects = db.open(str(counted)).rejects
    wanted = read_archive(sampled).rejects
    assert list(rejects.columns) == ["name", "line", "reason", "text", "n"]
    assert list(rejects["line"]) == [row.line for row in wanted]
    assert wanted


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda r: r.load("yearly", by="day"), "there are rollups .*'monthly'.*, not 'yearly' by "),
        (lambda r: r.dask("weekly", by="week"), "not 'weekly' by 'week'"),
        (lambda r: r.table("rollups/x.parquet"), r"has no rollups/x\.parquet$"),
        (lambda r: r.federation("week"), "the federation series come by .*'day'.*, not by 'week'"),
    ],
)
def test_what_is_not_there_is_refused(
    counted: Path, ask: Callable[[Rollups], Any], message: str
) -> None:
    with pytest.raises(db.InputError, match=message):
        ask(db.open(str(counted)))


def test_windows_that_were_not_asked_for_are_not_there(sampled: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    db.run(db.plan(db.Archive(sampled), dest, windows=["monthly"], grains=["day"]))
    with pytest.raises(db.InputError, match=r"has no weekly rollups by day$"):
        db.open(str(dest)).load("weekly", by="day")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocksize": 0}, "a block has at least one byte, not 0"),
        ({"windows": ["yearly"]}, "windows are some of daily, weekly, monthly; got yearly"),
        ({"windows": []}, "windows are some of daily, weekly, monthly; got none"),
        ({"grains": ["day", "minute"]}, "grains are some of hour, day; got day, minute"),
        ({"errors": "ignore"}, "errors is 'record' or 'raise'"),
        ({"compat": "pandas"}, "compat is None or 'notebook'"),
        ({"start": "2021-03-02", "end": "2021-03-01"}, r"\(2021-03-01\) before it starts \(2021-"),
        ({"start": "2031-03-02"}, "has no day file in the range asked for"),
        ({"start": "2 March"}, "'2 March' is not a date; write it as YYYY-MM-DD"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(
    sampled: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(db.InputError, match=message):
        db.plan(db.Archive(sampled), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_archive_says_what_it_has(sampled: Path, tmp_path: Path) -> None:
    archive = db.Archive(sampled)
    assert repr(archive).endswith(": 8 day files, 2021-02-24 to 2021-03-04>")
    assert repr(db.Archive(tmp_path)).endswith(": no day files>")
    with pytest.raises(db.InputError, match="has no day file in the range asked for"):
        archive.events("2031-01-01", "2031-01-02")
    with pytest.raises(db.InputError, match="an empty name is no place"):
        db.Archive("")

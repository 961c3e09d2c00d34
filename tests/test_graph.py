"""The graph of a plan and of `Archive.events`: every check that looks inside Dask is here."""

import importlib.util
import pickle
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import dask
import fsspec
import pandas as pd
import pytest
from dask.base import collections_to_expr
from dask.sizeof import sizeof
from distributed import Client
from distributed.protocol import serialize, to_serialize
from distributed.utils import nbytes
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder.archive.dayfiles import DayFile
from daskbinder.archive.reading import Part, parts_of, read_lines
from daskbinder.dataset import journal
from daskbinder.model.windows import window_of
from daskbinder.pipeline import counting_tasks
from daskbinder.pipeline.blocks import MAX_BLOCKS, BlockLayout
from daskbinder.pipeline.plan import revise
from daskbinder.pipeline.request import CountRules, RunPolicy


class _Counted(AbstractFileSystem):  # type: ignore[misc]
    """A folder behind ``counted://`` that writes down what is read."""

    protocol = "counted"
    read: ClassVar[Counter[str]] = Counter()
    below = LocalFileSystem()

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        return self.below.ls(path, detail=detail)

    def info(self, path: str, **_: Any) -> Any:
        return self.below.info(path)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> Any:
        self.read[Path(path).name] += 1
        return self.below.cat_file(path, start=start, end=end)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        self.read[Path(path).name] += 1
        return self.below.open(path, mode)


fsspec.register_implementation("counted", _Counted, clobber=True)


@pytest.fixture
def read() -> Counter[str]:
    """Count how often each file is read through ``counted://``, from now on."""
    _Counted.read.clear()
    return _Counted.read


@pytest.fixture
def nothing_computes() -> Iterator[None]:
    """Make every computation fail."""

    def refuse(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("something was computed")

    with dask.config.set(scheduler=refuse):
        yield


@pytest.fixture(scope="session")
def folder(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    """Make 70 days across three months, with two missing and launches that stray by a day."""
    days: dict[date | str, Any] = {}
    for step in range(70):
        day = date(2021, 2, 10) + timedelta(days=step)
        if step in (30, 31):
            continue
        near = [day - timedelta(days=1), day, day, day + timedelta(days=1)]
        days[day] = [launch(f"{one}T{hour:02}:59:00+00:00") for one in near for hour in (0, 23)]
    return make_archive(days, gz=["2021-03-05"])


@pytest.fixture
def archive(folder: Path) -> db.Archive:
    return db.Archive(f"counted://{folder}")


def days_of(read: Counter[str]) -> Counter[str]:
    return Counter({name: n for name, n in read.items() if name.startswith("events-")})


def keys(plan: db.Plan) -> set[str]:
    return {str(key) for output in plan.outputs for key in output.__dask_graph__()}


# Building ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_computes")
def test_building_computes_nothing_and_reads_nothing(
    folder: Path, read: Counter[str], tmp_path: Path
) -> None:
    archive = db.Archive(f"counted://{folder}")
    plan = db.plan(archive, tmp_path / "out", blocksize=5_000)
    events = archive.events("2021-03-01", "2021-03-31").loc["2021-03-05":]
    assert len(archive.files) == 68
    assert plan.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert str(plan)
    assert events.npartitions
    assert not read
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("nothing_computes")
def test_the_guard_against_computing_guards() -> None:
    with pytest.raises(AssertionError, match="something was computed"):
        dask.delayed(1).compute()


def test_the_counter_of_reads_counts(folder: Path, read: Counter[str]) -> None:
    fs = fsspec.filesystem("counted")
    fs.cat_file(f"{folder}/events-2021-03-01.jsonl")
    with fs.open(f"{folder}/events-2021-03-01.jsonl") as file:
        file.read()
    assert read == {"events-2021-03-01.jsonl": 2}


def test_one_run_reads_each_day_file_once(
    archive: db.Archive, folder: Path, read: Counter[str], client: Client, tmp_path: Path
) -> None:
    db.run(db.plan(archive, tmp_path / "out"), client)
    assert days_of(read) == dict.fromkeys((path.name for path in folder.iterdir()), 1)


def test_a_plan_of_blocks_is_one_graph(archive: db.Archive, tmp_path: Path) -> None:
    plan = db.plan(archive, tmp_path / "out", blocksize=4_000)
    assert len(plan.blocks) > 10
    counting = {key for key in keys(plan) if key.startswith("count-block-")}
    assert len(counting) == len(plan.blocks)
    reached = [counting & set(map(str, output.__dask_graph__())) for output in plan.outputs]
    assert set().union(*reached) == counting
    for whole in (plan.outputs.series, plan.outputs.days, plan.outputs.rejects):
        assert whole is not None
        assert counting <= set(map(str, whole.__dask_graph__()))


def test_there_is_no_shuffle(archive: db.Archive, tmp_path: Path) -> None:
    plan = db.plan(archive, tmp_path / "out", blocksize=4_000)
    events = archive.events()
    names = [*keys(plan), *map(str, events.__dask_graph__())]
    assert not [name for name in names if "shuffle" in name or "p2p" in name]


def test_tasks_are_few_and_their_names_readable(archive: db.Archive, tmp_path: Path) -> None:
    plan = db.plan(archive, tmp_path / "out")
    months = 3
    assert plan.n_tasks < 8 * (months + 2)
    names = "\n".join(sorted(keys(plan)))
    for name in ("count-block-2021-02-10", "partition-2021-03", "write-rollups-monthly-2021-04"):
        assert name in names
    for name in ("write-series", "write-days", "write-rejects"):
        assert name in names


def test_the_same_plan_has_the_same_keys_and_a_changed_file_others(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path
) -> None:
    folder = make_archive({"2021-03-04": [launch()], "2021-03-05": b""})
    out = tmp_path / "out"
    before = keys(db.plan(db.Archive(folder), out))
    assert keys(db.plan(db.Archive(folder), out)) == before
    assert keys(db.plan(db.Archive(folder), out, errors="raise")) != before
    with (folder / "events-2021-03-05.jsonl").open("ab") as file:
        file.write(b"\n")
    assert not keys(db.plan(db.Archive(folder), out)) & before


def test_receipts_count_only_beside_a_pending_run(archive: db.Archive, tmp_path: Path) -> None:
    plan = db.plan(archive, tmp_path / "out")
    task = str(plan.outputs.rollups[0].key).rpartition("-")[0]
    journal.remember(plan.dest, task, "written", dict)
    size = plan.policy.block_bytes
    assert f"recalled-{task}" not in keys(revise(plan, blocksize=size))
    journal.begin(plan.dest, plan.token, plan.names, from_scratch=True)
    assert f"recalled-{task}" in keys(revise(plan, blocksize=size))


# Size --------------------------------------------------------------------------------------------


def test_a_plan_of_25_years_stays_small(tmp_path: Path) -> None:
    days, most = 9_000, 4e6
    archive = db.Archive(tmp_path)
    first, marks = date(2018, 11, 3), {"md5Hash": "NMcVFYPkhrBNnuP9YWnT7g==", "crc32c": "yZRlqg=="}
    archive.files = tuple(
        DayFile(
            name=f"events-{day}.jsonl",
            size=5_000_000 + i,
            fingerprint={"generation": f"{i:016}"} | marks,
            date=day,
        )
        for i, day in enumerate(first + timedelta(days=i) for i in range(days))
    )
    plan = db.plan(archive, tmp_path / "out")
    assert plan.bytes == sum(file.size for file in archive.files)
    assert plan.n_tasks < 12_000
    sent = serialize(to_serialize(collections_to_expr(list(plan.outputs))))
    assert sum(map(nbytes, [sent[0], *sent[1]])) < most


def test_blocks_are_few_though_an_archive_is_large(sampled: Path) -> None:
    files = db.Archive(sampled).files
    many, few = (
        [*chain(*BlockLayout.of(files, 10_000, most).by_month.values())] for most in (MAX_BLOCKS, 2)
    )
    assert len(few) <= 4 < len(many)  # a month more than asked for, and one that is cut short
    assert [part for block in few for part in block] == [part for block in many for part in block]


def test_dask_knows_how_large_results_are(archive: db.Archive) -> None:
    block = [Part(file, 0, file.size) for file in archive.files]
    counted = counting_tasks.count_block(archive.location, block, CountRules(), RunPolicy())
    month = window_of("monthly", archive.files[0].date)
    for result in (counted, counting_tasks.partition(month, None, [counted])):
        sent = len(pickle.dumps(result))
        assert sent / 5 < sizeof(result) < sent * 5


def test_no_more_is_fetched_than_may_be_held(
    archive: db.Archive, folder: Path, read: Counter[str]
) -> None:
    parts = [part for part in parts_of(archive.files, 1 << 20) if not part.file.compressed]
    held = 8 * max(part.stop for part in parts)
    sizes = {name: path.stat().st_size for path in folder.iterdir() if (name := path.name)}
    lines = done = 0
    for arrived in read_lines(archive.location, parts, held):
        if arrived is not None:
            part, data = arrived
            lines += bytes(data).count(b"\n")
            time.sleep(0.01)  # what comes meanwhile is held too
            assert sum(sizes[name] for name in [*read]) - done <= held
            done += sizes[part.file.name]
    assert lines == 8 * len(parts)


# The plan as a value -----------------------------------------------------------------------------


def test_a_plan_is_frozen_and_says_what_it_does(archive: db.Archive, tmp_path: Path) -> None:
    plan = db.plan(archive, tmp_path / "out", windows=["monthly"])
    with pytest.raises(FrozenInstanceError):
        plan.dest = archive.location  # type: ignore[misc]
    said = str(plan)
    for part in (
        "68 day files, 2021-02-10 to 2021-04-20",
        f"{plan.bytes:,} bytes",
        "2 days missing",
        str(tmp_path / "out"),
        "3 monthly",
    ):
        assert part in said
    assert plan.missing == [date(2021, 3, 12), date(2021, 3, 13)]


def test_results_may_not_go_where_the_archive_is(folder: Path) -> None:
    with pytest.raises(db.InputError, match="is the archive"):
        db.plan(db.Archive(folder), f"{folder}/")


@pytest.mark.skipif(not importlib.util.find_spec("graphviz"), reason="needs graphviz")
def test_a_plan_can_be_drawn(archive: db.Archive, tmp_path: Path) -> None:
    plan = db.plan(archive, tmp_path / "out")
    drawn = plan.visualize(filename=None)
    assert "count-block" in drawn.source


# Launches as a DataFrame --------------------------------------------------------------------------


def test_partitions_are_dates_and_known(archive: db.Archive) -> None:
    events = archive.events()
    assert events.known_divisions
    assert events.npartitions == 68
    assert events.divisions[1] == pd.Timestamp("2021-02-11", tz="UTC")


def test_a_month_is_cut_out_before_anything_is_read(
    archive: db.Archive, read: Counter[str]
) -> None:
    march = archive.events().loc["2021-03"]
    assert march.npartitions <= 32
    assert set(march.compute(scheduler="synchronous").index.month) == {3}
    names = days_of(read)
    assert set(names.values()) == {1}
    assert min(names) >= "events-2021-02-27"
    assert max(names) <= "events-2021-04-02"


def test_a_launch_stands_in_the_partition_of_its_own_date(archive: db.Archive) -> None:
    events = archive.events()
    sizes = events.map_partitions(len).compute(scheduler="synchronous")
    whole = events.compute(scheduler="synchronous")
    assert whole.index.is_monotonic_increasing
    assert len(whole) == sizes.sum() == 68 * 8
    for number in (1, 20, 40):
        part = events.partitions[number].compute(scheduler="synchronous")
        first, after = events.divisions[number : number + 2]
        assert ((first <= part.index) & (part.index < after)).all()
    one_day = events.loc["2021-03-20"].compute(scheduler="synchronous")
    assert len(one_day) == 8  # four of its own file, two of each neighbour's


def test_types_are_those_promised_before_reading(archive: db.Archive) -> None:
    events = archive.events()
    found = events.partitions[3].compute(scheduler="synchronous")
    for name, promised in events.dtypes.items():
        assert str(found[name].dtype) == str(promised), name
    assert found.index.dtype == events.index.dtype

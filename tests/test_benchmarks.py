"""The smallest size of every benchmark runs, and its checks find what they are there to find."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from daskbinder.archive.sample import write_sample
from daskbinder.model.federation import Federation

pytest.importorskip("duckdb")
pytest.importorskip("psutil")

from benchmarks import __main__ as cli
from benchmarks import cluster
from benchmarks import data as archives
from benchmarks.answers import differences
from benchmarks.chart import line_chart
from benchmarks.compare import AnswersDiffer, compare
from benchmarks.draw import over_size
from benchmarks.history import regressions
from benchmarks.parts import PARTS
from benchmarks.peers.members import lives, periods
from benchmarks.questions import ask, count_raw
from benchmarks.questions import differences as wrong_answers
from benchmarks.results import Circumstances, Row, append, load
from benchmarks.stopwatch import CommandFailed, measure
from benchmarks.tables import README, fill, sizes, steps
from benchmarks.workloads import PEERS, Contender, on_one_core, ours

START = date(2019, 6, 8)  # origins begin within the nine days


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep archives made here out of the working tree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "HOME", tmp_path_factory.mktemp("home"))
        yield archives.HOME


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> archives.Data:
    """Nine days, one missing, one empty, with launches of the neighbour's date and odd hosts."""
    folder = tmp_path_factory.mktemp("archive")
    write_sample(folder, days=9, start=START, events_per_day=300)
    (folder / f"events-{START + timedelta(days=2)}.jsonl").write_bytes(b"")
    event = {"schema": "binderhub.jupyter.org/launch", "version": 6, "provider": "Gist"}
    event |= {"spec": "1234567", "status": "failure", "build_token": True, "request_origin": ""}
    moments = (
        ("2019-06-08T23:59:00+00:00", "Notebooks.Gesis.org:443"),
        ("2019-06-10T00:00:00+00:00", "binder.example.org."),
        ("2019-06-13T12:00:00+00:00", "gke.mybinder.org"),
    )
    lines = [event | {"timestamp": moment, "origin": host} for moment, host in moments]
    for day, line in zip((9, 9, 14), lines, strict=True):
        with (folder / f"events-2019-06-{day:02}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
    return archives.describe(folder)


@pytest.fixture(scope="module")
def results(data: archives.Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("results") / "ours"
    measure(ours().command(data.folder, dest))
    return dest


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_gives_our_answers(
    name: str, data: archives.Data, results: Path, tmp_path: Path
) -> None:
    if name == "polars":
        pytest.importorskip("polars")
    took = measure(PEERS[name].command(data.folder, tmp_path))
    assert differences(results, tmp_path) == []
    totals = json.loads(took.output.splitlines()[-1])
    everything = name in ("duckdb", "polars")
    assert len(totals) == (10 if everything else 8)
    assert set(totals.values()) == {data.events}
    assert (tmp_path / "repositories" / "active.parquet").exists() is everything


@pytest.mark.parametrize(
    "name",
    [
        "rollups/weekly/by-hour/2019-W24.parquet",
        "federation/by-day.parquet",
        "repositories/by-day/2019-06.parquet",
        "repositories/all.parquet",
    ],
)
def test_one_launch_more_is_a_difference(name: str, results: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(results, other)
    table = pq.ParquetFile(other / name).read()
    n = table["n"].to_pylist()
    n[0] += 1
    pq.write_table(table.set_column(table.column_names.index("n"), "n", [n]), other / name)
    (found,) = differences(results, other)
    assert found.startswith(name.removesuffix(".parquet"))


def test_nothing_is_no_answer(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / "federation", tmp_path / "federation")
    assert len(differences(tmp_path, tmp_path)) == 6


def test_comparing_stops_at_a_wrong_answer(data: archives.Data, tmp_path: Path) -> None:
    late = str(START + timedelta(days=1))
    contenders = [ours(), ours("--start", late, name="a day short")]
    with pytest.raises(AnswersDiffer, match="a day short differs"):
        compare(data, contenders, 1, say=lambda _: None)


def test_peers_know_the_federation_as_we_do() -> None:
    federation = Federation.load()
    table: dict[str, list[tuple[date, str]]] = {}
    for host, since, member in periods():
        table.setdefault(host, []).append((since, member))
    for host, since_and_member in table.items():
        for days in range(0, 3200):
            day = date(2018, 1, 1) + timedelta(days=days)
            current = [member for since, member in since_and_member if since <= day][-1]
            assert current == federation.member(host, day), (host, day)
    for member, begun, ended in lives():
        assert federation.span(member) == (begun, None if ended == date.max else ended)


def test_memory_and_time_of_children_count() -> None:
    child = "x = b'1' * 80_000_000; import time; t = time.process_time()\n"
    child += "while time.process_time() < t + 0.4: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    took = measure([sys.executable, "-c", parent])
    assert took.peak_bytes > 80_000_000
    assert took.seconds > 0.4
    assert took.cpu_seconds > 0.4


def test_one_core_is_one_core_for_every_process() -> None:
    child = "import os; print(len(os.sched_getaffinity(0)))"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    bound = on_one_core(Contender("nested", (sys.executable, "-c", parent)))
    assert measure(bound.command(Path(), Path())).output == "1\n"


def test_a_command_that_fails_has_no_time() -> None:
    with pytest.raises(CommandFailed, match=r"(?s)status 3.*out of paper"):
        measure([sys.executable, "-c", "print('out of paper'); raise SystemExit(3)"])


@pytest.mark.parametrize("name", PARTS)
def test_a_part_and_its_yardstick_run(name: str, data: archives.Data, tmp_path: Path) -> None:
    part = PARTS[name](data, tmp_path)
    for do in (part.ours, part.yardstick):
        part.before()
        do()


def test_the_same_sample_is_made_once(home: Path) -> None:
    sample = archives.Sample(1, events_per_day=20)
    made = sample.make(home)
    files = {path: path.stat().st_mtime_ns for path in made.folder.iterdir()}
    assert sample.make(home) == made
    assert {path: path.stat().st_mtime_ns for path in made.folder.iterdir()} == files
    assert made.events == sum(path.read_text().count("\n") for path in files) - 1  # the index


def test_a_sample_has_a_folder_of_its_own() -> None:
    samples = [archives.Sample(9), archives.Sample(9, repositories=5), archives.Sample(9, seed=1)]
    samples += archives.ARCHIVES.values()
    assert len({sample.name for sample in samples}) == len(samples)


def test_a_day_of_the_first_year_is_like_the_real_ones(tmp_path: Path) -> None:
    week = replace(archives.ARCHIVES["first-year"], days=7, start=date(2019, 3, 4)).make(tmp_path)
    bodies = [path.read_bytes().splitlines() for path in week.folder.glob("events-*")]
    shares = [len({line[41:] for line in lines}) / len(lines) for lines in bodies]
    assert week.events / week.days == pytest.approx(12_800, rel=0.1)
    assert week.bytes / week.events == pytest.approx(189, abs=3)
    assert 0.05 < sum(shares) / len(shares) < 0.07


def _row(ratio: float, day: int, contender: str = "duckdb", cores: int = 2) -> Row:
    machine = {"cpu": "some", "cores": cores, "memory": 1}
    circumstances = Circumstances(f"2026-01-{day:02}T00:00", f"c{day}", {}, machine, 0.0)
    return Row("compare", "some days", contender, 1, 10, 1, [1.0], [1.0], [1], ratio, circumstances)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [_row(3.0, 2), _row(2.0, 1)]
    append(rows, tmp_path)
    assert load("compare", tmp_path) == rows[::-1]
    assert load("small", tmp_path) == []


@pytest.mark.parametrize(
    ("ratios", "lost"),
    [
        ([3.0], False),  # nothing to compare with
        ([3.0, 3.1, 2.9, 2.8], False),
        ([3.0, 3.1, 2.9, 2.4], True),
        ([3.0, 2.0, 4.0, 2.4], False),  # no worse than it ever swung
        ([3.0, 3.1, 2.9, 4.0], False),
    ],
)
def test_a_loss_beyond_noise_is_found(ratios: list[float], lost: bool) -> None:
    rows = [_row(ratio, day) for day, ratio in enumerate(ratios, 1)]
    assert bool(regressions(rows)) is lost


def test_rows_of_another_machine_are_not_compared() -> None:
    assert regressions([_row(4.0, 1), _row(4.0, 2), _row(2.0, 3, cores=1)]) == []


def test_the_tables_of_the_readme_are_those_of_the_kept_rows() -> None:
    text = README.read_text("utf-8")
    assert fill(text) == text
    assert text.count("<!-- end -->") == 7
    assert fill("<!-- ask -->\n<!-- end -->").count("`top`") == 1


def test_sizes_are_rows_and_what_was_not_measured_is_left_out() -> None:
    ours, duckdb = (_row(ratio, 1, name) for ratio, name in ((1.0, "daskbinder"), (2.0, "duckdb")))
    table = sizes([[replace(ours, workload="long"), replace(duckdb, workload="long")], [], [ours]])
    assert table.splitlines()[2:] == [
        "| long | 1.00 (1.00) | 1.00 (2.00) |  |  |",
        "| some days | 1.00 (1.00) |  |  |  |",
    ]


def test_a_step_is_the_median_of_the_rounds() -> None:
    every, one = (
        replace(_row(1.0, 1), seconds=took) for took in ([1.0, 2.0, 4.0], [2.0, 3.0, 4.0])
    )
    assert steps([every, one]) == [("duckdb", "3.00", "2.00", "1.50")]


def test_a_chart_is_well_formed() -> None:
    chart = line_chart("a & b", "<s>", ["x", "y"], {"one": [1.0, 250.0], "two": [None, 0.02]})
    assert ElementTree.fromstring(chart).tag.endswith("svg")
    assert ElementTree.fromstring(line_chart("nothing", "s", [], {})).tag.endswith("svg")


def test_cost_over_size_is_drawn_from_the_newest_run() -> None:
    def case(name: str, seconds: float, day: int) -> Row:
        return replace(_row(1.0, day, name), seconds=[seconds], benchmark="scale")

    old = [case("base", 1.0, 1), case("3x days", 9.0, 1)]
    new = [case("base", 1.0, 2), case("3x days", 3.0, 2), case("blocks 16MiB", 2.0, 2)]
    drawn = over_size(old + new)
    assert set(drawn) == {f"scale-{what}.svg" for what in ("launches", "days", "workers", "blocks")}
    assert over_size(new) == drawn
    assert over_size(old) != drawn
    assert over_size([]) == {}


def test_the_command_measures_keeps_and_draws(
    data: archives.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.results.append.__defaults__", (tmp_path,))
    monkeypatch.setattr("benchmarks.results.load.__defaults__", (tmp_path,))
    monkeypatch.setattr(cli, "FOLDER", tmp_path)
    options = ["--data", str(data.folder), "--repeat", "1", "--peer", "duckdb"]
    for arguments in (["compare", *options], ["cores", *options], ["track"], ["check"]):
        done = CliRunner().invoke(cli.main, arguments)
        assert done.exit_code == 0, done.output
    assert {row.contender for row in load("compare", tmp_path)} == {"daskbinder", "duckdb"}
    names = ["daskbinder", "daskbinder, one core", "duckdb", "duckdb, one core"]
    assert [row.contender for row in load("cores", tmp_path)] == names
    assert len(list(tmp_path.glob("*.svg"))) == 2


def test_the_smallest_cluster_is_measured(
    data: archives.Data, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.memory(str(data.folder), ["1GiB"], workers=2, threads=1)
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    limit, shape, _, peaks, share, died = lines[2]
    assert (limit, shape, died) == ("1GiB", "2 x 1", "0")
    assert all(100 < float(peak) < 1024 for peak in peaks.split(", "))
    assert 10 < int(share.rstrip("%")) < 100


def test_questions_are_timed_and_a_wrong_answer_is_found(tmp_path: Path) -> None:
    folder, dest = tmp_path / "archive", tmp_path / "dest"
    write_sample(folder, days=9, start=START, events_per_day=2_000)
    measure(ours().command(folder, dest))
    counted = count_raw(folder)
    assert list(wrong_answers(counted, dest)) == []
    rows = ask(archives.describe(folder), dest, 1, say=lambda line: None)
    assert len(rows) == 7
    assert all(row.time > 0 for row in rows)

    path = dest / "repositories" / "all.parquet"
    table = pq.read_table(path)
    n = table["n"].to_pylist()
    pq.write_table(table.set_column(3, "n", [[n[0] + 1, *n[1:]]]), path)
    found = next(wrong_answers(counted, dest))
    assert found == f"all: {len(n):,} rows, 1 lacking, 1 too many"

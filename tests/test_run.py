"""A whole run, from Python and from the command line, against the oracle and against DuckDB."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributed import Client
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from support.census import tables
from support.commands import command
from support.oracle import GRAINS, SCHEMA, WINDOWS, Oracle, read_archive, read_body
from support.readers import read_by_the_kernel, rows
from support.strategies import archives, bodies, plain

MICROS = "epoch_us(timestamp) as micros"
KEY = "schema, version, provider, spec, status, origin, build_token, request_origin"
TEXT = pa.dictionary(pa.int32(), pa.string())
MOMENT = pa.timestamp("us", "UTC")
ROLLUP = pa.schema(
    {
        "timestamp": MOMENT,
        "schema": TEXT,
        "version": pa.int64(),
        "provider": TEXT,
        "spec": TEXT,
        "status": TEXT,
        "origin": TEXT,
        "build_token": pa.bool_(),
        "request_origin": TEXT,
        "n": pa.int64(),
    }
)
SERIES = pa.schema({"timestamp": MOMENT, "federation": TEXT, "n": pa.int64()})
NAMED = {"federation": TEXT, "provider": TEXT, "repository": TEXT, "org": TEXT, "ref": TEXT}
REPOSITORIES = pa.schema({"date": pa.date32(), **NAMED, "n": pa.int64()})
SCHEMAS = {
    "repositories/all.parquet": pa.schema(
        {
            "provider": TEXT,
            "repository": pa.string(),
            "org": pa.string(),
            "n": pa.int64(),
            "days": pa.int64(),
            "first_seen": pa.date32(),
            "last_seen": pa.date32(),
        }
    ),
    "repositories/active.parquet": pa.schema(
        {
            "window": TEXT,
            "first": pa.date32(),
            "last": pa.date32(),
            "repositories": pa.int64(),
            "days": pa.int64(),
        }
    ),
    "federation/by-hour.parquet": SERIES,
    "federation/by-day.parquet": SERIES.append(pa.field("mean_7d", pa.float64())),
    "days.parquet": pa.schema(
        {
            "date": pa.date32(),
            "name": pa.string(),
            "bytes": pa.int64(),
            "fingerprint": pa.string(),
            "lines": pa.int64(),
            "accepted": pa.int64(),
            "rejected": pa.int64(),
            "indexed": pa.int64(),
            "hours_present": pa.int8(),
            "provisional": pa.bool_(),
        }
    ),
    "rejects.parquet": pa.schema(
        {
            "name": pa.string(),
            "line": pa.int64(),
            "reason": pa.string(),
            "text": pa.string(),
            "n": pa.int64(),
        }
    ),
}


def run(folder: Path, **options: Any) -> Path:
    """Run into a new folder beside the archive."""
    dest = folder.with_name(f"{folder.name}-out-{len(list(folder.parent.iterdir()))}")
    db.run(db.plan(db.Archive(str(folder)), str(dest), **options))
    return dest


def answer(dest: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every Parquet file of a run, by its name."""
    return {str(path.relative_to(dest)): rows(path) for path in sorted(dest.rglob("*.parquet"))}


def expected(oracle: Oracle) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that a run is to write, by the name of the file."""
    return {
        **{
            f"rollups/{window}/by-{grain}/{label}.parquet": rollup
            for (window, grain, label), rollup in oracle.all_windows().items()
        },
        "federation/by-hour.parquet": oracle.federation_by_hour(),
        "federation/by-day.parquet": oracle.federation_by_day(),
        "rejects.parquet": [tuple(reject) for reject in oracle.rejects],
        **tables(oracle),
    }


def check(dest: Path, oracle: Oracle) -> None:
    """Compare all that a run left with the oracle."""
    found, wanted = answer(dest), expected(oracle)
    days = found.pop("days.parquet")
    assert sorted(found) == sorted(wanted)
    for name in wanted:
        assert found[name] == wanted[name], name
    assert [(*row[:3], *row[4:9]) for row in days] == [tuple(day) for day in oracle.days]
    assert all(fingerprint for _, _, _, fingerprint, *_ in days)

    manifest = json.loads((dest / "manifest.json").read_text("utf-8"))
    totals = manifest["totals"]
    assert totals["files"] == len(oracle.days)
    assert totals["lines"] == oracle.lines
    assert totals["accepted"] == oracle.accepted
    assert totals["rejected"] == oracle.rejected
    assert totals["bytes"] == sum(day.bytes for day in oracle.days)
    assert totals["reasons"] == oracle.reasons
    assert manifest["missing"] == [str(day) for day in oracle.missing]
    assert manifest["incomplete"] == {
        f"{window}/{label}": [str(day) for day in days]
        for (window, label), days in oracle.incomplete().items()
    }
    files = {str(p.relative_to(dest)): p.stat().st_size for p in dest.rglob("*.parquet")}
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == files


@pytest.fixture(scope="session")
def ugly(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    """Make an archive with everything that was ever seen, or feared, in a few lines.

    A week across New Year and across two ISO years, a missing day, an empty file, a file of blank
    lines, a torn last line, launches of the day before, of the day after and of days without a
    file, hours at both ends of a day, hosts that changed hands, all versions side by side.
    """
    v1 = dict.fromkeys(("ref", "origin", "build_token")) | {"version": 1}
    folder = make_archive(
        {
            "2020-12-27": b"",
            "2020-12-30": [
                launch("2020-12-30T00:00:00+00:00"),
                launch("2020-12-30T00:00:00+00:00"),
                launch("2020-12-30T00:59:59.999999+00:00", ref="other"),
                launch("2020-12-30T23:59:00+00:00", origin="OVH.mybinder.org:443"),
                launch("2020-12-29T23:59:00+00:00", origin="stranger.example.org"),
                launch("2020-12-31T00:00:00+00:00", status="failure"),
                launch("2020-12-28T23:59:00+00:00"),
                launch("2021-01-01T00:00:00+00:00"),
            ],
            "2020-12-31": [
                b'\xef\xbb\xbf{"timestamp": "2020-12-31T12:00:00+00:00", "schema": '
                b'"binderhub.jupyter.org/launch", "version": 1, "provider": "Git", "spec": "\\u00e9'
                b'\\u0000\\ud83d\\ude00", "status": "success", "x": {"version": 9}}\r',
                launch("2020-12-31T12:30:00+00:00", **v1),
                launch("2020-12-31T12:31:00+00:00", **v1 | {"origin": "gke.mybinder.org"}),
                launch("2020-12-31T12:32:00+00:00", version=6, request_origin=""),
                launch("2020-12-31T12:32:00+00:00", version=6, request_origin="e\x00vil"),
                launch("2021-01-01T00:30:00+01:00", provider="CKAN", build_token=True),
                launch("2020-12-31T23:30:00-01:00", provider="CKAN"),
                b"",
                b" \t\r",
                b"{",
                b'{"schema": "other"}',
                b"[]",
                b"\xff" * 300,
                *[launch(version=version) for version in (7, True, 5.0, "5")],
                launch("2020-12-31T24:00:00+00:00"),
                launch(spec=5),
                *[b"x"] * 102,
            ],
            "2021-01-03": json.dumps(launch("2021-01-03T23:00:00+00:00", origin="")).encode()
            + b'\n{"timestamp": "2021-01-03T23',
            "2021-01-04": [
                launch("2021-01-04T00:00:00+00:00", origin="gesis.mybinder.org."),
                launch("2021-01-04T00:00:00+00:00", origin="2i2c.mybinder.org."),
            ],
            "2021-01-05": b"\n\r\n \n",
            "2021-01-31": [launch("2021-02-01T00:00:00+00:00", origin="x.mybinder.org")],
        },
        gz=["2020-12-30", "2021-01-05"],
    )
    (folder / "index.jsonl").write_text(
        '{"name": "events-2020-12-30.jsonl", "date": "2020-12-30", "count": "8"}\n'
        '{"name": "events-2020-12-31.jsonl", "date": "2020-12-31", "count": 5}\n'
        '{"name": "events-2021-01-09.jsonl", "date": "2021-01-09", "count": 7}\n'
    )
    (folder / "cloud-costs.jsonl").write_text('{"cost": 1}\n')
    (folder / "events-2021-01-02.jsonl.tmp").write_text("{}\n")
    (folder / "events-2021-13-02.jsonl").write_text("{}\n")
    return folder


@pytest.fixture(scope="session")
def done(ugly: Path, client: Client) -> Path:
    return run(ugly)


# Everything a run leaves ------------------------------------------------------------------------


def test_ugly_archive_is_counted_as_the_oracle_counts_it(ugly: Path, done: Path) -> None:
    oracle = read_archive(ugly)
    assert set(oracle.reasons) == {
        "not-utf8", "not-json", "not-an-object", "other-schema",
        "unknown-version", "bad-field", "bad-timestamp", "outside-day",
    }  # fmt: skip
    check(done, oracle)


@settings(max_examples=25)
@given(days=archives(), blocksize=st.sampled_from([64, 300, 2_000, 1 << 20]))
def test_any_archive_is_counted_as_the_oracle_counts_it(
    make_archive: MakeArchive, client: Client, days: dict[date, bytes], blocksize: int
) -> None:
    folder = make_archive(days, gz=[day for day in days if day.day % 3 == 0])
    lost = read_archive(folder).lost
    if lost:
        with pytest.raises(db.JobError, match="has no launch in it"):
            run(folder, blocksize=blocksize)
    if len(lost) < len(days):
        found = run(folder, blocksize=blocksize, keep_going=True)
        for name in lost:
            (folder / name).unlink()
        check(found, read_archive(folder))


def test_tables_have_the_promised_types(done: Path) -> None:
    for path in done.rglob("*.parquet"):
        name = str(path.relative_to(done))
        usual = REPOSITORIES if name.startswith("repositories") else ROLLUP
        promised = SCHEMAS.get(name, usual)
        found = pq.read_schema(path)
        assert list(zip(found.names, found.types, strict=True)) == list(
            zip(promised.names, promised.types, strict=True)
        ), name
        last = pq.ParquetFile(path).metadata.row_group(0).column(len(found.names) - 1)
        assert last.compression == "ZSTD"


def test_a_rollup_holds_no_text_of_other_windows(done: Path) -> None:
    files = sorted(done.glob("rollups/*/*/*.parquet"))
    assert len({path.parent for path in files}) == len(WINDOWS) * len(GRAINS)
    texts = 0
    for path in files:
        table = pq.read_table(path).combine_chunks()
        for name in table.column_names:
            for column in table[name].chunks if pa.types.is_dictionary(table[name].type) else ():
                held = column.dictionary.to_pylist()
                assert held == sorted({*column.to_pylist()} - {None}), (path, name)
                texts += len(held)
    assert texts


def test_results_load_without_knowing_the_layout(ugly: Path, done: Path) -> None:
    oracle = read_archive(ugly)
    rollups = db.open(str(done))
    assert rollups.load("weekly", by="day")["n"].sum() == oracle.accepted
    assert str(rollups.load("monthly", by="hour")["spec"].dtype) == "category"
    series = rollups.federation("day")
    assert list(series["federation"]) == [row[1] for row in oracle.federation_by_day()]
    assert rollups.manifest["totals"]["accepted"] == oracle.accepted


def test_todays_and_yesterdays_files_are_provisional(
    make_archive: MakeArchive, client: Client
) -> None:
    plan_day = datetime.now(UTC).date()
    days = [plan_day - timedelta(days=back) for back in (3, 2, 1, 0)]
    archive = db.Archive(str(make_archive(dict.fromkeys(days, b""))))
    dest = Path(archive.location.address).with_name("provisional")
    plan = db.plan(archive, str(dest))
    db.run(plan)
    provisional = {row[0] for row in rows(dest / "days.parquet") if row[9]}
    assert provisional == {plan.request.today, plan.request.today - timedelta(days=1)} & set(days)


@settings(max_examples=150)
@given(drawn=st.lists(bodies(date(2021, 3, 4)), min_size=1, max_size=3))
def test_the_kernel_reads_lines_as_the_oracle_reads_them(drawn: list[bytes]) -> None:
    day = date(2021, 3, 4)
    wanted = [launch for body in drawn for launch in read_body(body, day)[0]]
    assert read_by_the_kernel(drawn, day) == wanted


def test_lines_of_another_shape_are_counted_beside_the_usual_ones(
    make_archive: MakeArchive, launch: MakeLaunch, client: Client
) -> None:
    usual = [launch(f"2021-03-04T10:{i:02}:00+00:00", spec=f"u/r{i}/HEAD") for i in range(50)]
    odd = launch(timestamp=None, spec="short") | {"timestamp": "2021-03-04T09:00", "origin": "x"}
    folder = make_archive({"2021-03-04": [*usual, odd]})
    check(run(folder), read_archive(folder))


# What must add up -------------------------------------------------------------------------------


@pytest.fixture
def sql(done: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect DuckDB to the Parquet files of a run, which it reads by itself."""
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    for window in WINDOWS:
        for grain in GRAINS:
            files = done / "rollups" / window / f"by-{grain}" / "*.parquet"
            connection.sql(f"create view {window}_{grain} as from read_parquet('{files}')")
    for name in ("by-hour", "by-day"):
        file = done / "federation" / f"{name}.parquet"
        connection.sql(f"create view {name.replace('-', '_')} as from read_parquet('{file}')")
    for name in ("days", "rejects"):
        connection.sql(f"create view {name} as from read_parquet('{done / name}.parquet')")
    yield connection
    connection.close()


@pytest.mark.parametrize("window", WINDOWS)
def test_hours_add_up_to_days(sql: duckdb.DuckDBPyConnection, window: str) -> None:
    added = sql.sql(
        f"select epoch_us(date_trunc('day', timestamp)) as micros, {KEY}, sum(n)::bigint "
        f"from {window}_hour group by all order by all"
    ).fetchall()
    days = sql.sql(f"select {MICROS}, {KEY}, n from {window}_day order by all").fetchall()
    assert added == days
    assert added


@pytest.mark.parametrize("window", ["weekly", "monthly"])
@pytest.mark.parametrize("grain", GRAINS)
def test_windows_tile_the_archive(sql: duckdb.DuckDBPyConnection, window: str, grain: str) -> None:
    every = f"select {MICROS}, {KEY}, n from %s_{grain} order by all"
    assert sql.sql(every % window).fetchall() == sql.sql(every % "daily").fetchall()


@pytest.mark.parametrize("grain", GRAINS)
def test_members_add_up_to_the_total(sql: duckdb.DuckDBPyConnection, grain: str) -> None:
    total = f"select {MICROS}, sum(n) from %s_{grain} group by all having sum(n) > 0 order by all"
    members = sql.sql(total % "by").fetchall()
    assert members == sql.sql(total % "daily").fetchall()
    assert members


def test_every_line_is_accepted_or_rejected(ugly: Path, sql: duckdb.DuckDBPyConnection) -> None:
    lines = sql.sql("select sum(lines), sum(accepted), sum(rejected) from days").fetchall()[0]
    assert lines[0] == lines[1] + lines[2] == read_archive(ugly).lines
    assert sql.sql("select sum(n) from rejects").fetchall() == [(lines[2],)]
    assert sql.sql("select sum(n) from daily_hour").fetchall() == [(lines[1],)]


def test_duckdb_counts_the_same_launches_from_the_json(
    make_archive: MakeArchive, launch: MakeLaunch, client: Client
) -> None:
    first = date(2021, 2, 25)
    days: dict[date | str, list[Any]] = {}
    for step in range(8):
        day = first + timedelta(days=step)
        days[day] = [
            launch(
                f"{day}T{i % 24:02}:{i * 7 % 60:02}:00+00:00",
                spec=f"u{i % 5}/r{i % 3}/HEAD",
                provider=("GitHub", "Gist", "Git")[i % 3],
                status=("success", "success", "failure")[i * step % 3],
                origin=("gke.mybinder.org", "ovh.mybinder.org")[i % 2],
                build_token=(None, False, True)[i * i % 3],
            )
            for i in range(40 + step)
        ]
    folder = make_archive(days)
    dest = run(folder, blocksize=5_000)
    columns = {
        **dict.fromkeys(["schema", "provider", "spec", "status", "origin"], "varchar"),
        **{"timestamp": "timestamptz", "version": "bigint", "build_token": "boolean"},
        "request_origin": "varchar",
    }
    connection = duckdb.connect()
    connection.sql("set timezone = 'UTC'")
    for grain in GRAINS:
        theirs = connection.sql(
            f"select epoch_us(date_trunc('{grain}', timestamp)) as micros, {KEY}, count(*) from "
            f"read_json('{folder}/*.jsonl', format='newline_delimited', columns={columns}) "
            "group by all order by all"
        ).fetchall()
        ours = connection.sql(
            f"select {MICROS}, {KEY}, n "
            f"from read_parquet('{dest}/rollups/monthly/by-{grain}/*.parquet') order by all"
        ).fetchall()
        assert ours == theirs
        assert sum(row[-1] for row in ours) == sum(len(day) for day in days.values())


# However the archive is cut ----------------------------------------------------------------------


@pytest.mark.parametrize("blocksize", [40, 64, 201, 1_000, 10_000])
def test_blocks_of_any_size_give_one_answer(
    ugly: Path, done: Path, client: Client, blocksize: int
) -> None:
    dest = run(ugly, blocksize=blocksize)
    assert answer(dest) == answer(done)
    for path in done.rglob("*.parquet"):
        assert (dest / path.relative_to(done)).read_bytes() == path.read_bytes(), path


@settings(max_examples=8)
@given(data=st.data())
def test_launches_may_stand_in_the_file_of_any_day_beside_theirs(
    make_archive: MakeArchive, client: Client, data: st.DataObject
) -> None:
    first = data.draw(st.sampled_from([date(2018, 12, 30), date(2021, 1, 30), date(2023, 2, 19)]))
    launches = [
        (day, {"timestamp": f"{day}T{hour:02}:{minute:02}:00+00:00", "schema": SCHEMA} | fields)
        for day in (first + timedelta(days=step) for step in (1, 2, 3))
        for hour in (0, 23)
        for minute, fields in enumerate(
            [
                {"version": 2, "provider": "Gist", "spec": "a", "status": "success"},
                {"version": 3, "provider": "Git", "spec": "b", "status": "failure"}
                | {"origin": "ovh.mybinder.org"},
            ]
        )
    ]
    answers = []
    for _ in range(2):
        files: dict[date, list[bytes]] = {first + timedelta(days=step): [] for step in range(5)}
        for day, event in data.draw(st.permutations(launches)):
            beside = day + timedelta(days=data.draw(st.sampled_from([-1, 0, 1])))
            files[beside].append(plain(event))
        found = answer(run(make_archive(files), blocksize=data.draw(st.sampled_from([64, 400]))))
        found.pop("days.parquet")
        answers.append(found)
    assert answers[0] == answers[1]
    assert sum(row[-1] for row in answers[0][f"rollups/monthly/by-hour/{first:%Y-%m}.parquet"]) > 0


@settings(max_examples=12)
@given(body=bodies(date(2021, 3, 4)), blocksize=st.integers(20, 200))
def test_a_day_cut_at_any_byte_is_the_same_day(
    make_archive: MakeArchive, client: Client, body: bytes, blocksize: int
) -> None:
    folder = make_archive({date(2021, 3, 4): body})
    assume(not read_archive(folder).lost)
    whole = answer(run(folder, windows=["daily"]))
    assert answer(run(folder, windows=["daily"], blocksize=blocksize)) == whole


# Options ------------------------------------------------------------------------------------------


def test_only_the_asked_windows_and_grains_are_written(ugly: Path, client: Client) -> None:
    dest = run(ugly, windows=["weekly"], grains=["day"])
    found, wanted = answer(dest), expected(read_archive(ugly))
    found.pop("days.parquet")
    kept = {name for name in wanted if "weekly/by-day" in name or name == "rejects.parquet"}
    kept |= {"federation/by-day.parquet", *tables(read_archive(ugly))}
    assert found == {name: wanted[name] for name in kept}


def test_a_range_of_days_is_an_archive_of_those_days(ugly: Path, client: Client) -> None:
    dest = run(ugly, start="2020-12-31", end="2021-01-04")
    oracle = read_archive(ugly, start=date(2020, 12, 31), end=date(2021, 1, 4))
    assert len(oracle.days) == 3
    check(dest, oracle)


def test_links_to_day_files_are_day_files(ugly: Path, client: Client) -> None:
    linked = ugly.with_name("linked")
    linked.mkdir()
    for path in ugly.iterdir():
        (linked / path.name).symlink_to(path)
    (linked / "events-2020-01-01.jsonl").symlink_to("nowhere")
    dest = run(linked)
    check(dest, read_archive(ugly))


def test_more_versions_are_accepted_on_request(ugly: Path, client: Client) -> None:
    dest = run(ugly, accept_versions=[7])
    check(dest, read_archive(ugly, versions=range(1, 8)))


def test_errors_raise_names_the_first_rejected_line_of_a_file(ugly: Path, client: Client) -> None:
    firsts: dict[str, str] = {}
    for reject in read_archive(ugly).rejects:
        firsts.setdefault(reject.name, f"{reject.name}, line {reject.line}: {reject.reason}")
    with pytest.raises(db.InputError) as raised:
        run(ugly, errors="raise")
    assert any(str(raised.value).startswith(first) for first in firsts.values())


def test_two_files_of_one_date_are_refused(make_archive: MakeArchive) -> None:
    folder = make_archive({"2021-03-04": b""})
    (folder / "events-2021-03-04.jsonl.gz").write_bytes(b"")
    with pytest.raises(
        db.InputError, match=r"2021-03-04\.jsonl(\.gz)?.* .*2021-03-04\.jsonl(\.gz)?"
    ):
        db.Archive(str(folder))


# The command line ---------------------------------------------------------------------------------


def test_the_command_leaves_what_the_oracle_counts(ugly: Path, tmp_path: Path) -> None:
    ended = command("run", ugly, tmp_path / "out", "--workers", 1, "--threads", 2)
    assert ended.returncode == 0, ended.stderr
    oracle = read_archive(ugly)
    check(tmp_path / "out", oracle)
    shown = ended.stdout + ended.stderr
    for number in (oracle.accepted, oracle.rejected, *oracle.reasons.values()):
        assert f"{number:,}" in shown
    for reason in oracle.reasons:
        assert reason in shown
    assert "Traceback" not in shown


def test_the_command_stops_at_a_rejected_line_when_told(ugly: Path, tmp_path: Path) -> None:
    ended = command("run", ugly, tmp_path / "out", "--errors", "raise", "--workers", 1)
    assert ended.returncode in (1, 2)
    assert re.search(r"events-202\d-\d\d-\d\d\.jsonl(\.gz)?, line \d+: [a-z-]+: ", ended.stderr)
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_dry_run_writes_nothing(ugly: Path, tmp_path: Path) -> None:
    ended = command("run", ugly, tmp_path / "out", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert "7 day files" in ended.stdout
    assert not (tmp_path / "out").exists()


def test_no_archive_is_one_sentence(tmp_path: Path) -> None:
    ended = command("run", tmp_path / "nothing", tmp_path / "out")
    assert ended.returncode == 2
    assert "nothing" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()


def test_counts_of_members_follow_a_table_of_ones_own(ugly: Path, tmp_path: Path) -> None:
    table = tmp_path / "mine.toml"
    table.write_text(
        '[[host]]\nhost = "gke.mybinder.org"\nmember = "big"\nfrom = 2020-12-30\n'
        'to = 2020-12-30\nsource = "test"\n'
        '[[host]]\nhost = "gke.mybinder.org"\nmember = "small"\nfrom = 2021-01-02\n'
        'source = "test"\n'
        '[[host]]\nhost = "idle.mybinder.org"\nmember = "idle"\nsource = "test"\n'
    )
    ended = command("run", ugly, tmp_path / "out", "--federation", table, "--workers", 1)
    assert ended.returncode == 0, ended.stderr
    oracle = read_archive(ugly, federation=table)
    check(tmp_path / "out", oracle)
    assert {row[1] for row in oracle.federation_by_day()} >= {"big", "small", "x", "unknown"}

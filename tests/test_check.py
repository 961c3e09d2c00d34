"""A check passes what a run left, and names every kind of damage."""

import json
import shutil
import zlib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder.cli import main
from support.commands import command

FIRST = date(2021, 2, 26)
ROLLUP = "rollups/monthly/by-day/2021-03.parquet"
Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def source(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    """Make five days of which one is missing; turing is silent from the second on."""
    days = {}
    for i in (0, 1, 3, 4):
        day = FIRST + timedelta(days=i)
        lines = [launch(f"{day}T{hour:02}:05") for hour in range(24)]
        if i == 0:
            lines.append(launch(f"{day}T10:10", origin="turing.mybinder.org"))
        days[day] = [*lines, b"no line of ours"]
    days[FIRST + timedelta(days=3)] = [launch("2021-03-01T10:00"), b"no line of ours"]
    return make_archive(days)


@pytest.fixture(scope="module")
def finished(source: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("finished")
    db.run(db.plan(db.Archive(source), dest), client)
    return dest


@pytest.fixture
def dest(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "dest"))


@pytest.fixture
def archive(source: Path, finished: Path, dest: Path, tmp_path: Path) -> Path:
    """Copy the archive with all its times, and say that the data set came from there."""
    copy = Path(shutil.copytree(source, tmp_path / "archive"))
    edit_manifest(dest, lambda manifest: manifest.update(source=str(copy)))
    return copy


def checked(*words: object) -> tuple[int, list[str], list[str]]:
    """Exit code, faults and notes of the command."""
    ended = CliRunner().invoke(main, ["check", *map(str, words)])
    lines = ended.stdout.splitlines()
    faults, notes = (
        [line.removeprefix(kind) for line in lines if line.startswith(kind)]
        for kind in ("fault: ", "note: ")
    )
    return ended.exit_code, faults, notes


def edit_manifest(dest: Path, change: Change) -> None:
    path = dest / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def edit_table(dest: Path, name: str, column: str, value: int, *, seal: bool) -> None:
    """Put a value into the first row; with a seal, the manifest speaks of the new file."""
    table = pq.read_table(dest / name)
    at = table.column_names.index(column)
    values = [value, *table[column].to_pylist()[1:]]
    pq.write_table(
        table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type)),
        dest / name,
    )

    def describe(manifest: Any) -> None:
        data, entry = (dest / name).read_bytes(), manifest["files"][name]
        entry.update(bytes=len(data), crc32=zlib.crc32(data))
        if entry["n"] is not None:
            entry["n"] = sum(pq.read_table(dest / name)["n"].to_pylist())

    if seal:
        edit_manifest(dest, describe)


def test_a_clean_data_set_passes(finished: Path, source: Path) -> None:
    code, faults, notes = checked(finished, source)
    assert (code, faults) == (0, [])
    assert "1 day (2021-02-28) missing" in notes
    assert "1 day (2021-03-01) without launches in some hours" in notes
    silent = [note for note in notes if note.startswith("turing ")]
    assert silent == ["turing without launches 1 time: 2021-02-26T11 to 2021-03-02T23"]
    assert any(note.startswith("the newest day, 2021-03-02, is ") for note in notes)


def test_what_is_new_is_not_stale(finished: Path) -> None:
    for days, stale in ((2, False), (3, True)):
        found = db.check(finished, today=date(2021, 3, 2) + timedelta(days=days))
        assert found.ok
        assert any("days old" in note for note in found.notes) == stale


def test_json_is_one_object(finished: Path, source: Path) -> None:
    ended = CliRunner().invoke(main, ["check", str(finished), str(source), "--json"])
    found = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert found["ok"] is True
    assert found["faults"] == []
    assert (found["days"], found["launches"], found["source"]) == (4, 74, str(source))
    assert "1 day (2021-02-28) missing" in found["notes"]


def test_the_rollups_of_the_notebook_pass(source: Path, tmp_path: Path, client: Client) -> None:
    db.run(db.plan(db.Archive(source), tmp_path, compat="notebook"), client)
    found = db.check(tmp_path, source)
    assert found.ok
    assert not any("turing" in note for note in found.notes)


def test_a_data_set_of_one_window_and_grain_passes(
    source: Path, tmp_path: Path, client: Client
) -> None:
    db.run(db.plan(db.Archive(source), tmp_path, windows=["weekly"], grains=["day"]), client)
    assert db.check(tmp_path, source).faults == ()


def test_a_data_set_of_any_file_system_is_checked(finished: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(f"{finished}/", "/checked/", recursive=True)
    try:
        assert db.check("memory://checked").faults == ()
        memory.rm(f"/checked/{ROLLUP}")
        memory.pipe("/checked/.daskbinder/done/a.json", b"{}")
        interrupted, missing = db.check("memory://checked").faults
        assert "memory://checked/.daskbinder" in interrupted
        assert missing == f"{ROLLUP} is missing"
    finally:
        memory.rm("/checked", recursive=True)


# Damage -----------------------------------------------------------------------------------------


def test_a_file_that_is_gone_is_named(dest: Path) -> None:
    (dest / ROLLUP).unlink()
    assert checked(dest)[:2] == (1, [f"{ROLLUP} is missing"])


def test_a_file_cut_short_is_named(dest: Path) -> None:
    data = (dest / ROLLUP).read_bytes()
    (dest / ROLLUP).write_bytes(data[:-3])
    fault = f"{ROLLUP} has {len(data) - 3:,} bytes in place of {len(data)}"
    assert checked(dest)[:2] == (1, [fault])


@pytest.mark.parametrize("name", [ROLLUP, "rejects.parquet", "federation/by-hour.parquet"])
@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_byte_that_flipped_is_named(dest: Path, name: str, at: int) -> None:
    data = bytearray((dest / name).read_bytes())
    data[at] ^= 1
    (dest / name).write_bytes(data)
    code, [fault], _ = checked(dest)
    assert code == 1
    assert fault == f"{name} is damaged: its CRC-32 is not the one in manifest.json"


def test_a_day_table_that_was_edited_is_named(dest: Path) -> None:
    edit_table(dest, "days.parquet", "accepted", 5, seal=False)
    code, faults, _ = checked(dest)
    assert code == 1
    assert faults[0].startswith("days.parquet ")


def test_a_day_table_that_was_edited_with_its_entry_fits_nothing_else(dest: Path) -> None:
    edit_table(dest, "days.parquet", "accepted", 26, seal=True)
    code, faults, _ = checked(dest)
    assert code == 1
    assert "accepted and rejected are not all lines on 1 day (2021-02-26)" in faults
    assert "manifest.json has 74 as total of accepted, the day table 75" in faults
    for what in (
        *(f"{kind} rollups" for kind in ("daily", "weekly", "monthly")),
        "series",
    ):
        for grain in ("hour", "day"):
            fault = f"the {what} by {grain} hold 74 launches, the day table 75"
            assert fault in faults


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (ROLLUP, "the monthly rollups by day hold 1,0"),
        ("federation/by-hour.parquet", "the series by hour hold 1,0"),
        ("rejects.parquet", "rejects.parquet holds 1,0"),
    ],
)
def test_a_sum_that_is_wrong_is_named(dest: Path, name: str, fault: str) -> None:
    edit_table(dest, name, "n", 1_000, seal=True)
    code, [found], _ = checked(dest)
    assert code == 1
    assert found.startswith(fault)


def replace(dest: Path, name: str, by: bytes | pa.Table) -> None:
    """Put a file in the place of one, and let the manifest vouch for its bytes."""
    if isinstance(by, bytes):
        (dest / name).write_bytes(by)
    else:
        pq.write_table(by, dest / name)
    data = (dest / name).read_bytes()
    sealed = {"bytes": len(data), "crc32": zlib.crc32(data)}
    edit_manifest(dest, lambda manifest: manifest["files"][name].update(sealed))


def test_a_file_that_is_no_table_is_named(dest: Path) -> None:
    replace(dest, ROLLUP, b"PAR1 and no more")
    code, [fault], _ = checked(dest)
    assert code == 1
    assert fault.startswith(f"{ROLLUP} cannot be read: ")


def test_a_table_with_other_rows_than_it_should_have_is_named(dest: Path) -> None:
    rows = len(pq.read_table(dest / ROLLUP))
    replace(dest, ROLLUP, pq.read_table(dest / ROLLUP).slice(1))
    assert checked(dest)[:2] == (1, [f"{ROLLUP} has rows {rows - 1} in place of {rows}"])


def test_a_day_table_that_is_none_or_has_a_day_twice_is_named(dest: Path) -> None:
    days = pq.read_table(dest / "days.parquet")
    replace(dest, "days.parquet", days.drop_columns("lines"))
    assert checked(dest)[:2] == (1, ["days.parquet is not a day table"])
    replace(dest, "days.parquet", pa.concat_tables([days.slice(0, 3), days.slice(0, 1)]))
    assert "the day table has a date twice" in checked(dest)[1]


@pytest.mark.parametrize("total", ["files", "bytes", "lines", "accepted", "rejected"])
def test_a_total_of_the_manifest_that_is_wrong_is_named(dest: Path, total: str) -> None:
    edit_manifest(dest, lambda manifest: manifest["totals"].update({total: 3}))
    code, [fault], _ = checked(dest)
    assert code == 1
    assert fault.startswith(f"manifest.json has 3 as total of {total}, the day table ")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda manifest: manifest["missing"].clear(), "states other days than the day table"),
        (lambda manifest: manifest["files"].pop(ROLLUP), "1 file not of the data set"),
        (lambda manifest: manifest["files"].pop("days.parquet"), "does not name days.parquet"),
        (lambda manifest: manifest["files"].update({ROLLUP: {}}), f"does not describe {ROLLUP}"),
        (lambda manifest: manifest.pop("totals"), "missing required field `totals`"),
    ],
)
def test_a_manifest_that_was_edited_is_named(dest: Path, change: Change, fault: str) -> None:
    edit_manifest(dest, change)
    code, faults, _ = checked(dest)
    assert code == 1
    assert any(fault in found for found in faults)


def test_a_manifest_that_is_none_is_named(dest: Path) -> None:
    (dest / "manifest.json").write_text("{")
    code, [fault], _ = checked(dest)
    assert code == 1
    assert "is not a manifest" in fault


def test_a_run_that_was_interrupted_is_named(dest: Path) -> None:
    (dest / ".daskbinder").mkdir()
    code, [fault], _ = checked(dest)
    assert code == 1
    assert fault.startswith(f"{dest}/.daskbinder is of a run that was interrupted")
    (dest / "manifest.json").unlink()
    code, faults, _ = checked(dest)
    assert code == 1
    assert len(faults) == 2


def test_a_folder_without_a_data_set_is_bad_usage(tmp_path: Path, finished: Path) -> None:
    for words in (
        [tmp_path],
        [tmp_path / "none"],
        [],
        [finished, tmp_path / "none"],
        [finished, "--start", "2021-01-01"],
    ):
        assert checked(*words)[0] == 2


def test_a_check_writes_nothing(finished: Path, source: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    checked(finished, source)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


# The source -------------------------------------------------------------------------------------


def test_an_archive_that_stood_still_passes(dest: Path, archive: Path) -> None:
    assert checked(dest, archive)[:2] == (0, [])


def test_days_of_the_source_that_differ_are_named(dest: Path, archive: Path) -> None:
    (archive / "events-2021-02-28.jsonl").write_bytes(b"")
    (archive / "events-2021-02-26.jsonl").unlink()
    path = archive / "events-2021-03-01.jsonl"
    path.write_bytes(path.read_bytes().replace(b"GitHub", b"GitLab"))
    code, faults, _ = checked(dest, archive)
    assert code == 1
    assert faults == [
        f"1 day (2021-02-28) new in {archive}; run again",
        f"1 day (2021-02-26) gone in {archive}; run again",
        f"1 day (2021-03-01) changed in {archive}; run again",
    ]
    assert checked(dest, archive, "--start", "2021-03-02")[:2] == (0, [])


def test_another_copy_of_the_source_is_compared_by_size(
    finished: Path, source: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in source.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert checked(finished, copy)[:2] == (0, [])
    with (copy / "events-2021-03-01.jsonl").open("ab") as file:
        file.write(b"\n")
    assert checked(finished, copy)[:2] == (1, [f"1 day (2021-03-01) changed in {copy}; run again"])


def test_the_command_ends_with_its_code(dest: Path) -> None:
    assert command("check", dest).returncode == 0
    (dest / ROLLUP).unlink()
    assert command("check", dest).returncode == 1

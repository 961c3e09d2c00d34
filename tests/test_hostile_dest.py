"""What lies in DEST is input: nothing outside it is touched, whatever stands in it.

``DASKBINDER_HOSTILE`` says how many hostile manifests, targets and receipts are drawn of each kind.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from distributed import Client, default_client
from hypothesis import given, settings
from hypothesis import strategies as st

import daskbinder as db
from conftest import MakeArchive, MakeLaunch, Report, needs
from daskbinder.cli import main
from daskbinder.dataset.layout import is_output
from daskbinder.model.windows import GRAINS, KINDS, window_of
from daskbinder.pipeline import run as job
from support import runs
from support.commands import command
from support.disk import wait_for_threads

HOSTILE = int(os.environ.get("DASKBINDER_HOSTILE", "25"))
VICTIM = "victim/precious.txt"
run = partial(runs.run, windows=["monthly"], grains=["day"])
Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def archive(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    return make_archive({f"2021-03-0{i}": [launch(f"2021-03-0{i}T10:00")] for i in (1, 2)})


@pytest.fixture(scope="module")
def finished(archive: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("finished") / "dest"
    run(archive, dest)
    return dest


@pytest.fixture
def world(finished: Path) -> Iterator[Path]:
    with new_world(finished) as root:
        yield root


class new_world:
    """A folder that holds a data set and, beside it, what must not be touched."""

    def __init__(self, finished: Path) -> None:
        self.finished = finished

    def __enter__(self) -> Path:
        self.root = Path(tempfile.mkdtemp(prefix="world-"))
        shutil.copytree(self.finished, self.root / "dest")
        (self.root / "victim").mkdir()
        for name in (VICTIM, "victim/.daskbinder-0123456789abcdef", "victim/a.json"):
            (self.root / name).write_text("precious")
        return self.root

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root)


def tree(root: Path) -> dict[str, Any]:
    """All that is below a folder: bytes of files, targets of links, kinds of the rest."""
    found: dict[str, Any] = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes(), path.stat().st_mtime_ns
        else:
            found[name] = path.lstat().st_mode
    return found


def refused(archive: Path, dest: Path, **options: Any) -> str:
    """Run, and return the sentence in which it was refused; empty if it went well."""
    said = ""
    try:
        run(archive, dest, **options)
    except (db.InputError, db.JobError) as error:
        said = str(error)
    wait_for_threads(default_client())
    assert "\n" not in said
    return said


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_bytes())
    path.write_text(json.dumps(change(value) or value))


# Names -------------------------------------------------------------------------------------------


PARTS = st.lists(st.sampled_from(["..", ".", "", "rollups", "daily", "by-day", "x"]))


@given(st.text() | PARTS.map("/".join))
def test_no_name_of_the_layout_leads_anywhere_else(name: str) -> None:
    if is_output(name):
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert parts[0] in {
            *("rollups", "federation", "repositories", "days.parquet", "rejects.parquet"),
            *KINDS,
        }


@given(st.dates(date(1000, 1, 8), date(9999, 12, 20)), st.sampled_from(KINDS))
def test_every_name_that_is_made_is_recognised(day: date, kind: str) -> None:
    from daskbinder.dataset.layout import notebook_name, repositories_name, rollup_name

    for grain in GRAINS:
        assert is_output(rollup_name(window_of(kind, day), grain))
        assert is_output(notebook_name(window_of(kind, day, labels="notebook"), grain))
    assert is_output(repositories_name(window_of("monthly", day)))


BAD_NAMES = st.sampled_from(
    [
        *(f"../{VICTIM}", f"rollups/../../{VICTIM}", "victim", "", ".", "..", ".daskbinder/lock"),
        *("manifest.json", "days.parquet/", "./days.parquet", "rollups//daily", "\ud800", "\x1b"),
        *("rollups/daily/by-day/2021-02-30.parquet", "rollups/monthly/by-day/x/../2021-03.parquet"),
    ]
) | st.text().filter(lambda name: not is_output(name))


def put_in_manifest(dest: Path, name: str) -> None:
    def change(manifest: Any) -> None:
        manifest["files"][name] = manifest["files"]["days.parquet"]

    edit(dest / "manifest.json", change)


def put_in_target(field: str) -> Callable[[Path, str], None]:
    def put(dest: Path, name: str) -> None:
        (dest / ".daskbinder").mkdir()
        target = {"token": "x", "names": [], "left": [], "anew": False} | {field: [name]}
        (dest / ".daskbinder/target.json").write_text(json.dumps(target))

    return put


PLACES = {
    "the manifest": put_in_manifest,
    "the names of a target": put_in_target("names"),
    "what a target has left": put_in_target("left"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_name_that_no_run_writes_ends_the_command_and_nothing_is_touched(
    place: str, archive: Path, finished: Path, client: Client, report: Report
) -> None:
    drawn = 0

    @settings(max_examples=HOSTILE)
    @given(BAD_NAMES, st.booleans(), st.booleans())
    def check(name: str, full: bool, absolute: bool) -> None:
        nonlocal drawn
        drawn += 1
        with new_world(finished) as root:
            named = str(root / VICTIM) if absolute else name
            PLACES[place](root / "dest", named)
            before = tree(root)
            said = refused(archive, root / "dest", full=full)
            # text with half a pair is no JSON: what is no manifest can be replaced
            assert said or (full and "\ud800" in named) or place != "the manifest"
            if said:
                assert tree(root) == before
            for kept in (VICTIM, "victim/a.json"):
                assert (root / kept).read_text() == "precious"

    check()
    report(f"{drawn} hostile names in {place}: nothing outside DEST was touched")


def test_a_receipt_that_names_another_file_ends_the_command(
    archive: Path, client: Client, world: Path
) -> None:
    dest = world / "fresh"

    def leave(receipt: str) -> None:
        """Leave what a run would that was killed when it had written its rollups."""
        shutil.rmtree(dest, ignore_errors=True)
        plan = db.plan(db.Archive(archive), dest, windows=["monthly"], grains=["day"])
        task = str(plan.outputs.rollups[0].key).rpartition("-")[0]
        (dest / ".daskbinder/done").mkdir(parents=True)
        target = {"token": plan.token, "names": [], "left": [], "anew": True}
        (dest / ".daskbinder/target.json").write_text(json.dumps(target))
        (dest / f".daskbinder/done/{task}.json").write_text(receipt)

    written = {f"../{VICTIM}": {"bytes": 8, "rows": 1, "n": 1, "crc32": 1}}
    leave(json.dumps({"written": written}))
    before = tree(world)
    assert "'../victim/precious.txt', which is no file of a data set" in refused(archive, dest)
    assert tree(world) == before
    hours = '{"members": {"members": ["a"], "hour": 1, "member": "x", "n": {}, "unknown": []}}'
    wrong = '{"written": {"days.parquet": 1}}'
    for body in ("", "{", "[1]", '{"written": 3}', wrong, "[" * 5000, hours):
        leave(body)
        assert refused(archive, dest) == ""
        assert db.check(dest, archive).ok


@pytest.fixture(scope="module")
def interrupted(archive: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that was killed just before it wrote its manifest."""
    dest = tmp_path_factory.mktemp("interrupted") / "dest"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "write_manifest", kill)
        with pytest.raises(db.JobError, match="killed"):
            run(archive, dest)
    return dest


def kill(*_: object) -> None:
    raise db.JobError("killed")


def test_receipts_are_of_their_kind_and_a_full_run_takes_none(
    archive: Path, interrupted: Path, tmp_path: Path, report: Report
) -> None:
    # a receipt holds for the place that it was made for
    dest, saved = interrupted, shutil.copytree(interrupted, tmp_path / "saved")
    receipts = {
        path.name: json.loads(path.read_bytes())
        for path in sorted(saved.glob(".daskbinder/done/*"))
    }
    kinds = {
        kind: receipt
        for receipt in receipts.values()
        for kind in ("written", "members", "tallies")
        if kind in receipt
    }
    assert len(kinds) == 3
    own = {kind: next(n for n, r in receipts.items() if kind in r) for kind in kinds}
    members, tallies = kinds["members"]["members"], kinds["tallies"]["tallies"]
    (part, tally), *others = tallies
    hostile = [
        *kinds.values(),
        {"members": members | {"hour": members["hour"][1:]}},
        {"members": members | {"members": []}},
        {"members": members | {"member": [-1 for _ in members["member"]]}},
        {"members": members | {"n": [-5 for _ in members["n"]]}},
        {"members": members | {"n": [[n] for n in members["n"]]}},
        {"tallies": []},
        {"tallies": others},
        {"tallies": [[part, tally | {"accepted": -5}], *others]},
        {"tallies": [[part, tally | {"accepted": 1000}], *others]},
        {"tallies": [[part, tally | {"physical": 10**30}], *others]},
        {"written": {}, "members": members, "tallies": tallies},
    ]
    seen: Counter[str] = Counter()
    for name in own.values():  # a task of each
        for told in hostile:
            receipt = {"task": name.removesuffix(".json")} | told
            shutil.rmtree(dest)
            shutil.copytree(saved, dest)
            (dest / ".daskbinder/done" / name).write_text(json.dumps(receipt))
            if told.get("written") != {}:  # a forgery that nobody can tell from a true one
                run(archive, dest)
                assert db.check(dest, archive).ok, (name, receipt)
                seen["done again"] += 1
            else:
                refused(archive, dest)
            run(archive, dest, full=True)
            assert db.check(dest, archive).ok, (name, receipt)
            seen["put right by a full run"] += 1
    kinds_seen = ", ".join(f"{n:,} {what}" for what, n in sorted(seen.items()))
    report(f"hostile receipts: {kinds_seen}")


# Links, mounts and what is no file --------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    "link",
    ["rollups", "rollups/monthly/by-day", "federation", ".daskbinder", ".daskbinder/done"],
)
def test_nothing_is_written_or_removed_through_a_link(
    link: str, full: bool, world: Path, launch: MakeLaunch, archive: Path, client: Client
) -> None:
    more = Path(shutil.copytree(archive, world / "archive"))
    (more / "events-2021-03-03.jsonl").write_text(json.dumps(launch("2021-03-03T10:00")) + "\n")
    path = world / "dest" / link
    if path.exists():
        shutil.copytree(path, world / "victim", dirs_exist_ok=True)
        shutil.rmtree(path)
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(world / "victim")
    before = tree(world / "victim")
    said = refused(more, world / "dest", full=full)
    assert f"{path} is a link, and nothing is written or removed through one" in said
    assert tree(world / "victim") == before


@needs("mount")
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_nothing_is_written_through_a_mount(
    kind: str, world: Path, archive: Path, client: Client
) -> None:
    path = world / "dest/rollups"
    what = ["--bind", world / "victim"] if kind == "bind" else ["-t", "tmpfs", "none"]
    done = subprocess.run(["mount", *map(str, what), str(path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("may not mount")
    try:
        before = tree(world / "victim")
        assert f"{path} is a mount" in refused(archive, world / "dest", full=True)
        assert tree(world / "victim") == before
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_only_files_this_program_was_writing_are_swept(
    world: Path, archive: Path, client: Client
) -> None:
    dest = world / "dest"
    ours = [".daskbinder-0123456789abcdef", "rollups/monthly/by-day/.daskbinder-00000000deadbeef"]
    theirs = [".daskbinder-notes", "photos/.daskbinder-0123456789abcdef", ".daskbinder-0123"]
    (dest / "photos").mkdir()
    (dest / "rollups/monthly/.daskbinder-0123456789abcdef").mkdir()
    for name in (*ours, *theirs):
        (dest / name).write_text("x")
    run(archive, dest, full=True)
    assert [name for name in (*ours, *theirs) if (dest / name).exists()] == theirs
    assert (dest / "rollups/monthly/.daskbinder-0123456789abcdef").is_dir()


def without_columns(table: pa.Table) -> pa.Table:
    return table.drop_columns([table.column_names[0]])


def of_other_types(table: pa.Table) -> pa.Table:
    return pa.table({name: pa.array(["<script>"] * len(table)) for name in table.column_names})


def with_nulls(table: pa.Table) -> pa.Table:
    types = {field.name: field.type for field in table.schema}
    return pa.table({name: pa.nulls(len(table), kind) for name, kind in types.items()})


TABLES = {
    "no table": None,
    "a column less": without_columns,
    "other types": of_other_types,
    "nulls": with_nulls,
}


@pytest.fixture(scope="module")
def whole(archive: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("whole") / "dest"
    db.run(db.plan(db.Archive(archive), dest))
    return dest


@pytest.mark.parametrize("shape", TABLES)
def test_a_table_of_others_that_the_manifest_vouches_for_is_a_sentence(
    whole: Path, archive: Path, tmp_path: Path, shape: str
) -> None:
    names = sorted(json.loads((whole / "manifest.json").read_bytes())["files"])
    names = [name for name in names if "rollups" not in name or "weekly/by-day" in name]
    ended: Counter[int] = Counter()
    for name in names:
        dest = tmp_path / name.replace("/", "-")
        shutil.copytree(whole, dest)
        vouch_for(dest, name, spoilt(dest / name, TABLES[shape]))
        if shape != "nulls" or pq.read_metadata(dest / name).num_rows:
            assert any(fault.startswith(f"{name} ") for fault in db.check(dest).faults)
        for words in (
            *(["top", dest, "--by", by] for by in ("member", "ref", "origin")),
            ["repo", dest, "ipython/ipython-in-depth"],
            ["info", dest],
            ["report", dest, "-o", dest / "report.html"],
            ["export", dest, dest / "site", "--least", "1"],
            ["run", archive, dest],
        ):
            told = CliRunner().invoke(main, list(map(str, words)))
            assert told.exception is None or isinstance(told.exception, SystemExit), (name, words)
            if told.exit_code:
                last = told.stderr.splitlines()[-1]
                assert f"{dest}/{name} " in last, last
                assert last.endswith("; run again with --full"), last
            ended[told.exit_code] += 1
    assert ended[2] >= len(names)
    db.run(db.plan(db.Archive(archive), dest, full=True))
    assert db.check(dest).ok


def spoilt(path: Path, change: Callable[[pa.Table], pa.Table] | None) -> bytes:
    if change is None:
        return b"PAR1 and no more PAR1"
    sink = io.BytesIO()
    pq.write_table(change(pq.read_table(path)), sink)
    return sink.getvalue()


def vouch_for(dest: Path, name: str, data: bytes) -> None:
    """Put other bytes in place of a file, and let the manifest vouch for them."""
    (dest / name).write_bytes(data)
    manifest = json.loads((dest / "manifest.json").read_bytes())
    manifest["files"][name] |= {"bytes": len(data), "crc32": zlib.crc32(data)}
    (dest / "manifest.json").write_text(json.dumps(manifest))


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_folder(path: Path) -> None:
    path.mkdir()


KINDS_OF_FILE = {
    "FIFO": put_fifo,
    "socket": put_socket,
    "device": put_device,
    "folder": put_folder,
}


@pytest.mark.parametrize("kind", KINDS_OF_FILE)
@pytest.mark.parametrize(
    "name",
    ["manifest.json", "days.parquet", ".daskbinder/target.json", ".daskbinder/lock"],
)
def test_what_is_no_file_in_dest_is_a_sentence(
    kind: str, name: str, world: Path, archive: Path, client: Client
) -> None:
    path = world / "dest" / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    KINDS_OF_FILE[kind](path)
    said = refused(archive, world / "dest")
    if name == "days.parquet" and not said:  # as good as gone, and written again
        assert path.is_file()
        return
    what = "link" if (kind, name) == ("device", ".daskbinder/lock") else kind
    assert f"{name} is a {what}, not a file" in said


@pytest.mark.parametrize("kind", KINDS_OF_FILE)
@pytest.mark.parametrize("name", ["events-2021-03-02.jsonl", "index.jsonl"])
def test_what_is_no_file_in_the_archive_is_a_sentence(
    kind: str, name: str, world: Path, archive: Path, client: Client
) -> None:
    copy = Path(shutil.copytree(archive, world / "archive"))
    (copy / name).unlink(missing_ok=True)
    KINDS_OF_FILE[kind](copy / name)
    assert f"{copy}/{name} is a {kind}, not a" in refused(copy, world / "new")


def test_commands_end_with_two_and_one_line(world: Path, archive: Path) -> None:
    dest = world / "dest"
    manifest = dest / "manifest.json"
    whole = manifest.read_bytes()
    manifest.unlink()
    put_fifo(manifest)
    for words in (["run", archive, dest], ["info", dest], ["top", dest], ["check", dest]):
        ended = command(*words)
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
        assert "is a FIFO, not a file" in ended.stderr
    manifest.unlink()
    manifest.write_bytes(whole)
    put_in_manifest(dest, "a\x1b[2J")
    for words in (["run", archive, dest], ["info", dest], ["top", dest], ["check", dest]):
        ended = command(*words)
        assert ended.returncode == (1 if words[0] == "check" else 2)
        assert "\x1b" not in ended.stdout + ended.stderr
        assert "which is no file of a data set" in ended.stdout + ended.stderr


# Manifests ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'{"name": "My app", "icons": []}', b"\xff\xfe", b"[" * 9999),
        *(b'{"files": {}}', b'{"files": {"days.parquet": 3}}', b'{"files": []}'),
    ],
)
def test_a_broken_manifest_is_replaced_by_a_full_run(
    body: bytes, world: Path, archive: Path, finished: Path, client: Client
) -> None:
    dest = world / "dest"
    (dest / "manifest.json").write_bytes(body)
    before = tree(world)
    assert refused(archive, dest).endswith("run again with --full")
    assert tree(world) == before
    assert refused(archive, dest, full=True) == ""
    assert db.check(dest, archive).ok
    names = db.open(finished).manifest["files"]
    assert all((dest / name).read_bytes() == (finished / name).read_bytes() for name in names)


def test_a_manifest_of_a_newer_format_is_left_alone(
    world: Path, archive: Path, client: Client
) -> None:
    dest = world / "dest"

    def change(manifest: Any) -> None:
        manifest["options"]["format"] = 99
        manifest["files"]["shards/new.parquet"] = {}

    edit(dest / "manifest.json", change)
    before = tree(world)
    for full in (False, True):
        assert "has format 99, and this daskbinder knows" in refused(archive, dest, full=full)
    with pytest.raises(db.InputError, match="has format 99"):
        db.open(dest)
    assert tree(world) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_any_change_of_a_manifest_is_a_sentence_or_a_right_result(
    archive: Path, finished: Path, client: Client, report: Report
) -> None:
    said: list[str] = []
    parts = sorted(json.loads((finished / "manifest.json").read_bytes()))

    @settings(max_examples=2 * HOSTILE)
    @given(st.sampled_from(parts), JSON)
    def check(part: str, value: Any) -> None:
        with new_world(finished) as root:
            dest = root / "dest"
            edit(dest / "manifest.json", lambda manifest: manifest.update({part: value}))
            said.append(refused(archive, dest))
            if said[-1]:
                assert refused(archive, dest, full=True) == "" or " names " in said[-1]
            assert (root / VICTIM).read_text() == "precious"

    check()
    report(f"{len(said)} manifests with a part changed: {sum(map(bool, said))} refused")


# Export ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "body"),
    [("index.json", "{}"), ("index.json", "<html>"), ("totals.json", "{}"), ("repos", None)],
)
def test_what_others_have_where_an_export_would_be_stays(
    name: str, body: str | None, world: Path
) -> None:
    out = world / "site"
    out.mkdir()
    if body is None:
        (out / name).symlink_to(world / "victim")
    else:
        (out / name).write_text(body)
    before = tree(world)
    ended = command("export", world / "dest", out, "--least", "1")
    assert ended.returncode == 2
    assert f"{out}/{name} is not from an earlier export" in ended.stderr
    assert tree(world) == before


def test_an_export_never_follows_a_link(world: Path) -> None:
    out = world / "site"
    assert command("export", world / "dest", out, "--least", "1").returncode == 0
    shutil.rmtree(out / "repos")
    (out / "repos").symlink_to(world / "victim")
    before = tree(world / "victim")
    ended = command("export", world / "dest", out, "--least", "1")
    assert ended.returncode == 2
    assert f"{out}/repos is a link" in ended.stderr
    assert tree(world / "victim") == before


def test_a_first_export_that_was_killed_is_finished_by_the_next(world: Path) -> None:
    out, whole = world / "site", world / "whole"
    for where in (out, whole):
        assert command("export", world / "dest", where, "--least", "1").returncode == 0
    edit(out / "index.json", lambda index: index.update(unfinished=True))
    (out / "totals.json").unlink()
    assert command("export", world / "dest", out, "--least", "1").returncode == 0
    assert {name: body[0] for name, body in tree(out).items() if isinstance(body, tuple)} == {
        name: body[0] for name, body in tree(whole).items() if isinstance(body, tuple)
    }

"""Names that strangers made up: data keep them as they are, and people can look at them."""

import csv
import io
import json
import os
import pty
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from hypothesis import given
from hypothesis import strategies as st

import daskbinder as db
from conftest import MakeArchive, MakeLaunch, Report
from daskbinder.model.hub import MYBINDER
from daskbinder.text import EMPTY, readable, visible
from support import commands
from support.names import LONG, NAMES, count, events

command = partial(commands.command, COLUMNS="400", PYTHONUTF8="1")
STEERS = "\x1b[2J\x1b]0;pwned\x07\x9b31m\u202e\u2066\u200f\u2028\r\x08"


@pytest.fixture(scope="module")
def archive(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    return make_archive(dict(events(launch)))


@pytest.fixture(scope="module")
def dest(archive: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return count(archive, tmp_path_factory.mktemp("names") / "dest", client, MYBINDER)


def unseen(text: str) -> set[str]:
    """Signs in an output that steer a terminal or do not show."""
    return {sign for sign in text if not sign.isprintable() and sign != "\n"} | {
        sign for sign in "\u3164" if sign in text
    }


# Text --------------------------------------------------------------------------------------------


@given(st.text() | st.sampled_from(NAMES), st.integers(12, 300))
def test_whatever_is_shown_is_one_line_that_can_be_seen(text: str, longest: int) -> None:
    shown = readable(text, longest)
    assert shown.strip()
    assert len(shown) <= longest
    assert not unseen(shown + visible(text))
    assert visible(shown) == shown


@pytest.mark.parametrize("name", ["jupyter/nbviewer", "été/ünï", "名/前", "a b", "\\n", "😀"])
def test_an_ordinary_name_is_shown_as_it_is(name: str) -> None:
    assert readable(name, 44) == visible(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", EMPTY),
        ("  ", EMPTY),
        ("a\x1b[2J", "a\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj", "\\u202egpj"),
        ("a\r\nb", "a\\r\\nb"),
        ("\ud800", "\\ud800"),
        ("\u3164", "\\u3164"),
        ("\U000e0041", "\\U000e0041"),
        ("x" * 10_000, "x" * 43 + "…"),
    ],
)
def test_what_does_not_show_is_written_out(name: str, shown: str) -> None:
    assert readable(name, 44) == shown


# Data --------------------------------------------------------------------------------------------


def test_rollups_keep_every_name(dest: Path) -> None:
    rows = db.open(dest).load("monthly", by="day")
    assert set(rows["origin"]) == set(NAMES)
    assert set(rows["provider"]) == {*NAMES, "GitHub"}
    assert {name for name in NAMES if name.strip()} <= set(
        map(str, db.open(dest).federation("day", wide=True))
    )


def test_an_export_keeps_every_name(dest: Path, tmp_path: Path, report: Report) -> None:
    ended = command("export", dest, tmp_path / "site", "--least", 1)
    assert ended.returncode == 0, ended.stderr
    known = {str(name): n for name, n in db.open(dest).federation("day", wide=True).sum().items()}
    members = json.loads((tmp_path / "site/members.json").read_bytes())
    assert members.keys() == {name for name, n in known.items() if n}
    assert {name: entry["launches"] for name, entry in members.items()} == {
        name: n for name, n in known.items() if n
    }
    totals = json.loads((tmp_path / "site/totals.json").read_bytes())
    assert totals["by_provider"].keys() == {*NAMES, "GitHub"}
    index = json.loads((tmp_path / "site/index.json").read_bytes())
    for _, _, n, path in (*index["repositories"], *index["organisations"]):
        assert json.loads((tmp_path / "site" / path).read_bytes())["launches"] == n
    (dot,) = {path.resolve() for path in tmp_path.iterdir()}
    assert dot == (tmp_path / "site").resolve()
    report(f"{len(NAMES)} hostile names as hosts, members, providers, owners and specs: none lost")


BY = ["repo", "org", "provider", "member", "origin", "ref"]


@pytest.mark.parametrize("by", BY)
def test_programs_are_given_every_name(by: str, dest: Path) -> None:
    rows = json.loads(command("top", dest, "--by", by, "-n", 10_000, "--json").stdout)["rows"]
    text = command("top", dest, "--by", by, "-n", 10_000, "--csv").stdout
    header, *cells = csv.reader(io.StringIO(text, newline=""))
    names = header[:-2]
    wanted = [["" if row[name] is None else row[name] for name in names] for row in rows]
    assert [[cell.replace("'", "") for cell in row[: len(names)]] for row in cells] == [
        [cell.replace("'", "") for cell in row] for row in wanted
    ]
    if by in ("provider", "origin"):
        assert {row[names[0]] for row in rows} - {"GitHub"} == set(NAMES)


# A terminal --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *(["top", "DEST", "--by", by, "-n", "10000"] for by in BY),
        *(["members", "DEST"], ["info", "DEST"], ["check", "DEST"]),
        *(
            ["repo", "DEST", name, "--provider", name]
            for name in ("constructor", "\x1b[2J\x1b]0;pwned\x07")
        ),
    ],
    ids=lambda words: " ".join(words)[:30].encode("unicode_escape").decode(),
)
def test_a_terminal_shows_names_and_obeys_none(words: list[str], dest: Path) -> None:
    ended = command(*(dest if word == "DEST" else word for word in words))
    assert ended.returncode == 0, ended.stderr
    assert not unseen(ended.stdout + ended.stderr)
    assert max(map(len, ended.stdout.splitlines())) <= 1000
    if words[-2:] == ["-n", "10000"] and words[3] in ("provider", "member"):
        assert EMPTY in ended.stdout or words[3] == "member"
        for name in (readable(name, 200) for name in NAMES if name.strip()):
            assert name in ended.stdout


def test_csv_is_as_safe_on_a_terminal(dest: Path) -> None:
    ours, theirs = pty.openpty()
    words = [*commands.PROGRAM, "top", str(dest), "--by", "origin", "--csv", "-n", "20"]
    with subprocess.Popen(words, stdout=theirs, env=commands.environment()) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 1 << 16):
                said += part
        except OSError:  # the other end is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert not unseen(said.decode().replace("\r\n", "\n"))


def test_a_run_says_names_and_obeys_none(archive: Path, tmp_path: Path) -> None:
    ended = command("run", "-vv", archive, tmp_path / "out", "--window", "monthly")
    assert ended.returncode == 0, ended.stderr
    assert "unknown hosts: " in ended.stdout
    assert not unseen(ended.stdout + ended.stderr)


def change_options(manifest: Any) -> None:
    manifest["options"]["windows"] = [STEERS]


def change_totals(manifest: Any) -> None:
    manifest["totals"]["reasons"] = {STEERS: 3}


def change_text(manifest: Any) -> None:
    manifest["source"] = manifest["instance"] = manifest["daskbinder"] = STEERS
    manifest["lost"] = {STEERS: STEERS}
    manifest["unknown_origins"] = [STEERS]


def change_files(manifest: Any) -> None:
    manifest["files"][STEERS] = manifest["files"]["days.parquet"]


@pytest.mark.parametrize("change", [change_options, change_totals, change_text, change_files])
def test_a_manifest_of_a_stranger_steers_no_terminal(
    change: Any, dest: Path, archive: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "dest"
    subprocess.run(["cp", "-r", dest, copy], check=True)
    manifest = json.loads((copy / "manifest.json").read_bytes())
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    told = ""
    for words in (
        *(["info", copy], ["check", copy], ["check", copy, archive], ["top", copy]),
        *(["demo", tmp_path], ["run", archive, copy, "--dry-run"]),
    ):
        ended = command(*words)
        assert "Traceback" not in ended.stderr
        assert not unseen(ended.stdout + ended.stderr)
        told += ended.stdout + ended.stderr
    assert re.search(r"\\x1b\[2J", told)


def test_a_file_of_a_stranger_steers_no_terminal(tmp_path: Path) -> None:
    name = STEERS.replace("/", "")
    (tmp_path / name).write_text("a: [")
    ended = command("info", tmp_path / name)
    assert ended.returncode
    assert "\\x1b[2J" in ended.stderr
    assert not unseen(ended.stdout + ended.stderr)
    ended = command("info", tmp_path, name)
    assert ended.returncode == 2
    assert not unseen(ended.stdout + ended.stderr)


def test_long_names_are_cut_for_people_alone(dest: Path) -> None:
    said = command("top", dest, "--by", "provider", "-n", 10_000).stdout
    assert LONG[0] not in said
    assert f"{LONG[0][:199]}…" in said

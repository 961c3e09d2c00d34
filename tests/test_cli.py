"""The command line end to end: what it shows, how it stops, how it fails."""

import contextlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder.counting.kernel import COMPILED_FROM, load_compiled
from support.commands import PROGRAM, ROOT, command, environment, python, start


def sentence(ended: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the one sentence that a command ended with, but for the lines of progress."""
    assert ended.returncode == code, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if "% read" not in line]
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("daskbinder: ")
    return lines[0].removeprefix("daskbinder: ")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "archive"
    db.write_sample(folder, days=60, events_per_day=20_000)
    load_compiled(COMPILED_FROM, print)  # so that no run has to compile
    return folder


@pytest.fixture(scope="module")
def small(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    return make_archive(
        {"2021-03-04": [launch(), b"x"], "2021-03-06": [launch("2021-03-06T09:00")]}
    )


# Help and output ----------------------------------------------------------------------------------


def test_help_of_every_command_reads_well() -> None:
    shown = command("--help").stdout
    assert "Count every launch on mybinder.org." in shown
    for name in re.findall(r"^  (\w+)  ", shown.partition("Commands:")[2], re.MULTILINE):
        text = command(name, "--help").stdout
        assert text.startswith("Usage: ")
        for option in re.findall(r"^  (--[a-z-]+)", text, re.MULTILINE):
            after = text.partition(f"  {option} ")[2]
            described = re.match(r"[^\n]*  \S|[^\n]*\n {10,}\S", after)
            assert described, f"{name} {option} has no description"


def test_the_summary_has_all_figures(small: Path, tmp_path: Path) -> None:
    ended = command("run", small, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    rows = dict(re.findall(r"^ *([\w/ -]*[\w/-])  +([\d,.]+) *$", ended.stdout, re.MULTILINE))
    expected = {
        "days": "2",
        "days missing": "1",
        "launches": "2",
        "lines rejected": "1",
        "not-json": "1",
        "index mismatches": "0",
    }
    assert expected.items() <= rows.items()
    assert {"seconds", "MB/s", "launches/s"} <= set(rows)
    assert re.search(r"100% read, 2 launches, [\d,]+ MB/s", ended.stderr)


_FRAME_AFTER_A_RUN = """
import sys
from daskbinder.cli import main
main(["run", *sys.argv[1:]], standalone_mode=False)
assert "pyarrow" in sys.modules and "pandas" not in sys.modules
import daskbinder
frame = daskbinder.open(sys.argv[2]).load("daily", by="hour")
import pandas, pyarrow
assert pyarrow.array(pandas.Series([1.0, None])).null_count == 1
print("launches in the frame:", frame["n"].sum())
"""


def test_a_run_spares_pandas_and_what_comes_after_has_it(small: Path, tmp_path: Path) -> None:
    ended = python(_FRAME_AFTER_A_RUN, small, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert "launches in the frame: 2" in ended.stdout


def test_a_terminal_gets_a_bar(small: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "run", str(small), str(tmp_path / "out")],
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env=environment(TERM="xterm"),
    )
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 65_536)
        except OSError:  # how Linux says that the other end is closed
            break
    os.close(ours)
    assert process.wait(30) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert re.search(r"counting .*100% 2 launches [\d,]+ MB/s [\d:-]+", text)
    assert "% read" not in text


def test_the_dashboard_is_told_and_is_on_loopback(small: Path, tmp_path: Path) -> None:
    for workers in ([], ["--workers", 2]):
        ended = command("run", small, tmp_path / "out", "--dashboard", *workers)
        assert re.search(
            r"^daskbinder: dashboard: http://127\.0\.0\.1:\d+/status$", ended.stderr, re.MULTILINE
        )


# Stopping -----------------------------------------------------------------------------------------


def left_by(dest: Path) -> list[str]:
    """Temporary files; what a next run takes up lies in a folder of its own."""
    return [str(path) for path in dest.rglob(".*") if path.name != ".daskbinder"]


@pytest.mark.parametrize(
    ("when", "workers", "whole_terminal"),
    [
        ("starting", 1, True),
        ("starting", 2, True),
        ("counting", 1, True),
        ("counting", 2, True),
        ("counting", 2, False),
    ],
)
def test_ctrl_c_stops_and_running_again_finishes(
    sample: Path, tmp_path: Path, when: str, workers: int, whole_terminal: bool
) -> None:
    dest = tmp_path / "out"
    words = ["run", str(sample), str(dest), "--blocksize", "2MiB", "--workers", str(workers)]
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(PYTHONUNBUFFERED="1"),
        start_new_session=True,
    )
    assert process.stderr is not None
    if when == "counting":
        assert "% read" in process.stderr.readline()
    else:
        time.sleep(1.0)
    if whole_terminal:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    lines = [line for line in err.splitlines() if "% read" not in line]
    assert lines == ["daskbinder: stopped; run again to finish"]
    assert not out
    assert not (dest / "manifest.json").exists()
    assert not left_by(dest)
    if when == "counting" and workers == 1:
        assert command(*words).returncode == 0
        assert db.open(str(dest)).manifest["totals"]["files"] == 59


def test_a_read_that_never_ends_does_not_hold_up_ctrl_c(tmp_path: Path, small: Path) -> None:
    code = f"""
import time
from daskbinder import cli
from daskbinder.pipeline import counting_tasks
def count_block(*_):
    print("reading", flush=True)
    time.sleep(60)
counting_tasks.count_block = count_block
cli.main(["run", {str(small)!r}, {str(tmp_path / "out")!r}])
"""
    process = start(sys.executable, "-c", code)
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "daskbinder: stopped; run again to finish\n"


# Failing ------------------------------------------------------------------------------------------


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 64 KiB, if this user may mount one."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence(sample: Path, full: Path) -> None:
    ended = command("run", sample, full / "out", "--end", "2021-03-01")
    assert "No space left on device" in sentence(ended, 1)
    assert not left_by(full)


@pytest.mark.parametrize("state", ["full", "read-only"])
def test_a_data_set_outlives_a_disk_that_takes_nothing(
    small: Path, full: Path, tmp_path: Path, state: str
) -> None:
    dest, source = full / "out", tmp_path / "source"
    shutil.copytree(small, source)
    subprocess.run(["mount", "-o", "remount,size=4m", full], check=True)
    db.run(db.plan(db.Archive(source), dest))
    before = {path: path.read_bytes() for path in dest.rglob("*") if path.is_file()}
    last = max(source.glob("events-*"))
    last.write_bytes(last.read_bytes() * 2)

    if state == "full":
        with (full / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 512):
                pass
    else:
        subprocess.run(["mount", "-o", "remount,ro", full], check=True)
    said = sentence(command("run", source, dest), 1)
    assert {"full": "No space left", "read-only": "Read-only file system"}[state] in said
    assert {path: path.read_bytes() for path in dest.rglob("*") if path.is_file()} == before
    assert db.open(str(dest)).load("monthly", by="day")["n"].sum() > 0

    subprocess.run(["mount", "-o", "remount,rw", full], check=True)
    (full / "filler").unlink(missing_ok=True)
    db.run(db.plan(db.Archive(source), dest))
    assert db.check(str(dest), str(source)).ok


def test_a_dest_below_a_file_is_one_sentence(small: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "Not a directory" in sentence(command("run", small, tmp_path / "file" / "out"), 1)


@pytest.mark.parametrize("words", [["demo"], ["sync", "ARCHIVE"]])
@pytest.mark.parametrize("name", ["file", "file/folder"])
def test_a_folder_where_a_file_is_is_one_sentence(
    small: Path, tmp_path: Path, words: list[str], name: str
) -> None:
    (tmp_path / "file").write_text("kept")
    given = [small if word == "ARCHIVE" else word for word in words]
    said = sentence(command(*given, tmp_path / name), 2)
    assert said == f"{tmp_path / name} cannot be a folder, a file is in the way; name another"
    assert (tmp_path / "file").read_text() == "kept"


def test_a_dest_that_cannot_be_made_is_one_sentence(small: Path) -> None:
    said = sentence(command("run", small, "/proc/daskbinder"), 1)
    assert said == "/proc/daskbinder cannot be written: No such file or directory"


def test_a_scheduler_that_is_not_there_is_one_sentence(small: Path, tmp_path: Path) -> None:
    ended = command("run", small, tmp_path / "out", "--scheduler", "127.0.0.1:9")
    said = sentence(ended, 2)
    assert said.startswith("cannot connect to tcp://127.0.0.1:9 (Connection refused); check")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("adapt", ["5", "0:3", "4:2", "a:b"])
def test_bounds_that_are_none_are_named(small: Path, tmp_path: Path, adapt: str) -> None:
    ended = command("run", small, tmp_path / "out", "--adapt", adapt)
    assert ended.returncode == 2
    assert "write MIN:MAX" in ended.stderr


def test_source_and_dest_must_differ(small: Path) -> None:
    assert "is the archive" in sentence(command("run", small, small), 2)


def test_a_range_without_days_is_one_sentence(small: Path, tmp_path: Path) -> None:
    ended = command("run", small, tmp_path / "out", "--start", "2022-01-01")
    assert "no day file in the range" in sentence(ended, 2)


@pytest.mark.parametrize("option", [["--blocksize", "3x"], ["--memory-limit", "many"]])
def test_a_size_that_is_none_is_named(small: Path, tmp_path: Path, option: list[str]) -> None:
    ended = command("run", small, tmp_path / "out", *option)
    assert ended.returncode == 2
    assert f"'{option[1]}' is no size" in ended.stderr
    assert not (tmp_path / "out").exists()


# The demo -----------------------------------------------------------------------------------------


def test_the_demo_works_twice_and_spares_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "rollups").mkdir()
    (tmp_path / "rollups" / "notes.txt").write_text("mine too")
    for _ in range(2):
        ended = command("demo", ".", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        assert "launches on 2021-03-23" in ended.stdout
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "rollups" / "notes.txt").read_text() == "mine too"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "notes.txt", "rollups"]


def test_the_demo_leaves_results_of_another_archive_alone(small: Path, tmp_path: Path) -> None:
    assert command("run", small, tmp_path / "rollups").returncode == 0
    before = (tmp_path / "rollups" / "manifest.json").read_bytes()
    ended = command("demo", tmp_path)
    assert f"holds the results of {small}" in sentence(ended, 2)
    assert (tmp_path / "rollups" / "manifest.json").read_bytes() == before
    assert json.loads(before)["source"] == str(small)
    assert not (tmp_path / "archive").exists()


def test_a_sample_is_made_as_told(tmp_path: Path) -> None:
    words = ["--days", 3, "--start", "2026-03-01", "--events-per-day", 50]
    words += ["--repositories", 20, "--seed", 7]
    ended = command("sample", tmp_path / "a", *words)
    assert re.fullmatch(rf"\d+ launches in {tmp_path / 'a'}\n", ended.stdout)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"events-2026-03-0{day}.jsonl" for day in (1, 2, 3)] + ["index.jsonl"]
    bodies = [path.read_text() for path in (tmp_path / "a").glob("events-*")]
    specs = {json.loads(line)["spec"] for body in bodies for line in body.splitlines()}
    assert 1 < len(specs) <= 20
    assert "already holds day files" in sentence(command("sample", tmp_path / "a"), 2)

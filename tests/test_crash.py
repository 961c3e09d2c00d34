"""A run that ends at any call of the file system is taken up by the next as if nothing had been.

``DASKBINDER_CRASHES`` says at how many of the calls; 0 is all of them.
"""

import os
import shutil
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from distributed import Client

import daskbinder as db
from conftest import MakeLaunch, Report
from support import runs
from support.disk import disk, ends, wait_for_threads
from support.histories import Writer, data, facts

CRASHES = int(os.environ.get("DASKBINDER_CRASHES", "9"))
FIRST = date(2021, 1, 31)
"""Taken away, and its month with it."""
LAST_CALLS = 6
run = partial(runs.run, windows=["weekly", "monthly"], grains=["day"])
"""Of the manifest and after it, where most can go wrong."""


@pytest.fixture(scope="module")
def before(launch: MakeLaunch, tmp_path_factory: pytest.TempPathFactory, client: Client) -> Path:
    """Make an archive and, beside it, its data set; then change the archive."""
    root = tmp_path_factory.mktemp("crash")
    (root / "archive").mkdir()
    writer = Writer(root / "archive")

    def write(offset: int, *specs: str) -> None:
        day = FIRST + timedelta(days=offset)
        writer.write(day, [launch(f"{day}T10:00:00+00:00", spec=spec) for spec in specs])

    for offset in range(3):
        write(offset, "a", "b")
    run(root / "archive", root / "old")
    write(1, "b", "c", "c")
    write(3, "a")
    writer.remove(FIRST)
    run(root / "archive", root / "new")
    return root


def read(dest: Path) -> dict[str, bytes] | None:
    """Read a data set as anyone would; None if that was refused in a sentence."""
    try:
        rollups = db.open(str(dest))
        for name in rollups.manifest["files"]:
            rollups.table(name)
    except db.InputError:
        return None
    return {name: (dest / name).read_bytes() for name in sorted(rollups.manifest["files"])}


def calls(last: int) -> list[int]:
    """Choose where to crash: everywhere, or here and there and at the last calls."""
    chosen = range(1, last + 1)
    if not CRASHES or last <= CRASHES:
        return list(chosen)
    return sorted({*chosen[:: max(last // CRASHES, 1)], *chosen[-LAST_CALLS:]})


@pytest.mark.parametrize("for_good", [True, False], ids=["killed", "failed once"])
@pytest.mark.parametrize("start", ["nothing", "old"])
def test_a_run_that_ends_anywhere_is_taken_up(
    before: Path,
    tmp_path: Path,
    start: str,
    for_good: bool,
    client: Client,
    report: Report,
) -> None:
    old, new = (data(before / name) for name in ("old", "new"))
    facts_of_new = facts(before / "new")
    dest = tmp_path / "out"

    def begin() -> None:
        shutil.rmtree(dest, ignore_errors=True)
        if start == "old":
            shutil.copytree(before / "old", dest)

    begin()
    with disk(dest) as watched:
        run(before / "archive", dest)
    assert data(dest) == new
    assert watched.calls > 30

    crashes = calls(watched.calls)
    for at in crashes:
        begin()
        with disk(dest, at, for_good=for_good):
            failed = ends(lambda: run(before / "archive", dest))
            wait_for_threads(client)
        assert failed is None or "No space left on device" in failed
        seen = read(dest)
        assert seen in (None, new) or (seen == old and start == "old"), f"torn after call {at}"
        if failed is not None and start == "nothing" and not (dest / "manifest.json").exists():
            assert seen is None
        run(before / "archive", dest)
        assert data(dest) == new, f"call {at}"
        assert facts(dest) == facts_of_new
        assert not (dest / ".daskbinder").exists()
    report(f"{len(crashes):,} crashes ({start}, {'for good' if for_good else 'once'}): 0 traces")


def test_a_file_lost_after_a_crash_is_made_again(
    before: Path, tmp_path: Path, client: Client
) -> None:
    dest = tmp_path / "out"
    names = [name for name in data(before / "old") if name.startswith("rollups/")]
    for at in calls(40)[::2]:
        for name in names:
            shutil.rmtree(dest, ignore_errors=True)
            shutil.copytree(before / "old", dest)
            with disk(dest, at):
                ends(lambda: run(before / "archive", dest))
                wait_for_threads(client)
            (dest / name).unlink(missing_ok=True)
            run(before / "archive", dest)
            assert data(dest) == data(before / "new"), f"{name} after call {at}"

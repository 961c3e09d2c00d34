"""Compiled code splits lines as plain Python does, where it can be had and where it cannot."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import daskbinder as db
from conftest import check_same
from daskbinder.counting import compiled_lines
from daskbinder.counting.compiled_lines import CompiledSplitter
from daskbinder.counting.kernel import Splitter, make_splitter
from daskbinder.counting.lines import TIMESTAMP_PROBE, LineSplitter, Split
from daskbinder.pipeline import graph
from support.commands import ROOT, execute

DAY = date(2021, 3, 4)

small = st.sampled_from([b"", b"{", b"\r", b"\x00", b"\xff" * 9, b'"timestamp": "', b"x" * 70])
stamps = st.sampled_from([b"2021-03-04T05:06:00+00:00", b"2021-03-04T05:07:00+00:00", b"2021", b""])
lines = st.one_of(
    small,
    st.binary(max_size=90).map(lambda line: line.replace(b"\n", b"")),
    st.builds(
        lambda head, at, tail: b'%b"timestamp": "%b"%b' % (head, at, tail), small, stamps, small
    ),
)
bodies = st.lists(st.lists(lines, max_size=60).map(b"\n".join), max_size=4)


def split(splitter: Splitter, data: Iterable[bytes]) -> tuple[list[int], Split]:
    sizes = [splitter.add(memoryview(bytearray(body))) for body in data]
    return sizes, splitter.split()


def lines_of(data: bytes) -> list[bytes]:
    found = data.split(b"\n")
    return found if found[-1] else found[:-1]


@pytest.mark.parametrize(
    ("head", "tail"), [("", "xx"), ("xx", ""), ("x", "x")], ids=["start", "end", "key"]
)
@pytest.mark.parametrize("splitter", [LineSplitter, CompiledSplitter])
def test_a_timestamp_is_found_wherever_it_is(
    splitter: Callable[[], Splitter], head: str, tail: str
) -> None:
    """At one distance from the start of the lines, from their end, or only behind its key."""
    stamps = [f"2021-03-04T05:0{i}:00+00:00" for i in range(8)]
    made = [f'{head * i}"timestamp": "{stamp}"{tail * i}' for i, stamp in enumerate(stamps)]
    _, found = split(splitter(), [("\n".join(made) + "\n").encode()])
    assert [stamp.decode() for stamp in found.stamps.to_pylist()] == stamps


@given(bodies)
@example([b"", b"\n", b"\n\n", b"a", b"a\n", b"a\n\n"])
def test_both_splitters_give_every_line_back(data: list[bytes]) -> None:
    wanted = [line for body in data for line in lines_of(body)]
    for splitter in LineSplitter(), CompiledSplitter():
        sizes, found = split(splitter, data)
        assert sizes == [len(lines_of(body)) for body in data]
        assert [found.line(row) for row in range(len(wanted))] == wanted
        for texts, codes in (found.frames, found.frame), (found.stamps, found.stamp):
            assert len({*texts.to_pylist()}) == len(texts), "a text is kept twice"
            assert {*codes.tolist()} == {*range(len(texts))}, "a text is used by no line"


@pytest.mark.parametrize("size", [1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300])
def test_lines_that_differ_in_one_byte_are_told_apart(size: int) -> None:
    """Whatever the length of the steps in which bytes are hashed and compared."""
    base = bytes(range(65, 65 + 26)) * 12
    made = [base[:size]]
    for at in range(size):
        made.append(base[:at] + b"!" + base[at + 1 : size])
    _, found = split(CompiledSplitter(), [b"\n".join(made), b"\n".join(made)])
    assert len(found.frames) == len(made)
    assert found.frame.tolist() == [*range(len(made))] * 2


def test_lines_of_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a salt of equal words, all short texts have the hash 0."""
    monkeypatch.setattr(compiled_lines, "_SALT", np.full(4, 12345, np.uint64))
    made = [b"%d" % i for i in range(300)]
    _, found = split(CompiledSplitter(), [b"\n".join(made * 2)])
    assert [found.line(row) for row in range(600)] == made * 2
    assert len(found.frames) == 300


@pytest.fixture
def weak_hash(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An end for texts: with this salt, all that end with it have the same hash."""
    monkeypatch.setattr(compiled_lines, "_SALT", np.frombuffer(b"c" * 32, np.uint64))
    return b"c" * 32


@pytest.mark.parametrize("size", [1, 31, 32, 33, 96, 97, 128, 160, 300])
def test_long_lines_of_the_same_hash_are_told_apart(size: int, weak_hash: bytes) -> None:
    base = bytes(range(65, 65 + 26)) * 12
    made = [base[:size] + weak_hash]
    made += [base[:at] + b"!" + base[at + 1 : size] + weak_hash for at in range(size)]
    _, found = split(CompiledSplitter(), [b"\n".join(made * 2)])
    assert [found.line(row) for row in range(len(made))] == made
    assert found.frame.tolist() == [*range(len(made))] * 2


def test_frames_of_the_same_hash_are_told_apart(weak_hash: bytes) -> None:
    """In what is before the timestamp; and one with a timestamp from one without."""
    first = b'"timestamp":"%b"' % (b"x" * 100)
    tail = b"-" * 32 + weak_hash
    heads = [b'"timestamp":"', b'"timestomp":"', b"!timestamp:::"]
    with_one = [head + b"x" * 100 + tail for head in heads]
    without = TIMESTAMP_PROBE[-len(heads[0]) :] + tail
    made = [first, *with_one, without]
    _, found = split(CompiledSplitter(), [b"\n".join(made)])
    assert len(found.stamps) == 2
    assert [found.line(row) for row in range(len(made))] == made


def test_there_is_room_for_many_long_and_short_lines() -> None:
    usual = b'{"timestamp": "2021-03-04T%02d:%02d:%02d.%06d+00:00", "spec": "%d"}'
    many = [usual % (i % 24, i % 60, i % 59, i, i // 2) for i in range(70_000)]
    long = [b"x" * n for n in (1 << 17, 3 << 20, 5)]
    data = [b"\n".join(many), b"\n".join(long), b"\n".join(many)]
    sizes, found = split(CompiledSplitter(), data)
    assert sizes == [70_000, 3, 70_000]
    assert len(found.frames) == 35_000 + 3
    assert len(found.stamps) == 70_000 + 1
    for row in (0, 1, 69_999, 70_000, 70_001, 70_002, 70_003, 140_002):
        assert found.line(row) == (many + long + many)[row]


def test_bytes_held_grow_with_what_is_distinct() -> None:
    line = b'{"timestamp": "2021-03-04T05:06:00+00:00", "spec": "%d"}\n'
    same, different = CompiledSplitter(), CompiledSplitter()
    for i in range(1_000):
        same.add(line % 0)
        different.add(line % i)
    assert same.nbytes < 9_000 < 60_000 < different.nbytes


# Runs ---------------------------------------------------------------------------------------------


def test_a_large_archive_gives_the_same_files(
    sampled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.run(db.plan(db.Archive(sampled), tmp_path / "plain"))
    monkeypatch.setattr(graph, "COMPILED_FROM", 0)
    db.run(db.plan(db.Archive(sampled), tmp_path / "compiled"))
    check_same(tmp_path / "compiled", tmp_path / "plain")


def succeed(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    done = execute(sys.executable, *words, **options)
    assert done.returncode == 0, done.stderr
    return done


RUN = """
import sys
from daskbinder.pipeline import graph
from daskbinder.cli import main
if __name__ == "__main__":
    graph.COMPILED_FROM = int(sys.argv.pop(1))
    try:
        main()
    finally:
        print("numba" in sys.modules, file=sys.stderr)
"""


def test_a_small_archive_does_not_load_it(sampled: Path, tmp_path: Path) -> None:
    done = succeed("-c", RUN, graph.COMPILED_FROM, "run", sampled, "out", cwd=tmp_path)
    assert done.stderr.endswith("False\n")


def test_the_user_is_told_of_compiling_once(sampled: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    for number in range(2):
        done = succeed(
            "-c", RUN, "0", "run", sampled, f"out{number}", cwd=tmp_path, NUMBA_CACHE_DIR=cache
        )
        assert done.stderr.endswith("True\n")
        assert ("compiling the kernel, once" in done.stderr) == (number == 0)
    assert list(Path(cache).rglob("*.nbi"))


def test_without_numba_all_is_counted_in_plain_python(sampled: Path, tmp_path: Path) -> None:
    without = "import sys\nsys.modules['numba'] = None\n"
    succeed("-c", without + RUN, "0", "run", sampled, "out", cwd=tmp_path)
    succeed("-c", RUN, "0", "run", sampled, "wanted", cwd=tmp_path)
    totals = [
        json.loads((tmp_path / name / "manifest.json").read_text())["totals"]
        for name in ("out", "wanted")
    ]
    assert totals[0] == totals[1]
    assert totals[0]["accepted"]


def test_it_works_where_nothing_can_be_kept(tmp_path: Path) -> None:
    """The package in a zip, as it is sent to a worker, and no folder for a cache."""
    package = tmp_path / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in (ROOT / "daskbinder").rglob("*"):
            if path.suffix in {".py", ".toml"}:
                archive.write(path, path.relative_to(ROOT))
    code = (
        "import daskbinder.counting.kernel as kernel\n"
        "assert 'package.zip' in kernel.__file__\n"
        "assert kernel.load_compiled(print)\n"
        "print(kernel.make_splitter(compiled=True).add(b'a\\nb'))\n"
    )
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}
    done = succeed("-c", code, cwd=tmp_path, PYTHONPATH=str(package), **nowhere)
    assert done.stdout.splitlines()[-1] == "2"


def test_workers_may_compile_at_the_same_time(sampled: Path, tmp_path: Path) -> None:
    options = ("run", sampled, "out", "--workers", "2", "--threads", "2", "--blocksize", "1MiB")
    env = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "start.py").write_text(RUN)
    done = succeed("start.py", 0, *options, cwd=tmp_path, **env)
    assert done.stderr.endswith("False\n")  # the workers are processes of their own
    assert list((tmp_path / "cache").rglob("*.nbi"))


def test_a_splitter_is_made_as_asked() -> None:
    assert isinstance(make_splitter(compiled=True), CompiledSplitter)
    assert isinstance(make_splitter(compiled=False), LineSplitter)

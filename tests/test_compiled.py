"""Compiled code splits lines as plain Python does, where it can be had and where it cannot."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import daskbinder as db
from conftest import check_same
from daskbinder.counting import compiled_lines, kernel
from daskbinder.counting.compiled_lines import CompiledSplitter
from daskbinder.counting.kernel import (
    COMPILED_FROM,
    LOADED_FROM,
    Splitter,
    load_compiled,
    make_splitter,
)
from daskbinder.counting.lines import TIMESTAMP_PROBE, LineSplitter, Split
from support.commands import ROOT, execute


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    assert load_compiled(COMPILED_FROM, print)


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


def test_lines_may_come_one_by_one() -> None:
    made = [b"%d" % i for i in range(9_000)]
    sizes, found = split(CompiledSplitter(), made)
    assert sizes == [1] * 9_000
    assert found.frame.tolist() == [*range(9_000)]


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
    monkeypatch.setattr(kernel, "LOADED_FROM", 0)
    db.run(db.plan(db.Archive(sampled), tmp_path / "compiled"))
    check_same(tmp_path / "compiled", tmp_path / "plain")


def succeed(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    done = execute(sys.executable, *words, **options)
    assert done.returncode == 0, done.stderr
    return done


RUN = """
import sys
from daskbinder.pipeline.graph import GraphBuilder
from daskbinder.cli import main

if __name__ == "__main__":
    size, made = int(sys.argv.pop(1)), GraphBuilder.__init__
    def build(self, *given):
        made(self, *given)
        self.run_bytes = size
    GraphBuilder.__init__ = build
    try:
        main()
    finally:
        print(*(name for name in ("llvmlite", "numba") if name in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def cache(tmp_path: Path) -> dict[str, str]:
    return {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}


def kept_in(cache: dict[str, str]) -> list[Path]:
    return [*Path(*cache.values()).iterdir()]


def run(size: int, sampled: Path, dest: Path, **environment: str) -> list[str]:
    """Run as if the archive had so many bytes; return what the run said."""
    return succeed("-c", RUN, size, "run", sampled, dest, **environment).stderr.splitlines()


def test_only_a_large_archive_makes_machine_code_and_any_but_a_small_one_loads_it(
    sampled: Path, tmp_path: Path, cache: dict[str, str]
) -> None:
    note, counted = "daskbinder: compiling the kernel, once", []
    for size, compiles, imported in (
        (LOADED_FROM, False, "llvmlite"),
        (COMPILED_FROM, True, "llvmlite numba"),
        (COMPILED_FROM, False, "llvmlite"),
        (LOADED_FROM, False, "llvmlite"),
        (LOADED_FROM - 1, False, ""),
    ):
        said = run(size, sampled, tmp_path / f"{len(counted)}", **cache)
        assert (note in said) == compiles
        assert said[-1] == imported
        counted.append(json.loads((tmp_path / f"{len(counted)}/manifest.json").read_text()))
    assert all(manifest["totals"] == counted[0]["totals"] for manifest in counted)
    assert counted[0]["totals"]["accepted"]
    assert [path.suffix for path in kept_in(cache)] == [".o"]


def test_without_numba_all_is_counted_in_plain_python(sampled: Path, tmp_path: Path) -> None:
    without = "import sys\nsys.modules['numba'] = sys.modules['llvmlite'] = None\n"
    succeed("-c", without + RUN, COMPILED_FROM, "run", sampled, tmp_path / "out")
    run(COMPILED_FROM, sampled, tmp_path / "wanted")
    check_same(tmp_path / "out", tmp_path / "wanted")


def test_a_compiler_that_fails_is_told_and_done_without(
    sampled: Path, tmp_path: Path, cache: dict[str, str]
) -> None:
    failing = "import numba\nnumba.njit = lambda *a, **k: 1 / 0\n"
    options = ("run", sampled, tmp_path / "out", "--blocksize", "1MiB")
    said = succeed("-c", failing + RUN, COMPILED_FROM, *options, **cache).stderr
    run(COMPILED_FROM, sampled, tmp_path / "wanted", **cache)
    check_same(tmp_path / "out", tmp_path / "wanted")
    assert said.count("cannot be compiled: ZeroDivisionError: division by zero") == 1


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "folder"])
def test_machine_code_that_was_harmed_is_made_again(
    cache: dict[str, str], monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    load = (
        "from daskbinder.counting import kernel\n"
        "assert kernel.load_compiled(kernel.COMPILED_FROM, print)\n"
        "print(kernel.make_splitter(compiled=True).add(b'a\\nb'))\n"
    )
    assert len(succeed("-c", load, **cache).stdout.splitlines()) == 2
    (path,) = kept_in(cache)
    code = path.read_bytes()
    if harm == "folder":
        path.unlink()
        path.mkdir()
    else:
        flipped = bytes(byte ^ 1 for byte in code)
        path.write_bytes({"cut": code[:-9], "flipped": flipped, "empty": b""}[harm])
    assert len(succeed("-c", load, **cache).stdout.splitlines()) == 2
    if harm != "folder":
        assert path.read_bytes() == code
        assert len(succeed("-c", load, **cache).stdout.splitlines()) == 1


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
        "assert kernel.load_compiled(kernel.COMPILED_FROM, print)\n"
        "print(kernel.make_splitter(compiled=True).add(b'a\\nb'))\n"
    )
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}
    done = succeed("-c", code, cwd=tmp_path, PYTHONPATH=str(package), **nowhere)
    assert done.stdout.splitlines()[-1] == "2"


def test_workers_may_compile_at_the_same_time(
    sampled: Path, tmp_path: Path, cache: dict[str, str]
) -> None:
    options = ("run", sampled, "out", "--workers", "2", "--threads", "2", "--blocksize", "1MiB")
    (tmp_path / "start.py").write_text(RUN)
    done = succeed("start.py", COMPILED_FROM, *options, cwd=tmp_path, **cache)
    assert done.stderr.endswith("\n\n")  # the workers are processes of their own
    assert len(kept_in(cache)) == 1


def test_a_splitter_is_made_as_asked() -> None:
    assert isinstance(make_splitter(compiled=True), CompiledSplitter)
    assert isinstance(make_splitter(compiled=False), LineSplitter)

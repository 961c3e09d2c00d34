"""The counting kernel by itself: from day files to written rows, without Dask or a cluster.

Quick and, with the profile ``mutants``, always the same: what mutation testing runs.
"""

import pickle
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from dask.sizeof import sizeof
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import MakeArchive
from daskbinder.archive.dayfiles import list_day_files
from daskbinder.archive.reading import parts_of
from daskbinder.counting import kernel, scan, templates
from daskbinder.counting.counts import Counts, count, merge
from daskbinder.counting.rollup_tables import to_table
from daskbinder.counting.scan import Body
from daskbinder.errors import InputError
from daskbinder.model.dates import DateSet, day_number
from daskbinder.model.windows import KINDS, windows_of
from daskbinder.pipeline.counting_tasks import Counted, count_block, partition
from daskbinder.pipeline.output_tasks import CarryOver, write_rollups
from daskbinder.pipeline.request import CountRules, RunPolicy
from daskbinder.storage.location import Location
from support.agreement import agree
from support.fuzz import Writer, corpora
from support.notebook import as_rows, notebook
from support.oracle import SCHEMA, read_archive, read_body
from support.readers import read_by_the_kernel, rows
from support.strategies import LAYOUTS, SINCE, archives, laid_out

GRAINS = ("hour", "day")
STEP = timedelta(days=1)
DAY = date(2021, 3, 4)
DEFAULT = CountRules()

few = settings(max_examples=min(20, settings().max_examples))
sizes = st.sampled_from([300, 2_000, 1 << 20])
"""Bytes of the parts that files are cut into."""


def event(day: date, i: int, version: int = 6) -> dict[str, Any]:
    """Make launch i of a day, as BinderHub writes it."""
    fields = {
        "timestamp": f"{day}T{1 + i * 7 % 23:02}:{i % 60:02}:00+00:00",
        "schema": SCHEMA,
        "version": version,
        "provider": ("GitHub", "GitLab", "Zenodo")[i % 11 % 3],
        "spec": f"u{i % 200}/r\u00e9{i % 50}/HEAD",
        "ref": f"{i % 300:040x}",
        "status": "failure" if i % 7 == 0 else "success",
        "origin": ("gke.mybinder.org", "ovh.mybinder.org")[i % 13 // 8],
        "build_token": i % 2 == 0,
        "request_origin": ("", "example.org")[i % 17 // 9],
    }
    return {name: fields[name] for name, since in SINCE.items() if since <= version}


def body(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def written(day: date, launches: Iterable[int]) -> bytes:
    """Write launches of a day as the archive does."""
    return body(laid_out(event(day, i), LAYOUTS[0]) for i in launches)


AROUND_1970 = {
    day: b"".join(written(day + off * STEP, range(n, n + 40)) for off in (0, -2, -1, 1, 2))
    for n, day in enumerate(date(1969, 12, 28) + n * STEP for n in range(6))
}
"""Days, each with launches of its own, of the days beside it and of others, which are rejected."""


def counted(
    folder: Path, together: int, *, size: int = 64 << 20, rules: CountRules = DEFAULT
) -> list[Counted]:
    """Count an archive in parts of `size` bytes, so many of them together."""
    place, policy = Location.at(folder), RunPolicy(blocksize=size)
    parts = [*parts_of(list_day_files(place), size)]
    blocks = [parts[i : i + together] for i in range(0, len(parts), together)]
    plain, found = (
        [count_block(place, block, rules, policy, run_bytes) for block in blocks]
        for run_bytes in (0, kernel.COMPILED_FROM)
    )
    for one, other in zip(plain, found, strict=True):
        assert one.tallies == other.tallies
        assert all(to_table(one.counts[g]).equals(to_table(other.counts[g])) for g in one.counts)
    return found


def months(
    blocks: list[Counted], days: Iterable[date], dates: Collection[int] | None = None
) -> list[dict[str, Counts]]:
    """Merge the counts of the months of some days, lost files among them."""
    blocks = [replace(block, tallies=()) for block in blocks]
    return [partition(month, dates, blocks) for month in windows_of("monthly", days)]


def compare(folder: Path, days: Collection[date], together: int, size: int = 64 << 20) -> None:
    """Compare the rollups of an archive with the oracle's."""
    near = DateSet.of(days).widened(1, 1)
    parts = months(counted(folder, together, size=size), near)
    dest = folder / "out"
    for kind in KINDS:
        always = {*windows_of(kind, days)}
        windows = {window: window in always for window in windows_of(kind, near)}
        write_rollups(Location.at(dest), windows, GRAINS, None, CarryOver(), parts)
    found = {str(path.relative_to(dest)): rows(path) for path in dest.rglob("*.parquet")}
    assert found == {
        f"rollups/{window}/by-{grain}/{label}.parquet": wanted
        for (window, grain, label), wanted in read_archive(folder).all_windows().items()
    }
    for path in dest.rglob("*.parquet"):
        for column in pq.read_table(path).combine_chunks().itercolumns():
            if pa.types.is_dictionary(column.type):
                values = column.unify_dictionaries().chunk(0).dictionary.to_pylist()
                assert values == sorted({*column.to_pylist()} - {None})


@few
@given(archives(), sizes, st.sampled_from([1, 2, 100]))
def test_rows_are_those_of_the_oracle(
    make_archive: MakeArchive, days: dict[date, bytes], size: int, together: int
) -> None:
    compare(make_archive(days), days, together, size)


@few
@given(archives(), sizes, st.sampled_from([1, 2, 100]))
def test_rows_of_the_notebook_are_those_of_pandas(
    make_archive: MakeArchive, days: dict[date, bytes], size: int, together: int
) -> None:
    folder = make_archive(days)
    rules = CountRules(compat="notebook")
    parts = months(counted(folder, together, size=size, rules=rules), days)
    dest = folder / "out"
    for kind in KINDS:
        windows = windows_of(kind, days, labels="notebook")
        whole = {window: True for window in windows if days.keys() >= {*window.dates()}}
        write_rollups(Location.at(dest), whole, GRAINS, "notebook", CarryOver(), parts)
    wanted = notebook(read_archive(folder))
    assert {str(path.relative_to(dest)) for path in dest.rglob("*.feather")} == set(wanted)
    for name, frame in wanted.items():
        table = pyarrow.feather.read_table(dest / name)
        assert table.column_names == list(frame.columns), name
        assert as_rows(table.to_pandas()) == as_rows(frame), name


@few
@given(corpora(DAY), st.integers(0, 2**32), st.sampled_from([5_000, 1 << 20]))
def test_lines_of_any_kind_are_those_of_the_oracle(
    make_archive: MakeArchive, corpus: tuple[list[bytes], list[bytes]], seed: int, size: int
) -> None:
    write = Writer(corpus, seed)
    bodies = {day: write.body(day, 200) for day in (DAY, DAY + STEP)}
    agree(make_archive(bodies), bodies, size, Counter())


@few
@given(archives(), archives(), st.sampled_from([300, 1 << 20]))
@example(AROUND_1970, {DAY: AROUND_1970[date(1969, 12, 29)]}, 1 << 20)  # of a week before
def test_rows_of_days_counted_anew_take_the_place_of_theirs_alone(
    make_archive: MakeArchive, before: dict[date, bytes], others: dict[date, bytes], size: int
) -> None:
    changed = dict(zip([*before][::2], others.values(), strict=False))
    whole = before | changed
    anew = frozenset(map(day_number, DateSet.of(changed).widened(1, 1)))
    present = DateSet.of(whole)
    near = present.widened(1, 1)
    dest, spare = (make_archive({}) for _ in range(2))

    def write(to: Path, days: dict[date, bytes], carry_over: CarryOver) -> list[str]:
        blocks = counted(make_archive(days), 2, size=size)
        parts = months(blocks, near, carry_over.dates)
        written: list[str] = []
        for kind in KINDS:
            always = {*windows_of(kind, present)}
            windows = {window: window in always for window in windows_of(kind, near)}
            written += write_rollups(Location.at(to), windows, GRAINS, None, carry_over, parts)
        return written

    standing = write(dest, before, CarryOver())
    write(dest, whole, CarryOver(anew, frozenset(standing)))
    names = write(spare, whole, CarryOver())
    assert names
    for name in names:
        assert (dest / name).read_bytes() == (spare / name).read_bytes(), name


# From many lines, the same every time -------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often the kernel reads something by itself."""
    calls: Counter[str] = Counter()

    def counting(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:
            calls[name] += 1
            return read(*given)

        return count

    readers = {"read_line": scan, "read_fields": templates, "read_timestamp": kernel}
    for name, module in readers.items():
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    return calls


@pytest.mark.parametrize("layout", [*LAYOUTS, (5, (", ", ": "))])
def test_only_odd_lines_are_read_one_by_one(
    asked: Counter[str], layout: tuple[int, tuple[str, str]]
) -> None:
    """Guard what makes it fast: 200 repositories and 300 commits in few kinds of lines."""
    lines = [laid_out(event(DAY, i, 6 - i // 400), layout) for i in range(2_400)]
    odd = [b"", b"{", lines[0].replace(b"HEAD", b"\\ud800", 1), lines[1].replace(b"+00", b"-00")]
    lines[700:700] = odd
    found = read_by_the_kernel([body(lines[:900]), body(lines[900:])], DAY)
    assert found == read_body(body(lines), DAY)[0]
    assert asked["read_line"] == 2 * (len(odd) - 1)  # by the plain splitter, and the compiled one
    assert asked["read_timestamp"] <= 2 * len(odd)
    assert asked["read_fields"] < 240


def test_text_of_any_kind_is_read_with_its_like(asked: Counter[str]) -> None:
    texts = ["é", r"\u00e9", r"\n", r"\"", r"\\", "\U0001f600", r"\ud83d\ude00", "\x7f", " ", "{["]
    usual = [laid_out(event(DAY, i), LAYOUTS[0]) for i in range(500)]
    lines = [
        line.replace(b"HEAD", texts[i % len(texts)].encode(), 1) for i, line in enumerate(usual)
    ]
    assert read_by_the_kernel([body(lines)], DAY) == read_body(body(lines), DAY)[0]
    assert not asked["read_line"]


def test_kinds_of_lines_may_be_more_than_pieces_of_them(asked: Counter[str]) -> None:
    lines = []
    for i in range(1_600):
        fields = event(DAY, i) | {"provider": f"p{i % 20}", "status": f"s{i % 400 // 20}"}
        fields |= {"spec": "u/r/HEAD", "ref": fields.pop("ref"), "origin": "o"}  # between them
        lines.append(laid_out(fields, LAYOUTS[0]))
    assert read_by_the_kernel([body(lines)], DAY) == read_body(body(lines), DAY)[0]
    assert not asked["read_line"]


def test_a_large_file_is_read_to_its_last_line() -> None:
    whole = written(DAY, range(9_000)).removesuffix(b"\n")
    assert len(whole) > 2 << 20
    assert read_by_the_kernel([whole], DAY) == read_body(whole, DAY)[0]


def test_more_keys_than_fit_a_number_are_told_apart(make_archive: MakeArchive) -> None:
    """Of 4,000 launches that differ in five columns; 4,000 ** 5 and more are beyond 64 bits."""
    names = ("provider", "spec", "status", "origin", "request_origin")
    days = {
        day: body(
            laid_out(event(day, i) | {name: f"{name}{i}" for name in names}, LAYOUTS[0])
            for i in range(n * 1_000, n * 1_000 + 4_000)
        )
        for n, day in enumerate([DAY, DAY + STEP])
    }
    agree(make_archive(days), days, 500_000, Counter())


def test_days_before_1970_are_days_like_others(make_archive: MakeArchive) -> None:
    compare(make_archive(AROUND_1970), AROUND_1970, 3)


HISTORY = [date(1, 1, 2), date(1969, 12, 31), DAY, date(9999, 12, 30)]


def test_all_of_history_is_counted_at_once(make_archive: MakeArchive) -> None:
    days = {day: written(day, range(n * 100, 200 + n * 100)) for n, day in enumerate(HISTORY)}
    compare(make_archive(days), days, len(days))
    compare(make_archive(days), days, 1)


def test_what_cannot_be_told_apart_is_refused() -> None:
    bodies = [Body("", day_number(day), written(day, range(100))) for day in HISTORY]
    many = [laid_out(event(DAY, i) | {"spec": f"r{i}"}, LAYOUTS[0]) for i in range(30_000)]
    few = count(scan.scan(bodies))
    with pytest.raises(OverflowError, match=r"^3652057 days x .* keys are too many to"):
        merge([few, count(scan.scan([Body("", day_number(DAY), body(many))]))])


@pytest.mark.parametrize(("lines", "width"), [(40_000, 1), (2_000, 500)])
def test_dask_knows_how_large_counts_are(lines: int, width: int) -> None:
    """Whether they are mostly rows, or mostly names."""
    made = [
        laid_out(event(DAY, i) | {"spec": f"u/{i % 2_000:{width}}"}, LAYOUTS[0])
        for i in range(lines)
    ]
    counts = count(scan.scan([Body("", day_number(DAY), body(made))]))
    assert 0.95 < sizeof(counts) / len(pickle.dumps(counts)) < 1.05


def test_the_first_rejected_line_is_named_when_told(make_archive: MakeArchive) -> None:
    folder = make_archive({DAY: written(DAY, range(9)) + b"\n[]\n{\n", DAY + STEP: b""})
    with pytest.raises(InputError, match=r"^events-2021-03-04\.jsonl, line 11: not-an-object: '\["):
        counted(folder, 2, rules=CountRules(errors="raise"))


@pytest.mark.parametrize(
    ("stamp", "hours", "strays"),
    [
        ("2021-03-03T23:59:59.999999Z", 0, True),
        ("2021-03-04T00:00", 1, False),
        ("2021-03-04T23:59:59.999999+00:00", 1 << 23, False),
        ("2021-03-05T00:00:00+00:00", 0, True),
        ("2021-03-05T23:59:59Z", 0, True),
    ],
)
def test_a_day_has_24_hours(stamp: str, hours: int, strays: bool) -> None:
    for lines in (1, 40):
        made = body([laid_out(event(DAY, 1) | {"timestamp": stamp}, LAYOUTS[0])] * lines)
        (tally,) = scan.scan([Body("", day_number(DAY), made)]).tallies
        assert (tally.accepted, tally.hours, tally.strays) == (lines, hours, strays)

"""Lines by the million: whatever stands in a file, it is counted as the oracle counts it.

``DASKBINDER_LINES`` says how many lines are compared.
"""

import json
import os
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conftest import MakeArchive, MakeLaunch, Report
from support.agreement import agree
from support.fuzz import Writer, corpora

LINES = int(os.environ.get("DASKBINDER_LINES", "30000"))
DAY = date(2021, 3, 4)
AT_A_TIME = 2_500


def test_any_line_is_counted_as_the_oracle_counts_it(tmp_path: Path, report: Report) -> None:
    seen: Counter[str] = Counter()

    @settings(
        max_examples=-(-LINES // AT_A_TIME),
        phases=[Phase.reuse, Phase.generate],  # so many lines would take hours to shrink
    )
    @given(
        corpus=corpora(DAY),
        seed=st.integers(0, 2**32),
        sizes=st.lists(st.sampled_from([1, 2, 40, 400]), max_size=3),
    )
    def compare(corpus: tuple[list[bytes], list[bytes]], seed: int, sizes: list[int]) -> None:
        write = Writer(corpus, seed)
        days = (DAY + timedelta(days=i) for i in range(len(sizes) + 1))
        sizes = [*sizes, AT_A_TIME - sum(sizes)]
        bodies = {day: write.body(day, size) for day, size in zip(days, sizes, strict=True)}
        for path in tmp_path.iterdir():
            path.unlink()
        for day, body in bodies.items():
            (tmp_path / f"events-{day}.jsonl").write_bytes(body)
        agree(tmp_path, bodies, write.chance.choice([1 << 26, 1 << 26, 5_000, 100_003]), seen)

    compare()
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in seen.most_common() if kind != "lines")
    report(f"{seen['lines']:,} lines compared with the oracle ({kinds}): 0 disagreements")


@pytest.mark.parametrize("size", [100_000, 1 << 20])
def test_a_line_may_be_longer_than_the_parts_of_its_file(
    make_archive: MakeArchive, launch: MakeLaunch, size: int
) -> None:
    short = [launch(f"{DAY}T10:{i:02}:00+00:00", spec=f"u/r{i}/HEAD") for i in range(60)]
    long = launch(spec="x" * (3 << 20))
    body = b"\n".join(json.dumps(event).encode() for event in [*short, long, *short, long])
    agree(make_archive({DAY: body}), {DAY: body}, size, Counter())

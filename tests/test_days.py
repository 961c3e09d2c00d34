"""Sets of dates: whatever runs they are kept in, they are sets."""

import pickle
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daskbinder.model.dates import DateSet

NEAR = st.dates(date(2021, 2, 20), date(2021, 4, 10))
SETS = st.sets(NEAR | st.sampled_from([date.min, date.max]), max_size=40)


@given(SETS, SETS)
def test_they_are_sets(ours: set[date], theirs: set[date]) -> None:
    days = DateSet.of(ours)
    assert list(days) == sorted(ours)
    assert len(days) == len(ours)
    assert days == DateSet.of(sorted(ours, reverse=True))
    assert (days == DateSet.of(theirs)) == (ours == theirs)


@given(SETS, st.integers(0, 3), st.integers(0, 3))
def test_neighbours_are_added_up_to_the_ends_of_the_calendar(
    ours: set[date], before: int, after: int
) -> None:
    near = range(-before, after + 1)
    wanted = {day.toordinal() + by for day in ours for by in near}
    ends = range(date.min.toordinal(), date.max.toordinal() + 1)
    assert {day.toordinal() for day in DateSet.of(ours).widened(before, after)} == {
        day for day in wanted if day in ends
    }


def test_a_million_days_are_said_in_a_few_bytes() -> None:
    days = DateSet.of(date(2018, 11, 3) + timedelta(days=i) for i in range(1_000_000))
    assert len(days) == 1_000_000
    assert len(pickle.dumps(days)) < 150


@given(st.sets(NEAR))
def test_gaps_fill_what_lies_between_the_ends(ours: set[date]) -> None:
    days = DateSet.of(ours)
    whole = DateSet(((min(ours), max(ours)),)) if ours else DateSet()
    assert not {*days} & {*days.gaps}
    assert {*days, *days.gaps} == {*whole}


def test_runs_are_told_by_their_ends() -> None:
    days = DateSet.of([date(2021, 3, 4), date(2021, 2, 28), date(2021, 3, 1)])
    assert days.texts == ["2021-02-28 to 2021-03-01", "2021-03-04"]
    assert days.gaps.spans == ((date(2021, 3, 2), date(2021, 3, 3)),)

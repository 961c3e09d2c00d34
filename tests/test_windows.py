"""Windows hold every day once and are called what the calendar calls them."""

import pickle
from datetime import date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskbinder.model.windows import KINDS, LABELS, Window, window_of, windows_of

DAY = timedelta(days=1)
LAST_MONDAY = date(9999, 12, 27)

days = st.dates()
kinds = st.sampled_from(KINDS)
labels = st.sampled_from(LABELS)


@given(kinds, days, labels)
@example("weekly", date.min, "iso")
@example("weekly", date.max, "notebook")
@example("monthly", date.max, "iso")
def test_a_window_is_the_same_from_each_of_its_days(kind: str, day: date, labels: str) -> None:
    window = window_of(kind, day, labels=labels)
    assert day in window.dates()
    assert {window_of(kind, other, labels=labels) for other in window.dates()} == {window}


@given(kinds, st.dates(max_value=date(9999, 12, 1)))
def test_windows_tile_the_calendar(kind: str, day: date) -> None:
    window = window_of(kind, day)
    if window.last < date.max:
        assert window_of(kind, window.last + DAY).first == window.last + DAY


@given(days)
def test_weeks_are_those_of_iso_8601(day: date) -> None:
    week = window_of("weekly", day)
    year, number, weekday = day.isocalendar()
    assert week.label == f"{year:04}-W{number:02}"
    assert week.first == day - (weekday - 1) * DAY
    assert len(week.dates()) == (7 if week.first < LAST_MONDAY else 5)


@given(days)
def test_months_and_days_are_prefixes_of_the_date(day: date) -> None:
    assert window_of("daily", day) == Window("daily", day, day, day.isoformat())
    month = window_of("monthly", day)
    assert {other.isoformat()[:7] for other in month.dates()} == {month.label}
    assert month.first.day == 1


@pytest.mark.parametrize(
    ("day", "iso", "notebook"),
    [
        (date(2018, 12, 30), "2018-W52", "2018-w52"),
        (date(2018, 12, 31), "2019-W01", "2019-w00"),
        (date(2019, 1, 7), "2019-W02", "2019-w01"),
        (date(2020, 12, 31), "2020-W53", "2021-w00"),
        (date(2021, 1, 1), "2020-W53", "2021-w00"),
        (date(2021, 1, 2), "2020-W53", "2021-w00"),
        (date(2021, 1, 3), "2020-W53", "2021-w00"),
        (date(2021, 1, 4), "2021-W01", "2021-w01"),
        (date(2021, 3, 4), "2021-W09", "2021-w09"),
    ],
)
def test_weeks_across_the_new_year(day: date, iso: str, notebook: str) -> None:
    assert window_of("weekly", day).label == iso
    assert window_of("weekly", day, labels="notebook").label == notebook


@given(kinds, days)
def test_notebook_labels_change_weeks_only(kind: str, day: date) -> None:
    window, old = window_of(kind, day), window_of(kind, day, labels="notebook")
    assert (window.first, window.last) == (old.first, old.last)
    if kind == "weekly":
        assert old.label == old.last.strftime("%Y-w%W")
        assert old.last == date.max or old.last.strftime("%a") == "Sun"
    else:
        assert old.label == window.label


@given(kinds, st.dates(date(2018, 11, 3), date(2026, 12, 31)))
def test_notebook_labels_tell_windows_apart(kind: str, day: date) -> None:
    week = window_of(kind, day, labels="notebook")
    after = window_of(kind, week.last + DAY, labels="notebook")
    assert week.label < after.label


@given(kinds, st.lists(days, max_size=20), labels)
@example("weekly", [date(2021, 3, 4)], "notebook")
def test_windows_of_days_are_sorted_and_unique(kind: str, days: list[date], labels: str) -> None:
    windows = windows_of(kind, iter(days), labels=labels)
    assert set(windows) == {window_of(kind, day, labels=labels) for day in days}
    firsts = [window.first for window in windows]
    assert firsts == sorted(set(firsts))


def test_a_time_of_day_does_not_matter() -> None:
    for kind in KINDS:
        assert window_of(kind, datetime(2021, 3, 4, 5, 6)) == window_of(kind, date(2021, 3, 4))


def test_a_window_travels() -> None:
    window = window_of("weekly", date(2021, 3, 4))
    assert pickle.loads(pickle.dumps(window)) == window


@pytest.mark.parametrize(
    ("kind", "first", "last", "label", "message"),
    [
        ("yearly", date(2021, 1, 1), date(2021, 12, 31), "2021", "daily, weekly, monthly, not 'ye"),
        ("weekly", date(2021, 3, 2), date(2021, 3, 8), "2021-W09", "is 2021-03-01 to 2021-03-07"),
        ("daily", date(2021, 3, 2), date(2021, 3, 1), "2021-03-02", "not 2021-03-02 to 2021-03-01"),
        ("monthly", date(2021, 3, 1), date(2021, 3, 31), "2021-3", "is called 2021-03, not '2021-"),
        ("daily", datetime(2021, 3, 2), datetime(2021, 3, 2), "2021-03-02", "is 2021-03-02 to"),
    ],
)
def test_what_is_no_window_is_refused(
    kind: str, first: date, last: date, label: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Window(kind, first, last, label)


def test_unknown_kinds_and_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="windows are one of daily, weekly, monthly, not 'week'"):
        window_of("week", date(2021, 3, 4))
    with pytest.raises(ValueError, match="labels are one of iso, notebook, not 'ISO'"):
        window_of("weekly", date(2021, 3, 4), labels="ISO")


def test_labels_are_named() -> None:
    with pytest.raises(TypeError):
        window_of("weekly", date(2021, 3, 4), "notebook")  # type: ignore[misc]
    with pytest.raises(TypeError):
        windows_of("weekly", [], "notebook")  # type: ignore[misc]

"""The rollups of the older notebook, counted by pandas in a few lines."""

from datetime import date, timedelta
from typing import Any

import pandas as pd

from support.oracle import Oracle, days_of, label, moment

DAY = timedelta(days=1)
KEY = ["schema", "version", "provider", "spec", "status", "origin", "build_token", "request_origin"]
GRAINS = {"hour": "h", "day": "D"}


def label_of_week(day: date) -> str:
    """Return the notebook's name of a week: its Sunday's year and week of the year."""
    return f"{day + DAY * (6 - day.weekday()):%Y-w%W}"


def notebook(oracle: Oracle) -> dict[str, pd.DataFrame]:
    """Count as the notebook does: round, group as pandas groups by default, take the sizes."""
    frames = {
        day: pd.DataFrame(
            [(moment(launch.micros), *launch[1:]) for launch in launches],
            columns=["timestamp", *KEY],
        )
        for day, launches in oracle.by_file.items()
    }
    outputs = {}
    for window in ("daily", "weekly", "monthly"):
        for name in sorted({label(window, day) for day in frames}):
            days = days_of(window, name)
            if not frames.keys() >= set(days):
                continue
            events = pd.concat(
                [frames[day] for day in days if len(frames[day])] or [frames[days[0]]]
            )
            file = label_of_week(days[0]) if window == "weekly" else name
            for grain, unit in GRAINS.items():
                path = f"{window}/by-{grain}/{window}-by-{grain}-{file}.feather"
                outputs[path] = grouped(events, unit)
    return outputs


def grouped(events: pd.DataFrame, unit: str) -> pd.DataFrame:
    stamps = pd.to_datetime(events["timestamp"], utc=True).dt.as_unit("us")
    events = events.assign(timestamp=stamps.dt.round(unit))
    columns = ["timestamp", *(name for name in KEY if events[name].notna().any())]
    return events.groupby(columns).size().rename("n").reset_index()


def as_rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame.itertuples(index=False, name=None))

"""What is wanted of an archive, and where the results go, whatever there is already."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from daskbinder.archive.archive import Archive
from daskbinder.archive.dayfiles import DayFile
from daskbinder.dataset.layout import repositories_name
from daskbinder.dataset.manifest import FORMAT
from daskbinder.model.dates import DateSet
from daskbinder.model.federation import Federation
from daskbinder.model.windows import Window, windows_of
from daskbinder.pipeline import counting_tasks
from daskbinder.pipeline.counting_tasks import Rules
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class Request:
    """What is wanted of an archive, whatever there is already.

    Attributes
    ----------
    archive : Archive
        Where the launches come from.
    dest : Location
        Where the results go.
    files : tuple of DayFile
        The day files the results are about.
    kinds, grains : tuple of str
        The windows and grains wanted.
    rules : Rules
        How launches are counted.
    federation : Federation
        Who stands behind an origin.
    today : datetime.date
        The UTC date; today's and yesterday's files are provisional.
    adapts : bool
        Whether blocks may be made smaller for workers that have little memory.
    full : bool
        Whether all is counted anew, whatever an earlier run left.
    """

    archive: Archive
    dest: Location
    files: tuple[DayFile, ...]
    kinds: tuple[str, ...]
    grains: tuple[str, ...]
    rules: Rules
    federation: Federation
    today: date
    adapts: bool = False
    full: bool = False

    @cached_property
    def present(self) -> DateSet:
        """Dates that have a day file."""
        return DateSet.of(file.date for file in self.files)

    @cached_property
    def days(self) -> dict[str, DateSet]:
        """Days of the windows of each kind: those that launches may belong to.

        The older notebook has complete windows only.
        """
        if self.rules.compat is None:
            return dict.fromkeys(self.kinds, self.present.widened(1, 1))
        present = set(self.present)
        return {
            kind: DateSet.of(
                day
                for window in windows_of(kind, present)
                if present.issuperset(window.dates())
                for day in window.dates()
            )
            for kind in self.kinds
        }

    @cached_property
    def windows(self) -> tuple[tuple[Window, bool], ...]:
        """All windows, those marked False only if they hold a launch."""
        return tuple(
            (window, always)
            for kind, days in self.days.items()
            for window, always in counting_tasks.windows_in(
                kind, days, self.present, self.rules.compat
            )
        )

    @cached_property
    def months(self) -> tuple[Window, ...]:
        """Months that may hold launches of repositories."""
        return tuple(windows_of("monthly", self.present.widened(1, 1)))

    def dates_of(self, names: Collection[str]) -> set[date]:
        """Dates that the rollups and the files of repositories of these names are about."""
        if not names:
            return set()
        compat = self.rules.compat
        about = {
            counting_tasks.name_of(window, grain, compat): window
            for window, _ in self.windows
            for grain in self.grains
        }
        about |= {repositories_name(month): month for month in self.months}
        return {day for name in about.keys() & names for day in about[name].dates()}

    @property
    def options(self) -> dict[str, Any]:
        """What makes results comparable: a run builds only on one with the same options."""
        return {
            "format": FORMAT,
            "source": self.archive.location.address,
            "windows": list(self.kinds),
            "grains": list(self.grains),
            "errors": self.rules.errors,
            "compat": self.rules.compat,
            "versions": sorted(self.rules.versions),
            "origin": self.rules.origin,
            "federation": self.federation.fingerprint,
        }

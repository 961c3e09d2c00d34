"""A run request: what to count and where to write it, independent of earlier results."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Literal

from daskbinder.archive.archive import Archive
from daskbinder.archive.dayfiles import DayFile
from daskbinder.dataset.layout import notebook_name, repositories_name, rollup_name
from daskbinder.dataset.manifest import FORMAT, Options
from daskbinder.model.dates import DateSet
from daskbinder.model.federation import Federation
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import VERSIONS
from daskbinder.model.windows import Window, windows_of
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class CountRules:
    """How launches are counted.

    Attributes
    ----------
    versions : frozenset of int
        Accepted schema versions.
    origin : str
        The origin assigned to launches that have none.
    compat : {None, "notebook"}
        Whether to write the documented rollups or those of the older notebook.
    errors : {"record", "raise"}
        Whether a rejected line is recorded or ends the run.
    """

    versions: frozenset[int] = VERSIONS
    origin: str = MYBINDER.origin
    compat: Literal["notebook"] | None = None
    errors: Literal["record", "raise"] = "record"


@dataclass(frozen=True)
class RunPolicy:
    """How a run goes about its work; the results do not depend on it.

    Attributes
    ----------
    blocksize : int or None
        Bytes of the archive that a task holds at a time; None for 64 MiB, or less if workers have
        little memory.
    keep_going : bool
        Whether day files that cannot be read are left out or end the run.
    full : bool
        Whether everything is recounted, whatever an earlier run left.
    """

    blocksize: int | None = None
    keep_going: bool = False
    full: bool = False

    @property
    def block_bytes(self) -> int:
        """Bytes that a task holds at a time."""
        return self.blocksize or 64 << 20


@dataclass(frozen=True)
class Request:
    """What to count, and where the results go.

    Attributes
    ----------
    archive : Archive
        Where the launches come from.
    dest : Location
        Where the results go.
    files : tuple of DayFile
        The day files that the results cover.
    kinds, grains : tuple of str
        The windows and grains wanted.
    rules : CountRules
        How launches are counted.
    federation : Federation
        Maps origins to federation members.
    today : datetime.date
        The UTC date; today's and yesterday's files are provisional.
    """

    archive: Archive
    dest: Location
    files: tuple[DayFile, ...]
    kinds: tuple[str, ...]
    grains: tuple[str, ...]
    rules: CountRules
    federation: Federation
    today: date

    @cached_property
    def present(self) -> DateSet:
        """Dates that have a day file."""
        return DateSet.of(file.date for file in self.files)

    @cached_property
    def windows(self) -> dict[Window, bool]:
        """All windows; those marked False have no day file and are written only if not empty.

        The older notebook has only complete windows.
        """
        present = set(self.present)
        if self.rules.compat == "notebook":
            found = (w for kind in self.kinds for w in windows_of(kind, present, labels="notebook"))
            return dict.fromkeys((w for w in found if present.issuperset(w.dates())), True)
        reached = self.present.widened(1, 1)
        return {
            window: not present.isdisjoint(window.dates())
            for kind in self.kinds
            for window in windows_of(kind, reached)
        }

    @cached_property
    def months(self) -> tuple[Window, ...]:
        """Months that may hold launches."""
        return tuple(windows_of("monthly", self.present.widened(1, 1)))

    def names_of(self, window: Window) -> list[str]:
        """Names below DEST of a window's rollups."""
        name = rollup_name if self.rules.compat is None else notebook_name
        return [name(window, grain) for grain in self.grains]

    def dates_of(self, names: Collection[str]) -> set[date]:
        """Dates covered by the rollups and repository files of these names."""
        if not names:
            return set()
        windows = {name: window for window in self.windows for name in self.names_of(window)}
        windows |= {repositories_name(month): month for month in self.months}
        return {day for name in windows.keys() & names for day in windows[name].dates()}

    @property
    def options(self) -> Options:
        """The options for the manifest; a run builds only on a data set with the same ones."""
        return Options(
            format=FORMAT,
            source=self.archive.location.address,
            windows=self.kinds,
            grains=self.grains,
            errors=self.rules.errors,
            compat=self.rules.compat,
            versions=tuple(sorted(self.rules.versions)),
            origin=self.rules.origin,
            federation=self.federation.fingerprint,
        )

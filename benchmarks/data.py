"""The archives the benchmarks run on: made once from a seed, or already there."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from daskbinder.archive.sample import write_sample

ROOT = Path(__file__).parents[1]
HOME = ROOT / "build" / "benchmarks"
"""Where archives are made unless told otherwise; ignored by git."""

START = date(2019, 1, 1)
FIRST = date(2018, 11, 3)  # of the real archive

_DAY_FILE = re.compile(r"events-\d{4}-\d{2}-\d{2}\.jsonl")
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Data:
    """An archive and how large it is.

    Attributes
    ----------
    folder : Path
        Where its day files lie.
    days : int
        Day files.
    bytes : int
        Bytes in them.
    events : int
        Lines in them.
    """

    folder: Path
    days: int
    bytes: int
    events: int

    def __str__(self) -> str:
        return f"{self.days} days, {self.bytes / 1e9:.2f} GB"

    def warm(self) -> None:
        """Read every day file once, so that no run pays for the disk."""
        for path in _day_files(self.folder):
            with path.open("rb", buffering=0) as file:
                while file.read(_CHUNK):
                    pass


@dataclass(frozen=True)
class Sample:
    """What a made-up archive is made from.

    Attributes
    ----------
    days, start, events_per_day, repositories, seed
        As `daskbinder.archive.sample.write_sample` takes them.
    """

    days: int
    start: date = START
    events_per_day: int = 20_000
    repositories: int = 40_000
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of its folder."""
        name = f"{self.start}-{self.days}x{self.events_per_day}-seed{self.seed}"
        fewer = self.repositories != Sample.repositories
        return f"{name}-repositories{self.repositories}" if fewer else name

    def make(self, home: Path | None = None) -> Data:
        """Make the archive, or find it where an earlier call left it.

        Parameters
        ----------
        home : Path, optional
            The folder that holds such archives, `HOME` by default.

        Returns
        -------
        Data
        """
        folder = (home or HOME) / self.name
        if not folder.exists():
            part = folder.with_name(f"{folder.name}.part")
            if part.exists():
                raise FileExistsError(f"{part} is what a broken run left; remove it")
            write_sample(part, **asdict(self))
            part.rename(folder)
        return describe(folder)


ARCHIVES = {
    "first-year": Sample(352, FIRST, events_per_day=16_200, repositories=1_000),
}
"""Samples with a name.

``first-year`` has the size of the real archive's first year: 351 day files with 4,507,632 launches
in 0.90 GB, so 12,842 a day. A line has 187 bytes in versions 1 and 2, and 218 in version 3, which
begins on 2019-06-12. Without their timestamps, 6.1 % of the lines of a day are distinct: 4 % on a
busy day, 10 % on a quiet one. The year has 2,692 specs.
"""


def describe(folder: Path) -> Data:
    """Measure an archive; what was found is kept beside it for the next time.

    Parameters
    ----------
    folder : Path
        A folder with day files.

    Returns
    -------
    Data
    """
    folder = folder.resolve()
    paths = _day_files(folder)
    if not paths:
        raise FileNotFoundError(f"{folder} holds no day files events-YYYY-MM-DD.jsonl")
    size = sum(path.stat().st_size for path in paths)
    note = HOME / f"{'-'.join(folder.parts[1:])}.json"
    if note.exists():
        known = json.loads(note.read_text())
        if (known["days"], known["bytes"]) == (len(paths), size):
            return Data(folder, known["days"], known["bytes"], known["events"])
    data = Data(folder, len(paths), size, sum(map(_lines, paths)))
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(asdict(data) | {"folder": str(folder)}))
    return data


def _day_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _DAY_FILE.fullmatch(path.name))


def _lines(path: Path) -> int:
    lines = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            lines += chunk.count(b"\n")
    return lines

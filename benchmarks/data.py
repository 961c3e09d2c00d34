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
EVENTS_PER_DAY = 20_000
SEED = 0

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


def make(
    days: int,
    *,
    events_per_day: int = EVENTS_PER_DAY,
    start: date = START,
    seed: int = SEED,
    home: Path | None = None,
) -> Data:
    """Make a sample archive, or find it where an earlier call left it.

    Parameters
    ----------
    days, events_per_day, start, seed
        As `daskbinder.archive.sample.write_sample` takes them.
    home : Path, optional
        The folder that holds such archives, `HOME` by default.

    Returns
    -------
    Data
    """
    folder = (home or HOME) / f"{start}-{days}x{events_per_day}-seed{seed}"
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        if part.exists():
            raise FileExistsError(f"{part} is what a broken run left; remove it")
        write_sample(part, days=days, start=start, events_per_day=events_per_day, seed=seed)
        part.rename(folder)
    return describe(folder)


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

"""The manifest of a data set: written last, it lists the files that make up the data set.

Only this module reads or writes its keys. Others may be able to write to its folder, so a manifest
is validated in full before use: every part by its type, every file name against the names that a
data set can have.
"""

import json
from collections import Counter
from datetime import date
from typing import Annotated, Any, Literal

import msgspec

from daskbinder.dataset.layout import MANIFEST, is_output
from daskbinder.errors import InputError
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.redaction import address_of, scrub
from daskbinder.storage.backend import Fingerprint
from daskbinder.storage.location import Location

FORMAT = 3
"""Incremented whenever the same archive would give different results than before."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Kinds = Annotated[tuple[Literal[KINDS], ...], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]
_Grains = Annotated[tuple[Literal[GRAINS], ...], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]


class FileEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of the data set.

    Attributes
    ----------
    bytes, rows : int
        Its size in bytes and its number of rows.
    n : int or None
        Sum of its column ``n``; None if it has no such column.
    crc32 : int
        CRC-32 of its bytes.
    secret : int or None
        Launches in it whose spec holds a password, a user or a token; None if it has no specs.
    """

    bytes: _Count
    rows: _Count
    n: _Count | None
    crc32: _Count
    secret: _Count | None = None


class Options(msgspec.Struct, frozen=True):
    """How it was counted; a run builds only on a data set with the same options."""

    format: int
    source: str
    windows: _Kinds
    grains: _Grains
    errors: str
    compat: Literal["notebook"] | None
    versions: tuple[int, ...]
    origin: str
    federation: str


class Totals(msgspec.Struct, frozen=True):
    """Sums over all day files; `reasons` has the rejected lines by reason."""

    files: _Count
    bytes: _Count
    lines: _Count
    accepted: _Count
    rejected: _Count
    index_mismatches: _Count
    reasons: dict[str, _Count]


class Shrunk(msgspec.Struct, frozen=True):
    """Launches of a day that lost more than half of its launches, before and now."""

    before: _Count
    now: _Count


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a data set holds. Fields with a default may be missing in manifests of older versions.

    Attributes
    ----------
    daskbinder : str
        Version of the package that wrote it.
    instance : str
        Name of the BinderHub; empty if not stated.
    source : str
        Address of the archive.
    start, end : datetime.date
        Dates of the first and the last day file.
    options : Options
        How it was counted.
    missing : tuple of datetime.date
        Dates between `start` and `end` that have no day file.
    incomplete : dict of str to tuple of datetime.date
        Windows with missing days (``weekly/2021-W08``), and those days.
    totals : Totals
        Sums over all day files.
    unknown_origins : tuple of str
        Hosts that are not in the federation table.
    strays : tuple of datetime.date
        Dates of the day files that hold launches of another date.
    shrunk : dict of datetime.date to Shrunk
        Days with less than half of the launches counted before.
    absent : dict of datetime.date to int
        Days whose file is gone, and the launches they had.
    files : dict of str to FileEntry
        The files, by their names below DEST.
    lost : dict of str to str
        Day files that were left out, and why.
    """

    daskbinder: str
    instance: str = ""
    source: str
    start: date
    end: date
    options: Options
    missing: tuple[date, ...]
    incomplete: dict[str, tuple[date, ...]]
    totals: Totals
    unknown_origins: tuple[str, ...]
    strays: tuple[date, ...]
    shrunk: dict[date, Shrunk] = {}
    absent: dict[date, _Count] = {}
    files: dict[str, FileEntry]
    lost: dict[str, str] = {}

    @property
    def secret_launches(self) -> int:
        """Launches in the rollups whose spec holds a password, a user or a token.

        The rollups of one kind and grain hold every launch once, so the largest sum is the total.
        """
        found: Counter[str] = Counter()
        for name, entry in self.files.items():
            found[name.rpartition("/")[0]] += entry.secret or 0
        return max(found.values(), default=0)

    def as_dict(self) -> dict[str, Any]:
        """All fields as written to the file."""
        return msgspec.json.decode(msgspec.json.encode(self))


class _Outline(msgspec.Struct):
    """The parts of a manifest that are checked before the rest is read."""

    files: dict[str, msgspec.Raw]
    options: Any = None


class BrokenManifest(InputError):
    """A manifest that cannot be used; a full run replaces it."""


def read_manifest(location: Location, *, broken_is_none: bool = False) -> Manifest | None:
    """Read the manifest of a data set; None if there is none.

    Parameters
    ----------
    location : Location
        Where the data set is.
    broken_is_none : bool
        Return None for a broken manifest too, as the run will replace it.

    Raises
    ------
    BrokenManifest
        When it is not a manifest, or a field is missing or of the wrong type.
    InputError
        When a newer daskbinder wrote it, or it names a file that no data set can have.
    """
    try:
        data = location.read(MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _parse(f"{location}/{MANIFEST}", data)
    except BrokenManifest:
        if broken_is_none:
            return None
        raise


def _parse(where: str, data: bytes) -> Manifest:
    try:
        outline = msgspec.json.decode(data, type=_Outline)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BrokenManifest(
            f"{where} is not a manifest of daskbinder; run again with --full"
        ) from error
    _refuse_newer(where, outline.options)
    for name in outline.files:
        if not is_output(name):
            raise InputError(
                f"{where} names {name[:80]!a}, which is no file of a data set; "
                "remove the manifest, or give another folder"
            )
    try:
        return _without_secrets(msgspec.json.decode(data, type=Manifest))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        flaw = _undescribed(outline) or f"does not state what a run leaves ({error})"
        raise BrokenManifest(f"{where} {flaw}; run again with --full") from error


def _undescribed(outline: _Outline) -> str | None:
    """Name the first file whose entry is broken; msgspec's own path does not."""
    for name, entry in outline.files.items():
        try:
            msgspec.json.decode(entry, type=FileEntry)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return f"does not describe {name}"
    return None


def _refuse_newer(where: str, options: Any) -> None:
    found = options.get("format") if isinstance(options, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise InputError(
            f"{where} has format {found}, and this daskbinder knows {FORMAT} at most; "
            "install a newer one, or give another folder"
        )


def _without_secrets(manifest: Manifest) -> Manifest:
    """Strip passwords from addresses; earlier versions left them in."""
    source = address_of(manifest.options.source)
    return msgspec.structs.replace(
        manifest,
        source=address_of(manifest.source),
        options=msgspec.structs.replace(manifest.options, source=source),
        lost={name: scrub(why) for name, why in manifest.lost.items()},
    )


def write_manifest(
    location: Location, manifest: Manifest, version: Fingerprint | None = None
) -> None:
    """Write the manifest; given a `version`, only if the stored one still has that version."""
    data = json.dumps(manifest.as_dict(), indent=1, ensure_ascii=False).encode() + b"\n"
    location.write(MANIFEST, data, stamp=version)

"""The manifest of a data set, written last: what it must say, and the one place that reads it.

It lies where others may write. So all of it is checked before anything is believed: its parts by
their types, and the files it names by the names that a data set can have.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import orjson

from daskbinder.dataset.layout import MANIFEST, is_output
from daskbinder.errors import InputError
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.redaction import address_of, scrub
from daskbinder.storage.backend import Fingerprint
from daskbinder.storage.location import Location

FORMAT = 3
"""Raised whenever the same archive would give other results than before."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Kinds = Annotated[list[Literal[KINDS]], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]
_Grains = Annotated[list[Literal[GRAINS]], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]


class _File(msgspec.Struct):
    """What is known of a file."""

    bytes: _Count
    rows: _Count
    n: _Count | None
    crc32: _Count
    secret: _Count = 0


class _Options(msgspec.Struct):
    """What makes results comparable."""

    format: int
    source: str
    windows: _Kinds
    grains: _Grains
    errors: str
    compat: Literal["notebook"] | None
    versions: list[int]
    origin: str
    federation: str


class _Totals(msgspec.Struct):
    """What the day files hold."""

    files: _Count
    bytes: _Count
    lines: _Count
    accepted: _Count
    rejected: _Count
    index_mismatches: _Count
    reasons: dict[str, _Count]


class _Shrunk(msgspec.Struct):
    """Launches of a day that lost more than half of them."""

    before: _Count
    now: _Count


class _Manifest(msgspec.Struct):
    """All parts of a manifest; those with a default were not there from the start."""

    daskbinder: str
    source: str
    start: date
    end: date
    options: _Options
    missing: list[date]
    incomplete: dict[str, list[date]]
    totals: _Totals
    unknown_origins: list[str]
    strays: list[date]
    files: dict[str, Any]
    lost: dict[str, str] = {}
    shrunk: dict[date, _Shrunk] = {}
    absent: dict[date, _Count] = {}
    instance: str = ""


class BrokenManifest(InputError):
    """A manifest that tells nothing; counting everything anew replaces it."""


def read_manifest(location: Location, *, broken_is_none: bool = False) -> dict[str, Any] | None:
    """Read the manifest of a data set.

    Parameters
    ----------
    location : Location
        Where the data set lies.
    broken_is_none : bool
        Take a broken manifest for none: it will be replaced.

    Returns
    -------
    dict or None
        What the manifest says; None where there is none.

    Raises
    ------
    BrokenManifest
        When it is not a manifest, or a part of it is missing or of another type.
    InputError
        When a newer daskbinder wrote it, or it names a file that no data set has.
    """
    try:
        data = location.read(MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return _read(f"{location}/{MANIFEST}", data)
    except BrokenManifest:
        if broken_is_none:
            return None
        raise


def _read(where: str, data: bytes) -> dict[str, Any]:
    try:
        manifest = orjson.loads(data)
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BrokenManifest(f"{where} is not a manifest of daskbinder; run again with --full")
    _refuse_newer(where, manifest)
    for name in manifest["files"]:
        if not is_output(name):
            raise InputError(
                f"{where} names {name[:80]!a}, which is no file of a data set; "
                "remove the manifest, or give another folder"
            )
    if flaw := _flaw(manifest):
        raise BrokenManifest(f"{where} {flaw}; run again with --full")
    return _without_secrets(manifest)


def _refuse_newer(where: str, manifest: Mapping[str, Any]) -> None:
    options = manifest.get("options")
    found = options.get("format") if isinstance(options, dict) else None
    if isinstance(found, int) and found > FORMAT:
        raise InputError(
            f"{where} has format {found}, and this daskbinder knows {FORMAT} at most; "
            "install a newer one, or give another folder"
        )


def _flaw(manifest: Mapping[str, Any]) -> str | None:
    """What is wrong with the parts of a manifest, None if nothing is."""
    for part in _Manifest.__struct_fields__[: -len(_Manifest.__struct_defaults__)]:
        if part not in manifest:
            return f"does not state {part!r}"
    for name, entry in manifest["files"].items():
        try:
            msgspec.convert(entry, _File)
        except msgspec.ValidationError:
            return f"does not describe {name}"
    try:
        msgspec.convert(manifest, _Manifest)
    except msgspec.ValidationError as error:
        return f"does not state what a run leaves ({error})"
    return None


def _without_secrets(manifest: dict[str, Any]) -> dict[str, Any]:
    """Cut what runs of an earlier version let stand: the password of an address."""
    manifest["source"] = address_of(manifest["source"])
    manifest["options"]["source"] = address_of(manifest["options"]["source"])
    manifest["lost"] = {name: scrub(why) for name, why in manifest.get("lost", {}).items()}
    return manifest


def write_manifest(
    location: Location, manifest: Mapping[str, Any], stamp: Fingerprint | None = None
) -> None:
    """Write the manifest, if that now there has this stamp; the data set is what it names."""
    data = json.dumps(manifest, indent=1, ensure_ascii=False).encode() + b"\n"
    location.write(MANIFEST, data, stamp=stamp)

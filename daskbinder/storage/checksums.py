"""Checksums: whether the bytes received match the listing."""

import hashlib
from base64 import b64encode
from typing import Any

import google_crc32c

from daskbinder.storage.backend import Entry

FAST_CRC = google_crc32c.implementation == "c"


def has_checksum(entry: Entry) -> bool:
    """Whether a listing gave a checksum."""
    return bool(entry.fingerprint.keys() & {"crc32c", "md5Hash"})


def mismatch(entry: Entry, data: Any) -> str | None:
    """Say how bytes differ from the listing; None if they match.

    If there are two checksums, the CRC is compared: it takes a twentieth of the time and detects
    any transfer error.
    """
    if entry.size is not None and len(data) != entry.size:
        return f"{len(data):,} bytes came in place of {entry.size:,}"
    md5, crc = entry.fingerprint.get("md5Hash"), entry.fingerprint.get("crc32c")
    if crc and (FAST_CRC or not md5):
        digest = google_crc32c.value(bytes(data)).to_bytes(4, "big")
        return None if b64encode(digest).decode() == crc else "the CRC32C is not the one listed"
    if md5:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        return None if b64encode(digest).decode() == md5 else "the MD5 is not the one listed"
    return None

"""Gzip files, recognised by their first bytes whatever they are called."""

import gzip
import re
import zlib
from collections.abc import Iterator
from io import BytesIO

HEADER = 10
"""Bytes by which gzip is recognised."""

_HEADER = re.compile(
    rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x09\x0b-\x0d\xff]", re.DOTALL
)
"""Header of a member: magic, deflate, flags, time, effort, system (RFC 1952, 2.3).

All of it is compared, as a broken line may begin with the magic. System 10 is left out: it is a
newline, and would end the line.
"""


class NotWhole(Exception):
    """A gzip file is cut off, damaged, or followed by other bytes."""


def is_packed(data: bytes | memoryview, *, called: bool = False) -> bool:
    """Whether bytes begin a gzip file; the two magic bytes are enough if it is `called` one."""
    start = bytes(data[:HEADER])
    return _HEADER.match(start) is not None or (called and start.startswith(b"\x1f\x8b"))


def unpack(data: bytes | memoryview, size: int) -> Iterator[bytes]:
    """Give the lines of a gzip file, in pieces of whole lines of about `size` bytes.

    Raises
    ------
    NotWhole
        When it is not exactly a whole gzip file.
    """
    rest = b""
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as stream:
            while piece := stream.read(size):
                end = piece.rfind(b"\n") + 1
                if end:
                    yield rest + piece[:end]
                    rest = piece[end:]
                else:
                    rest += piece
    except (EOFError, OSError, zlib.error) as error:
        raise NotWhole(str(error)) from error
    yield rest

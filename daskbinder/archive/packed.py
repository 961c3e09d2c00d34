"""Bytes that are gzip, whatever their file is called: told by how they begin, and taken apart."""

import gzip
import re
import zlib
from collections.abc import Iterator
from io import BytesIO

HEADER = 10
"""Bytes by which gzip is told."""

_BEGINNING = re.compile(
    rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x09\x0b-\x0d\xff]", re.DOTALL
)
"""How a member begins: magic, deflate, flags, time, effort, system (RFC 1952, 2.3).

All of it, since a line that cannot be used may begin so too; a system of number 10 would end it.
"""


class NotWhole(Exception):
    """A gzip file lacks bytes, has others behind its members, or some are not what they were."""


def is_packed(data: bytes | memoryview, *, called: bool = False) -> bool:
    """Whether bytes are the beginning of a gzip file; if it is `called` so, two of them tell."""
    start = bytes(data[:HEADER])
    return _BEGINNING.match(start) is not None or (called and start.startswith(b"\x1f\x8b"))


def unpack(data: bytes | memoryview, size: int) -> Iterator[bytes]:
    """Give the lines of a gzip file, in pieces of whole lines of about `size` bytes.

    Raises
    ------
    NotWhole
        When it is not a whole gzip file, and nothing else.
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

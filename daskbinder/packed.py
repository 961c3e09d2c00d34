"""Bytes that are gzip, whatever their file is called: told by how they begin, and taken apart."""

import gzip
import zlib
from collections.abc import Iterator
from io import BytesIO

MAGIC = b"\x1f\x8b"
"""How each member of a gzip file begins (RFC 1952, 2.3.1)."""


class NotWhole(Exception):
    """A gzip file lacks bytes, has others behind its members, or some are not what they were."""


def is_packed(data: bytes | memoryview) -> bool:
    """Whether bytes are the beginning of a gzip file."""
    return bytes(data[: len(MAGIC)]) == MAGIC


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

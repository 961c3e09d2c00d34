"""Packaged and user-supplied TOML files, type-checked as they are read."""

from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec

from daskbinder.errors import InputError

T = TypeVar("T")


def read_toml(file: Path | Traversable, kind: type[T], what: str) -> T:
    """Read a file as a struct; an `InputError` says which file and which entry is wrong.

    `what` describes the file in that message.
    """
    try:
        return msgspec.toml.decode(file.read_text(encoding="utf-8-sig"), type=kind)
    except OSError as error:
        raise InputError(f"cannot read {what} {file}: {error.strerror or error}") from error
    except msgspec.ValidationError as error:
        raise InputError(f"{what} {file} cannot be used: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} {file} is not TOML: {error}") from error

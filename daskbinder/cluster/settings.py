"""Dask's configuration, where it is to blame: which file or variable sets what cannot be used.

Dask reads its YAML files as it is imported, and takes values as they come: what is wrong with them
shows anywhere, as any error. So it is looked for when something failed, not before: whatever works
may stay.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import shorten
from typing import Any

from daskbinder.errors import InputError, JobError

_READERS = tuple(str(Path(package, "config.py")) for package in ("dask", "distributed"))
"""Modules in which nothing fails but for what they read."""


@contextmanager
def blamed() -> Iterator[None]:
    """Tell in one sentence, where something fails of Dask's configuration, what in that is wrong.

    Raises
    ------
    InputError
        In place of an error that nobody expected, if the configuration holds what does not fit.
    """
    try:
        yield
    except (InputError, JobError, ImportError):
        raise
    except Exception as error:
        seen = shorten(f"{type(error).__name__}: {error}".rstrip(": "), 240, placeholder=" ...")
        if wrong := _misfits():
            raise InputError(
                f"Dask cannot work with its configuration: {', '.join(wrong)} ({seen}); mend it"
            ) from error
        frames = traceback.walk_tb(error.__traceback__)
        if any(frame.f_code.co_filename.endswith(_READERS) for frame, _ in frames):
            raise InputError(f"Dask cannot read its configuration ({seen}); mend it") from error
        raise


def _misfits() -> list[str]:
    """Settings that are of another kind than Dask's own, and where each is made."""
    config = sys.modules.get("dask.config")
    if config is None or not hasattr(config, "defaults"):
        return []
    own = config.merge(*config.defaults)
    return [f"{name} ({_origin(name)})" for name in _differing(own, config.config)]


def _differing(own: Mapping[str, Any], given: Mapping[str, Any], above: str = "") -> Iterator[str]:
    known = {_plain(key): default for key, default in own.items()}
    for key, value in given.items():
        name, default = f"{above}{_plain(key)}", known.get(_plain(key))
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            yield from _differing(default, value, f"{name}.")
        elif not _FITS.get(name, _fits(default))(value):
            yield name


def _plain(key: object) -> str:
    """One way to write a key, of the two that there are."""
    return str(key).replace("_", "-")


def _fits(default: Any) -> Callable[[Any], bool]:
    """Whether a value may stand in place of a default, as far as that tells."""

    def fits(value: Any) -> bool:
        if value is None or default is None or isinstance(default, bool) or value == default:
            return True
        if isinstance(default, Mapping):
            return isinstance(value, Mapping)
        if isinstance(default, int | float):
            return isinstance(value, int | float) or _is_size(value) or _is_time(value)
        if isinstance(default, str):
            is_one = next((one for one in (_is_time, _is_size) if one(default)), None)
            return is_one is None or isinstance(value, bool) or is_one(value)
        return True

    return fits


def _is_time(value: Any) -> bool:
    from dask.utils import parse_timedelta

    with suppress(Exception):
        return parse_timedelta(value) is not None
    return False


def _is_size(value: Any) -> bool:
    from dask.utils import parse_bytes

    with suppress(Exception):
        return parse_bytes(value) is not None
    return False


def _may_be_folder(value: Any) -> bool:
    if value is None:
        return True
    with suppress(OSError, TypeError):
        path = Path(value)
        there = next(one for one in (path, *path.absolute().parents) if one.exists())
        return there.is_dir() and os.access(there, os.W_OK)
    return False


_FITS: dict[str, Callable[[Any], bool]] = {
    "temporary-directory": _may_be_folder,
    "distributed.logging": lambda value: value is None or isinstance(value, Mapping),
    "scheduler-address": lambda value: value is None or isinstance(value, str),
    "dataframe.backend": lambda value: value in ("pandas", "cudf"),
}
"""What the default does not tell."""


def _origin(name: str) -> str:
    """Say which variable or file makes a setting."""
    wanted = f"DASK_{name}".replace(".", "__").replace("-", "_").upper()
    for variable in os.environ:
        known = variable.replace("-", "_").upper()
        if known == wanted or known.startswith(f"{wanted}__"):
            return variable
    import dask.config

    parts = name.split(".")
    for path, read in dask.config.collect_yaml(dask.config.paths, return_paths=True):
        found: Any = read
        for part in parts:
            pairs = found.items() if isinstance(found, Mapping) else ()
            found = next((one for key, one in pairs if _plain(key) == part), None)
        if found is not None:
            return str(path)
    return "set in Python"

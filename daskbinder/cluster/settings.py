"""Errors caused by Dask's configuration: which file or variable is wrong.

Dask does not validate its settings, so a wrong one can surface anywhere and as any error. They are
checked only after a failure: a wrong setting that does no harm may stay.
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
"""Modules that fail only because of the configuration files they read."""


@contextmanager
def explain_config_errors() -> Iterator[None]:
    """Replace an unexpected error with one that names Dask's wrong settings, if there are any.

    Raises
    ------
    InputError
        When the configuration cannot be read or has a setting of the wrong type.
    """
    try:
        yield
    except (InputError, JobError, ImportError):
        raise
    except Exception as error:
        seen = shorten(f"{type(error).__name__}: {error}".rstrip(": "), 240, placeholder=" ...")
        if wrong := _wrong_settings():
            raise InputError(
                f"Dask cannot work with its configuration: {', '.join(wrong)} ({seen}); correct it"
            ) from error
        frames = traceback.walk_tb(error.__traceback__)
        if any(frame.f_code.co_filename.endswith(_READERS) for frame, _ in frames):
            raise InputError(f"Dask cannot read its configuration ({seen}); correct it") from error
        raise


def _wrong_settings() -> list[str]:
    """Settings whose type differs from Dask's default, each with its origin."""
    config = sys.modules.get("dask.config")
    if config is None or not hasattr(config, "defaults"):
        return []
    defaults = config.merge(*config.defaults)
    return [f"{name} ({_origin(name)})" for name in _differing(defaults, config.config)]


def _differing(
    defaults: Mapping[str, Any], given: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    known = {_dashed(key): default for key, default in defaults.items()}
    for key, value in given.items():
        name, default = f"{prefix}{_dashed(key)}", known.get(_dashed(key))
        if isinstance(default, Mapping) and isinstance(value, Mapping):
            yield from _differing(default, value, f"{name}.")
            continue
        fits = _CHECKS[name](value) if name in _CHECKS else _fits(value, default)
        if value not in (None, default) and not fits:
            yield name


def _dashed(key: object) -> str:
    return str(key).replace("_", "-")


def _fits(value: Any, default: Any) -> bool:
    """Whether a value may replace a default, as far as the default reveals its type."""
    from dask.utils import parse_bytes, parse_timedelta

    if isinstance(default, Mapping):
        return isinstance(value, Mapping)
    if isinstance(value, bool) or isinstance(default, bool):
        return True
    if isinstance(default, int | float):
        return _parses(value, parse_bytes) or _parses(value, parse_timedelta)
    if isinstance(default, str):
        units = [parse for parse in (parse_timedelta, parse_bytes) if _parses(default, parse)]
        return not units or _parses(value, units[0])
    return True


def _parses(value: Any, parse: Callable[[Any], Any]) -> bool:
    with suppress(Exception):
        return parse(value) is not None
    return False


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "temporary-directory": lambda value: isinstance(value, str) and not Path(value).is_file(),
    "distributed.logging": lambda value: isinstance(value, Mapping),
    "scheduler-address": lambda value: isinstance(value, str),
    "dataframe.backend": lambda value: value in ("pandas", "cudf"),
}
"""Checks for settings whose default does not reveal their type."""


def _origin(name: str) -> str:
    """The environment variable or file that a setting comes from."""
    from dask import config

    sources = [(key, config.collect_env({key: value})) for key, value in os.environ.items()]
    sources += config.collect_yaml(config.paths, return_paths=True)
    settings = ((origin, config.get(name, None, values)) for origin, values in sources)
    return next((str(origin) for origin, value in settings if value is not None), "set in Python")

"""Faster start: keep pandas from being imported by commands that do not need it."""

import sys


class _WithoutPandas:
    """An import finder that hides pandas and leaves everything else to other finders."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("not needed here", name=name)


def hide_pandas() -> None:
    """Keep pyarrow from importing pandas for its first array, which takes a third of a second.

    Later imports of pandas work as usual.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, _WithoutPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_WithoutPandas)

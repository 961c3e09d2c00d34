"""A faster start: commands do without pandas."""

import sys


class _WithoutPandas:
    """A finder that refuses pandas and leaves everything else to others."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("not needed here", name=name)


def hide_pandas() -> None:
    """Keep pyarrow from importing pandas with its first array, which takes a third of a second.

    Whoever imports pandas later gets it all the same.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, _WithoutPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_WithoutPandas)

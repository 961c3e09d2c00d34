"""What a command spares itself importing, so that it starts in a moment."""

import sys


class _Hidden:
    """Finds no pandas."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Refuse pandas, and leave all else to others."""
        if name == "pandas":
            raise ModuleNotFoundError("not needed here", name=name)


def hide_pandas() -> None:
    """Let pyarrow do without pandas, which it would load at its first array: a third of a second.

    What asks for pandas later gets it all the same.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    sys.meta_path.insert(0, _Hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_Hidden)

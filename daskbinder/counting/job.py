"""What the compiled kernel is given and gives back: numbers of eight bytes, mostly addresses.

Python fills these structures, and the kernel reads and writes them by the offsets of their fields.
"""

from ctypes import Structure, c_int64


def _integers(*names: str) -> list[tuple[str, type[c_int64]]]:
    return [(name, c_int64) for name in names]


class Texts(Structure):
    """A set of texts, which are numbered from 0, in arrays that have room for more.

    Attributes
    ----------
    slots : int
        Address of a hash table with open addressing. A slot that is taken holds half of the text's
        hash, and one more than its number.
    mask : int
        Slots less one, all bits of which are set.
    indexed : int
        How many of the texts are in the hash table.
    ends : int
        Address of int64 numbers: text i lies in `text` from ``ends[i]`` to ``ends[i + 1]``.
    text, room : int
        Address of the texts, one after the other, and the bytes there are for them.
    hashes, most : int
        Address of the hash of each text, and how many there is room for.
    used : int
        How many there are.
    """

    _fields_ = _integers(
        "slots", "mask", "indexed", "ends", "text", "room", "hashes", "most", "used"
    )


class Job(Structure):
    """Lines to split, and where the result goes.

    Attributes
    ----------
    data, size, done : int
        Address of the lines, their bytes, and how many of these are done.
    anchor : int
        Which layout the lines have: 0, 1 and 2 stand for the anchors of
        `daskbinder.counting.lines.Layout`.
    distance, length, key, key_size : int
        The rest of the layout; `key` is an address.
    frames, stamps : int
        Addresses of two `Texts`.
    frame_of, stamp_of, most, lines : int
        Addresses of the int32 numbers of each line's frame and timestamp, how many lines there is
        room for, and how many there are.
    probe, probe_size, newlines, salt : int
        Addresses of the probe, of 64 line ends, and of the four words that make hashes random.
    full : int
        What had no room left: 1 the lines, 2 the frames, 3 the timestamps, 0 nothing.
    """

    _fields_ = _integers(
        "data",
        "size",
        "done",
        "anchor",
        "distance",
        "length",
        "key",
        "key_size",
        "frames",
        "stamps",
        "frame_of",
        "stamp_of",
        "most",
        "lines",
        "probe",
        "probe_size",
        "newlines",
        "salt",
        "full",
    )

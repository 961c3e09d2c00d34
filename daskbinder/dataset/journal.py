"""What a run keeps in DEST while it is under way, so that a killed run can be resumed.

The pending run says which files may be replaced; a receipt holds the result of a task that
finished. All of it lies in one folder, is no part of the data set, and is removed once the manifest
is written. Others may write there too: what cannot be read is done again, and a name that no run
writes ends the command.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, Literal

import msgspec
import numpy as np

from daskbinder.archive.reading import Part
from daskbinder.counting.members import MemberCounts
from daskbinder.counting.scan import Tally
from daskbinder.dataset.layout import (
    DAYS,
    EARLIER_DAYS,
    FOLDERS,
    JOURNAL,
    PENDING,
    RECEIPTS,
    is_output,
    receipt_key,
    receipt_name,
)
from daskbinder.dataset.manifest import FileEntry
from daskbinder.errors import InputError
from daskbinder.model.launch import Reason
from daskbinder.storage.location import Location


class PendingRun(msgspec.Struct, frozen=True):
    """A run that began and has not ended.

    Attributes
    ----------
    token : str
        Identifies the request together with the data set it builds on.
    names : frozenset of str or None
        Files that it may replace; None if that is not known.
    leftover : frozenset of str
        Files that may be there too, though no manifest will name them.
    from_scratch : bool
        Whether it counts everything because what was there cannot be trusted. It is resumed as
        such: what it replaced must not be trusted either.
    """

    token: str
    names: frozenset[str] | None
    leftover: frozenset[str] = msgspec.field(name="left")
    from_scratch: bool = msgspec.field(name="anew")

    def also(self, names: Collection[str]) -> "PendingRun":
        """Add outputs; those so far may be left over."""
        before = self.names or frozenset()
        return msgspec.structs.replace(
            self, names=before | set(names), leftover=self.leftover | before
        )


def read_pending(dest: Location) -> PendingRun | None:
    """Read what the run that was interrupted here was about; None if there was none.

    Raises
    ------
    InputError
        When it names a file that no run writes.
    """
    try:
        saved = dest.read(PENDING)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        pending = msgspec.json.decode(saved, type=PendingRun)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return PendingRun("", None, frozenset(), from_scratch=True)
    _check_names(dest, PENDING, (pending.names or frozenset()) | pending.leftover)
    return pending


def _check_names(dest: Location, source: str, names: Iterable[str]) -> None:
    for name in names:
        if not is_output(name):
            raise InputError(
                f"{dest}/{source} names {name[:80]!a}, which is no file of a data set; "
                f"remove the folder {dest}/{JOURNAL}, or give another folder"
            )


def begin(dest: Location, token: str, names: Collection[str], *, from_scratch: bool) -> PendingRun:
    """Write down which files will be replaced, before any is.

    The day table is set aside: it will be replaced, and the next run needs it if this one is
    interrupted. Whatever interrupted runs may have left is carried over.
    """
    dest.sweep(FOLDERS)
    before = read_pending(dest)
    if before is None:
        with suppress(FileNotFoundError):
            dest.write(EARLIER_DAYS, dest.read(DAYS))
    leftover = before.leftover | (before.names or frozenset()) if before else frozenset()
    pending = PendingRun(token, frozenset(names), leftover, from_scratch)
    write_pending(dest, pending)
    return pending


def write_pending(dest: Location, pending: PendingRun) -> None:
    """Write down which files will be replaced, before any that was not named yet is."""
    dest.write(PENDING, msgspec.json.encode(pending))


def forget(dest: Location) -> None:
    """Remove all receipts, so that every task is done again."""
    for key in finished(dest):
        dest.remove(receipt_name(key))


def clear(dest: Location) -> None:
    """Remove everything but the lock, which belongs to its holder."""
    forget(dest)
    dest.remove(EARLIER_DAYS)
    dest.remove(PENDING)
    dest.remove_folder(RECEIPTS)


def finished(dest: Location) -> set[str]:
    """Keys of the tasks that have a receipt."""
    try:
        keys = {receipt_key(entry.name) for entry in dest.entries(RECEIPTS)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {key for key in keys if key is not None}


Kind = Literal["members", "written", "tallies"]
"""What a task results in: counts by member, files written, or tallies of day files."""


class _Receipt(msgspec.Struct, omit_defaults=True):
    """The result of a task, under the name of its kind, and which task that was."""

    task: str = ""
    members: MemberCounts | None = None
    written: dict[str, FileEntry] | None = None
    tallies: list[tuple[Part, Tally]] | None = None


def remember(dest: Location, key: str, kind: Kind, task: Callable[..., Any], *inputs: Any) -> Any:
    """Do a task and leave a receipt with its result."""
    result = task(*inputs)
    receipt = _Receipt(key, **{kind: result})
    dest.write(receipt_name(key), msgspec.json.encode(receipt, enc_hook=np.ndarray.tolist))
    return result


def recall(dest: Location, key: str, kind: Kind) -> Any:
    """Return the result of a finished task; None where the receipt cannot be one of this kind.

    Files that a task wrote must still be there.

    Raises
    ------
    InputError
        When the receipt names a file that no run writes.
    """
    name = receipt_name(key)
    try:
        saved = dest.read(name)
    except FileNotFoundError:
        return None
    try:
        receipt = msgspec.json.decode(saved, type=_Receipt, dec_hook=_restored)
    except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    _check_names(dest, name, receipt.written or ())
    is_sound = (
        receipt.task == key
        and (receipt.members is None or _may_be_members(receipt.members))
        and all(_may_be_tally(tally) for _, tally in receipt.tallies or ())
        and _are_there(dest, receipt.written or {})
    )
    return getattr(receipt, kind) if is_sound else None


def _may_be_members(counts: MemberCounts) -> bool:
    shape = counts.n.shape
    return (
        len(shape) == 1
        and shape == counts.hour.shape == counts.member.shape
        and bool((counts.n >= 0).all() and (counts.member >= 0).all())
        and bool((counts.member < len(counts.members)).all())
    )


def _may_be_tally(tally: Tally) -> bool:
    numbers = (tally.physical, tally.accepted, tally.hours, *tally.rejected.values())
    indices = (index for index, _, _ in tally.records)
    return min(*numbers, *indices) >= 0 and tally.physical >= tally.accepted


def _are_there(dest: Location, files: dict[str, FileEntry]) -> bool:
    with suppress(FileNotFoundError):
        return all(dest.entry(name).size == entry.bytes for name, entry in files.items())
    return False


def _restored(kind: Any, value: Any) -> Any:
    """Make what JSON does not know: counts by reason, and arrays of numbers."""
    if getattr(kind, "__origin__", None) is Counter:
        return Counter({Reason(reason): int(n) for reason, n in value.items()})
    return np.array(value, np.int64)

"""The journal: what a run keeps in DEST while it works, so that a killed run can be resumed.

The pending run says which files may be replaced; a receipt holds the result of a finished task. All
of it is in one folder, is not part of the data set, and is removed once the manifest is written.
Others may be able to write there, so nothing is trusted: work whose receipt cannot be read is
redone, and a name that no run writes ends the command.
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
    """A run that has started but not finished.

    Attributes
    ----------
    token : str
        Identifies the request together with the data set it builds on.
    names : frozenset of str or None
        Files that it may replace; None if unknown.
    leftover : frozenset of str
        Files of interrupted or revised runs that may still exist; removed at the end if unused.
    from_scratch : bool
        Whether it counts everything because the existing files cannot be trusted. Resuming it
        does the same: the files it has replaced cannot be trusted either.
    """

    token: str
    names: frozenset[str] | None
    leftover: frozenset[str] = msgspec.field(name="left")
    from_scratch: bool = msgspec.field(name="anew")

    def also(self, names: Collection[str]) -> "PendingRun":
        """Add outputs; the earlier ones become possible leftovers."""
        before = self.names or frozenset()
        return msgspec.structs.replace(
            self, names=before | set(names), leftover=self.leftover | before
        )


def read_pending(dest: Location) -> PendingRun | None:
    """Read the record of an interrupted run; None if there is none.

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
    """Record which files will be replaced, before any of them is.

    The day table is copied first: it will be replaced, and the next run needs it if this one is
    interrupted. Possible leftovers of interrupted runs are carried over.
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
    """Record which files will be replaced; call it before replacing a file not yet named."""
    dest.write(PENDING, msgspec.json.encode(pending))


def forget(dest: Location) -> None:
    """Remove all receipts, so that every task runs again."""
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
"""What a task returns: counts by member, files written, or tallies of day files."""


class _Receipt(msgspec.Struct, omit_defaults=True):
    """The key of a task, and its result in the field named after its kind."""

    task: str = ""
    members: MemberCounts | None = None
    written: dict[str, FileEntry] | None = None
    tallies: list[tuple[Part, Tally]] | None = None


def remember(dest: Location, key: str, kind: Kind, task: Callable[..., Any], *inputs: Any) -> Any:
    """Run a task and write a receipt with its result."""
    result = task(*inputs)
    receipt = _Receipt(key, **{kind: result})
    dest.write(receipt_name(key), msgspec.json.encode(receipt, enc_hook=np.ndarray.tolist))
    return result


def recall(dest: Location, key: str, kind: Kind) -> Any:
    """Return the result of a finished task; None if its receipt is missing, invalid or outdated.

    Files that the task wrote must still exist with the recorded sizes.

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
    """Restore types that JSON lacks: counters by reason, and arrays."""
    if getattr(kind, "__origin__", None) is Counter:
        return Counter({Reason(reason): int(n) for reason, n in value.items()})
    return np.array(value, np.int64)

"""What a run keeps in DEST while it is under way, so that one killed anywhere is taken up again.

The target, by which the next run knows whether it wants the same as the one that was interrupted;
and receipts, one for each task that finished. All of it lies in one folder, is no part of the data
set, and goes when the manifest has been written. Like all that lies in DEST it may be a stranger's:
what cannot be read is done again, and a name that no run writes ends the command.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np

from daskbinder.archive.reading import Part
from daskbinder.counting.members import MemberCounts
from daskbinder.counting.scan import Tally
from daskbinder.dataset.files import Written
from daskbinder.dataset.layout import (
    DAYS,
    EARLIER_DAYS,
    FOLDERS,
    JOURNAL,
    RECEIPTS,
    TARGET,
    is_output,
    receipt_key,
    receipt_name,
)
from daskbinder.errors import InputError
from daskbinder.model.launch import Reason
from daskbinder.storage.location import Location


@dataclass(frozen=True)
class PendingRun:
    """What a run wants.

    Attributes
    ----------
    token : str
        Names what it wants together with what it builds on.
    names : frozenset of str or None
        Files that it may replace; None if that is not known.
    left : frozenset of str
        Files that may be there too, though no manifest will name them.
    anew : bool
        Whether it counts everything anew, because what was there cannot be trusted. It is taken up
        as such: what it replaced must not be trusted either.
    """

    token: str
    names: frozenset[str] | None
    left: frozenset[str]
    anew: bool

    def beside(self, names: Collection[str]) -> "PendingRun":
        """Aim at other files too; those so far may then be left."""
        before = self.names or frozenset()
        return replace(self, names=before | set(names), left=self.left | before)


def read_target(dest: Location) -> PendingRun | None:
    """What the run that was interrupted here wanted, None if there was none.

    Raises
    ------
    InputError
        When it names a file that no run writes.
    """
    try:
        saved = dest.read(TARGET)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        target = msgspec.json.decode(saved, type=PendingRun)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return PendingRun("", None, frozenset(), anew=True)
    _check_names(dest, TARGET, (target.names or frozenset()) | target.left)
    return target


def _check_names(dest: Location, source: str, names: Iterable[str]) -> None:
    for name in names:
        if not is_output(name):
            raise InputError(
                f"{dest}/{source} names {name[:80]!a}, which is no file of a data set; "
                f"remove the folder {dest}/{JOURNAL}, or give another folder"
            )


def begin(dest: Location, token: str, names: Collection[str], *, anew: bool) -> PendingRun:
    """Say what is wanted and which files will be replaced, before any is.

    The day table is set aside: it will be replaced, and the next run needs it if this one ends
    early. What runs that ended early may have left is part of the target.
    """
    dest.sweep(FOLDERS)
    before = read_target(dest)
    if before is None:
        with suppress(FileNotFoundError):
            dest.write(EARLIER_DAYS, dest.read(DAYS))
    left = before.left | (before.names or frozenset()) if before else frozenset()
    target = PendingRun(token, frozenset(names), left, anew)
    aim(dest, target)
    return target


def aim(dest: Location, target: PendingRun) -> None:
    """Say which files will be replaced, before any is that was not named before."""
    dest.write(TARGET, msgspec.json.encode(target))


def forget(dest: Location) -> None:
    """Remove all receipts, so that everything is done again."""
    for key in done(dest):
        dest.remove(receipt_name(key))


def clear(dest: Location) -> None:
    """Remove everything but the lock, which belongs to whoever holds it."""
    forget(dest)
    dest.remove(EARLIER_DAYS)
    dest.remove(TARGET)
    dest.remove_folder(RECEIPTS)


def done(dest: Location) -> set[str]:
    """Keys of the tasks that have a receipt."""
    try:
        keys = {receipt_key(entry.name) for entry in dest.entries(RECEIPTS)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {key for key in keys if key is not None}


Kind = Literal["members", "written", "tallies"]
"""What a task results in."""


class _Receipt(msgspec.Struct, omit_defaults=True):
    """The result of a task, under the name of its kind, and which task that was."""

    task: str = ""
    members: MemberCounts | None = None
    written: list[Written] | None = None
    tallies: list[tuple[Part, Tally]] | None = None


def remember(dest: Location, key: str, kind: Kind, task: Callable[..., Any], *inputs: Any) -> Any:
    """Do a task and leave a receipt with its result."""
    result = task(*inputs)
    receipt = _Receipt(key, **{kind: result})
    dest.write(receipt_name(key), msgspec.json.encode(receipt, enc_hook=np.ndarray.tolist))
    return result


def recall(dest: Location, key: str, kind: Kind) -> Any:
    """Return the result of a task that left a receipt, None if it cannot be one of this kind.

    Raises
    ------
    InputError
        When it names a file that no run writes.
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
    if receipt.written is not None:
        _check_names(dest, name, (file.name for file in receipt.written))
    is_sound = (
        receipt.task == key
        and (receipt.members is None or _may_be_members(receipt.members))
        and all(_may_be_tally(tally) for _, tally in receipt.tallies or ())
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


def _restored(kind: Any, value: Any) -> Any:
    """Make what JSON does not know: counts by reason, and arrays of numbers."""
    if getattr(kind, "__origin__", None) is Counter:
        return Counter({Reason(reason): int(n) for reason, n in value.items()})
    return np.array(value, np.int64)

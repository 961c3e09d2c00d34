"""The lock that stops two runs from writing to one data set; a killed run cannot hold it forever.

In a local folder it is a file lock, which ends with the process. Elsewhere it is an object that is
created only if there is none and renewed while the run lives; without renewal it expires.
"""

import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from daskbinder.dataset.layout import JOURNAL, LOCK
from daskbinder.errors import InputError, JobError
from daskbinder.storage import local
from daskbinder.storage.backend import Changed
from daskbinder.storage.location import Location

log = logging.getLogger(__name__)

EXPIRY = 300.0
"""Seconds until a lock object expires unless it is renewed."""

_RENEWALS = 5
"""Renewals per expiry period."""

StillHeld = Callable[[], None]
"""Raises `JobError` if the lock was lost."""


@contextmanager
def locked(dest: Location, expiry: float = EXPIRY) -> Iterator[StillHeld]:
    """Hold the lock of a data set.

    Yields
    ------
    callable
        Raises `JobError` if the lock was lost, for example after a long loss of connection.

    Raises
    ------
    InputError
        When another run holds the lock.
    JobError
        When `dest` cannot be written.
    """
    with _flocked(dest) if dest.is_local else _leased(dest, expiry) as still_held:
        yield still_held


@contextmanager
def _flocked(dest: Location) -> Iterator[StillHeld]:
    path = dest.path(LOCK)
    name = LOCK.removeprefix(f"{JOURNAL}/")
    try:
        with local.open_folder(dest.path(), JOURNAL, make=True) as folder:
            while True:
                file = local.open_lock(folder, name, path)
                try:
                    _take_flock(file, dest)
                    if _is_same(file, folder, name):
                        break
                except BaseException:
                    os.close(file)
                    raise
                os.close(file)  # the previous holder has just removed the file
    except OSError as error:
        raise JobError(f"{dest} cannot be written: {error.strerror or error}") from error
    try:
        yield lambda: None
    finally:
        with suppress(OSError, InputError):
            dest.remove(LOCK)
            dest.remove_folder(JOURNAL)
        os.close(file)


def _take_flock(file: int, dest: Location) -> None:
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"another run is writing to {dest}; wait for it, or give another folder"
        ) from error


def _is_same(file: int, folder: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.lstat(name, dir_fd=folder))
    except FileNotFoundError:
        return False


@contextmanager
def _leased(dest: Location, expiry: float) -> Iterator[StillHeld]:
    lease = _Lease(dest, expiry)
    lease.take()
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(expiry / _RENEWALS):
            lease.renew()

    keeper = threading.Thread(target=keep, name="daskbinder-lock", daemon=True)
    keeper.start()
    try:
        yield lease.check
    finally:
        ended.set()
        keeper.join()
        lease.release()


class _Lease:
    """The lock object of one run in a bucket."""

    def __init__(self, dest: Location, expiry: float) -> None:
        self.dest, self.expiry = dest, expiry
        self.text = json.dumps({"run": secrets.token_hex(16)}).encode()
        self.lost = False

    def take(self) -> None:
        """Create the object, or take over an expired one; fail if another run holds the lock."""
        stamp = self.dest.stamp(LOCK)
        if stamp:
            self._refuse_unless_expired()
        try:
            self.dest.write(LOCK, self.text, stamp=stamp)
        except JobError as error:
            if isinstance(error.__cause__, Changed):  # another run was faster
                raise self._refusal(self.expiry) from error
            raise

    def _refuse_unless_expired(self) -> None:
        try:
            age = self.dest.age(LOCK)
        except FileNotFoundError:  # the lock has just been released
            return
        if age is None:
            raise InputError(
                f"another run is writing to {self.dest}, or was killed there; "
                f"if none is at work, remove {self.dest}/{LOCK}"
            )
        if age < self.expiry:
            raise self._refusal(self.expiry - age)

    def _refusal(self, seconds: float) -> InputError:
        return InputError(
            f"another run is writing to {self.dest}, or was killed there; "
            f"wait for it, or for {max(seconds, 1):.0f} seconds if it was killed"
        )

    def renew(self) -> None:
        """Rewrite the object if it is still ours."""
        try:
            stamp = self.dest.stamp(LOCK)
            if not self._is_ours():
                self.lost = True
                return
            self.dest.write(LOCK, self.text, stamp=stamp)
        except Exception as error:  # the next renewal may succeed
            log.warning("the lock of %s was not renewed: %s", self.dest, error)

    def check(self) -> None:
        """Raise `JobError` if another run may hold the lock by now."""
        if self.lost or not self._is_ours():
            raise JobError(
                f"the lock of {self.dest} was lost, and another run may be writing there; "
                "run again later"
            )

    def release(self) -> None:
        """Remove the object if it is ours; if that fails, it expires."""
        with suppress(Exception):
            if self._is_ours():
                self.dest.remove(LOCK)

    def _is_ours(self) -> bool:
        return self.dest.holds(LOCK, self.text)

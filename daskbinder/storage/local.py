"""Files below a local folder, never written outside it.

The folder may contain traps: a link or a mount that leads out of it, a FIFO in place of a file.
Folders are opened one by one, each relative to its parent, so that none can be swapped for a link
between the check and the write.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daskbinder.errors import InputError
from daskbinder.storage.backend import (
    LISTED,
    WRITTEN,
    Allocate,
    Changed,
    Entry,
    Fingerprint,
    Storage,
)

TEMPORARY = ".daskbinder-"
"""Prefix of a file that is being written."""

_LEFT = re.compile(rf"{re.escape(TEMPORARY)}(?:probe-)?[0-9a-f]{{16}}", re.ASCII)
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
}
_same_mount: set[tuple[int, int, int]] = set()


class Folder(Storage):
    """Files of a local folder."""

    is_local = True
    concurrency = 1

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """List a folder, following its links, without fsspec."""
        with os.scandir(self.path(folder)) as listing:
            for entry in listing:
                with suppress(FileNotFoundError):  # removed meanwhile
                    yield _describe(entry.name, entry.stat())

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now, as a listing does; refuse anything else."""
        entry = _describe(name, Path(self.path(name)).stat())
        if entry.kind != "file":
            raise not_a_file(self.path(name), entry.kind)
        return entry

    def read(
        self, path: str, entry: Entry, start: int | None, stop: int | None, allocate: Allocate
    ) -> memoryview:
        """Read a file or a byte range of it, less if it ends early; raise `Changed` if rewritten.

        One byte more than listed is requested, to notice a file that grew.
        """
        start = start or 0
        if stop is None:
            stop = (entry.size or 0) + 1
        view = allocate(max(stop - start, 0))
        with open(self.path(path), "rb", buffering=0, opener=_open_nonblocking) as file:
            self._expect(file.fileno(), path, entry)
            file.seek(start)
            filled = 0
            while filled < len(view) and (got := file.readinto(view[filled:])):
                filled += got
            self._expect(file.fileno(), path, entry)
        return view[:filled]

    def _expect(self, file: int, path: str, entry: Entry) -> None:
        """Raise if an open file is not the one listed, judging by its times and its size."""
        now = _describe(path, os.fstat(file))
        if now.kind != "file":
            raise not_a_file(self.path(path), now.kind)
        if not entry.may_be(now):
            raise Changed(LISTED)

    def write(self, name: str, data: Any, stamp: Fingerprint | None) -> None:
        """Write a whole file atomically: a reader sees either the old one or the new one."""
        if stamp is not None and stamp != self.stamp(name):
            raise Changed(WRITTEN)
        folder, _, base = name.rpartition("/")
        try:
            with open_folder(self.root, folder, make=True) as parent:
                _replace(parent, base, memoryview(data).cast("B"))
        except IsADirectoryError as error:
            raise not_a_file(self.path(name), "folder") from error

    def remove(self, name: str) -> None:
        """Remove a file if it exists; a link is removed itself, not its target."""
        folder, _, base = name.rpartition("/")
        with suppress(FileNotFoundError), open_folder(self.root, folder) as parent:
            os.unlink(base, dir_fd=parent)

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it exists and is empty."""
        above, _, base = name.rpartition("/")
        with suppress(OSError), open_folder(self.root, above) as parent:
            os.rmdir(base, dir_fd=parent)

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove temporary files that killed runs left in these folders, at the start of a run."""
        _same_mount.clear()  # a new folder may reuse the number of a removed one
        for folder in folders:
            with suppress(FileNotFoundError), open_folder(self.root, folder) as parent:
                _sweep(parent)


def _describe(name: str, status: os.stat_result) -> Entry:
    return Entry(
        name=name.rpartition("/")[2],
        size=status.st_size,
        fingerprint={"mtime": str(status.st_mtime)},
        modified=status.st_mtime,
        kind=_kind(status),
        ctime_ns=status.st_ctime_ns,
    )


def _kind(status: os.stat_result) -> str:
    return _KINDS.get(stat.S_IFMT(status.st_mode), "device")


def _open_nonblocking(path: str, flags: int) -> int:
    """Open a file for reading, without waiting for a writer if it is a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK)


def not_a_file(path: str, kind: str) -> InputError:
    """Make the error for something else in place of a file."""
    return InputError(f"{path} is a {kind}, not a file; remove it, or give another folder")


@contextmanager
def open_folder(root: str, folder: str = "", *, make: bool = False) -> Iterator[int]:
    """Open a folder below a root and yield its descriptor, for ``dir_fd``.

    The root may be a link: the user chose it, so it is followed. With `make`, missing folders are
    created.

    Raises
    ------
    InputError
        When a part of the path below the root is a link or a mount.
    OSError
        When there is no such folder, or it cannot be opened.
    """
    path, at = root, _open_root(root, make=make)
    try:
        for part in folder.split("/") if folder else ():
            path = f"{path}/{part}"
            above, at = at, _open_part(at, part, path, make=make)
            try:
                _check_mount(above, at, path)
            finally:
                os.close(above)
        yield at
    finally:
        os.close(at)


def _open_root(root: str, *, make: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    if make:
        with suppress(FileNotFoundError):
            return os.open(root, flags)
        Path(root).mkdir(parents=True, exist_ok=True)
    return os.open(root, flags)


def _open_part(above: int, part: str, path: str, *, make: bool) -> int:
    """Open a folder relative to its parent; `path` is its name in errors."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if make:
            with suppress(FileNotFoundError):
                return os.open(part, flags, dir_fd=above)
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=above)
        return os.open(part, flags, dir_fd=above)
    except OSError as error:
        with suppress(FileNotFoundError):
            if stat.S_ISLNK(os.lstat(part, dir_fd=above).st_mode):
                raise InputError(
                    f"{path} is a link, and nothing is written or removed through one; "
                    "put a folder in its place, or give another folder"
                ) from error
        raise type(error)(error.errno, error.strerror, path) from error


def _check_mount(above: int, folder: int, path: str) -> None:
    """Refuse a folder that is mounted below the one above it; each is checked once."""
    parent, child = os.fstat(above), os.fstat(folder)
    known = parent.st_dev, parent.st_ino, child.st_ino
    if parent.st_dev == child.st_dev and known in _same_mount:
        return
    if parent.st_dev != child.st_dev or _mount_of(above) != _mount_of(folder):
        raise InputError(
            f"{path} is a mount, and nothing is written or removed through one; "
            "unmount it, or give another folder"
        )
    _same_mount.add(known)


def _mount_of(folder: int) -> str | None:
    """Mount ID of an open folder; None where the system does not provide it."""
    with suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{folder}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return line
    return None


def _sweep(folder: int) -> None:
    for name in os.listdir(folder):
        if _LEFT.fullmatch(name):
            with suppress(FileNotFoundError):
                if stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                    os.unlink(name, dir_fd=folder)


def _replace(folder: int, name: str, data: memoryview) -> None:
    """Write a temporary file and rename it; a link of that name is replaced, not followed."""
    temporary = TEMPORARY + secrets.token_hex(8)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.open(temporary, flags, 0o666, dir_fd=folder)
    try:
        try:
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise


def open_lock(folder: int, name: str, path: str) -> int:
    """Open or create a file to lock; raise `InputError` if a link or anything else is there."""
    with suppress(FileNotFoundError):
        status = os.lstat(name, dir_fd=folder)
        if not stat.S_ISREG(status.st_mode):
            raise not_a_file(path, "link" if stat.S_ISLNK(status.st_mode) else _kind(status))
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, 0o666, dir_fd=folder)

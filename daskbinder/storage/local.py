"""Files below a folder of this machine, written where they seem to be and nowhere else.

What lies in the folder may be a stranger's: a link or a mount that leads away, a FIFO where a file
is expected. Folders are opened one by one, each from the one above it, so that none can be
exchanged for a link between a look at it and the write.
"""

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from daskbinder.errors import InputError

TEMPORARY = ".daskbinder-"
"""How the name of a file begins that is being written."""

_LEFT = re.compile(rf"{re.escape(TEMPORARY)}(?:probe-)?[0-9a-f]{{16}}", re.ASCII)
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
}
_same_mount: set[tuple[int, int, int]] = set()


def kind_of(found: os.stat_result) -> str:
    """What something is that a path leads to: ``"file"``, ``"folder"``, ``"FIFO"`` and so on."""
    return _KINDS.get(stat.S_IFMT(found.st_mode), "device")


def refuse_kind(path: str, kind: str) -> InputError:
    """Make the error that something stands where a file belongs."""
    return InputError(f"{path} is a {kind}, not a file; remove it, or give another folder")


@contextmanager
def open_folder(root: str, folder: str = "", *, make: bool = False) -> Iterator[int]:
    """Open a folder that is part of a root, and close it again.

    Parameters
    ----------
    root : str
        Path of the root. This one may be a link: whoever named it meant what it leads to.
    folder : str
        Path of the folder below the root; empty for the root itself.
    make : bool
        Make what is not there.

    Yields
    ------
    int
        A descriptor, to be given as ``dir_fd``.

    Raises
    ------
    InputError
        When a part of the path below the root is a link or a mount.
    OSError
        When there is no such folder, or it cannot be opened.
    """
    if make:
        Path(root).mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        top = at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, at)
        path = root
        for part in folder.split("/") if folder else ():
            path = f"{path}/{part}"
            at = _open_part(at, part, path, make=make)
            opened.callback(os.close, at)
            _check_mount(top, at, path)
        yield at


def _open_part(above: int, part: str, path: str, *, make: bool) -> int:
    """Open a folder of an open one, `path` being what to call it."""
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


def _check_mount(root: int, folder: int, path: str) -> None:
    """Refuse a folder that is mounted somewhere below the root; seen once, it is known."""
    top, found = os.fstat(root), os.fstat(folder)
    known = top.st_dev, top.st_ino, found.st_ino
    if top.st_dev == found.st_dev and known in _same_mount:
        return
    if top.st_dev != found.st_dev or _mount_of(root) != _mount_of(folder):
        raise InputError(
            f"{path} is a mount, and nothing is written or removed through one; "
            "unmount it, or give another folder"
        )
    _same_mount.add(known)


def _mount_of(folder: int) -> str | None:
    """Number of the mount of an open folder, None where the system does not tell."""
    with suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{folder}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return line
    return None


def replace(folder: int, name: str, data: memoryview) -> None:
    """Put a whole file in place at once; of a link of that name, the link is replaced."""
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
    """Open a file to be locked, which is made if it is not there.

    Raises
    ------
    InputError
        When a link stands there, or something that is not a file.
    """
    with suppress(FileNotFoundError):
        found = os.lstat(name, dir_fd=folder)
        if not stat.S_ISREG(found.st_mode):
            raise refuse_kind(path, "link" if stat.S_ISLNK(found.st_mode) else kind_of(found))
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(name, flags, 0o666, dir_fd=folder)


def open_to_read(path: str, flags: int) -> int:
    """Open a file as `open` asks for; what stands in its place may be a FIFO, and nobody writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def remove(folder: int, name: str) -> None:
    """Remove a file of a folder, if it is there; of a link, the link."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def sweep(folder: int) -> None:
    """Remove the files of a folder that were being written when a run was killed."""
    for name in os.listdir(folder):
        if _LEFT.fullmatch(name):
            with suppress(FileNotFoundError):
                if stat.S_ISREG(os.lstat(name, dir_fd=folder).st_mode):
                    os.unlink(name, dir_fd=folder)

"""The machine code of the compiled kernel: made once by numba, kept, and loaded without it.

Loading it takes 25 ms, where importing numba would take 330; compiling it takes 4 seconds.

The code is kept beside the package, else in the user's cache folder, else nowhere; in the folder
that the environment variable ``NUMBA_CACHE_DIR`` names, if there is one. Its name tells what it was
made from and for: the kernel's source, the version of LLVM, the processor.
"""

import hashlib
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from ctypes import CFUNCTYPE, byref, c_int32, c_void_p
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from daskbinder.counting.job import Job
from daskbinder.text import readable

_SOURCES = ("job.py", "compiled.py")
_CHECKSUM = hashlib.sha256().digest_size

_loading, _failed = threading.Lock(), threading.Event()
_loaded: list[tuple[Any, Callable[..., int]]] = []
"""The engine that owns the machine code, and the kernel in it."""


def load(tell: Callable[[str], None], *, compiling: bool) -> bool:
    """Load the kernel into this process: what is kept, or what numba makes.

    Parameters
    ----------
    tell : callable
        Called with a sentence before the kernel is compiled, and if that cannot be done.
    compiling : bool
        Whether it may be compiled; else only what is kept is loaded.

    Returns
    -------
    bool
        False if it is not there, as without numba. Lines are then split in plain Python.
    """
    with _loading:
        if not _loaded and not _failed.is_set():
            try:
                code = _kept() or (_compile(tell) if compiling else None)
                if code is not None:
                    _loaded.append(_linked(*code))
            except Exception as error:
                _failed.set()
                reason = readable(f"{type(error).__name__}: {error}", 200)
                tell(f"counting takes longer, as the kernel cannot be compiled: {reason}")
    return bool(_loaded)


def split_lines(job: Job) -> int:
    """Call the kernel, which must be loaded; it holds no lock. Returns the job's `full`."""
    nothing = byref(c_void_p())
    _loaded[0][1](nothing, nothing, byref(job))
    return int(job.full)


def _kept() -> tuple[str, bytes] | None:
    """Name and machine code of the kernel, if an earlier process has kept it unharmed."""
    for folder in _folders():
        with suppress(OSError, ImportError):
            kept = (folder / _file()).read_bytes()
            checksum, content = kept[:_CHECKSUM], kept[_CHECKSUM:]
            if hashlib.sha256(content).digest() == checksum:
                name, _, code = content.partition(b"\n")
                return name.decode(), code
    return None


def _compile(tell: Callable[[str], None]) -> tuple[str, bytes] | None:
    """Compile the kernel and keep it where that can be done."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return None
    tell("compiling the kernel, once")
    from daskbinder.counting.compiled import compile_kernel

    name, source = compile_kernel()
    llvm = _llvm()
    code: bytes = _machine().emit_object(llvm.parse_assembly(source))
    content = name.encode() + b"\n" + code
    for folder in _folders():
        with suppress(OSError):
            _keep(folder, hashlib.sha256(content).digest() + content)
            break
    return name, code


def _keep(folder: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{secrets.token_hex(8)}"
    try:
        temporary.write_bytes(content)
        temporary.replace(folder / _file())
    finally:
        temporary.unlink(missing_ok=True)


def _linked(name: str, code: bytes) -> tuple[Any, Callable[..., int]]:
    """Make machine code callable; it lives as long as its engine."""
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    prototype = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p)
    return engine, prototype(engine.get_function_address(name))


def _folders() -> Iterator[Path]:
    """Where machine code may be kept, the best first."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen)
        return
    yield Path(__file__).parent / "__pycache__"
    with suppress(RuntimeError):  # no home
        if sys.platform == "darwin":
            yield Path.home() / "Library" / "Caches" / "daskbinder"
        else:
            cached = os.environ.get("XDG_CACHE_HOME")
            yield (Path(cached) if cached else Path.home() / ".cache") / "daskbinder"


@cache
def _file() -> str:
    """Name of the file that keeps the machine code for this processor."""
    llvm = _llvm()
    source = files(__package__)
    parts = [source.joinpath(name).read_bytes() for name in _SOURCES]
    parts += [repr(llvm.llvm_version_info).encode(), llvm.get_default_triple().encode()]
    parts += [llvm.get_host_cpu_name().encode(), _features().encode()]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()
    return f"kernel-{digest[:16]}.o"


def _machine() -> Any:
    """The processor of this machine, as LLVM describes it."""
    llvm = _llvm()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, codemodel="jitdefault", jit=True
    )


def _features() -> str:
    features: str = _llvm().get_host_cpu_features().flatten()
    return features


@cache
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm

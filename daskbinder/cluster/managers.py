"""Clusters by class name: Kubernetes, Slurm or anything else that provides a Dask cluster.

The class that a specification names is imported and called. Only Dask's LocalCluster is treated
specially: its dashboard would listen on every interface.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster

from daskbinder.errors import InputError, JobError

_LOOPBACK = dict.fromkeys(("dashboard_address", "worker_dashboard_address"), "127.0.0.1:0")
_FILES = (".yaml", ".yml", ".toml")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def read_specification(text: str) -> tuple[str, dict[str, Any]]:
    """Read which cluster to start.

    Parameters
    ----------
    text : str
        A class in Python syntax, with optional literal arguments, ``module.Class(name=value)``; or
        the path of a YAML or TOML file with the key ``class``, whose other keys are the arguments.

    Returns
    -------
    (str, dict)
        Dotted name of the class, and its arguments.
    """
    if text.endswith(_FILES):
        return _read_file(Path(text))
    try:
        expression = ast.parse(text, mode="eval").body
        call = expression if isinstance(expression, ast.Call) else ast.Call(expression, [], [])
        name = ast.unparse(call.func)
        arguments = {word.arg or "": ast.literal_eval(word.value) for word in call.keywords}
        if not _DOTTED.fullmatch(name) or call.args or "" in arguments:
            raise ValueError(text)
    except (SyntaxError, ValueError, TypeError) as error:
        raise InputError(
            f"{text!r} is no cluster; "
            f"write module.Class(name=value) or name a file {'/'.join(_FILES)}"
        ) from error
    return name, arguments


def _read_file(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
        if path.suffix == ".toml":
            read: Any = tomllib.loads(text)
        else:
            import yaml

            read = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # PyYAML's errors are not ValueErrors
        raise InputError(f"{path} cannot be parsed: {error}") from error
    if not isinstance(read, Mapping) or not isinstance(read.get("class"), str):
        raise InputError(f"{path} lacks the key 'class' with the dotted name of a cluster class")
    return read["class"], {str(key): value for key, value in read.items() if key != "class"}


@contextmanager
def start_managed(specification: str, adapt: tuple[int, int] | None = None) -> Iterator[Client]:
    """Start a cluster and provide a client; `adapt` is the minimum and maximum of workers."""
    name, arguments = read_specification(specification)
    module, _, attribute = name.rpartition(".")
    try:
        make = getattr(import_module(module), attribute)
    except ImportError as error:
        package = module.partition(".")[0].replace("_", "-")
        raise InputError(f"cannot import {name} ({error}); is {package} installed here?") from error
    except AttributeError as error:
        raise InputError(f"there is no {attribute} in {module}") from error
    if isinstance(make, type) and issubclass(make, LocalCluster):
        arguments = _LOOPBACK | arguments
    try:
        cluster = make(**arguments)
    except TypeError as error:
        raise InputError(f"{name} does not take these arguments: {error}") from error
    except Exception as error:
        raise JobError(f"{name} did not start: {type(error).__name__}: {error}") from error
    with cluster:
        if adapt is not None:
            cluster.adapt(minimum=adapt[0], maximum=adapt[1])
        with cluster.get_client() as client:
            yield client

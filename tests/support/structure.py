"""The structure of a package as numbers.

``python tests/support/structure.py [FOLDER]`` prints them.
"""

import ast
import sys
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "daskbinder"
Function = ast.FunctionDef | ast.AsyncFunctionDef

# which folder or module at the top stands on which stage; imports point to lower ones
STAGES = [
    ["_version", "errors", "redaction", "text"],
    ["model", "storage"],
    ["counting"],
    ["archive"],
    ["cluster", "dataset"],
    ["answers", "pipeline"],
    ["plots"],
    ["pages"],
    ["cli"],
    ["__init__", "__main__"],
]
STAGE = {room: stage for stage, rooms in enumerate(STAGES) for room in rooms}


@dataclass(frozen=True)
class Module:
    """A module and what is said in it."""

    name: str
    lines: int
    tree: ast.Module
    package: str = PACKAGE.name

    def imports(self, among: Container[str]) -> Iterator[str]:
        """Those `among` the modules of the package that it imports, anywhere in it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found = [[alias.name] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = self._above(node.level) + (node.module or "").split(".") * bool(node.module)
                found = [[".".join([*base, one.name]), ".".join(base)] for one in node.names]
            else:
                continue
            for names in found:  # a name is a module of its own or stands in one
                ours = (name.removeprefix(f"{self.package}.") for name in names)
                both = (one for name in ours for one in (name, f"{name}.__init__"))
                yield from [one for one in both if one in among and one != self.name][:1]

    def _above(self, level: int) -> list[str]:
        return [self.package, *self.name.split(".")][:-level] if level else []

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Every function and method by its full name."""
        yield from _functions(self.tree, self.name)

    def promised(self) -> Iterator[tuple[str, Function | ast.ClassDef]]:
        """Every public function, class and method of a public class by its full name."""
        for node in self.tree.body:
            if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                yield f"{self.name}.{node.name}", node
                if isinstance(node, ast.ClassDef):
                    for one in node.body:
                        if isinstance(one, Function) and not one.name.startswith("_"):
                            yield f"{self.name}.{node.name}.{one.name}", one


def _functions(node: ast.AST, name: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        inside = f"{name}.{child.name}" if isinstance(child, Function | ast.ClassDef) else name
        if isinstance(child, Function):
            yield inside, child
        yield from _functions(child, inside)


def modules(package: Path = PACKAGE) -> dict[str, Module]:
    """Every module of a package but its tests, by its name in it."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if "tests" not in parts:
            text, name = path.read_text("utf-8"), ".".join(parts)
            found[name] = Module(name, text.count("\n"), ast.parse(text), package.name)
    return found


def length(function: Function) -> int:
    """Lines of a function without its decorators and its docstring."""
    first = function.body[0]
    text = ast.get_docstring(function, clean=False)
    said = (first.end_lineno or 0) - first.lineno + 1 if text is not None else 0
    return (function.end_lineno or 0) - function.lineno + 1 - said


def _arguments(function: Function) -> list[ast.arg]:
    of = function.args
    arguments = [*of.posonlyargs, *of.args, *of.kwonlyargs, of.vararg, of.kwarg]
    return [one for one in arguments if one is not None and one.arg not in ("self", "cls")]


def parameters(function: Function) -> int:
    """How many parameters a function has."""
    return len(_arguments(function))


def is_typed(function: Function) -> bool:
    """Whether every argument and the result have a type."""
    typed = all(one.annotation is not None for one in _arguments(function))
    return typed and function.returns is not None


def circular(found: dict[str, Module]) -> list[str]:
    """Modules that import themselves by way of others."""
    imports = {name: set(one.imports(found)) for name, one in found.items()}

    def reached(names: set[str]) -> set[str]:
        further = names.union(*(imports[name] for name in names))
        return names if further == names else reached(further)

    return [name for name in found if name in reached(imports[name])]


def undocumented(found: dict[str, Module]) -> list[str]:
    """Public names without a docstring."""
    named = (pair for one in found.values() for pair in one.promised())
    return [name for name, node in named if ast.get_docstring(node) is None]


def untyped(found: dict[str, Module]) -> list[str]:
    """Functions, public or not, that lack a type."""
    named = (pair for one in found.values() for pair in one.functions())
    return [name for name, node in named if not is_typed(node)]


def report(package: Path = PACKAGE) -> str:
    """Write the numbers as a table in Markdown."""
    found = modules(package)
    functions = [pair for one in found.values() for pair in one.functions()]
    longest = max(functions, key=lambda pair: length(pair[1]))
    module = max(found.values(), key=lambda one: one.lines)
    promised = sum(1 for one in found.values() for _ in one.promised())
    lines = sorted(length(node) for _, node in functions)
    rows = {
        "modules": f"{len(found)}",
        "lines": f"{sum(one.lines for one in found.values()):,}",
        "longest module": f"`{module.name}`, {module.lines}",
        "functions": f"{len(functions)}, median of {lines[len(lines) // 2]} lines",
        "longest function, without docstring": f"`{longest[0]}`, {length(longest[1])} lines",
        "modules in circles of imports": f"{len(circular(found))}",
        "public functions and classes": f"{promised}",
        "of these without a docstring": f"{len(undocumented(found))}",
        "functions without all types": f"{len(untyped(found))}",
    }
    width = max(map(len, rows))
    return "\n".join(["| | |", "|---|---|", *(f"| {k:<{width}} | {v} |" for k, v in rows.items())])


if __name__ == "__main__":
    print(report(*map(Path, sys.argv[1:])))

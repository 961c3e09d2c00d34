"""The structure of the package as numbers: ``python tests/structure.py`` prints them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "daskbinder"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module and what is said in it."""

    name: str
    lines: int
    tree: ast.Module

    def imports(self) -> Iterator[str]:
        """Modules of the package that it imports, anywhere in it, types included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} has a relative import"
                names = [node.module or ""]
                if node.module == "daskbinder":
                    names = [f"daskbinder.{alias.name}" for alias in node.names]
            else:
                continue
            ours = (name.split(".")[1:] for name in names if name.startswith("daskbinder."))
            yield from (".".join(name[: 2 if name[0] == "commands" else 1]) for name in ours)

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


def modules() -> dict[str, Module]:
    """Every module of the package by its name in it."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        text = path.read_text("utf-8")
        found[name] = Module(name, text.count("\n"), ast.parse(text))
    return found


def length(function: Function) -> int:
    """Lines of a function without its decorators and its docstring."""
    first = function.body[0]
    text = ast.get_docstring(function, clean=False)
    said = (first.end_lineno or 0) - first.lineno + 1 if text is not None else 0
    return (function.end_lineno or 0) - function.lineno + 1 - said


def is_typed(function: Function) -> bool:
    """Whether every argument and the result have a type."""
    of = function.args
    arguments = [*of.posonlyargs, *of.args, *of.kwonlyargs, of.vararg, of.kwarg]
    named = [one for one in arguments if one is not None and one.arg not in ("self", "cls")]
    return function.returns is not None and all(one.annotation is not None for one in named)


def cycle(found: dict[str, Module]) -> list[str]:
    """Modules that import each other in a circle, if there is one."""
    try:
        TopologicalSorter({name: set(one.imports()) for name, one in found.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def undocumented(found: dict[str, Module]) -> list[str]:
    """Public names without a docstring."""
    named = (pair for one in found.values() for pair in one.promised())
    return [name for name, node in named if ast.get_docstring(node) is None]


def untyped(found: dict[str, Module]) -> list[str]:
    """Functions, public or not, that lack a type."""
    named = (pair for one in found.values() for pair in one.functions())
    return [name for name, node in named if not is_typed(node)]


def report() -> str:
    """Write the numbers as a table in Markdown."""
    found = modules()
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
        "circles of imports": f"{len(cycle(found))}",
        "public functions and classes": f"{promised}",
        "of these without a docstring": f"{len(undocumented(found))}",
        "functions without all types": f"{len(untyped(found))}",
    }
    width = max(map(len, rows))
    return "\n".join(["| | |", "|---|---|", *(f"| {k:<{width}} | {v} |" for k, v in rows.items())])


if __name__ == "__main__":
    print(report())

"""The corpus `python_library`: what the standard library says of itself, read and not imported."""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from seqgen.data.corpora import Corpus, PythonDocs, corpora
from seqgen.data.files import TextFile
from seqgen.errors import DataError

_LEFT_OUT = {"ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "turtledemo"}
"""Packages that are tests, programs or tables, and those that not every Python has."""


@corpora.register("python_library")
class PythonLibrary(Corpus):
    """The help topics and the docstrings of this Python's library: 2 MB of prose; no download.

    The text differs a little from one release of Python to the next.
    """

    name = "python_library"

    def read(self) -> TextFile:
        """The text of `python_docs`, then the docstrings module by module; takes some seconds."""
        docs = PythonDocs()
        if not self.ready():
            raise DataError(f"corpus '{self.name}': this Python comes without its library's source")
        found = (text for path in self._modules for text in docstrings(path))
        return TextFile.of("\n\n".join([docs.read().text, *found]))

    def ready(self) -> bool:
        """Some systems pack the library without its source."""
        return PythonDocs().ready() and bool(self._modules)

    @cached_property
    def _modules(self) -> list[Path]:
        return list(_modules_below(Path(sysconfig.get_path("stdlib"))))


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module, its classes and functions, as they stand in the file.

    Nothing is yielded for what is no UTF-8 or no Python: some packages hold such files on purpose.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    for node in _documented(tree):
        text = ast.get_docstring(node)
        if text:
            # A lone surrogate, written as an escape, is no character.
            yield text.encode(errors="replace").decode()


def _documented(
    tree: ast.AST,
) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    if isinstance(tree, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _documented(child)


def _modules_below(library: Path) -> Iterator[Path]:
    """The public modules of the library in the order of their names."""
    for name in sorted(sys.stdlib_module_names - _LEFT_OUT):
        if name.startswith("_"):
            continue
        module, package = library / f"{name}.py", library / name
        if module.is_file():
            yield module
        elif package.is_dir():
            paths = (path.relative_to(package) for path in package.rglob("*.py"))
            for path in sorted(paths, key=lambda path: path.parts):
                if not _LEFT_OUT & set(path.parts):
                    yield package / path

"""The corpus `python_library`: docstrings in the order in which they stand."""

import hashlib
import sys
import sysconfig

import pytest

from seqgen.data.corpora import PythonDocs
from seqgen.data.python_library import PythonLibrary, docstrings
from seqgen.errors import DataError

MODULE = '''
"""Of the module."""
raise RuntimeError("this is never imported")

class A:
    """Of a class.

    More.
        Indented.
    """

    def f(self):
        "Of a method."

    x = 1
    """No docstring."""

if x:
    async def g(): "Of an async function."
    try:
        def h(): """   """
    except E:
        def k(): "Of a handler. \\ud800"
'''


def test_docstrings_come_in_order_and_dedented(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(MODULE, encoding="utf-8")
    assert list(docstrings(path)) == [
        "Of the module.",
        "Of a class.\n\nMore.\n    Indented.",
        "Of a method.",
        "Of an async function.",
        "Of a handler. ?",
    ]


@pytest.mark.parametrize("content", [b"def (", b"'\xff'", b"\x00", b"# coding: none\n", b""])
def test_what_is_no_module_has_none(content, tmp_path):
    path = tmp_path / "module.py"
    path.write_bytes(content)
    assert list(docstrings(path)) == []


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of our own; a function writes a module of it."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "stdlib_module_names", frozenset({"b", "a", "_c", "idlelib", "gone"}))

    def write(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{name}"""', encoding="utf-8")

    return write


def test_public_modules_come_by_name(library):
    names = ["b.py", "a/z.py", "a/b/c.py", "a/__init__.py", "a/test/d.py", "_c.py", "idlelib/e.py"]
    for name in [*names, "other.py", "site-packages/f.py"]:
        library(name)
    found = PythonLibrary().read()
    docs = PythonDocs().read().text
    assert found.text == "\n\n".join([docs, "a/__init__.py", "a/b/c.py", "a/z.py", "b.py"])
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()


def test_a_library_without_source_is_not_ready(library):
    assert not PythonLibrary().ready()
    with pytest.raises(DataError, match="'python_library': this Python comes without its library"):
        PythonLibrary().read()


def test_the_library_of_this_python():
    corpus = PythonLibrary()
    corpus.fetch()
    assert corpus.ready()
    text = corpus.read().text
    assert text.startswith(PythonDocs().read().text)
    assert 1_500_000 < len(text) < 5_000_000
    assert "Heap queue algorithm (a.k.a. priority queue)." in text

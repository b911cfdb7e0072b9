"""The house rules: sizes, names and places, which no reviewer should have to watch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import AT_LEAST, LIMITS, PACKAGE, ROOT, measure

MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

FILE_LINES = 450
FUNCTION_LINES = 50
ARGUMENTS = 8
BANNED_NAMES = {"utils", "util", "helpers", "misc", "common", "core", "tools", "manager"}

# Kinds of tests that speak of the whole and not of one module; so do those in tests/faults.
TESTS_OF_THE_WHOLE = {
    "test_house.py",
    "test_golden.py",
    "test_package.py",
    "test_recipes.py",
    "test_docs.py",
    "test_site.py",
    "test_benchmarks.py",
    "test_browser.py",
    "test_seq2seq_decoding.py",
    "test_combined.py",
}


def identify(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Each function, and whether its signature is a schema that a person fills in by name.

    Such are the constructors of registered parts and of options, whose parameters are recipe keys,
    and the verbs of the command line, whose parameters are flags: there a limit on their number
    would limit what a part can offer. All other functions keep to the limit.
    """
    registered = set()
    for node in ast.walk(tree_of(path)):  # a class comes before its methods
        if isinstance(node, ast.ClassDef):
            decorators = (each for each in node.decorator_list if isinstance(each, ast.Call))
            if any(ast.unparse(each.func).endswith(".register") for each in decorators):
                registered.update(node.body)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            constructor = node.name == "__init__" and node in registered
            yield node, constructor or path.parent.name == "cli"


@pytest.fixture(scope="module")
def measured() -> dict[str, int]:
    return measure()


@pytest.mark.parametrize("name", LIMITS)
def test_the_house_only_gets_simpler(name: str, measured: dict[str, int]) -> None:
    found, limit = measured[name], LIMITS[name]
    kept = found >= limit if name in AT_LEAST else found <= limit
    assert kept, f"{found}, and the limit in tests/house.py is {limit}"


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_files_and_functions_are_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= FILE_LINES, f"{lines} lines"
    for function, is_schema in functions(path):
        body = function.body
        has_docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        first = body[1] if has_docstring and len(body) > 1 else body[0]
        length = (function.end_lineno or 0) - first.lineno + 1
        assert length <= FUNCTION_LINES, f"{function.name}: {length} lines"
        arguments = function.args
        names = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        own = [each for each in names if each.arg not in {"self", "cls"}]
        assert is_schema or len(own) <= ARGUMENTS, f"{function.name}: {len(own)} arguments"


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_a_module_says_what_it_owns_and_has_no_name_that_attracts_everything(path: Path) -> None:
    docstring = ast.get_docstring(tree_of(path))
    assert docstring, "no docstring"
    assert docstring.splitlines()[0].strip(), "the first line is empty"
    assert not BANNED_NAMES & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_parts_are_asked_by_their_contract(path: Path) -> None:
    """No `hasattr`, and no `isinstance` on models, cells, heads or decoders."""
    text = path.read_text(encoding="utf-8")
    assert "hasattr(" not in text or path.name == "machine.py", "hasattr"
    parts = r"(Model|Cell|Head|Decoder|Embedding|Tokenizer|LanguageModel|PathDecoder|LSTM\w*)"
    assert not re.search(rf"isinstance\([^()]*,\s*{parts}\b", text)


def test_classes_are_abstract_or_final() -> None:
    """Whoever has a subclass in the package is an ABC or a Protocol. `Run` is a `TrainedRun` that
    may use the floors above it."""
    bases: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                names = [ast.unparse(each).split("[")[0].split(".")[-1] for each in node.bases]
                bases.setdefault(node.name, []).extend(names)  # of all classes of that name
    bases["Run"].remove("TrainedRun")
    for name, parents in bases.items():
        for parent in parents:
            if parent in bases:
                assert {"ABC", "Protocol"} & set(bases[parent]), f"{name} extends {parent}"


def test_tests_mirror_the_package() -> None:
    for path in TESTS:
        folder = path.relative_to(ROOT / "tests").parent
        if path.name in TESTS_OF_THE_WHOLE or folder == Path("faults"):
            continue
        name = path.name.removeprefix("test_")
        module = PACKAGE / folder / name
        package = PACKAGE / folder / name.removesuffix(".py") / "__init__.py"
        assert module.exists() or package.exists(), f"{identify(path)}: nothing of that name"


def test_the_project_speaks_of_itself_alone() -> None:
    """No path of one machine, and no hint to the unrelated package of the same name."""
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".css", ""}
    hint = "pip install " + "seqgen"
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(each.startswith(".") and each != ".ci" for each in parts) or "runs" in parts
        if hidden or not path.is_file() or path.suffix not in kinds:
            continue
        text = path.read_text(encoding="utf-8", errors="ignore")
        assert "/wo" + "rk/" not in text, identify(path)
        assert not re.search(rf"{hint}(?!-toolkit)", text), identify(path)

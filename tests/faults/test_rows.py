"""What may go wrong, row by row in docs/reliability.md: each row names tests that exist."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
_, _, TABLES = PAGE.partition("**Row by row.**")
ROWS = re.findall(r"^\| (.+?) \| (`tests/.+`) \|$", TABLES, re.MULTILINE)
AT_LEAST = 71


@functools.cache
def has_tests(place):
    """Whether there are tests in a file or a folder."""
    if place.is_dir():
        return any(map(has_tests, place.rglob("test_*.py")))
    nodes = ast.walk(ast.parse(place.read_text(encoding="utf-8")))
    return any(isinstance(each, ast.FunctionDef) and each.name[:5] == "test_" for each in nodes)


@pytest.mark.parametrize(("fault", "places"), ROWS, ids=[fault for fault, _ in ROWS])
def test_each_row_has_its_tests(fault, places):
    for place in places.split(", "):
        assert has_tests(ROOT / place.strip("`")), place


def test_no_row_and_no_file_of_faults_is_lost():
    assert len(ROWS) >= AT_LEAST
    for path in Path(__file__).parent.glob("test_*_faults.py"):
        assert f"`{path.relative_to(ROOT).as_posix()}`" in TABLES

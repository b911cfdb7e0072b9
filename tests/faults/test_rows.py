"""What may go wrong, row by row in docs/reliability.md: each row names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
_, _, TABLES = PAGE.partition("**Row by row.**")
ROWS = re.findall(r"^\| (.+?) \| (`tests/.+`) \|$", TABLES, re.MULTILINE)
AT_LEAST = 71


def find_tests(place):
    """The names of the tests in a file or a folder."""
    files = place.rglob("test_*.py") if place.is_dir() else [place]
    trees = [ast.parse(each.read_text(encoding="utf-8")) for each in files]
    found = [each for tree in trees for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    return [each.name for each in found if each.name.startswith("test_")]


@pytest.mark.parametrize(("fault", "places"), ROWS, ids=[fault for fault, _ in ROWS])
def test_each_row_has_its_tests(fault, places):
    for place in places.split(", "):
        assert find_tests(ROOT / place.strip("`")), place


def test_no_row_and_no_file_of_faults_is_lost():
    assert len(ROWS) >= AT_LEAST
    for path in Path(__file__).parent.glob("test_*_faults.py"):
        assert f"`{path.relative_to(ROOT).as_posix()}`" in TABLES

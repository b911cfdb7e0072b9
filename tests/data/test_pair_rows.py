"""Rows with a source and a target: columns, empty texts, several right targets."""

import pytest

from seqgen.data import Example
from seqgen.data.files import TextFile
from seqgen.data.pair_rows import PairRow, PairTable, examples_of, rows_at, without_empty
from seqgen.data.rows import Layout
from seqgen.errors import DataError


def parsed(text, columns=("source", "target"), **changes):
    rows, note = PairTable(Layout(columns), **changes).parse([TextFile.of(text)], ["t.tsv"])
    assert not note
    return rows


def test_columns_may_stand_in_any_order():
    (row,) = parsed("3\tform\tlemma\tN;PL\n", ("_", "target", "source", "features"))
    assert row == PairRow(1, "lemma\tN;PL", "lemma", "N;PL", "form")


def test_a_row_without_features_is_given_without_a_tab():
    (row,) = parsed("lemma\tform\t\n", ("source", "target", "features"))
    assert (row.given, row.features) == ("lemma", "")


def test_texts_are_changed_and_what_a_person_gives_is_not():
    changes = {"source_changes": ("lower",), "target_changes": ("NFC",)}
    (row,) = parsed("ABC\te\u0301E\n", **changes)
    assert row == PairRow(1, "ABC", "abc", "", "\xe9E")


def test_files_in_parallel_have_a_column_each():
    table = PairTable(Layout(("target", "source")))
    rows, _ = table.parse([TextFile.of("x\ny\n"), TextFile.of("a\nb\n")], ["t", "s"])
    assert [(row.line, row.source, row.target) for row in rows] == [(1, "a", "x"), (2, "b", "y")]


@pytest.mark.parametrize(
    "columns",
    [
        ("source",),
        ("source", "_"),
        ("source", "target", "target"),
        ("source", "target", "features", "features"),
        (),
    ],
)
def test_columns_must_name_what_is_needed_once(columns):
    with pytest.raises(ValueError, match="`columns` must name source and target once each"):
        PairTable(Layout(columns))


class TestEmpty:
    ROWS = "a\tb\n\tc\nd\t \n\n"

    def test_by_default_the_first_one_is_an_error_with_its_line(self):
        with pytest.raises(DataError, match=r"^t\.tsv:2: the source is empty \(data\.empty: drop"):
            without_empty(parsed(self.ROWS), "t.tsv", "error")
        with pytest.raises(DataError, match=r"^t\.tsv:2: the target is empty"):
            without_empty(parsed("a\tb\nc\t \n"), "t.tsv", "error")
        rows = parsed("a\tb\n")
        assert without_empty(rows, "t.tsv", "error") == (rows, "")

    def test_they_may_be_left_out_and_counted(self):
        rows, remark = without_empty(parsed(self.ROWS), "t.tsv", "drop")
        assert [row.line for row in rows] == [1]
        assert remark == "t.tsv: 3 rows (lines 2, 3, 4) without a source or a target left out"

    def test_they_may_be_kept(self):
        rows, remark = without_empty(parsed(self.ROWS), "t.tsv", "keep")
        assert [row.line for row in rows] == [1, 2, 3, 4]
        assert remark == ""

    def test_some_row_must_be_left(self):
        with pytest.raises(DataError, match=r"t\.tsv: no row has a source and a target \(2 rows\)"):
            without_empty(parsed("a\t\n\tb\n"), "t.tsv", "drop")


def test_each_source_is_an_example_once_with_all_that_is_right():
    rows = parsed("b\tx\na\ty\nB\tz\nb\tx\na\tw\n", source_changes=("lower",))
    assert examples_of(rows) == (Example("b", ("x", "z")), Example("a", ("y", "w")))


def test_the_same_source_with_other_features_is_another_example():
    rows = parsed("a\tx\tSG\na\ty\tPL\n", ("source", "target", "features"))
    assert examples_of(rows) == (Example("a\tSG", ("x",)), Example("a\tPL", ("y",)))


def test_rows_are_counted_and_the_first_of_them_named():
    assert rows_at([7]) == "1 row (line 7)"
    assert rows_at(range(1, 9)) == "8 rows (lines 1, 2, 3, 4, 5, ...)"

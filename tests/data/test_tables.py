"""Tables: rows and columns of a text, what is wrong with one, and how rows are divided."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.tables import (
    Layout,
    Row,
    divided,
    lines_of,
    parse_parallel,
    parse_table,
    read_table,
    some_lines,
)
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError

TWO = ("source", "target")


def refusal(parse, *arguments):
    with pytest.raises(DataError) as caught:
        parse(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def table(text, columns=TWO):
    return parse_table(TextFile.of(text), "t.tsv", Layout(columns)).rows


def parallel(*texts, columns=TWO):
    names = [f"{column}.txt" for column in columns]
    return parse_parallel([TextFile.of(text) for text in texts], names, Layout(columns))


def test_lines_end_at_newlines_alone():
    assert lines_of("a\nb c\x0bd\u2028e\n") == ["a", "b c\x0bd\u2028e"]
    assert lines_of("a\n\nb") == ["a", "", "b"]
    assert lines_of("") == []
    assert lines_of("\n") == [""]


class TestTable:
    def test_columns_are_between_tabs_and_lines_count_from_one(self):
        assert table('a\tb c\n"d"\t e \n') == [Row(1, ("a", "b c")), Row(2, ('"d"', " e "))]

    def test_a_column_may_be_skipped(self):
        rows = table("a\tb\tc\nd\te\tf\n", ("source", "_", "target"))
        assert [row.texts for row in rows] == [("a", "c"), ("d", "f")]

    def test_an_empty_line_is_a_row_of_empty_texts(self):
        assert table("a\tb\n\n\tc\nd\t")[1:] == [
            Row(2, ("", "")),
            Row(3, ("", "c")),
            Row(4, ("d", "")),
        ]

    @pytest.mark.parametrize(
        ("text", "columns", "message"),
        [
            ("a\tb\nc d\n", TWO, "t.tsv:2: 1 column instead of 2 (source, target): there is no"),
            ("a\tb\tc\n", TWO, "t.tsv:1: 3 columns instead of 2 (source, target): there are 2 t"),
            ("a\tb\n", (*TWO, "_"), "t.tsv:1: 2 columns instead of 3 (source, target, _): there "),
            ("a\tb\n", ("source",), "t.tsv:1: 2 columns instead of 1 (source): there is 1 tab"),
            ("", TWO, "t.tsv: no rows in it (an empty file)"),
            ("\n\n\n", TWO, "t.tsv: no rows in it (3 lines, all of them empty)"),
        ],
    )
    def test_what_is_no_table_is_refused_with_its_line(self, text, columns, message):
        assert refusal(table, text, columns).startswith(message)


ENGLISH = {"source": "English", "target": "French"}


class TestLayout:
    """Other tables than TSV without a header: what is recognised is said."""

    @pytest.mark.parametrize(
        ("name", "text", "options", "rows", "note"),
        [
            # A first row of usual names is a header; a row of which one is none is a row.
            ("t.tsv", "Source\tTarget\na\tb\n", {}, [(2, "a", "b")], "t.tsv:1: read with a header"),
            ("t.tsv", "target\tid\tsource\nb\t1\ta\n", {}, [(2, "a", "b")], "t.tsv:1: read with"),
            (
                "t.tsv",
                "English\tFrench\na\tb\n",
                {},
                [(2, "a", "b")],
                "t.tsv:1: read with a header",
            ),
            ("t.tsv", "review\tsentiment\na\tb\n", {}, [(2, "a", "b")], "t.tsv:1: read with"),
            ("t.tsv", "text\ttexte\na\tb\n", {}, [(1, "text", "texte"), (2, "a", "b")], ""),
            ("t.tsv", "text\ttext\n", {}, [(1, "text", "text")], ""),
            ("t.tsv", "\n\nsource\ttarget\n\n", {"header": False}, [(3, "source", "target")], ""),
            ("t.tsv", "Englisch\tFranz\na\tb\n", {"header": True}, [(2, "a", "b")], ""),
            # By a name or a number.
            ("t.tsv", "id\tFrench\tEnglish\n1\tb\ta\n", {"columns": ENGLISH}, [(2, "a", "b")], ""),
            ("t.tsv", "1\tb\ta\n", {"columns": {"source": 3, "target": 2}}, [(1, "a", "b")], ""),
            (
                "t.tsv",
                "x\ty\na\tb\n",
                {"columns": {"source": 1, "target": "y"}},
                [(2, "a", "b")],
                "",
            ),
            # CSV: by the name of the file or by the option; quoted texts, which may have lines in
            # them, and which lines are counted.
            (
                "t.csv",
                'a,"b,""c"""\n',
                {},
                [(1, "a", 'b,"c"')],
                "t.csv: read as CSV, without a header",
            ),
            (
                "t.CSV.gz",
                "a;b\n",
                {},
                [(1, "a", "b")],
                "t.CSV.gz: read as CSV with semicolons, w",
            ),
            (
                "t.csv",
                "text,label\na,b\n",
                {},
                [(2, "a", "b")],
                "t.csv:1: read as CSV with a header",
            ),
            (
                "t.txt",
                'source,target\n"a\nb",c\n\nd,e\n',
                {"format": "csv", "header": True},
                [(2, "a\nb", "c"), (5, "d", "e")],
                "",
            ),
            # JSON lines: whole numbers are labels, other keys are not read.
            (
                "t.jsonl",
                '{"target": 1, "source": "a\\u00e9", "x": [null]}\n\n',
                {},
                [(1, "aé", "1")],
                "t.jsonl: read as JSON lines",
            ),
            (
                "t.txt",
                '{"English": "a", "French": "b"}',
                {"format": "jsonl", "columns": ENGLISH},
                [(1, "a", "b")],
                "",
            ),
        ],
    )
    def test_a_table_is_read_as_its_name_its_header_or_an_option_says(
        self, name, text, options, rows, note
    ):
        found, said = read_table(TextFile.of(text), name, Layout(**{"columns": TWO, **options}))
        assert [(row.line, *row.texts) for row in found if row.texts] == rows
        assert said.startswith(note)
        assert bool(said) == bool(note)

    @pytest.mark.parametrize(
        ("name", "text", "options", "message"),
        [
            (
                "t.tsv",
                "a,b\n",
                {},
                "t.tsv:1: 1 column instead of 2 (source, target): there is no tab (data.form",
            ),
            (
                "t.tsv",
                '{"a": 1}\n',
                {},
                "t.tsv:1: 1 column instead of 2 (source, target): there is no tab (data.form",
            ),
            (
                "t.tsv",
                "id\tsource\ttarget\n1\ta\tb\n2\tc\n",
                {},
                "t.tsv:3: 2 columns instead of 3 (id, source, t",
            ),
            (
                "t.tsv",
                "id\tEn\tFrench\n",
                {"columns": ENGLISH},
                "t.tsv:1: no column 'English'; there are id, En, Fr",
            ),
            (
                "t.tsv",
                "Englisch\tFrench\n",
                {"columns": ENGLISH},
                "t.tsv:1: no column 'English'; did you mean 'Engl",
            ),
            (
                "t.tsv",
                "French\tFrench\n",
                {"columns": {"source": 1, "target": "french"}},
                "t.tsv:1: 2 columns are called 'f",
            ),
            (
                "t.tsv",
                "a\tb\n",
                {"columns": {"source": 1, "target": 3}},
                "t.tsv:1: no column 3: there are 2",
            ),
            (
                "t.tsv",
                "id\tword\ttag\n",
                {},
                "t.tsv:1: no column 'source'; there are id, word, tag (data.columns={s",
            ),
            ("t.csv", 'a,b\n"c\nd,e\nf,g\n', {}, "t.csv:2: not CSV: unexpected end of data"),
            ("t.csv", 'a,b\n"c\nd",e\nf\n', {}, "t.csv:4: 1 column instead of 2 (source, target)"),
            (
                "t.jsonl",
                '{"source": "a", "target": "b"}\n{"source": 1.5, "target": "b"}',
                {},
                "t.jsonl:2: 'source' must be a text, but is 1.5",
            ),
            (
                "t.jsonl",
                '{"source": "a", "target": null}',
                {},
                "t.jsonl:1: 'target' must be a text, but is null",
            ),
            (
                "t.jsonl",
                '{"source": "a", "target": true}',
                {},
                "t.jsonl:1: 'target' must be a text, but is true",
            ),
            (
                "t.jsonl",
                '{"sorce": "a", "target": "b"}',
                {},
                "t.jsonl:1: has no 'source'; did you mean 'sorce'?",
            ),
            (
                "t.jsonl",
                '[{"source": "a"}]',
                {},
                "t.jsonl:1: must be an object, {...}, on each line, but is the lin",
            ),
            ("t.jsonl", "3", {}, "t.jsonl:1: must be an object, {...}, on each line, but is int"),
            ("t.jsonl", '{"source": "a"', {}, "t.jsonl:1: not JSON: Expecting ',' delimiter"),
            ("t.jsonl", "[" * 100_000, {}, "t.jsonl:1: not JSON: "),
        ],
    )
    def test_what_is_no_such_table_is_refused_with_its_line(self, name, text, options, message):
        layout = Layout(**{"columns": TWO, **options})
        assert refusal(read_table, TextFile.of(text), name, layout).startswith(message)

    def test_a_header_alone_is_no_row(self):
        layout = Layout(TWO, header=True)
        message = refusal(parse_table, TextFile.of("a\tb\n"), "t.tsv", layout)
        assert message == "t.tsv: no rows in it (1 line, all of them empty but the header)"

    def test_names_need_a_header(self):
        with pytest.raises(ValueError, match="`header` must not be false where `columns` names"):
            Layout(ENGLISH, header=False)


class TestParallel:
    def test_with_a_header_the_first_line_of_each_is_none(self):
        texts = [TextFile.of("source\na\n"), TextFile.of("target\nb\n")]
        rows = parse_parallel(texts, ["s", "t"], Layout(TWO, header=True))
        assert rows == [Row(2, ("a", "b"))]
        assert len(parse_parallel(texts, ["s", "t"], Layout(TWO))) == 2

    def test_line_n_of_each_file_is_row_n(self):
        assert parallel("a\nb\n", "c d\n\n") == [Row(1, ("a", "c d")), Row(2, ("b", ""))]
        columns = ("source", "target", "features")
        assert parallel("a", "b", "c", columns=columns) == [Row(1, ("a", "b", "c"))]

    def test_another_number_of_lines_is_refused_with_both(self):
        message = refusal(parallel, "a\nb\nc\n", "d\ne\n")
        assert message.endswith("but there are 3 lines in source.txt and 2 lines in target.txt")

    def test_a_tab_or_an_empty_file_is_refused_with_its_place(self):
        tabs = refusal(parallel, "a\n", "b\tc\n")
        assert tabs == "target.txt:1: 2 columns instead of 1 (target): there is 1 tab"
        assert refusal(parallel, "", "b\n") == "source.txt: no rows in it (an empty file)"


class TestDivided:
    def test_parts_have_their_shares_of_the_different_keys(self):
        parts = divided(range(100), (0.7, 0.2, 0.1), 1, lambda row: row)
        assert [len(part) for part in parts] == [70, 20, 10]
        assert sorted(chain.from_iterable(parts)) == list(range(100))
        assert all(part == sorted(part) for part in parts)
        assert parts[0] != list(range(70)), "which rows is drawn"

    def test_what_the_shares_leave_is_in_no_part(self):
        assert [len(part) for part in divided(range(10), (0.5, 0.2, 0), 1, str)] == [5, 2, 0]

    @given(
        st.lists(st.integers(0, 20), min_size=1, max_size=50),
        st.sampled_from([(0.8, 0.1, 0.1), (0.34, 0.33, 0.33), (1, 0, 0), (0.1, 0.45, 0.45)]),
        st.integers(0, 2**40),
    )
    def test_rows_of_one_key_stay_together(self, rows, shares, seed):
        parts = divided(rows, shares, seed, lambda row: row // 2)
        assert sorted(chain.from_iterable(parts)) == sorted(rows)
        keys = [{row // 2 for row in part} for part in parts]
        assert sum(len(each) for each in keys) == len(set().union(*keys))

    def test_the_draw_depends_on_the_seed_and_not_on_rows_that_come_again(self):
        rows = list("abcdefghij")
        parts = divided(rows, (0.5, 0.5), 1, str)
        assert parts == divided(rows, (0.5, 0.5), 1, str)
        assert parts != divided(rows, (0.5, 0.5), 2, str)
        more = divided([*rows, "a", "b", "b"], (0.5, 0.5), 1, str)
        assert [sorted(set(part)) for part in more] == parts


def test_a_few_lines_stand_for_all():
    assert some_lines([3]) == "line 3"
    assert some_lines([3, 7]) == "lines 3, 7"
    assert some_lines([1, 2, 3, 4, 5]) == "lines 1, 2, 3, 4, 5"
    assert some_lines([1, 2, 3, 4, 5, 6]) == "lines 1, 2, 3, 4, 5, ..."

"""Tables: rows and columns of a text, and what is wrong with one."""

import pytest

from seqgen.data.tables import (
    Layout,
    Row,
    format_of,
    lines_of,
    parse_parallel,
    parse_table,
    read_table,
    some_lines,
)
from seqgen.data.text_files import TextFile

TWO = ("source", "target")
ENGLISH = {"source": "English", "target": "French"}
NUMBERED = {"source": 3, "target": 2}


def read(text, name="t.tsv", columns=TWO, **options):
    return read_table(TextFile.of(text), name, Layout(columns, **options))


def table(text, columns=TWO, **options):
    return parse_table(TextFile.of(text), "t.tsv", Layout(columns, **options))[0]


def parallel(*texts, columns=TWO, **options):
    files = [(TextFile.of(text), f"{name}.txt") for text, name in zip(texts, "stu", strict=False)]
    return parse_parallel(files, Layout(columns, **options))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb c\x0bd\u2028e\n", ["a", "b c\x0bd\u2028e"]),
        ("a\n\nb", ["a", "", "b"]),
        ("", []),
        ("\n", [""]),
    ],
)
def test_lines_end_at_newlines_alone(text, lines):
    assert lines_of(text) == lines


@pytest.mark.parametrize(
    ("name", "form"),
    [("a", "tsv"), ("a.csv", "csv"), ("a.JSONL.gz", "jsonl"), ("a.ndjson", "jsonl")],
)
def test_a_name_says_the_format(name, form):
    assert format_of(name) == form


def test_columns_are_between_tabs_and_lines_count_from_one():
    assert table('a\tb c\n"d"\t e \n') == [Row(1, ("a", "b c")), Row(2, ('"d"', " e "))]
    skipping = table("a\tb\tc\nd\te\tf\n", ("source", "_", "target"))
    assert [row.texts for row in skipping] == [("a", "c"), ("d", "f")]
    rows = [Row(2, ("", "")), Row(3, ("", "c")), Row(4, ("d", ""))]
    assert table("a\tb\n\n\tc\nd\t")[1:] == rows


# A first row of usual names is a header; a row of which one is none is a row.
TSV = [
    ("Source\tTarget\na\tb\n", {}, [(2, "a", "b")], "t.tsv:1: read with a header (Source, Targ"),
    ("target\tid\tsource\nb\t1\ta\n", {}, [(2, "a", "b")], "t.tsv:1: read with a header"),
    ("English\tFrench\na\tb\n", {}, [(2, "a", "b")], "t.tsv:1: read with a header"),
    ("review\tsentiment\na\tb\n", {}, [(2, "a", "b")], "t.tsv:1: read with a header"),
    ("text\ttexte\na\tb\n", {}, [(1, "text", "texte"), (2, "a", "b")], ""),
    ("text\ttext\n", {}, [(1, "text", "text")], ""),
    ("\n\nsource\ttarget\n\n", {"header": False}, [(3, "source", "target")], ""),
    ("Englisch\tFranz\na\tb\n", {"header": True}, [(2, "a", "b")], ""),
    ("id\tFrench\tEnglish\n1\tb\ta\n", {"columns": ENGLISH}, [(2, "a", "b")], ""),
    ("1\tb\ta\n", {"columns": NUMBERED}, [(1, "a", "b")], ""),
    ("x\ty\na\tb\n", {"columns": {"source": 1, "target": "y"}}, [(2, "a", "b")], ""),
]
# By the name of the file or by the option; quoted texts may have lines in them, which are counted.
TWO_LINES = 'source,target\n"a\nb",c\n\nd,e\n'
JSON = '{"target": 1, "source": "a\\u00e9", "x": [null]}\n\n'  # whole numbers are labels
CSV = [
    ("t.csv", 'a,"b,""c"""\n', {}, [(1, "a", 'b,"c"')], "t.csv: read as CSV, without a header"),
    ("t.CSV.gz", "a;b\n", {}, [(1, "a", "b")], "t.CSV.gz: read as CSV with semicolons, w"),
    ("t.csv", "text,label\na,b\n", {}, [(2, "a", "b")], "t.csv:1: read as CSV with a header"),
    ("t.txt", TWO_LINES, {"format": "csv", "header": True}, [(2, "a\nb", "c"), (5, "d", "e")], ""),
    ("t.jsonl", JSON, {}, [(1, "aé", "1")], "t.jsonl: read as JSON lines"),
    ("t.txt", '{"source": "a", "target": "b"}', {"format": "jsonl"}, [(1, "a", "b")], ""),
    ("t.json", '{"English": "a", "French": "b"}', {"columns": ENGLISH}, [(1, "a", "b")], "t.json"),
]


@pytest.mark.parametrize(
    ("name", "text", "options", "rows", "note"), [("t.tsv", *case) for case in TSV] + CSV
)
def test_a_table_is_read_as_its_name_its_header_or_an_option_says(name, text, options, rows, note):
    found, said = read(text, name, **options)
    assert [(row.line, *row.texts) for row in found if row.texts] == rows
    assert said.startswith(note)
    assert bool(said) == bool(note)


SOURCE_TARGET = "instead of 2 (source, target): there"


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        ("t.tsv", "a\tb\nc d\n", {}, f"2: 1 column {SOURCE_TARGET} is no tab"),
        ("t.tsv", "a\tb\tc\n", {}, f"1: 3 columns {SOURCE_TARGET} are 2 tabs"),
        ("t.tsv", "a\tb\n", {"columns": (*TWO, "_")}, "1: 2 columns instead of 3 (source, targe"),
        ("t.tsv", "a\tb\n", {"columns": ("source",)}, "1: 2 columns instead of 1 (source): ther"),
        ("t.tsv", "a,b\n", {}, f"1: 1 column {SOURCE_TARGET} is no tab (data.format=csv reads C"),
        ("t.tsv", '{"a": 1}\n', {}, f"1: 1 column {SOURCE_TARGET} is no tab (data.format=jsonl "),
        ("t.tsv", "id\tsource\ttarget\n1\ta\tb\n2\tc\n", {}, "3: 2 columns instead of 3 (id, so"),
        ("t.tsv", "id\tEn\tFrench\n", {"columns": ENGLISH}, "1: no column 'English'; there are i"),
        ("t.tsv", "Englisch\tFrench\n", {"columns": ENGLISH}, "1: no column 'English'; did you m"),
        ("t.tsv", "English\tFrench\tfrench\n", {"columns": ENGLISH}, "1: 2 columns are called 'F"),
        ("t.tsv", "a\tb\n", {"columns": NUMBERED}, "1: no column 3: there are 2"),
        ("t.tsv", "id\tword\ttag\n", {}, "1: no column 'source'; there are id, word, tag (data.c"),
        ("t.csv", 'a,b\n"c\nd,e\nf,g\n', {}, "2: not CSV: unexpected end of data"),
        ("t.csv", 'a,b\n"c\nd",e\nf\n', {}, "4: 1 column instead of 2 (source, target)"),
        ("t.jsonl", '\n{"source": 1.5}', {}, "2: 'source' must be a text, but is 1.5"),
        ("t.jsonl", '{"source": null}', {}, "1: 'source' must be a text, but is null"),
        ("t.jsonl", '{"source": true}', {}, "1: 'source' must be a text, but is true"),
        ("t.jsonl", '{"sorce": "a"}', {}, "1: has no 'source'; did you mean 'sorce'?"),
        ("t.jsonl", '[{"source": 1}]', {}, "1: must be an object, {...}, on each line, but is th"),
        ("t.jsonl", "3", {}, "1: must be an object, {...}, on each line, but is int"),
        ("t.jsonl", '{"source": "a"', {}, "1: not JSON: Expecting ',' delimiter"),
        ("t.jsonl", "[" * 100_000, {}, "1: not JSON: "),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_line(said, name, text, options, message):
    assert said(read, text, name, **options).startswith(f"{name}:{message}")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "an empty file"),
        ("\n\n\n", {}, "3 lines, all of them empty"),
        ("a\tb\n", {"header": True}, "1 line, all of them empty but the header"),
    ],
)
def test_a_table_without_rows_is_refused(said, text, options, message):
    assert said(table, text, **options) == f"t.tsv: no rows in it ({message})"


@pytest.mark.parametrize(
    ("columns", "header", "message"),
    [
        (ENGLISH, False, "`header` must not be false where `columns` names"),
        (
            {"source": 0, "target": 1},
            "auto",
            "`columns` must be numbers from 1 or names, but has 0",
        ),
        ({"source": 1, "target": -1}, "auto", "`columns` must be numbers from 1 or names, but has"),
    ],
)
def test_options_that_do_not_go_together_are_refused(columns, header, message):
    with pytest.raises(ValueError, match=message):
        Layout(columns, header=header)


def test_line_n_of_each_file_in_parallel_is_row_n():
    assert parallel("a\nb\n", "c d\n\n") == [Row(1, ("a", "c d")), Row(2, ("b", ""))]
    columns = ("source", "_", "target")
    assert parallel("a", "b\tb", "c", columns=columns) == [Row(1, ("a", "c"))]
    texts = "source\na\n", "target\nb\n"
    assert parallel(*texts, header=True) == [Row(2, ("a", "b"))]
    assert len(parallel(*texts)) == 2, "only an option makes a first line no row"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("a\nb\nc\n", "d\ne\n"), "but there are 3 lines in s.txt and 2 lines in t.txt"),
        (("a\n", "b\tc\n"), "t.txt:1: 2 columns instead of 1 (target): there is 1 tab"),
        (("", "b\n"), "s.txt: no rows in it (an empty file)"),
        (("a", "b", "c"), "s.txt, t.txt, u.txt: 3 files in parallel, but 2 columns"),
    ],
)
def test_files_that_are_not_in_parallel_are_refused(said, texts, message):
    assert said(parallel, *texts).endswith(message)


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        ([3], "line 3"),
        ([3, 7], "lines 3, 7"),
        ([1, 2, 3, 4, 5], "lines 1, 2, 3, 4, 5"),
        ([1, 2, 3, 4, 5, 6], "lines 1, 2, 3, 4, 5, ..."),
    ],
)
def test_a_few_lines_stand_for_all(lines, shown):
    assert some_lines(lines) == shown

"""The kind `lines`: which lines are read, what is said of the others, batches and prompts."""

import pytest

from seqgen.data import LinesData, data
from seqgen.data.lines import Line, lines_in
from seqgen.data.tables import Layout
from seqgen.data.text_files import TextFile
from seqgen.tokenizers import BOS, EOS, UNK, CharTokenizer, WordTokenizer

AB = {"text": CharTokenizer(alphabet="ab")}
TEXT = TextFile("ab\n\n a\n  \n", "hash")
ERROR = "f.txt:2: the line is empty (data.empty: drop leaves such lines out, keep reads them as"


@pytest.mark.parametrize(
    ("empty", "lines", "remark"),
    [
        ("drop", [1, 3], "f.txt: 2 of 4 lines are empty and left out (lines 2, 4)"),
        ("keep", [1, 2, 3, 4], ""),
    ],
)
def test_empty_lines(empty, lines, remark):
    found, note = lines_in(TEXT, "f.txt", empty)
    assert [each.line for each in found] == lines
    assert [each.text for each in found if each.line == 3] == [" a"]
    assert note == remark


def test_an_empty_line_may_be_an_error(said):
    assert said(lines_in, TEXT, "f.txt", "error").startswith(ERROR)
    full = TextFile("a\nb", "hash")
    assert lines_in(full, "f.txt", "error") == ([Line(1, "a"), Line(2, "b")], "")


@pytest.mark.parametrize("empty", ["drop", "keep", "error"])
@pytest.mark.parametrize(
    ("text", "found"), [("", "an empty file"), ("\n \n", "2 lines, all of them empty")]
)
def test_a_text_without_lines_is_refused(empty, text, found, said):
    message = said(lines_in, TextFile(text, "hash"), "f.txt", empty)
    assert message == f"f.txt: no lines in it ({found})"


@pytest.mark.parametrize(
    ("name", "column", "text", "lines", "remark"),
    [
        (
            "t.csv",
            "title",
            'id,title\n1,"a, b"\n\n2,\n3,c\n',
            [(2, "a, b"), (5, "c")],
            "t.csv: read as CSV; 2 of 4 lines are empty and left out (lines 3, 4)",
        ),
        ("t.jsonl", "title", '{"title": "a"}\n', [(1, "a")], "t.jsonl: read as JSON lines"),
        ("t.tsv", 2, "1\ta\n2\tb\n", [(1, "a"), (2, "b")], ""),
    ],
)
def test_lines_may_be_a_column(name, column, text, lines, remark):
    found, note = lines_in(TextFile.of(text), name, "drop", Layout({"text": column}))
    assert (list(map(tuple, found)), note) == (lines, remark)


def test_a_text_of_two_lines_is_no_line(said):
    layout = Layout({"text": "title"})
    message = said(lines_in, TextFile.of('title\n"a\nb"\n'), "t.csv", "drop", layout)
    assert message == "t.csv:2: the text has an end of a line in it"


@pytest.fixture
def make(tmp_path):
    """A function from texts by part and options to data whose folder has a file for each."""

    def make(train="ab\nba\nb\n", path="", dev=None, **options):
        (tmp_path / "train.txt").write_text(train, encoding="utf-8")
        if dev is not None:
            (tmp_path / "dev.txt").write_text(dev, encoding="utf-8")
        return data.build({"name": "lines", "path": str(tmp_path / path), **options}, seed=7)

    return make


def read(kind, texts, known=AB):
    """All lines as one batch, in their order."""
    split = kind.parse_rows(TextFile.of("\n".join(texts) + "\n"), "f.txt", known)
    return split._rows.batch(range(len(texts)))


def test_a_batch_as_it_is_written(make):
    batch = read(make(), ["ab", "bab", ""])
    assert batch.inputs.tolist() == [[BOS, 4, 5, 0], [BOS, 5, 4, 5], [BOS, 0, 0, 0]]
    assert batch.targets.tolist() == [[4, 5, EOS, 0], [5, 4, 5, EOS], [EOS, 0, 0, 0]]
    assert batch.lengths.tolist() == [3, 4, 1]
    assert batch.row_ids.tolist() == [0, 1, 2]
    assert batch.tokens == 8
    counts = make("ab\n\nbab\n", empty="keep").training(AB).counts()
    assert counts["text"].tolist() == [0, 0, 3, 0, 2, 3]


def test_what_was_left_out_is_remarked(make, fit):
    made = make("ab\n\naaa\nb\n", dev=" \na\n", max_length=2)
    made.encode(fit(made))
    test, train, dev, long = made.remarks()
    assert test.endswith("test.txt: not there, so there is no such part")
    assert train.endswith("train.txt: 1 of 4 lines are empty and left out (line 2)")
    assert dev.endswith("dev.txt: 1 of 2 lines are empty and left out (line 1)")
    assert "train.txt: 1 of 3 lines are longer than 2 tokens and left out" in long
    assert long.endswith(" (line 3)")
    assert made.held_out("valid", fit(made)).examples == ()


def test_a_table_without_a_column_is_read_as_lines_with_a_remark(place):
    place.write("t.csv", "a,b\n")
    made = LinesData(path=place.folder / "t.csv", split=(1, 0, 0))
    assert made.training_texts() == {"text": ["a,b"]}
    assert made.remarks()[0].endswith(
        "read as plain lines; column: NAME reads one column of the table"
    )
    column = LinesData(path=place.folder / "t.csv", column=2, split=(1, 0, 0))
    assert column.training_texts() == {"text": ["b"]}


def test_prompts_are_beginnings_of_lines(make, fit):
    made = make()
    known = fit(made)
    prompts = made.prompts(["ab", "", "x"], known)
    assert prompts.tokens.tolist() == [[BOS, 4, 5], [BOS, 0, 0], [BOS, UNK, 0]]
    assert prompts.lengths.tolist() == [3, 1, 2]
    assert made.prompts([], known).tokens.shape[0] == 0
    assert made.ends
    assert made.continues


@pytest.mark.parametrize("text", ["a\nb", "a\r"])
def test_a_prompt_of_several_lines_is_refused(make, text):
    with pytest.raises(ValueError, match="must be the beginning of a line, but has a line break"):
        make().prompts(["a", text], AB)


def test_outputs_are_what_follows_the_prompt(make, fit):
    made = make("big cats\nsmall dogs\n")
    known = fit(made, text=WordTokenizer())
    tokens = known["text"].encode("dogs cats").tolist()
    assert made.output_text("small", [*tokens, EOS], known) == " dogs cats"
    assert made.output_text("", tokens, known) == "dogs cats"
    assert made.unknown("small fish", known) == ["fish"]


@pytest.mark.parametrize(
    ("size", "passages"), [(None, [("", "bad"), ("", "a")]), (2, [("ba", "d"), ("a", "")])]
)
def test_each_line_is_a_passage(make, fit, size, passages):
    made = make("abc\nd\n", dev="bad\n\na\n")
    found = made.passages("valid", fit(made), size, 1)
    assert [(each.source, *each.references) for each in found] == passages
    assert list(made.passages("test", fit(made), size, 1)) == []


def test_faults_are_named_with_their_line(make, said):
    assert "train.txt: no lines in it (" in said(make("\n\n").training_texts)
    assert "train.txt:2: the line is empty (" in said(make("ab\n\n", empty="error").training_texts)
    parallel = make(valid=["train.txt", "train.txt"])
    assert "lines must be in one file, not in 2" in said(parallel.held_out, "valid", AB)
    strict = {"text": CharTokenizer(alphabet="ab", unk="error")}
    message = said(make("a\n\naxb\n").training, strict)
    assert "train.txt:3: `text` must be of characters in the vocabulary, but has" in message

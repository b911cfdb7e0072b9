"""The kind `lines`: which lines are read, what is said of the others, batches and prompts."""

import gzip
import hashlib
import io
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import Example, LinesData, data
from seqgen.data.lines import Line, lines_in, read_vectors, vector_of, written
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


@pytest.fixture
def write(tmp_path):
    """A function from an array or bytes to the path of a file of them."""

    def write(content):
        path = tmp_path / "v.npy"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content, allow_pickle=content.dtype.hasobject)
        return path

    return write


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.asfortranarray(np.arange(6.0, dtype=">f4").reshape(2, 3)),
        np.arange(6, dtype=np.float16).reshape(2, 3),
    ],
)
def test_numbers_of_any_type_become_float32(write, array):
    path = write(array)
    vectors, sha256 = read_vectors(path, 3)
    assert vectors.dtype == torch.float32
    assert vectors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_array_without_rows_is_one(write):
    """Whether there are too few is for others to say."""
    assert read_vectors(write(np.ones((0, 3))), 3)[0].shape == (0, 3)


def saved(writer, *content):
    file = io.BytesIO()
    writer(file, *content)
    return file.getvalue()


GOOD = saved(np.save, np.ones((2, 3)))
HUGE = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**3)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is not a .npy file"),
        (b"1 2 3\n4 5 6\n", "this is not a .npy file"),
        (saved(np.savez, np.ones((2, 3))), "this is not a .npy file"),
        (GOOD[:4], "this is not a .npy file"),
        (GOOD[:20], "this .npy file cannot be loaded: EOF: reading array header"),
        (GOOD[:-5], "this .npy file cannot be loaded: EOF: reading array data"),
        (saved(np.lib.format.write_array_header_1_0, HUGE), "this .npy file cannot be loaded: "),
        (GOOD[:8] + b"\x06\x27" + b"[" * 9990, "this .npy file cannot be loaded: "),
        (np.array([[{}, 1]], dtype=object), "this .npy file cannot be loaded: Object arrays"),
        (np.ones(3), "must have 2 dimensions, [rows, 3], but has 1 [3]"),
        (np.ones((2, 3, 1)), "must have 2 dimensions, [rows, 3], but has 3 [2, 3, 1]"),
        (np.array([["a", "b", "c"]]), "must be an array of numbers, but is one of <U1"),
        (np.ones((1, 3), dtype=complex), "must be an array of numbers, but is one of complex128"),
        (np.ones((2, 4)), "the vectors are of 4 numbers, not of the 3 that `vector_size` says"),
    ],
)
def test_what_is_no_array_of_vectors_is_refused(write, said, content, message):
    path = write(content)
    assert said(read_vectors, path, 3).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("number", "shown"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e300, "1e+300")]
)
def test_numbers_that_are_not_finite_are_named_with_their_row(write, said, number, shown):
    array = np.ones((5, 3))
    array[2, 1] = array[4, 0] = number
    message = f"v.npy: row 2 has the number {shown}, which is no finite float32 (2 of 5 rows"
    assert message in said(read_vectors, write(array), 3)


def test_missing_files_and_directories_are_named(tmp_path, said):
    assert "none.npy: cannot be read: No such file" in said(read_vectors, tmp_path / "none.npy", 3)
    assert "this is a directory; a .npy file is needed" in said(read_vectors, tmp_path, 3)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_vector_that_is_written_is_read_again(numbers):
    vector = torch.tensor(numbers, dtype=torch.float32)
    back = vector_of(written(vector), len(numbers))
    assert back.numpy().tobytes() == vector.numpy().tobytes()


def test_a_person_may_write_numbers_as_they_like():
    assert vector_of("  1 -.5\t1e2 ", 3).tolist() == [1.0, -0.5, 100.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "but has 2 words"),
        ("1 2 3 4", "but has 4 words"),
        ("1, 2, 3", "but: could not convert string to float: '1,'"),
        ("1 nan 3", "but 'nan' is no finite float32"),
        ("1 2 1e39", "but '1e39' is no finite float32"),
    ],
)
def test_what_is_no_vector_is_refused(text, message):
    whole = f"`text` must be 3 numbers with spaces between, {message}"
    with pytest.raises(ValueError, match=f"^{re.escape(whole)}$"):
        vector_of(text, 3)


@pytest.fixture
def make_vectors(tmp_path):
    """A function from texts, vectors by name, and options to data."""

    def make_vectors(texts="ab\nb\na\n", vectors=None, path="", **options):
        (tmp_path / "train.txt").write_text(texts, encoding="utf-8")
        if vectors is None:
            vectors = np.arange(2.0 * texts.count("\n")).reshape(-1, 2)
        np.save(tmp_path / "train.npy", vectors)
        if "other" in options:
            options["vectors"] = str(tmp_path / options.pop("other"))
        spec = {"name": "vectors", "vector_size": 2, "path": str(tmp_path / path), **options}
        return data.build(spec, seed=7)

    return make_vectors


def test_a_batch_of_vectors_as_it_is_written(make_vectors, fit):
    known = fit(make_vectors("ab\n"))
    batch = make_vectors("ab\n\nbab\n", empty="keep").training(known).batch(0)
    order = batch.row_ids.argsort()
    assert batch.sources.values[order].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert batch.sources.values.dtype == torch.float32
    assert batch.sources.lengths.tolist() == [1, 1, 1]
    assert batch.inputs[order].tolist() == [[BOS, 4, 5, 0], [BOS, 0, 0, 0], [BOS, 5, 4, 5]]
    assert batch.targets[order].tolist() == [[4, 5, EOS, 0], [EOS, 0, 0, 0], [5, 4, 5, EOS]]
    assert (batch.lengths[order].tolist(), batch.tokens) == ([3, 1, 4], 8)


def test_each_text_keeps_its_vector(make_vectors, fit):
    """Also where others are left out."""
    texts = "".join("ab"[i % 2] * (i % 7) + "\n" for i in range(40))
    made = make_vectors(texts, batch_size=6, empty="drop", max_target_length=5)
    known = fit(made)
    train, seen = made.training(known), []
    for step in range(train.steps_per_epoch):
        batch = train.batch(step)
        for vector, row, length in zip(
            batch.sources.values, batch.targets, batch.lengths, strict=True
        ):
            seen.append(int(vector[0]) // 2)
            assert vector.tolist() == [2 * seen[-1], 2 * seen[-1] + 1]
            assert known["target"].decode(row[:length]) == texts.split("\n")[seen[-1]]
    assert sorted(seen) == [i for i in range(40) if 0 < i % 7 < 6]
    dev, test, empty, long = made.remarks()
    assert dev.endswith("dev.txt: not there, so there is no such part")
    assert test.endswith("test.txt: not there, so there is no such part")
    assert "train.txt: 6 of 40 lines are empty and left out (lines 1, 8, 15" in empty
    assert "train.txt: 5 of 34 lines are longer than 5 tokens and left out of training" in long


def test_texts_of_equal_vectors_are_one_example(make_vectors, fit):
    vectors = np.float64([[1, 0.5], [0, 2], [1, 0.5]])
    made = make_vectors("ab\nb\na\n", vectors, path="train.txt", split=[1, 0, 0])
    assert made.encode(fit(made)).valid is None
    made = make_vectors("ab\nb\na\n", vectors, valid="train.txt")
    split = made.held_out("valid", fit(made))
    assert [*split.examples] == [Example("1.0 0.5", ("ab", "a")), Example("0.0 2.0", ("b",))]
    assert (split.tokens, split.unknown, split.size.chars) == (7, 0, 4)


def test_another_file_may_have_the_vectors(make_vectors, tmp_path):
    np.save(tmp_path / "other.npy", np.float32([[5, 6], [7, 8], [9, 10]]))
    made = make_vectors(path="train.txt", split=[1, 0, 0], other="other.npy")
    assert made.part("train").rows[1].vector.tolist() == [7, 8]
    assert [*made.fingerprint()] == [str(tmp_path / "train.txt"), str(tmp_path / "other.npy")]


def test_vectors_have_the_name_of_their_texts_before_these_were_packed(
    make_vectors, said, tmp_path
):
    made = make_vectors("ab\nb\n", split=[1, 0, 0], vectors=np.ones((2, 2)))
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress((tmp_path / "train.txt").read_bytes()))
    (tmp_path / "train.txt").unlink()
    assert [row.text for row in made.training_part.rows] == ["ab", "b"]
    (tmp_path / "train.txt.gz").unlink()
    made = make_vectors()
    (tmp_path / "train.npy").unlink()
    assert "train.npy: cannot be read: No such file" in said(made.training_texts)


def test_prompts_are_numbers_between_spaces(make_vectors):
    made = make_vectors()
    sources = made.prompts(["1 -0.5", "", "1e2  3"], {})
    assert sources.values.tolist() == [[1, -0.5], [0, 0], [100, 3]]
    assert (sources.values.dtype, sources.lengths.tolist()) == (torch.float32, [1, 1, 1])
    assert made.prompts([], {}).values.shape == (0, 2)
    with pytest.raises(ValueError, match="`text` must be 2 numbers with spaces between, but has 1"):
        made.prompts(["7"], {})


def test_the_size_of_a_vector_is_known_before_it_is_read(said):
    made = data.build({"name": "vectors", "vector_size": 5, "path": "none.txt"}, seed=1)
    assert made.sizes({"target": range(9)}) == {"vocab_size": 9, "source": {"vector_size": 5}}
    assert (made.fields, made.ends) == (("target",), True)
    assert said(made.training_texts).startswith("none.txt: cannot be read")


@pytest.mark.parametrize(
    ("texts", "vectors", "options", "message"),
    [
        ("a\nb\nab\n", np.ones((2, 2)), {}, "train.txt: 3 lines, but 2 vectors in "),
        ("a\n", None, {"path": "train.txt", "other": "no.npy"}, "no.npy: cannot be read: No such"),
        ("ab\n \nb\n", None, {}, "train.txt:2: the line is empty (data.empty: drop"),
        ("a\n", np.ones((1, 3)), {}, "train.npy: the vectors are of 3 numbers, not of the"),
        ("a\nb\n", np.float32([[0, 1], [np.nan, 1]]), {}, "train.npy: row 1 has the number nan"),
        ("a\n", None, {"other": "v.npy"}, "a directory, but `vectors` belongs to one text"),
    ],
)
def test_faults_are_named_with_their_file(make_vectors, said, texts, vectors, options, message):
    assert message in said(make_vectors(texts, vectors, **options).training_texts)

"""The kind `vectors`: which arrays are vectors, and a text for each of them."""

import gzip
import hashlib
import io
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import Example, data
from seqgen.data.vectors import read_vectors, vector_of, written
from seqgen.tokenizers import BOS, EOS


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
def make(tmp_path):
    """A function from texts, vectors by name, and options to data."""

    def make(texts="ab\nb\na\n", vectors=None, path="", **options):
        (tmp_path / "train.txt").write_text(texts, encoding="utf-8")
        if vectors is None:
            vectors = np.arange(2.0 * texts.count("\n")).reshape(-1, 2)
        np.save(tmp_path / "train.npy", vectors)
        if "other" in options:
            options["vectors"] = str(tmp_path / options.pop("other"))
        spec = {"name": "vectors", "vector_size": 2, "path": str(tmp_path / path), **options}
        return data.build(spec, seed=7)

    return make


def test_a_batch_as_it_is_written(make, fit):
    known = fit(make("ab\n"))
    batch = make("ab\n\nbab\n", empty="keep").training(known).batch(0)
    order = batch.row_ids.argsort()
    assert batch.sources.values[order].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert batch.sources.values.dtype == torch.float32
    assert batch.sources.lengths.tolist() == [1, 1, 1]
    assert batch.inputs[order].tolist() == [[BOS, 4, 5, 0], [BOS, 0, 0, 0], [BOS, 5, 4, 5]]
    assert batch.targets[order].tolist() == [[4, 5, EOS, 0], [EOS, 0, 0, 0], [5, 4, 5, EOS]]
    assert (batch.lengths[order].tolist(), batch.tokens) == ([3, 1, 4], 8)


def test_each_text_keeps_its_vector(make, fit):
    """Also where others are left out."""
    texts = "".join("ab"[i % 2] * (i % 7) + "\n" for i in range(40))
    made = make(texts, batch_size=6, empty="drop", max_target_length=5)
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


def test_texts_of_equal_vectors_are_one_example(make, fit):
    vectors = np.float64([[1, 0.5], [0, 2], [1, 0.5]])
    made = make("ab\nb\na\n", vectors, path="train.txt", split=[1, 0, 0])
    assert made.encode(fit(made)).valid is None
    made = make("ab\nb\na\n", vectors, valid="train.txt")
    split = made.held_out("valid", fit(made))
    assert [*split.examples] == [Example("1.0 0.5", ("ab", "a")), Example("0.0 2.0", ("b",))]
    assert (split.tokens, split.unknown, split.size.chars) == (7, 0, 4)


def test_another_file_may_have_the_vectors(make, tmp_path):
    np.save(tmp_path / "other.npy", np.float32([[5, 6], [7, 8], [9, 10]]))
    made = make(path="train.txt", split=[1, 0, 0], other="other.npy")
    assert made.part("train").rows[1].vector.tolist() == [7, 8]
    assert [*made.fingerprint()] == [str(tmp_path / "train.txt"), str(tmp_path / "other.npy")]


def test_vectors_have_the_name_of_their_texts_before_these_were_packed(make, said, tmp_path):
    made = make("ab\nb\n", split=[1, 0, 0], vectors=np.ones((2, 2)))
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress((tmp_path / "train.txt").read_bytes()))
    (tmp_path / "train.txt").unlink()
    assert [row.text for row in made.training_part.rows] == ["ab", "b"]
    (tmp_path / "train.txt.gz").unlink()
    made = make()
    (tmp_path / "train.npy").unlink()
    assert "train.npy: cannot be read: No such file" in said(made.training_texts)


def test_prompts_are_numbers_between_spaces(make):
    made = make()
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
def test_faults_are_named_with_their_file(make, said, texts, vectors, options, message):
    assert message in said(make(texts, vectors, **options).training_texts)

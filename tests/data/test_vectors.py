"""Reading .npy files: which arrays are vectors, and what is said of the others."""

import gzip
import hashlib
import io
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from seqgen.data.row_files import Part

from seqgen.data import Example, data
from seqgen.data.lines import Line
from seqgen.data.vectors import (
    VectorRow,
    encode_texts,
    examples_of,
    read_vectors,
    vector_of,
    written,
)
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import BOS, EOS, CharTokenizer


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


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def huge():
    file = io.BytesIO()
    shape = {"descr": "<f8", "fortran_order": False, "shape": (10**12, 10**3)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.getvalue()


def archive():
    file = io.BytesIO()
    np.savez(file, a=np.ones((2, 3)))
    return file.getvalue()


GOOD = saved(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is not a .npy file"),
        (b"1 2 3\n4 5 6\n", "this is not a .npy file"),
        (archive(), "this is not a .npy file"),
        (GOOD[:4], "this is not a .npy file"),
        (GOOD[:20], "this .npy file cannot be loaded: EOF: reading array header"),
        (GOOD[:-5], "this .npy file cannot be loaded: EOF: reading array data"),
        (huge(), "this .npy file cannot be loaded: "),
        (GOOD[:8] + b"\x06\x27" + b"[" * 9990, "this .npy file cannot be loaded: "),
        (np.array([[{}, 1]], dtype=object), "this .npy file cannot be loaded: Object arrays"),
        (np.ones(3), "must have 2 dimensions, [rows, 3], but has 1 [3]"),
        (np.ones((2, 3, 1)), "must have 2 dimensions, [rows, 3], but has 3 [2, 3, 1]"),
        (np.array([["a", "b", "c"]]), "must be an array of numbers, but is one of <U1"),
        (np.ones((1, 3), dtype=complex), "must be an array of numbers, but is one of complex128"),
        (np.ones((2, 4)), "the vectors are of 4 numbers, not of the 3 that `vector_size` says"),
    ],
)
def test_what_is_no_array_of_vectors_is_refused(write, content, message):
    path = write(content)
    with pytest.raises(DataError) as caught:
        read_vectors(path, 3)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "shown"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e300, "1e+300")]
)
def test_numbers_that_are_none_are_named_with_their_row(write, number, shown):
    array = np.ones((5, 3))
    array[2, 1] = array[4, 0] = number
    with pytest.raises(DataError) as caught:
        read_vectors(write(array), 3)
    message = f"v.npy: row 2 has the number {shown}, which is no finite float32 (2 of 5 rows"
    assert message in str(caught.value)


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npy: cannot be read: No such file"):
        read_vectors(tmp_path / "none.npy", 3)
    with pytest.raises(DataError, match=r"this is a directory; a \.npy file is needed"):
        read_vectors(tmp_path, 3)


# Rows of a vector and a text: batches, and vectors as a person writes them.


AB = CharTokenizer(alphabet="ab")


def rows(*pairs):
    made = [(Line(i, text), torch.tensor(numbers)) for i, (text, numbers) in enumerate(pairs, 1)]
    return [VectorRow(*pair) for pair in made]


THREE = rows(("ab", [1.0, 0.5]), ("", [2.0, -1.0]), ("bab", [1.0, 0.5]))


def test_a_batch_as_it_is_written():
    batch = encode_texts(Part("f", THREE), AB).batched().collate([2, 1])
    assert batch.sources.values.tolist() == [[1.0, 0.5], [2.0, -1.0]]
    assert batch.sources.values.dtype == torch.float32
    assert batch.sources.lengths.tolist() == [1, 1]
    assert batch.inputs.tolist() == [[BOS, 5, 4, 5], [BOS, 0, 0, 0]]
    assert batch.targets.tolist() == [[5, 4, 5, EOS], [EOS, 0, 0, 0]]
    assert batch.lengths.tolist() == [4, 1]
    assert batch.numbers.tolist() == [2, 1]
    assert batch.tokens == 5


def test_rows_that_are_left_out_take_their_vectors_along():
    kept, remark = encode_texts(Part("f", THREE), AB).within(2, "f")
    batch = kept.batched().collate([0, 1])
    assert batch.sources.values.tolist() == [[1.0, 0.5], [2.0, -1.0]]
    assert batch.lengths.tolist() == [3, 1]
    assert remark.startswith("f: 1 of 3 lines are longer than 2 tokens")


def test_examples_have_each_vector_once():
    again = rows(("ab", [0.1, 0.5]), ("x", [2.0, 3e-5]), ("b", [0.1, 0.5]), ("ab", [0.1, 0.5]))
    assert examples_of(again) == (Example("0.1 0.5", ("ab", "b")), Example("2.0 3e-05", ("x",)))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_what_is_written_is_read(numbers):
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


# The data kind `vectors`: a file of vectors beside a file of texts.


@pytest.fixture
def make(tmp_path):
    """A function from texts, vectors by name, and options to data."""

    def make(texts="ab\nb\na\n", vectors=None, path="", **options):
        (tmp_path / "train.txt").write_text(texts, encoding="utf-8")
        if vectors is None:
            vectors = np.arange(2.0 * texts.count("\n")).reshape(-1, 2)
        np.save(tmp_path / "train.npy", vectors)
        spec = {"name": "vectors", "vector_size": 2, "path": str(tmp_path / path), **options}
        return data.build(spec, seed=7)

    return make


def fitted(made):
    known = CharTokenizer()
    known.fit(made.training_texts()["target"])
    return {"target": known}


def test_each_text_keeps_its_vector(make):
    texts = "".join("ab"[i % 2] * (i % 7 + 1) + "\n" for i in range(40))
    made = make(texts, batch_size=6)
    known = fitted(made)
    train = made.training(known)
    for epoch in range(2):
        seen = []
        for step in range(epoch * train.steps_per_epoch, (epoch + 1) * train.steps_per_epoch):
            batch = train.batch(step)
            seen += batch.numbers.tolist()
            assert batch.sources.values.tolist() == [
                [2 * i, 2 * i + 1] for i in seen[-len(batch.numbers) :]
            ]
            for number, row, length in zip(
                batch.numbers.tolist(), batch.targets, batch.lengths, strict=True
            ):
                assert known["target"].decode(row[:length]) == texts.split("\n")[number]
                assert row[length - 1] == EOS
        assert sorted(seen) == list(range(40))


def test_batches_are_a_function_of_the_step(make):
    texts = "a\nbb\nab\n" * 20
    one, other = (make(texts, batch_tokens=30) for _ in range(2))
    known = fitted(one)
    forwards, backwards = one.training(known), other.training(known)
    steps = range(3 * forwards.steps_per_epoch)
    expected = {step: forwards.batch(step) for step in steps}
    for step in reversed(steps):
        batch = backwards.batch(step)
        assert torch.equal(batch.sources.values, expected[step].sources.values)
        assert torch.equal(batch.targets, expected[step].targets)


class Doubling(CharTokenizer):
    """Pieces that the seed draws: each character, or each character twice."""

    samples = True

    def sample(self, text, seed):
        tokens = self.encode(text)
        return tokens.repeat(2) if seed % 2 else tokens


def test_a_tokenizer_that_samples_reads_each_epoch_anew(make):
    made = make("ab\n" * 30, batch_size=30, max_target_length=4)
    known = Doubling()
    known.fit(["ab"])
    train = made.training({"target": known})
    epochs = [train.batch(epoch) for epoch in range(3)]
    assert {n for batch in epochs for n in batch.lengths.tolist()} == {3, 5}
    for batch in epochs:
        assert batch.sources.values[:, 0].tolist() == [2.0 * n for n in batch.numbers.tolist()]


def test_texts_of_equal_vectors_are_one_example(make):
    vectors = np.float64([[1, 0.5], [0, 2], [1, 0.5]])
    made = make("ab\nb\na\n", vectors, path="train.txt", split=[1, 0, 0])
    assert made.encode(fitted(made)).valid is None
    made = make("ab\nb\na\n", vectors, valid="train.txt")
    split = made.held_out("valid", fitted(made))
    assert split.examples == (Example("1.0 0.5", ("ab", "a")), Example("0.0 2.0", ("b",)))
    assert (split.tokens, split.unknown, split.size.chars) == (7, 0, 4)


def test_equal_vectors_are_in_one_part(make):
    vectors = np.float32([[i % 10, 0] for i in range(100)])
    made = make("a\n" * 100, vectors, path="train.txt", split=[0.5, 0.5, 0])
    train, valid = (
        {float(row.vector[0]) for row in made.part(name).rows} for name in ("train", "valid")
    )
    assert (len(train), len(valid)) == (5, 5)
    assert not train & valid


def test_another_file_may_have_the_vectors(make, tmp_path):
    np.save(tmp_path / "other.npy", np.float32([[5, 6], [7, 8], [9, 10]]))
    made = make(path="train.txt", split=[1, 0, 0], vectors=None)
    other = data.build(
        {
            "name": "vectors",
            "vector_size": 2,
            "path": str(tmp_path / "train.txt"),
            "vectors": str(tmp_path / "other.npy"),
            "split": [1, 0, 0],
        },
        seed=1,
    )
    assert other.part("train").rows[1].vector.tolist() == [7, 8]
    assert [*other.fingerprint()] == [str(tmp_path / "train.txt"), str(tmp_path / "other.npy")]
    assert made.part("train").rows[1].vector.tolist() == [2, 3]


def test_empty_texts_may_be_left_out_with_their_vectors(make):
    made = make("ab\n\nb\n", empty="drop", max_target_length=1)
    train = made.training(fitted(made))
    assert train.batch(0).sources.values.tolist() == [[4.0, 5.0]]
    dev, test, empty, long = made.remarks()
    assert dev.endswith("dev.txt: not there, so there is no such part")
    assert test.endswith("test.txt: not there, so there is no such part")
    assert empty.endswith("train.txt: 1 of 3 lines are empty and left out (line 2)")
    assert long.endswith("1 of 2 lines are longer than 1 tokens and left out of training (line 1)")


def test_prompts_are_numbers_between_spaces(make):
    made = make()
    sources = made.prompts(["1 -0.5", "", "1e2  3"], {})
    assert sources.values.tolist() == [[1, -0.5], [0, 0], [100, 3]]
    assert (sources.values.dtype, sources.lengths.tolist()) == (torch.float32, [1, 1, 1])
    assert made.prompts([], {}).values.shape == (0, 2)
    with pytest.raises(ValueError, match="`text` must be 2 numbers with spaces between, but has 1"):
        made.prompts(["7"], {})


def test_the_size_of_a_vector_is_known_before_it_is_read():
    made = data.build({"name": "vectors", "vector_size": 5, "path": "none.txt"}, seed=1)
    assert made.sizes({"target": range(9)}) == {"vocab_size": 9, "source": {"vector_size": 5}}
    assert (made.roles, made.ends) == (("target",), True)
    with pytest.raises(DataError, match=r"none\.txt: cannot be read"):
        made.training_texts()


def test_the_fingerprint_is_that_of_texts_and_vectors(make, tmp_path):
    found = make().fingerprint()
    assert found == {
        str(tmp_path / name): hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("train.txt", "train.npy")
    }


class TestFaults:
    def test_counts_that_differ_are_both_named(self, make):
        made = make("a\nb\nab\n", np.ones((2, 2)))
        with pytest.raises(DataError, match=r"train\.txt: 3 lines, but 2 vectors in .*train\.npy$"):
            made.training_texts()

    def test_a_file_of_vectors_that_is_not_there(self, make, tmp_path):
        made = make()
        (tmp_path / "train.npy").unlink()
        with pytest.raises(DataError, match=r"train\.npy: cannot be read: No such file"):
            made.training_texts()

    def test_an_empty_text_is_an_error(self, make):
        with pytest.raises(DataError, match=r"train\.txt:2: the line is empty \(data\.empty: drop"):
            make("ab\n \nb\n").training_texts()

    def test_vectors_of_another_size(self, make):
        with pytest.raises(
            DataError, match=r"train\.npy: the vectors are of 3 numbers, not of the"
        ):
            make(vectors=np.ones((3, 3))).training_texts()

    def test_a_number_that_is_none(self, make):
        with pytest.raises(DataError, match=r"train\.npy: row 1 has the number nan"):
            make(vectors=np.float32([[0, 1], [np.nan, 1], [0, 1]])).training_texts()

    def test_one_file_of_vectors_for_a_directory(self, make, tmp_path):
        make()
        spec = {"name": "vectors", "vector_size": 2, "path": str(tmp_path), "vectors": "v.npy"}
        with pytest.raises(DataError, match="a directory, but `vectors` belongs to one text"):
            data.build(spec, seed=1).training_texts()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"path": None}, "`path` or `train` must say where the texts come from"),
            ({"path": "v.npy"}, "`path` must be a file of texts, beside which its vectors are"),
            ({"train": "v.npy"}, "`train` must be a file of texts, beside which its vectors"),
            ({"train": "a.txt", "vectors": "b.npy"}, "`vectors` goes with `path` alone"),
            ({"split": [0.9, 0.2, 0]}, "`split` must be shares of 1"),
            ({"vector_size": 0}, "^vector_size: "),
            ({"corpus": "unicode_names"}, "corpus: not an option"),
        ],
    )
    def test_wrong_options_are_refused(self, options, message):
        spec = {"name": "vectors", "vector_size": 2, "path": "x.txt", **options}
        with pytest.raises(OptionError, match=message):
            data.build(spec, seed=1)


def test_the_vectors_of_packed_texts_have_the_name_that_these_had(make, tmp_path):
    made = make("ab\nb\n", split=[1, 0, 0], vectors=np.ones((2, 2)))
    (tmp_path / "train.txt.gz").write_bytes(gzip.compress((tmp_path / "train.txt").read_bytes()))
    (tmp_path / "train.txt").unlink()
    assert [row.line.text for row in made.training_part.rows] == ["ab", "b"]

"""Embeddings: their tables, and how word vectors are read from a file."""

import os
import ssl

import numpy as np
import pytest
import torch

from seqgen.embeddings import (
    Embedding,
    LearnedEmbedding,
    OneHot,
    PretrainedEmbedding,
    embeddings,
    file_of_vectors,
    layout,
    read_vectors,
)
from seqgen.errors import DataError
from seqgen.tokenizers import SPECIALS, Facts

VOCAB = 7


class TestEveryEmbedding:
    @pytest.fixture(params=embeddings.names())
    def make(self, request, small):
        """A function that makes the small embedding of a name."""
        return lambda: embeddings.build(small(embeddings, request.param), vocab_size=VOCAB)

    @pytest.fixture
    def embedding(self, make):
        torch.manual_seed(1)
        return make()

    @pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 0), (2, 3, 4)])
    def test_looks_tokens_up_in_its_table(self, embedding, shape):
        assert isinstance(embedding, Embedding)
        assert embedding.table().shape == (VOCAB, embedding.output_size)
        tokens = torch.randint(VOCAB, shape)
        vectors = embedding(tokens)
        assert vectors.shape == (*shape, embedding.output_size)
        assert torch.equal(vectors, embedding.table()[tokens])

    def test_gradients_reach_the_tokens_that_were_read(self, embedding):
        if not list(embedding.parameters()):
            assert not embedding(torch.tensor([1])).requires_grad
            return
        embedding(torch.tensor([[1, 4], [4, 1]])).square().sum().backward()
        assert all(each.grad.any() for each in embedding.parameters())
        table = embedding.table()
        if isinstance(table, torch.nn.Parameter):
            assert table.grad.any(1).nonzero().flatten().tolist() == [1, 4]


def test_a_learned_table_is_the_parameter_itself():
    torch.manual_seed(1)
    made = LearnedEmbedding(vocab_size=200, size=100, std=0.1)
    assert made.table() is made.weight
    assert list(made.parameters()) == [made.weight]
    assert made.output_size == 100
    assert abs(float(made.weight.detach().std()) - 0.1) < 0.002
    assert abs(float(made.weight.detach().mean())) < 0.002


def test_one_hot_has_a_one_at_the_token_and_nothing_to_learn_or_save():
    made = OneHot(vocab_size=4)
    assert made.output_size == 4
    assert made(torch.tensor([2, 0])).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert not list(made.parameters())
    assert not made.state_dict()
    assert made.double()(torch.tensor(1)).dtype == torch.float64


class TestReadingVectors:
    @pytest.fixture
    def write(self, tmp_path):
        """A function that writes a file of vectors and returns its path."""

        def call(text):
            path = tmp_path / "vectors.txt"
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return path

        return call

    def found(self, path, *words):
        vectors, _ = read_vectors(path, words, layout(path)[0])
        return {word: vector.tolist() for word, vector in vectors.items()}

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("the 1 2 3\nof 4 5 6\n", 3),
            ("2 3\nthe 1 2 3\nof 4 5 6\n", 3),
            ("2 3 \r\nthe 1 2 3 \r\nof 4 5 6 \r\n", 3),
            ("\ufeffthe 1 2 3\nof 4 5 6", 3),
            ("\ufeff2 3\nthe 1 2 3\nof 4 5 6", 3),
            ("the 1\nof 4\n", 1),
            ("5 3\nthe 1\nof 4\n", 1),
            ("2 1\nthe 1\nof 4\n", 1),
            ("the 1 2\nof 4 5\n", 2),
            ("5 3 2\nthe 1 2\nof 4 5\n", 2),
            (". . . 7 8\nthe 1 2\nof 4 5\n", 2),
            (". . 7 8\nthe 1 2\nof 4 5\n", 2),
        ],
    )
    def test_headers_and_sizes(self, write, text, size):
        path = write(text)
        assert layout(path)[0] == size
        assert self.found(path, "the", "of", "and") == {
            "the": [1, 2, 3][:size],
            "of": [4, 5, 6][:size],
        }

    def test_a_whole_number_may_be_a_word(self, write):
        assert self.found(write("5 3\nthe 1\n"), "5") == {"5": [3]}
        assert self.found(write("5 3\nthe 1 2 3\n"), "5") == {}

    def test_numbers_are_as_people_write_them(self, write):
        path = write("a -1.5 +2e-1 .5 1. 3E+1\n")
        assert self.found(path, "a")["a"] == pytest.approx([-1.5, 0.2, 0.5, 1, 30])

    def test_words_may_have_spaces_and_be_no_utf_8(self, write):
        path = write(
            b"the 1 2\n. . . 3 4\nat a@b.c 5 6\n\xff\xfe 7 8\ncaf\xc3\xa9 9 10\n nothing 1 2\n"
        )
        wanted = {". . .": [3, 4], "at a@b.c": [5, 6], "café": [9, 10], " nothing": [1, 2]}
        assert self.found(path, ". . .", "at a@b.c", "café", " nothing", "at") == wanted

    def test_the_first_of_equal_words_counts(self, write):
        path = write("a 1 2\nb 3 4\na 5 6\nc 0 0\nc 0 0\na x y\n")
        vectors, duplicates = read_vectors(path, ["a", "b"], 2)
        assert vectors["a"].tolist() == [1, 2]
        assert duplicates == 2

    @pytest.mark.parametrize(
        "row",
        ["c 5", "c", "", "c 5 x", "c nan 1", "c 1,5 2", "c 5 6 7", "c 5  6", "c inf 1", "c\t5\t6"],
    )
    def test_a_bad_row_is_named(self, write, row):
        path = write(f"a 1 2\nb 3 4\n{row}\nd 7 8\n")
        with pytest.raises(DataError) as caught:
            read_vectors(path, ["a", "c", "c 5", "c "], 2)
        message = f"{path}:3: must be a word and 2 numbers, but is {row!r}"
        assert str(caught.value) == message

    @pytest.mark.parametrize("number", ["1e39", "-3.5E38", "1" + "0" * 400, "1e999"])
    def test_a_number_that_float32_lacks_is_named(self, write, number):
        path = write(f"a 1 2\nb 3 {number}\n")
        with pytest.raises(DataError, match=rf"txt:2: the number {number} is too large for flo"):
            read_vectors(path, ["b"], 2)
        assert read_vectors(path, ["c"], 2) == ({}, 0)
        assert self.found(write("a 1e-60 3.4e38\n"), "a")["a"] == pytest.approx([0, 3.4e38])

    def test_rows_are_counted_with_the_header(self, write):
        path = write("9 2\na 1 2\n" + "b " + "x" * 50 + "\n")
        with pytest.raises(DataError, match=r"txt:3: must be .* but is 'b x{38}'\.\.\."):
            read_vectors(path, ["b"], 2)

    @pytest.mark.parametrize("text", ["", "\n", "word\n", "a b c\n", b"\x1f\x8b\x08\x00", "\ufeff"])
    def test_what_is_no_file_of_vectors_is_refused(self, write, text):
        with pytest.raises(DataError, match=r"vectors\.txt:1: must be a word and numbers, but is"):
            layout(write(text))

    def test_what_is_no_file_is_named(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for name, reason in (
            ("none", "cannot be read: No such file"),
            (".", "cannot be read: Is a directory"),
            ("pipe", "this is not a regular file"),
        ):
            with pytest.raises(DataError, match=reason):
                layout(tmp_path / name)

    def test_certificates_are_still_checked(self, write):
        """Making torchtext's `Vectors` would end that for the whole process."""
        before = ssl._create_default_https_context
        self.found(write("a 1 2\n"), "a")
        assert ssl._create_default_https_context is before is ssl.create_default_context


class TestFolderOfVectors:
    """As `.vector_cache`, where torchtext keeps what it has fetched."""

    @pytest.fixture
    def folder(self, tmp_path):
        for name, row in (("glove.3d.txt", "a 1 2 3"), ("deep/wiki.vec", "1 2\na 5 6")):
            path = tmp_path / ".vector_cache" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{row}\n")
        (tmp_path / ".vector_cache" / "glove.3d.txt.pt").write_bytes(b"PK\x03\x04")
        return tmp_path / ".vector_cache"

    def test_the_file_of_the_size_is_read(self, folder):
        for size, name in ((3, "glove.3d.txt"), (2, "wiki.vec")):
            assert file_of_vectors(folder, size).name == name
        made = PretrainedEmbedding(5, folder, size=2)
        with pytest.warns(UserWarning, match="vectors for 1 of 1 tokens"):
            made.initialise(Facts((*SPECIALS, "a")))
        assert made.table()[4].tolist() == [5, 6]

    @pytest.mark.parametrize(
        ("size", "said"),
        [
            (None, r"must have one of the files of vectors in it, but has 2 \(wiki.vec, glove.3d"),
            (7, r"one of the files of vectors of 7 numbers in it, but has 0 \(.txt or .vec\)"),
        ],
    )
    def test_there_must_be_one(self, folder, size, said):
        with pytest.raises(DataError, match=said):
            file_of_vectors(folder, size)

    def test_a_cache_that_could_run_code_is_not_read(self, folder):
        with pytest.raises(DataError, match=r"glove\.3d\.txt\.pt: a cache of torchtext's; the te"):
            file_of_vectors(folder / "glove.3d.txt.pt")


class TestPretrained:
    @pytest.fixture
    def path(self, tmp_path):
        made = tmp_path / "vectors.txt"
        made.write_text(
            "the 1 2 3\ncat 4 5 6\nThe 7 8 9\n<unk> 3 2 1\nthe 0 0 0\n", encoding="utf-8"
        )
        return made

    def facts(self, *pieces, counts=None):
        return Facts((*SPECIALS, *pieces), None if counts is None else np.array(counts))

    def begun(self, path, known, **options):
        made = PretrainedEmbedding(len(known.pieces), path, **options)
        with pytest.warns(UserWarning, match="vectors for") as caught:
            made.initialise(known)
        return made, str(caught[0].message)

    def test_tokens_are_found_as_they_are_then_plain_then_in_lower_case(self, path):
        made, _ = self.begun(path, self.facts("The", "THE", " cat", " ", "dog"))
        rows = made.table().tolist()
        assert made.output_size == 3
        assert rows[3:7] == [[3, 2, 1], [7, 8, 9], [1, 2, 3], [4, 5, 6]]

    def test_the_others_are_random_with_the_same_deviation(self, path):
        torch.manual_seed(1)
        known = self.facts("the", "cat", *(f"unknown {i}" for i in range(3000)))
        made, _ = self.begun(path, known)
        wanted = float(torch.tensor([[1.0, 2, 3], [4, 5, 6], [3, 2, 1]]).std(correction=0))
        assert float(made.table()[6:].detach().std()) == pytest.approx(wanted, rel=0.03)

    def test_it_is_said_how_many_there_are(self, path):
        facts = self.facts("the", "dog", "cat", counts=[0, 0, 0, 3, 90, 5, 2])
        _, message = self.begun(path, facts)
        text = "vectors for 2 of 3 tokens (66.7%), 92.0% of the training text"
        assert message == f"{path}: {text}; 1 duplicate rows left out"
        _, message = self.begun(path, self.facts("cat", "dog"))
        assert message == f"{path}: vectors for 1 of 2 tokens (50.0%)"

    def test_a_file_for_other_texts_is_refused(self, path):
        path.write_text("chat 1 2\n", encoding="utf-8")
        made = PretrainedEmbedding(5, path)
        with pytest.raises(DataError, match="has no vector for any token of the vocabulary"):
            made.initialise(self.facts("cat"))

    def test_the_size_is_checked(self, path):
        made = PretrainedEmbedding(5, path, size=4)
        with pytest.raises(DataError, match="the vectors are of 3 numbers, not of 4"):
            made.initialise(self.facts("cat"))

    def test_with_a_size_a_trained_model_needs_no_file(self, path):
        made, _ = self.begun(path, self.facts("the", "cat"))
        other = PretrainedEmbedding(6, path.with_name("gone"), size=3)
        other.load_state_dict(made.state_dict())
        assert torch.equal(other.table(), made.table())
        with pytest.raises(DataError, match="gone: cannot be read"):
            PretrainedEmbedding(6, path.with_name("gone"))

    def test_may_be_kept_as_it_is(self, path):
        made, _ = self.begun(path, self.facts("the"), trainable=False)
        assert not list(made.parameters())
        assert list(made.state_dict()) == ["weight"]
        assert made(torch.tensor([4])).tolist() == [[1, 2, 3]]

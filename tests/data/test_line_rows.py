"""Lines as tokens: which are read, and what is said of the others."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.files import TextFile
from seqgen.data.line_rows import Line, encode_lines, lines_in, within
from seqgen.data.rows import Layout
from seqgen.errors import DataError
from seqgen.tokenizers import BOS, EOS, CharTokenizer

AB = CharTokenizer(alphabet="ab")
TEXT = TextFile("ab\n\n a\n  \n", "hash")


def encoded(*texts, **options):
    lines = [Line(number, text) for number, text in enumerate(texts, 1)]
    return encode_lines(lines, "f.txt", AB, **options)


@pytest.mark.parametrize(
    ("empty", "lines", "remark"),
    [
        ("drop", [1, 3], "f.txt: 2 of 4 lines are empty and left out (lines 2, 4)"),
        ("keep", [1, 2, 3, 4], ""),
    ],
)
def test_empty_lines(empty, lines, remark):
    found, said = lines_in(TEXT, "f.txt", empty)
    assert [line.number for line in found] == lines
    assert [line.text for line in found if line.number == 3] == [" a"]
    assert said == remark


def test_an_empty_line_may_be_an_error():
    with pytest.raises(DataError, match=r"^f\.txt:2: the line is empty \(data\.empty: drop leaves"):
        lines_in(TEXT, "f.txt", "error")
    full = TextFile("a\nb", "hash")
    assert lines_in(full, "f.txt", "error") == ([Line(1, "a"), Line(2, "b")], "")


@pytest.mark.parametrize("empty", ["drop", "keep", "error"])
@pytest.mark.parametrize(
    ("text", "found"), [("", "an empty file"), ("\n \n", "2 lines, all of them empty")]
)
def test_a_text_without_lines_is_refused(empty, text, found):
    with pytest.raises(DataError) as caught:
        lines_in(TextFile(text, "hash"), "f.txt", empty)
    assert str(caught.value) == f"f.txt: no lines in it ({found})"


def test_a_batch_as_it_is_written():
    rows = encoded("ab", "", "bab").batched()
    batch = rows.collate([0, 2, 1])
    assert batch.inputs.tolist() == [[BOS, 4, 5, 0], [BOS, 5, 4, 5], [BOS, 0, 0, 0]]
    assert batch.targets.tolist() == [[4, 5, EOS, 0], [5, 4, 5, EOS], [EOS, 0, 0, 0]]
    assert batch.lengths.tolist() == [3, 4, 1]
    assert batch.numbers.tolist() == [0, 2, 1]
    assert not batch.continues
    assert batch.tokens == 8
    assert rows.lengths == [(3,), (1,), (4,)]
    assert (rows.size.chars, rows.counts()["text"].tolist()) == (5, [0, 0, 3, 0, 2, 3])


@given(st.lists(st.text("ab", max_size=6), min_size=1, max_size=5))
def test_a_line_comes_back_whatever_stands_beside_it(texts):
    batch = encoded(*texts).batched().collate(range(len(texts)))
    for row, text in enumerate(texts):
        length = int(batch.lengths[row])
        assert length == len(text) + 1
        assert AB.decode(batch.targets[row, :length]) == AB.decode(batch.inputs[row]) == text
        assert batch.targets[row, length - 1] == EOS
        assert not batch.targets[row, length:].any()
        assert batch.inputs[row, :length].tolist() == [BOS, *batch.targets[row, : length - 1]]


@pytest.mark.parametrize(
    ("most", "kept", "remark"),
    [
        (None, ["ab", "b", "aba", "abab"], ""),
        (4, ["ab", "b", "aba", "abab"], ""),
        (2, ["ab", "b"], "2 of 4 lines are longer than 2 tokens and left out of training (lines"),
        (1, ["b"], "3 of 4 lines are longer than 1 tokens and left out of training (lines 1, 3"),
    ],
)
def test_long_lines_are_left_out(most, kept, remark):
    rows, said = within(encoded("ab", "b", "aba", "abab"), most, "f.txt")
    assert [line.text for line in rows.lines] == [AB.decode(row) for row in rows.targets] == kept
    assert said.startswith(f"f.txt: {remark}" if remark else "")
    assert bool(said) == bool(remark)


def test_limits_that_leave_nothing_are_refused():
    with pytest.raises(DataError, match=r"^f\.txt: all 2 training lines are longer than 1 token"):
        within(encoded("ab", "ba"), 1, "f.txt")


def test_what_a_tokenizer_refuses_is_named_with_its_line():
    strict = CharTokenizer(alphabet="ab", unk="error")
    with pytest.raises(DataError, match=r"^f\.txt:7: `text` must be of known characters, but has"):
        encode_lines([Line(3, "a"), Line(7, "axb")], "f.txt", strict)


class Doubling(CharTokenizer):
    """Pieces that the seed draws: each character, or each character twice."""

    samples = True

    def sample(self, text, seed):
        tokens = self.encode(text)
        return tokens.repeat(2) if seed % 2 else tokens


def test_a_tokenizer_that_samples_cuts_each_line_by_the_seed():
    lines = [Line(number, "ab") for number in range(40)]
    made = [encode_lines(lines, "f", Doubling(alphabet="ab"), (3, epoch)) for epoch in (0, 0, 1)]
    rows = [[row.tolist() for row in each.targets] for each in made]
    assert rows[0] == rows[1] != rows[2]
    assert [4, 5, EOS] in rows[0]
    assert [4, 4, 5, 5, EOS] in rows[0]
    plain = encode_lines(lines, "f", Doubling(alphabet="ab")).targets
    assert all(torch.equal(row, torch.tensor([4, 5, EOS])) for row in plain)


class TestColumn:
    def lines(self, text, column, name="t.csv"):
        found, note = lines_in(TextFile.of(text), name, "drop", Layout({"text": column}))
        return [(line.number, line.text) for line in found], note

    def test_lines_may_be_a_column(self):
        text = 'id,title\n1,"a, b"\n\n2,\n3,c\n'
        lines, note = self.lines(text, "title")
        assert lines == [(2, "a, b"), (5, "c")]
        assert note == "t.csv: read as CSV; 2 of 4 lines are empty and left out (lines 3, 4)"
        assert self.lines('{"title": "a"}\n', "title", "t.jsonl")[0] == [(1, "a")]
        assert self.lines("1\ta\n2\tb\n", 2, "t.tsv") == ([(1, "a"), (2, "b")], "")

    def test_a_text_of_two_lines_is_none(self):
        with pytest.raises(DataError, match=r"^t\.csv:2: the text has an end of a line in it"):
            self.lines('title\n"a\nb"\n', "title")

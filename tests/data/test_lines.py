"""Lines as tokens: which are read, and what is said of the others."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import data
from seqgen.data.lines import Line, encode_lines, lines_in, within
from seqgen.data.tables import Layout
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import BOS, EOS, UNK, CharTokenizer, WordTokenizer

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


# The data kind `lines`: each line a sequence with begin and end.


@pytest.fixture
def make(tmp_path):
    """A function from texts by part and options to data whose folder has a file for each."""

    def make(train="ab\nba\nb\n", path="", dev=None, **options):
        (tmp_path / "train.txt").write_text(train, encoding="utf-8")
        if dev is not None:
            (tmp_path / "dev.txt").write_text(dev, encoding="utf-8")
        return data.build({"name": "lines", "path": str(tmp_path / path), **options}, seed=7)

    return make


def fitted(made, tokenizer=CharTokenizer):
    known = tokenizer()
    known.fit(made.training_texts()["text"])
    return {"text": known}


def numbered(count):
    return "".join(f"{i} {'x' * (i % 9)}\n" for i in range(count))


def lines_of(batch, known):
    return [
        known["text"].decode(row[:length])
        for row, length in zip(batch.targets, batch.lengths, strict=True)
    ]


def test_an_epoch_has_each_line_once(make):
    made = make(numbered(50), batch_size=8)
    known = fitted(made)
    train = made.training(known)
    text = numbered(50)
    assert train.tokens == len(text)  # EOS instead of the line's end
    assert train.size.chars == len(text) - 50
    for epoch in range(2):
        steps = range(epoch * train.steps_per_epoch, (epoch + 1) * train.steps_per_epoch)
        batches = [train.batch(step) for step in steps]
        assert sorted(line for each in batches for line in lines_of(each, known)) == sorted(
            text.splitlines()
        )
        for batch in batches:
            assert batch.inputs[:, 0].eq(BOS).all()
            assert (batch.targets == EOS).sum(dim=1).eq(1).all()
            assert len(batch.lengths) <= 8
            assert not batch.continues


def test_batches_are_a_function_of_the_step(make):
    one, other = (make(numbered(80), batch_tokens=60) for _ in range(2))
    known = fitted(one)
    forwards, backwards = one.training(known), other.training(known)
    steps = range(3 * forwards.steps_per_epoch)
    expected = {step: forwards.batch(step) for step in steps}
    for step in reversed(steps):
        batch = backwards.batch(step)
        assert batch.targets.numel() <= 60
        assert torch.equal(batch.numbers, expected[step].numbers)
        assert torch.equal(batch.targets, expected[step].targets)
    first, second = (
        [tuple(expected[step + epoch * len(steps) // 3].numbers.tolist()) for step in range(5)]
        for epoch in (0, 1)
    )
    assert first != second


class Doubling_lines(CharTokenizer):
    """Pieces that the seed draws: each character, or each character twice."""

    samples = True

    def sample(self, text, seed):
        tokens = self.encode(text)
        return tokens.repeat(2) if seed % 2 else tokens


def test_a_tokenizer_that_samples_reads_each_epoch_anew(make):
    made = make("ab\n" * 30, batch_size=30)
    known = fitted(made, Doubling_lines)
    train = made.training(known)
    epochs = [sorted(train.batch(epoch).lengths.tolist()) for epoch in range(4)]
    assert {length for epoch in epochs for length in epoch} == {3, 5}
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert sorted(train.batch(1).lengths.tolist()) == epochs[1]


def test_held_out_lines_are_all_read(make):
    made = make("ab\nb\n", dev="ba\n\nabab\nxb\n", max_length=2)
    known = fitted(made)
    split = made.held_out("valid", known)
    assert (split.tokens, split.unknown) == (3 + 5 + 3, 1)
    assert split.examples == ()
    batches = split.walk(lambda batch, state: (batch, state), lambda rows: None, 2)
    assert sorted(line for each in batches for line in lines_of(each, known)) == [
        "abab",
        "ba",
        "\ufffdb",
    ]
    assert sorted(number for each in batches for number in each.numbers.tolist()) == [0, 1, 2]
    assert made.held_out("test", known) is None


def test_what_was_left_out_is_remarked(make):
    made = make("ab\n\naaa\nb\n", dev=" \na\n", max_length=2)
    made.encode(fitted(made))
    test, train, dev, long = made.remarks()
    assert test.endswith("test.txt: not there, so there is no such part")
    assert train.endswith("train.txt: 1 of 4 lines are empty and left out (line 2)")
    assert dev.endswith("dev.txt: 1 of 2 lines are empty and left out (line 1)")
    assert long.endswith(
        "train.txt: 1 of 3 lines are longer than 2 tokens and left out of training (line 3)"
    )


def test_empty_lines_may_be_kept(make):
    made = make("ab\n\n  \n", empty="keep", batch_size=3)
    batch = made.training(fitted(made)).batch(0)
    assert sorted(batch.lengths.tolist()) == [1, 3, 3]
    assert made.remarks()[0].endswith("dev.txt: not there, so there is no such part")


def test_prompts_are_beginnings_of_lines(make):
    made = make()
    known = fitted(made)
    prompts = made.prompts(["ab", "", "x"], known)
    assert prompts.tokens.tolist() == [[BOS, 4, 5], [BOS, 0, 0], [BOS, UNK, 0]]
    assert prompts.lengths.tolist() == [3, 1, 2]
    assert made.prompts([], known).tokens.shape[0] == 0
    assert made.ends
    assert made.continues


@pytest.mark.parametrize("text", ["a\nb", "a\r"])
def test_a_prompt_of_several_lines_is_refused(make, text):
    made = make()
    with pytest.raises(ValueError, match="must be the beginning of a line, but has a line break"):
        made.prompts(["a", text], fitted(made))


def test_outputs_are_what_follows_the_prompt(make):
    made = make("big cats\nsmall dogs\n")
    known = fitted(made, WordTokenizer)
    tokens = known["text"].encode("dogs cats").tolist()
    assert made.output_text("small", [*tokens, EOS], known) == " dogs cats"
    assert made.output_text("", tokens, known) == "dogs cats"


def test_equal_lines_are_in_one_part(make):
    made = make("".join(f"{i % 20}\n" for i in range(100)), path="train.txt", split=[0.5, 0.5, 0])
    train, valid = ({line.text for line in made.part(name).rows} for name in ("train", "valid"))
    assert (len(train), len(valid)) == (10, 10)
    assert not train & valid
    assert made.part("test") is None
    other = make(path="train.txt", split=[0.5, 0.5, 0], split_seed=2)
    assert {line.text for line in other.part("train").rows} != train


def test_all_lines_that_a_person_gives_are_read(make):
    made = make(max_length=1)
    given = made.given(TextFile("aab\n\nb", "hash"), "mine", fitted(made))
    assert given.tokens == 4 + 1 + 2


def test_each_line_is_a_passage(make):
    made = make("abc\nd\n", dev="bad\n\na\n")

    def passages(prompt_size):
        found = made.passages("valid", fitted(made), prompt_size, 1)
        return [(each.source, *each.references) for each in found]

    assert passages(None) == [("", "bad"), ("", "a")]
    assert passages(2) == [("ba", "d"), ("a", "")]
    assert made.passages("test", fitted(made), None, 1) == ()


def test_a_corpus_is_a_text_of_lines():
    made = data.build({"name": "lines", "corpus": "unicode_names"}, seed=1)
    assert [*made.fingerprint()] == ["unicode_names"]
    assert "LATIN SMALL LETTER A" in {
        line.text for name in ("train", "valid", "test") for line in made.part(name).rows
    }


def test_the_fingerprint_is_that_of_the_files(make, tmp_path):
    digest = hashlib.sha256(b"ab\n").hexdigest()
    assert make("ab\n").fingerprint() == {str(tmp_path / "train.txt"): digest}


class TestFaults:
    @pytest.mark.parametrize("text", ["", "\n\n"])
    def test_a_text_without_lines_is_refused(self, make, text):
        with pytest.raises(DataError, match=r"train\.txt: no lines in it \("):
            make(text).training_texts()

    def test_an_empty_line_may_be_an_error(self, make):
        with pytest.raises(DataError, match=r"train\.txt:2: the line is empty \(data\.empty: drop"):
            make("ab\n\nb\n", empty="error").training_texts()

    def test_limits_that_leave_nothing_are_refused(self, make):
        made = make("aaa\nbbb\n", max_length=2)
        with pytest.raises(DataError, match="all 2 training lines are longer than 2 tokens"):
            made.training(fitted(made))

    def test_files_in_parallel_are_refused(self, make):
        made = make(valid=["train.txt", "train.txt"])
        with pytest.raises(DataError, match="lines must be in one file, not in 2"):
            made.held_out("valid", fitted(made))

    @pytest.mark.parametrize(("option", "value"), [("max_length", 0), ("empty", "skip")])
    def test_wrong_options_are_refused(self, make, option, value):
        with pytest.raises(OptionError, match=f"^{option}: "):
            make(**{option: value})

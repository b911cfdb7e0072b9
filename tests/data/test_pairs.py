"""The kind `pairs`: targets that end, as a text of their own."""

from pathlib import Path

import pytest

from seqgen.data import PairsData
from seqgen.data.files import TextFile
from seqgen.errors import DataError
from seqgen.tokenizers import BOS, EOS, CharTokenizer, SentencePieceTokenizer, WordTokenizer


@pytest.fixture
def kind(place):
    place.write("t.tsv", "ab\tA B\nabc\tA B C\nabcd\tA\n")
    return PairsData(train=Path("t.tsv"))


@pytest.fixture
def tokenizers(kind):
    made = {"source": CharTokenizer(), "target": WordTokenizer()}
    for role, tokenizer in made.items():
        tokenizer.fit(kind.training_texts()[role])
    return made


def test_targets_begin_with_bos_and_end_with_eos(kind, tokenizers):
    batch = kind.training(tokenizers).batch(0)
    row = batch.numbers.tolist().index(1)
    assert batch.targets[row].tolist() == [4, 5, 6, EOS]
    assert batch.inputs[row].tolist() == [BOS, 4, 5, 6]
    assert batch.tokens == 9
    assert kind.ends
    assert kind.output_lengths(kind.prompts(["a"], tokenizers)) is None


def test_an_output_is_the_text_of_its_tokens_alone(kind, tokenizers):
    assert kind.output_text("ab", [4, 6], tokenizers) == "A C"
    assert not kind.continues


def test_targets_may_be_limited_too(kind, tokenizers):
    limited = PairsData(train=kind.train, max_target_length=1, max_source_length=3)
    longer = PairsData(train=kind.train, max_target_length=2)
    targets = sorted(longer.training(tokenizers).batch(0).targets.tolist())
    assert targets == [[4, EOS, 0], [4, 5, EOS]]
    assert "max_target_length 2" in longer.remarks()[0]
    with pytest.raises(DataError, match=r"all 3 training rows .* 3 or max_target_length 1"):
        limited.training(tokenizers)


def test_targets_may_be_sampled(place):
    text = "the cat sat on the mat"
    place.write("t.tsv", f"a\t{text}\n" * 20)
    kind = PairsData(train=Path("t.tsv"), batch_size=20)
    tokenizers = {
        "source": CharTokenizer("a"),
        "target": SentencePieceTokenizer("bpe", 280, sampling_alpha=0.4),
    }
    tokenizers["target"].fit(kind.training_texts()["target"])
    training = kind.training(tokenizers)
    rows = {tuple(row) for row in training.batch(0).targets.tolist()}
    assert len(rows) > 3, "each row is cut in a way of its own"
    assert rows != {tuple(row) for row in training.batch(1).targets.tolist()}
    assert {tokenizers["target"].decode(row) for row in rows} == {text}


def test_rows_that_a_person_gives_are_scored_as_they_are(kind, tokenizers):
    split = kind.given(TextFile.of("abc\tC\n\tA\nb\t\n"), "mine.tsv", tokenizers)
    (batch,) = split.walk(lambda batch, state: (batch, state), None, 8)
    targets = dict(zip(batch.numbers.tolist(), batch.targets.tolist(), strict=True))
    assert targets == {0: [6, EOS], 1: [4, EOS], 2: [EOS, 0]}


def test_line_ends_and_a_byte_order_mark_are_no_part_of_texts(place):
    place.write("t.tsv", "a\tA\r\nb\tB\rc\tC".encode("utf-8-sig"))
    texts = PairsData(train=Path("t.tsv")).training_texts()
    assert texts == {"source": ["a", "b", "c"], "target": ["A", "B", "C"]}


RECIPE = """\
data: {name: pairs, path: folder}
model:
  name: seq2seq
  encoder: {name: recurrent, cell: {name: gru, hidden_size: 4}}
  cell: {name: gru, hidden_size: 4}
train: {max_steps: 1}
"""


@pytest.mark.parametrize(
    ("files", "overrides", "message"),
    [
        ({"train.tsv": b"a\tb\nc\n"}, [], "folder/train.tsv:2: 1 column instead of 2"),
        ({"train.tsv": b"a\tb\tc\n"}, [], "folder/train.tsv:1: 3 columns instead of 2"),
        ({"train.tsv": b"a\tb\n\tc\n"}, [], "folder/train.tsv:2: the source is empty"),
        ({"train.tsv": b""}, [], "folder/train.tsv: no rows in it (an empty file)"),
        ({"train.tsv": b"a\t\xff\n"}, [], "folder/train.tsv:1: invalid UTF-8 at byte 2"),
        ({"train.tsv": b"a\tb\n", "dev.tsv": b"c d\n"}, [], "folder/dev.tsv:1: 1 column instead"),
        ({"dev.tsv": b"a\tb\n"}, [], "folder: has no train.tsv"),
        (
            {"a": b"1\n2\n", "b": b"1\n"},
            ["data.train=[a,b]"],
            "files in parallel must have as many lines, but there are 2 lines in folder/a and 1",
        ),
        ({"train.tsv": b"ab\tb\n"}, ["data.max_source_length=1"], "folder/train.tsv: all 1 train"),
    ],
)
def test_bad_data_is_one_line_with_its_place(place, refusal, files, overrides, message):
    place.write("pairs.yaml", RECIPE)
    for name, content in files.items():
        place.write(f"folder/{name}", content)
    assert refusal(4, "run", "pairs.yaml", *overrides).startswith(message)

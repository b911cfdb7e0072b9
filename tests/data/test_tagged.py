"""The data kind `tagged`: words, tags and letters from files to batches."""

import hashlib

import pytest
import torch

from seqgen.data import Example, data
from seqgen.data.files import TextFile
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import UNK, CharTokenizer, WholeTokenizer, tokenizers

TRAIN = "the\tD\ncat\tN\nsat\tV\n\na\tD\ncat\tN\n\nsat\tV\n\nthe\tD\nhat\tN\nsat\tV\ndown\tA\n"
TEST = "the\tD\ndog\tN\n\nthe\tD\ncat\tX\n\nthe\tD\ndog\tN\n"


@pytest.fixture
def make(tmp_path):
    """A function from options to data whose folder has train.tsv and test.tsv."""

    def make(train=TRAIN, test=TEST, path="", **options):
        (tmp_path / "train.tsv").write_text(train, encoding="utf-8")
        if test is not None:
            (tmp_path / "test.tsv").write_text(test, encoding="utf-8")
        return data.build({"name": "tagged", "path": str(tmp_path / path), **options}, seed=7)

    return make


def fitted(made):
    texts = made.training_texts()
    kept = {role: tokenizers.build(made.usual_tokenizers[role]) for role in made.roles}
    for role, tokenizer in kept.items():
        tokenizer.fit(texts[role])
    return kept


def words_of(batch, known):
    """The words of each row as they are read."""
    return [
        [known["source"].decode([token]) for token in row[:length]]
        for row, length in zip(batch.sources.values, batch.lengths, strict=True)
    ]


def test_words_and_tags_have_tokenizers_of_their_own(make):
    made = make()
    assert made.roles == ("source", "target")
    assert made.training_texts() == {
        "source": ["the", "cat", "sat", "a", "cat", "sat", "the", "hat", "sat", "down"],
        "target": ["D", "N", "V", "D", "N", "V", "D", "N", "V", "A"],
    }
    assert not made.ends


def test_an_epoch_has_each_sequence_once(make):
    made = make(batch_size=2)
    known = fitted(made)
    train = made.training(known)
    assert (train.tokens, train.steps_per_epoch) == (10, 2)
    for first in (0, 2, 4):
        batches = [train.batch(step) for step in (first, first + 1)]
        numbers = [number for batch in batches for number in batch.numbers.tolist()]
        assert sorted(numbers) == [0, 1, 2, 3]
        read = {
            " ".join(
                f"{w}/{known['target'].decode([t])}" for w, t in zip(words, tags, strict=False)
            )
            for batch in batches
            for words, tags in zip(words_of(batch, known), batch.targets, strict=True)
        }
        assert read == {"the/D cat/N sat/V", "a/D cat/N", "sat/V", "the/D hat/N sat/V down/A"}


@pytest.mark.parametrize("options", [{}, {"unknown_rate": 0.5}, {"letters": True}])
def test_batches_are_a_function_of_the_step(make, options):
    many = "".join(f"w{i}\tA\nx{i % 7}\tB\n" + "y\tC\n" * (i % 5) + "\n" for i in range(60))
    one, other = (make(many, batch_size=8, **options) for _ in range(2))
    known = fitted(one)
    forwards, backwards = one.training(known), other.training(known)
    steps = range(3 * forwards.steps_per_epoch)
    expected = {step: forwards.batch(step) for step in steps}
    for step in reversed(steps):
        batch = backwards.batch(step)
        assert torch.equal(batch.numbers, expected[step].numbers)
        assert torch.equal(batch.sources.values, expected[step].sources.values)
        assert torch.equal(batch.targets, expected[step].targets)
        if one.letters:
            assert torch.equal(batch.sources.letters, expected[step].sources.letters)


def test_training_forgets_words_and_held_out_parts_do_not(make):
    many = "".join(f"w{i}\tA\nv{i}\tB\n\n" for i in range(300))
    made = make(many, many, unknown_rate=0.3, letters=True, batch_size=300)
    known = fitted(made)
    train, test = made.training(known), made.held_out("test", known)
    unknown = []
    for epoch in range(3):
        batch = train.batch(epoch)
        order = batch.numbers.argsort()
        unknown.append(batch.sources.values[order] == UNK)
        assert 0.22 < unknown[-1].double().mean() < 0.38
        assert UNK not in batch.sources.letters
    assert not torch.equal(unknown[0], unknown[1])
    assert not torch.equal(unknown[1], unknown[2])
    held = test.walk(lambda batch, state: (batch, state), lambda rows: None, 64)
    assert not any((batch.sources.values == UNK).any() for batch in held)


def test_rare_words_are_unknown_by_the_tokenizer(make):
    made = make()
    known = fitted(made)
    known["source"] = WholeTokenizer(min_count=2, lower=True)
    known["source"].fit(made.training_texts()["source"])
    rows = made.training(known)
    counts = rows.counts()["source"].tolist()
    assert counts == [0, 0, 0, 3, 3, 2, 2]  # a, hat, down; sat, cat, the


def test_held_out_sequences_are_examples_one_by_one(make):
    made = make()
    test = made.held_out("test", fitted(made))
    assert [*test.examples] == [
        Example("the dog", ("D N",)),
        Example("the cat", ("D X",)),
        Example("the dog", ("D N",)),
    ]
    assert (test.tokens, test.unknown) == (6, 1)
    assert test.size.chars == len("D ND XD N")


def test_what_was_left_out_or_changed_is_remarked(make):
    made = make(max_length=3, letters=True, max_letters=2)
    known = fitted(made)
    assert made.training(known).tokens == 6
    made.held_out("test", known)
    missing, long, cut, unknown = made.remarks()
    assert missing.endswith("dev.tsv: not there, so there is no such part")
    assert long.endswith(
        "train.tsv: 1 of 4 sequences have more than 3 words and are left out of training (line 10)"
    )
    assert cut.endswith(
        "train.tsv: 5 of 6 different words have more than 2 letters, of which the first 2 are read"
    )
    assert unknown.endswith("test.tsv: 1 of 3 sequences have tags that training has not (line 4)")
    assert "A" in made.training_texts()["target"]


def test_nothing_to_remark(make):
    made = make(path="train.tsv", split=[1, 0, 0], letters=True, max_letters=4, max_length=4)
    made.encode(fitted(made))
    assert made.remarks() == ()


def test_prompts_are_words_between_spaces(make):
    made = make(letters=True)
    known = fitted(made)
    sources = made.prompts(["the  new cat ", "", "sat"], known)
    ids = {word: int(known["source"].encode(word)[0]) for word in ("the", "cat", "sat")}
    assert sources.values.tolist() == [
        [ids["the"], UNK, ids["cat"]],
        [0, 0, 0],
        [ids["sat"], 0, 0],
    ]
    assert sources.lengths.tolist() == made.output_lengths(sources).tolist() == [3, 0, 1]
    assert known["letters"].decode(sources.letters[0, 0]) == "the"
    assert sources.letter_lengths.tolist() == [[3, 3, 3], [0, 0, 0], [3, 0, 0]]
    assert made.source_pieces("the  new cat ", known) == ["the", "new", "cat"]
    assert made.unknown("the  new cat ", known) == ["new"]


@pytest.mark.parametrize("texts", [[], [""], ["", "  "]])
def test_prompts_without_words(make, texts):
    made = make(letters=True)
    sources = made.prompts(texts, fitted(made))
    assert sources.values.shape == (len(texts), 1)
    assert sources.letters.shape == (len(texts), 1, 1)
    assert sources.lengths.tolist() == [0] * len(texts)


def test_outputs_are_tags_between_spaces(make):
    made = make()
    known = fitted(made)
    tokens = [int(known["target"].encode(tag)[0]) for tag in "DNV"]
    assert made.output_text("the cat sat", tokens, known) == "D N V"
    letters = {**known, "target": CharTokenizer(alphabet="DNV")}
    assert made.output_text("the cat sat", [4, 5, 6], letters) == "D N V"
    assert made.output_text("", [], known) == ""
    assert made.output_tokens("D N V", known) == tokens
    assert made.output_tokens("", known) == []


def test_sizes_are_those_of_words_tags_and_letters(make):
    assert make().sizes({"source": range(9), "target": range(6)}) == {
        "vocab_size": 6,
        "source": {"vocab_size": 9},
    }
    known = {"source": range(9), "target": range(6), "letters": range(5)}
    assert make(letters=True).sizes(known)["source"] == {"vocab_size": 9, "letters_size": 5}


def test_one_file_is_divided_and_equal_words_stay_together(make):
    text = "".join(f"w{i % 20}\tA\n\n" for i in range(100))
    made = make(text, path="train.tsv", split=[0.5, 0.25, 0.25])
    known = fitted(made)
    parts = [made.part(name) for name in ("train", "valid", "test")]
    words = [{row.words for row in part.rows} for part in parts]
    assert [len(each) for each in words] == [10, 5, 5]
    assert not words[0] & words[1] | words[1] & words[2] | words[0] & words[2]
    assert made.encode(known).valid.tokens == 25


def test_rows_that_a_person_gives_are_a_part(make):
    made = make()
    given = made.given(TextFile(TEST, "hash"), "mine", fitted(made))
    assert (given.tokens, given.unknown, len(given.examples)) == (6, 1, 3)
    with pytest.raises(DataError, match=r"^mine:1: must be a word, a tab and its tag, but has no"):
        made.given(TextFile("the", "hash"), "mine", fitted(made))


def test_the_fingerprint_is_that_of_the_files(make, tmp_path):
    made = make()
    assert made.fingerprint() == {
        str(tmp_path / name): hashlib.sha256(text.encode()).hexdigest()
        for name, text in (("train.tsv", TRAIN), ("test.tsv", TEST))
    }


def test_a_corpus_is_read_like_a_file():
    made = data.build({"name": "tagged", "corpus": "punctuation"}, seed=1)
    assert [*made.fingerprint()] == ["punctuation"]
    assert "lower" in made.training_texts()["target"]


class TestFaults:
    def test_a_wrong_line_is_named_with_its_file(self, make):
        made = make("the\tD\ncat\n")
        with pytest.raises(DataError, match=r"train\.tsv:2: must be a word, a tab and its tag"):
            made.training_texts()

    def test_one_wrong_line_of_a_held_out_part(self, make):
        made = make(test="the\tD\n\tN\n")
        with pytest.raises(DataError, match=r"test\.tsv:2: the word is empty"):
            made.held_out("test", fitted(made))

    def test_limits_that_leave_nothing_are_refused(self, make):
        made = make("a\tB\nc\tD\n", max_length=1)
        with pytest.raises(DataError, match=r"none of 1 training sequences has at most 1 words"):
            made.training(fitted(made))

    def test_files_in_parallel_are_refused(self, make):
        made = make(train=TRAIN, path="", **{"valid": ["train.tsv", "test.tsv"]})
        with pytest.raises(DataError, match="words and tags must be in one file, side by side"):
            made.held_out("valid", fitted(made))

    def test_a_tokenizer_that_cuts_words_up_is_refused(self, make):
        made = make()
        known = {**fitted(made), "source": CharTokenizer(alphabet="cat")}
        with pytest.raises(DataError, match="`source` must give one token for each word, but"):
            made.training(known)

    @pytest.mark.parametrize(
        ("option", "value"),
        [("letters", 2), ("unknown_rate", 1.0), ("max_length", 0), ("max_letters", 0)],
    )
    def test_wrong_options_are_refused(self, make, option, value):
        with pytest.raises(OptionError, match=f"^{option}: "):
            make(**{option: value})

"""Reading tagged sequences: what the lines mean, and what is refused with its place."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import Example, data
from seqgen.data.tables import Layout
from seqgen.data.tagged import (
    TaggedRows,
    TaggedSequence,
    letters_of,
    one_each,
    padded_letters,
    padded_words,
    parse_tagged,
)
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import BOS, UNK, CharTokenizer, WholeTokenizer, WordTokenizer, tokenizers


def parsed(text):
    sequences, note = parse_tagged(TextFile(text, "hash"), "t.tsv")
    assert not note
    return sequences


def test_blank_lines_stand_between_sequences():
    assert parsed("\nthe\tDET\ncat\tNOUN\n\n  \nruns\tVERB") == [
        TaggedSequence(2, ("the", "cat"), ("DET", "NOUN")),
        TaggedSequence(6, ("runs",), ("VERB",)),
    ]


WORD = st.text(st.characters(exclude_characters=" \t\n", exclude_categories=["Cs"]), min_size=1)
TAG = WORD.filter(lambda tag: tag.split() == [tag])
SEQUENCES = st.lists(st.lists(st.tuples(WORD, TAG), min_size=1, max_size=4), min_size=1)


@given(SEQUENCES)
def test_what_is_written_is_read(sequences):
    text = "\n\n".join("\n".join("\t".join(pair) for pair in each) for each in sequences)
    for found, wanted in zip(parsed(text + "\n"), sequences, strict=True):
        assert list(zip(found.words, found.tags, strict=True)) == wanted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat", "must be a word, a tab and its tag, but has no tab"),
        ("cat NOUN", "must be a word, a tab and its tag, but has no tab"),
        ("cat\tNOUN\tx", "must be a word, a tab and its tag, but has 2 tabs"),
        ("cat\tNOUN\t", "must be a word, a tab and its tag, but has 2 tabs"),
        ("\tNOUN", "the word is empty"),
        ("cat\t", "the tag is empty"),
        ("\t", "the word is empty"),
        ("New York\tNOUN", "the word 'New York' has a space in it; write another sign there"),
        ("cat\tNOUN ", "the tag 'NOUN ' has a space in it"),
        ("cat\tNO\u00a0UN", "the tag 'NO\\xa0UN' has a space in it"),
        (" \tNOUN", "the word ' ' has a space in it"),
    ],
)
def test_a_wrong_line_is_named(line, message):
    with pytest.raises(DataError) as caught:
        parsed(f"a\tB\n\nthe\tDET\n{line}\nend\tX\n")
    assert str(caught.value).startswith(f"t.tsv:4: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.tsv: no sequences in it (an empty file)"),
        ("\n  \n", "t.tsv: no sequences in it (2 lines, all of them blank)"),
    ],
)
def test_a_file_without_sequences_is_refused(text, message):
    with pytest.raises(DataError) as caught:
        parsed(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "text", "columns", "note"),
    [
        (
            "t.conllu",
            "1\tthe\tDET\n2\tcat\tNOUN\n\n1\truns\tVERB\n",
            {"source": 2, "target": 3},
            False,
        ),
        ("t.tsv", "form\tupos\nthe\tDET\ncat\tNOUN\n\nruns\tVERB\n", ("source", "target"), True),
        ("t.csv", "word,tag\nthe,DET\ncat,NOUN\n\nruns,VERB\n", ("source", "target"), True),
        (
            "t.jsonl",
            '{"w": ["the", "cat"], "t": ["DET", "NOUN"]}\n{"w": ["runs"], "t": ["VERB"]}\n',
            {"source": "w", "target": "t"},
            False,
        ),
    ],
)
def test_other_tables_are_read(name, text, columns, note):
    found, said = parse_tagged(TextFile.of(text), name, Layout(columns))
    assert [(each.words, each.tags) for each in found] == [
        (("the", "cat"), ("DET", "NOUN")),
        (("runs",), ("VERB",)),
    ]
    assert bool(said) == note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"source": ["a", "b"], "target": ["X"]}', "t.jsonl:1: 2 words, but 1 tags"),
        (
            '{"source": "a b", "target": ["X"]}',
            "t.jsonl:1: 'source' must be a list of texts, but",
        ),
        ('{"source": ["a", 3], "target": ["X"]}', "t.jsonl:1: 'source' must be a list of texts"),
        ('\n{"source": ["a b"], "target": ["X"]}', "t.jsonl:2: the word 'a b' has a space in it"),
        ('{"source": [], "target": []}', "t.jsonl: no sequences in it (1 lines, all of them bl"),
    ],
)
def test_wrong_lists_are_named(text, message):
    with pytest.raises(DataError) as caught:
        parse_tagged(TextFile.of(text), "t.jsonl")
    assert str(caught.value).startswith(message)


# The tokens of words: one for each, and their letters where the word stands.


ABC = CharTokenizer(alphabet="abc")


def whole(*texts):
    made = WholeTokenizer()
    made.fit(texts)
    return made


def test_each_word_is_one_token():
    made = one_each([["b", "new york", "?"], [], ["b"]], whole("b", "b", "new york"), "source")
    assert [row.tolist() for row in made] == [[4, 5, UNK], [], [4]]
    assert {row.dtype for row in made} == {torch.int64}


@pytest.mark.parametrize(("word", "count"), [("ab", 2), ("", 0)])
def test_a_word_that_is_cut_up_is_refused(word, count):
    with pytest.raises(DataError) as caught:
        one_each([["a"], ["b", word]], ABC, "source")
    assert str(caught.value) == (
        "the tokenizer of `source` must give one token for each word, but gives "
        f"{count} for {word!r}; the tokenizer `whole` gives one"
    )


def test_what_a_tokenizer_refuses_is_one_line():
    strict = WordTokenizer(unk="error")
    with pytest.raises(DataError, match=r"^the tokenizer of `target`: `text` must be of known"):
        one_each([["a"]], strict, "target")


@pytest.mark.parametrize(
    ("most", "letters"), [(None, [[[4, 5, 6], [4]], [[4, 5, 6]]]), (2, [[[4, 5], [4]], [[4, 5]]])]
)
def test_letters_are_those_of_each_word(most, letters):
    made = letters_of([["abc", "a"], ["abc"]], ABC, most)
    assert [[word.tolist() for word in row] for row in made] == letters


def test_rows_without_words_have_a_place():
    tokens, lengths = padded_words([torch.tensor([], dtype=torch.long)] * 2)
    assert tokens.tolist() == [[0], [0]]
    assert lengths.tolist() == [0, 0]
    tokens, lengths = padded_words([torch.tensor([5, 6]), torch.tensor([7])])
    assert tokens.tolist() == [[5, 6], [7, 0]]
    assert padded_words([])[0].shape == (0, 1)


def tensors(rows):
    return [[torch.tensor(word, dtype=torch.long) for word in row] for row in rows]


def test_letters_as_they_are_written():
    letters, lengths = padded_letters(tensors([[[4, 5], [6]], [[7, 8, 9]]]))
    assert letters.tolist() == [[[4, 5, 0], [6, 0, 0]], [[7, 8, 9], [0, 0, 0]]]
    assert lengths.tolist() == [[2, 1], [3, 0]]


WORD_WORD_TOKENS = st.lists(st.integers(4, 9), max_size=5)


@given(st.lists(st.lists(WORD_WORD_TOKENS, max_size=4), max_size=4))
def test_the_letters_of_every_word_come_back(rows):
    letters, lengths = padded_letters(tensors(rows))
    assert letters.shape[:2] == lengths.shape == (len(rows), max([1, *map(len, rows)]))
    assert letters.shape[2] == max([1, *(len(word) for row in rows for word in row)])
    assert letters.dtype == lengths.dtype == torch.long
    for i, row in enumerate(rows):
        back = [letters[i, j, : lengths[i, j]].tolist() for j in range(len(row))]
        assert back == row
        assert not lengths[i, len(row) :].any()
    assert int((letters != 0).sum()) == int(lengths.sum())


# Tagged sequences as batches: every word beside its tag and its letters.


def whole_tagged_rows(texts):
    made = WholeTokenizer()
    made.fit(sorted(texts))
    return made


TOKENIZERS = {
    "source": whole_tagged_rows({"a", "b", "ab"}),  # 4: a, 5: ab, 6: b
    "target": whole_tagged_rows({"X", "Y"}),  # 4, 5
    "letters": CharTokenizer(alphabet="ab"),  # 4, 5
}


def rows(*texts, letters=False, most=None):
    pairs = [[word.split("/") for word in text.split()] for text in texts]
    sequences = [TaggedSequence(i, *zip(*each, strict=True)) for i, each in enumerate(pairs)]
    return TaggedRows.of(sequences, TOKENIZERS, letters, most)


def test_a_batch_as_it_is_written():
    made = rows("a/X ab/Y", "b/Y", "ba/X a/Z b/Y")
    batch = made.batch([2, 1])
    assert batch.sources.values.tolist() == [[UNK, 4, 6], [6, 0, 0]]
    assert batch.sources.lengths.tolist() == batch.lengths.tolist() == [3, 1]
    assert batch.sources.letters is None
    assert batch.targets.tolist() == [[4, UNK, 5], [5, 0, 0]]
    assert batch.inputs.tolist() == [[BOS, 4, UNK], [BOS, 0, 0]]
    assert batch.numbers.tolist() == [2, 1]
    assert (batch.tokens, batch.continues) == (4, False)
    assert made.lengths() == [(2,), (1,), (3,)]


def test_words_are_spelt():
    sources = rows("a/X ab/Y", "abab/X", letters=True, most=3).sources([0, 1])
    assert sources.letters.tolist() == [[[4, 0, 0], [4, 5, 0]], [[4, 5, 4], [0, 0, 0]]]
    assert sources.letter_lengths.tolist() == [[1, 2], [3, 0]]
    assert sources.to("meta").letters.device.type == "meta"


def test_words_tags_and_letters_are_counted():
    encoded = rows("a/X a/X ab/X", "b/Y", letters=True).encoded()
    counts = {role: each.tolist() for role, each in encoded.counts().items()}
    assert counts["source"] == [0, 0, 0, 0, 2, 1, 1]
    assert counts["target"] == [0, 0, 0, 0, 3, 1]
    assert counts["letters"] == [0, 0, 0, 0, 3, 2]
    assert encoded.size.chars == len("X X X") + len("Y")
    assert encoded.output_role == "target"


SEQUENCE = st.lists(st.sampled_from(["a/X", "ab/Y", "b/X", "abab/Y"]), min_size=1, max_size=6)


@given(st.lists(SEQUENCE, min_size=1, max_size=5))
def test_a_sequence_does_not_depend_on_its_neighbours(sequences):
    made = rows(*map(" ".join, sequences), letters=True)
    together = made.batch(range(len(sequences)))
    for row, words in enumerate(sequences):
        alone, time = made.batch([row]), len(words)
        assert int(together.lengths[row]) == int(together.sources.lengths[row]) == time
        for one, other in (
            (alone.targets, together.targets),
            (alone.inputs, together.inputs),
            (alone.sources.values, together.sources.values),
            (alone.sources.letter_lengths, together.sources.letter_lengths),
        ):
            assert torch.equal(one[0], other[row, :time])
            assert not other[row, time:].any()
        longest = alone.sources.letters.shape[2]
        assert torch.equal(alone.sources.letters[0], together.sources.letters[row, :time, :longest])


class TestForgetting:
    LONG = " ".join(["a/X ab/Y"] * 500)

    def test_a_share_of_the_words_is_unknown(self):
        made = rows(self.LONG, "b/Y", self.LONG, letters=True)
        forgetting = made.forgetting(0.25, (1, 2))
        unknown = torch.cat(forgetting.words) == UNK
        assert 0.22 < unknown.double().mean() < 0.28
        assert torch.equal(
            torch.cat(forgetting.words)[~unknown], torch.cat([*made.words])[~unknown]
        )
        assert [len(row) for row in forgetting.words] == [1000, 1, 1000]
        assert forgetting.tags is made.tags
        assert forgetting.letters is made.letters

    def test_which_ones_depends_on_the_seed_alone(self):
        made = rows(self.LONG)
        drawn = [made.forgetting(0.5, seed).words[0] for seed in ((1, 2), (1, 2), (1, 3), (2, 2))]
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        assert not torch.equal(drawn[0], drawn[3])

    @pytest.mark.parametrize("rate", [0.0, 0.999999])
    def test_the_ends_of_the_scale(self, rate):
        made = rows("a/X b/Y")
        words = made.forgetting(rate, (5, 5)).words[0].tolist()
        assert words == ([4, 6] if not rate else [UNK, UNK])


# The data kind `tagged`: words, tags and letters from files to batches.


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

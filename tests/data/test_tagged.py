"""The kind `tagged`: reading sequences, one token a word, letters, words that are forgotten."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import Example, TaggedData, data
from seqgen.data.tables import Layout
from seqgen.data.tagged import (
    TaggedSequence,
    forgetting,
    letters_of,
    one_each,
    padded_letters,
    parse_tagged,
)
from seqgen.data.text_files import TextFile
from seqgen.tokenizers import BOS, UNK, CharTokenizer, WholeTokenizer, WordTokenizer


def parsed(text):
    sequences, note = parse_tagged(TextFile(text, "hash"), "t.tsv")
    assert not note
    return sequences


def test_blank_lines_stand_between_sequences():
    assert parsed("\nthe\tDET\ncat\tNOUN\n\n  \nruns\tVERB") == [
        TaggedSequence(2, ("the", "cat"), ("DET", "NOUN")),
        TaggedSequence(6, ("runs",), ("VERB",)),
    ]


TAG = st.text("aB1é,;#\"'{}\0\u0301", min_size=1, max_size=4)
WORD = st.text("aB1é,;#\"'{}\0\u0301\u00a0\u2028\x0b\x1f", min_size=1, max_size=4)
SEQUENCES = st.lists(st.lists(st.tuples(WORD, TAG), min_size=1, max_size=4), min_size=1)


@given(SEQUENCES)
def test_sequences_that_are_written_are_read_again(sequences):
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
def test_a_wrong_line_is_named(said, line, message):
    found = said(parsed, f"a\tB\n\nthe\tDET\n{line}\nend\tX\n")
    assert found.startswith(f"t.tsv:4: {message}")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.tsv", "", " no sequences in it (an empty file)"),
        ("t.tsv", "\n  \n", " no sequences in it (2 lines, all of them blank)"),
        ("t.jsonl", '{"source": ["a", "b"], "target": ["X"]}', "1: 2 words, but 1 tags"),
        ("t.jsonl", '{"source": "a b", "target": ["X"]}', "1: 'source' must be a list of texts,"),
        ("t.jsonl", '{"source": ["a", 3], "target": ["X"]}', "1: 'source' must be a list of tex"),
        ("t.jsonl", '\n{"source": ["a b"], "target": ["X"]}', "2: the word 'a b' has a space in"),
        ("t.jsonl", '{"source": [], "target": []}', " no sequences in it (1 lines, all of them"),
    ],
)
def test_files_without_sequences_and_wrong_lists_are_refused(said, name, text, message):
    assert said(parse_tagged, TextFile.of(text), name).startswith(f"{name}:{message}")


CONLLU = "1\tthe\tDET\n2\tcat\tNOUN\n\n1\truns\tVERB\n"
JSON = '{"w": ["the", "cat"], "t": ["DET", "NOUN"]}\n{"w": ["runs"], "t": ["VERB"]}\n'


@pytest.mark.parametrize(
    ("name", "text", "columns", "note"),
    [
        ("t.conllu", CONLLU, {"source": 2, "target": 3}, False),
        ("t.tsv", "form\tupos\nthe\tDET\ncat\tNOUN\n\nruns\tVERB\n", ("source", "target"), True),
        ("t.csv", "word,tag\nthe,DET\ncat,NOUN\n\nruns,VERB\n", ("source", "target"), True),
        ("t.jsonl", JSON, {"target": "t", "source": "w"}, False),
    ],
)
def test_other_tables_are_read(name, text, columns, note):
    found, remark = parse_tagged(TextFile.of(text), name, Layout(columns))
    assert [each.words for each in found] == [("the", "cat"), ("runs",)]
    assert [each.tags for each in found] == [("DET", "NOUN"), ("VERB",)]
    assert bool(remark) == note


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
def test_a_word_that_is_cut_up_is_refused(said, word, count):
    assert said(one_each, [["a"], ["b", word]], ABC, "source") == (
        "the tokenizer of `source` must give one token for each word, but gives "
        f"{count} for {word!r}; the tokenizer `whole` gives one"
    )


def test_what_a_tokenizer_refuses_is_one_line(said):
    message = said(one_each, [["a"]], WordTokenizer(unk="error"), "target")
    assert message.startswith("the tokenizer of `target`: `text` must be of words")


@pytest.mark.parametrize(
    ("most", "letters"), [(None, [[[4, 5, 6], [4]], [[4, 5, 6]]]), (2, [[[4, 5], [4]], [[4, 5]]])]
)
def test_letters_are_those_of_each_word(most, letters):
    made = letters_of([["abc", "a"], ["abc"]], ABC, most)
    assert [[word.tolist() for word in row] for row in made] == letters


def tensors(rows):
    return [[torch.tensor(word, dtype=torch.long) for word in row] for row in rows]


@given(st.lists(st.lists(st.lists(st.integers(4, 9), max_size=5), max_size=4), max_size=4))
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


class TestForgetting:
    LONG = [torch.full((1000,), 5), torch.tensor([6]), torch.full((1000,), 7)]

    def test_a_share_of_the_words_is_unknown(self):
        made = forgetting(self.LONG, 0.25, (1, 2))
        unknown = torch.cat(made) == UNK
        assert 0.22 < unknown.double().mean() < 0.28
        assert torch.equal(torch.cat(made)[~unknown], torch.cat(self.LONG)[~unknown])
        assert [len(row) for row in made] == [1000, 1, 1000]

    def test_which_ones_depends_on_the_seed_alone(self):
        seeds = ((1, 2), (1, 2), (1, 3), (2, 2))
        first, *others = (forgetting(self.LONG, 0.5, seed)[0] for seed in seeds)
        assert [torch.equal(first, other) for other in others] == [True, False, False]

    @pytest.mark.parametrize(("rate", "words"), [(0.0, [4, 6]), (0.999999, [UNK, UNK])])
    def test_the_ends_of_the_scale(self, rate, words):
        assert forgetting([torch.tensor([4, 6])], rate, (5, 5))[0].tolist() == words


TOKENIZERS = {
    "source": whole("a", "ab", "b"),  # 4: a, 5: ab, 6: b
    "target": whole("X", "Y"),  # 4, 5
    "letters": CharTokenizer(alphabet="ab"),  # 4, 5
}


def rows(*texts, **options):
    """The rows of sequences that are written as `a/X ab/Y`."""
    lines = (["\t".join(pair.split("/")) for pair in text.split()] for text in texts)
    file = TextFile.of("\n\n".join("\n".join(each) for each in lines))
    return TaggedData(train="none", **options).parse_rows(file, "t.tsv", TOKENIZERS)._rows


def test_a_batch_as_it_is_written():
    made = rows("a/X ab/Y", "b/Y", "ba/X a/Z b/Y")
    batch = made.batch([2, 1])
    assert batch.sources.values.tolist() == [[UNK, 4, 6], [6, 0, 0]]
    assert batch.sources.lengths.tolist() == batch.lengths.tolist() == [3, 1]
    assert batch.sources.letters is None
    assert batch.targets.tolist() == [[4, UNK, 5], [5, 0, 0]]
    assert batch.inputs.tolist() == [[BOS, 4, UNK], [BOS, 0, 0]]
    assert batch.row_ids.tolist() == [2, 1]
    assert (batch.tokens, batch.continues) == (4, False)
    assert made.lengths.tolist() == [[2], [1], [3]]


def test_words_are_spelt():
    made = rows("a/X ab/Y", "abab/X", letters=True, max_letters=3)
    sources = made.batch([0, 1]).sources
    assert sources.letters.tolist() == [[[4, 0, 0], [4, 5, 0]], [[4, 5, 4], [0, 0, 0]]]
    assert sources.letter_lengths.tolist() == [[1, 2], [3, 0]]


def test_words_tags_and_letters_are_counted():
    counts = rows("a/X a/X ab/X", "b/Y", letters=True).counts()
    assert {field: each.tolist() for field, each in counts.items()} == {
        "source": [0, 0, 0, 0, 2, 1, 1],
        "target": [0, 0, 0, 0, 3, 1],
        "letters": [0, 0, 0, 0, 3, 2],
    }


TRAIN = "the\tD\ncat\tN\nsat\tV\n\na\tD\ncat\tN\n\nsat\tV\n\nthe\tD\nhat\tN\nsat\tV\ndown\tA\n"
TEST = "the\tD\ndog\tN\n\nthe\tD\ncat\tX\n\nthe\tD\ndog\tN\n"


@pytest.fixture
def make(tmp_path):
    """A function from options to data whose folder has train.tsv and test.tsv."""

    def make(train=TRAIN, test=TEST, path="", **options):
        (tmp_path / "train.tsv").write_text(train, encoding="utf-8")
        (tmp_path / "test.tsv").write_text(test, encoding="utf-8")
        return data.build({"name": "tagged", "path": str(tmp_path / path), **options}, seed=7)

    return make


def test_words_and_tags_have_tokenizers_of_their_own(make):
    made = make()
    assert made.fields == ("source", "target")
    assert made.training_texts() == {
        "source": ["the", "cat", "sat", "a", "cat", "sat", "the", "hat", "sat", "down"],
        "target": ["D", "N", "V", "D", "N", "V", "D", "N", "V", "A"],
    }
    assert make(letters=True).training_texts()["letters"] == [
        *("the", "cat", "sat", "a", "hat", "down")
    ]
    assert not made.ends


def test_training_forgets_words_and_held_out_parts_do_not(make, fit):
    many = "".join(f"w{i}\tA\nv{i}\tB\n\n" for i in range(300))
    made = make(many, many, unknown_rate=0.3, letters=True, batch_size=300)
    known = fit(made)
    train, unknown = made.training(known), []
    for number in range(3):
        batch = train.batch(number)
        unknown.append(batch.sources.values[batch.row_ids.argsort()] == UNK)
        assert 0.22 < unknown[-1].double().mean() < 0.38
        assert UNK not in batch.sources.letters
    assert not torch.equal(unknown[0], unknown[1])
    assert not torch.equal(unknown[1], unknown[2])
    held = made.held_out("test", known).walk(lambda batch, state: (batch, state), None, 64)
    assert not any((batch.sources.values == UNK).any() for batch in held)


def test_rare_words_are_unknown_by_the_tokenizer(make, fit):
    made = make()
    known = fit(made, source=WholeTokenizer(min_count=2, lower=True))
    counts = made.training(known).counts()["source"].tolist()
    assert counts == [0, 0, 0, 3, 3, 2, 2]  # a, hat, down; sat, cat, the


def test_held_out_sequences_are_examples_one_by_one(make, fit):
    made = make()
    test = made.held_out("test", fit(made))
    assert [*test.examples] == [
        Example("the dog", ("D N",)),
        Example("the cat", ("D X",)),
        Example("the dog", ("D N",)),
    ]
    assert (test.tokens, test.unknown) == (6, 1)
    assert test.size.chars == len("D ND XD N")


def test_what_was_left_out_or_changed_is_remarked(make, fit):
    made = make(max_length=3, letters=True, max_letters=2)
    known = fit(made)
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
    assert unknown.endswith(
        "test.tsv: 1 of 3 sequences have tags that training does not have (line 4)"
    )
    assert "A" in made.training_texts()["target"]
    made = make(path="train.tsv", split=[1, 0, 0], letters=True, max_letters=4, max_length=4)
    made.encode(fit(made))
    assert made.remarks() == ()


def test_prompts_are_words_between_spaces(make, fit):
    made = make(letters=True)
    known = fit(made)
    sources = made.prompts(["the  new cat ", "", "sat"], known)
    ids = {word: int(known["source"].encode(word)[0]) for word in ("the", "cat", "sat")}
    assert sources.values.tolist() == [[ids["the"], UNK, ids["cat"]], [0, 0, 0], [ids["sat"], 0, 0]]
    assert sources.lengths.tolist() == made.output_lengths(sources).tolist() == [3, 0, 1]
    assert known["letters"].decode(sources.letters[0, 0]) == "the"
    assert sources.letter_lengths.tolist() == [[3, 3, 3], [0, 0, 0], [3, 0, 0]]
    assert made.source_pieces("the  new cat ", known) == ["the", "new", "cat"]
    assert made.unknown("the  new cat ", known) == ["new"]
    for texts in ([], [""], ["", "  "]):  # without words there is a place for one
        sources = made.prompts(texts, known)
        assert sources.values.shape == (len(texts), 1)
        assert sources.letters.shape == (len(texts), 1, 1)
        assert sources.lengths.tolist() == [0] * len(texts)


def test_outputs_are_tags_between_spaces(make, fit):
    made = make()
    known = fit(made)
    tokens = [int(known["target"].encode(tag)[0]) for tag in "DNV"]
    assert made.output_text("the cat sat", tokens, known) == "D N V"
    letters = {**known, "target": CharTokenizer(alphabet="DNV")}
    assert made.output_text("the cat sat", [4, 5, 6], letters) == "D N V"
    assert made.output_text("", [], known) == ""
    assert made.output_tokens("D N V", known) == tokens
    assert made.output_tokens("", known) == []


def test_faults_are_named_with_their_file(make, fit, said):
    wrong = make(train="the\tD\ncat\n", test="the\tD\n\tN\n", valid=["train.tsv", "test.tsv"])
    assert "train.tsv:2: must be a word, a tab and its tag" in said(wrong.part, "train")
    assert "test.tsv:2: the word is empty" in said(wrong.part, "test")
    assert "words and tags must be in one file, side by side" in said(wrong.part, "valid")
    long = make("a\tB\nc\tD\n", max_length=1)
    wanted = "none of 1 training sequences has at most 1 words, as `max_length` wants"
    assert said(long.training, fit(long)).endswith(wanted)
    small = {"name": "punctuation", "corpus": {"name": "dates", "count": 3}}
    corpus = data.build({"name": "tagged", "corpus": small}, seed=1)
    assert said(corpus.training_texts).startswith("punctuation: no sequences in it")


def test_sizes_are_those_of_words_tags_and_letters(make):
    known = {"source": range(9), "target": range(6), "letters": range(5)}
    assert make().sizes(known) == {"vocab_size": 6, "source": {"vocab_size": 9}}
    assert make(letters=True).sizes(known)["source"] == {"vocab_size": 9, "letters_size": 5}

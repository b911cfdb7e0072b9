"""Changes of texts, in their order."""

import hashlib
from itertools import chain
from pathlib import Path

import pytest
import torch
from seqgen.data.row_files import Part

from seqgen.data import Example, LabelledData, PairsData, data
from seqgen.data.batches import ended
from seqgen.data.pairs import (
    PairRow,
    PairTable,
    SourceEncoder,
    changed,
    encode_pairs,
    examples_of,
    rows_at,
    split_features,
    split_source,
    without_empty,
)
from seqgen.data.tables import Layout
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import (
    BOS,
    EOS,
    PAD,
    UNK,
    CharTokenizer,
    SentencePieceTokenizer,
    WholeTokenizer,
    WordTokenizer,
)


@pytest.mark.parametrize(
    ("changes", "text", "expected"),
    [
        ((), "Ä", "Ä"),
        (("lower",), "ÀBc", "àbc"),
        (("NFD",), "각é", "\u1100\u1161\u11a8e\u0301"),
        (("NFC",), "\u1100\u1161\u11a8e\u0301", "각é"),
        (("NFKC",), "ﬁ①", "fi1"),
        (("NFKC", "lower"), "\u210c", "h"),
        (("lower", "NFKC"), "\u210c", "H"),
    ],
)
def test_each_change_is_made_in_its_turn(changes, text, expected):
    assert changed(text, changes) == expected


# Sources: features first, then the text, then EOS.


def fitted(tokenizer, *texts):
    tokenizer.fit(texts)
    return tokenizer


@pytest.fixture
def plain():
    return SourceEncoder({"source": fitted(CharTokenizer(), "abc")}, ";")


@pytest.fixture
def featured():
    """a, b and c are 4, 5 and 6; the ids of features begin at 7: PL is 7 + 4, SG is 7 + 5."""
    tokenizers = {
        "source": fitted(CharTokenizer(), "abc"),
        "features": fitted(WholeTokenizer(), "PL", "PL", "SG"),
    }
    return SourceEncoder(tokenizers, ";")


def test_a_source_is_its_tokens_and_an_end(plain):
    assert plain.encode("cab").joined.tolist() == [6, 4, 5, EOS]
    assert plain.encode("").joined.tolist() == [EOS]
    assert plain.vocab_size == 7


def test_features_stand_in_front_with_ids_behind_those_of_texts(featured):
    source = featured.encode("ab", "SG;PL")
    assert source.joined.tolist() == [12, 11, 4, 5, EOS]
    assert source.text.tolist() == [4, 5, EOS]
    assert source.features.tolist() == [5, 4]
    assert featured.vocab_size == 7 + 6
    assert featured.encode("ab").joined.tolist() == [4, 5, EOS]


def test_an_unknown_feature_is_not_an_unknown_letter(featured):
    assert featured.encode("x", "DU").joined.tolist() == [7 + UNK, UNK, EOS]


def test_a_seed_draws_one_of_the_ways_to_cut_a_text():
    text = "the cat sat on the mat and the cat saw a rat"
    pieces = SentencePieceTokenizer("bpe", 300, sampling_alpha=0.5)
    encoder = SourceEncoder({"source": fitted(pieces, *[text] * 20)}, ";")
    cuts = [encoder.encode(text, seed=seed).joined.tolist() for seed in (1, 1, 2)]
    assert cuts[0] == cuts[1] != cuts[2]
    assert encoder.encode(text).joined.tolist() == [*pieces.encode(text), EOS]


class TestPieces:
    def test_they_are_what_a_person_reads_and_unknown_ones_what_stands_there(self, featured):
        assert featured.pieces("axb", "PL") == ["PL", "a", "x", "b"]
        assert featured.pieces("", "") == []

    def test_unknown_words_stand_as_they_are(self):
        encoder = SourceEncoder({"source": fitted(WordTokenizer(), "the cat")}, ";")
        assert encoder.pieces("the dog  sat", "") == ["the", "dog", "sat"]
        assert encoder.unknown("the dog  sat", "") == ["dog", "sat"]

    def test_there_is_one_for_each_token_but_the_end(self, featured):
        assert (
            len(featured.pieces("cab", "SG;PL")) == len(featured.encode("cab", "SG;PL").joined) - 1
        )


def test_unknown_features_and_letters_are_named(featured):
    assert featured.unknown("axb", "PL;DU") == ["DU", "x"]
    assert featured.unknown("ab", "PL") == []


def test_between_two_separators_may_be_nothing():
    assert split_features("N;DAT;PL", ";") == ["N", "DAT", "PL"]
    assert split_features(";;N;", ";") == ["N"]
    assert split_features("", ";") == []
    assert split_features("N, PL", ", ") == ["N", "PL"]


class TestLine:
    def test_features_are_behind_a_tab(self):
        assert split_source("lemma\tN;PL", True) == ("lemma", "N;PL")
        assert split_source("lemma", True) == ("lemma", "")
        assert split_source("", False) == ("", "")

    @pytest.mark.parametrize(
        ("text", "has_features", "message"),
        [
            ("a\tb", False, "`text` must be a source, but has 1 tab in it"),
            (
                "a\tb\tc",
                True,
                "a source, or a source, a tab and its features, but has 2 tabs in it",
            ),
            ("a\nb", False, "`text` must be one line, but has a line break in it"),
            ("a\r", True, "`text` must be one line"),
        ],
    )
    def test_what_is_no_source_is_refused(self, text, has_features, message):
        with pytest.raises(ValueError, match=message):
            split_source(text, has_features)


# Rows with a source and a target: columns, empty texts, several right targets.


def parsed(text, columns=("source", "target"), **changes):
    rows, note = PairTable(Layout(columns), **changes).parse([TextFile.of(text)], ["t.tsv"])
    assert not note
    return rows


def test_columns_may_stand_in_any_order():
    (row,) = parsed("3\tform\tlemma\tN;PL\n", ("_", "target", "source", "features"))
    assert row == PairRow(1, "lemma\tN;PL", "lemma", "N;PL", "form")


def test_a_row_without_features_is_given_without_a_tab():
    (row,) = parsed("lemma\tform\t\n", ("source", "target", "features"))
    assert (row.given, row.features) == ("lemma", "")


def test_texts_are_changed_and_what_a_person_gives_is_not():
    changes = {"source_changes": ("lower",), "target_changes": ("NFC",)}
    (row,) = parsed("ABC\te\u0301E\n", **changes)
    assert row == PairRow(1, "ABC", "abc", "", "\xe9E")


def test_files_in_parallel_have_a_column_each():
    table = PairTable(Layout(("target", "source")))
    rows, _ = table.parse([TextFile.of("x\ny\n"), TextFile.of("a\nb\n")], ["t", "s"])
    assert [(row.line, row.source, row.target) for row in rows] == [(1, "a", "x"), (2, "b", "y")]


@pytest.mark.parametrize(
    "columns",
    [
        ("source",),
        ("source", "_"),
        ("source", "target", "target"),
        ("source", "target", "features", "features"),
        (),
    ],
)
def test_columns_must_name_what_is_needed_once(columns):
    with pytest.raises(ValueError, match="`columns` must name source and target once each"):
        PairTable(Layout(columns))


class TestEmpty:
    ROWS = "a\tb\n\tc\nd\t \n\n"

    def test_by_default_the_first_one_is_an_error_with_its_line(self):
        with pytest.raises(DataError, match=r"^t\.tsv:2: the source is empty \(data\.empty: drop"):
            without_empty(parsed(self.ROWS), "t.tsv", "error")
        with pytest.raises(DataError, match=r"^t\.tsv:2: the target is empty"):
            without_empty(parsed("a\tb\nc\t \n"), "t.tsv", "error")
        rows = parsed("a\tb\n")
        assert without_empty(rows, "t.tsv", "error") == (rows, "")

    def test_they_may_be_left_out_and_counted(self):
        rows, remark = without_empty(parsed(self.ROWS), "t.tsv", "drop")
        assert [row.line for row in rows] == [1]
        assert remark == "t.tsv: 3 rows (lines 2, 3, 4) without a source or a target left out"

    def test_they_may_be_kept(self):
        rows, remark = without_empty(parsed(self.ROWS), "t.tsv", "keep")
        assert [row.line for row in rows] == [1, 2, 3, 4]
        assert remark == ""

    def test_some_row_must_be_left(self):
        with pytest.raises(DataError, match=r"t\.tsv: no row has a source and a target \(2 rows\)"):
            without_empty(parsed("a\t\n\tb\n"), "t.tsv", "drop")


def test_each_source_is_an_example_once_with_all_that_is_right():
    rows = parsed("b\tx\na\ty\nB\tz\nb\tx\na\tw\n", source_changes=("lower",))
    assert examples_of(rows) == (Example("b", ("x", "z")), Example("a", ("y", "w")))


def test_the_same_source_with_other_features_is_another_example():
    rows = parsed("a\tx\tSG\na\ty\tPL\n", ("source", "target", "features"))
    assert examples_of(rows) == (Example("a\tSG", ("x",)), Example("a\tPL", ("y",)))


def test_rows_are_counted_and_the_first_of_them_named():
    assert rows_at([7]) == "1 row (line 7)"
    assert rows_at(range(1, 9)) == "8 rows (lines 1, 2, 3, 4, 5, ...)"


# Pairs as tokens: lengths, unknown tokens, batches.


ROWS = [("ab", "PL", "xy"), ("", "", ""), ("b", "SG;PL", "yyyq"), ("aq", "DU", "x")]


@pytest.fixture
def tokenizers():
    """a and b are 4 and 5; x and y are 4 and 5; PL and SG are 4 and 5, behind the source's 6."""
    made = {
        "source": CharTokenizer("ab"),
        "features": WholeTokenizer(),
        "target": CharTokenizer("xy"),
    }
    made["features"].fit(["PL", "PL", "SG"])
    return made


@pytest.fixture
def pairs(tokenizers):
    rows = [PairRow(i + 10, "", *texts) for i, texts in enumerate(ROWS)]
    return encode_pairs(Part("t.tsv", rows), SourceEncoder(tokenizers, ";"), target_of(tokenizers))


def target_of(tokenizers):
    return lambda text, seed: ended(torch.from_numpy(tokenizers["target"].encode(text)))


def test_a_batch_has_sources_inputs_targets_and_the_numbers_of_its_rows(pairs):
    batch = pairs.batched(True).collate([2, 0, 1])
    assert batch.sources.values.tolist() == [
        [11, 10, 5, EOS],
        [10, 4, 5, EOS],
        [EOS, PAD, PAD, PAD],
    ]
    assert batch.sources.lengths.tolist() == [4, 4, 1]
    assert batch.inputs.tolist() == [
        [BOS, 5, 5, 5, UNK],
        [BOS, 4, 5, PAD, PAD],
        [BOS, PAD, PAD, PAD, PAD],
    ]
    assert batch.targets.tolist() == [
        [5, 5, 5, UNK, EOS],
        [4, 5, EOS, PAD, PAD],
        [EOS, PAD, PAD, PAD, PAD],
    ]
    assert batch.lengths.tolist() == [5, 3, 1]
    assert batch.numbers.tolist() == [2, 0, 1]


def test_rows_are_sorted_by_both_lengths_and_counted_by_role(pairs):
    rows = pairs.batched(True)
    assert rows.lengths == [(4, 3), (1, 1), (4, 5), (4, 2)]
    counts = {role: own.tolist() for role, own in rows.counts().items()}
    assert counts == {
        "source": [0, 0, 4, 1, 2, 2],
        "features": [0, 0, 0, 1, 2, 1],
        "target": [0, 0, 4, 1, 2, 4],
    }
    assert set(pairs.batched(False).counts()) == {"source", "target"}
    assert (rows.size.chars, rows.size.bytes) == (7, 7)


def test_rows_that_are_too_long_are_left_out_with_a_remark(pairs):
    kept, remark = pairs.within(2, 3, "t.tsv")
    assert [row.line for row in kept.rows] == [11]
    assert [len(own) for own in kept] == [1, 1, 1]
    limits = "max_source_length 2 or max_target_length 3"
    assert remark == f"t.tsv: 3 rows (lines 10, 12, 13) longer than {limits} left out of training"


@pytest.mark.parametrize("limits", [(None, None), (3, 4), (3, None), (None, 4)])
def test_limits_do_not_count_the_end(pairs, limits):
    assert pairs.within(*limits, "t.tsv") == (pairs, "")


def test_one_limit_is_named_alone(pairs):
    kept, remark = pairs.within(None, 3, "t.tsv")
    assert [row.line for row in kept.rows] == [10, 11, 13]
    assert remark == "t.tsv: 1 row (line 12) longer than max_target_length 3 left out of training"


def test_some_row_must_be_within_the_limits(pairs):
    kept, _ = pairs.within(None, 3, "t.tsv")
    long, _ = kept.within(9, 9, "t.tsv")
    with pytest.raises(DataError, match="all 2 training rows are longer than max_source_length 1"):
        type(long)(long.rows[::2], long.sources[::2], long.targets[::2]).within(1, None, "t.tsv")


def test_rows_with_unknown_tokens_are_found_by_role(pairs):
    unknown = {role: [row.line for row in rows] for role, rows in pairs.unknown().items()}
    assert unknown == {"source": [13], "features": [13], "target": [12]}


@pytest.mark.parametrize(
    ("source", "target", "role"), [("aq", "x", "source"), ("a", "q", "target")]
)
def test_what_a_tokenizer_refuses_is_an_error_with_the_line(tokenizers, source, target, role):
    tokenizers |= {"source": CharTokenizer("ab", "error"), "target": CharTokenizer("xy", "error")}
    part = Part("t.tsv", [PairRow(1, "", "a", "", "x"), PairRow(7, "", source, "", target)])
    with pytest.raises(DataError, match=rf"^t\.tsv:7: the {role}: `text` must be of known char"):
        encode_pairs(part, SourceEncoder(tokenizers, ";"), target_of(tokenizers))


def test_seeds_reach_source_and_target(tokenizers):
    seen = []

    def target(text, seed):
        seen.append(seed)
        return torch.tensor([EOS])

    part = Part("t", [PairRow(1, "", "a", "", "x")] * 2)
    encode_pairs(part, SourceEncoder(tokenizers, ";"), target, seeds=[7, 8])
    assert seen == [7, 8]


# What kinds with a source and a target share: options, parts, prompts and remarks.


@pytest.fixture
def folder(place):
    """Words and their phones, as in a dictionary of pronunciations."""
    place.write("g2p/train.tsv", "abc\tA B C\nab\tA B\nab\tA P\nc\tC\nbca\tB K A\n")
    place.write("g2p/dev.tsv", "ca\tK A\nba\tB A\nca\tC A\n")
    place.write("g2p/test.tsv", "acb\tA K B\n")
    return Path("g2p")


def fitted_paired_rows(kind, **tokenizers):
    """Characters for sources, words for targets, whole features, unless said otherwise."""
    usual = {"source": CharTokenizer(), "features": WholeTokenizer(), "target": WordTokenizer()}
    made = {role: {**usual, **tokenizers}[role] for role in kind.roles}
    texts = kind.training_texts()
    for role, tokenizer in made.items():
        tokenizer.fit(texts[role])
    return made


def epoch(training, number=0):
    steps = range(number * training.steps_per_epoch, (number + 1) * training.steps_per_epoch)
    return [training.batch(step) for step in steps]


def numbers(batches):
    return [number for batch in batches for number in batch.numbers.tolist()]


def same(one, other):
    return all(
        torch.equal(a, b)
        for a, b in [
            (one.sources.values, other.sources.values),
            (one.sources.lengths, other.sources.lengths),
            (one.inputs, other.inputs),
            (one.targets, other.targets),
            (one.lengths, other.lengths),
            (one.numbers, other.numbers),
        ]
    )


def test_a_directory_is_all_that_a_recipe_must_say(folder):
    kind = data.build({"name": "pairs", "path": "g2p"}, seed=1)
    encoded = kind.encode(fitted_paired_rows(kind))
    assert (encoded.train.tokens, encoded.valid.tokens, encoded.test.tokens) == (16, 9, 4)
    assert kind.remarks() == ()


class TestTraining:
    def test_each_line_is_a_row_also_where_a_source_comes_again(self, folder):
        kind = PairsData(path=folder, batch_size=2)
        training = kind.training(fitted_paired_rows(kind))
        for number in (0, 1):
            assert sorted(numbers(epoch(training, number))) == [0, 1, 2, 3, 4]

    def test_batches_depend_on_the_seed_and_the_step_alone(self, folder):
        kinds = [PairsData(path=folder, batch_size=2, seed=seed) for seed in (1, 1, 2)]
        one, again, other = (kind.training(fitted_paired_rows(kind)) for kind in kinds)
        for step in (5, 0, 3, 8, 1):
            assert same(one.batch(step), again.batch(step))
        orders = [[numbers(epoch(each, n)) for n in range(4)] for each in (one, other)]
        assert orders[0] != orders[1]

    def test_batches_may_be_by_tokens(self, folder):
        kind = PairsData(path=folder, batch_size=1, batch_tokens=16)
        sizes = [len(batch.numbers) for batch in epoch(kind.training(fitted_paired_rows(kind)))]
        assert sorted(sizes) == [1, 2, 2]

    def test_long_rows_are_left_out_of_training_alone(self, folder):
        kind = PairsData(path=folder, max_source_length=2)
        encoded = kind.encode(fitted_paired_rows(kind))
        assert encoded.train.tokens == 8
        assert encoded.test.tokens == 4, "its source has 3 tokens"
        out = "2 rows (lines 1, 5) longer than max_source_length 2 left out of training"
        assert kind.remarks() == (f"g2p/train.tsv: {out}",)

    def test_a_sampling_tokenizer_cuts_texts_anew_each_epoch(self, place):
        words = ["the cat sat", "a cat ran", "the dog sat", "a dog ran far"]
        place.write("t.tsv", "".join(f"{text}\t{text}\n" for text in words * 5))
        kinds = [PairsData(train=Path("t.tsv"), batch_size=20, seed=3) for _ in range(2)]
        one, again = (
            kind.training(
                fitted_paired_rows(
                    kind, source=SentencePieceTokenizer("bpe", 300, sampling_alpha=0.5)
                )
            )
            for kind in kinds
        )
        assert same(one.batch(1), again.batch(1))
        assert same(one.batch(0), again.batch(0))
        by_row = [
            dict(zip(batch.numbers.tolist(), batch.sources.values.tolist(), strict=True))
            for batch in (one.batch(0), one.batch(1))
        ]
        cuts = [[[t for t in by_row[n][i] if t] for i in range(20)] for n in (0, 1)]
        assert cuts[0] != cuts[1]
        assert torch.equal(one.batch(0).targets.sort(0).values, one.batch(1).targets.sort(0).values)


class TestHeldOut:
    def test_likelihood_is_over_all_rows_and_examples_have_each_source_once(self, folder):
        kind = PairsData(path=folder)
        valid = kind.held_out("valid", fitted_paired_rows(kind))
        seen = valid.walk(lambda batch, state: (batch.numbers.tolist(), None), None, 2)
        assert sorted(chain.from_iterable(seen)) == [0, 1, 2]
        assert valid.examples == (Example("ca", ("K A", "C A")), Example("ba", ("B A",)))
        assert valid.size.chars == 9

    def test_there_may_be_none(self, folder):
        kind = PairsData(train=folder / "train.tsv")
        assert kind.held_out("test", fitted_paired_rows(kind)) is None
        (folder / "dev.tsv").unlink()
        assert PairsData(path=folder).held_out("valid", fitted_paired_rows(kind)) is None

    def test_unknown_tokens_are_counted_and_the_first_rows_named(self, folder, place):
        place.write("g2p/dev.tsv", "ca\tK A\nxa\tX A\ny\tY\nz\tA\n")
        kind = PairsData(path=folder)
        assert kind.held_out("valid", fitted_paired_rows(kind)).unknown == 2
        of_part = "g2p/dev.tsv: of the valid part, "
        assert kind.remarks() == (
            of_part + "3 rows (lines 2, 3, 4) with unknown tokens in the source",
            of_part + "2 rows (lines 2, 3) with unknown tokens in the target",
        )

    def test_examples_are_given_as_a_person_would(self, place):
        place.write("t.tsv", "ABBA\tx\nabba\ty\n")
        kind = PairsData(train=Path("t.tsv"), test=Path("t.tsv"), source_changes=("lower",))
        tokenizers = fitted_paired_rows(kind)
        (example,) = kind.held_out("test", tokenizers).examples
        assert example == Example("ABBA", ("x", "y"))
        assert len(tokenizers["source"]) == 6
        assert UNK not in kind.prompts(["ABBA"], tokenizers).values

    def test_parts_of_one_file_share_no_source(self, place):
        lines = [f"{chr(97 + i)}{j}\t{i + j}\n" for i in range(20) for j in (1, 2)]
        lines += [line.upper() for line in lines]
        kind = PairsData(path=place.write("t.tsv", "".join(lines)), source_changes=("lower",))
        tokenizers = fitted_paired_rows(kind)
        parts = [kind.part(name).rows for name in ("train", "valid", "test")]
        sources = [{row.source for row in rows} for rows in parts]
        assert [len(rows) for rows in parts] == [64, 8, 8]
        assert sum(map(len, sources)) == len(set().union(*sources)) == 40
        assert len(kind.held_out("test", tokenizers).examples) == 4


class TestPrompts:
    @pytest.fixture
    def kind(self, folder):
        return PairsData(path=folder)

    def test_sources_end_in_eos_and_an_empty_one_is_eos_alone(self, kind):
        sources = kind.prompts(["ab", "", "cab"], fitted_paired_rows(kind))
        assert sources.values.tolist() == [[4, 5, EOS, 0], [EOS, 0, 0, 0], [6, 4, 5, EOS]]
        assert sources.lengths.tolist() == [3, 1, 4]

    def test_they_are_the_sources_of_the_split(self, kind):
        tokenizers = fitted_paired_rows(kind)
        test = kind.held_out("test", tokenizers)
        (batch,) = test.walk(lambda batch, state: (batch, state), None, 8)
        prompts = kind.prompts([each.source for each in test.examples], tokenizers)
        assert torch.equal(batch.sources.values, prompts.values)

    def test_no_text_is_no_row(self, kind):
        assert kind.prompts([], fitted_paired_rows(kind)).lengths.shape == (0,)

    @pytest.mark.parametrize("text", ["a\tb", "a\nb"])
    def test_what_is_no_source_line_is_refused(self, kind, text):
        with pytest.raises(ValueError, match="`text` must be"):
            kind.prompts(["a", text], fitted_paired_rows(kind))

    def test_a_lone_surrogate_is_refused(self, kind):
        with pytest.raises(ValueError, match="lone surrogate"):
            kind.prompts(["a\ud800"], fitted_paired_rows(kind))

    def test_the_pieces_are_those_that_an_encoder_reads(self, kind):
        assert kind.source_pieces("abx", fitted_paired_rows(kind)) == ["a", "b", "x"]
        assert kind.unknown("abx", fitted_paired_rows(kind)) == ["x"]


class TestFeatures:
    @pytest.fixture
    def kind(self, place):
        """As in tables of inflection: lemma, form, features."""
        place.write(
            "t.tsv", "gehen\tging\tV;PST\ngehen\tgeht\tV;PRS\nRad\tRades\tN,GEN\nRad\tRad\t\n"
        )
        columns = ("source", "target", "features")
        return PairsData(train=Path("t.tsv"), test=Path("t.tsv"), columns=columns)

    def test_they_are_a_role_of_their_own(self, kind):
        assert kind.roles == ("source", "features", "target")
        assert kind.usual_tokenizers["features"] == "whole"
        texts = kind.training_texts()
        assert list(texts["features"]) == ["V", "PST", "V", "PRS", "N,GEN"]
        assert list(texts["source"]) == ["gehen", "gehen", "Rad", "Rad"]

    def test_an_encoder_knows_both_kinds_of_symbols(self, kind):
        tokenizers = fitted_paired_rows(kind)
        source, features = len(tokenizers["source"]), len(tokenizers["features"])
        sizes = {
            "vocab_size": len(tokenizers["target"]),
            "source": {"vocab_size": source + features},
        }
        assert kind.sizes(tokenizers) == sizes
        prompts = kind.prompts(["gehen\tV;PST", "Rad"], tokenizers)
        assert prompts.lengths.tolist() == [8, 4]
        assert (prompts.values[0, :2] >= source).all()
        assert prompts.values.max() < source + features
        assert (prompts.values[0, 2:] < source).all()

    def test_examples_and_prompts_have_them_behind_a_tab(self, kind):
        tokenizers = fitted_paired_rows(kind)
        test = kind.held_out("test", tokenizers)
        given = [each.source for each in test.examples]
        assert given == ["gehen\tV;PST", "gehen\tV;PRS", "Rad\tN,GEN", "Rad"]
        (batch,) = test.walk(lambda batch, state: (batch, state), None, 8)
        order = batch.numbers.argsort()
        assert torch.equal(batch.sources.values[order], kind.prompts(given, tokenizers).values)
        assert kind.source_pieces(given[0], tokenizers) == ["V", "PST", *"gehen"]

    def test_the_separator_may_be_another(self, kind):
        other = PairsData(train=kind.train, columns=kind.columns, feature_separator=",")
        assert list(other.training_texts()["features"]) == ["V;PST", "V;PRS", "N", "GEN"]

    def test_rows_of_one_source_stay_together_whatever_their_features(self, place):
        rows = "".join(f"{word}\t{word}{n}\tF{n}\n" for word in "abcdefghij" for n in range(3))
        columns = ("source", "target", "features")
        kind = PairsData(path=place.write("t.tsv", rows), columns=columns)
        assert len(kind.part("test").rows) == 3
        assert len({row.source for row in kind.part("test").rows}) == 1

    def test_unknown_ones_are_remarked(self, kind, place):
        place.write("u.tsv", "Rad\tRad\tN;DU\n")
        other = PairsData(train=kind.train, test=Path("u.tsv"), columns=kind.columns)
        other.held_out("test", fitted_paired_rows(other))
        (remark,) = other.remarks()
        assert remark == (
            "u.tsv: of the test part, 1 row (line 1) with unknown tokens in the features"
        )


class TestRemarks:
    def test_rows_left_out_and_files_that_are_not_there_are_told(self, folder, place):
        place.write("g2p/dev.tsv", "a\tA\n\nb\t\n")
        (folder / "test.tsv").unlink()
        kind = PairsData(path=folder, empty="drop")
        for _ in range(2):
            assert len(kind.held_out("valid", fitted_paired_rows(kind)).examples) == 1
            assert kind.remarks() == (
                "g2p/test.tsv: not there, so there is no such part",
                "g2p/dev.tsv: 2 rows (lines 2, 3) without a source or a target left out",
            )

    def test_kept_empty_texts_are_ends_alone(self, place):
        place.write("t.tsv", "a\tA\n\nb\t\n")
        kind = PairsData(train=Path("t.tsv"), empty="keep")
        batches = epoch(kind.training(fitted_paired_rows(kind)))
        targets = sorted(row.tolist() for batch in batches for row in batch.targets)
        assert targets == [[EOS, 0], [EOS, 0], [4, EOS]]
        assert kind.remarks() == ()

    def test_sources_that_training_has_too_are_counted(self, folder, place):
        place.write("g2p/dev.tsv", "ab\tA B\nba\tB A\nab\tX\n")
        kind = PairsData(path=folder, empty="drop")
        kind.training(fitted_paired_rows(kind))
        both = "1 of 2 different sources are in training, too"
        assert kind.remarks() == (f"g2p/dev.tsv: of the valid part, {both}",)


class TestFaults:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a\tb\nc\n", "t.tsv:2: 1 column instead of 2 (source, target): there is no tab"),
            ("a\tb\tc\n", "t.tsv:1: 3 columns instead of 2 (source, target): there are 2 tabs"),
            ("a\tb\n\n", "t.tsv:2: the source is empty (data.empty: drop leaves such rows out, ke"),
            ("a\t\n", "t.tsv:1: the target is empty (data.empty"),
            ("", "t.tsv: no rows in it (an empty file)"),
            ("\n\n", "t.tsv: no rows in it (2 lines, all of them empty)"),
        ],
    )
    def test_a_file_that_is_no_table_of_pairs_is_refused(self, place, text, message):
        kind = PairsData(train=place.write("t.tsv", text).relative_to(place.folder))
        with pytest.raises(DataError) as caught:
            kind.training_texts()
        assert str(caught.value).startswith(message)

    def test_files_in_parallel_of_different_length_are_refused_with_both_counts(self, place):
        place.write("a.txt", "1\n2\n3\n")
        place.write("b.txt", "1\n2\n")
        with pytest.raises(DataError, match=r"3 lines in a\.txt and 2 lines in b\.txt"):
            PairsData(train=(Path("a.txt"), Path("b.txt"))).training_texts()

    def test_all_rows_beyond_a_limit_are_refused(self, folder):
        kind = PairsData(train=folder / "test.tsv", max_source_length=2)
        with pytest.raises(DataError, match=r"all 1 training rows are longer than max_source_len"):
            kind.training(fitted_paired_rows(kind))

    def test_what_a_tokenizer_refuses_has_its_line(self, folder):
        kind = PairsData(path=folder)
        tokenizers = {**fitted_paired_rows(kind), "source": CharTokenizer("ab", "error")}
        with pytest.raises(
            DataError, match=r"^g2p/dev\.tsv:1: the source: `text` must be of known"
        ):
            kind.held_out("valid", tokenizers)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, "`path`, `train` or `corpus` must say where the rows come from"),
            ({"path": "p", "columns": ["source"]}, "`columns` must name source and target once"),
            ({"path": "p", "columns": ["source", "tag"]}, "'tag'|must be"),
            ({"train": ["a", "b", "c"]}, "`train` must be one file, or 2 in parallel .* but is 3"),
            ({"path": "p", "train": []}, "`train` must be one file, or 2 in parallel"),
            ({"path": "p", "batch_size": 0}, "at least 1"),
            ({"path": "p", "batch_tokens": 0}, "at least 1"),
            ({"path": "p", "max_source_length": 0}, "at least 1"),
            ({"path": "p", "feature_separator": ""}, "at least 1 long"),
            ({"path": "p", "empty": "skip"}, "'error', 'drop' or 'keep'"),
            ({"path": "p", "train": 5}, "must be a string or a list"),
            ({"path": "p", "split": [0.5, 0.5]}, "must be"),
            ({"path": "p", "colums": ["_"]}, "did you mean 'columns'"),
        ],
    )
    def test_wrong_options_are_refused_before_anything_is_read(self, options, message):
        with pytest.raises(OptionError, match=message):
            data.build({"name": "pairs", **options}, seed=1)


def test_the_fingerprint_has_every_file(folder):
    train = (folder / "train.tsv").read_bytes()
    prints = PairsData(path=folder).fingerprint()
    assert set(prints) == {"g2p/train.tsv", "g2p/dev.tsv", "g2p/test.tsv"}
    assert prints["g2p/train.tsv"] == hashlib.sha256(train).hexdigest()


def test_parallel_files_in_a_directory(place):
    for name, text in [("train.fr", "je\ntu\n"), ("train.en", "i\nyou\n")]:
        place.write(f"t/{name}", text)
    spec = {"name": "pairs", "path": "t", "train": ["train.fr", "train.en"]}
    kind = data.build(spec, seed=1)
    assert {role: list(texts) for role, texts in kind.training_texts().items()} == {
        "source": ["je", "tu"],
        "target": ["i", "you"],
    }


# The kind `pairs`: targets that end, as a text of their own.


@pytest.fixture
def kind(place):
    place.write("t.tsv", "ab\tA B\nabc\tA B C\nabcd\tA\n")
    return PairsData(train=Path("t.tsv"))


@pytest.fixture
def tokenizers_pairs(kind):
    made = {"source": CharTokenizer(), "target": WordTokenizer()}
    for role, tokenizer in made.items():
        tokenizer.fit(kind.training_texts()[role])
    return made


def test_targets_begin_with_bos_and_end_with_eos(kind, tokenizers_pairs):
    batch = kind.training(tokenizers_pairs).batch(0)
    row = batch.numbers.tolist().index(1)
    assert batch.targets[row].tolist() == [4, 5, 6, EOS]
    assert batch.inputs[row].tolist() == [BOS, 4, 5, 6]
    assert batch.tokens == 9
    assert kind.ends
    assert kind.output_lengths(kind.prompts(["a"], tokenizers_pairs)) is None


def test_an_output_is_the_text_of_its_tokens_alone(kind, tokenizers_pairs):
    assert kind.output_text("ab", [4, 6], tokenizers_pairs) == "A C"
    assert not kind.continues


def test_targets_may_be_limited_too(kind, tokenizers_pairs):
    limited = PairsData(train=kind.train, max_target_length=1, max_source_length=3)
    longer = PairsData(train=kind.train, max_target_length=2)
    targets = sorted(longer.training(tokenizers_pairs).batch(0).targets.tolist())
    assert targets == [[4, EOS, 0], [4, 5, EOS]]
    assert "max_target_length 2" in longer.remarks()[0]
    with pytest.raises(DataError, match=r"all 3 training rows .* 3 or max_target_length 1"):
        limited.training(tokenizers_pairs)


def test_targets_may_be_sampled(place):
    text = "the cat sat on the mat"
    place.write("t.tsv", f"a\t{text}\n" * 20)
    kind = PairsData(train=Path("t.tsv"), batch_size=20)
    tokenizers_pairs = {
        "source": CharTokenizer("a"),
        "target": SentencePieceTokenizer("bpe", 280, sampling_alpha=0.4),
    }
    tokenizers_pairs["target"].fit(kind.training_texts()["target"])
    training = kind.training(tokenizers_pairs)
    rows = {tuple(row) for row in training.batch(0).targets.tolist()}
    assert len(rows) > 3, "each row is cut in a way of its own"
    assert rows != {tuple(row) for row in training.batch(1).targets.tolist()}
    assert {tokenizers_pairs["target"].decode(row) for row in rows} == {text}


def test_rows_that_a_person_gives_are_scored_as_they_are(kind, tokenizers_pairs):
    split = kind.given(TextFile.of("abc\tC\n\tA\nb\t\n"), "mine.tsv", tokenizers_pairs)
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


# The kind `labelled`: one token, the class, for each text.


@pytest.fixture
def folder_labelled(place):
    place.write("names/train.tsv", "Ito\tJapanese\nLi\tChinese\nLee\tOld English\nLee\tChinese\n")
    place.write("names/dev.tsv", "Lin\tChinese\nWorf\tKlingon\nSpock\tVulcan\nLin\tKlingon\n")
    return Path("names")


def fitted_labelled(kind):
    made = {"source": CharTokenizer(), "target": WholeTokenizer()}
    for role, tokenizer in made.items():
        tokenizer.fit(kind.training_texts()[role])
    return made


def test_the_target_is_one_token_without_an_end(folder_labelled):
    kind = data.build({"name": "labelled", "path": "names"}, seed=1)
    tokenizers = fitted_labelled(kind)
    assert kind.usual_tokenizers["target"] == "whole"
    assert not kind.ends
    training = kind.training(tokenizers)
    batch = training.batch(0)
    classes = {
        number: label
        for number, [label] in zip(batch.numbers.tolist(), batch.targets.tolist(), strict=True)
    }
    assert classes == {0: 5, 1: 4, 2: 6, 3: 4}
    assert batch.inputs.tolist() == [[BOS]] * 4
    assert batch.lengths.tolist() == [1] * 4
    assert (batch.tokens, training.tokens) == (4, 4)
    assert batch.sources.values[batch.numbers.tolist().index(0)].tolist()[-1] == EOS
    assert training.counts()["target"].tolist() == [0, 0, 0, 0, 2, 1, 1]


def test_a_text_has_one_token_of_output(folder_labelled):
    kind = LabelledData(path=folder_labelled)
    tokenizers = fitted_labelled(kind)
    prompts = kind.prompts(["Ito", "", "Lee"], tokenizers)
    assert kind.output_lengths(prompts).tolist() == [1, 1, 1]
    assert kind.output_text("Lee", [6], tokenizers) == "Old English"
    assert kind.sizes(tokenizers) == {"vocab_size": 7, "source": {"vocab_size": 10}}


def test_a_class_that_training_does_not_have_is_unknown_and_named(folder_labelled):
    kind = LabelledData(path=folder_labelled, source_changes=("lower",))
    valid = kind.held_out("valid", fitted_labelled(kind))
    assert valid.unknown == 3
    assert valid.tokens == 4
    (batch,) = valid.walk(lambda batch, state: (batch, state), None, 8)
    assert sorted(batch.targets.flatten().tolist()) == [UNK, UNK, UNK, 4]
    assert valid.examples[0] == Example("Lin", ("Chinese", "Klingon"))
    remarks = [each for each in kind.remarks() if "class" in each]
    assert remarks == [
        "names/dev.tsv: of the valid part, 3 rows (lines 2, 3, 4) with a class that training does "
        "not have: Klingon, Vulcan"
    ]


def test_many_unknown_classes_are_not_all_named(folder_labelled, place):
    place.write("names/dev.tsv", "".join(f"Li\tKind {n}\n" for n in range(9)))
    kind = LabelledData(path=folder_labelled)
    kind.held_out("valid", fitted_labelled(kind))
    assert kind.remarks()[-1].endswith("not have: Kind 0, Kind 1, Kind 2, Kind 3, Kind 4, ...")


def test_a_class_must_be_one_token(folder_labelled):
    kind = LabelledData(path=folder_labelled)
    tokenizers = {**fitted_labelled(kind), "target": CharTokenizer("abc")}
    with pytest.raises(
        DataError, match=r"train\.tsv:1: the target: a class must be one token, but"
    ):
        kind.training(tokenizers)


def test_a_class_may_not_be_empty_even_where_texts_may(place):
    place.write("t.tsv", "a\tA\n\tA\nb\t\n")
    kind = LabelledData(train=Path("t.tsv"), empty="keep")
    with pytest.raises(DataError, match=r"t\.tsv:3: the target: a class must be one .* '' is 0"):
        kind.training(fitted_labelled(kind))


def test_the_corpus_of_categories_is_labelled():
    kind = data.build({"name": "labelled", "corpus": "unicode_categories"}, seed=1)
    texts = kind.training_texts()
    assert len(texts["source"]) == len(texts["target"]) > 10_000
    assert {"Lu", "Ll", "So"} <= set(texts["target"])

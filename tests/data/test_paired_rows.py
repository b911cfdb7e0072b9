"""What kinds with a source and a target share: options, parts, prompts and remarks."""

import hashlib
from itertools import chain
from pathlib import Path

import pytest
import torch

from seqgen.data import Example, PairsData, data
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import EOS, UNK, CharTokenizer, SentencePieceTokenizer, WordTokenizer
from seqgen.tokenizers.whole import WholeTokenizer


@pytest.fixture
def folder(place):
    """Words and their phones, as in a dictionary of pronunciations."""
    place.write("g2p/train.tsv", "abc\tA B C\nab\tA B\nab\tA P\nc\tC\nbca\tB K A\n")
    place.write("g2p/dev.tsv", "ca\tK A\nba\tB A\nca\tC A\n")
    place.write("g2p/test.tsv", "acb\tA K B\n")
    return Path("g2p")


def fitted(kind, **tokenizers):
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
    encoded = kind.encode(fitted(kind))
    assert (encoded.train.tokens, encoded.valid.tokens, encoded.test.tokens) == (16, 9, 4)
    assert kind.remarks() == ()


class TestTraining:
    def test_each_line_is_a_row_also_where_a_source_comes_again(self, folder):
        kind = PairsData(path=folder, batch_size=2)
        training = kind.training(fitted(kind))
        for number in (0, 1):
            assert sorted(numbers(epoch(training, number))) == [0, 1, 2, 3, 4]

    def test_batches_depend_on_the_seed_and_the_step_alone(self, folder):
        kinds = [PairsData(path=folder, batch_size=2, seed=seed) for seed in (1, 1, 2)]
        one, again, other = (kind.training(fitted(kind)) for kind in kinds)
        for step in (5, 0, 3, 8, 1):
            assert same(one.batch(step), again.batch(step))
        orders = [[numbers(epoch(each, n)) for n in range(4)] for each in (one, other)]
        assert orders[0] != orders[1]

    def test_batches_may_be_by_tokens(self, folder):
        kind = PairsData(path=folder, batch_size=1, batch_tokens=16)
        sizes = [len(batch.numbers) for batch in epoch(kind.training(fitted(kind)))]
        assert sorted(sizes) == [1, 2, 2]

    def test_long_rows_are_left_out_of_training_alone(self, folder):
        kind = PairsData(path=folder, max_source_length=2)
        encoded = kind.encode(fitted(kind))
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
                fitted(kind, source=SentencePieceTokenizer("bpe", 300, sampling_alpha=0.5))
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
        valid = kind.held_out("valid", fitted(kind))
        seen = valid.walk(lambda batch, state: (batch.numbers.tolist(), None), None, 2)
        assert sorted(chain.from_iterable(seen)) == [0, 1, 2]
        assert valid.examples == (Example("ca", ("K A", "C A")), Example("ba", ("B A",)))
        assert valid.size.chars == 9

    def test_there_may_be_none(self, folder):
        kind = PairsData(train=folder / "train.tsv")
        assert kind.held_out("test", fitted(kind)) is None
        (folder / "dev.tsv").unlink()
        assert PairsData(path=folder).held_out("valid", fitted(kind)) is None

    def test_unknown_tokens_are_counted_and_the_first_rows_named(self, folder, place):
        place.write("g2p/dev.tsv", "ca\tK A\nxa\tX A\ny\tY\nz\tA\n")
        kind = PairsData(path=folder)
        assert kind.held_out("valid", fitted(kind)).unknown == 2
        of_part = "g2p/dev.tsv: of the valid part, "
        assert kind.remarks() == (
            of_part + "3 rows (lines 2, 3, 4) with unknown tokens in the source",
            of_part + "2 rows (lines 2, 3) with unknown tokens in the target",
        )

    def test_examples_are_given_as_a_person_would(self, place):
        place.write("t.tsv", "ABBA\tx\nabba\ty\n")
        kind = PairsData(train=Path("t.tsv"), test=Path("t.tsv"), source_changes=("lower",))
        tokenizers = fitted(kind)
        (example,) = kind.held_out("test", tokenizers).examples
        assert example == Example("ABBA", ("x", "y"))
        assert len(tokenizers["source"]) == 6
        assert UNK not in kind.prompts(["ABBA"], tokenizers).values

    def test_parts_of_one_file_share_no_source(self, place):
        lines = [f"{chr(97 + i)}{j}\t{i + j}\n" for i in range(20) for j in (1, 2)]
        lines += [line.upper() for line in lines]
        kind = PairsData(path=place.write("t.tsv", "".join(lines)), source_changes=("lower",))
        tokenizers = fitted(kind)
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
        sources = kind.prompts(["ab", "", "cab"], fitted(kind))
        assert sources.values.tolist() == [[4, 5, EOS, 0], [EOS, 0, 0, 0], [6, 4, 5, EOS]]
        assert sources.lengths.tolist() == [3, 1, 4]

    def test_they_are_the_sources_of_the_split(self, kind):
        tokenizers = fitted(kind)
        test = kind.held_out("test", tokenizers)
        (batch,) = test.walk(lambda batch, state: (batch, state), None, 8)
        prompts = kind.prompts([each.source for each in test.examples], tokenizers)
        assert torch.equal(batch.sources.values, prompts.values)

    def test_no_text_is_no_row(self, kind):
        assert kind.prompts([], fitted(kind)).lengths.shape == (0,)

    @pytest.mark.parametrize("text", ["a\tb", "a\nb"])
    def test_what_is_no_source_line_is_refused(self, kind, text):
        with pytest.raises(ValueError, match="`text` must be"):
            kind.prompts(["a", text], fitted(kind))

    def test_a_lone_surrogate_is_refused(self, kind):
        with pytest.raises(ValueError, match="lone surrogate"):
            kind.prompts(["a\ud800"], fitted(kind))

    def test_the_pieces_are_those_that_an_encoder_reads(self, kind):
        assert kind.source_pieces("abx", fitted(kind)) == ["a", "b", "x"]
        assert kind.unknown("abx", fitted(kind)) == ["x"]


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
        tokenizers = fitted(kind)
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
        tokenizers = fitted(kind)
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
        other.held_out("test", fitted(other))
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
            assert len(kind.held_out("valid", fitted(kind)).examples) == 1
            assert kind.remarks() == (
                "g2p/test.tsv: not there, so there is no such part",
                "g2p/dev.tsv: 2 rows (lines 2, 3) without a source or a target left out",
            )

    def test_kept_empty_texts_are_ends_alone(self, place):
        place.write("t.tsv", "a\tA\n\nb\t\n")
        kind = PairsData(train=Path("t.tsv"), empty="keep")
        batches = epoch(kind.training(fitted(kind)))
        targets = sorted(row.tolist() for batch in batches for row in batch.targets)
        assert targets == [[EOS, 0], [EOS, 0], [4, EOS]]
        assert kind.remarks() == ()

    def test_sources_that_training_has_too_are_counted(self, folder, place):
        place.write("g2p/dev.tsv", "ab\tA B\nba\tB A\nab\tX\n")
        kind = PairsData(path=folder, empty="drop")
        kind.training(fitted(kind))
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
            kind.training(fitted(kind))

    def test_what_a_tokenizer_refuses_has_its_line(self, folder):
        kind = PairsData(path=folder)
        tokenizers = {**fitted(kind), "source": CharTokenizer("ab", "error")}
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

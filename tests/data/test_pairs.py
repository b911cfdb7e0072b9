"""The kinds `pairs` and `labelled`: sources with features, targets, examples and remarks."""

from pathlib import Path

import pytest
import torch

from seqgen.data import Example, LabelledData, PairsData, data
from seqgen.data.pairs import PairRow, changed, without_empty
from seqgen.data.text_files import TextFile
from seqgen.tokenizers import BOS, EOS, PAD, UNK, CharTokenizer, WholeTokenizer, WordTokenizer

FEATURES = ("source", "target", "features")


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


def parsed(text, empty="keep", **options):
    kind = PairsData(train=Path("t.tsv"), **options)
    rows, remarks = kind.parse([(TextFile.of(text), "t.tsv")], empty)
    assert not [*remarks]
    return rows


@pytest.mark.parametrize(
    ("text", "options", "row"),
    [
        (
            "3\tform\tlemma\tN;PL\n",
            {"columns": ("_", "target", "source", "features")},
            ("lemma\tN;PL", "lemma", "N;PL", "form"),
        ),
        ("lemma\tform\t\n", {"columns": FEATURES}, ("lemma", "lemma", "", "form")),
        (
            "ABC\te\u0301E\n",
            {"source_changes": ("lower",), "target_changes": ("NFC",)},
            ("ABC", "abc", "", "\xe9E"),
        ),
    ],
)
def test_a_row_has_what_is_given_and_what_is_read(text, options, row):
    assert parsed(text, **options) == [PairRow(1, *row)]


def test_files_in_parallel_have_a_column_each(place):
    for name, text in [("train.fr", "je\ntu\n"), ("train.en", "i\nyou\n")]:
        place.write(f"t/{name}", text)
    spec = {"name": "pairs", "path": "t", "train": ["train.fr", "train.en"]}
    kind = data.build({**spec, "columns": ["target", "source"]}, seed=1)
    assert kind.training_texts() == {"source": ["i", "you"], "target": ["je", "tu"]}
    assert [row.line for row in kind.part("train").rows] == [1, 2]


class TestEmpty:
    ROWS = "a\tb\n\tc\nd\t \n\n"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (ROWS, "t.tsv:2: the source is empty (data.empty: drop leaves such rows out, keep"),
            ("a\tb\nc\t \n", "t.tsv:2: the target is empty"),
        ],
    )
    def test_by_default_the_first_one_is_an_error_with_its_line(self, said, text, message):
        assert PairsData(train=Path("t.tsv")).empty == "error"
        assert said(parsed, text, "error").startswith(message)
        assert len(parsed("a\tb\n", "error")) == 1

    def test_they_may_be_left_out_and_counted(self, said):
        rows, remark = without_empty(parsed(self.ROWS), "t.tsv", "drop")
        assert [row.line for row in rows] == [1]
        assert remark == "t.tsv: 3 rows (lines 2, 3, 4) without a source or a target left out"
        rows = parsed("a\tb\n\tb\n")
        assert " 1 row (line 2) without" in without_empty(rows, "t.tsv", "drop")[1]
        rows = parsed("\tb\n" * 7 + "a\tb\n")
        assert " (lines 1, 2, 3, 4, 5, ...) " in without_empty(rows, "t.tsv", "drop")[1]
        message = said(without_empty, parsed("a\t\n\tb\n"), "t.tsv", "drop")
        assert message == "t.tsv: no row has a source and a target (2 rows)"

    def test_they_may_be_kept(self, place, fit):
        rows, remark = without_empty(parsed(self.ROWS), "t.tsv", "keep")
        assert ([row.line for row in rows], remark) == ([1, 2, 3, 4], "")
        place.write("t.tsv", "a\tA\n\nb\t\n")
        kind = PairsData(train=Path("t.tsv"), empty="keep", batch_size=1)
        train = kind.training(fit(kind))
        targets = sorted(train.batch(step).targets.tolist() for step in range(3))
        assert targets == [[[EOS]], [[EOS]], [[4, EOS]]]
        assert kind.remarks() == ()


@pytest.fixture
def few():
    """a and b are 4 and 5; x and y are 4 and 5; PL and SG are 4 and 5, behind the source's 6."""
    made = {"source": CharTokenizer("ab"), "features": WholeTokenizer()}
    made["features"].fit(["PL", "PL", "SG"])
    return {**made, "target": CharTokenizer("xy")}


def test_a_batch_as_it_is_written(few):
    kind = PairsData(train=Path("t.tsv"), columns=FEATURES)
    table = "ab\txy\tPL\n\t\t\nb\tyyyq\tSG;;PL\naq\tx\tDU\n"
    split = kind.parse_rows(TextFile.of(table), "t.tsv", few)
    batch = split._rows.batch([2, 0, 1])
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
    assert batch.row_ids.tolist() == [2, 0, 1]
    assert split._rows.batch([3]).sources.values.tolist() == [[6 + UNK, 4, UNK, EOS]]
    assert split._rows.lengths.tolist() == [[4, 3], [1, 1], [4, 5], [4, 2]]
    assert (split.size.chars, split.size.bytes) == (7, 7)
    assert {field: own.tolist() for field, own in split._rows.counts().items()} == {
        "source": [0, 0, 4, 1, 2, 2],
        "features": [0, 0, 0, 1, 2, 1],
        "target": [0, 0, 4, 1, 2, 4],
    }


@pytest.mark.parametrize(("row", "field"), [("aq\tx", "source"), ("a\tq", "target")])
def test_what_a_tokenizer_refuses_is_an_error_with_the_line(few, said, row, field):
    strict = {"source": CharTokenizer("ab", "error"), "target": CharTokenizer("xy", "error")}
    kind, file = PairsData(train=Path("t.tsv")), TextFile.of(f"a\tx\n{row}\n")
    message = said(kind.parse_rows, file, "t.tsv", {**few, **strict})
    assert message.startswith(f"t.tsv:2: the {field}: `text` must be of char")


@pytest.fixture
def folder(place):
    """Words and their phones, as in a dictionary of pronunciations."""
    place.write("g2p/train.tsv", "abc\tA B C\nab\tA B\nab\tA P\nc\tC\nbca\tB K A\n")
    place.write("g2p/dev.tsv", "ca\tK A\nba\tB A\nca\tC A\n")
    place.write("g2p/test.tsv", "acb\tA K B\n")
    return Path("g2p")


@pytest.fixture
def words(fit):
    """Characters for sources, words for targets, unless another tokenizer is given."""
    return lambda kind, **given: fit(kind, **{"target": WordTokenizer(), **given})


def test_a_directory_is_all_that_a_recipe_must_say(folder, words):
    kind = data.build({"name": "pairs", "path": "g2p"}, seed=1)
    encoded = kind.encode(words(kind))
    assert (encoded.train.tokens, encoded.valid.tokens, encoded.test.tokens) == (16, 9, 4)
    assert kind.remarks() == ()
    assert kind.ends
    assert not kind.continues
    assert kind.output_lengths(kind.prompts(["a"], words(kind))) is None
    assert kind.output_text("ab", [4, 6], words(kind)) == "A C"


class TestHeldOut:
    def test_likelihood_is_over_all_rows_and_examples_have_each_source_once(self, folder, words):
        kind = PairsData(path=folder)
        valid = kind.held_out("valid", words(kind))
        assert [*valid.examples] == [Example("ca", ("K A", "C A")), Example("ba", ("B A",))]
        assert (valid.tokens, valid.size.chars) == (9, 9)
        (folder / "dev.tsv").unlink()
        assert PairsData(path=folder).held_out("valid", words(kind)) is None

    def test_unknown_tokens_are_counted_and_the_first_rows_named(self, folder, place, words):
        place.write("g2p/dev.tsv", "ca\tK A\nxa\tX A\ny\tY\nz\tA\n")
        kind = PairsData(path=folder)
        assert kind.held_out("valid", words(kind)).unknown == 2
        of_part = "g2p/dev.tsv: of the valid part, "
        assert kind.remarks() == (
            of_part + "3 rows (lines 2, 3, 4) with unknown tokens in the source",
            of_part + "2 rows (lines 2, 3) with unknown tokens in the target",
        )

    def test_examples_are_sources_as_a_person_would_give_them(self, place, words):
        place.write("t.tsv", "ABBA\tx\nabba\ty\nABBA\tx\n")
        kind = PairsData(train=Path("t.tsv"), test=Path("t.tsv"), source_changes=("lower",))
        tokenizers = words(kind)
        assert [*kind.held_out("test", tokenizers).examples] == [Example("ABBA", ("x", "y"))]
        assert len(tokenizers["source"]) == 6
        assert UNK not in kind.prompts(["ABBA"], tokenizers).values

    def test_sources_that_training_has_too_are_counted(self, folder, place):
        place.write("g2p/dev.tsv", "ab\tA B\nba\tB A\nab\tX\n")
        kind = PairsData(path=folder)
        kind.fingerprint()
        both = "1 of 2 different sources are in training, too"
        assert kind.remarks() == (f"g2p/dev.tsv: of the valid part, {both}",)

    def test_remarks_come_once_in_the_order_of_reading(self, folder, place, words):
        place.write("g2p/dev.tsv", "a\tA\n\nb\t\n")
        (folder / "test.tsv").unlink()
        kind = PairsData(path=folder, empty="drop")
        for _ in range(2):
            assert len(kind.held_out("valid", words(kind)).examples) == 1
            assert kind.remarks() == (
                "g2p/test.tsv: not there, so there is no such part",
                "g2p/dev.tsv: 2 rows (lines 2, 3) without a source or a target left out",
            )


class TestPrompts:
    def test_sources_end_in_eos_and_an_empty_one_is_eos_alone(self, folder, words):
        kind = PairsData(path=folder)
        sources = kind.prompts(["ab", "", "cab"], words(kind))
        assert sources.values.tolist() == [[4, 5, EOS, 0], [EOS, 0, 0, 0], [6, 4, 5, EOS]]
        assert sources.lengths.tolist() == [3, 1, 4]
        assert kind.prompts([], words(kind)).lengths.shape == (0,)

    @pytest.mark.parametrize(
        ("text", "columns", "message"),
        [
            ("a\tb", ("source", "target"), "^`text` must be a source, but has 1 tab in it"),
            ("a\tb\tc", FEATURES, "a source, or a source, a tab and its features, but has 2 tabs"),
            ("a\nb", ("source", "target"), "`text` must be one line, but has a line break in it"),
            ("a\r", FEATURES, "`text` must be one line"),
            ("a\ud800", ("source", "target"), "lone surrogate"),
        ],
    )
    def test_what_is_no_source_line_is_refused(self, few, text, columns, message):
        with pytest.raises(ValueError, match=message):
            PairsData(train=Path("t.tsv"), columns=columns).prompts(["a", text], few)

    @pytest.mark.parametrize(
        ("prompt", "pieces", "unknown"),
        [
            ("axb\tPL;DU", ["PL", "<unk>", "a", "x", "b"], ["DU", "x"]),
            ("ab\t;PL;", ["PL", "a", "b"], []),
            ("ab", ["a", "b"], []),
            ("", [], []),
        ],
    )
    def test_pieces_are_those_that_an_encoder_reads(self, few, prompt, pieces, unknown):
        kind = PairsData(train=Path("t.tsv"), columns=FEATURES)
        found = kind.source_pieces(prompt, few)
        assert found == pieces
        assert len(found) == int(kind.prompts([prompt], few).lengths) - 1
        assert kind.unknown(prompt, few) == unknown

    def test_unknown_words_are_shown_as_they_are(self, few):
        few["source"] = WordTokenizer()
        few["source"].fit(["the cat"])
        kind = PairsData(train=Path("t.tsv"))
        assert kind.source_pieces("the dog  sat", few) == ["the", "dog", "sat"]
        assert kind.unknown("the dog  sat", few) == ["dog", "sat"]


class TestFeatures:
    @pytest.fixture
    def kind(self, place):
        """As in tables of inflection: lemma, form, features."""
        rows = "gehen\tging\tV;PST\ngehen\tgeht\tV;PRS\nRad\tRades\tN,GEN\nRad\tRad\t\n"
        place.write("t.tsv", rows)
        return PairsData(train=Path("t.tsv"), test=Path("t.tsv"), columns=FEATURES)

    def test_they_are_a_field_of_their_own(self, kind):
        assert kind.fields == ("source", "features", "target")
        assert kind.default_tokenizers["features"] == "whole"
        texts = kind.training_texts()
        assert list(texts["features"]) == ["V", "PST", "V", "PRS", "N,GEN"]
        assert list(texts["source"]) == ["gehen", "gehen", "Rad", "Rad"]
        other = PairsData(train=kind.train, columns=kind.columns, feature_separator=",")
        assert list(other.training_texts()["features"]) == ["V;PST", "V;PRS", "N", "GEN"]

    def test_features_come_first_with_ids_after_those_of_texts(self, kind, words):
        tokenizers = words(kind)
        source, features = len(tokenizers["source"]), len(tokenizers["features"])
        assert kind.sizes(tokenizers) == {
            "vocab_size": len(tokenizers["target"]),
            "source": {"vocab_size": source + features},
        }
        prompts = kind.prompts(["gehen\tV;PST", "Rad"], tokenizers)
        assert prompts.lengths.tolist() == [8, 4]
        assert (prompts.values[0, :2] >= source).all()
        assert prompts.values.max() < source + features
        assert (prompts.values[0, 2:] < source).all()

    def test_examples_and_prompts_have_them_after_a_tab(self, kind, words):
        """The same source with other features is another example."""
        tokenizers = words(kind)
        test = kind.held_out("test", tokenizers)
        given = [each.source for each in test.examples]
        assert given == ["gehen\tV;PST", "gehen\tV;PRS", "Rad\tN,GEN", "Rad"]
        (batch,) = test.walk(lambda batch, state: (batch, state), None, 8)
        order = batch.row_ids.argsort()
        assert torch.equal(batch.sources.values[order], kind.prompts(given, tokenizers).values)

    def test_unknown_ones_are_remarked(self, kind, place, words):
        place.write("u.tsv", "Rad\tRad\tN;DU\n")
        other = PairsData(train=kind.train, test=Path("u.tsv"), columns=kind.columns)
        other.held_out("test", words(other))
        assert other.remarks() == (
            "u.tsv: of the test part, 1 row (line 1) with unknown tokens in the features",
        )


class TestLabelled:
    @pytest.fixture
    def names(self, place):
        train = "Ito\tJapanese\nLi\tChinese\nLee\tOld English\nLee\tChinese\n"
        place.write("names/train.tsv", train)
        dev = "Lin\tChinese\nWorf\tKlingon\nSpock\tVulcan\nLin\tKlingon\n"
        place.write("names/dev.tsv", dev)
        return LabelledData(path=Path("names"), source_changes=("lower",))

    def test_the_target_is_one_token_without_an_end(self, names, fit):
        assert names.default_tokenizers["target"] == "whole"
        assert not names.ends
        training = names.training(fit(names))
        batch = training.batch(0)
        classes = zip(batch.row_ids.tolist(), batch.targets.tolist(), strict=True)
        assert dict(classes) == {0: [5], 1: [4], 2: [6], 3: [4]}
        assert batch.inputs.tolist() == [[BOS]] * 4
        assert batch.lengths.tolist() == [1] * 4
        assert (batch.tokens, training.tokens) == (4, 4)
        assert batch.sources.values[batch.row_ids.tolist().index(0)].tolist()[-1] == EOS
        assert training.counts()["target"].tolist() == [0, 0, 0, 0, 2, 1, 1]

    def test_a_text_has_one_token_of_output(self, names, fit):
        tokenizers = fit(names)
        prompts = names.prompts(["Ito", "", "Lee"], tokenizers)
        assert names.output_lengths(prompts).tolist() == [1, 1, 1]
        assert names.output_text("Lee", [6], tokenizers) == "Old English"
        assert names.sizes(tokenizers) == {"vocab_size": 7, "source": {"vocab_size": 9}}

    def test_a_class_that_training_does_not_have_is_unknown_and_named(self, names, fit, place):
        valid = names.held_out("valid", fit(names))
        assert (valid.unknown, valid.tokens) == (3, 4)
        (batch,) = valid.walk(lambda batch, state: (batch, state), None, 8)
        assert sorted(batch.targets.flatten().tolist()) == [UNK, UNK, UNK, 4]
        assert valid.examples[0] == Example("Lin", ("Chinese", "Klingon"))
        assert [each for each in names.remarks() if "class" in each] == [
            "names/dev.tsv: of the valid part, 3 rows (lines 2, 3, 4) with a class that training "
            "does not have: Klingon, Vulcan"
        ]
        place.write("names/dev.tsv", "".join(f"Li\tKind {n}\n" for n in range(9)))
        kind = LabelledData(path=Path("names"))
        kind.held_out("valid", fit(kind))
        assert kind.remarks()[-1].endswith("not have: Kind 0, Kind 1, Kind 2, Kind 3, Kind 4, ...")

    def test_a_class_must_be_one_token(self, names, fit, said, place):
        """Also where texts may be empty."""
        tokenizers = {**fit(names), "target": CharTokenizer("abc")}
        wanted = "names/train.tsv:1: the target: a class must be one token, but 'Japanese' is 8"
        assert said(names.training, tokenizers) == wanted
        place.write("t.tsv", "a\tA\n\tA\nb\t\n")
        kind = LabelledData(train=Path("t.tsv"), empty="keep")
        wanted = "t.tsv:3: the target: a class must be one token, but '' is 0"
        assert said(kind.training, fit(kind)) == wanted

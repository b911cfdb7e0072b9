"""The kind `labelled`: one token, the class, for each text."""

from pathlib import Path

import pytest

from seqgen.data import Example, LabelledData, data
from seqgen.errors import DataError
from seqgen.tokenizers import BOS, EOS, UNK, CharTokenizer
from seqgen.tokenizers.whole import WholeTokenizer


@pytest.fixture
def folder(place):
    place.write("names/train.tsv", "Ito\tJapanese\nLi\tChinese\nLee\tOld English\nLee\tChinese\n")
    place.write("names/dev.tsv", "Lin\tChinese\nWorf\tKlingon\nSpock\tVulcan\nLin\tKlingon\n")
    return Path("names")


def fitted(kind):
    made = {"source": CharTokenizer(), "target": WholeTokenizer()}
    for role, tokenizer in made.items():
        tokenizer.fit(kind.training_texts()[role])
    return made


def test_the_target_is_one_token_without_an_end(folder):
    kind = data.build({"name": "labelled", "path": "names"}, seed=1)
    tokenizers = fitted(kind)
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


def test_a_text_has_one_token_of_output(folder):
    kind = LabelledData(path=folder)
    tokenizers = fitted(kind)
    prompts = kind.prompts(["Ito", "", "Lee"], tokenizers)
    assert kind.output_lengths(prompts).tolist() == [1, 1, 1]
    assert kind.output_text("Lee", [6], tokenizers) == "Old English"
    assert kind.sizes(tokenizers) == {"vocab_size": 7, "source": {"vocab_size": 10}}


def test_a_class_that_training_does_not_have_is_unknown_and_named(folder):
    kind = LabelledData(path=folder, source_changes=("lower",))
    valid = kind.held_out("valid", fitted(kind))
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


def test_many_unknown_classes_are_not_all_named(folder, place):
    place.write("names/dev.tsv", "".join(f"Li\tKind {n}\n" for n in range(9)))
    kind = LabelledData(path=folder)
    kind.held_out("valid", fitted(kind))
    assert kind.remarks()[-1].endswith("not have: Kind 0, Kind 1, Kind 2, Kind 3, Kind 4, ...")


def test_a_class_must_be_one_token(folder):
    kind = LabelledData(path=folder)
    tokenizers = {**fitted(kind), "target": CharTokenizer("abc")}
    with pytest.raises(
        DataError, match=r"train\.tsv:1: the target: a class must be one token, but"
    ):
        kind.training(tokenizers)


def test_a_class_may_not_be_empty_even_where_texts_may(place):
    place.write("t.tsv", "a\tA\n\tA\nb\t\n")
    kind = LabelledData(train=Path("t.tsv"), empty="keep")
    with pytest.raises(DataError, match=r"t\.tsv:3: the target: a class must be one .* '' is 0"):
        kind.training(fitted(kind))


def test_the_corpus_of_categories_is_labelled():
    kind = data.build({"name": "labelled", "corpus": "unicode_categories"}, seed=1)
    texts = kind.training_texts()
    assert len(texts["source"]) == len(texts["target"]) > 10_000
    assert {"Lu", "Ll", "So"} <= set(texts["target"])

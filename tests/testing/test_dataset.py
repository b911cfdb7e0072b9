"""The laws of kinds of data: every registered one keeps them, and broken ones are found out."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

from seqgen.data import Data, LinesData, data
from seqgen.testing import check_data
from seqgen.testing.dataset import DATASET_LAWS

OUTPUTS = "outputs come back as they were"
EPOCH = "an epoch has each row once"
NOT_TRIED = {"pairs": set(), "text": {EPOCH, OUTPUTS}}


@pytest.mark.parametrize("name", data.names())
def test_every_registered_kind_keeps_them(name, small, place):
    place.write("texts.txt", "".join(f"text {i}\n" for i in range(50)))
    np.save(place.folder / "texts.npy", np.random.default_rng(1).normal(size=(50, 3)))
    report = check_data(small(data, name))
    report.require()
    not_tried = {each.law for each in report.findings if each.outcome == "not tried"}
    assert not_tried == NOT_TRIED.get(name, set() if name == "vectors" else {OUTPUTS})


class Changed:
    """What is in `of`, but for what is said of it by name."""

    def __init__(self, of, **changes):
        self.of, self.changes = of, changes

    def __getattr__(self, name):
        return self.changes[name] if name in self.changes else getattr(self.of, name)


@dataclass(eq=False)
class Plain(LinesData):
    """Lines; a subclass changes something."""

    def training(self, tokenizers):
        training = super().training(tokenizers)
        return Changed(training, batch=lambda step: self.changed(training.batch, step))

    def changed(self, batch, step):
        return batch(step)


class Counts(Plain):
    def changed(self, batch, step):
        self.steps = vars(self).get("steps", 0) + 1
        return batch(step + self.steps // 8)


class Draws(Plain):
    drawn = 0

    def training(self, tokenizers):
        Draws.drawn += 1
        self.seed = Draws.drawn
        return super().training(tokenizers)


class OtherTokens(Plain):
    def changed(self, batch, step):
        return replace(batch(step), targets=batch(step).targets + 99)


class CountsPadding(Plain):
    def changed(self, batch, step):
        found = batch(step)
        vars(found)["tokens"] = found.targets.numel() + 1
        return found


class CutsRowsOff(Plain):
    def changed(self, batch, step):
        found = batch(step)
        return Changed(found, cut=lambda count: found.cut(count)[:1])


class SameAgain(Plain):
    def changed(self, batch, step):
        return batch(step // 2 * 2)


class LeavesOut(Plain):
    def changed(self, batch, step):
        found = batch(step)
        return replace(found, row_ids=2 * found.row_ids)


class WalksTwice(Plain):
    def held_out(self, name, tokenizers):
        split = super().held_out(name, tokenizers)
        return Changed(split, walk=lambda *how: 2 * split.walk(*how))


class FirstPromptAlone(Plain):
    def prompts(self, texts, tokenizers):
        return super().prompts(texts[:1], tokenizers)


class PromptsByPlace(Plain):
    def prompts(self, texts, tokenizers):
        found = super().prompts(texts, tokenizers)
        return replace(found, tokens=found.tokens + len(texts))


class NoSuchField(Plain):
    output_field = "target"


class NoEnds(Plain):
    ends = None


class Bytes(Plain):
    def training_texts(self):
        return {"text": [text.encode() for text in super().training_texts()["text"]]}


class OneText(Plain):
    def training_texts(self):
        return {"lines": super().training_texts()["text"]}


class NoHash(Plain):
    def fingerprint(self):
        return dict.fromkeys(super().fingerprint(), "1.0")


class Nothing:
    pass


STEP = "batches are a function of the step"
COUNTS, WALKED = "batches count their targets", "held-out parts are walked once"
PROMPT, FIELDS = "a prompt alone is the prompt in a batch", "it says its fields before it reads"
TEXTS = "it has texts for tokenizers"


@pytest.mark.parametrize(
    ("kind", "law", "says"),
    [
        (Counts, STEP, "another one when it is asked for again"),
        (Draws, STEP, "of the same data with the same seed is another one; draw by `seed`"),
        (OtherTokens, "targets are of the vocabulary", "but `vocab_size` is"),
        (CountsPadding, COUNTS, "real targets"),
        (CutsRowsOff, COUNTS, "the parts that `cut` gives must have the targets"),
        (SameAgain, EPOCH, "comes twice in an epoch"),
        (LeavesOut, EPOCH, "some rows are left out"),
        (WalksTwice, WALKED, "`walk` in batches of 5 visits"),
        (FirstPromptAlone, PROMPT, "must have a row for each, but has [1]"),
        (PromptsByPlace, PROMPT, "`prompts` of a text alone is not its row among others"),
        (NoSuchField, FIELDS, "`output_field` must be one of `fields`"),
        (NoEnds, FIELDS, "`ends` must say whether sequences end in EOS, but is None"),
        (Bytes, TEXTS, "`training_texts` must be texts, but has a list for 'text'"),
        (OneText, TEXTS, "must have the texts of ['text'], but has ['lines']"),
        (NoHash, "sources have fingerprints", "must have a SHA-256 for"),
        (Nothing, "is a kind of data", "Nothing is no Data"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(kind, law, says):
    report = check_data(partial(kind, batch_size=4) if issubclass(kind, Data) else kind)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(DATASET_LAWS)


def test_a_part_without_rows_is_not_walked():
    report = check_data(Plain, split=(0.9, 0.0, 0.1))
    report.require()
    found = {each.law: each.says for each in report.findings}
    assert found[WALKED] == "there is no validation part"


def test_classes_will_do():
    check_data(Plain).require()

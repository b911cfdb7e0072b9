"""What recipes promise of one another."""

import json
from pathlib import Path

import pytest

from seqgen.build import build_data, fit_tokenizers
from seqgen.recipe import read_recipe

RECIPES = Path(__file__).parent.parent / "recipes"
LECTURES = RECIPES / "lectures"
WIKITEXT = Path(__file__).resolve().parents[2] / "shared/data/wordlm/wikitext-2"
NAMES = [("GREEK SMALL LETTER", "Ll"), ("GREEK CAPITAL LETTER", "Lu"), ("ROMAN NUMERAL", "Nl")]


def test_an_lstm_fed_at_once_learns_as_one_fed_step_by_step(place, train):
    """The twins draw equal first weights from one seed, and stay together step for step."""
    rows = [f"{name} {number}\t{kind}\n" for number in range(30) for name, kind in NAMES]
    place.write("names.tsv", "".join(rows))
    budget = ["train.max_steps=20", "train.validations=1", "train.log_every=1", "threads=1"]
    small = [
        "data.path=names.tsv",
        "data.batch_size=8",
        "model.encoder.cell.hidden_size=16",
        "model.encoder.embedding.size=8",
    ]
    found = []
    for name in ("classify_lstm", "classify_lstm_cell"):
        folder = train(*small, *budget, recipe=str(LECTURES / f"{name}.yaml"), out=name)
        events = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses = [json.loads(each).get("loss") for each in events]
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        found.append([each for each in losses if each] + [result["test"]["nats_per_token"]])
    at_once, by_step = found
    assert len(at_once) == 21
    assert at_once[-2] < 0.8 * at_once[0]
    assert by_step == pytest.approx(at_once, abs=1e-5)


@pytest.mark.skipif(not WIKITEXT.is_dir(), reason="WikiText-2 is not here")
def test_wikitext_2_has_as_many_tokens_as_are_published():
    recipe = read_recipe(RECIPES / "wikitext2_word_lstm.yaml", [f"data.path={WIKITEXT}"])
    made = build_data(recipe)
    tokenizers = fit_tokenizers(recipe, made)
    assert len(tokenizers["text"]) == 33_278 + 4  # the words, `<unk>` and the end of a line; ours
    parts = made.encode(tokenizers)
    found = [parts.train.tokens, parts.valid.tokens, parts.test.tokens]
    assert found == [2_088_628, 217_646, 245_569]
    assert parts.valid.unknown == parts.test.unknown == 0

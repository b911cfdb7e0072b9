"""What recipes promise of one another."""

import json
from pathlib import Path

import pytest

LECTURES = Path(__file__).parent.parent / "recipes" / "lectures"
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

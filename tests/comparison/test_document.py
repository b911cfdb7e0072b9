"""The document of a comparison: rounded, written as JSON, and read again."""

import json
import math
from dataclasses import replace

import pytest

from seqgen.comparison import Results, document_text, read_document
from seqgen.comparison.document import (
    Measure,
    ShownInput,
    ShownOutput,
    SystemResult,
    Value,
    rounded,
)
from seqgen.errors import CheckpointError

TEXTS = ShownInput(input="a\ud800b", references=["c"], by=[])
ERROR_RATE = Measure("error_rate", "error rate", "quality", "lower", "share", "Wrong / all.")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"a": [0.1 + 0.2, (1 / 3,)]}, {"a": [0.3, (0.333333333,)]}),
        (-12345678912.4, -12345678900.0),
        (1e-20 / 3, 3.33333333e-21),
        ([12345678901, True, "0.1", None], [12345678901, True, "0.1", None]),
        ([-math.inf, math.nan], [None, None]),
        (Value(value=1 / 3, by_seed=[math.nan]), Value(value=0.333333333, by_seed=[None])),
    ],
)
def test_numbers_are_rounded_and_made_fit_for_json(value, wanted):
    assert rounded(value) == wanted


def test_it_is_read_as_it_was_written(document_of, tmp_path):
    output = {"label": "greedy", "text": "x", "log_prob": None, "finished": True, "values": {}}
    shown = replace(TEXTS, by=[ShownOutput(**output), ShownOutput(**output, finish_reason="time")])
    document = document_of(measures={ERROR_RATE.id: ERROR_RATE}, outputs=[shown])
    text = document_text(document)
    assert text.encode("utf-8").endswith(b"}\n")
    (tmp_path / "compare.json").write_text(text, encoding="utf-8")
    assert read_document(tmp_path) == document
    plain = json.loads(text)
    assert plain["measures"]["error_rate"].keys() == vars(ERROR_RATE).keys() - {"id"}
    assert plain["outputs"][0]["by"] == [output, {**output, "finish_reason": "time"}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "damaged, it does not hold a mapping"),
        ({"format": 1}, "its format is 1, but this seqgen reads 2"),
        ({"systems": [{}]}, r"damaged at systems\.0\.label: Field required"),
        ({"measures": []}, "damaged at measures: "),
        ({"measures": {"bleu": 1}}, r"damaged at measures\.bleu: "),
        ({"seed": "x"}, "damaged at seed: "),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_one_line(change, reason, document_of, tmp_path):
    if isinstance(change, dict):
        change = json.dumps({**json.loads(document_text(document_of())), **change})
    (tmp_path / "compare.json").write_text(change)
    with pytest.raises(CheckpointError, match=rf"compare\.json: {reason}") as caught:
        read_document(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("better", "order"), [("lower", "bac"), ("higher", "abc"), (None, "cab")])
def test_the_systems_with_the_best_first(better, order, document_of):
    values = {"c": {}, "a": {"error_rate": Value(value=0.3)}, "b": {"error_rate": Value(value=0.1)}}
    about = {"run": "r", "decoder": {}, "draws": False, "seeds": [1], "against_baseline": {}}
    systems = [SystemResult(label=label, values=own, **about) for label, own in values.items()]
    measures = {ERROR_RATE.id: replace(ERROR_RATE, better=better)}
    document = document_of(measures=measures, quality="error_rate", systems=systems)
    assert "".join(each.label for each in Results(document).systems) == order
    assert document.system("b") is systems[2]
    assert document.system(None) is None
    assert document.alpha == pytest.approx(0.05)

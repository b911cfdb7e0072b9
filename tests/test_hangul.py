"""Encoder to decoder from recipe to result: every held-out Hangul syllable is spelt right."""

import json
from pathlib import Path

from seqgen.run import RunRequest, run

RECIPE = Path(__file__).parent.parent / "recipes" / "hangul_seq2seq.yaml"


def test_every_syllable_is_right(tmp_path):
    folder = run(RunRequest(str(RECIPE), ["threads=1"], tmp_path / "run"), lambda plan: None)
    result = json.loads((folder / "result.json").read_text())
    assert result["test"]["examples"] == 1117
    assert result["test"]["metrics"]["exact_match"] == 1.0
    assert result["valid"]["metrics"]["exact_match"] == 1.0
    answers = json.loads((folder / "answers.json").read_text())
    assert all([each["output"]] == each["references"] for each in answers)

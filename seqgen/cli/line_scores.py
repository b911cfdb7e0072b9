"""Scoring given rows: the log-probability of each, a line for a row."""

from __future__ import annotations

import warnings
from pathlib import Path

from seqgen.cli.line_formats import json_text
from seqgen.cli.output import line_file
from seqgen.cli.source_lines import read_lines
from seqgen.errors import UsageError
from seqgen.evaluate import RowScore
from seqgen.trained import TrainedRun


def score_lines(trained: TrainedRun, path: Path, output: Path | None, as_json: bool) -> None:
    """Write for each row of a file, in their order, its log-probability and number of tokens."""
    file, name = read_lines(path)
    try:
        scores = trained.score(file, name)
    except ValueError as error:
        raise UsageError(f"--score: {error}; seqgen evaluate scores a text") from None
    form = _json if as_json else _line
    with line_file(output) as write:
        write("".join(form(number, each) for number, each in enumerate(scores, 1)))
    unknown = sum(each.unknown for each in scores)
    if unknown:
        tokens = f"{unknown} token{'s' if unknown > 1 else ''}"
        warnings.warn(f"{tokens} of the targets scored as <unk>", stacklevel=1)


def _line(number: int, row: RowScore) -> str:
    return f"{row.score:.6f}\t{len(row.log_probs)}\n"


def _json(number: int, row: RowScore) -> str:
    return json_text(
        {
            "number": number,
            "score": row.score,
            "tokens": len(row.log_probs),
            "log_probs": list(row.log_probs),
        }
    )

"""Answers as a file: what a model made of each source, beside what would have been right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from seqgen.cli.line_formats import json_text, one_cell
from seqgen.cli.output import Write, line_file
from seqgen.errors import DataError, UsageError
from seqgen.metrics import Answer


@contextmanager
def answers_into(path: Path) -> Iterator[Callable[[Sequence[Answer]], None]]:
    """A context that gives what writes a line for each answer: JSON, or where the file is called
    `.tsv` a table with a title.

    Errors: DataError where there are no answers, SetupError, UsageError.
    """
    if str(path) == "-":
        raise UsageError("--answers must be a file: standard output has the figures")
    with line_file(path) as write:
        yield partial(_write, write, path.suffix == ".tsv")


def _write(write: Write, as_table: bool, answers: Sequence[Answer]) -> None:
    if not answers:
        raise DataError("--answers: this data has no sources, of which outputs could be made")
    if as_table:
        write("right\tscore\tsource\toutput\treferences\n")
        write("".join(_row(each) for each in answers))
    else:
        write("".join(json_text(_as_data(each)) for each in answers))


def _row(answer: Answer) -> str:
    """References stand at the end, in as many columns as there are."""
    texts = [answer.source, answer.output, *answer.references]
    cells = [str(int(_right(answer))), f"{answer.score:.6f}", *map(one_cell, texts)]
    return "\t".join(cells) + "\n"


def _as_data(answer: Answer) -> dict[str, object]:
    return {
        "right": _right(answer),
        "score": answer.score,
        "finished": answer.finished,
        "source": answer.source,
        "output": answer.output,
        "references": list(answer.references),
    }


def _right(answer: Answer) -> bool:
    return answer.output in answer.references

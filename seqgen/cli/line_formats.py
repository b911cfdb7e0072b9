"""How the outputs for a source are written as lines: the best one, a table of all, or JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from seqgen.cli.source_lines import Source
from seqgen.generate import Generated

Format = Callable[[Source, Sequence[Generated]], str]
"""From a source and its outputs, of which there may be none, to the lines that say them."""

_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""What ends a line, for any reader."""

_UNSAFE = {
    code: f"\\u{code:04x}"
    for code in (*range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
"""What JSON would leave as it is although it ends a line, or acts on a terminal."""


def best_line(continues: bool, exact: bool = False) -> Format:
    """One line for each source: its best output, behind the source where the data `continues`.

    What is `exact` keeps the line breaks of an output: for a person, who reads them as text.
    """

    def lines(source: Source, outputs: Sequence[Generated]) -> str:
        before = source.text if continues else ""
        text = before + outputs[0].text if outputs else before
        return (text if exact else one_line(text)) + "\n"

    return lines


def table(source: Source, outputs: Sequence[Generated]) -> str:
    """A line for each output: the number of the source's line, the rank of the output, both from 1,
    its log-probability and its text, with tabs between."""
    rows = [
        f"{source.number}\t{rank}\t{each.hypothesis.score:.6f}\t{one_cell(each.text)}\n"
        for rank, each in enumerate(outputs, 1)
    ]
    return "".join(rows)


def json_line(source: Source, outputs: Sequence[Generated]) -> str:
    """One object for each source."""
    found = [as_data(each) for each in outputs]
    return json_text({"number": source.number, "source": source.text, "outputs": found})


def as_data(output: Generated) -> dict[str, Any]:
    """An output without its source, as plain data."""
    found = output.hypothesis
    return {
        "text": output.text,
        "tokens": list(found.tokens),
        "pieces": list(output.pieces),
        "log_probs": list(found.log_probs),
        "score": found.score,
        "rank": found.score if found.rank is None else found.rank,
        "finished": found.finished,
        "complete": found.complete,
        "satisfied": found.satisfied,
    }


def json_text(value: Any, indent: int | None = None) -> str:
    """A line of JSON, or several, in which nothing acts on a terminal."""
    return json.dumps(value, ensure_ascii=False, indent=indent).translate(_UNSAFE) + "\n"


def one_line(text: str) -> str:
    r"""The text with `\n` for a line break, and the like for all that a reader may take for one.

    A backslash of the text stays one: what must be told apart is told apart in JSON.
    """
    return _BREAKS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def one_cell(text: str) -> str:
    r"""The same, with `\t` for a tab."""
    return one_line(text).replace("\t", "\\t")

"""Lines as sequences of tokens: which are read, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Empty
from seqgen.data.batches import TokenBatch
from seqgen.data.files import TextFile
from seqgen.data.padding import begun, ended, padded
from seqgen.data.row_batches import EncodedRows, text_size
from seqgen.data.rows import Layout, lines_of, read_table, some_lines
from seqgen.errors import DataError
from seqgen.tokenizers.base import Tokenizer


class Line(NamedTuple):
    """The number of a line in its file, and its text."""

    number: int
    text: str


class EncodedLines(NamedTuple):
    """Lines, and the tokens of each with EOS behind."""

    lines: Sequence[Line]
    targets: Sequence[Tensor]

    def batched(self) -> EncodedRows[TokenBatch]:
        """What training and held-out parts are made of."""

        def collate(numbers: Sequence[int]) -> TokenBatch:
            rows = [self.targets[number] for number in numbers]
            targets, lengths = padded(rows)
            return TokenBatch(begun(rows), targets, lengths, numbers=torch.tensor([*numbers]))

        lengths = [(len(row),) for row in self.targets]
        size = text_size([line.text for line in self.lines])
        return EncodedRows(lengths, collate, {"text": self.targets}, "text", size)


def lines_in(
    file: TextFile, name: str, empty: Empty, layout: Layout | None = None
) -> tuple[list[Line], str]:
    """The lines of a text that `empty` allows, and a remark where others were left out or something
    was recognised; with a `layout` the texts of the one column that it reads.

    A line with nothing but white space is empty. Raises DataError, with the line if it is one.
    """
    lines, note = [Line(number, text) for number, text in enumerate(lines_of(file.text), 1)], ""
    if layout is not None:
        rows, note = read_table(file, name, layout)
        lines = [Line(row.line, row.texts[0] if row.texts else "") for row in rows]
        broken = next((line.number for line in lines if "\n" in line.text), None)
        if broken is not None:
            raise DataError(f"{name}:{broken}: the text has an end of a line in it")
    out = [line.number for line in lines if not line.text.strip()]
    if len(out) == len(lines):
        blank = f"{len(lines)} lines, all of them empty" if lines else "an empty file"
        raise DataError(f"{name}: no lines in it ({blank})")
    if not out or empty == "keep":
        return lines, note
    if empty == "error":
        raise DataError(
            f"{name}:{out[0]}: the line is empty (data.empty: drop leaves such lines out, keep "
            "reads them as they are)"
        )
    left_out = f"{len(out)} of {len(lines)} lines are empty and left out ({some_lines(out)})"
    remark = f"{note}; {left_out}" if note else f"{name}: {left_out}"
    return [line for line in lines if line.text.strip()], remark


def encode_lines(
    lines: Sequence[Line], name: str, tokenizer: Tokenizer, seed: Sequence[int] | None = None
) -> EncodedLines:
    """The tokens of `lines`; with a `seed` in pieces drawn from it, where the tokenizer samples.

    Errors: DataError, with the line, for what the tokenizer refuses.
    """
    seeds: list[int] = []
    if seed is not None and tokenizer.samples:
        seeds = np.random.SeedSequence([*seed]).generate_state(len(lines), np.uint64).tolist()
    targets = []
    for place, line in enumerate(lines):
        try:
            tokens = (
                tokenizer.sample(line.text, seeds[place]) if seeds else tokenizer.encode(line.text)
            )
        except ValueError as error:
            raise DataError(f"{name}:{line.number}: {error}") from None
        targets.append(ended(torch.from_numpy(tokens)))
    return EncodedLines(lines, targets)


def within(encoded: EncodedLines, max_length: int | None, name: str) -> tuple[EncodedLines, str]:
    """The lines of at most `max_length` tokens, EOS not counted, and a remark where there are
    others. Errors: DataError where none is left.
    """
    if max_length is None:
        return encoded, ""
    pairs = [*zip(*encoded, strict=True)]
    kept = [(line, row) for line, row in pairs if len(row) - 1 <= max_length]
    out = [line.number for line, row in pairs if len(row) - 1 > max_length]
    if not kept:
        raise DataError(
            f"{name}: all {len(out)} training lines are longer than {max_length} tokens"
        )
    if not out:
        return encoded, ""
    longer = f"{len(out)} of {len(pairs)} lines are longer than {max_length} tokens"
    lines, targets = zip(*kept, strict=True)
    remark = f"{name}: {longer} and left out of training ({some_lines(out)})"
    return EncodedLines(lines, targets), remark

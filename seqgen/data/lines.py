"""The data kind `lines`: each line of a text is a sequence with a begin and an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.data.base import Empty, Example, data, passage
from seqgen.data.batches import Columns, Prompts, TokenBatch, padded, shift_right
from seqgen.data.part_files import TEXT_FILES, SplitName
from seqgen.data.rows import Epoch, NamedFiles, Part, RowData
from seqgen.data.tables import Layout, Place, format_of, lines_of, read_table, some_lines
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers import BOS, Tokenizers


class Line(NamedTuple):
    """The number of a line in its file, and its text."""

    line: int
    text: str


def lines_in(
    file: TextFile, name: str, empty: Empty, layout: Layout | None = None
) -> tuple[list[Line], str]:
    """The lines of a text that `empty` allows, with a remark on what was left out or recognised.

    With a `layout` they are the texts of the one column that it reads. A line of nothing but white
    space is empty. Raises DataError, with the line if it is one.
    """
    lines, note = [Line(number, text) for number, text in enumerate(lines_of(file.text), 1)], ""
    if layout is not None:
        rows, note = read_table(file, name, layout)
        lines = [Line(row.line, row.texts[0] if row.texts else "") for row in rows]
        broken = next((each.line for each in lines if "\n" in each.text), None)
        if broken is not None:
            raise DataError(f"{name}:{broken}: the text has an end of a line in it")
    out = [each.line for each in lines if not each.text.strip()]
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
    return [each for each in lines if each.text.strip()], remark


@data.register("lines")
@dataclass(eq=False)
class LinesData(RowData[Line, TokenBatch]):
    """Lines of text, each a sequence of its own: names, titles, sentences.

    A model reads BOS and the line, and predicts the line and EOS. `empty` says what to do with
    lines of nothing but spaces: they are left out with a remark (`drop`), an `error`, or kept.
    Training leaves out lines of more than `max_length` tokens, EOS not counted; held-out ones stay.
    With `column`, its number or name, the texts are those of one column of a table, whose `format`
    and `header` are recognised unless they are given. A batch is `batch_size` lines, or up to
    `batch_tokens` tokens with the padding.
    """

    column: Place | None = None
    empty: Empty = "drop"
    max_length: Size | None = None

    ends = True
    continues = True
    noun = "lines"
    sorted_by = ("text",)
    usual_files = TEXT_FILES

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout: Layout | None = None
        if self.column is not None:
            self._layout = Layout({"text": self.column}, self.format, self.header)
        elif (self.format, self.header) != ("auto", "auto"):
            raise ValueError("`column` must say what is read where `format` or `header` is given")

    def parse(self, files: NamedFiles, empty: Empty) -> tuple[list[Line], Iterable[str]]:
        if len(files) > 1:
            names = ", ".join(name for _, name in files)
            raise DataError(f"{names}: lines must be in one file, not in {len(files)}")
        [(file, name)] = files
        lines, remark = lines_in(file, name, empty, self._layout)
        if self._layout is not None or format_of(name) == "tsv":
            return lines, filter(None, [remark])
        plain = "read as plain lines; column: NAME reads one column of the table"
        return lines, filter(None, [remark, f"{name}: {plain}"])

    def encode_rows(self, part: Part[Line], tokenizers: Tokenizers, epoch: Epoch) -> Columns:
        return {"text": self.encode_targets(part, tokenizers, epoch)}

    def collate(self, columns: Columns, places: Tensor) -> TokenBatch:
        rows = columns["text"]
        return TokenBatch(shift_right(rows), *padded(rows), row_ids=places)

    def identity(self, row: Line) -> object:
        return row.text

    def target_of(self, row: Line) -> str:
        return row.text

    def limits(self) -> Mapping[str, int | None]:
        return {f"{self.max_length} tokens": self.max_length}

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Prompts:
        """BOS and the text that a line begins with. Raises ValueError if it has a line break."""
        if any("\n" in text or "\r" in text for text in texts):
            raise ValueError("`text` must be the beginning of a line, but has a line break in it")
        rows = [tokenizers["text"].encode(text) for text in texts]
        return Prompts(*padded([torch.tensor([BOS, *row.tolist()]) for row in rows]))

    def passages(
        self, name: SplitName, tokenizers: Tokenizers, prompt_size: int | None, length: int
    ) -> Sequence[Example]:
        """A line each, whole however long; a prompt is empty unless its size is given."""
        part, tokenizer = self.part(name), tokenizers["text"]
        encoded = (tokenizer.encode(row.text).tolist() for row in part.rows) if part else ()
        return [passage(tokens, prompt_size or 0, tokenizer) for tokens in encoded]

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """What the tokens add after the prompt."""
        tokenizer = tokenizers["text"]
        return tokenizer.continuation(tokenizer.encode(prompt).tolist(), tokens)

"""The data kind `lines`: each line of a text is a sequence with a begin and an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Data, Empty, Example, SplitName, data, passage
from seqgen.data.batches import Prompts, TokenBatch, begun, ended, padded
from seqgen.data.row_batches import Buckets, EncodedRows, RowSplit, RowTraining, text_size
from seqgen.data.row_files import PartName, RowFiles
from seqgen.data.tables import Layout, Place, format_of, lines_of, read_table, some_lines
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers import BOS, Tokenizer, Tokenizers

# Lines as sequences of tokens: which are read, and batches of them.


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


@data.register("lines")
@dataclass(eq=False)
class LinesData(RowFiles[Line], Data[TokenBatch]):
    """Lines of a text, each of them a whole: names, titles, sentences.

    A model reads BOS and the line, and predicts the line and EOS. `empty` says what becomes of
    lines with nothing but spaces: they are left out with a remark (`drop`), an `error`, or kept.
    Training leaves out lines of more than `max_length` tokens, EOS not counted; held-out ones stay.
    With `column`, its number or name, the texts are those of one column of a table. A batch is
    `batch_size` lines, or up to `batch_tokens` tokens with the padding.
    """

    column: Place | None = None
    empty: Empty = "drop"
    max_length: Size | None = None
    batch_size: Size = 64
    batch_tokens: Size | None = None
    seed: int = 0

    ends = True
    continues = True
    usual_files: ClassVar[Mapping[PartName, str]] = MappingProxyType(
        {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._layout: Layout | None = None
        if self.column is not None:
            self._layout = Layout({"text": self.column}, self.format, self.header)
        elif (self.format, self.header) != ("auto", "auto"):
            raise ValueError("`column` must say what is read where `format` or `header` is given")
        self._remarks: dict[str, str] = {}

    def parsed(self, files: Sequence[TextFile], names: Sequence[str]) -> list[Line]:
        """The lines of a part, which is one file."""
        if len(files) > 1:
            raise DataError(f"{', '.join(names)}: lines must be in one file, not in {len(files)}")
        lines, remark = lines_in(files[0], names[0], self.empty, self._layout)
        self._remarks[f"empty in {names[0]}"] = remark
        if self._layout is None and format_of(names[0]) != "tsv":
            plain = "read as plain lines; column: NAME reads one column of the table"
            self._remarks[f"layout of {names[0]}"] = f"{names[0]}: {plain}"
        return lines

    def identity(self, row: Line) -> object:
        """The text: no line of training is held out, too."""
        return row.text

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The training lines, those that are too long included."""
        return {"text": [line.text for line in self.training_part.rows]}

    def training(self, tokenizers: Tokenizers) -> RowTraining[TokenBatch]:
        """Lines of about one length together. Where the tokenizer samples, each epoch reads them
        in pieces drawn from the seed and the number of the epoch."""
        part, tokenizer = self.training_part, tokenizers["text"]

        def encoded(epoch: int, lines: Sequence[Line]) -> EncodedLines:
            return encode_lines(lines, part.name, tokenizer, (self.seed, epoch))

        kept, remark = within(encoded(0, part.rows), self.max_length, part.name)
        self._remarks["long"] = remark
        rows = kept.batched()
        buckets = Buckets(rows.lengths, self.batch_size, self.batch_tokens, self.seed)
        draw = (lambda epoch: encoded(epoch, kept.lines).batched()) if tokenizer.samples else None
        return RowTraining(rows, buckets, draw)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> RowSplit[TokenBatch] | None:
        """All lines of the part. There are no examples: nothing is given, so nothing is right."""
        part = self.part(name)
        if part is None:
            return None
        return RowSplit(encode_lines(part.rows, part.name, tokenizers["text"]).batched(), ())

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Prompts:
        """BOS and the text, with which a line begins. Errors: ValueError for a line break."""
        if any("\n" in text or "\r" in text for text in texts):
            raise ValueError("`text` must be the beginning of a line, but has a line break in it")
        rows = [tokenizers["text"].encode(text) for text in texts]
        return Prompts(*padded([torch.tensor([BOS, *row.tolist()]) for row in rows]))

    def given(self, file: TextFile, name: str, tokenizers: Tokenizers) -> RowSplit[TokenBatch]:
        """All lines of the text, the empty ones, too."""
        lines, _ = lines_in(file, name, "keep", self._layout)
        return RowSplit(encode_lines(lines, name, tokenizers["text"]).batched(), ())

    def passages(
        self, name: SplitName, tokenizers: Tokenizers, prompt_size: int | None, length: int
    ) -> Sequence[Example]:
        """A line each, whole however long; a prompt is empty where no size is said."""
        part, tokenizer = self.part(name), tokenizers["text"]
        if part is None:
            return ()
        encoded = (tokenizer.encode(line.text).tolist() for line in part.rows)
        return [passage(tokens, prompt_size or 0, tokenizer) for tokens in encoded]

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """What the tokens add behind the prompt."""
        tokenizer = tokenizers["text"]
        return tokenizer.continuation(tokenizer.encode(prompt).tolist(), tokens)

    def fingerprint(self) -> dict[str, str]:
        """Of the files, or of the corpus."""
        return self.hashes()

    def remarks(self) -> tuple[str, ...]:
        """Files that are not there or have faults, and lines that are left out."""
        return (*self.file_remarks(), *filter(None, self._remarks.values()))

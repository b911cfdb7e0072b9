"""The data kind `lines`: each line of a text is a sequence with a begin and an end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch

from seqgen.data.base import Data, Empty, Example, SplitName, data
from seqgen.data.batches import Prompts, TokenBatch
from seqgen.data.buckets import Buckets
from seqgen.data.files import TextFile
from seqgen.data.line_rows import EncodedLines, Line, encode_lines, lines_in, within
from seqgen.data.padding import padded
from seqgen.data.passages import passage
from seqgen.data.row_batches import RowSplit, RowTraining
from seqgen.data.row_files import PartName, RowFiles
from seqgen.data.rows import Layout, Place, format_of
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers.base import BOS, Tokenizers


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

"""The data kind `text`: one long stream, cut into train, valid and test where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from seqgen.data.base import Data, Dataset, Prompts, TextSize, TokenBatch, Training, data
from seqgen.data.corpora import CorpusFactory
from seqgen.data.files import TextFile, read_text
from seqgen.data.stream import StreamSplit
from seqgen.data.windows import Lanes, RandomWindows
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers.base import BOS, UNK, Tokenizer

Fraction = Annotated[float, Field(ge=0, le=1)]


@data.register("text")
class TextData(Data[TokenBatch]):
    """One long text, from a named `corpus` or from a file (`path`, which comes first).

    `split` says what shares of it are train, valid and test, in the order of the text. Training
    reads `batch_size` rows of `window` tokens at a time: `windows: lanes` cuts the text into
    `batch_size` lanes that are read side by side with the state carried from batch to batch
    (truncated backpropagation); `windows: random` draws windows anywhere, each from a zero state.
    """

    ends = False

    def __init__(
        self,
        corpus: CorpusFactory | None = None,
        path: Path | None = None,
        split: tuple[Fraction, Fraction, Fraction] = (0.8, 0.1, 0.1),
        windows: Literal["lanes", "random"] = "lanes",
        batch_size: Size = 32,
        window: Size = 64,
        errors: Literal["strict", "replace"] = "strict",
        seed: int = 0,
    ) -> None:
        if corpus is None and path is None:
            raise ValueError("`corpus` or `path` must say where the text comes from")
        if split[0] <= 0 or round(sum(split), 6) > 1:
            shares = list(split)
            raise ValueError(f"`split` must be shares of 1 with some for training, but is {shares}")
        self.corpus = corpus() if corpus is not None and path is None else None
        self.path = path
        self.name = self.corpus.name if self.corpus is not None else str(path)
        self.split = split
        self.windows = windows
        self.batch_size = batch_size
        self.window = window
        self.errors = errors
        self.seed = seed

    def training_texts(self) -> Iterable[str]:
        """The training part."""
        return [self._parts[0]]

    def encode(self, tokenizer: Tokenizer) -> Dataset[TokenBatch]:
        """Each part as tokens; a held-out part starts behind the last token of the part before."""
        train, valid, test = (torch.from_numpy(tokenizer.encode(part)) for part in self._parts)
        sizes = [TextSize(len(part), len(part.encode())) for part in self._parts]
        first = train.new_tensor([BOS])
        return Dataset(
            self._training(torch.cat([first, train])),
            _held_out(train, valid, sizes[1]),
            _held_out(torch.cat([train, valid]), test, sizes[2]),
            sizes[0],
        )

    def prompts(self, texts: Sequence[str], tokenizer: Tokenizer) -> Prompts:
        """Each text as it is; an empty one starts from BOS, as the stream does."""
        rows = [torch.from_numpy(tokenizer.encode(text)) for text in texts]
        rows = [row if len(row) else row.new_tensor([BOS]) for row in rows]
        return Prompts(
            torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
            torch.tensor([len(row) for row in rows]),
        )

    def fingerprint(self) -> dict[str, str]:
        """Of the file or corpus, as bytes."""
        return {self.name: self._file.sha256}

    @cached_property
    def _file(self) -> TextFile:
        if self.corpus is not None:
            return self.corpus.read()
        assert self.path is not None
        return read_text(self.path, self.errors)

    @cached_property
    def _parts(self) -> tuple[str, str, str]:
        text = self._file.text
        if not text.strip():
            raise DataError(f"{self.name}: no text in it ({len(text)} characters)")
        shares = self.split
        ends = [int(round(len(text) * sum(shares[: i + 1]), 6)) for i in range(3)]
        return text[: ends[0]], text[ends[0] : ends[1]], text[ends[1] : ends[2]]

    def _training(self, tokens: Tensor) -> Training[TokenBatch]:
        lanes = self.windows == "lanes"
        # A token to predict for each place; lanes may start up to `window - 1` later each epoch.
        needed = self.batch_size * self.window + self.window if lanes else self.window + 1
        if len(tokens) - 1 < needed:
            raise DataError(
                f"{self.name}: {len(tokens) - 1} training tokens are too few: batch_size "
                f"{self.batch_size} and window {self.window} need at least {needed}"
            )
        kind = Lanes if lanes else RandomWindows
        return kind(tokens, self.batch_size, self.window, self.seed)


def _held_out(before: Tensor, tokens: Tensor, size: TextSize) -> StreamSplit | None:
    """A part that is predicted from its first token on: it reads the last one before it first."""
    if not len(tokens):
        return None
    unknown = int((tokens == UNK).sum())
    return StreamSplit(torch.cat([before[-1:], tokens]), size, unknown)

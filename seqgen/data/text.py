"""The data kind `text`: one long stream, cut into train, valid and test where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from seqgen.data.base import Data, Example, SplitName, TextSize, Training, data
from seqgen.data.batches import Prompts, TokenBatch
from seqgen.data.corpora import CorpusFactory
from seqgen.data.epochs import Epochs
from seqgen.data.files import TextFile, read_text, replaced_remark
from seqgen.data.passages import passage
from seqgen.data.stream import StreamSplit
from seqgen.data.windows import Lanes, RandomWindows, Window
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers.base import BOS, PAD, UNK, Tokenizers

USUAL_PROMPT_SIZE = 50
"""Tokens of a passage that are its prompt."""

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
    continues = True

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

    def training_texts(self) -> dict[str, Iterable[str]]:
        """The training part."""
        return {"text": [self._parts["train"]]}

    def training(self, tokenizers: Tokenizers) -> Training[TokenBatch]:
        """Lanes or random windows of the training part, which begins with BOS.

        Where the tokenizer samples, each epoch reads the text in pieces drawn from the seed and
        the number of the epoch.
        """
        train, tokenizer = self._parts["train"], tokenizers["text"]

        def draw(epoch: int) -> Tensor:
            seed = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
            tokens = torch.from_numpy(tokenizer.sample(train, int(seed[0])))
            return torch.cat([tokens.new_tensor([BOS]), tokens])

        epochs = Epochs(draw(0), draw if tokenizer.samples else None)
        found = len(epochs.first) - 1
        lanes = self.windows == "lanes"
        # A token to predict for each place; lanes may start up to `window - 1` later each epoch.
        needed = self.batch_size * self.window + self.window if lanes else self.window + 1
        if found < needed:
            raise DataError(
                f"{self.name}: {found} training tokens are too few: batch_size "
                f"{self.batch_size} and window {self.window} need at least {needed}"
            )
        kind = Lanes if lanes else RandomWindows
        return kind(epochs, _size(train), Window(self.batch_size, self.window), self.seed)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> StreamSplit | None:
        """The part from its first token on, which is predicted from the last one before it."""
        part, before = self._parts[name], self._before(name)
        if not part:
            return None
        tokens = _encoded(part, tokenizers)
        # A token takes in 100 characters at most but for odd cases, where BOS serves as well.
        context = _encoded(before[-100:], tokenizers)[-1:]
        if not len(context):
            context = tokens.new_tensor([BOS])
        if not len(tokens):
            raise DataError(f"{self.name}: the {name} part has no tokens ({len(part)} characters)")
        unknown = int((tokens == UNK).sum())
        return StreamSplit(torch.cat([context, tokens]), _size(part), unknown)

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Prompts:
        """Each text as it is; an empty one starts from BOS, as the stream does."""
        rows = [_encoded(text, tokenizers) for text in texts]
        rows = [row if len(row) else row.new_tensor([BOS]) for row in rows]
        lengths = [len(row) for row in rows]
        tokens = torch.full((len(rows), max(lengths, default=1)), PAD)
        for place, row in zip(tokens, rows, strict=True):
            place[: len(row)] = row
        return Prompts(tokens, torch.tensor(lengths, dtype=torch.long))

    def passages(
        self, name: SplitName, tokenizers: Tokenizers, prompt_size: int | None, length: int
    ) -> Sequence[Example]:
        """As many as there is room for, evenly spread; a prompt usually has 50 tokens."""
        split = self.held_out(name, tokenizers)
        if split is None:
            return ()
        prompt_size = USUAL_PROMPT_SIZE if prompt_size is None else prompt_size
        size, tokens = max(1, prompt_size + length), split.stream[1:].tolist()
        count = len(tokens) // size
        # Of 23 tokens, 2 passages of 10 begin at 0 and 11: what is left over goes between them.
        begins = [len(tokens) * place // count for place in range(count)]
        return [
            passage(tokens[begin : begin + size], prompt_size, tokenizers["text"])
            for begin in begins
        ]

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """What the tokens add behind the prompt."""
        tokenizer = tokenizers["text"]
        return tokenizer.continuation(tokenizer.encode(prompt).tolist(), tokens)

    def remarks(self) -> tuple[str, ...]:
        """Faults of the encoding."""
        count = self._file.replaced
        return (replaced_remark(self.name, count),) if count else ()

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
    def _parts(self) -> dict[str, str]:
        text = self._file.text
        if not text.strip():
            raise DataError(f"{self.name}: no text in it ({len(text)} characters)")
        shares = self.split
        ends = [int(round(len(text) * sum(shares[: i + 1]), 6)) for i in range(3)]
        begins = [0, *ends]
        names = ("train", "valid", "test")
        return {n: text[a:b] for n, a, b in zip(names, begins, ends, strict=False)}

    def _before(self, name: SplitName) -> str:
        """The text that stands before a held-out part."""
        parts = self._parts
        return parts["valid"] or parts["train"] if name == "test" else parts["train"]


def _encoded(text: str, tokenizers: Tokenizers) -> Tensor:
    return torch.from_numpy(tokenizers["text"].encode(text))


def _size(text: str) -> TextSize:
    return TextSize(len(text), len(text.encode()))

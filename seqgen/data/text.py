"""The data kind `text`: one long stream a part, cut out of one text or from files of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Data, Example, SplitName, TextSize, Training, data
from seqgen.data.batches import Prompts, TokenBatch
from seqgen.data.epochs import Epochs
from seqgen.data.files import TextFile
from seqgen.data.passages import passage
from seqgen.data.row_files import PART_NAMES, PartFiles, PartName
from seqgen.data.stream import StreamSplit
from seqgen.data.windows import Lanes, RandomWindows, Window
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers.base import BOS, PAD, UNK, Tokenizers

USUAL_PROMPT_SIZE = 50
"""Tokens of a passage that are its prompt."""


@data.register("text")
@dataclass(eq=False)
class TextData(PartFiles, Data[TokenBatch]):
    """Running text: one that is cut into its parts where it stands, or a text for each part.

    A `path` that is one file, and a named `corpus` (which a path comes before), are cut into train,
    valid and test in the order of the text, as `split` says. `path` may also be a directory with
    a file for each part, or `train`, `valid` and `test` name them: then each part begins anew.
    A pattern such as `texts/*.txt` stands for all files that fit it, by name, and `train`, `valid`
    and `test` may be lists; several files are read one behind the other.

    Training reads `batch_size` rows of `window` tokens at a time: `windows: lanes` cuts the text
    into `batch_size` lanes that are read side by side with the state carried from batch to batch
    (truncated backpropagation); `windows: random` draws windows anywhere, each from a zero state.
    """

    windows: Literal["lanes", "random"] = "lanes"
    batch_size: Size = 32
    window: Size = 64
    seed: int = 0

    ends = False
    continues = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._names: dict[PartName, str] = {}
        self._remarks: dict[str, str] = {}

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
                f"{self._names['train']}: {found} training tokens are too few: batch_size "
                f"{self.batch_size} and window {self.window} need at least {needed}"
            )
        kind = Lanes if lanes else RandomWindows
        return kind(epochs, _size(train), Window(self.batch_size, self.window), self.seed)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> StreamSplit | None:
        """The part from its first token on, which is predicted from the last one before it; from
        BOS where the part is a text of its own."""
        part, before = self._parts[name], self._before(name)
        if not part:
            return None
        tokens = _encoded(part, tokenizers)
        # A token takes in 100 characters at most but for odd cases, where BOS serves as well.
        context = _encoded(before[-100:], tokenizers)[-1:]
        if not len(context):
            context = tokens.new_tensor([BOS])
        if not len(tokens):
            raise DataError(
                f"{self._names[name]}: the {name} part has no tokens ({len(part)} characters)"
            )
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
        """Files that are not there, are in two parts or have faults, and parts that are empty."""
        return (*self.file_remarks(), *self._remarks.values())

    def fingerprint(self) -> dict[str, str]:
        """Of each file, or of the corpus, as bytes."""
        _ = self._parts
        return dict(self._hashes)

    @cached_property
    def _parts(self) -> dict[PartName, str]:
        """The text of each part, of held-out ones perhaps none. Raises DataError."""
        if self.files is None:
            text, name = _joined(self.read_undivided())
            ends = [int(round(len(text) * sum(self.split[: i + 1]), 6)) for i in range(3)]
            parts = [(text[a:b], name) for a, b in zip([0, *ends], ends, strict=False)]
        else:
            parts = [_joined(map(self.read, self.files[part])) for part in PART_NAMES]
            text, name = parts[0]
        if not text.strip():
            raise DataError(f"{name}: no text in it ({len(text)} characters)")
        found: dict[PartName, str] = {}
        for part, share, (text, name) in zip(PART_NAMES, self.split, parts, strict=True):
            found[part], self._names[part] = text, name
            # A file with nothing but white space has no text; a share of a text has what it has.
            wanted, content = (self.files[part], text.strip()) if self.files else (share, text)
            if wanted and not content:
                found[part] = ""
                self._remarks[part] = f"{name}: no text for the {part} part, so there is none"
        return found

    def _before(self, name: SplitName) -> str:
        """The text that stands before a held-out part."""
        parts = self._parts
        if self.files is not None:
            return ""
        return parts["valid"] or parts["train"] if name == "test" else parts["train"]


def _joined(files: Iterable[tuple[TextFile, str]]) -> tuple[str, str]:
    """The texts one behind the other, each from the begin of a line, and their names."""
    texts, names = [], []
    for file, name in files:
        texts.append(file.text)
        names.append(name)
    first = [text + "\n" * (not text.endswith("\n") and bool(text)) for text in texts[:-1]]
    shown = ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more files"
    return "".join([*first, *texts[-1:]]), shown


def _encoded(text: str, tokenizers: Tokenizers) -> Tensor:
    return torch.from_numpy(tokenizers["text"].encode(text))


def _size(text: str) -> TextSize:
    return TextSize(len(text), len(text.encode()))

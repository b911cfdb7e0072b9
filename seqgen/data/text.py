"""The data kind `text`: one long stream a part, cut out of one text or from files of their own."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from seqgen.data.base import Data, Example, Split, TextSize, Training, Visit, data, passage
from seqgen.data.batches import Epochs, Prompts, TokenBatch, padded
from seqgen.data.part_files import PART_NAMES, PartFiles, PartName, SplitName
from seqgen.data.stored_ids import ids_of
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.state import State, leaves, reorder, select
from seqgen.tokenizers import BOS, UNK, Counts, LongText, Tokenizers, count_ids

WINDOW = 256
"""How many tokens of each lane a visit reads; it bounds the memory and changes no result."""

SHORTEST_LANE = 512
"""Lanes this long forget how they began, so that two passes over them usually suffice."""

TOLERANCE = 1e-5
"""How far two states may be apart, relative to max(1, |state|), to count as the same.

Below about 2e-6 two readings of one lane differ by rounding alone: a closer look never ends.
"""

USUAL_PROMPT_SIZE = 50
"""Tokens of a passage that are its prompt."""

R = TypeVar("R")


class _StreamTraining(Training[TokenBatch], ABC):
    """Windows of a stream, as long in each epoch; its first token is read, not predicted."""

    def __init__(
        self, epochs: Epochs[Tensor], size: TextSize, *, rows: int, window: int, seed: int
    ) -> None:
        self.tokens = len(epochs.first) - 1
        self.size = size
        self._epochs = epochs
        self._rows, self._window, self._seed = rows, window, seed

    def counts(self) -> dict[str, Counts]:
        return {"text": count_ids(self._epochs.first[1:].numpy())}


class Lanes(_StreamTraining):
    """`rows` lanes side by side, read window by window with the state carried.

    With 2 lanes and a window of 3, the stream a b c d e f g h i j k l m n o is read as
    `[abc, ghi]` to predict `[bcd, hij]`, then `[def, jkl]` to predict `[efg, klm]`. Each epoch
    after the first begins at another offset, drawn from the seed, so that windows do not always
    end at the same places; n and o leave room for the largest.
    """

    def __init__(self, epochs: Epochs[Tensor], size: TextSize, **options: int) -> None:
        super().__init__(epochs, size, **options)
        # Every epoch has as many steps: lanes leave room for the largest offset, window - 1.
        self._length = (self.tokens - (self._window - 1)) // self._rows
        self.steps_per_epoch = -(-self._length // self._window)

    def batch(self, step: int) -> TokenBatch:
        """Window `step % steps_per_epoch` of all lanes; the state is carried within an epoch."""
        epoch, index = divmod(step, self.steps_per_epoch)
        rows, window = self._rows, self._window
        drawn = np.random.default_rng([self._seed, epoch]).integers(window)
        first, size = int(drawn) if epoch else 0, rows * self._length
        stream = self._epochs.read(epoch)
        inputs = stream[first : first + size].view(rows, self._length)
        targets = stream[first + 1 : first + 1 + size].view(rows, self._length)
        here = slice(index * window, (index + 1) * window)
        batch = inputs[:, here].long(), targets[:, here].long()
        return TokenBatch(*batch, None, continues=index > 0)


class RandomWindows(_StreamTraining):
    """`rows` windows anywhere in the stream, each read from the initial state."""

    def __init__(self, epochs: Epochs[Tensor], size: TextSize, **options: int) -> None:
        super().__init__(epochs, size, **options)
        self.steps_per_epoch = -(-self.tokens // (self._rows * self._window))
        self._places = torch.arange(self._window)

    def batch(self, step: int) -> TokenBatch:
        """Windows drawn from the seed and the step alone."""
        draw = np.random.default_rng([self._seed, step])
        starts = draw.integers(self.tokens - self._window + 1, size=(self._rows, 1))
        places = torch.from_numpy(starts) + self._places
        stream = self._epochs.read(step // self.steps_per_epoch)
        return TokenBatch(stream[places].long(), stream[places + 1].long())


class StreamSplit(Split[TokenBatch]):
    """A held-out stream; its first token is read, not predicted."""

    def __init__(self, tokens: Tensor, size: TextSize, unknown: int) -> None:
        self.tokens = len(tokens) - 1
        self.size = size
        self.unknown = unknown
        self.stream = tokens

    def walk(
        self, visit: Visit[TokenBatch, R], initial_state: Callable[[int], State], batch_size: int
    ) -> list[R]:
        """Read the stream in up to `batch_size` lanes, each from its true state.

        A lane's true first state is the last one of the lane before, which is not known before
        that one is read. So first states are guessed from the last 256 tokens of the lane before,
        all lanes are read, and it is checked that each began where the one before ended. Lanes
        that did not are read again from there. After k passes the first k lanes are exact by
        induction; usually the first pass already is, since recurrent states forget. What the
        division leaves over is read last.
        """
        rows = max(1, min(batch_size, self.tokens // SHORTEST_LANE))
        length = self.tokens // rows
        size = rows * length
        inputs = self.stream[:size].view(rows, length)
        targets = self.stream[1 : size + 1].view(rows, length)

        def read(state: State, first: int) -> tuple[list[R], State]:
            """Visit the tokens of each lane from `first` on."""
            results = []
            for begin in range(first, length, WINDOW):
                here = slice(begin, begin + WINDOW)
                tokens = inputs[:, here].long(), targets[:, here].long()
                batch = TokenBatch(*tokens, continues=True)
                result, state = visit(batch, state)
                results.append(result)
            return results, state

        starts = initial_state(rows)
        if rows > 1:
            _, guesses = read(starts, max(0, length - WINDOW))
            starts = _moved_down(guesses, starts)
        for _ in range(rows):
            results, ends = read(starts, 0)
            expected = _moved_down(ends, initial_state(rows))
            if _same(starts, expected):
                break
            starts = expected
        if size < self.tokens:
            device = next((leaf.device for leaf in leaves(ends)), None)
            last = reorder(ends, torch.tensor([rows - 1], device=device))
            rest = self.stream[size:].long().unsqueeze(0)
            results.append(visit(TokenBatch(rest[:, :-1], rest[:, 1:], continues=True), last)[0])
        return results


def _moved_down(ends: State, initial: State) -> State:
    """The state each lane should start in: lane 0 the initial one, lane k the end of lane k - 1."""
    tensors = list(leaves(ends))
    if not tensors:
        return initial
    rows = torch.arange(tensors[0].shape[0], device=tensors[0].device)
    return select(rows == 0, initial, reorder(ends, (rows - 1).clamp(min=0)))


def _same(one: State, other: State) -> bool:
    for first, second in zip(leaves(one), leaves(other), strict=True):
        a, b = first.double(), second.double()
        if not ((a == b) | ((a - b).abs() <= TOLERANCE * b.abs().clamp(min=1))).all():
            return False
    return True


@data.register("text")
@dataclass(eq=False)
class TextData(PartFiles, Data[TokenBatch]):
    """Running text: one that is divided into its parts in order, or one for each part.

    A `path` that is one file, and a named `corpus` (which a path comes before), are cut into train,
    valid and test in the order of the text, as `split` says. `path` may also be a directory with
    a file for each part, or `train`, `valid` and `test` name them: then each part begins anew.
    A pattern such as `texts/*.txt` stands for all files that fit it, by name, and `train`, `valid`
    and `test` may be lists; several files are read one after the other.

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
    contents = "text comes"
    usual_files = ("train.txt", "valid.txt", "test.txt")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._names: dict[PartName, str] = {}

    def training_texts(self) -> dict[str, Iterable[str]]:
        train = self._parts["train"]
        return {"text": train if train.large else [str(train)]}

    def training(self, tokenizers: Tokenizers) -> Training[TokenBatch]:
        """Lanes or random windows of the training part, which begins with BOS.

        If the tokenizer samples, each epoch reads the text in pieces drawn from the seed and the
        number of the epoch.
        """
        train, tokenizer = self._parts["train"], tokenizers["text"]

        def draw(epoch: int) -> Tensor:
            seed = np.random.SeedSequence([self.seed, epoch]).generate_state(1, np.uint64)
            tokens = torch.from_numpy(tokenizer.sample(str(train), int(seed[0])))
            return torch.cat([tokens.new_tensor([BOS]), tokens])

        first = draw(0) if tokenizer.samples else ids_of(train, tokenizer, BOS)
        found = len(first) - 1  # BOS is not predicted
        lanes = self.windows == "lanes"
        # A token to predict for each place; lanes may start up to `window - 1` later each epoch.
        needed = self.batch_size * self.window + self.window if lanes else self.window + 1
        if found < needed:
            raise DataError(
                f"{self._names['train']}: {found} training tokens are too few: batch_size "
                f"{self.batch_size} and window {self.window} need at least {needed}"
            )
        later = (lambda epoch: resized(draw(epoch), len(first))) if tokenizer.samples else None
        kind = Lanes if lanes else RandomWindows
        size, rows = TextSize(train.chars, train.bytes), self.batch_size
        return kind(Epochs(first, later), size, rows=rows, window=self.window, seed=self.seed)

    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> StreamSplit | None:
        """The part as a stream. Its first token is predicted from the token before it, or from BOS
        if the part is a text of its own."""
        part = self._parts[name]
        if not part.chars:
            return None
        context = []
        if self.files is None:  # one text is divided
            held = self._parts["valid"]
            before = held if name == "test" and held.chars else self._parts["train"]
            # A token takes in 100 characters at most but for odd cases, where BOS serves as well.
            end = before.part(before.chars - 100, before.chars)
            context = _encoded(str(end), tokenizers)[-1:].tolist()
        stream = ids_of(part, tokenizers["text"], context[0] if context else BOS)
        if len(stream) == 1:
            found = f"the {name} part has no tokens ({part.chars} characters)"
            raise DataError(f"{self._names[name]}: {found}")
        blocks = torch.split(stream[1:], 1 << 20)  # a large one is not compared at once
        unknown = sum(int(tokens.eq(UNK).sum()) for tokens in blocks)
        return StreamSplit(stream, TextSize(part.chars, part.bytes), unknown)

    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Prompts:
        """Each text as it is; an empty one starts from BOS, as the stream does."""
        rows = [_encoded(text, tokenizers) for text in texts]
        return Prompts(*padded([row if len(row) else row.new_tensor([BOS]) for row in rows]))

    def passages(
        self, name: SplitName, tokenizers: Tokenizers, prompt_size: int | None, length: int
    ) -> Sequence[Example]:
        """As many as there is room for, evenly spread; a prompt usually has 50 tokens."""
        split = self.held_out(name, tokenizers)
        if split is None:
            return ()
        prompt_size = USUAL_PROMPT_SIZE if prompt_size is None else prompt_size
        size, tokens = max(1, prompt_size + length), split.stream[1:]
        count = len(tokens) // size
        # Of 23 tokens, 2 passages of 10 begin at 0 and 11: what is left over goes between them.
        begins = [len(tokens) * place // count for place in range(count)]
        return [
            passage(tokens[begin : begin + size].tolist(), prompt_size, tokenizers["text"])
            for begin in begins
        ]

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """What the tokens add after the prompt."""
        tokenizer = tokenizers["text"]
        return tokenizer.continuation(tokenizer.encode(prompt).tolist(), tokens)

    def fingerprint(self) -> dict[str, str]:
        _ = self._parts
        return dict(self._hashes)

    @cached_property
    def _parts(self) -> dict[PartName, LongText]:
        """The text of each part, of held-out ones perhaps none. Raises DataError."""
        if self.files is None:
            text, name = _joined(self._undivided())
            ends = [int(round(text.chars * sum(self.split[: i + 1]), 6)) for i in range(3)]
            parts = [(text.part(a, b), name) for a, b in zip([0, *ends], ends, strict=False)]
        else:
            parts = [_joined(map(self.read_long, self.files[part])) for part in PART_NAMES]
            text, name = parts[0]
        if text.blank:
            raise DataError(f"{name}: no text in it ({text.chars} characters)")
        found: dict[PartName, LongText] = {}
        for part, share, (text, name) in zip(PART_NAMES, self.split, parts, strict=True):
            found[part], self._names[part] = text, name
            # A file with nothing but white space has no text; a share of a text has what it has.
            wanted, empty = (
                (self.files[part], text.blank) if self.files else (share, not text.chars)
            )
            if wanted and empty:
                found[part] = LongText.of("")
                self._remark(f"{name}: no text for the {part} part, so there is none")
        return found

    def _undivided(self) -> Iterable[tuple[LongText, str]]:
        files = self.undivided()
        if files:
            return map(self.read_long, files)
        corpus, name = self.read_corpus()
        return [(LongText.of(corpus.text), name)]


def resized(stream: Tensor, size: int) -> Tensor:
    """The first `size` tokens of a stream, which begins again if it is shorter."""
    return stream.repeat(-(-size // len(stream)))[:size]


def _joined(files: Iterable[tuple[LongText, str]]) -> tuple[LongText, str]:
    """The texts one after the other, each at the beginning of a line, and their names."""
    files = [*files]
    texts, names = [text for text, _ in files], [name for _, name in files]
    shown = ", ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more files"
    if len(texts) == 1:
        return texts[0], shown
    every: list[LongText] = []
    for text in texts:
        last = str(every[-1].part(every[-1].chars - 1, every[-1].chars)) if every else ""
        every += [LongText.of("\n"), text] if last not in ("", "\n") else [text]
    return LongText.joined(every), shown


def _encoded(text: str, tokenizers: Tokenizers) -> Tensor:
    return torch.from_numpy(tokenizers["text"].encode(text))

"""The contract of data: from options to texts, from texts and tokenizers to batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from torch import Tensor

from seqgen.data.part_files import SPLIT_NAMES, SplitName
from seqgen.data.text_files import TextFile
from seqgen.registry import Registry, Renamed, plugin_fault
from seqgen.state import State
from seqgen.tokenizers import REPLACEMENT, UNK, Counts, Tokenizer, Tokenizers

data: Registry[Data[Any]] = Registry("data kind", room="data", supplied={"seed"})

R = TypeVar("R")
B = TypeVar("B", bound="Batch")
Visit = Callable[[B, State], tuple[R, State]]
"""What reads a batch from a state: a result, and the state after it."""
Empty = Literal["error", "drop", "keep"]


class Batch(Protocol):
    """What training needs of a batch: whether its rows continue those of the last one, so that the
    state is carried over, its number of real targets, and how to move it to a device.

    `cut(count)` gives its rows in `count` parts, divided as by `state.share`, none of them empty:
    where there are fewer rows, each is a part. Only accumulation and several processes call it.
    """

    @property
    def continues(self) -> bool: ...
    @property
    def tokens(self) -> int: ...
    def to(self, device: Any) -> Any: ...
    def cut(self, count: int) -> Sequence[Any]: ...


@dataclass(frozen=True)
class TextSize:
    """How large a part of the data is, before any tokenizer."""

    chars: int
    bytes: int

    @classmethod
    def of(cls, texts: Sequence[str]) -> TextSize:
        return cls(sum(map(len, texts)), sum(len(text.encode()) for text in texts))


@dataclass(frozen=True)
class Example:
    """A row of held-out data as texts: the prompt or source, and every right output."""

    source: str
    references: tuple[str, ...]


class Training(ABC, Generic[B]):
    """The training batches, a pure function of the step: resuming needs nothing else."""

    tokens: int
    size: TextSize
    steps_per_epoch: int
    longest: int | None = None
    """The most tokens of a row, of its source if it has one; None for a stream."""

    @abstractmethod
    def batch(self, step: int) -> B:
        """The batch of training step `step >= 0`; there is no last epoch."""

    def counts(self) -> Mapping[str, Counts]:
        """For each field how often each id is a token of the training part, up to the largest id;
        nothing for fields that are not counted."""
        return {}


class Split(ABC, Generic[B]):
    """A held-out part, walked so that each target is seen once, from its true state."""

    tokens: int
    unknown: int
    size: TextSize
    examples: Sequence[Example] = ()
    """The rows as texts, each source once; empty if there are no rows, as in a stream."""

    @abstractmethod
    def walk(
        self, visit: Visit[B, R], initial_state: Callable[[int], State], batch_size: int
    ) -> list[R]:
        """The results of `visit` for all batches.

        The results together do not depend on `batch_size` (within the accuracy of floats).
        """


@dataclass(frozen=True)
class Dataset(Generic[B]):
    """Encoded data, ready for training; a held-out part that the recipe leaves empty is None."""

    train: Training[B]
    valid: Split[B] | None
    test: Split[B] | None


class Data(ABC, Generic[B]):
    """A kind of data. The constructor only keeps its options; nothing is read before it is asked.

    `fields` names the texts that have a tokenizer each, `output_field` the one that is generated.
    `default_tokenizers` names the tokenizer of each field that needs another one than the recipe's
    `tokenizer`, unless the recipe says otherwise. `ends` says whether sequences end in EOS.
    """

    fields: tuple[str, ...] = ("text",)
    output_field: str = "text"
    default_tokenizers: Mapping[str, str] = MappingProxyType({})
    ends: bool
    continues: bool = False
    """Whether an output goes on where its prompt ends; else it is made of it, as of a source."""
    empty: Empty = "keep"
    """What happens to rows without a source: an error, left out, or read as they are."""

    roles = Renamed("fields")
    output_role = Renamed("output_field")
    usual_tokenizers = Renamed("default_tokenizers")
    given = Renamed("parse_rows")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        Renamed.adopt(cls)

    @abstractmethod
    def training_texts(self) -> Mapping[str, Iterable[str]]:
        """For each field the texts that its tokenizer may learn from. Raises DataError."""

    @abstractmethod
    def training(self, tokenizers: Tokenizers) -> Training[B]:
        """The training part as batches. Raises DataError if there is too little of it."""

    @abstractmethod
    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> Split[B] | None:
        """A held-out part, without encoding the others; None where there is none."""

    def checked_split(self, name: SplitName, tokenizers: Tokenizers) -> Split[B] | None:
        """`held_out`. Raises PluginError if the part has no tokens, for figures divide by it."""
        split = self.held_out(name, tokenizers)
        if split is not None and not split.tokens:
            fault = f"its {name} split has 0 tokens; `held_out` must return None for an empty part"
            raise plugin_fault(self, fault, "data")
        return split

    @abstractmethod
    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Any:
        """The batch of a model's start for texts given at generation; reads no data."""

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """The SHA-256 of each source, for the manifest."""

    def sizes(self, tokenizers: Tokenizers) -> dict[str, Any]:
        """What a model must know to be built; it takes what its constructor names.

        `vocab_size` is that of the output. Kinds with sources add `source`, what an encoder must
        know: `vocab_size` (and `letters_size`), or `vector_size`.
        """
        return {"vocab_size": len(tokenizers[self.output_field])}

    def remarks(self) -> tuple[str, ...]:
        """Notes on the data that was read, such as how many rows were left out, why, and where the
        first ones are."""
        return ()

    def parse_rows(self, file: TextFile, name: str, tokenizers: Tokenizers) -> Split[B]:
        """All rows of a text in the format of this data, as a held-out part whose batches have
        `row_ids`; `name` is what an error calls the text.

        Raises DataError, with the line, or ValueError if this data is not made of rows of text.
        """
        raise ValueError("this data has no rows of text that could be scored one by one")

    def unknown(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """The tokens of `prompt` that are not in the vocabulary, as in the text if possible."""
        return unknown_pieces(prompt, tokenizers[self.output_field]) if self.continues else []

    def output_text(self, prompt: str, tokens: Sequence[int], tokenizers: Tokenizers) -> str:
        """The text of the `tokens` that a model generated for `prompt`."""
        return tokenizers[self.output_field].decode(tokens)

    def output_tokens(self, text: str, tokenizers: Tokenizers) -> list[int]:
        """The tokens of the output `text`, such as a reference, without an end token."""
        return [*map(int, tokenizers[self.output_field].encode(text))]

    def source_pieces(self, prompt: str, tokenizers: Tokenizers) -> list[str]:
        """The tokens that an encoder reads of `prompt`, as display text; nothing for kinds without
        sources."""
        return []

    def output_lengths(self, batch: Any) -> Tensor | None:
        """`[batch]`, the number of output tokens for each row of what `prompts` returned; None if
        the model decides."""
        return None

    def passages(
        self, name: SplitName, tokenizers: Tokenizers, prompt_size: int | None, length: int
    ) -> Sequence[Example]:
        """Passages of a held-out part, for kinds that continue a prompt and have no examples: the
        prompt, and as its only reference how the text goes on.

        A prompt has `prompt_size` tokens (None: as many as suit the kind), a reference up to
        `length`. No two passages overlap. Raises DataError.
        """
        return ()

    def encode(self, tokenizers: Tokenizers) -> Dataset[B]:
        valid, test = (self.checked_split(name, tokenizers) for name in SPLIT_NAMES)
        return Dataset(self.training(tokenizers), valid, test)


DataFactory = Annotated[Callable[..., Data[Any]], data]


def pieces_of(text: str, tokenizer: Tokenizer) -> list[str]:
    """The tokens of `text` as display text, unknown ones as they are in the text."""
    tokens = tokenizer.encode(text).tolist()
    shown = [tokenizer.shown(token) for token in tokens]
    spans = tokenizer.spans(text) if UNK in tokens else None
    if spans is None or len(spans) != len(tokens):
        return shown
    return [
        text[slice(*span)] if token == UNK else piece
        for span, token, piece in zip(spans, tokens, shown, strict=True)
    ]


def unknown_pieces(text: str, tokenizer: Tokenizer) -> list[str]:
    """The pieces of `text` that are unknown to the tokenizer."""
    tokens = tokenizer.encode(text).tolist()
    if UNK not in tokens:
        return []
    pieces = zip(pieces_of(text, tokenizer), tokens, strict=True)
    return [piece for piece, token in pieces if token == UNK]


def with_pieces(
    text_of: Callable[[Sequence[int]], str], tokens: Sequence[int], pieces: Mapping[int, str]
) -> str:
    """The text of `tokens` by `text_of`, with `pieces` in the places of tokens that are UNK.

    UNK reads U+FFFD, so one at place i is the last character of the text of the first i + 1 tokens.
    Where a tokenizer shows UNK otherwise, it stays as it is.
    """
    text = text_of(tokens)
    for place in sorted(pieces, reverse=True):  # so what stands before a place is as it was
        before = text_of(tokens[: place + 1])
        if before.endswith(REPLACEMENT) and text.startswith(before):
            text = before.removesuffix(REPLACEMENT) + pieces[place] + text[len(before) :]
    return text


def passage(tokens: Sequence[int], prompt_size: int, tokenizer: Tokenizer) -> Example:
    """The text of the first `prompt_size` tokens as a prompt, what the rest adds as reference."""
    prompt, rest = tokens[:prompt_size], tokens[prompt_size:]
    return Example(tokenizer.decode(prompt), (tokenizer.continuation(prompt, rest),))

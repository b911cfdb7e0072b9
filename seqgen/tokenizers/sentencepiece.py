"""The tokenizer `sentencepiece`: pieces of words, learned from the training text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from seqgen.options import Size
from seqgen.tokenizers.base import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    Spans,
    Tokenizer,
    Tokens,
    check_text,
    text_so_far,
    tokenizers,
)
from seqgen.tokenizers.pieces import (
    NONE,
    SPACE,
    Pieces,
    load_model,
    model_record,
    packed,
    piece_spans,
    read_model,
    unpacked,
)
from seqgen.tokenizers.subword_sampling import PieceIds, SubwordSampler, sampler_of

# Training a SentencePiece model from texts in memory, so that no character of them is lost.


_CUT = re.compile(f"[\n{SPACE}\u2585\x00]")
"""What cannot be in a piece: the end of a line, and three characters that training reserves."""

_CHUNK = re.compile(r"(?s:.{1,1000})(?=\s|\Z)|(?s:.{1,1000})")
"""Parts that end at a space where there is one: training leaves out lines above 4,192 bytes."""

_PROBLEMS = [
    (r"value <= (\d+)", "must be at most {} for this text, but is {}"),
    (r"required_chars\. \d+ vs (\d+)", "must be at least {} for this text, but is {}"),
]


@dataclass(frozen=True)
class ModelSize:
    """What there shall be of pieces; `coverage` is the share of characters that have their own."""

    algorithm: Literal["unigram", "bpe"]
    vocab_size: int
    byte_fallback: bool
    coverage: float


def train_model(texts: Iterable[str], size: ModelSize) -> bytes:
    """The trained model: same texts, same bytes. Errors: ValueError where the texts do not suit.

    A space belongs to the word behind it and a line end is a piece of its own. Nothing is
    normalised; a character without a piece is its bytes, or UNK without `byte_fallback`.
    """
    import sentencepiece  # here: few recipes need it

    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=training_lines(texts),
            model_writer=written,
            model_type=size.algorithm,
            vocab_size=size.vocab_size,
            byte_fallback=size.byte_fallback,
            character_coverage=size.coverage,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            allow_whitespace_only_pieces=True,
            user_defined_symbols=["\n"],
            num_threads=1,
            minloglevel=2,
            **_SPECIAL_PIECES,
        )
    except RuntimeError as error:
        raise ValueError(_explained(str(error), size.vocab_size)) from None
    return written.getvalue()


def training_lines(texts: Iterable[str]) -> Iterator[str]:
    """What training reads of `texts`: parts of lines, without the characters it cannot take."""
    for text in texts:
        check_text(text)
        for line in _CUT.split(text):
            yield from _CHUNK.findall(line)


_SPECIAL_PIECES: dict[str, Any] = {
    f"{name}_{what}": value
    for token, name in ((PAD, "pad"), (BOS, "bos"), (EOS, "eos"), (UNK, "unk"))
    for what, value in (("id", token), ("piece", SPECIALS[token]))
}


def _explained(message: str, vocab_size: int) -> str:
    """What SentencePiece says, in our words: it names places in its source."""
    for pattern, wanted in _PROBLEMS:
        found = re.search(pattern, message)
        if found:
            return f"`vocab_size` {wanted.format(found[1], vocab_size)}"
    if "!sentences_.empty()" in message:
        return "there is no text from which `sentencepiece` could learn pieces"
    return f"`sentencepiece` cannot learn from this text: {' '.join(message.split())}"


_APART = re.compile(f"([\n{SPACE}])")
_WORDS = re.compile(r"(?s:.{1000}.*?)(?<=[^ ])(?= )|(?s:.+)")
"""Some 1000 characters up to the end of a word."""


@tokenizers.register("sentencepiece")
class SentencePieceTokenizer(Tokenizer):
    """Pieces by `unigram` (Kudo 2018) or `bpe` (Sennrich et al. 2016), `vocab_size` ids in all.

    A character that is no piece becomes its bytes; with `byte_fallback: false` it is UNK, and the
    text is not lossless. `character_coverage` is the share of the characters of the training text
    that are sure to be pieces. With `sampling_alpha` each epoch of training reads other pieces of
    the same words: for `unigram` the smaller, the more at random; for `bpe` the share of merges
    that are left out (arXiv:1804.10959, arXiv:1910.13267). A ready `model_file` is used as it is,
    with its own ways of treating spaces and letters.
    """

    def __init__(
        self,
        algorithm: Literal["unigram", "bpe"] = "unigram",
        vocab_size: Size = 2000,
        byte_fallback: bool = True,
        character_coverage: Annotated[float, Field(ge=0.98, le=1)] = 0.9995,
        sampling_alpha: Annotated[float, Field(ge=0, le=1)] | None = None,
        model_file: Path | None = None,
    ) -> None:
        self._size = ModelSize(algorithm, vocab_size, byte_fallback, character_coverage)
        self._model_file = model_file
        self._alpha = sampling_alpha
        self.samples = sampling_alpha is not None
        self.lossless = byte_fallback and model_file is None
        self._pieces = NONE
        self._sampler: SubwordSampler | None = None

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces from `texts`, or read the model file."""
        if self._model_file is None:
            self._set(train_model(texts, self._size), ours=True)
        else:
            for text in texts:
                check_text(text)
            self._set(read_model(self._model_file), ours=False)

    def encode(self, text: str) -> Tokens:
        """The best pieces by the model."""
        tokens = self._encoded(text, lambda parts: self._model.encode(parts, num_threads=1))
        return tokens if self._ours else self._pieces.from_theirs[tokens]

    def sample(self, text: str, seed: int) -> Tokens:
        """Pieces drawn from `seed`; those of `encode` without `sampling_alpha`."""
        sampler = self._sampler
        if sampler is None:
            return self.encode(text)
        # Python promises that this generator gives the same numbers everywhere.
        uniform = Random(seed).random

        def draw(part: str) -> list[int]:
            written = part.replace(" ", SPACE) if self._ours else self._model.normalize(part)
            return self._ids.encode(sampler.draw(written, uniform))

        return self._encoded(text, lambda parts: map(draw, parts))

    def spans(self, text: str) -> Spans | None:
        """The pieces; None for a ready model that changes what stands there."""
        check_text(text)
        spans: Spans = []
        place = 0
        for part in self._parts(text):
            if part in self._apart:
                found: Spans | None = [(0, 1)] * len(self._apart[part])
            else:
                found = piece_spans(self._model.encode_as_pieces(part), part)
            if found is None:
                return None
            spans += [(place + start, place + end) for start, end in found]
            place += len(part)
        return spans

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of the pieces; a character that lacks bytes at the end is nothing yet."""
        if self._ours:
            content = self._pieces.content
            return text_so_far(b"".join([content[token] for token in tokens]))
        theirs = [self._pieces.theirs[token] for token in tokens]
        return str(self._model.decode([token for token in theirs if token >= 0]))

    def __len__(self) -> int:
        return len(self._pieces.shown)

    def shown(self, token: int) -> str:
        """The piece with its spaces; a byte as `<0xE2>`."""
        return self._pieces.shown[token]

    def files(self) -> dict[str, bytes]:
        """The model, and its hash in a file beside it."""
        return packed(self._content, self._ours)

    def restore(self, files: dict[str, bytes]) -> None:
        """From `model.spm`, if it is whole by the hash in `model.json`."""
        self._set(*unpacked(files))

    def _encoded(self, text: str, encode: Callable[[list[str]], Iterable[list[int]]]) -> Tokens:
        """The ids of `text` from those of its parts, which `encode` gives."""
        check_text(text)
        parts = self._parts(text)
        found = iter(encode([part for part in parts if part not in self._apart]))
        each = (self._apart[part] if part in self._apart else next(found) for part in parts)
        return np.fromiter(chain.from_iterable(each), dtype=np.int64)

    def _parts(self, text: str) -> list[str]:
        """What is read apart: all at once by a model that is not ours."""
        # A line end is always its own piece and no piece goes on behind a word, so the parts can
        # be read apart, which bounds the memory. SPACE itself is its bytes, or it would come back
        # as a space.
        if not self._ours:
            return [text]
        return [part for line in _APART.split(text) for part in _WORDS.findall(line)]

    def _set(self, content: bytes, ours: bool) -> None:
        self._model = load_model(content)
        self._content, self._ours = content, ours
        self._pieces = Pieces.of(self._model)
        apart = ("\n", SPACE) if ours else ()
        self._apart = {text: self._pieces.spelled(text) for text in apart}
        if self._alpha is not None:
            model = model_record(content)
            self._sampler = sampler_of(model, self._alpha)
            self._ids = PieceIds(model, self._pieces.from_theirs.tolist())

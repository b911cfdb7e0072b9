"""The tokenizer `sentencepiece`: pieces of words, learned from the training text."""

from __future__ import annotations

import hashlib
import io
import json
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
from seqgen.tokenizers import base, pieces
from seqgen.tokenizers.base import BOS, EOS, PAD, SPECIALS, UNK, Contents, Spans, Tokenizer, Tokens
from seqgen.tokenizers.pieces import SPACE, PieceIds, Pieces, SubwordSampler, sampler_of

Algorithm = Literal["unigram", "bpe"]

_MODEL, _RECORD = "model.spm", "model.json"

_APART = re.compile(f"([\n{SPACE}])")
_WORDS = re.compile(r"(?s:.{1000}.*?)(?<=[^ ])(?= )|(?s:.+)")
"""Some 1000 characters up to the end of a word."""


@base.tokenizers.register("sentencepiece")
@dataclass(eq=False)
class SentencePieceTokenizer(Tokenizer):
    """Pieces by `unigram` (Kudo 2018) or `bpe` (Sennrich et al. 2016), `vocab_size` ids in all.

    A character that is no piece becomes its bytes; with `byte_fallback: false` it is UNK, and the
    text is not lossless. `character_coverage` is the share of the characters of the training text
    that are sure to be pieces. With `sampling_alpha` each epoch of training reads other pieces of
    the same words: for `unigram` the smaller, the more at random; for `bpe` the share of merges
    that are left out (arXiv:1804.10959, arXiv:1910.13267). A ready `model_file` is used as it is,
    with its own ways of treating spaces and letters.
    """

    algorithm: Algorithm = "unigram"
    vocab_size: Size = 2000
    byte_fallback: bool = True
    character_coverage: Annotated[float, Field(ge=0.98, le=1)] = 0.9995
    sampling_alpha: Annotated[float, Field(ge=0, le=1)] | None = None
    model_file: Path | None = None

    def __post_init__(self) -> None:
        self.samples = self.sampling_alpha is not None
        self.lossless = self.byte_fallback and self.model_file is None
        self._pieces = pieces.NONE
        self._sampler: SubwordSampler | None = None

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces from `texts`, or read the model file."""
        if self.model_file is None:
            how = self.algorithm, self.vocab_size, self.byte_fallback, self.character_coverage
            self._set(train_model(texts, *how), ours=True)
        else:
            for text in texts:
                base.check_text(text)
            self._set(pieces.read_model(self.model_file), ours=False)

    def last_cut(self, text: str) -> int:
        # Only within a line do the ids of a word depend on what stands before it.
        return max(0, text.rfind("\n")) if self.model_file is None else 0

    def encode(self, text: str) -> Tokens:
        tokens = self._encoded(text, lambda parts: self._model.encode(parts, num_threads=1))
        return tokens if self._ours else self._pieces.from_theirs[tokens]

    def sample(self, text: str, seed: int) -> Tokens:
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
        """The places of the pieces; None for a ready model that changes the text."""
        base.check_text(text)
        spans: Spans = []
        place = 0
        for part in self._parts(text):
            if part in self._apart:
                spans += [(place, place + 1)] * len(self._apart[part])
            else:
                found = pieces.piece_spans(self._model.encode_as_pieces(part), part)
                if found is None:
                    return None
                spans += [(place + start, place + end) for start, end in found]
            place += len(part)
        return spans

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of the pieces; a character that lacks bytes at the end is left out."""
        if self._ours:
            content = self._pieces.content
            return base.text_so_far(b"".join([content[token] for token in tokens]))
        theirs = [self._pieces.theirs[token] for token in tokens]
        return str(self._model.decode([token for token in theirs if token >= 0]))

    def contents(self) -> Contents | None:
        """None for a ready model that changes what its pieces say."""
        every = self._pieces.content
        if self._ours:
            return Contents(every, every)
        how = pieces.leading_space_left_out(self._content)
        if how is None:
            return None
        # A space at the beginning of the text is left out, where the model has put it there.
        return Contents([each.removeprefix(b" ") for each in every] if how else every, every)

    def __len__(self) -> int:
        return len(self._pieces.shown)

    def shown(self, token: int) -> str:
        """The piece with its spaces; a byte as `<0xE2>`."""
        return self._pieces.shown[token]

    def files(self) -> dict[str, bytes]:
        return {_MODEL: self._content, _RECORD: _record(self._content, self._ours)}

    def restore(self, files: dict[str, bytes]) -> None:
        content = files.get(_MODEL, b"")
        for ours in (True, False):
            if files.get(_RECORD) == _record(content, ours):
                return self._set(content, ours)
        raise ValueError(f"`{_MODEL}` must be what `{_RECORD}` has the SHA-256 of, but is not")

    def _encoded(self, text: str, encode: Callable[[list[str]], Iterable[list[int]]]) -> Tokens:
        """The ids of `text` from those of its parts, which `encode` gives."""
        base.check_text(text)
        parts = self._parts(text)
        found = iter(encode([part for part in parts if part not in self._apart]))
        each = (self._apart[part] if part in self._apart else next(found) for part in parts)
        return np.fromiter(chain.from_iterable(each), dtype=np.int64)

    def _parts(self, text: str) -> list[str]:
        # A line end is always its own piece and no piece goes on after a word, so a model of ours
        # can read the parts one by one, which bounds the memory. SPACE itself is its bytes, or it
        # would come back as a space.
        if not self._ours:
            return [text]
        return [part for line in _APART.split(text) for part in _WORDS.findall(line)]

    def _set(self, content: bytes, ours: bool) -> None:
        self._model = pieces.load_model(content)
        self._content, self._ours = content, ours
        self._pieces = Pieces.of(self._model)
        apart = ("\n", SPACE) if ours else ()
        self._apart = {text: self._pieces.spelled(text) for text in apart}
        if self.sampling_alpha is not None:
            model = pieces.model_record(content)
            self._sampler = sampler_of(model, self.sampling_alpha)
            self._ids = PieceIds(model, self._pieces.from_theirs.tolist())


def _record(content: bytes, ours: bool) -> bytes:
    record = json.dumps({"ours": ours, "sha256": hashlib.sha256(content).hexdigest()})
    return f"{record}\n".encode()


# Training a model from texts in memory, so that no character of them is lost.

_CUT = re.compile(f"[\n{SPACE}\u2585\x00]")
"""What cannot be in a piece: the end of a line, and three characters that training reserves."""

_CHUNK = re.compile(r"(?s:.{1,1000})(?=\s|\Z)|(?s:.{1,1000})")
"""Parts that end at a space where there is one: training leaves out lines above 4,192 bytes."""

_SPECIAL_PIECES: dict[str, Any] = {
    f"{name}_{what}": value
    for token, name in ((PAD, "pad"), (BOS, "bos"), (EOS, "eos"), (UNK, "unk"))
    for what, value in (("id", token), ("piece", SPECIALS[token]))
}

_PROBLEMS = {
    r"value <= (\d+)": "`vocab_size` must be at most {} for this text, but is {}",
    r"required_chars\. \d+ vs (\d+)": "`vocab_size` must be at least {} for this text, but is {}",
    r"(!sentences_\.empty\(\))": "there is no text from which `sentencepiece` could learn pieces",
}
"""Our words for what SentencePiece says: it names places in its source."""


def train_model(
    texts: Iterable[str],
    algorithm: Algorithm,
    vocab_size: int,
    byte_fallback: bool = True,
    coverage: float = 0.9995,
) -> bytes:
    """The trained model: same texts, same bytes. Raises ValueError if the texts do not suit.

    A space belongs to the word after it and a line end is a piece of its own. Nothing is
    normalised; see `SentencePieceTokenizer` for `byte_fallback` and `coverage`.
    """
    import sentencepiece  # here: few recipes need it

    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=training_lines(texts),
            model_writer=written,
            model_type=algorithm,
            vocab_size=vocab_size,
            byte_fallback=byte_fallback,
            character_coverage=coverage,
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
        for pattern, message in _PROBLEMS.items():
            if found := re.search(pattern, str(error)):
                raise ValueError(message.format(found[1], vocab_size)) from None
        reason = " ".join(str(error).split())
        raise ValueError(f"`sentencepiece` cannot learn from this text: {reason}") from None
    return written.getvalue()


def training_lines(texts: Iterable[str]) -> Iterator[str]:
    """What training reads of `texts`: parts of lines, without the characters it cannot take."""
    for text in texts:
        base.check_text(text)
        for line in _CUT.split(text):
            yield from _CHUNK.findall(line)

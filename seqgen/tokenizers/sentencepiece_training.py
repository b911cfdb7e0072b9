"""Training a SentencePiece model from texts in memory, so that no character of them is lost."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from seqgen.tokenizers.base import BOS, EOS, PAD, SPECIALS, UNK, check_text
from seqgen.tokenizers.sentencepiece_pieces import SPACE

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

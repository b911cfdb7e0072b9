"""Tokenizers, text to ids. To add one: subclass `Tokenizer`, `@tokenizers.register("name")`."""

from seqgen.tokenizers.base import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    Tokenizer,
    TokenizerFactory,
    Tokenizers,
    Tokens,
    tokenizers,
)
from seqgen.tokenizers.char import CharTokenizer

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "SPECIALS",
    "UNK",
    "CharTokenizer",
    "Tokenizer",
    "TokenizerFactory",
    "Tokenizers",
    "Tokens",
    "tokenizers",
]

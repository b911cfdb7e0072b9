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
from seqgen.tokenizers.facts import Facts, gather_facts

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "SPECIALS",
    "UNK",
    "CharTokenizer",
    "Facts",
    "Tokenizer",
    "TokenizerFactory",
    "Tokenizers",
    "Tokens",
    "gather_facts",
    "tokenizers",
]

"""Tokenizers, text to ids. To add one: subclass `Tokenizer`, `@tokenizers.register("name")`."""

from seqgen.tokenizers.base import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    Facts,
    Tokenizer,
    TokenizerFactory,
    Tokenizers,
    Tokens,
    gather_facts,
    tokenizers,
)
from seqgen.tokenizers.char import ByteTokenizer, CharTokenizer
from seqgen.tokenizers.sentencepiece import SentencePieceTokenizer
from seqgen.tokenizers.word import WholeTokenizer, WordTokenizer

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "SPECIALS",
    "UNK",
    "ByteTokenizer",
    "CharTokenizer",
    "Facts",
    "SentencePieceTokenizer",
    "Tokenizer",
    "TokenizerFactory",
    "Tokenizers",
    "Tokens",
    "WholeTokenizer",
    "WordTokenizer",
    "gather_facts",
    "tokenizers",
]

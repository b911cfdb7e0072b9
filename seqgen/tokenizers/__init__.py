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
from seqgen.tokenizers.byte import ByteTokenizer
from seqgen.tokenizers.char import CharTokenizer
from seqgen.tokenizers.facts import Facts, gather_facts
from seqgen.tokenizers.sentencepiece import SentencePieceTokenizer
from seqgen.tokenizers.whole import WholeTokenizer
from seqgen.tokenizers.word import WordTokenizer

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

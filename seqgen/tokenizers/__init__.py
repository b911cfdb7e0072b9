"""Tokenizers, text to ids. To add one: subclass `Tokenizer`, `@tokenizers.register("name")`."""

from seqgen.tokenizers.base import (
    BOS,
    EOS,
    PAD,
    REPLACEMENT,
    SPECIALS,
    UNK,
    ByteTokenizer,
    CharTokenizer,
    Contents,
    Counts,
    Tokenizer,
    TokenizerFactory,
    Tokenizers,
    Tokens,
    VocabularyStatistics,
    check_text,
    count_ids,
    text_so_far,
    tokenizers,
    vocabulary_statistics,
)
from seqgen.tokenizers.huggingface import HuggingFaceTokenizer
from seqgen.tokenizers.long_text import LARGE, LongText
from seqgen.tokenizers.sentencepiece import SentencePieceTokenizer
from seqgen.tokenizers.word import WholeTokenizer, WordTokenizer

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "SPECIALS",
    "UNK",
    "LongText",
    "Tokenizer",
    "check_text",
    "tokenizers",
]

# The names that plugins may know them by.
Facts = VocabularyStatistics
gather_facts = vocabulary_statistics

"""Tokenizers of ours as the `tokenizer.json` of other programs, where they can be said in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from seqgen.tokenizers import pieces
from seqgen.tokenizers.base import SPECIALS, UNK, ByteTokenizer, CharTokenizer, Tokenizer
from seqgen.tokenizers.huggingface import BYTES, VERSION, HuggingFaceTokenizer, library
from seqgen.tokenizers.pieces import SPACE, Kind, ModelPiece
from seqgen.tokenizers.sentencepiece import SentencePieceTokenizer
from seqgen.tokenizers.word import LINE_END, WordTokenizer

SAMPLE = 1 << 16
"""Texts are compared in parts of about so many characters."""

Record = dict[str, Any]


def tokenizer_json(tokenizer: Tokenizer, texts: Iterable[str]) -> bytes:
    """The content of a `tokenizer.json` that gives the same ids for `texts`, and for their ids the
    same texts.

    Raises ValueError if there is none for this kind of tokenizer, if a text would have other ids or
    come back otherwise, or if the library is not installed.
    """
    content = json.dumps(_record(tokenizer), ensure_ascii=False, indent=1).encode()
    made = library().Tokenizer.from_str(content.decode())
    for text in texts:
        for start in range(0, len(text), SAMPLE):
            part = text[start : start + SAMPLE]
            wanted = tokenizer.encode(part).tolist()
            found = made.encode(part, add_special_tokens=False).ids
            if found != wanted:
                line = _around(tokenizer, part, made)
                special = [f"{each} is a special token there" for each in SPECIALS if each in line]
                why = f" ({special[0]})" if special else ""
                raise ValueError(f"a tokenizer.json has other ids for {line[:60]!r}{why}")
            # What is unknown is shown in its own way by each of the two.
            if UNK in wanted:
                wanted = [token for token in wanted if token != UNK]
            if made.decode(wanted, skip_special_tokens=False) != tokenizer.decode(wanted):
                raise ValueError("its ids would come back as another text from a tokenizer.json")
    return content


def _around(tokenizer: Tokenizer, text: str, made: Any) -> str:
    """The shortest line that is read otherwise, or all of `text`."""
    for line in sorted(text.split("\n"), key=len):
        found = made.encode(line, add_special_tokens=False).ids
        if not np.array_equal(found, tokenizer.encode(line)):
            return line
    return text


def _whole(model: Mapping[str, Any], **parts: Any) -> Record:
    """A file of a model and other parts, which has our special tokens."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    added = [
        {"id": token, "content": text, **flags, "special": True}
        for token, text in enumerate(SPECIALS)
    ]
    usual = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    given = {**dict.fromkeys(usual), **parts}
    return {"version": VERSION, "added_tokens": added, **given, "model": {**model}}


def _words(tokenizer: Tokenizer, pattern: str, decoder: Any, *, lower: bool = False) -> Record:
    """The words that match a pattern."""
    own = [*SPECIALS, *(json.loads(*tokenizer.files().values()))]
    vocabulary = {piece: token for token, piece in enumerate(own)}
    if len(vocabulary) < len(own):
        raise ValueError("a word that looks like a special token has no place in a tokenizer.json")
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": True}
    return _whole(
        {"type": "WordLevel", "vocab": vocabulary, "unk_token": SPECIALS[UNK]},
        normalizer={"type": "Lowercase"} if lower else None,
        pre_tokenizer=split,
        decoder=decoder,
    )


@singledispatch
def _record(tokenizer: Tokenizer) -> Record:
    raise ValueError(f"a {type(tokenizer).__name__} cannot be said in a tokenizer.json")


@_record.register
def _(tokenizer: HuggingFaceTokenizer) -> Record:
    if tokenizer.file is not None:
        raise ValueError(f"the ready `file` {tokenizer.file} is one already, with ids of its own")
    record: Record = json.loads(tokenizer.ready.content)
    return record


@_record.register
def _(tokenizer: CharTokenizer) -> Record:
    return _words(tokenizer, r"[\s\S]", {"type": "Fuse"})


@_record.register
def _(tokenizer: ByteTokenizer) -> Record:
    names = sorted(BYTES, key=BYTES.__getitem__)
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    level["use_regex"] = False
    vocabulary = {piece: token for token, piece in enumerate([*SPECIALS, *names])}
    return _whole(
        {"type": "BPE", "vocab": vocabulary, "merges": []}, pre_tokenizer=level, decoder=level
    )


@_record.register
def _(tokenizer: WordTokenizer) -> Record:
    splitter = tokenizer.splitter
    if splitter.pattern is None or tokenizer.line_ends:
        what = "`line_ends`" if tokenizer.line_ends else f"`split: {tokenizer.split}`"
        raise ValueError(f"words by {what} cannot be said in a tokenizer.json")
    decoder = None if tokenizer.between else {"type": "Fuse"}
    return _words(tokenizer, splitter.pattern.pattern, decoder, lower=tokenizer.lower)


@_record.register
def _(tokenizer: SentencePieceTokenizer) -> Record:
    if tokenizer.model_file is not None:
        raise ValueError("a ready `model_file` cannot be said in a tokenizer.json by us")
    model = pieces.model_record(tokenizer.files()["model.spm"])
    fallback = any(each.kind is Kind.BYTE for each in model.pieces)
    isolated = {"type": "Split", "pattern": {"String": LINE_END}, "behavior": "Isolated"}
    steps: list[Record] = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}]
    steps += [{"type": "ByteFallback"}, {"type": "Fuse"}]
    if model.algorithm == "unigram":
        scored = [(each.text, each.score) for each in model.pieces]
        written: Record = {"type": "Unigram", "unk_id": UNK, "vocab": scored}
    else:
        merges = _merges(model.pieces)
        vocabulary = {each.text: token for token, each in enumerate(model.pieces)}
        written = {"type": "BPE", "vocab": vocabulary, "merges": merges, "fuse_unk": True}
        written["unk_token"] = SPECIALS[UNK]
    return _whole(
        {**written, "byte_fallback": fallback},
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        pre_tokenizer={**isolated, "invert": False},
        decoder={"type": "Sequence", "decoders": steps},
    )


def _merges(every: Sequence[ModelPiece]) -> list[tuple[str, str]]:
    """The pairs that make the pieces, the best first, as SentencePiece merges them."""
    normal = [each for each in every if each.kind is Kind.NORMAL]
    known = {each.text for each in normal}
    ordered = sorted(normal, key=lambda each: -each.score)
    return [
        (piece.text[:cut], piece.text[cut:])
        for piece in ordered
        for cut in range(1, len(piece.text))
        if piece.text[:cut] in known and piece.text[cut:] in known
    ]

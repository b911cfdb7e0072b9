"""Sources as an encoder reads them: features first, then the tokens of the text, then EOS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.data.padding import ended
from seqgen.data.pieces import pieces_of, unknown_pieces
from seqgen.tokenizers.base import Tokenizer, Tokenizers


class EncodedSource(NamedTuple):
    """The tokens of a source: of its `text` with EOS, of its `features`, and as they are read.

    In `joined` the ids of features stand behind all ids of texts.
    """

    text: Tensor
    features: Tensor
    joined: Tensor


@dataclass(frozen=True)
class SourceEncoder:
    """Sources to tokens, by the tokenizer of the role `source` and that of `features`, if any."""

    tokenizers: Tokenizers
    separator: str

    @property
    def vocab_size(self) -> int:
        """The number of ids that an encoder reads."""
        return sum(len(self.tokenizers[role]) for role in ("source", "features") if self._has(role))

    def encode(self, text: str, features: str = "", seed: int | None = None) -> EncodedSource:
        """With a `seed` in one of the ways to cut the text. Errors: ValueError for what a
        tokenizer refuses."""
        tokens = ended(_tokens(self.tokenizers["source"], text, seed))
        names = split_features(features, self.separator) if self._has("features") else []
        if not names:
            return EncodedSource(tokens, tokens[:0], tokens)
        tokenizer = self.tokenizers["features"]
        before = torch.cat([torch.from_numpy(tokenizer.encode(name)) for name in names])
        joined = torch.cat([before + len(self.tokenizers["source"]), tokens])
        return EncodedSource(tokens, before, joined)

    def pieces(self, text: str, features: str) -> list[str]:
        """The tokens but for EOS as a person reads them, unknown ones as they stand in the text
        where that can be told: where tokens are words between spaces, or characters."""
        before = self.encode(text, features).features.tolist()
        shown = [self.tokenizers["features"].shown(token) for token in before]
        return shown + pieces_of(text, self.tokenizers["source"])

    def unknown(self, text: str, features: str) -> list[str]:
        """The features and tokens that are not known, as they stand there as far as can be told."""
        names = split_features(features, self.separator) if self._has("features") else []
        found = [
            each for name in names for each in unknown_pieces(name, self.tokenizers["features"])
        ]
        return found + unknown_pieces(text, self.tokenizers["source"])

    def _has(self, role: str) -> bool:
        return role in self.tokenizers


def split_features(features: str, separator: str) -> list[str]:
    """`N;DAT;PL` as `N`, `DAT` and `PL`; between two separators there may be nothing."""
    return [name for name in features.split(separator) if name]


def split_source(text: str, has_features: bool) -> tuple[str, str]:
    """What a person gives, as a source and its features: `lemma<TAB>N;DAT;PL`, or a source alone.

    Errors: ValueError where that is no line, or has too many tabs.
    """
    if "\n" in text or "\r" in text:
        raise ValueError("`text` must be one line, but has a line break in it")
    source, *rest = text.split("\t")
    if len(rest) > has_features:
        wanted = "a source, or a source, a tab and its features" if has_features else "a source"
        tabs = f"{len(rest)} tab{'s' if len(rest) > 1 else ''}"
        raise ValueError(f"`text` must be {wanted}, but has {tabs} in it")
    return source, rest[0] if rest else ""


def _tokens(tokenizer: Tokenizer, text: str, seed: int | None) -> Tensor:
    tokens = tokenizer.encode(text) if seed is None else tokenizer.sample(text, seed)
    return torch.from_numpy(tokens)

"""Alignments: how much each token of an output looked at each token of its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seqgen.generate import Generated, Generator
from seqgen.tokenizers import EOS


class Alignment(NamedTuple):
    """The pieces of a source, EOS included where it has one, those of an output, and the `weights`,
    for each piece of the output one for each of the source."""

    source: tuple[str, ...]
    output: tuple[str, ...]
    weights: list[list[float]]


def alignments(generator: Generator, found: Sequence[Generated]) -> list[Alignment]:
    """Of each output, teacher-forced once more; nothing where the model does not look back.

    It is what the search saw: the weights follow from the source and the tokens before alone.
    """
    texts = [each.prompt for each in found]
    weights = generator.attention(texts, [each.hypothesis.tokens for each in found])
    if weights is None or not weights.any():  # without attention all weights are zero
        return []
    aligned, lengths = [], generator.batch(texts).lengths.tolist()
    for row, each, length in zip(weights, found, lengths, strict=True):
        pieces = [*generator.data.source_pieces(each.prompt, generator.tokenizers)]
        pieces += [generator.tokenizer.shown(EOS)] * (length - len(pieces))
        looked = row[: len(each.pieces), : len(pieces)].tolist()
        aligned.append(Alignment(tuple(pieces), each.pieces, looked))
    return aligned

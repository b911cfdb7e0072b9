"""The laws of encoders, and `check_encoder`, which tries them on tokens, or on vectors if it takes
`vector_size`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from seqgen.data import Sources
from seqgen.encoders import Encoded, Encoder, encoders
from seqgen.state import State, real
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.network import WEIGHTS, NetworkCase, network_laws
from seqgen.testing.require import BUILT, small_part, takes

VOCAB, LETTERS, VECTOR = 11, 9, 6
LENGTHS = (3, 0, 1, 6, 4)
"""How many tokens each source has."""


class EncoderCase(NetworkCase):
    """How to build the encoder."""

    @property
    def reads_vectors(self) -> bool:
        """Whether a source is one vector; else it is tokens, which are spelt."""
        return takes(self.factory, "vector_size")

    def sizes(self) -> dict[str, Any]:
        if self.reads_vectors:
            return {"vector_size": VECTOR}
        return {"vocab_size": VOCAB, "letters_size": LETTERS}

    def given(self) -> Sources:
        return self.sources(range(len(LENGTHS)))

    def sources(self, rows: Sequence[int], *, more: int = 0, filler: int = 0) -> Sources:
        """Some of the sources, with `more` padding than they need, which is all `filler`."""
        generator = torch.Generator().manual_seed(2)
        count, most = len(LENGTHS), max(LENGTHS)
        if self.reads_vectors:
            vectors = torch.randn(count, VECTOR, generator=generator)[list(rows)]
            return Sources(vectors, torch.ones(len(rows), dtype=torch.long))
        lengths = torch.tensor([LENGTHS[row] for row in rows], dtype=torch.long)
        time = max([*lengths.tolist(), 0])
        words = torch.randint(VOCAB, (count, most), generator=generator)[list(rows), :time]
        letters = torch.randint(LETTERS, (VOCAB, 4), generator=generator)[words]
        sizes = (torch.arange(VOCAB) % 4 + 1)[words]
        pad, padding = torch.nn.functional.pad, ~real(lengths, time + more)
        unspelt = torch.arange(4) >= pad(sizes, (0, more)).unsqueeze(2)
        return Sources(
            pad(words, (0, more)).masked_fill(padding, filler),
            lengths,
            pad(letters, (0, 0, 0, more)).masked_fill(unspelt | padding.unsqueeze(2), filler),
            pad(sizes, (0, more)).masked_fill(padding, 0),
        )

    def read(self, module: Any, given: Any) -> State:
        summary, memory, _ = module(given)
        return summary, memory

    def learned_from(self, given: Sources) -> list[Tensor]:
        return [given.values] if self.reads_vectors else []

    def has_padding(self) -> None:
        """Says that a law is not tried where a source is a vector."""
        if self.reads_vectors:
            raise NotTriedError("it reads vectors, which have no padding")


def check_encoder(encoder: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on an encoder: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(encoders, encoder, options)
    return try_laws(name, ENCODER_LAWS, EncoderCase(factory), watch)


def _is_an_encoder(case: EncoderCase) -> None:
    require.contract(case.make(), Encoder)


def _shapes(case: EncoderCase) -> None:
    made = case.make()
    for rows in (range(len(LENGTHS)), (3,), (1,), (1, 1)):
        sources = case.sources(rows)
        found = made(sources)
        if not isinstance(found, Encoded):
            says = "`forward` must return Encoded(summary, memory, mask), not "
            raise BreachError(f"{says}{require.named(found)}")
        batch, says = len(rows), f" for sources of {[LENGTHS[row] for row in rows]} tokens"
        require.shape(found.summary, (batch, made.summary_size), "the summary", says)
        time = sources.values.shape[1] if made.memory_size else 1
        require.shape(found.memory, (batch, time, made.memory_size), "the memory", says)
        mask = require.shape(found.mask, (batch, time), "the mask", says)
        require.that(mask.dtype == torch.bool, f"the mask must be of bool, not of {mask.dtype}")
        require.finite((found.summary, found.memory), "what it returned", says.strip())


def _zero(case: EncoderCase) -> None:
    made, sources = case.make(), case.given()
    if not made.memory_size:
        raise NotTriedError("it has no memory")
    found, wanted = made(sources), real(sources.lengths, sources.values.shape[1])
    says = "the mask must be true at the tokens of a row and false after them"
    require.that(torch.equal(found.mask, wanted), says)
    outside = found.memory.masked_fill(wanted.unsqueeze(2), 0)
    says = "the memory must be zero after the end of a row; multiply it by the mask"
    require.that(not bool(outside.any()), says)


def _padding(case: EncoderCase) -> None:
    case.has_padding()
    made, rows = case.make(), range(len(LENGTHS))
    wanted, time = made(case.given()), max(LENGTHS)
    for sources in (case.sources(rows, filler=VOCAB - 3), case.sources(rows, more=4, filler=1)):
        summary, memory, _ = made(sources)
        says = "what stands after the end of a row matters; look at no more than `lengths` tokens"
        require.same((summary, memory[:, :time]), (wanted.summary, wanted.memory), says)


def _rows_alone(case: EncoderCase) -> None:
    made, whole = case.make(), case.make()(case.given())
    for rows in ([3], [1], [4, 0]):
        summary, memory, _ = made(case.sources(rows))
        says = "what a source gives depends on the sources around it"
        wanted = whole.memory[rows, : memory.shape[1]]
        require.same((summary, memory), (whole.summary[rows], wanted), says)


def _reads(case: EncoderCase) -> None:
    made, sources = case.make(), case.given()
    other = replace(sources, values=(sources.values + 1) % VOCAB)
    differs = (made(sources).summary - made(other).summary).abs().amax(1) > 1e-6
    read = differs | (sources.lengths == 0)
    require.that(bool(read.all()), "the summary of other tokens is the same; read the sources")


_SOUND = ("is an encoder", "shapes are as declared", "the memory is zero after the end of a row")
_STABLE = (*_SOUND, *WEIGHTS[:2])
_CALLING = "`forward(sources)` must take any batch, rows of no tokens among them"

ENCODER_LAWS: tuple[Law[EncoderCase], ...] = (
    Law(_SOUND[0], _is_an_encoder, BUILT.format("`vocab_size=`, perhaps `letters_size=`,")),
    Law(_SOUND[1], _shapes, _CALLING, _SOUND[:1]),
    Law(_SOUND[2], _zero, _CALLING, _SOUND[:2]),
    *network_laws(_CALLING, _SOUND),
    Law("padding does not matter", _padding, _CALLING, _STABLE),
    Law("a row alone is the row in a batch", _rows_alone, _CALLING, _STABLE),
    Law("the summary depends on the source", _reads, _CALLING, _STABLE),
)

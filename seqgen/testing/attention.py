"""The laws of attentions, and `check_attention`, which tries them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.attentions import Attention, attentions
from seqgen.state import reorder
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.network import WEIGHTS, NetworkCase, network_laws
from seqgen.testing.require import BUILT, small_part

SIZE, TIME, SOURCE_TIME = 6, 3, 5
LENGTHS = (5, 0, 1, 4)
"""How many tokens each source has."""


class Read(NamedTuple):
    """What an attention reads."""

    queries: Tensor
    memory: Tensor
    mask: Tensor


class AttentionCase(NetworkCase):
    """How to build the attention, for a cell as wide as the memory."""

    def sizes(self) -> dict[str, Any]:
        return {"query_size": SIZE, "memory_size": SIZE}

    def given(self) -> Read:
        generator = torch.Generator().manual_seed(2)
        mask = torch.arange(SOURCE_TIME) < torch.tensor(LENGTHS).unsqueeze(1)
        memory = torch.randn(len(LENGTHS), SOURCE_TIME, SIZE, generator=generator)
        queries = torch.randn(len(LENGTHS), TIME, SIZE, generator=generator)
        return Read(queries, memory * mask.unsqueeze(2), mask)

    def read(self, module: Any, given: Any) -> Any:
        queries, memory, mask = given
        return module(queries, module.keys(memory), memory, mask)

    def total(self, module: Any, given: Any) -> Tensor:
        """Without the weights, by which no model is trained."""
        read, _ = self.read(module, given)
        total: Tensor = (read * torch.linspace(1, 2, read.numel()).view(read.shape)).sum()
        return total

    def learned_from(self, given: Read) -> list[Tensor]:
        return [given.queries, given.memory] if self.make().looks else [given.queries]


def check_attention(attention: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on an attention: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(attentions, attention, options)
    return try_laws(name, ATTENTION_LAWS, AttentionCase(factory), watch)


def _is_an_attention(case: AttentionCase) -> None:
    require.contract(case.make(), Attention)


def _shapes(case: AttentionCase) -> None:
    made, given = case.make(), case.given()
    for what, made_of in (("`keys`", made.keys), ("`values`", made.values)):
        keys, rows = made_of(given.memory), [len(LENGTHS), SOURCE_TIME]
        says = f"{what} must be a tensor of {rows} and more"
        require.that(isinstance(keys, Tensor) and list(keys.shape[:2]) == rows, says)
    found = case.read(made, given)
    if not isinstance(found, tuple) or len(found) != 2:
        says = f"`forward` must return what is read and the weights, not {require.named(found)}"
        raise BreachError(says)
    wanted = (len(LENGTHS), TIME, made.output_size)
    require.shape(found[0], wanted, "what `forward` read", "")
    require.shape(found[1], (*wanted[:2], SOURCE_TIME), "the weights", "")
    require.finite(found, "what `forward` returned", "where a source is empty")


def _shares(case: AttentionCase) -> None:
    made, given = case.make(), case.given()
    _, weights = case.read(made, given)
    outside = weights.masked_fill(given.mask.unsqueeze(1), 0)
    says = "weights must be zero where there is no token; mask them, by `masked_fill(..., 0)`"
    require.that(not bool(outside.any()), says)
    if not made.looks:
        require.that(not bool(weights.any()), "it has weights, but says `looks = False`")
        return
    require.that(bool((weights >= 0).all()), "a weight is below 0; end with a softmax")
    sums = weights.sum(2)
    wanted = (torch.tensor(LENGTHS) > 0).to(sums).unsqueeze(1).expand_as(sums)
    says = "the weights of a source must sum to 1 over its tokens, and to 0 where it has none"
    require.same(sums, wanted, says)


def _padding(case: AttentionCase) -> None:
    made, (queries, memory, mask) = case.make(), case.given()
    noisy = torch.where(mask.unsqueeze(2), memory, 3.0)
    says = "what stands after the end of a source matters; mask the scores before the softmax"
    wanted = case.read(made, (queries, memory, mask))
    require.same(case.read(made, (queries, noisy, mask)), wanted, says)


def _queries_alone(case: AttentionCase) -> None:
    made, (queries, memory, mask) = case.make(), case.given()
    read, weights = case.read(made, (queries, memory, mask))
    says = "a query's answer depends on the queries around it; each is answered by itself"
    found = case.read(made, (queries[:, 1:2], memory, mask))
    require.same(found, (read[:, 1:2], weights[:, 1:2]), says)


def _rows_alone(case: AttentionCase) -> None:
    made, given = case.make(), case.given()
    whole = case.read(made, given)
    says = "what a source gives depends on the sources around it"
    for rows in (torch.tensor([2]), torch.tensor([3, 0])):
        require.same(case.read(made, reorder(given, rows)), reorder(whole, rows), says)


def _look(case: AttentionCase) -> None:
    made, (queries, memory, mask) = case.make(), case.given()
    keys, values = made.keys(memory), made.values(memory)
    says = "`look` with `values` must give what `forward` gives with the memory"
    wanted = made(queries, keys, memory, mask)
    require.same(made.look(queries, keys, values, mask), wanted, says)


def _looks_back(case: AttentionCase) -> None:
    made, (queries, memory, mask) = case.make(), case.given()
    read, _ = case.read(made, (queries, memory, mask))
    other, _ = case.read(made, (queries, memory.flip(2), mask))
    if not made.looks:
        raise NotTriedError("it says `looks = False`")
    differs = not torch.allclose(read[0], other[0])
    require.that(differs, "another memory changes nothing; say `looks = False` where none is read")


_SOUND = ("is an attention", "shapes are as declared", "weights are shares of the real tokens")
_STABLE = (*_SOUND, *WEIGHTS[:2])
_CALLING = "`forward(queries, keys, memory, mask)` must take any batch, time and source_time"

ATTENTION_LAWS: tuple[Law[AttentionCase], ...] = (
    Law(_SOUND[0], _is_an_attention, BUILT.format("`query_size=`, `memory_size=`")),
    Law(_SOUND[1], _shapes, _CALLING, _SOUND[:1]),
    Law(_SOUND[2], _shares, _CALLING, _SOUND[:2]),
    *network_laws(_CALLING, _SOUND),
    Law("padding does not matter", _padding, _CALLING, _STABLE),
    Law("each query is answered by itself", _queries_alone, _CALLING, _STABLE),
    Law("a row alone is the row in a batch", _rows_alone, _CALLING, _STABLE),
    Law("in a search it gives the same", _look, _CALLING, _STABLE),
    Law("it looks where it says so", _looks_back, _CALLING, _STABLE),
)

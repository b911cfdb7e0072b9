"""The laws of embeddings, and `check_embedding`, which tries them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqgen.embeddings import Embedding, embeddings
from seqgen.state import State
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, Report, Watch, try_laws, unwatched
from seqgen.testing.network import WEIGHTS, NetworkCase, network_laws
from seqgen.testing.require import BUILT, small_part

VOCAB = 11
SHAPES: tuple[tuple[int, ...], ...] = ((4,), (2, 3), (), (0,), (2, 0))


class EmbeddingCase(NetworkCase):
    """How to build the embedding."""

    def sizes(self) -> dict[str, Any]:
        return {"vocab_size": VOCAB}

    def given(self) -> Tensor:
        return torch.arange(VOCAB)

    def read(self, module: Any, given: Any) -> State:
        return module(given), module.table()


def check_embedding(embedding: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on an embedding: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(embeddings, embedding, options)
    return try_laws(name, EMBEDDING_LAWS, EmbeddingCase(factory), watch)


def _is_an_embedding(case: EmbeddingCase) -> None:
    require.contract(case.make(), Embedding)


def _table(case: EmbeddingCase) -> None:
    made = case.make()
    size = made.output_size
    if not isinstance(size, int):
        raise BreachError(f"`output_size` must be a number, but is {require.named(size)}")
    table = require.shape(made.table(), (VOCAB, size), "`table()`", "")
    require.that(table.is_floating_point(), f"`table()` must be of floats, not of {table.dtype}")
    require.finite(table, "`table()`", "in a new run")


def _rows(case: EmbeddingCase) -> None:
    made = case.make()
    for shape in SHAPES:
        tokens = torch.randint(VOCAB, shape)
        wanted = (*shape, made.output_size)
        found = require.shape(made(tokens), wanted, "`forward`", f" for tokens {list(shape)}")
        says = "`forward` must return the rows of `table()`, which a head may share"
        require.same(found, made.table()[tokens], says)


def _after_a_step(case: EmbeddingCase) -> None:
    made = case.make().train()
    with torch.no_grad():
        for each in made.parameters():
            each.add_(torch.randn_like(each))
    says = "after a step of training `forward` and `table()` have other vectors; keep no copy"
    require.same(made(case.given()), made.table(), says)


def _same_for_all(case: EmbeddingCase) -> None:
    made = case.make()
    tokens = torch.tensor([[3, 1, 4], [1, 5, 9]])
    says = "the vector of a token depends on its place, or on the tokens around it"
    found, alone = made(tokens), made(torch.tensor([1]))[0]
    require.same((found[0, 1], found[1, 0]), (alone, alone), says)


_SOUND = ("is an embedding", "it has a table", "vectors are rows of the table")
_CALLING = "`table()` must return `[vocab, output_size]`, and `forward` take tokens of any shape"

EMBEDDING_LAWS: tuple[Law[EmbeddingCase], ...] = (
    Law(_SOUND[0], _is_an_embedding, BUILT.format("`vocab_size=`")),
    Law(_SOUND[1], _table, _CALLING, _SOUND[:1]),
    Law("a token alone is the token in a batch", _same_for_all, _CALLING, _SOUND[:2]),
    Law(_SOUND[2], _rows, _CALLING, (*_SOUND[:2], "a token alone is the token in a batch")),
    *network_laws(_CALLING, _SOUND),
    Law("the table is the same after training", _after_a_step, _CALLING, (*_SOUND, *WEIGHTS[:2])),
)

"""The laws of truncations, and `check_truncation`, which tries them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqgen.decoders import Truncation, keep_fault, truncations
from seqgen.testing import require
from seqgen.testing.laws import Law, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part

VOCAB = 11


def tables() -> Tensor:
    """Distributions of many shapes, `[rows, vocab]`: random ones from almost even to almost sure,
    with ties, with impossible tokens, with one possible token, and all tokens equal."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(60, VOCAB, generator=generator, dtype=torch.float64)
    scores *= torch.logspace(-3, 2, 60, dtype=torch.float64).unsqueeze(1)
    scores[::3] = scores[::3].round()
    scores[::4, [0, 3, 10]] = -torch.inf
    scores[5, 1:] = scores[6, :-1] = -torch.inf
    scores[7] = 0.0
    return scores.softmax(-1)


@dataclass(frozen=True)
class TruncationCase:
    """How to build the truncation."""

    factory: Callable[..., Any]

    def make(self) -> Truncation:
        """The truncation, for a small vocabulary."""
        made: Truncation = self.factory(vocab_size=VOCAB)
        return made

    def kept(self) -> Tensor:
        """What it keeps of the tables."""
        return self.make().keep(tables())


def check_truncation(truncation: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a truncation: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(truncations, truncation, options)
    return try_laws(name, TRUNCATION_LAWS, TruncationCase(factory), watch)


def _is_a_truncation(case: TruncationCase) -> None:
    require.contract(case.make(), Truncation)


def _form(case: TruncationCase) -> None:
    shares = tables()
    kept = require.shape(case.kept(), tuple(shares.shape), "what `keep` returned", "")
    require.that(
        kept.dtype == torch.float64, f"`keep` must return float64, but returned {kept.dtype}"
    )


def _only_cuts(case: TruncationCase) -> None:
    kept, shares = case.kept(), tables()
    revived = bool(((shares == 0) & (kept != 0)).any())
    require.that(not revived, "a token of probability 0 came back; it is forbidden, and stays so")
    fault = keep_fault(kept, shares)
    require.that(not fault, fault)


def _row_alone(case: TruncationCase) -> None:
    made, shares, kept = case.make(), tables(), case.kept()
    alone = torch.cat([made.keep(each.unsqueeze(0)) for each in tables().unbind()])
    backwards = made.keep(shares.flip(0)).flip(0)
    for other in (alone, backwards):
        says = "what a row keeps depends on the rows around it; reduce over the last dimension"
        require.that(torch.equal(other, kept), f"{says}, by `cumsum(1)[:, -1:]` where it is a sum")


def _same_twice(case: TruncationCase) -> None:
    made = case.make()
    says = "the same probabilities were cut in another way; draw nothing, and remember nothing"
    require.that(torch.equal(made.keep(tables()), made.keep(tables())), says)


def _draws(case: TruncationCase) -> None:
    most = int((case.kept() > 0).sum(1).amax())
    says = (
        f"`draws` says that one token stays, but {most} do; it is for truncations that are greedy"
    )
    require.that(case.make().draws or most == 1, says)


_SOUND = (
    "is a truncation",
    "probabilities in float64 come back",
    "it cuts and changes nothing else",
)
_CALLING = "`keep(shares)` must take any rows of probabilities, zeros among them"

TRUNCATION_LAWS: tuple[Law[TruncationCase], ...] = (
    Law(_SOUND[0], _is_a_truncation, BUILT.format("`vocab_size=`, if it asks for that,")),
    Law(_SOUND[1], _form, _CALLING, _SOUND[:1]),
    Law(_SOUND[2], _only_cuts, _CALLING, _SOUND[:2]),
    Law("the same twice", _same_twice, _CALLING, _SOUND),
    Law("a row alone is the row in a batch", _row_alone, _CALLING, (*_SOUND, "the same twice")),
    Law("it draws where it says so", _draws, _CALLING, _SOUND),
)

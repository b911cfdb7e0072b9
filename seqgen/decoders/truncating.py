"""Truncations: which tokens of a distribution may be drawn.

`multinomial` applies those that it is given one after the other. To add one: subclass `Truncation`,
`@truncations.register("name")`, and say in `keep` which tokens stay.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Annotated, Any, Final

import torch
from pydantic import Field
from torch import Tensor

from seqgen.decoders.search import best
from seqgen.fast import TRUNCATIONS
from seqgen.options import NonNegativeFloat, Size
from seqgen.registry import Registry, blamed_on, check_fields, is_ours, plugin_fault

truncations: Registry[Truncation] = Registry("truncation", supplied={"vocab_size"})
"""Supplied: the number of tokens."""


class Truncation(ABC):
    """Decides which tokens stay; what is drawn from is what they have, normalised."""

    draws: bool = True
    """Whether more than one token may stay."""

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def keep(self, shares: Tensor) -> Tensor:
        """The probabilities `shares: [rows, vocab]`, with 0 for the tokens that may not come.

        They are float64 and sum to 1 in each row, within rounding; those of impossible tokens are
        0. At least one must stay, and what a row keeps must not depend on the other rows. The
        result is a new tensor or the same, which may be overwritten.
        """


TruncationFactory = Annotated[Callable[..., Truncation], truncations]
"""Called with what the registry supplies, it returns the truncation."""


def checked_keep(part: Truncation) -> Callable[[Tensor], Tensor]:
    """`part.keep`; if it comes from a plugin, one that raises PluginError where that raises or
    returns what no truncation may."""
    return part.keep if is_ours(part) else partial(_checked, part)


def compiled_form(part: Truncation) -> tuple[str, tuple[float, ...]] | None:
    """The name and the numbers by which a compiled text knows a part; None for what it does not."""
    for name in TRUNCATIONS:
        if truncations.entry(name).factory is type(part):
            options = (each for each in fields(part) if not each.kw_only)  # type: ignore[arg-type]
            values = (getattr(part, each.name) for each in options)
            return name, tuple(math.nan if each is None else each for each in values)
    return None


def _checked(part: Truncation, shares: Tensor) -> Tensor:
    with blamed_on(part, "keep"):
        kept = part.keep(shares.clone())
    fault = keep_fault(kept, shares)
    if fault:
        raise plugin_fault(part, fault)
    return kept


def keep_fault(kept: Any, shares: Tensor) -> str:
    """What is wrong with what `keep` returned for `shares`, if anything."""
    if not isinstance(kept, Tensor) or (kept.shape, kept.dtype) != (shares.shape, shares.dtype):
        return f"`keep` must return float64 {list(shares.shape)}, as it gets"
    if not bool(((kept == shares) | (kept == 0)).all()):
        return "`keep` must return each probability as it is, or 0; what stays is normalised later"
    if not bool(kept.any(1).all()):
        return "`keep` leaves a row no token; let the most probable one stay, whatever it has"
    return ""


ROUNDING = 2.0**-20
"""Probabilities that differ by no more than this share of them, 8 units in the last place of a
float32, are the same to a threshold: rounding must not decide whether a token reaches it."""

Mass = Annotated[float, Field(gt=0, le=1)]
Threshold = Annotated[float, Field(ge=0, le=1)]


def row_sum(values: Tensor) -> Tensor:
    """The sum of each row, `[rows, 1]`: the last of its running sums, since `sum` may add up a
    single row in another order than the same row among others."""
    return values.cumsum(1)[:, -1:]


def keep_mass(ordered: Tensor, order: Tensor, mass: float) -> Tensor:
    """The probabilities `ordered: [rows, vocab]`, cut to the first ones that have `mass` together,
    in the order of ids.

    `order: [rows, vocab]` holds the id of each; `ordered` is overwritten. The token that reaches
    the mass, within ROUNDING, stays and is the last one, so one always does.
    """
    ordered[:, 1:].mul_(ordered.cumsum(1)[:, :-1] < mass * (1 - ROUNDING))
    return torch.empty_like(ordered).scatter_(1, order, ordered)


def keep_above(shares: Tensor, threshold: float | Tensor) -> Tensor:
    """The probabilities that reach `threshold`, a number or `[rows, 1]`, within ROUNDING; where
    none does, those of the most probable tokens."""
    least = shares.amax(1, keepdim=True).clamp(max=threshold * (1 - ROUNDING))
    return shares * (shares >= least)


USUAL_TRUNCATIONS: Final = {"top_k": "k", "top_p": "p", "min_p": "p"}
"""Those that other programs have, too, each with its option."""


@truncations.register("top_k")
@dataclass
class TopKTruncation(Truncation):
    """The `k` most probable tokens (Fan et al. 2018); ties go to the lowest ids.

    1 is greedy, the number of tokens is `multinomial`; there cannot be more.
    """

    k: Size
    vocab_size: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocab_size is not None and self.k > self.vocab_size:
            raise ValueError(
                f"`k` must be from 1 to {self.vocab_size}, the number of tokens, but is {self.k}"
            )
        self.draws = self.k > 1

    def keep(self, shares: Tensor) -> Tensor:
        if self.k >= shares.shape[1]:
            return shares
        edge = shares.topk(self.k + 1).values[:, -2:]
        if all(last > after or not last for last, after in edge.tolist()):
            return shares * (shares >= edge[:, :1])
        columns = best(shares, self.k)  # where there are ties, the lowest ids
        return torch.zeros_like(shares).scatter(1, columns, shares.gather(1, columns))


@truncations.register("top_p")
@dataclass
class TopPTruncation(Truncation):
    """The nucleus (Holtzman et al. 2020): the fewest tokens with total probability `p`.

    They are the most probable ones, ties going to the lowest ids, up to and with the token that
    reaches `p`, within rounding (a millionth of it): 0.5 of ten equal tokens are the first five. 1
    is `multinomial`, towards 0 it becomes greedy.
    """

    p: Mass = 0.9

    def keep(self, shares: Tensor) -> Tensor:
        if self.p == 1:  # rounding could reach 1 before the last token
            return shares
        return keep_mass(*shares.sort(stable=True, dim=1, descending=True), self.p)


@truncations.register("min_p")
@dataclass
class MinPTruncation(Truncation):
    """The tokens with at least `p` times the probability of the best one.

    By Nguyen et al. (2024): the surer the model is, the fewer tokens stay. 0 is
    `multinomial`, 1 is greedy (but for ties, among which it draws). A token that reaches the
    threshold within rounding (a millionth of it) stays: 0.5 of (0.6, 0.3, 0.1) leaves two.
    """

    p: Threshold = 0.1

    def keep(self, shares: Tensor) -> Tensor:
        return keep_above(shares, shares.amax(1, keepdim=True) * self.p)


@truncations.register("typical")
@dataclass
class TypicalTruncation(Truncation):
    """The locally typical tokens (Meister et al. 2022).

    Tokens come in the order of `|-log p(token) - H|`, where H is the entropy of the distribution:
    first those whose surprise is the expected one. The fewest of these that have probability `p`
    stay, `p` being reached within rounding (a millionth of it); ties go to the lowest ids. 1 is
    `multinomial`.
    """

    p: Mass = 0.95

    def keep(self, shares: Tensor) -> Tensor:
        if self.p == 1:  # as in top_p
            return shares
        deviation = shares.log().add_(row_sum(torch.special.entr(shares))).abs_()
        order = deviation.sort(stable=True, dim=1).indices
        return keep_mass(shares.gather(1, order), order, self.p)


@truncations.register("epsilon")
@dataclass
class EpsilonTruncation(Truncation):
    """The tokens with at least the probability `epsilon` (Hewitt et al. 2022).

    Where none has as much, the most probable ones stay. 0 is `multinomial`. A token that reaches
    the threshold within rounding (a millionth of it) stays.
    """

    epsilon: Threshold = 3e-4

    def keep(self, shares: Tensor) -> Tensor:
        return keep_above(shares, self.epsilon)


@truncations.register("eta")
@dataclass
class EtaTruncation(Truncation):
    """The tokens with at least the probability `min(epsilon, alpha * exp(-H))`.

    By Hewitt et al. (2022): as `epsilon`, but where the entropy H of the distribution, in nats, is
    large, less is asked of a token. `alpha` is the square root of `epsilon` where it is not given.
    """

    epsilon: Threshold = 3e-4
    alpha: NonNegativeFloat | None = None

    def keep(self, shares: Tensor) -> Tensor:
        alpha = self.epsilon**0.5 if self.alpha is None else self.alpha
        entropy = row_sum(torch.special.entr(shares))
        return keep_above(shares, (-entropy).exp().mul_(alpha).clamp_(max=self.epsilon))


@truncations.register("top_n_sigma")
@dataclass
class TopNSigmaTruncation(Truncation):
    """The tokens whose logit is at most `n` standard deviations below the largest.

    By Tang et al. (2024). The standard deviation is that of the logits of all possible tokens,
    `sqrt(mean((l - mean(l)) ** 2))`. A logit is the logarithm of a probability but for a constant,
    so a temperature before it changes nothing: it divides both. 0 leaves the most probable ones.
    """

    n: NonNegativeFloat = 1.0

    def keep(self, shares: Tensor) -> Tensor:
        logits, possible = shares.log(), shares > 0
        gaps = (logits.amax(1, keepdim=True) - logits).masked_fill_(~possible, 0.0)
        count = possible.sum(1, keepdim=True)
        variance = row_sum(gaps.square()) / count - (row_sum(gaps) / count).square()
        return shares * (gaps <= variance.clamp_(min=0).sqrt_() * (self.n * (1 + ROUNDING)))

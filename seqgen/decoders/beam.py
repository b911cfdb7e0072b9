"""The decoder `beam`: the most probable sequences, as far as a few paths at a time can tell."""

from __future__ import annotations

from torch import Tensor

from seqgen.decoders.base import Decoder, Hypothesis, decoders
from seqgen.decoders.beam_search import BeamSearch
from seqgen.decoders.length_normalisation import Alpha, Formula, LengthNormalisation
from seqgen.decoders.paths import best
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.options import Size


@decoders.register("beam")
class Beam(Decoder):
    """Keep the `beam_size` best paths at each step; return the `n_best` sequences.

    Sequences are ranked by `score / length ** alpha` where `length_normalisation` is `power`, by
    `score / ((5 + length) / 6) ** alpha` where it is `gnmt` (Wu et al. 2016), and by the score
    where it is `none`; `length` counts the end token. The search ends when no path can come to a
    higher rank any more, so with a length normalisation it may go on far beyond the first end
    token. Without one, a beam of 1 is greedy; one as wide as the space finds the true best.
    """

    draws = False

    def __init__(
        self,
        beam_size: Size = 5,
        n_best: Size = 1,
        length_normalisation: Formula = "none",
        alpha: Alpha = 1.0,
    ) -> None:
        normalisation = LengthNormalisation(length_normalisation, alpha)
        self.search = BeamSearch(beam_size, n_best, normalisation, _pick)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` hypotheses for each source; fewer where there are no more."""
        return self.search.run(stepper, start, limits)


def _pick(totals: Tensor, vocab: int, count: int) -> Tensor:
    """The highest, `[beams, count]`; of equals the earliest path, then the lowest id."""
    return best(totals, count)

"""What systems produced: for each seed, for each input, its outputs with the model's score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqgen.comparison.systems import System
from seqgen.generate import Generated


@dataclass(frozen=True)
class Output:
    """An output and the model's own `log_probs` of its tokens, without constraints, whatever it was
    that the search added up: -inf for a token that the model is not let say."""

    generated: Generated
    log_probs: tuple[float, ...]


@dataclass(frozen=True)
class Reference:
    """What would be right: its text, its tokens with the end token where outputs have one, and the
    model's `log_probs` of them, -inf for a token that it is not let say."""

    text: str
    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]


@dataclass(frozen=True)
class Produced:
    """What a system made of the inputs.

    `outputs[s][i]` are those for input i by `seeds[s]`, the best first, as many as the plan's
    `samples`: where a decoder finds fewer, they come again, so that all systems are compared by as
    many outputs. A system that draws nothing has one seed. `rows` is how many rows the model read
    for it, all seeds and inputs together.
    """

    system: System
    seeds: Sequence[int]
    outputs: Sequence[Sequence[Sequence[Output]]]
    rows: int

    def best(self, seed: int) -> list[Output]:
        """The best output for each input, by the seed at place `seed`."""
        return [own[0] for own in self.outputs[seed]]

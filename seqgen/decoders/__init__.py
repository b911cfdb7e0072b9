"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`.

What changes scores is a constraint: subclass `Constraint`, `@constraints.register("name")`.
"""

from seqgen.decoders.base import (
    Decoder,
    DecoderFactory,
    Hypothesis,
    decoders,
)
from seqgen.decoders.beam import Beam
from seqgen.decoders.constraint import Constraint, ConstraintFactory, constrain, constraints
from seqgen.decoders.diverse_beam import DiverseBeam
from seqgen.decoders.forbid import Forbid
from seqgen.decoders.greedy import Greedy
from seqgen.decoders.min_p import MinP
from seqgen.decoders.multinomial import Multinomial
from seqgen.decoders.path import Extension, PathDecoder
from seqgen.decoders.sampling import Sampler, at_temperature
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.decoders.top_k import TopK
from seqgen.decoders.top_p import TopP
from seqgen.decoders.typical import Typical

__all__ = [
    "Beam",
    "Constraint",
    "ConstraintFactory",
    "Decoder",
    "DecoderFactory",
    "DiverseBeam",
    "Extension",
    "Forbid",
    "Greedy",
    "Hypothesis",
    "Limits",
    "MinP",
    "Multinomial",
    "PathDecoder",
    "Sampler",
    "Start",
    "Stepper",
    "TopK",
    "TopP",
    "Typical",
    "at_temperature",
    "constrain",
    "constraints",
    "decoders",
]

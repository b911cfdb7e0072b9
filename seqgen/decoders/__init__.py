"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`.

What changes scores is a constraint: subclass `Constraint`, `@constraints.register("name")`.
"""

from seqgen.decoders.base import (
    Decoder,
    DecoderFactory,
    Hypothesis,
    decoders,
)
from seqgen.decoders.constraint import Constraint, ConstraintFactory, constrain, constraints
from seqgen.decoders.forbid import Forbid
from seqgen.decoders.greedy import Greedy
from seqgen.decoders.multinomial import Multinomial, at_temperature
from seqgen.decoders.path import Extension, PathDecoder
from seqgen.decoders.stepper import Limits, Start, Stepper

__all__ = [
    "Constraint",
    "ConstraintFactory",
    "Decoder",
    "DecoderFactory",
    "Extension",
    "Forbid",
    "Greedy",
    "Hypothesis",
    "Limits",
    "Multinomial",
    "PathDecoder",
    "Start",
    "Stepper",
    "at_temperature",
    "constrain",
    "constraints",
    "decoders",
]

"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`."""

from seqgen.decoders.base import (
    Decoder,
    DecoderFactory,
    Hypothesis,
    Limits,
    Start,
    Stepper,
    decoders,
)
from seqgen.decoders.forbid import Forbid
from seqgen.decoders.greedy import Greedy
from seqgen.decoders.multinomial import Multinomial, at_temperature
from seqgen.decoders.path import Extension, PathDecoder

__all__ = [
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
    "decoders",
]

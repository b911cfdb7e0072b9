"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`.

What changes scores is a constraint: subclass `Constraint`, `@constraints.register("name")`.
"""

from seqgen.decoders.base import (
    Constraint,
    ConstraintFactory,
    Decoder,
    DecoderFactory,
    Hypothesis,
    Limits,
    Start,
    Stepper,
    constrain,
    constraints,
    decoders,
    held,
    unmet,
    watched,
)
from seqgen.decoders.beam import Beam, DiverseBeam
from seqgen.decoders.ensemble import Ensemble, LanguageModelFusion
from seqgen.decoders.exact import Exact
from seqgen.decoders.history import (
    ForcedPrefix,
    MinimumLength,
    NoRepeatNgram,
    Past,
    PastConstraint,
    RepetitionPenalty,
)
from seqgen.decoders.minimum_bayes_risk import MinimumBayesRisk
from seqgen.decoders.phrases import Allowed, AllowedBy, Forbid, Forbidden
from seqgen.decoders.sampling import (
    Extension,
    Greedy,
    MinP,
    Multinomial,
    PathDecoder,
    Sampler,
    TopK,
    TopP,
    Typical,
    at_temperature,
)
from seqgen.decoders.stochastic_beam import StochasticBeam
from seqgen.decoders.tracing import NOBODY, Trace, Traced, TraceNode

__all__ = [
    "NOBODY",
    "Allowed",
    "AllowedBy",
    "Beam",
    "Constraint",
    "ConstraintFactory",
    "Decoder",
    "DecoderFactory",
    "DiverseBeam",
    "Ensemble",
    "Exact",
    "Extension",
    "Forbid",
    "Forbidden",
    "ForcedPrefix",
    "Greedy",
    "Hypothesis",
    "LanguageModelFusion",
    "Limits",
    "MinP",
    "MinimumBayesRisk",
    "MinimumLength",
    "Multinomial",
    "NoRepeatNgram",
    "Past",
    "PastConstraint",
    "PathDecoder",
    "RepetitionPenalty",
    "Sampler",
    "Start",
    "Stepper",
    "StochasticBeam",
    "TopK",
    "TopP",
    "Trace",
    "TraceNode",
    "Traced",
    "Typical",
    "at_temperature",
    "constrain",
    "constraints",
    "decoders",
    "held",
    "unmet",
    "watched",
]

"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`.

What changes scores is a constraint: subclass `Constraint`, `@constraints.register("name")`.
"""

from seqgen.decoders.allowed import Allowed
from seqgen.decoders.allowed_by import AllowedBy
from seqgen.decoders.base import (
    Decoder,
    DecoderFactory,
    Hypothesis,
    decoders,
    watched,
)
from seqgen.decoders.beam import Beam
from seqgen.decoders.constraint import Constraint, ConstraintFactory, constrain, constraints, unmet
from seqgen.decoders.diverse_beam import DiverseBeam
from seqgen.decoders.ensemble import Ensemble
from seqgen.decoders.exact import Exact
from seqgen.decoders.forbid import Forbid
from seqgen.decoders.forbidden import Forbidden
from seqgen.decoders.forced_prefix import ForcedPrefix
from seqgen.decoders.greedy import Greedy
from seqgen.decoders.held import held
from seqgen.decoders.language_model import LanguageModelFusion
from seqgen.decoders.min_p import MinP
from seqgen.decoders.minimum_bayes_risk import MinimumBayesRisk
from seqgen.decoders.minimum_length import MinimumLength
from seqgen.decoders.multinomial import Multinomial
from seqgen.decoders.no_repeat_ngram import NoRepeatNgram
from seqgen.decoders.past import Past, PastConstraint
from seqgen.decoders.path import Extension, PathDecoder
from seqgen.decoders.repetition_penalty import RepetitionPenalty
from seqgen.decoders.sampling import Sampler, at_temperature
from seqgen.decoders.stepper import Limits, Start, Stepper
from seqgen.decoders.stochastic_beam import StochasticBeam
from seqgen.decoders.top_k import TopK
from seqgen.decoders.top_p import TopP
from seqgen.decoders.trace import NOBODY, Trace, TraceNode
from seqgen.decoders.traced import Traced
from seqgen.decoders.typical import Typical

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

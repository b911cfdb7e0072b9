"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`.

What changes scores is a constraint: subclass `Constraint`, `@constraints.register("name")`. What
says which tokens `multinomial` may draw: subclass `Truncation`, `@truncations.register("name")`.
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
    Wrapped,
    constraints,
    decoders,
    watched,
)
from seqgen.decoders.beam import Beam, DiverseBeam, StochasticBeam
from seqgen.decoders.ensemble import Ensemble, LanguageModelFusion, SecondaryModel
from seqgen.decoders.exact import Exact
from seqgen.decoders.guards import (
    check_scores,
    checked,
    constrain,
    intercept,
    read_ahead,
    result_fault,
    sequence_fault,
    unmet,
)
from seqgen.decoders.history import (
    ForcedPrefix,
    MinimumLength,
    NoRepeatNgram,
    Past,
    PastConstraint,
    RepetitionPenalty,
)
from seqgen.decoders.minimum_bayes_risk import MinimumBayesRisk
from seqgen.decoders.phrases import AllowedByFunction, AllowedTexts, ForbiddenTexts, WithoutTokens
from seqgen.decoders.sampling import (
    Extension,
    Forced,
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
from seqgen.decoders.speculative import Draft, Drafter, DraftFactory, Speculative, drafts
from seqgen.decoders.tracing import ROOT_PARENT, Counting, SearchTrace, TraceNode, Tracing
from seqgen.decoders.truncating import Truncation, TruncationFactory, keep_fault, truncations

# The names of an earlier release, for plugins.
held = checked
NOBODY = ROOT_PARENT
Allowed = AllowedTexts
AllowedBy = AllowedByFunction
Forbid = WithoutTokens
Forbidden = ForbiddenTexts
Trace = SearchTrace
Traced = Tracing

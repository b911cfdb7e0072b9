"""Decoders, search strategies. To add one: subclass `Decoder`, `@decoders.register("name")`.

What changes scores is a constraint: subclass `Constraint`, `@constraints.register("name")`. What
says which tokens `multinomial` may draw: subclass `Truncation`, `@truncations.register("name")`.
What guesses tokens for `speculative`: subclass `Draft`, `@drafts.register("name")`.
"""

from seqgen.decoders.base import (
    CLAIMS,
    Claim,
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
from seqgen.decoders.containing import MustContain
from seqgen.decoders.covering import Attended, CoveragePenalty
from seqgen.decoders.ensemble import Ensemble, Guidance, LanguageModelFusion, SecondaryModel
from seqgen.decoders.exact import Exact
from seqgen.decoders.guards import (
    can_go_on,
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
    FrequencyPenalty,
    MinimumLength,
    NoRepeatNgram,
    Past,
    PastConstraint,
    PresencePenalty,
    RepetitionPenalty,
)
from seqgen.decoders.minimum_bayes_risk import MinimumBayesRisk
from seqgen.decoders.noise import ids_for
from seqgen.decoders.patterns import Pattern
from seqgen.decoders.phrases import (
    AllowedByFunction,
    AllowedTexts,
    ForbiddenTexts,
    SequenceBias,
    WithoutTokens,
)
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
    walked,
)
from seqgen.decoders.speculative import (
    Draft,
    Drafter,
    DraftFactory,
    Speculative,
    drafts,
    proposal_fault,
)
from seqgen.decoders.stopping import MARGIN, Match, Stopping, StopStrings, with_stop
from seqgen.decoders.tracing import ROOT_PARENT, Counting, Drawing, SearchTrace, TraceNode, Tracing
from seqgen.decoders.truncating import (
    USUAL_TRUNCATIONS,
    Truncation,
    TruncationFactory,
    keep_fault,
    truncations,
)

__all__ = [
    "Constraint",
    "Decoder",
    "Draft",
    "Drafter",
    "Hypothesis",
    "Limits",
    "PastConstraint",
    "PathDecoder",
    "Start",
    "Stepper",
    "Truncation",
    "constrain",
    "constraints",
    "decoders",
    "drafts",
    "truncations",
]

# The names of an earlier release, for plugins.
held = checked
NOBODY = ROOT_PARENT
Allowed = AllowedTexts
AllowedBy = AllowedByFunction
Forbid = WithoutTokens
Forbidden = ForbiddenTexts
Trace = SearchTrace
Traced = Tracing

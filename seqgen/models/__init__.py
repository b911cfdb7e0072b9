"""Models, which learn and generate. To add one: subclass `Model`, `@models.register("name")`."""

from seqgen.models.base import (
    READ_AT_ONCE,
    Generative,
    LanguageModel,
    Loss,
    Model,
    ModelFactory,
    Score,
    evaluating,
    mask_padding,
    models,
    scored,
)
from seqgen.models.labelling import Classifier, Tagger
from seqgen.models.seq2seq import Seq2Seq

__all__ = [
    "Generative",
    "Loss",
    "Model",
    "ModelFactory",
    "Score",
    "mask_padding",
    "models",
    "scored",
]

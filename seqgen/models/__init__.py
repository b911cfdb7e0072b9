"""Models, which learn and generate. To add one: subclass `Model`, `@models.register("name")`."""

from seqgen.models.base import Generative, Loss, Model, ModelFactory, Score, models
from seqgen.models.classifier import Classifier
from seqgen.models.evaluating import evaluating
from seqgen.models.language_model import LanguageModel
from seqgen.models.seq2seq import Seq2Seq
from seqgen.models.tagger import Tagger

__all__ = [
    "Classifier",
    "Generative",
    "LanguageModel",
    "Loss",
    "Model",
    "ModelFactory",
    "Score",
    "Seq2Seq",
    "Tagger",
    "evaluating",
    "models",
]

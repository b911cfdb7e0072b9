"""Models, which learn and generate. To add one: subclass `Model`, `@models.register("name")`."""

from seqgen.models.base import Loss, Model, ModelFactory, Score, models
from seqgen.models.language_model import LanguageModel

__all__ = ["LanguageModel", "Loss", "Model", "ModelFactory", "Score", "models"]

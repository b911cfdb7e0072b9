"""Embeddings, tokens to vectors. To add one: subclass `Embedding`, `@embeddings.register("x")`."""

from seqgen.embeddings.base import Embedding, EmbeddingFactory, LearnedEmbedding, OneHot, embeddings
from seqgen.embeddings.pretrained import PretrainedEmbedding

__all__ = [
    "Embedding",
    "EmbeddingFactory",
    "LearnedEmbedding",
    "OneHot",
    "PretrainedEmbedding",
    "embeddings",
]

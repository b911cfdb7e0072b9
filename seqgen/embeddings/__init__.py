"""Embeddings, tokens to vectors. To add one: subclass `Embedding`, `@embeddings.register("x")`."""

from seqgen.embeddings.base import Embedding, EmbeddingFactory, embeddings
from seqgen.embeddings.learned import LearnedEmbedding
from seqgen.embeddings.one_hot import OneHot
from seqgen.embeddings.pretrained import PretrainedEmbedding

__all__ = [
    "Embedding",
    "EmbeddingFactory",
    "LearnedEmbedding",
    "OneHot",
    "PretrainedEmbedding",
    "embeddings",
]

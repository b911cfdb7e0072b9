"""Heads, hidden vectors to tokens. To add one: subclass `Head`, `@heads.register("name")`."""

from seqgen.heads.adaptive_softmax import AdaptiveSoftmaxHead
from seqgen.heads.base import Head, HeadFactory, heads
from seqgen.heads.mixture_of_softmaxes import MixtureOfSoftmaxesHead
from seqgen.heads.softmax import LinearHead, TiedHead

__all__ = [
    "AdaptiveSoftmaxHead",
    "Head",
    "HeadFactory",
    "LinearHead",
    "MixtureOfSoftmaxesHead",
    "TiedHead",
    "heads",
]

"""Attentions, what is read of a source. To add one: subclass `Attention` and register it."""

from seqgen.attentions.additive import AdditiveAttention
from seqgen.attentions.base import Attention, AttentionFactory, attentions
from seqgen.attentions.dot import DotAttention
from seqgen.attentions.general import GeneralAttention
from seqgen.attentions.none import NoAttention
from seqgen.attentions.scored import ScoredAttention

__all__ = [
    "AdditiveAttention",
    "Attention",
    "AttentionFactory",
    "DotAttention",
    "GeneralAttention",
    "NoAttention",
    "ScoredAttention",
    "attentions",
]

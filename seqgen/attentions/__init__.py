"""Attentions, what is read of a source. To add one: subclass `Attention` and register it."""

from seqgen.attentions.base import Attention, AttentionFactory, attentions

__all__ = ["Attention", "AttentionFactory", "attentions"]

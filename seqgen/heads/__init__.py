"""Heads, hidden vectors to tokens. To add one: subclass `Head`, `@heads.register("name")`."""

from seqgen.heads.base import Head, HeadFactory, heads
from seqgen.heads.linear import LinearHead
from seqgen.heads.tied import TiedHead

__all__ = ["Head", "HeadFactory", "LinearHead", "TiedHead", "heads"]

"""Heads, hidden vectors to tokens. To add one: subclass `Head`, `@heads.register("name")`."""

from seqgen.heads.base import Head, HeadFactory, LinearHead, TiedHead, heads
from seqgen.heads.several_softmaxes import AdaptiveSoftmaxHead, MixtureOfSoftmaxesHead

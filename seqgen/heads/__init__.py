"""Heads, hidden vectors to tokens. To add one: subclass `Head`, `@heads.register("name")`."""

from seqgen.heads.base import (
    AdaptiveSoftmaxHead,
    Head,
    HeadFactory,
    LinearHead,
    MixtureOfSoftmaxesHead,
    TiedHead,
    heads,
)

__all__ = ["Head", "HeadFactory", "LinearHead", "heads"]

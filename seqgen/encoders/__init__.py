"""Encoders, which read sources. To add one: subclass `Encoder`, `@encoders.register("name")`.

What leads from an encoder to a decoder's cell is a bridge: `@bridges.register("name")`.
"""

from seqgen.encoders.base import Encoded, Encoder, EncoderFactory, encoders
from seqgen.encoders.bridge import Bridge, BridgeFactory, LinearBridge, bridges

__all__ = [
    "Bridge",
    "BridgeFactory",
    "Encoded",
    "Encoder",
    "EncoderFactory",
    "LinearBridge",
    "bridges",
    "encoders",
]

"""Encoders, which read sources. To add one: subclass `Encoder`, `@encoders.register("name")`.

What leads from an encoder to a decoder's cell is a bridge: `@bridges.register("name")`.
"""

from seqgen.encoders.base import (
    Bridge,
    BridgeFactory,
    Encoded,
    Encoder,
    EncoderFactory,
    Label,
    LinearBridge,
    Vector,
    bridges,
    encoders,
)
from seqgen.encoders.readers import Bidirectional, Recurrent

__all__ = [
    "Bidirectional",
    "Bridge",
    "BridgeFactory",
    "Encoded",
    "Encoder",
    "EncoderFactory",
    "Label",
    "LinearBridge",
    "Recurrent",
    "Vector",
    "bridges",
    "encoders",
]

"""Encoders, which read sources. To add one: subclass `Encoder`, `@encoders.register("name")`.

What leads from an encoder to a decoder's cell is a bridge: `@bridges.register("name")`.
"""

from seqgen.encoders.base import Encoded, Encoder, EncoderFactory, encoders
from seqgen.encoders.bidirectional import Bidirectional
from seqgen.encoders.bridge import Bridge, BridgeFactory, LinearBridge, bridges
from seqgen.encoders.label import Label
from seqgen.encoders.recurrent import Recurrent
from seqgen.encoders.vector import Vector

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

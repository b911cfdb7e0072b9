"""Fast routes: what a cell's step alone says, run over a sequence without a recording."""

from seqgen.fast.decoding import TRUNCATIONS, Block, Choice, compiled_text
from seqgen.fast.route import Call, Route, outcome

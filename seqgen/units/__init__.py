"""What the units of a state do while a text is read: which properties of it they follow, and what
they are worth.

A *unit* is one number of `Cell.summary`, a *property* a number for each character of a text.
"""

from seqgen.units.inspection import INSPECTED, Follower, Inspection, Passage, inspect
from seqgen.units.properties import PROPERTIES, Property

__all__ = ["PROPERTIES", "Inspection", "Property"]

"""The metric `my_metric`: how often an output begins as it should."""

from dataclasses import dataclass

from seqgen.metrics import Proportion, metrics
from seqgen.options import Size


@metrics.register("my_metric")
@dataclass
class MyMetric(Proportion):
    """The share of outputs whose first characters are those of a reference.

    `right beginnings / answers`, each of up to `length` characters.
    """

    length: Size = 1
    names = ("right", "answers")

    def count(self, answer):
        begin = answer.output[: self.length]
        return int(begin in {each[: self.length] for each in answer.references}), 1

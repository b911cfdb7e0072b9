"""Kinds of data, files to batches. To add one: subclass `Data`, `@data.register("name")`."""

from seqgen.data.base import Data, DataFactory, Dataset, Split, TextSize, Training, data
from seqgen.data.batches import Prompts, TokenBatch
from seqgen.data.corpora import Corpus, corpora
from seqgen.data.python_library import PythonLibrary
from seqgen.data.text import TextData

__all__ = [
    "Corpus",
    "Data",
    "DataFactory",
    "Dataset",
    "Example",
    "PairBatch",
    "Prompts",
    "PythonLibrary",
    "Sources",
    "Split",
    "TextData",
    "TextSize",
    "TokenBatch",
    "Training",
    "corpora",
    "data",
]

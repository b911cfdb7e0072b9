"""The embedding `pretrained`: a table that starts from word vectors in a file."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from seqgen.embeddings.base import Embedding, embeddings
from seqgen.embeddings.vector_files import Vector, read_vectors, vector_size
from seqgen.errors import DataError
from seqgen.options import Size
from seqgen.tokenizers.base import SPECIALS
from seqgen.tokenizers.facts import Facts


@embeddings.register("pretrained")
class PretrainedEmbedding(Embedding):
    """Vectors from a GloVe or fastText text file, where the file knows the token; else random.

    A token is looked up as it is, then without the spaces around it, then in lower case. The
    random vectors have the standard deviation of those that were found. The numbers in a vector
    are those of the file; with `size` they are checked, and the file is needed only where a new
    run begins: a trained model has its table. `trainable: false` keeps the table as it began.
    """

    weight: Tensor

    def __init__(
        self, vocab_size: int, path: Path, size: Size | None = None, trainable: bool = True
    ) -> None:
        super().__init__()
        self.path = path
        self.output_size = vector_size(path) if size is None else size
        weight = nn.init.normal_(torch.empty(vocab_size, self.output_size))
        if trainable:
            self.weight = nn.Parameter(weight)
        else:
            self.register_buffer("weight", weight)

    def table(self) -> Tensor:
        """The vectors, `[vocab, size]`."""
        return self.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """`[...] -> [..., size]`."""
        return nn.functional.embedding(tokens, self.weight)

    @torch.no_grad()
    def initialise(self, facts: Facts) -> None:
        """Put the vectors of the file into the table. Errors: DataError."""
        forms = [_forms(piece) for piece in facts.pieces]
        vectors = read_vectors(
            self.path, {form for each in forms for form in each}, self.output_size
        )
        rows: dict[int, Vector] = {}
        for token, each in enumerate(forms):
            form = next((form for form in each if form in vectors.found), None)
            if form is not None:
                rows[token] = vectors.found[form]
        if not rows:
            raise DataError(f"{self.path}: has no vector for any token of the vocabulary")
        found = torch.stack([torch.from_numpy(row) for row in rows.values()])
        self.weight.mul_(found.std(correction=0).item())
        self.weight[torch.tensor(list(rows), device=self.weight.device)] = found.to(self.weight)
        _report(self.path, facts, rows, vectors.duplicates)


def _forms(piece: str) -> tuple[str, ...]:
    """Ways to write a piece, the best first."""
    plain = piece.strip()
    return tuple(form for form in dict.fromkeys((piece, plain, plain.lower())) if form)


def _report(path: Path, facts: Facts, rows: dict[int, Vector], duplicates: int) -> None:
    """Say how much of the vocabulary and of the training text has a vector."""
    own = range(len(SPECIALS), len(facts.pieces))
    known = [token for token in own if token in rows]
    text = f"vectors for {len(known)} of {len(own)} tokens ({len(known) / max(1, len(own)):.1%})"
    if facts.counts is not None and facts.counts.sum():
        share = facts.counts[known].sum() / facts.counts.sum()
        text += f", {share:.1%} of the training text"
    if duplicates:
        text += f"; {duplicates} that came again were left out"
    warnings.warn(f"{path}: {text}", stacklevel=2)

"""Every registry, by the name of its room."""

from __future__ import annotations

from typing import Any

from seqgen.attentions import attentions
from seqgen.cells import cells
from seqgen.data import corpora, data
from seqgen.decoders import constraints, decoders
from seqgen.embeddings import embeddings
from seqgen.encoders import bridges, encoders
from seqgen.heads import heads
from seqgen.metrics import metrics
from seqgen.models import models
from seqgen.registry import Registry
from seqgen.tokenizers import tokenizers
from seqgen.training import averages, optimizers, schedules

_ALL: tuple[Registry[Any], ...] = (
    tokenizers,
    data,
    corpora,
    embeddings,
    cells,
    heads,
    encoders,
    bridges,
    attentions,
    models,
    decoders,
    constraints,
    metrics,
    optimizers,
    schedules,
    averages,
)

ROOMS: dict[str, Registry[Any]] = {registry.room: registry for registry in _ALL}

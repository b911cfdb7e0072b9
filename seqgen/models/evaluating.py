"""The context in which a trained model is used: without dropout and without gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seqgen.models.base import Model


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Switch dropout and gradients off; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)

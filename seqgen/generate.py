"""Generation: prompts in, texts out, by any model and any decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field

from seqgen.data.base import Data
from seqgen.decoders import (
    Constraint,
    Decoder,
    Forbid,
    Hypothesis,
    Limits,
    PathDecoder,
    Start,
    Stepper,
    at_temperature,
    constrain,
)
from seqgen.models import Generative, evaluating
from seqgen.options import Count, NonNegativeFloat
from seqgen.state import reorder
from seqgen.tokenizers import BOS, EOS, PAD, UNK, Tokenizer, Tokenizers

SAMPLES_APART = 1 << 32
"""Sample s of prompt p is sequence p + s * 2**32: more samples or prompts change none of them."""


@dataclass(frozen=True)
class SampleOptions:
    """What a run shows of itself, the recipe's section `samples`.

    Each validation continues the first prompt at the recipe's own decoder; the report shows every
    prompt at each temperature (0 is greedy). `length` counts tokens.
    """

    prompts: Annotated[tuple[str, ...], Field(min_length=1)] = ("",)
    length: Count = 300
    temperatures: tuple[NonNegativeFloat, ...] = (0.0, 0.5, 0.8, 1.0)


@dataclass(frozen=True)
class Generated:
    """A continuation of `prompt`; `pieces` are its tokens as a person reads them."""

    prompt: str
    text: str
    hypothesis: Hypothesis
    pieces: tuple[str, ...]


@dataclass(frozen=True)
class Generator:
    """A model with the tokenizers and the kind of data that belong to it."""

    model: Generative
    tokenizers: Tokenizers
    data: Data[Any]
    device: torch.device

    @property
    def tokenizer(self) -> Tokenizer:
        """The one of what is generated."""
        return self.tokenizers[self.data.output_role]

    def generate(
        self,
        texts: Sequence[str],
        decoder: Decoder,
        max_length: int,
        samples: int = 1,
        first_number: int = 0,
    ) -> list[list[Generated]]:
        """For each text its continuations: `samples` times what the decoder finds.

        Random decoders draw for text i by the number `first_number + i`: who generates in batches
        counts on, and gets the same texts whatever the batch size.
        """
        limits = self.limits(max_length)
        with evaluating(self.model):
            stepper, start = self.start(texts, limits, decoder.constraints)
            found = decoder.decode(stepper, _copies(start, samples, first_number), limits)
        rows = iter(found)
        return [
            [self._read(text, each) for _ in range(samples) for each in next(rows)]
            for text in texts
        ]

    def stream(self, text: str, decoder: PathDecoder, max_length: int) -> Iterator[str]:
        """Yield the text of one continuation as its tokens come."""
        tokens: list[int] = []
        shown = ""
        before = self.tokenizer.encode(text).tolist()
        limits = self.limits(max_length)
        with evaluating(self.model):
            stepper, start = self.start([text], limits, decoder.constraints)
        walk = decoder.walk(stepper, start, limits)
        while True:
            # Not around the yield: the caller's own code would run without gradients.
            with evaluating(self.model):
                extension = next(walk, None)
            if extension is not None:
                tokens.append(int(extension.tokens[0]))
            whole = self.tokenizer.continuation(before, tokens)
            # A character may take several tokens; until it is whole, it ends in U+FFFD.
            ready = whole.rstrip("\ufffd") if extension is not None else whole
            if len(ready) > len(shown):
                yield ready[len(shown) :]
                shown = ready
            if extension is None:
                return

    def first_tokens(self, text: str, temperature: float, top: int = 8) -> list[dict[str, Any]]:
        """The most probable tokens behind `text` at `temperature`, with their probabilities."""
        with evaluating(self.model):
            stepper, start = self.start([text], self.limits(1))
            log_probs, _ = stepper.step(start.tokens, start.state, start.context)
        if temperature:
            probabilities = at_temperature(log_probs, temperature).exp()[0]
        else:
            probabilities = torch.zeros_like(log_probs[0])
            probabilities[log_probs[0].argmax()] = 1.0
        values, tokens = probabilities.topk(min(top, len(probabilities)))
        return [
            {"token": self.tokenizer.shown(token), "probability": value}
            for token, value in zip(tokens.tolist(), values.tolist(), strict=True)
        ]

    def start(
        self, texts: Sequence[str], limits: Limits, constraints: Sequence[Constraint] = ()
    ) -> tuple[Stepper, Start]:
        """The model's start for `texts` and what takes the steps from there.

        That is the model without the tokens that no text has, in the `constraints`.
        """
        batch = self.data.prompts(texts, self.tokenizers).to(self.device)
        never = [PAD, BOS, UNK] if self.data.ends else [PAD, BOS, UNK, EOS]
        model = Forbid(self.model, never)
        return constrain(constraints, model, self.model.start(batch), limits, batch)

    def limits(self, max_length: int) -> Limits:
        """`max_length` tokens, and the end token where the data has one."""
        return Limits(max_length, (EOS,) if self.data.ends else ())

    def _read(self, text: str, hypothesis: Hypothesis) -> Generated:
        pieces = tuple(self.tokenizer.shown(token) for token in hypothesis.tokens)
        before = self.tokenizer.encode(text).tolist()
        continuation = self.tokenizer.continuation(before, hypothesis.tokens)
        return Generated(text, continuation, hypothesis, pieces)


def _copies(start: Start, samples: int, first_number: int) -> Start:
    """Each source `samples` times in a row, every copy with a number of its own."""
    device = start.tokens.device
    sources = len(start.tokens)
    rows = torch.arange(sources, device=device).repeat_interleave(samples)
    copies = torch.arange(samples, device=device).repeat(sources)
    tokens, state, context = reorder((start.tokens, start.state, start.context), rows)
    return Start(tokens, state, context, rows + first_number + copies * SAMPLES_APART)

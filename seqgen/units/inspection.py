"""Inspection: the state at each token of a text, the units that follow properties of it, and what
the model loses without them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqgen.cells import Cell
from seqgen.models import LanguageModel, evaluating
from seqgen.state import State, leaves, rebuild
from seqgen.tokenizers import BOS, Tokenizer
from seqgen.units.properties import PROPERTIES, Numbers, Property

SHIFTS = 4096
"""At most so many circular shifts of a text are tried; the smallest p is 1 in so many."""
BEST = 2
"""How many units are shown for each property."""
ABLATED = 5000
"""How many tokens, from the beginning of the text, are read without each of these units."""
UNITS_AT_ONCE = 64


class Passage(NamedTuple):
    """A text as the model reads it: `rows` of token ids, each read from the initial state, and the
    place of the last character of each token of all rows."""

    text: str
    rows: list[list[int]]
    ends: list[int]

    @classmethod
    def of(cls, text: str, tokenizer: Tokenizer, by_lines: bool, most: int) -> Passage:
        """The first `most` tokens of `text`, which is one row, or one for each line `by_lines`.

        Raises ValueError if the tokenizer refuses the text, or does not know where its tokens are.
        """
        rows: list[list[int]] = []
        ends: list[int] = []
        begin = 0
        for line in text.split("\n") if by_lines else [text]:
            spans = tokenizer.spans(line)
            if spans is None:
                raise ValueError(
                    "the tokenizer does not know the places of its tokens in this text"
                )
            room = most - len(ends)
            if line and room:
                rows.append(tokenizer.encode(line).tolist()[:room])
                ends += [begin + end - 1 for _, end in spans[:room]]
            begin += len(line) + 1
        return cls(text[: ends[-1] + 1] if ends else "", rows, ends)

    @property
    def pieces(self) -> Iterator[tuple[str, int]]:
        """The text cut behind its tokens, each piece with the last token that ends there."""
        begin = 0
        for token, end in enumerate(self.ends):
            if token + 1 == len(self.ends) or self.ends[token + 1] > end:
                yield self.text[begin : end + 1], token
                begin = end + 1


@dataclass(frozen=True)
class Follower:
    """A unit and a property that it follows.

    `r` is their correlation (point-biserial where the property is 0 or 1), `p` how often some unit
    and some property are as close by chance. `nats_per_token` and `bits_per_char` are what the loss
    rises by where the unit is held at its mean.
    """

    unit: int
    name: str
    property: str
    r: float
    p: float
    nats_per_token: float
    bits_per_char: float


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found: `followers` from the largest |r| down, `activations: [tokens, units]`
    after each token, and `correlations: [units, properties]`, the columns in the order of
    `properties`, those that do not vary in this text left out.

    `nats_per_token` and `bits_per_char` are the loss on the whole text, `ablated_*` that on its
    first `ablated_tokens`, which is what those of the followers compare with.
    """

    passage: Passage
    names: tuple[str, ...]
    properties: tuple[str, ...]
    activations: NDArray[np.float32]
    correlations: NDArray[np.float32]
    followers: tuple[Follower, ...]
    nats_per_token: float
    bits_per_char: float
    ablated_tokens: int
    ablated_nats_per_token: float
    ablated_bits_per_char: float

    def figures(self) -> dict[str, Any]:
        """What was found, without text and activations, as plain data."""
        losses = {key: each for key, each in self.__dict__.items() if isinstance(each, int | float)}
        return {
            "units": len(self.names),
            "tokens": len(self.passage.ends),
            "characters": len(self.passage.text),
            **losses,
            "followers": [asdict(each) for each in self.followers],
        }


def inspect(
    model: LanguageModel, passage: Passage, properties: Mapping[str, Property] = PROPERTIES
) -> Inspection:
    """Read the text of `passage`, find units that follow `properties`, and read it without them.

    For each property there are the BEST units. Raises ValueError if the state has no numbers.
    """
    with evaluating(model):
        activations, nats = read_states(model, passage.rows)
        measured = {name: each(passage.text)[passage.ends] for name, each in properties.items()}
        varying = {name: each for name, each in measured.items() if np.ptp(each) > 0}
        values = np.stack([*varying.values()], 1) if varying else np.zeros((len(nats), 0))
        r, p = associations(activations, values)
        names = unit_names(model.cell)
        chosen = [
            (unit, column)
            for column in range(len(varying))
            for unit in r[:, column].abs().topk(min(BEST, len(r))).indices.tolist()
            if r[unit, column] != 0
        ]
        units = sorted({unit for unit, _ in chosen})
        rows = list(_beginning(passage.rows, ABLATED))
        ablated = ablate(model, rows, units, activations[:, units].mean(0))
    tokens = sum(map(len, rows))
    characters = passage.ends[tokens - 1] + 1 if tokens else 0
    losses = [_per(each, tokens, characters) for each in ablated.sum(0).tolist()]
    (base_nats, base_bits), found = losses[0], dict(zip(units, losses[1:], strict=True))
    followers = [
        Follower(
            unit,
            names[unit],
            list(varying)[column],
            float(r[unit, column]),
            float(p[unit, column]),
            found[unit][0] - base_nats,
            found[unit][1] - base_bits,
        )
        for unit, column in chosen
    ]
    followers.sort(key=lambda each: -abs(each.r))
    return Inspection(
        passage,
        names,
        tuple(varying),
        activations.numpy(),
        r.numpy(),
        tuple(followers),
        *_per(float(nats.sum()), len(nats), len(passage.text)),
        tokens,
        base_nats,
        base_bits,
    )


def _per(nats: float, tokens: int, characters: int) -> tuple[float, float]:
    """Nats per token and bits per character."""
    return nats / max(tokens, 1), nats / math.log(2) / max(characters, 1)


def _beginning(rows: Sequence[list[int]], most: int) -> Iterator[list[int]]:
    """The rows up to the token number `most`."""
    for row in rows:
        if most > 0:
            yield row[:most]
        most -= len(row)


def read_states(model: LanguageModel, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """The numbers of the state after each token, `[tokens, units]`, and the nats of each token."""
    device = next(model.parameters()).device
    count = sum(map(len, rows))
    size = model.cell.summary_size
    activations, nats = torch.empty(count, size), torch.empty(count, device=device)
    stepper = model.stepper(count)
    place = 0
    for row in rows:
        ids = torch.tensor([BOS, *row], device=device)
        state = model.initial_state(1)
        for step in range(len(ids)):
            log_probs, state = stepper.step(ids[step : step + 1], state, None)
            if step:
                activations[place - 1] = model.cell.summary(state)[0]
            if step < len(row):
                nats[place] = -log_probs[0, row[step]]
                place += 1
    return activations, nats.cpu()


def associations(activations: Tensor, properties: Numbers) -> tuple[Tensor, Tensor]:
    """The correlation of each unit with each property, and its p-value, both `[units, properties]`,
    of `activations: [tokens, units]` and `properties: [tokens, properties]`.

    The null hypothesis is that the text might as well be shifted against the activations, around
    its end to its beginning, which keeps how slowly both change. At each shift the largest |r| of
    all units counts for a property, in multiples of its root mean square over the shifts, and the
    largest of all properties for the search. So p, the share of shifts at which that is as large
    as it is for a unit and a property, holds for the whole search at once (maxT, Westfall and
    Young 1993).
    """
    tokens, units = activations.shape
    apart = max(-(-tokens // SHIFTS), 1)  # tokens from one shift to the next
    shifts = tokens // apart

    def spectrum(values: Tensor) -> Tensor:
        """Of each column, standardised, and of every `apart`-th token: `[frequency, apart, n]`."""
        used = values[: shifts * apart].double()
        centred = used - used.mean(0)
        norms = centred.norm(dim=0)
        varies = norms > 1e-6 * used.norm(dim=0)  # else it is rounding
        scaled = torch.where(varies, centred / norms, 0).float()
        found: Tensor = torch.fft.rfft(scaled.view(shifts, apart, -1), dim=0)
        return found

    if not tokens or not properties.shape[1]:
        return torch.zeros(units, properties.shape[1]), torch.ones(units, properties.shape[1])
    of_text = spectrum(torch.from_numpy(properties))
    found, largest = [], torch.zeros(shifts, properties.shape[1])
    for some in torch.split(activations, UNITS_AT_ONCE, 1):
        # The correlation at all shifts at once: a product of spectra, summed over the offsets.
        product = spectrum(some).conj().transpose(1, 2) @ of_text
        r = torch.fft.irfft(product, n=shifts, dim=0)  # [shift, units, properties]
        largest = torch.maximum(largest, r.abs().amax(1))
        found.append(r[0])
    observed = torch.cat(found)
    scale = largest.square().mean(0).sqrt().clamp(min=1e-12)
    chance = (largest / scale).amax(1).sort().values
    reached = torch.searchsorted(chance, (observed.abs() / scale * (1 - 1e-6)).contiguous())
    return observed.clamp(-1, 1), (shifts - reached).clamp(min=1) / shifts


def ablate(
    model: LanguageModel, rows: Sequence[Sequence[int]], units: Sequence[int], means: Tensor
) -> Tensor:
    """The nats of each token, teacher-forced, `[tokens, 1 + units]`: first as the model is, then
    where each of the `units` is held at its value of `means: [units]` whenever a token is read.

    What a unit carries from step to step is taken away; what the output of the same step has of it
    is not, for the output is no part of the state. The state before each step is made of its
    `summary`, so the parts that a summary leaves out are those of an initial state, in all columns.
    """
    device = next(model.parameters()).device
    columns, places = torch.arange(1, len(units) + 1), torch.tensor(units, dtype=torch.long)
    held = means.to(device)

    def without(state: State) -> State:
        numbers = model.cell.summary(state).clone()
        numbers[columns, places] = held.to(numbers.dtype)
        made = leaves(model.cell.state_from(numbers))
        pairs = zip(leaves(state), made, strict=True)
        return rebuild(state, [new if new.is_floating_point() else old for old, new in pairs])

    nats = []
    stepper = model.stepper(sum(map(len, rows)) * (len(units) + 1))
    for row in rows:
        ids = torch.tensor([BOS, *row], device=device)
        state = model.initial_state(len(units) + 1)
        for step, target in enumerate(row):
            read = ids[step].expand(len(units) + 1)
            log_probs, state = stepper.step(read, without(state), None)
            nats.append(-log_probs[:, target])
    return torch.stack(nats).double().cpu()


def unit_names(cell: Cell) -> tuple[str, ...]:
    """Such as `memory 12`: the field of the state and the place in it where the summary is the
    state's numbers in their order, else such as `unit 12`."""
    state = cell.initial_state(1)
    size = cell.summary_size
    counted, names, begin = [], [], 1
    for path, leaf in zip(_paths(state), leaves(state), strict=True):
        numbers = torch.arange(begin, begin + leaf.numel(), device=leaf.device)
        counted.append(numbers.view(leaf.shape).to(leaf.dtype))
        names += [f"{path or 'unit'} {place}" for place in range(leaf.numel())]
        begin += leaf.numel()
    found = cell.summary(rebuild(state, counted))[0].cpu()
    if found.equal(torch.arange(1, size + 1).to(found.dtype)):
        return tuple(names[:size])
    return tuple(f"unit {place}" for place in range(size))


def _paths(state: State, path: str = "") -> Iterator[str]:
    """Where each leaf is: the names and numbers of the parts around it."""
    if isinstance(state, tuple):
        fields = getattr(type(state), "_fields", range(1, len(state) + 1))
        alone = len(state) == 1
        for name, part in zip(fields, state, strict=True):
            yield from _paths(part, path if alone else f"{path} {name}".strip())
    elif state is not None:
        yield path

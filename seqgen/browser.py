"""A run as one page that generates by itself, with its weights in it and no server behind it.

What the page can do is a table of names, `WORKING`; the scripts in `reports/templates/` have a
function for each. The same seed gives the same text as in Python where the weights are those of the
page, see `rounded`.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Final, cast

import torch
from torch import Tensor

from seqgen.build import tokenizer_parts
from seqgen.decoders import USUAL_TRUNCATIONS
from seqgen.models import Generative
from seqgen.registry import Part, plain
from seqgen.reports import render
from seqgen.tokenizers import BOS, EOS, PAD, UNK, Tokenizer
from seqgen.trained import TrainedRun

WORKING: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("language_model", "seq2seq"),
    "data kind": ("lines", "pairs", "text"),
    "embedding": ("learned", "one_hot", "pretrained"),
    "cell": ("gru", "gru_cell", "lstm", "lstm_cell", "rnn", "rnn_cell", "stack"),
    "head": ("linear", "tied"),
    "encoder": ("bidirectional", "recurrent"),
    "bridge": ("copy", "linear", "zeros"),
    "attention": ("additive", "dot", "general", "none"),
    "tokenizer": ("char",),
    "tokenizer of outputs": ("char", "whole", "word"),
}
"""The parts that work on the page, by their kinds."""

LONGEST: Final = 5000
"""The most tokens of a text on the page, which keeps what was seen at each of them."""


def generator_page(run: TrainedRun, name: str = "") -> str:
    """The page of a run, by default named like its folder.

    Raises ValueError if a part of the run does not work there, or a weight is beyond float16.
    """
    recipe, data = run.built.recipe, run.built.data
    check_works(run)
    shapes, halves = _halves(run)
    inputs = run.built.tokenizers["text" if data.continues else "source"]
    by_characters = tokenizer_parts(recipe, data)[data.output_field].name == "char"
    document = {
        "spec": plain(recipe.model),
        "shapes": shapes,
        "halves": halves,
        "inputs": _vocabulary(inputs),
        "outputs": _vocabulary(run.built.tokenizer),
        "unit": "character" if by_characters else "token",
        "data": cast(Part[Any], recipe.data).name,
        "changes": [*getattr(data, "source_changes", ())],
        "never": [PAD, BOS, UNK] if data.ends else [PAD, BOS, UNK, EOS],
        "ratio": recipe.generation.max_length_ratio,
        "extra": recipe.generation.max_length_extra,
        "run": str(run.directory.folder),
        "longest": LONGEST,
        "start": _start(run),
    }
    return render(
        "generator.html",
        heading=name or run.directory.folder.resolve().name,
        document=document,
        continues=data.continues,
        looks=cast(Generative, run.built.model).looks_back,
        many_lines=document["data"] == "text",
        about=_about(cast(Part[Any], recipe.model)),
        parameters=run.built.parameters,
        longest=LONGEST,
    )


def rounded(run: TrainedRun) -> TrainedRun:
    """The same run with each weight as the page has it: rounded to float16."""
    model = copy.deepcopy(run.built.model)
    with torch.no_grad():
        for each in chain(model.parameters(), model.buffers()):
            if each.is_floating_point():
                each.copy_(each.half())
    return replace(run, built=replace(run.built, model=model))


def check_works(run: TrainedRun) -> None:
    """Raises ValueError unless every part of the run works on the page."""
    recipe, data = run.built.recipe, run.built.data
    if "features" in data.fields:
        raise ValueError("sources with features do not work in a browser; those without do")
    used = [(each.registry.kind, each.name) for each in _parts((recipe.model, recipe.data))]
    for field, part in tokenizer_parts(recipe, data).items():
        reads = field != data.output_field or data.continues
        used.append(("tokenizer" if reads else "tokenizer of outputs", part.name))
    for kind, name in used:
        works = WORKING.get(kind)
        if works is not None and name not in works:
            others = ", ".join(works)
            raise ValueError(f"the {kind} '{name}' does not work in a browser; these do: {others}")


def _parts(value: object) -> Iterator[Part[Any]]:
    """The parts in a part or a sequence of them, each before those that it owns."""
    if isinstance(value, Part):
        yield value
        yield from _parts(tuple(value.options.values()))
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _parts(each)


def _halves(run: TrainedRun) -> tuple[list[tuple[str, list[int]]], str]:
    """Names and shapes of all weights, and their numbers one behind the other, in base64."""
    weights = run.built.model.state_dict()
    halves = {name: cast(Tensor, each).detach().cpu().half() for name, each in weights.items()}
    for name, each in halves.items():
        if not each.isfinite().all():
            raise ValueError(f"the weights {name} have numbers beyond float16, up to 65,504")
    numbers = b"".join(each.numpy().astype("<f2").tobytes() for each in halves.values())
    shapes = [(name, [*each.shape]) for name, each in halves.items()]
    return shapes, base64.b64encode(numbers).decode()


def _vocabulary(tokenizer: Tokenizer) -> dict[str, Any]:
    """What each token adds to a text, at its beginning and later, and how it is shown."""
    contents = tokenizer.contents()
    assert contents is not None  # for those that work
    first, later = ([each.decode() for each in row] for row in contents[:2])
    shown = [*map(tokenizer.shown, range(len(tokenizer)))]
    return {"first": first, "later": later, "breaks": [*contents.breaks], "shown": shown}


def _about(model: Part[Any]) -> str:
    """The cell of a model in a few words, such as `lstm of 384 units`."""

    def cell(part: Part[Any]) -> str:
        if "cells" in part.options:
            return " on ".join(map(cell, reversed(part.options["cells"])))
        layers = part.options.get("layers", 1)
        many = f"{layers} layers of " if layers > 1 else ""
        return f"{many}{part.name} of {part.options['hidden_size']} units"

    return cell(model.options["cell"])


def _start(run: TrainedRun) -> dict[str, Any]:
    """Where the controls stand at first: as the recipe's decoder, as far as the page can say it;
    where it cannot, at the most probable token."""
    recipe = run.built.recipe
    spec = cast(Part[Any], recipe.decoder).plain()
    truncations = [{**spec}, *spec.get("truncations", ())]
    known = [each for each in truncations if each["name"] in USUAL_TRUNCATIONS]
    cut = known[0] if len(known) == 1 else None
    temperature = spec.get("temperature", 0.0)
    return {
        "prompt": run.prompts[0],
        "temperature": temperature if temperature <= 2 else 2.0,
        "truncation": cut["name"] if cut else "none",
        "value": cut[USUAL_TRUNCATIONS[cut["name"]]] if cut else 0,
        "seed": str(recipe.seed),  # which may be beyond the whole numbers of a script
        "length": min(recipe.generation.max_length, LONGEST),
    }

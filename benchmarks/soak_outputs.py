"""Random decoders in random constraints with random stops: the stage `outputs` of soak.py."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from seqgen.data import data
from seqgen.decoders import constraints, decoders, drafts, sequence_fault, truncations
from seqgen.generate import Generated, GenerationOptions, Generator
from seqgen.models import models
from seqgen.options import REQUIRED, OptionError
from seqgen.registry import Registry
from seqgen.streaming import TextStream
from seqgen.tokenizers import EOS, ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer

TEXT = "ab ba a b dög ca\n"
TEXTS = ("a", "b", "ab", "ba", "aa", " ", "ö", "a b", "dög", "bab", "abab", "c")
PROMPTS = ("", "a", "ab", "dög", "b a", "ab ba a", "?", "aba")
SHARES = (1e-9, 0.05, 0.3, 0.7, 0.9, 1.0)
TRIED: dict[str, tuple[Any, ...]] = {
    "temperature": (0, 1e-9, 1e-4, 0.3, 1, 2.5, 1e4, 1e9, float("inf")),
    "temperature_last": (False, True),
    "k": (1, 2, 5),
    "p": SHARES,
    "epsilon": (0, 1e-12, *SHARES),
    "alpha": (0, 0.5, 1.0, 10.0),
    "n": (0, 0.1, 1, 3, 1e30),
    "beam_size": (1, 2, 3, 6, 30),
    "n_best": (1, 2, 6),
    "length_normalisation": ("none", "power", "gnmt"),
    "word_reward": (0, 0.5, -3.0, 100.0),
    "groups": (1, 2, 3),
    "diversity_strength": (0, 0.5, 100.0),
    "samples": (1, 2, 6),
    "utility": ("edit", "ngram_f"),
    "max_nodes": (1, 5, 60),
    "ahead": (1, 2, 20),
    "order": (1, 2, 4),
    "longest": (2, 4),
    "penalty": (0.5, 1, 2.0, 100.0),
    "window": (None, 1, 3, 50),
    "size": (1, 2, 3),
    "length": (0, 1, 3, 9),
    "beta": (0, 0.5, 10.0),
    "scale": (0, 0.5, 1, 2, 30),
    "weight": (0, 0.3, 3),
    "average": ("mean", "product"),
    "regex": ("[ab]*", "(ab|ba)+", "a( b)*", ".*ö.*", "[ab ]{3,5}", "[^a]*"),
    "text": TEXTS,
    "run": ("other",),
    "runs": ((), ("other",)),
}
"""Values of options, by name; others stay at their defaults."""
PARTS: dict[str, Registry[Any]] = {"sampler": decoders, "draft": drafts}
CHOOSING = ("greedy", "multinomial", *truncations.names())


def spec_of(draw: random.Random, registry: Registry[Any], name: str) -> dict[str, Any]:
    """A part of that name with random options."""
    spec: dict[str, Any] = {"name": name}
    for key, option in registry.entry(name).options.items():
        if option.default is not REQUIRED and draw.random() < 0.4 and key != "max_nodes":
            continue
        if key == "truncations":
            names = draw.choices(truncations.names(), k=draw.randint(0, 3))
            spec[key] = [spec_of(draw, truncations, each) for each in names]
        elif key in PARTS:
            names = CHOOSING if key == "sampler" else PARTS[key].names()
            spec[key] = spec_of(draw, PARTS[key], draw.choice(names))
        elif key == "texts":
            some = draw.choices(TEXTS, k=draw.randint(1, 3))
            bias = {each: draw.choice([-100.0, -2.0, 1.0, 100.0]) for each in some}
            spec[key] = bias if name == "sequence_bias" else some
        elif key in TRIED:
            spec[key] = draw.choice(TRIED[key])
    return spec


def plainly(output: Generated) -> Any:
    """An output but for the last bits of its scores."""
    made = output.hypothesis._replace(score=0.0, log_probs=(), rank=None)
    return output.text, output.pieces, made


class Outputs:
    """Outputs that depend on their batch, do not end as they say, or differ from their stream."""

    def __init__(self, folder: Path) -> None:
        del folder
        self.tokenizers: list[Tokenizer] = [ByteTokenizer(), CharTokenizer(), WordTokenizer()]
        for each in self.tokenizers:
            each.fit([TEXT * 20])

    def model(self, draw: random.Random, tokenizer: Tokenizer, kind: str) -> Any:
        """One with random weights, which may never end a text, or find one token certain."""
        torch.manual_seed(draw.randrange(10**6))
        cell = {"name": draw.choice(["gru", "lstm", "min_gru"]), "hidden_size": 6}
        spec: dict[str, Any] = {"name": "language_model", "cell": cell, "embedding": {"size": 4}}
        sizes: dict[str, Any] = {"vocab_size": len(tokenizer)}
        if kind == "pairs":
            encoder = {"name": "recurrent", "cell": cell, "embedding": {"size": 4}}
            attention = draw.choice(["general", "additive"])
            spec |= {"name": "seq2seq", "encoder": encoder, "attention": attention}
            sizes["source"] = {"vocab_size": len(tokenizer)}
        model = models.build(spec, **sizes).double()
        scale = draw.choice([1, 3, 6])
        with torch.no_grad():
            for each in model.parameters():
                each.mul_(scale)
            for token in (EOS, draw.randrange(4, len(tokenizer))):
                bias = draw.choice([0.0, 0.0, 4.0, -1e4, float("-inf"), 1e4])
                model.head.project.bias[token] += bias
        return model

    def case(self, draw: random.Random, number: int) -> Iterator[str]:
        """Some prompts, at once, one by one, again, and as streams; what differs."""
        del number
        tokenizer, kind = draw.choice(self.tokenizers), draw.choice(["text", "lines", "pairs"])
        corpus = "hangul" if kind == "pairs" else "unicode_names"
        fields = ("source", "target") if kind == "pairs" else ("text",)
        model, other = (self.model(draw, tokenizer, kind) for _ in range(2))
        stops: dict[str, Any] = {"keep_stop": draw.random() < 0.5}
        if draw.random() < 0.5:
            stops["stop"] = tuple(draw.choices(TEXTS, k=draw.randint(1, 2)))
        generator = Generator(
            model,
            dict.fromkeys(fields, tokenizer),
            data.build({"name": kind, "corpus": corpus}, seed=1),
            torch.device("cpu"),
            GenerationOptions(replace_unknown=kind == "pairs" and draw.random() < 0.3, **stops),
        )
        spec = spec_of(draw, decoders, draw.choice(decoders.names()))
        names = draw.choices(constraints.names(), k=draw.choice([0, 1, 1, 2, 3]))
        spec["constraints"] = [spec_of(draw, constraints, each) for each in names]
        prompts, most = draw.choices(PROMPTS, k=4), draw.choice([0, 1, 2, 5, 9, 9])
        given = {
            "seed": draw.randrange(100),
            "vocab_size": len(tokenizer),
            "encode": lambda text: tokenizer.encode(text).tolist(),
            "contents": tokenizer.contents,
            "load": lambda run: other,
            "looks_back": kind == "pairs",
        }
        try:
            decoder = decoders.build(spec, **given)
        except OptionError:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for fault in self.faults(generator, decoder, prompts, most):
                    yield f"{fault}: {spec} {stops} {kind} {type(tokenizer).__name__} {prompts}"
            except Exception as error:
                yield f"{error!r}: {spec} {stops} {kind} {type(tokenizer).__name__} {prompts}"

    def faults(
        self, generator: Generator, decoder: Any, prompts: list[str], most: int
    ) -> Iterator[str]:
        """What of the outputs is not as it must be."""
        found = generator.generate(prompts, decoder, most)
        for place, (prompt, own) in enumerate(zip(prompts, found, strict=True)):
            [alone] = generator.generate([prompt], decoder, most, sequence_ids=[place])
            if [*map(plainly, own)] != [*map(plainly, alone)]:
                yield f"{place} differs alone"
            for each in own:
                made = each.hypothesis
                fault = sequence_fault(made, most, (EOS,) if generator.data.ends else ())
                if fault:
                    yield fault
                if not (made.finished or len(made.tokens) == most or not made.satisfied):
                    yield "it ends without a reason"
                cut = () if generator.options.keep_stop else generator.options.stop
                if any(stop in each.text for stop in cut):
                    yield "a stop string is in it"
            if decoder.streams:
                stream = TextStream("", generator.stream(prompt, decoder, most, place))
                if "".join(stream) != own[0].text or plainly(stream.output) != plainly(own[0]):
                    yield f"the stream of {place} differs"

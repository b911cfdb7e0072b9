"""What a runner must know besides the networks: `meta.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

from seqgen.build import tokenizer_parts
from seqgen.decoders import USUAL_TRUNCATIONS
from seqgen.export.networks import SIZES, begun, places
from seqgen.registry import Part, plain
from seqgen.state import State, leaves
from seqgen.tokenizers import BOS, EOS, PAD, SPECIALS, UNK
from seqgen.tokenizers.word import make_splitter
from seqgen.trained import TrainedRun
from seqgen.version import __version__

FORMAT: Final = 1
"""That of `meta.json`."""

KINDS: Final[dict[str, tuple[list[int], list[int], list[int]]]] = {
    "text": ([], [], [BOS]),
    "lines": ([BOS], [], []),
    "pairs": ([], [EOS], []),
    "labelled": ([], [EOS], []),
    "tagged": ([], [], []),
    "vectors": ([], [], []),
}
"""The tokens before and after those of a text that a model reads, and what it reads of nothing,
for the kinds of data whose texts the runner knows."""

PATTERNS: Final = {"char": "(?s:.)", "whole": "(?s:.+)", "byte": None}
"""What a tokenizer looks up of a text, as a regular expression; None is each byte."""


def description(run: TrainedRun) -> tuple[dict[str, Any], list[str]]:
    """All but the networks, for `meta.json`; remarks on what of the recipe is not in it."""
    built, recipe, options = run.built, run.built.recipe, run.built.recipe.generation
    data, texts = built.data, _texts(run)
    decoder, remarks = _decoder(cast(Part[Any], recipe.decoder).plain())
    left_out = [key for key in ("stop", "replace_unknown", "max_seconds") if getattr(options, key)]
    remarks += [f"the runner leaves out generation.{key}" for key in left_out]
    if texts["reads"] is None and texts["unreadable"]:
        remarks.append(f"the runner reads token ids: {texts['unreadable']}")
    (batch, one), (_, other) = (begun(run, sources, time) for sources, _, time in SIZES[::2])
    lengths = None if batch is None else data.output_lengths(batch)
    always_one = lengths is not None and bool((lengths == 1).all())
    sizes = {} if data.continues else data.sizes(built.tokenizers)["source"]
    known = ("keep_stop", "max_length", "max_length_ratio", "max_length_extra")
    meta = {
        "format": FORMAT,
        "seqgen": __version__,
        "run": run.fingerprint,
        "recipe": plain(recipe),
        "continues": data.continues,
        "encoder": not data.continues,
        "special_tokens": dict(zip(SPECIALS, range(len(SPECIALS)), strict=True)),
        "vocab_size": len(built.tokenizer),
        "source_size": sizes.get("vocab_size", len(built.tokenizer)),
        "vector_size": sizes.get("vector_size", 0),
        "first_token": int(one.tokens[0]),
        "state": _described("state", one.state, other.state, data.continues),
        "context": _described("context", one.context, other.context),
        "ends": [*((EOS,) if data.ends else ()), *built.generator().stop_tokens],
        "never": [PAD, BOS, UNK] if data.ends else [PAD, BOS, UNK, EOS],
        **{key: getattr(options, key) for key in known},
        "length": "free" if lengths is None else "one" if always_one else "source",
        "seed": recipe.seed,
        "decoder": decoder,
        "texts": texts,
    }
    return meta, remarks


def _described(name: str, one: State, other: State, constant: bool = False) -> list[dict[str, Any]]:
    """Name, dtype and shape of each tensor, without its first dimension; null stands for sizes
    that differ. Where it is `constant`, also its value: a number, or numbers."""
    found = []
    for place, first, second in zip(places(one, name), leaves(one), leaves(other), strict=True):
        pairs = zip(first.shape[1:], second.shape[1:], strict=True)
        shape = [size if size == another else None for size, another in pairs]
        dtype = str(first.dtype).removeprefix("torch.")
        each: dict[str, Any] = {"name": place, "dtype": dtype, "shape": shape}
        if constant:
            alike = bool((first == first.flatten()[:1]).all())
            each["initial"] = first.flatten()[0].item() if alike else first[0].tolist()
        found.append(each)
    return found


def _decoder(spec: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What the runner does by itself, and remarks on what it does not: the recipe's decoder, or
    greedy search."""
    remarks = ["the runner has no constraints"] if spec.pop("constraints", ()) else []
    name = spec.pop("name")
    if name in ("greedy", "beam"):
        return {"name": name, **spec}, remarks
    truncations = [*spec.pop("truncations", ())]
    if name in USUAL_TRUNCATIONS:
        truncations = [{"name": name, USUAL_TRUNCATIONS[name]: spec.pop(USUAL_TRUNCATIONS[name])}]
    if name not in (*USUAL_TRUNCATIONS, "multinomial") or any(
        each["name"] not in USUAL_TRUNCATIONS for each in truncations
    ):
        remarks.append(f"the runner has no decoder like this '{name}': it is greedy unless told")
        return {"name": "greedy"}, remarks
    cuts = [(each["name"], each[USUAL_TRUNCATIONS[each["name"]]]) for each in truncations]
    return {"name": "sample", **spec, "truncations": cuts}, remarks


def _texts(run: TrainedRun) -> dict[str, Any]:
    """How texts become tokens and tokens texts. Bytes that are no characters are surrogates."""
    kind, contents = cast(Part[Any], run.built.recipe.data).name, run.built.tokenizer.contents()
    reads = _reads(run, kind)
    unreadable = reads if isinstance(reads, str) else ""
    texts: dict[str, Any] = {"reads": None if unreadable else reads, "unreadable": unreadable}
    if contents is None or kind not in KINDS:
        return {**texts, "first": None, "later": None, "breaks": []}
    first, later = _strings(contents.first), _strings(contents.later)
    later = [f" {each}" for each in first] if kind == "tagged" else later
    return {**texts, "first": first, "later": later, "breaks": [*contents.breaks]}


def _reads(run: TrainedRun, kind: str) -> dict[str, Any] | str | None:
    """How a text is cut into what the model reads, or why only seqgen can; None for vectors."""
    data, recipe = run.built.data, run.built.recipe
    if kind not in KINDS or "features" in data.fields:
        what = "with features" if kind in KINDS else f"of the data kind '{kind}'"
        return f"only seqgen knows how inputs {what} are read"
    if kind == "vectors":
        return None
    field = data.output_field if data.continues else "source"
    part, tokenizer = tokenizer_parts(recipe, data)[field], run.built.tokenizers[field]
    own, contents, pattern = part.options, tokenizer.contents(), PATTERNS.get(part.name)
    if part.name == "word":
        splitter = make_splitter(own["split"], own["pattern"])
        pattern = splitter.pattern and splitter.pattern.pattern
    if contents is None or (pattern is None and part.name != "byte"):
        return f"only seqgen knows how its tokenizer '{part.name}' cuts a text"
    before, after, empty = KINDS[kind]
    return {
        "changes": [*getattr(data, "source_changes", ())],
        "pattern": "[^ ]+" if kind == "tagged" else pattern,
        "lower": own.get("lower", False),
        "line_ends": own.get("line_ends", False),
        "pieces": _strings(contents.first),
        "unknown": None if own.get("unk") == "error" else UNK,
        "before": before,
        "after": after,
        "empty": empty,
    }


def _strings(pieces: Sequence[bytes]) -> list[str]:
    return [each.decode("utf-8", "surrogateescape") for each in pieces]

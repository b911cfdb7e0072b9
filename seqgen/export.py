"""A run as models for onnxruntime or for torch.export, which take their steps without seqgen.

Two networks are written. `encoder` reads sources and makes context and first state; a model that
continues texts has none, since its first state is a constant. `step` reads a token on each path:

    source [sources, source_time], lengths [sources]  ->  state [sources, 1, ...], context
    tokens [sources, paths], state [sources, paths, ...], context [sources, ...]
                                ->  log_probs [sources, paths, vocab], state [sources, paths, ...]

So the paths of a source share its context, as in every search here. All these sizes may be others
than those of the example that was traced. Fast routes stay out: what is traced are plain steps.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from seqgen.build import tokenizer_parts
from seqgen.cells import Cell
from seqgen.data import Sources
from seqgen.decoders import Start
from seqgen.errors import SetupError
from seqgen.files import temporary_name, write_file
from seqgen.models import Generative, evaluating
from seqgen.registry import Part, plain
from seqgen.state import State, leaves, rebuild, repeat, select
from seqgen.tokenizers import BOS, EOS, PAD, SPECIALS, UNK
from seqgen.tokenizers.word import make_splitter
from seqgen.trained import TrainedRun
from seqgen.version import __version__

Target = Literal["onnx", "torch"]

FORMAT: Final = 1
"""That of `meta.json`."""

TOLERANCE: Final = 1e-5
"""By how much what was exported may differ from the run."""

ENCODER, STEP = "encoder", "step"

SIZES: Final = ((3, 2, 5), (1, 1, 1), (2, 4, 7))
"""Sources, paths and source_time of the example that is traced, and of those that are checked."""


class Network(NamedTuple):
    """A module to be exported: the names of its inputs and outputs, and of each of its examples the
    inputs, the first of which is traced."""

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: tuple[tuple[Tensor, ...], ...]


def export(run: TrainedRun, to: Target, out: Path) -> list[str]:
    """Write the networks of a run, `meta.json` and, for ONNX, `runner.py` into the folder `out`.

    Returns remarks on what of the recipe the runner leaves out. Raises ValueError if a part cannot
    be exported, SetupError if the extra is not installed or the folder is taken.
    """
    form = _forms()[to]
    if to == "onnx":
        _require_onnx()
    _check_vacant(out)
    meta, remarks = _meta(run)
    files: dict[str, bytes] = {}
    with evaluating(run.built.model), torch.inference_mode(False), torch.no_grad():
        for name, network in networks(run).items():
            files[f"{name}.{form.suffix}"] = _written(name, network, form)
    files["meta.json"] = f"{json.dumps({**meta, 'target': to}, indent=1)}\n".encode()
    if to == "onnx":
        files["runner.py"] = Path(__file__).with_name("runner.py").read_bytes()
    staging = temporary_name(out)
    try:
        staging.mkdir(parents=True)
        for file, content in files.items():
            write_file(staging / file, content)
        staging.replace(out)
    except OSError as error:
        raise SetupError(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return remarks if to == "onnx" else []


def _check_vacant(out: Path) -> None:
    try:
        taken = out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir())))
    except OSError as error:
        raise SetupError(f"{out}: cannot be read: {error.strerror}") from None
    if taken:
        raise SetupError(f"{out}: not an empty folder; choose another with --out")


# The networks.


class Encoding(nn.Module):
    """Sources to state and context, tensor by tensor."""

    def __init__(self, model: Generative) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        """State `[sources, 1, ...]`, then context `[sources, ...]`."""
        _, state, context, _ = self.model.start(Sources(source, lengths))
        return (*(each.unsqueeze(1) for each in leaves(state)), *leaves(context))


class Stepping(nn.Module):
    """A step of all paths of all sources, tensor by tensor."""

    def __init__(self, model: Generative, state: State, context: State) -> None:
        super().__init__()
        self.model = model
        self.state, self.context = state, context
        self.states = len([*leaves(state)])

    def forward(self, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Log-probabilities, then state."""
        state = [each.flatten(0, 1) for each in tensors[: self.states]]
        context = rebuild(self.context, tensors[self.states :])
        read, after = self.model.step(tokens.flatten(), rebuild(self.state, state), context)
        return tuple(each.unflatten(0, tokens.shape) for each in (read, *leaves(after)))


def networks(run: TrainedRun) -> dict[str, Network]:
    """What is exported of a run, by its name. Raises ValueError if it has letters to read."""
    model = copy.deepcopy(cast(Generative, run.built.model))
    begun = [_begun(run, sources, time) for sources, _, time in SIZES]
    _, (_, state, context, _) = begun[0]
    for each in model.modules():
        if getattr(each, "loop", None):  # a cell
            each.forward = partial(read_by_scan, each)
    names = [*_places(state, "state")], [*_places(context, "context")]
    steps = []
    for (_, start), (sources, paths, _) in zip(begun, SIZES, strict=True):
        generator = torch.Generator().manual_seed(sources)
        tokens = torch.randint(len(run.built.tokenizer), (sources, paths), generator=generator)
        rows = (each.unflatten(0, (sources, paths)) for each in leaves(repeat(start.state, paths)))
        steps.append((tokens, *rows, *leaves(start.context)))
    following = tuple(f"next_{each}" for each in names[0])
    inputs = ("tokens", *names[0], *names[1])
    step = Network(Stepping(model, state, context), inputs, ("log_probs", *following), tuple(steps))
    if run.built.data.continues:
        return {STEP: step}
    read = tuple((each.values, each.lengths) for each, _ in begun if each is not None)
    encoder = Network(Encoding(model), ("source", "lengths"), (*names[0], *names[1]), read)
    return {ENCODER: encoder, STEP: step}


def read_by_scan(
    cell: Cell, xs: Tensor, state: State = None, lengths: Tensor | None = None
) -> tuple[Tensor, State]:
    """As `Cell.forward`, by an operation that torch.export keeps as a loop, however long."""
    from torch._higher_order_ops.scan import scan

    first = cell.initial_state(xs.shape[0]) if state is None else state

    def step(carried: list[Tensor], now: tuple[Tensor, Tensor]) -> tuple[list[Tensor], Tensor]:
        (x, time), past = now, rebuild(first, carried)
        output, following = cell.step(x, past)
        if lengths is not None:
            goes_on = lengths > time
            following = select(goes_on, following, past)
            output = output.masked_fill(~goes_on.unsqueeze(1), 0)
        return [each.clone() for each in leaves(following)], output.clone()

    times = torch.arange(xs.shape[1], device=xs.device)
    inputs = cell.project(xs).transpose(0, 1), times
    last, outputs = scan(step, [each.clone() for each in leaves(first)], inputs)
    return outputs.transpose(0, 1), rebuild(first, last)


def _begun(run: TrainedRun, sources: int, time: int) -> tuple[Sources | None, Start]:
    """Sources of random tokens or numbers, and what the model begins with; no sources where it
    continues texts, which it begins with its initial state."""
    model = cast(Generative, run.built.model)
    if run.built.data.continues:
        return None, Start(torch.full((sources,), BOS), model.initial_state(sources))
    sizes = run.built.data.sizes(run.built.tokenizers)["source"]
    generator = torch.Generator().manual_seed(sources)
    lengths = torch.randint(1, time + 1, (sources,), generator=generator)
    lengths[0] = time
    if "vector_size" in sizes:
        values = torch.randn(sources, sizes["vector_size"], generator=generator)
        batch = Sources(values, torch.ones_like(lengths))
    else:
        shape = (sources, time)
        batch = Sources(torch.randint(sizes["vocab_size"], shape, generator=generator), lengths)
    try:
        return batch, model.start(batch)
    except ValueError as error:  # letters, which only real tokens have: how many decides shapes
        raise ValueError(f"the encoder of this run cannot be exported: {error}") from None


def _places(state: State, name: str) -> Iterator[str]:
    """A name for each of the `leaves` of a state, such as `state.cell.0.hidden`."""
    if isinstance(state, Tensor):
        yield name
    elif state is not None:
        fields = getattr(type(state), "_fields", range(len(state)))
        for field, part in zip(fields, state, strict=True):
            yield from _places(part, f"{name}.{field}")


# Writing and reading the networks.


class Form(NamedTuple):
    """A way to export: the end of a file's name, what makes its content of a traced network, and
    what makes a function from inputs to outputs of that."""

    suffix: str
    write: Callable[[Network, torch.export.ExportedProgram], bytes]
    read: Callable[[Network, bytes], Callable[[Sequence[Tensor]], Sequence[Tensor]]]


def _forms() -> dict[Target, Form]:
    return {"onnx": Form("onnx", _as_onnx, _onnxruntime), "torch": Form("pt2", _as_pt2, _loaded)}


def _written(name: str, network: Network, form: Form) -> bytes:
    """The file of a network, which gives what the network does for inputs of other sizes, too."""
    try:
        with _quiet():
            shapes = _dynamic(network)
            program = torch.export.export(
                network.module, network.examples[0], dynamic_shapes=shapes, strict=True
            )
            content = form.write(network, program)
            again = form.read(network, content)
            found = [[*again(each)] for each in network.examples]
    except Exception as error:  # the exporters have many kinds, and document few
        reason = " ".join(str(error).strip().partition("\n")[0].split()) or type(error).__name__
        raise ValueError(f"the {name} of this run cannot be exported: {reason}") from None
    for inputs, outputs in zip(network.examples, found, strict=True):
        wanted = network.module(*inputs)
        for place, one, other in zip(network.outputs, wanted, outputs, strict=True):
            if one.shape != other.shape or not one.double().allclose(
                other.double(), rtol=TOLERANCE, atol=TOLERANCE
            ):
                what = f"{place} differs for other sizes than those that were traced"
                raise ValueError(f"the {name} of this run cannot be exported: {what}")
    return content


def _dynamic(network: Network) -> Any:
    """The dimensions of the inputs that differ between the examples, as torch.export wants them:
    equal sizes have one name."""
    known: dict[tuple[int, ...], Any] = {}
    shapes = []
    for same in zip(*network.examples, strict=True):
        dynamic = {}
        for axis, sizes in enumerate(zip(*(each.shape for each in same), strict=True)):
            if len(set(sizes)) > 1:
                name = f"size{len(known)}"
                dynamic[axis] = known.setdefault(sizes, torch.export.Dim(name))
        shapes.append(dynamic)
    return (shapes[0], tuple(shapes[1:])) if network.inputs[0] == "tokens" else tuple(shapes)


def _require_onnx() -> None:
    missing = [each for each in ("onnx", "onnxruntime", "onnxscript") if find_spec(each) is None]
    if missing:
        how = "pip install 'seqgen-toolkit[export]'"
        raise SetupError(f"--to onnx needs {', '.join(missing)}: {how}")


def _as_onnx(network: Network, program: torch.export.ExportedProgram) -> bytes:
    names = [*network.inputs], [*network.outputs]
    made = torch.onnx.export(
        program,
        (),
        input_names=names[0],
        output_names=names[1],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert made is not None
    return made.model_proto.SerializeToString()


def _onnxruntime(
    network: Network, content: bytes
) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    known = {each.name for each in session.get_inputs()}

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        named = zip(network.inputs, inputs, strict=True)
        feed = {name: each.numpy() for name, each in named if name in known}
        return [torch.from_numpy(each) for each in session.run(None, feed)]

    return run


def _as_pt2(network: Network, program: torch.export.ExportedProgram) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _loaded(network: Network, content: bytes) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    module = torch.export.load(io.BytesIO(content)).module()
    return lambda inputs: module(*inputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings and the logs of exporters, which are for their authors."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


# What a runner must know besides.


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

CUTS: Final = {"top_k": "k", "top_p": "p", "min_p": "p"}
"""The truncations of the runner, each with its option."""


def _meta(run: TrainedRun) -> tuple[dict[str, Any], list[str]]:
    """All but the networks, for `meta.json`; remarks on what of the recipe is not in it."""
    built, recipe, options = run.built, run.built.recipe, run.built.recipe.generation
    data, texts = built.data, _texts(run)
    decoder, remarks = _decoder(cast(Part[Any], recipe.decoder).plain())
    left_out = [key for key in ("stop", "replace_unknown", "max_seconds") if getattr(options, key)]
    remarks += [f"the runner leaves out generation.{key}" for key in left_out]
    if texts["reads"] is None and texts["unreadable"]:
        remarks.append(f"the runner reads token ids: {texts['unreadable']}")
    (batch, one), (_, other) = (_begun(run, sources, time) for sources, _, time in SIZES[::2])
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
    for place, first, second in zip(_places(one, name), leaves(one), leaves(other), strict=True):
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
    if name in CUTS:
        truncations = [{"name": name, CUTS[name]: spec.pop(CUTS[name])}]
    if name not in (*CUTS, "multinomial") or any(each["name"] not in CUTS for each in truncations):
        remarks.append(f"the runner has no decoder like this '{name}': it is greedy unless told")
        return {"name": "greedy"}, remarks
    cuts = [(each["name"], each[CUTS[each["name"]]]) for each in truncations]
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

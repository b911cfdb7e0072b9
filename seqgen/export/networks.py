"""What is exported of a model: two networks, and the ways to write them.

`encoder` reads sources and makes context and first state; a model that continues texts has none,
since its first state is a constant. `step` reads a token on each path:

    source [sources, source_time], lengths [sources]  ->  state [sources, 1, ...], context
    tokens [sources, paths], state [sources, paths, ...], context [sources, ...]
                                ->  log_probs [sources, paths, vocab], state [sources, paths, ...]

So the paths of a source share its context, as in every search here. All these sizes may be others
than those of the example that was traced. Fast routes stay out: what is traced are plain steps.
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from seqgen.cells import Cell
from seqgen.data import Sources
from seqgen.decoders import Start
from seqgen.models import Generative
from seqgen.state import State, leaves, rebuild, repeat, select
from seqgen.tokenizers import BOS
from seqgen.trained import TrainedRun

Target = Literal["onnx", "torch"]

TOLERANCE: Final = 1e-5
"""By how much what was exported may differ from the run."""

LONGEST: Final = 200
"""How many characters of what an exporter says are repeated."""

SIZES: Final = ((3, 2, 5), (1, 1, 1), (2, 4, 7))
"""Sources, paths and source_time of the example that is traced, and of those that are checked."""


class Network(NamedTuple):
    """A module of the run, and the same as it is traced; the names of its inputs and outputs; and
    inputs of different sizes, the first of which are traced."""

    module: nn.Module
    traced: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: tuple[tuple[Tensor, ...], ...]


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
        return tuple(each.view(*tokens.shape, *each.shape[1:]) for each in (read, *leaves(after)))


def networks(run: TrainedRun) -> dict[str, Network]:
    """What is exported of a run, by its name. Raises ValueError if it has letters to read."""
    model = cast(Generative, run.built.model)
    traced = copy.deepcopy(model)
    first = [begun(run, sources, time) for sources, _, time in SIZES]
    _, (_, state, context, _) = first[0]
    for each in traced.modules():
        if getattr(each, "loop", None):  # a cell
            each.forward = partial(read_by_scan, cast(Cell, each))
    names = [*places(state, "state")], [*places(context, "context")]
    steps = []
    for (_, start), (sources, paths, _) in zip(first, SIZES, strict=True):
        generator = torch.Generator().manual_seed(sources)
        tokens = torch.randint(len(run.built.tokenizer), (sources, paths), generator=generator)
        rows = (
            each.view(sources, paths, *each.shape[1:])
            for each in leaves(repeat(start.state, paths))
        )
        steps.append((tokens, *rows, *leaves(start.context)))
    outputs = ("log_probs", *(f"next_{each}" for each in names[0]))
    step = Network(
        Stepping(model, state, context),
        Stepping(traced, state, context),
        ("tokens", *names[0], *names[1]),
        outputs,
        tuple(steps),
    )
    if run.built.data.continues:
        return {"step": step}
    read = tuple((each.values, each.lengths) for each, _ in first if each is not None)
    both = Encoding(model), Encoding(traced)
    encoder = Network(both[0], both[1], ("source", "lengths"), (*names[0], *names[1]), read)
    return {"encoder": encoder, "step": step}


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


def begun(run: TrainedRun, sources: int, time: int) -> tuple[Sources | None, Start]:
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


def places(state: State, name: str) -> Iterator[str]:
    """A name for each of the `leaves` of a state, such as `state.cell.0.hidden`."""
    if isinstance(state, Tensor):
        yield name
    elif state is not None:
        fields = getattr(type(state), "_fields", range(len(state)))
        for field, part in zip(fields, state, strict=True):
            yield from places(part, f"{name}.{field}")


# Writing and reading the networks.


class Form(NamedTuple):
    """A way to export: the end of a file's name, what makes its content of a traced network, and
    what makes a function from inputs to outputs of that."""

    suffix: str
    write: Callable[[Network, torch.export.ExportedProgram], bytes]
    read: Callable[[Network, bytes], Callable[[Sequence[Tensor]], Sequence[Tensor]]]


def written(name: str, network: Network, form: Form) -> bytes:
    """The file of a network, once it has given what the network does for all its examples."""
    try:
        with _quiet():
            shapes = _dynamic(network)
            program = torch.export.export(
                network.traced, network.examples[0], dynamic_shapes=shapes, strict=True
            )
            content = form.write(network, program)
            again = form.read(network, content)
            found = [[*again(each)] for each in network.examples]
    except Exception as error:  # the exporters have many kinds, and document few
        first = " ".join(str(error).strip().partition("\n")[0].split()) or type(error).__name__
        reason = first if len(first) < LONGEST else f"{first[:LONGEST]}..."
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
    return bytes(made.model_proto.SerializeToString())


def _onnxruntime(
    network: Network, content: bytes
) -> Callable[[Sequence[Tensor]], Sequence[Tensor]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is raised
    session = onnxruntime.InferenceSession(content, options)
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
    # The guards are what the example had to be traced as it was, such as having two paths.
    module = torch.export.load(io.BytesIO(content)).module(check_guards=False)
    return lambda inputs: module(*inputs)


FORMS: Final[dict[Target, Form]] = {
    "onnx": Form("onnx", _as_onnx, _onnxruntime),
    "torch": Form("pt2", _as_pt2, _loaded),
}


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

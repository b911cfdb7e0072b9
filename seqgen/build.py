"""Building: from a Recipe to data, tokenizers and model. Sizes pass between rooms only here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seqgen.data import Data
from seqgen.decoders import Decoder, SecondaryModel
from seqgen.errors import CheckpointError
from seqgen.evaluate import Judge
from seqgen.generate import Generator
from seqgen.machine import available_cores, choose_device, choose_threads, computing, memory_for
from seqgen.metrics import Metric, by_name
from seqgen.models import Generative, Model
from seqgen.options import OptionError
from seqgen.recipe import Recipe
from seqgen.registry import Part, is_ours
from seqgen.text_state import TextState
from seqgen.tokenizers import SPECIALS, ByteTokenizer, LongText, Tokenizer, Tokenizers
from seqgen.tokenizers import tokenizers as registry

ANY_VOCABULARY = 1_000_000
"""The vocabulary size of a dry run: no option is refused that a real vocabulary may allow."""

Load = Callable[[str | None], SecondaryModel]
"""From a run directory to its model, as an auxiliary one for the model that generates; from None to
that model itself, with an empty source for each one."""


@dataclass(frozen=True)
class Built:
    """The parts of a recipe, ready to train or to generate."""

    recipe: Recipe
    data: Data[Any]
    tokenizers: Tokenizers
    model: Model
    device: torch.device
    threads: int
    begun: TextState | None = None
    """The text that prompts go on from, if they do not begin anew."""

    @property
    def parameters(self) -> int:
        """Number of trainable parameters; shared ones count once."""
        return sum(each.numel() for each in self.model.parameters())

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of outputs."""
        return self.tokenizers[self.data.output_field]

    def generator(self) -> Generator:
        """The parts that generation needs."""
        model = cast(Generative, self.model)
        options = self.recipe.generation
        threads, begun = self.recipe.threads, self.begun
        return Generator(model, self.tokenizers, self.data, self.device, options, threads, begun)

    @property
    def most_threads(self) -> int:
        """The most threads that evaluation and generation take: the recipe's, or the program's."""
        wanted = self.recipe.threads
        return torch.get_num_threads() if wanted == "auto" else wanted

    def computing(self) -> AbstractContextManager[None]:
        """A context with the threads to read batches of texts with."""
        return computing(min(self.threads, self.most_threads))

    def judge(self) -> Judge:
        """What evaluates a split. Raises OptionError if a metric is listed twice."""
        metrics = by_name(cast(Sequence[Part[Metric]], self.recipe.metrics))
        return Judge(self.generator(), metrics, self.recipe.evaluation.batch_size)


def build_data(recipe: Recipe) -> Data[Any]:
    """The data, unread."""
    data: Data[Any] = recipe.data(seed=recipe.seed)
    return data


def fit_tokenizers(recipe: Recipe, data: Data[Any]) -> dict[str, Tokenizer]:
    """A tokenizer for each field of the data, fitted on its training texts.

    With `share_tokenizer` the fields that the recipe's `tokenizer` is for share one.
    """
    texts, parts = data.training_texts(), tokenizer_parts(recipe, data)
    fitted: dict[str, Tokenizer] = {}

    def read(field: str, tokenizer: Tokenizer) -> Iterable[str]:
        found = texts[field]
        return found.pieces(tokenizer) if isinstance(found, LongText) else found

    shared = [field for field in data.fields if parts[field] is recipe.tokenizer]
    if recipe.share_tokenizer:
        together: Tokenizer = recipe.tokenizer()
        together.fit(chain.from_iterable(read(field, together) for field in shared))
        fitted = dict.fromkeys(shared, together)
    for field in data.fields:
        if field not in fitted:
            fitted[field] = tokenizer = parts[field]()
            tokenizer.fit(read(field, tokenizer))
    return {field: fitted[field] for field in data.fields}


def restore_tokenizers(recipe: Recipe, data: Data[Any], folder: Path) -> dict[str, Tokenizer]:
    """The tokenizers that a run has saved in `folder`. Raises CheckpointError."""
    restored: dict[str, Tokenizer] = {}
    for field, part in tokenizer_parts(recipe, data).items():
        restored[field] = part()
        try:
            restored[field].load(folder / field)
        except (OSError, ValueError, KeyError) as error:
            reason = f"the tokenizer cannot be loaded: {' '.join(str(error).split())}"
            raise CheckpointError(f"{folder / field}: {reason}") from None
    return restored


def tokenizer_parts(recipe: Recipe, data: Data[Any]) -> dict[str, Any]:
    """The tokenizer of each field, unbuilt: the one that the recipe names for the field, else the
    default of that kind of data, else the recipe's `tokenizer`."""
    named = recipe.tokenizers or {}
    for field in named:
        if field not in data.fields:
            fields = ", ".join(data.fields)
            raise OptionError(("tokenizers", field), f"this data has no such field ({fields})")
    usual = {field: registry.check(name) for field, name in data.default_tokenizers.items()}
    return {field: named.get(field, usual.get(field, recipe.tokenizer)) for field in data.fields}


def build(
    recipe: Recipe, data: Data[Any], tokenizers: Tokenizers, batch_tokens: int = 2048
) -> Built:
    """The model with weights drawn from the recipe's seed, on its device.

    The size of the model and `batch_tokens`, the tokens of a batch, decide the number of threads,
    which whoever computes sets. Also sets torch's seed, which belongs to the process. Raises
    OptionError if options do not go together, SetupError if the device is missing or too small.
    """
    device = choose_device(recipe.device)
    torch.manual_seed(recipe.seed)
    with memory_for("the model; it needs fewer or smaller layers"):
        sizes = data.sizes(tokenizers)
        model: Model = recipe.model(**sizes).to(device)
    part = cast(Part[Model], recipe.model)
    reads_sources = "source" in part.registry.entry(part.name).supplied
    # Where only the model wants sources, it cannot be built.
    if "source" in sizes and is_ours(model) and not reads_sources:
        raise OptionError(part.path, f"{part.name} reads no sources, which this data has")
    _check_replacing(recipe, model)
    try:
        recipe.generation.check_stops(tokenizers[data.output_field])
    except OptionError as error:
        raise OptionError(("generation", *error.path), error.message) from None
    built = Built(recipe, data, tokenizers, model, device, threads=1)
    work = built.parameters * batch_tokens
    return replace(built, threads=choose_threads(recipe.threads, work, available_cores()))


def build_decoder(part: Any, built: Built, seed: int, load: Load | None = None) -> Decoder:
    """The decoder of a checked part; `load` is for constraints that use models of other runs."""
    tokenizer = built.tokenizer

    def encode(text: str) -> list[int]:
        tokens: list[int] = tokenizer.encode(text).tolist()
        return tokens

    auxiliary = {} if load is None else {"load": load}
    decoder: Decoder = part(
        seed=seed,
        vocab_size=len(tokenizer),
        encode=encode,
        contents=tokenizer.contents,
        looks_back=cast(Generative, built.model).looks_back,
        **auxiliary,
    )
    return decoder


def dry_run(recipe: Recipe) -> None:
    """Build what can be built without data. Raises OptionError if options do not go together."""
    data = build_data(recipe)
    for part in tokenizer_parts(recipe, data).values():
        part()
    by_name(cast(Sequence[Part[Metric]], recipe.metrics))
    # Nothing is fitted yet, and only the length of a tokenizer matters here.
    stand_in = cast(Tokenizer, range(ANY_VOCABULARY))
    sizes = data.sizes(dict.fromkeys(data.fields, stand_in))
    recipe.train.schedule()
    try:
        with _shapes_only():
            model: Model = recipe.model(**sizes)
            recipe.train.optimizer(params=list(model.parameters()), lr=recipe.train.lr)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        raise OptionError(("model",), "its sizes together are beyond any memory") from None
    _check_replacing(recipe, model)
    dry_run_decoder(recipe.decoder, recipe.seed, cast(Generative, model).looks_back)


def _joined(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    shape = list(tensors[0].shape)
    shape[dim] = sum(each.shape[dim] for each in tensors)
    return tensors[0].new_empty(shape)


_SHAPES: dict[str, Callable[..., Tensor]] = {
    "cat": _joined,
    "eye": lambda n, m=None, **_: torch.empty(n, n if m is None else m),
    **dict.fromkeys(
        ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_"),
        lambda tensor, *_, **__: tensor,
    ),
}


class _ShapesOnly(TorchFunctionMode):
    """What models usually do with weights while they are made, where tensors are only shapes.

    Torch itself would import its compiler for each of these, which takes longer than all the rest
    of a dry run.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        return _SHAPES.get(name, function)(*args, **(kwargs or {}))


@contextmanager
def _shapes_only() -> Iterator[None]:
    """Within it tensors have no memory, so a huge model costs nothing."""
    kept = torch.optim.Optimizer.add_param_group  # which imports the compiler to keep it away
    torch.optim.Optimizer.add_param_group = inspect.unwrap(kept)  # type: ignore[method-assign]
    try:
        with torch.device("meta"), _ShapesOnly():
            yield
    finally:
        torch.optim.Optimizer.add_param_group = kept  # type: ignore[method-assign]


def dry_run_decoder(part: Any, seed: int, looks_back: bool = True) -> None:
    """Build a checked decoder without a run, for a model that `looks_back` or does not. Raises
    OptionError if options do not go together."""

    def encode(text: str) -> list[int]:
        """A token for each character, in place of a tokenizer that is not fitted yet."""
        return list(range(len(SPECIALS), len(SPECIALS) + len(text)))

    def load(run: str | None) -> SecondaryModel:
        raise AssertionError(f"{run} was read before a search began")

    part(
        seed=seed,
        vocab_size=ANY_VOCABULARY,
        encode=encode,
        contents=ByteTokenizer().contents,  # which any text can be made of
        looks_back=looks_back,
        load=load,
    )


def _check_replacing(recipe: Recipe, model: Model) -> None:
    """Raises OptionError if unknown words are to be replaced and the model has no attention."""
    if recipe.generation.replace_unknown and not cast(Generative, model).looks_back:
        message = "needs a model that looks back at its source: seq2seq with attention"
        raise OptionError(("generation", "replace_unknown"), message)

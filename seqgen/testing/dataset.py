"""The laws of kinds of data, and `check_data`, which tries them on a small file, or on what options
name."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqgen.data import Data, Split, Training, data
from seqgen.state import State
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part, takes
from seqgen.tokenizers import Tokenizers, tokenizers

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ROWS = "\n".join(f"{a} {b}\t{b}" for a in WORDS for b in WORDS)
"""What a kind of data reads where no options name anything: lines, each with a tab in it."""
STEPS = 40
"""How many batches are looked at, if an epoch has so many."""


@dataclass(frozen=True)
class DatasetCase:
    """How to build the data."""

    factory: Callable[..., Any]

    def make(self, seed: int = 1) -> Data[Any]:
        """The data, which has read nothing yet."""
        made: Data[Any] = self.factory(seed=seed)
        return made

    @cached_property
    def made(self) -> Data[Any]:
        """The one that has read its files."""
        return self.make()

    @cached_property
    def tokenizers(self) -> Tokenizers:
        """One for each field: that which the data asks for, else characters."""
        texts, found = self.made.training_texts(), {}
        for field in self.made.fields:
            found[field] = tokenizers.build(self.made.default_tokenizers.get(field, "char"))
            found[field].fit(texts[field])
        return found

    @cached_property
    def training(self) -> Training[Any]:
        """The training part."""
        return self.made.training(self.tokenizers)

    @cached_property
    def held_out(self) -> Split[Any]:
        """The validation part; a law is not tried where there is none."""
        found = self.made.held_out("valid", self.tokenizers)
        if found is None:
            raise NotTriedError("there is no validation part")
        return found

    def batches(self) -> Iterator[Any]:
        """The first ones of training."""
        steps = min(STEPS, self.training.steps_per_epoch)
        return (self.training.batch(step) for step in range(steps))


def check_data(kind: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a kind of data: a registered name, a mapping, a class or another callable."""
    with tempfile.TemporaryDirectory() as folder:
        name, factory = small_part(data, kind, options)
        named = {**(kind if isinstance(kind, dict) else {}), **options}
        if takes(factory, "path") and not named.keys() & {"path", "corpus", "train"}:
            path = Path(folder) / "rows.tsv"
            path.write_text(ROWS, encoding="utf-8")
            name, factory = small_part(data, kind, {**options, "path": path})
        return try_laws(name, DATASET_LAWS, DatasetCase(factory), watch)


def tensors(value: Any) -> list[Tensor]:
    """All tensors of a batch, in their order."""
    if isinstance(value, Tensor):
        return [value]
    if not isinstance(value, dict | list | tuple):
        own = getattr(value, "__dict__", {})
        value = {name: own[name] for name in sorted(own) if not name.startswith("_")}
    parts = value.values() if isinstance(value, dict) else value
    return [each for part in parts for each in tensors(part)]


def _alike(one: Any, other: Any) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=False)
    return len(tensors(one)) == len(tensors(other)) and all(torch.equal(a, b) for a, b in pairs)


def _is_data(case: DatasetCase) -> None:
    require.contract(case.make(), Data)


def _fields(case: DatasetCase) -> None:
    made = case.make()
    says = f"`output_field` must be one of `fields` {made.fields}, but is {made.output_field!r}"
    require.that(made.output_field in made.fields, says)
    says = f"`ends` must say whether sequences end in EOS, but is {getattr(made, 'ends', None)!r}"
    require.that(isinstance(getattr(made, "ends", None), bool), says)


def _texts(case: DatasetCase) -> None:
    made = case.made
    texts = made.training_texts()
    says = f"`training_texts` must have the texts of {list(made.fields)}, but has {list(texts)}"
    require.that(set(texts) == set(made.fields), says)
    for field, some in texts.items():
        wrong = [each for each in islice(some, 100) if not isinstance(each, str)]
        says = f"`training_texts` must be texts, but has {require.named(wrong[:1])} for '{field}'"
        require.that(not wrong and not isinstance(some, str), says)


def _sizes(case: DatasetCase) -> None:
    made = case.make()
    sizes = made.sizes(case.tokenizers)
    require.that("vocab_size" in sizes, "`sizes` must have the `vocab_size` of the output")
    for batch in case.batches():
        targets = getattr(batch, "targets", None)
        if not isinstance(targets, Tensor):
            raise NotTriedError("its batches have no `targets`")
        if not targets.numel():
            continue
        most = int(targets.max())
        says = f"a target is {most}, but `vocab_size` is {sizes['vocab_size']}"
        require.that(int(targets.min()) >= 0 and most < sizes["vocab_size"], says)


def _counts_targets(case: DatasetCase) -> None:
    for batch in case.batches():
        lengths, targets = getattr(batch, "lengths", None), getattr(batch, "targets", None)
        if isinstance(targets, Tensor):
            real = targets.numel() if lengths is None else int(lengths.sum())
            says = f"`tokens` of a batch is {batch.tokens}, but it has {real} real targets"
            require.that(batch.tokens == real, says)
        parts = batch.cut(2)
        says = "the parts that `cut` gives must have the targets of the batch together"
        require.that(sum(each.tokens for each in parts) == batch.tokens, says)
    require.that(case.training.tokens > 0, "`tokens` of the training part is 0")


def _function_of_the_step(case: DatasetCase) -> None:
    training = case.training
    again = case.make().training(case.tokenizers)
    steps = [0, 1, training.steps_per_epoch, training.steps_per_epoch + 1, 3]
    first = {step: training.batch(step) for step in steps}
    for step in [*steps[::-1], 0]:
        says = f"batch {step} is another one when it is asked for again; it must follow from the "
        says += "seed and the step alone, whatever was asked for before"
        require.that(_alike(training.batch(step), first[step]), says)
        says = f"batch {step} of the same data with the same seed is another one"
        require.that(_alike(again.batch(step), first[step]), f"{says}; draw by `seed`")


def _epoch(case: DatasetCase) -> None:
    training = case.training
    seen: set[int] = set()
    for step in range(training.steps_per_epoch):
        rows = getattr(training.batch(step), "row_ids", None)
        if rows is None:
            raise NotTriedError("its batches have no `row_ids`")
        twice = seen & set(rows.tolist())
        require.that(not twice, f"row {min(twice, default=0)} comes twice in an epoch")
        seen |= set(rows.tolist())
    says = f"an epoch has {len(seen)} rows, but the last of them is number {max(seen)}"
    require.that(seen == set(range(len(seen))), f"{says}; some rows are left out")


def _walked(case: DatasetCase) -> None:
    split = case.held_out
    for batch_size in (5, 64):
        found = split.walk(_count, lambda rows: None, batch_size)
        says = f"`walk` in batches of {batch_size} visits {sum(found)} targets, but `tokens` says "
        require.that(sum(found) == split.tokens, f"{says}{split.tokens}")


def _count(batch: Any, state: State) -> tuple[int, State]:
    return batch.tokens, state


def _prompts(case: DatasetCase) -> None:
    made, split = case.make(), case.held_out
    texts = [each.source for each in islice(split.examples, 3)]
    if not texts:
        passages = case.made.passages("valid", case.tokenizers, 2, 4)
        texts = [each.source for each in islice(passages, 3)]
    if not texts and made.continues:
        written = case.made.training_texts()[made.output_field]
        texts = [each[: 2 + place] for place, each in enumerate(islice(written, 3))]
    if not texts:
        raise NotTriedError("it has no examples that a prompt could be")
    batch = made.prompts(texts, case.tokenizers)
    lengths = {len(each) for each in tensors(batch)}
    says = f"the batch of {len(texts)} prompts must have a row for each, but has {sorted(lengths)}"
    require.that(lengths == {len(texts)}, says)
    alone = made.prompts(texts[:1], case.tokenizers)
    says = "`prompts` of a text alone is not its row among others"
    for one, other in zip(tensors(alone), tensors(batch), strict=True):
        cut = other[:1][tuple(slice(0, size) for size in one.shape)]
        require.that(torch.equal(one, cut), says)


def _outputs(case: DatasetCase) -> None:
    made, examples = case.made, [*islice(case.held_out.examples, 20)]
    if not examples or made.default_tokenizers.get(made.output_field):
        raise NotTriedError("it has no sources, or outputs with a tokenizer of their own")
    for source, answer in ((each.source, each.references[0]) for each in examples):
        tokens = made.output_tokens(answer, case.tokenizers)
        back = made.output_text(source, tokens, case.tokenizers)
        says = f"the tokens of {answer!r} are read as {back!r} by `output_text`"
        require.that(back == answer, says)


def _fingerprint(case: DatasetCase) -> None:
    found = case.make().fingerprint()
    if not isinstance(found, dict) or not found:
        raise BreachError("`fingerprint` must be a dict from each source to its SHA-256")
    for name, digest in found.items():
        says = f"`fingerprint` must have a SHA-256 for {name}, but has {digest!r}"
        require.that(bool(re.fullmatch("[0-9a-f]{64}", str(digest))), says)
    require.that(case.make().fingerprint() == found, "`fingerprint` is another one the next time")


_SOUND = ("is a kind of data", "it says its fields before it reads", "it has texts for tokenizers")
_STABLE = (*_SOUND, "batches are a function of the step")
_CALLING = "`training(tokenizers)` and `held_out(name, tokenizers)` must read what the options name"

DATASET_LAWS: tuple[Law[DatasetCase], ...] = (
    Law(_SOUND[0], _is_data, BUILT.format("`seed=`, if it asks for that,")),
    Law(_SOUND[1], _fields, "say `fields`, `output_field` and `ends` in the class", _SOUND[:1]),
    Law(_SOUND[2], _texts, "`training_texts()` must return a mapping of each field", _SOUND[:2]),
    Law(_STABLE[3], _function_of_the_step, _CALLING, _SOUND),
    Law("targets are of the vocabulary", _sizes, _CALLING, _STABLE),
    Law("batches count their targets", _counts_targets, _CALLING, _STABLE),
    Law("an epoch has each row once", _epoch, _CALLING, _STABLE),
    Law("held-out parts are walked once", _walked, _CALLING, _STABLE),
    Law("a prompt alone is the prompt in a batch", _prompts, _CALLING, _STABLE),
    Law("outputs come back as they were", _outputs, _CALLING, _STABLE),
    Law("sources have fingerprints", _fingerprint, _CALLING, _SOUND),
)

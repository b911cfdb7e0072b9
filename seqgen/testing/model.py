"""The laws of models, and `check_model`, which tries them on tokens, or on pairs if the model takes
`source`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from seqgen.data import PairBatch, Prompts, Sources, TokenBatch
from seqgen.errors import DataError
from seqgen.models import Generative, Loss, Model, Score, models
from seqgen.state import State, batch_size_of, real, reorder, repeat
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.network import WEIGHTS, NetworkCase, network_laws
from seqgen.testing.require import BUILT, small_part, takes
from seqgen.tokenizers import BOS, PAD

VOCAB, SOURCE_VOCAB = 11, 9
LENGTHS, SOURCE_LENGTHS = (3, 1, 6, 4), (2, 5, 1, 5)
"""How many targets each row has, and how many tokens its source."""
EVERY = range(len(LENGTHS))

Batch = TokenBatch | PairBatch


class Step(NamedTuple):
    """A step of generation: what is read, and the log-probabilities that come back."""

    before: tuple[Tensor, State, State]
    log_probs: Tensor
    state: State


class ModelCase(NetworkCase):
    """How to build the model.

    The targets of a model of pairs have lengths of their own; those of the sources, or 1, where it
    refuses that (a tagger, a classifier).
    """

    @property
    def reads_sources(self) -> bool:
        """Whether the model answers sources; else it continues what it has read."""
        return takes(self.factory, "source")

    def sizes(self) -> dict[str, Any]:
        return {"vocab_size": VOCAB, "source": {"vocab_size": SOURCE_VOCAB}}

    def given(self) -> Batch:
        return self.batch(EVERY)

    @cached_property
    def lengths(self) -> Sequence[int]:
        """How many targets each row has: the first choice that the model does not refuse."""
        for lengths in (LENGTHS, SOURCE_LENGTHS, (1,) * len(LENGTHS)):
            try:
                self.make().loss(_batch(lengths, EVERY, self.reads_sources))
            except DataError:
                continue
            return lengths
        raise BreachError("it refuses targets of any length, of those of the sources, and of 1")

    def batch(self, rows: Sequence[int], *, more: int = 0, filler: int = PAD) -> Batch:
        """Some of the rows, with `more` padding than they need, which is all `filler`."""
        return _batch(self.lengths, rows, self.reads_sources, more=more, filler=filler)

    def read(self, module: Any, given: Any) -> State:
        return module.loss(given).total.unsqueeze(0), module.score(given).nats

    def total(self, module: Any, given: Any) -> Tensor:
        total: Tensor = module.loss(given).total
        return total

    def generative(self) -> Any:
        """The model, if it generates; else a law about that is not tried."""
        made = self.make()
        if not issubclass(type(made), Generative):
            raise NotTriedError("it does not generate (Generative)")
        return made

    def steps(self, rows: Sequence[int], made: Any) -> Iterator[Step]:
        """What it gives at each place of the targets of some rows, which it is made to read."""
        batch = self.batch(rows)
        if isinstance(batch, PairBatch):
            start = made.start(batch.sources)
        else:
            firsts = batch.inputs[:, :1]
            start = made.start(Prompts(firsts, torch.ones(len(rows), dtype=torch.long)))
        tokens, state = start.tokens, start.state
        for place in range(batch.targets.shape[1]):
            before = (tokens, state, start.context)
            log_probs, state = made.step(*before)
            yield Step(before, log_probs, state)
            tokens = batch.targets[:, place]


def _batch(
    lengths: Sequence[int],
    rows: Sequence[int],
    pairs: bool,
    *,
    more: int = 0,
    filler: int = PAD,
) -> Batch:
    generator = torch.Generator().manual_seed(2)

    def drawn(vocab: int, every: Sequence[int]) -> Tensor:
        return torch.randint(4, vocab, (len(LENGTHS), max(every)), generator=generator)

    def cut(values: Tensor, every: Sequence[int]) -> tuple[Tensor, Tensor]:
        own = torch.tensor([every[row] for row in rows], dtype=torch.long)
        extra = more if max(every) > 1 else 0  # a class has one place
        values = functional.pad(values[list(rows), : int(own.amax())], (0, extra))
        return values.masked_fill(~real(own, values.shape[1]), filler), own

    targets, sources = drawn(VOCAB, lengths), drawn(SOURCE_VOCAB, SOURCE_LENGTHS)
    before = torch.cat([torch.full_like(targets[:, :1], BOS), targets[:, :-1]], 1)
    (targets, own), (inputs, _) = cut(targets, lengths), cut(before, lengths)
    if not pairs:
        return TokenBatch(inputs, targets, own)
    spelt = Sources(*cut(sources, SOURCE_LENGTHS))
    return PairBatch(spelt, inputs, targets, own, torch.tensor([*rows]))


def check_model(model: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a model: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(models, model, options)
    return try_laws(name, MODEL_LAWS, ModelCase(factory), watch)


def _is_a_model(case: ModelCase) -> None:
    require.contract(case.make(), Model)


def _shapes(case: ModelCase) -> None:
    made, batch = case.make(), case.given()
    loss = made.loss(batch)
    if not isinstance(loss, Loss):
        raise BreachError(
            f"`loss` must return Loss(total, tokens, state), not {require.named(loss)}"
        )
    require.shape(loss.total, (), "the total of `loss`", "; sum it")
    require.finite(loss.total, "the total of `loss`", "")
    says = f"`loss` counts {loss.tokens} targets, but the batch has {batch.tokens} real ones"
    require.that(loss.tokens == batch.tokens, says)
    score = made.score(batch)
    if not isinstance(score, Score):
        says = "`score` must return Score(nats, correct, predicted, state), not "
        raise BreachError(f"{says}{require.named(score)}")
    for name in ("nats", "correct", "predicted"):
        shape = tuple(batch.targets.shape)
        require.shape(getattr(score, name), shape, f"`{name}` of `score`", "")


def _score_is_loss(case: ModelCase) -> None:
    made, batch = case.make(), case.given()
    nats, correct, predicted, _ = made.score(batch)
    assert batch.lengths is not None
    outside = ~real(batch.lengths, batch.targets.shape[1])
    for name, each in (("nats", nats), ("correct", correct), ("predicted", predicted)):
        says = f"`{name}` of `score` must be zero after the end of a row (`mask_padding`)"
        require.that(not bool(each[outside].any()), says)
    says = "the nats of `score` must add up to the total of `loss`, which is a sum over targets"
    require.same(nats.sum(), made.loss(batch).total, says)
    says = "`correct` of `score` must say where `predicted` is the target"
    require.that(torch.equal(correct.bool(), (predicted == batch.targets) & ~outside), says)


def _sum(case: ModelCase) -> None:
    made = case.make()
    alone = torch.stack([made.loss(case.batch([row])).total for row in EVERY]).sum()
    says = "the loss of a batch must be the sum of those of its rows, each of them alone"
    require.same(made.loss(case.given()).total, alone, says)


def _padding(case: ModelCase) -> None:
    made, batch = case.make(), case.given()
    wanted = made.score(batch).nats
    for filler, more in ((5, 0), (PAD, 3)):
        other = case.batch(EVERY, filler=filler, more=more)
        says = "what stands after the end of a row matters; look at `lengths`"
        require.same(made.loss(other).total, made.loss(batch).total, says)
        require.same(made.score(other).nats[:, : wanted.shape[1]], wanted, says)


def _steps(case: ModelCase) -> None:
    made, batch = case.generative(), case.given()
    wanted = made.score(batch).nats
    assert batch.lengths is not None
    for place, step in enumerate(case.steps(EVERY, made)):
        scores = require.shape(step.log_probs, (len(EVERY), VOCAB), "what `step` returned", "")
        require.same(scores.exp().sum(1), torch.ones(len(EVERY)), "probabilities must sum to 1")
        found = -scores.gather(1, batch.targets[:, place : place + 1]).squeeze(1)
        there = batch.lengths > place
        says = f"step {place + 1} gives targets other log-probabilities than `score` does"
        require.same(found[there], wanted[there, place], says)


def _states(case: ModelCase) -> None:
    made = case.generative()
    order = torch.tensor([2, 0, 3, 1])
    for step in case.steps(EVERY, made):
        tokens, state, context = step.before
        for what, part in (("state", state), ("context", context)):
            says = f"every tensor of the {what} must have a row for each source in dimension 0"
            require.that(batch_size_of(part) in (None, len(EVERY)), says)
        says = "the state must be a value: from the same one in another order come other scores"
        found, _ = made.step(*reorder((tokens, state, context), order))
        require.same(found, step.log_probs[order], says)
        says = "two paths of a source must read its context: rows 0 and 1 the first one's"
        found, _ = made.step(*repeat((tokens, state), 2), context)
        require.same(found, repeat(step.log_probs, 2), says)


def _rows_alone(case: ModelCase) -> None:
    made = case.generative()
    whole = [step.log_probs for step in case.steps(EVERY, made)]
    for rows in ([2], [3, 0]):
        for wanted, step in zip(whole, case.steps(rows, made), strict=False):
            says = "the steps of a row depend on the rows around it"
            require.same(step.log_probs, wanted[rows], says)


def _prepared(case: ModelCase) -> None:
    made = case.generative()
    for tokens in (1, 10**6):
        stepper = made.stepper(tokens)
        for step in case.steps(EVERY, made):
            found, _ = stepper.step(*step.before)
            says = f"`stepper({tokens})` takes other steps than the model itself"
            require.same(found, step.log_probs, says)


def _carried(case: ModelCase) -> None:
    made, batch = case.make(), case.batch([2])
    if made.initial_state(1) is None or not isinstance(batch, TokenBatch):
        raise NotTriedError("no state is carried from batch to batch")
    whole, (first, second) = made.score(batch).nats, (slice(0, 2), slice(2, None))
    parts = [
        replace(batch, inputs=batch.inputs[:, part], targets=batch.targets[:, part], lengths=None)
        for part in (first, second)
    ]
    for name, read in (("loss", made.loss), ("score", made.score)):
        state, total = made.initial_state(1), torch.zeros(())
        for part in parts:
            found = read(part, state)
            total = total + (found.total if name == "loss" else found.nats.sum())
            state = found.state
        says = f"two halves, with the state of `{name}` carried over, are not the whole"
        require.same(total, whole.sum(), says)


_SOUND = ("is a model", "loss and score are as declared")
_STABLE = (*_SOUND, *WEIGHTS[:2])
_STEPS = (*_STABLE, "a step gives what the score has")
_CALLING = "`loss(batch, state)`, `score`, `start` and `step` must take any batch of its data"

MODEL_LAWS: tuple[Law[ModelCase], ...] = (
    Law(_SOUND[0], _is_a_model, BUILT.format("`vocab_size=`, perhaps `source=`,")),
    Law(_SOUND[1], _shapes, _CALLING, _SOUND[:1]),
    *network_laws(_CALLING, _SOUND),
    Law("the score is the loss", _score_is_loss, _CALLING, _STABLE),
    Law("the loss is a sum over rows", _sum, _CALLING, _STABLE),
    Law("padding does not matter", _padding, _CALLING, _STABLE),
    Law("the state goes on from batch to batch", _carried, _CALLING, _STABLE),
    Law(_STEPS[-1], _steps, _CALLING, _STABLE),
    Law("rows of a state may be reordered", _states, _CALLING, _STEPS),
    Law("a row alone is the row in a batch", _rows_alone, _CALLING, _STEPS),
    Law("a prepared stepper is the model", _prepared, _CALLING, _STEPS),
)

"""The laws of constraints, and `check_constraint`, which tries them around a model of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.data import Sources
from seqgen.decoders import (
    Attended,
    Beam,
    Constraint,
    Limits,
    SecondaryModel,
    Start,
    Stepper,
    constrain,
    constraints,
)
from seqgen.state import State, batch_size_of, reorder, repeat
from seqgen.testing import require
from seqgen.testing.decoder import TableModel
from seqgen.testing.laws import BreachError, Law, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part
from seqgen.tokenizers import EOS, ByteTokenizer

TOKENIZER = ByteTokenizer()
VOCAB = len(TOKENIZER)
FAVOURED = [EOS, *TOKENIZER.encode("014 ab").tolist()]
"""The tokens that the model mostly writes, so that they come again and again."""
LENGTHS = (9, 1, 5, 9, 2, 7, 3, 9)
"""The maximum length of each source."""
IMPOSSIBLE = float("-inf")


class Tables(NamedTuple):
    """A model over bytes, and how a batch of its sources begins, with something like attention."""

    model: TableModel

    @classmethod
    def make(cls, seed: int = 1) -> Tables:
        model = TableModel(seed, VOCAB)
        model.context[:, FAVOURED] += 8
        return cls(model)

    def start(self, batch: Sources) -> Start:
        """The first token of each source is its number."""
        start = reorder(self.model.start(len(LENGTHS)), batch.values[:, 0])
        return start._replace(state=(start.state, Attended()))

    def step(self, tokens: Tensor, state: Any, context: Any) -> tuple[Tensor, State]:
        own, attended = state
        log_probs, own = self.model.step(tokens, own, context)
        weights = log_probs[:, FAVOURED].softmax(1).view(len(context), -1, len(FAVOURED))
        real = torch.ones_like(weights[:, 0], dtype=torch.bool)
        return log_probs, (own, attended.after(weights, real))


class Gaps(NamedTuple):
    """A stepper to which some tokens are impossible, others after each token. It keeps what it
    gave and how that was."""

    stepper: Stepper
    given: list[tuple[Tensor, Tensor]]

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        log_probs, state = self.stepper.step(tokens, state, context)
        gap = (tokens.unsqueeze(1) + torch.arange(VOCAB)) % 5 == 0
        log_probs = log_probs.masked_fill(gap, IMPOSSIBLE)
        self.given.append((log_probs, log_probs.clone()))
        return log_probs, state


class Walk(NamedTuple):
    """A step of a walk: the sources that are still there, what was read, and what came back."""

    sources: list[int]
    before: tuple[Tensor, State, State]
    log_probs: Tensor


@dataclass(frozen=True)
class ConstraintCase:
    """How to build the constraint."""

    factory: Callable[..., Any]

    def make(self) -> Constraint:
        """The constraint, for bytes; whatever run it loads is another model of tables."""

        def load(run: str | None) -> SecondaryModel:
            return Tables.make(seed=4)

        made: Constraint = self.factory(
            vocab_size=VOCAB,
            encode=lambda text: TOKENIZER.encode(text).tolist(),
            contents=TOKENIZER.contents,
            looks_back=True,
            load=load,
        )
        return made

    def begin(self, sources: Sequence[int], stepper: Stepper | None = None) -> tuple[Any, Any]:
        """What `wrap` returns for some of the sources."""
        batch, tables = batch_of(sources), Tables.make()
        made = self.make().wrap(stepper or tables, tables.start(batch), limits_of(sources), batch)
        if not isinstance(made, tuple) or len(made) != 2:
            says = f"`wrap` must return a stepper and a start, but returned {require.named(made)}"
            raise BreachError(says)
        return made

    def walk(
        self, sources: Sequence[int], *, stepper: Stepper | None = None, mixed: bool = False
    ) -> Iterator[Walk]:
        """Take steps as a search does: each source goes on with a token that it may have, drawn by
        its number and the step, and leaves when it is over. `mixed` has the rows in another order
        after each step."""
        wrapped, start = self.begin(sources, stepper)
        live, now = list(sources), (start.tokens, start.state, start.context)
        for step in range(1, max(LENGTHS) + 1):
            if not live:
                return
            log_probs, state = wrapped.step(*now)
            yield Walk(live, now, log_probs)
            tokens = torch.stack(
                [_drawn(*each, step) for each in zip(log_probs, live, strict=True)]
            )
            going = log_probs.gather(1, tokens.unsqueeze(1)).squeeze(1) > IMPOSSIBLE
            going &= (tokens != EOS) & (torch.tensor([LENGTHS[each] for each in live]) > step)
            rows = going.nonzero().squeeze(1)
            rows = rows.flip(0) if mixed else rows
            live = [live[row] for row in rows.tolist()]
            now = reorder((tokens, state, now[2]), rows)

    def scores(self, sources: Sequence[int], **how: Any) -> dict[int, list[Tensor]]:
        """What each source's row had at each step of such a walk."""
        found: dict[int, list[Tensor]] = {each: [] for each in sources}
        for step in self.walk(sources, **how):
            for source, each in zip(step.sources, step.log_probs, strict=True):
                found[source].append(each)
        return found


def batch_of(sources: Sequence[int]) -> Sources:
    """What the model's start is made of, as an encoder would read it."""
    values = torch.tensor([[each] * 6 for each in sources], dtype=torch.long).view(-1, 6)
    return Sources(values, torch.tensor([1 + each % 6 for each in sources], dtype=torch.long))


def limits_of(sources: Sequence[int]) -> Limits:
    """The limits of some of the sources."""
    return Limits([LENGTHS[each] for each in sources], (EOS,))


def _drawn(log_probs: Tensor, source: int, step: int) -> Tensor:
    noise = torch.rand(VOCAB, generator=torch.Generator().manual_seed(100 * source + step))
    return (log_probs - (-noise.log()).log()).argmax()


EVERY = list(range(len(LENGTHS)))


def check_constraint(constraint: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a constraint: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(constraints, constraint, options)
    return try_laws(name, CONSTRAINT_LAWS, ConstraintCase(factory), watch)


def _is_a_constraint(case: ConstraintCase) -> None:
    require.contract(case.make(), Constraint)


def _form(case: ConstraintCase) -> None:
    _, start = case.begin(EVERY)
    rows = len(EVERY)
    require.that(isinstance(start, Start), f"`wrap` must return a Start, not {type(start)}")
    require.shape(start.tokens, (rows,), "`tokens` of the start", "")
    for what, part in (("state", start.state), ("context", start.context)):
        says = f"the {what} of the start must have a row for each source, in every tensor"
        require.that(batch_size_of(part) == rows, says)
    for step in case.walk(EVERY):
        wanted = (len(step.sources), VOCAB)
        scores = require.shape(step.log_probs, wanted, "what `step` returned", "")
        require.that(scores.is_floating_point(), f"scores must be numbers, not {scores.dtype}")


def _numbers(case: ConstraintCase) -> None:
    for step in case.walk(EVERY):
        wrong = step.log_probs.isnan() | (step.log_probs == -IMPOSSIBLE)
        says = "a score is NaN or infinite; what may not come has -inf, all else a number"
        require.that(not bool(wrong.any()), f"{says} (beware of 0 times -inf)")


def _left_alone(case: ConstraintCase) -> None:
    stepper = Gaps(Tables.make(), [])
    for _ in case.walk(EVERY, stepper=stepper):
        for found, before in stepper.given:
            says = "it writes into the scores that it was given, which others may use: return a "
            require.that(torch.equal(found, before), f"{says}new tensor, by `masked_fill` say")


def _stays_forbidden(case: ConstraintCase) -> None:
    stepper = Gaps(Tables.make(), [])
    for step in case.walk(EVERY, stepper=stepper):
        impossible = stepper.given[-1][1] == IMPOSSIBLE
        revived = bool((step.log_probs[impossible] > IMPOSSIBLE).any())
        says = "a token came back that the stepper inside forbids; -inf must stay -inf"
        require.that(not revived, says)


def _alike(found: dict[int, list[Tensor]], wanted: dict[int, list[Tensor]], says: str) -> None:
    for source, each in found.items():
        same = len(each) == len(wanted[source])
        pairs = zip(each, wanted[source], strict=False)
        require.that(same and all(torch.allclose(a, b, atol=1e-5) for a, b in pairs), says)


def _same_twice(case: ConstraintCase) -> None:
    says = "wrapped twice, it gives other scores; draw nothing, and keep nothing between searches"
    _alike(case.scores(EVERY), case.scores(EVERY), says)


def _memory_in_the_state(case: ConstraintCase) -> None:
    wrapped, _ = case.begin(EVERY)
    for step in [*case.walk(EVERY)][::-1]:  # the last one first: what was read since is no matter
        tokens, state, context = step.before
        twice, _ = wrapped.step(*repeat((tokens, state), 2), context)
        says = "from a state that it gave before, it gives other scores: what it remembers must "
        says += "be in the state, a row for each path (`intercept(stepper, start, change, memory)`)"
        wanted = repeat(step.log_probs, 2)
        require.that(twice.shape == wanted.shape and torch.allclose(twice, wanted, atol=1e-5), says)


def _travels(case: ConstraintCase) -> None:
    says = "rows in another order get other scores; what is remembered of a path must travel with "
    _alike(case.scores(EVERY, mixed=True), case.scores(EVERY), f"{says}its row")


def _row_alone(case: ConstraintCase) -> None:
    whole = case.scores(EVERY)
    for sources in ([3], [7, 2, 0], EVERY[::-1]):
        says = "the scores of a source depend on the batch around it"
        _alike(case.scores(sources), whole, says)


def _least(case: ConstraintCase) -> None:
    made = case.make()
    least, rows = made.least_tokens(batch_of(EVERY)), len(EVERY)
    needed: list[int] = [least] * rows if isinstance(least, int) else []
    if not isinstance(least, int):
        needed = require.shape(least, (rows,), "`least_tokens`", "").tolist()
    for source, each in _found(made, EVERY):
        if each.satisfied and each.finished:
            says = f"`least_tokens` says {needed[source]}, but {len(each.tokens) - 1} tokens and "
            require.that(len(each.tokens) > needed[source], f"{says}the end satisfy it")
    require.that(min(needed) >= 0, f"`least_tokens` must be at least 0, but is {min(needed)}")


def _searched(case: ConstraintCase) -> None:
    for source, each in _found(case.make(), EVERY):
        wrapped, start = case.begin([source])
        tokens, state, context = start.tokens, start.state, start.context
        for token, found in zip(each.tokens, each.log_probs, strict=True):
            log_probs, state = wrapped.step(tokens, state, context)
            tokens = torch.tensor([token])
            says = "a beam finds a sequence whose tokens have other scores when it is read alone"
            require.that(abs(float(log_probs[0, token]) - found) < 1e-4, says)


def _found(made: Constraint, sources: Sequence[int]) -> Iterator[tuple[int, Any]]:
    batch, tables, limits = batch_of(sources), Tables.make(), limits_of(sources)
    wrapped = constrain([made], tables, tables.start(batch), limits, batch)
    for source, own in zip(sources, Beam(4, 4).decode(*wrapped, limits), strict=True):
        yield from ((source, each) for each in own)


_SUPPLIED = "`vocab_size=`, `encode=`, `contents=`, `looks_back=`, `load=`, if asked,"
_SOUND = (
    "is a constraint",
    "a stepper and a start come back",
    "scores are numbers or minus infinity",
)
_STABLE = (*_SOUND, "the same twice", "what it remembers is in the state")
_CALLING = "`wrap(stepper, start, limits, batch)` must work for any batch, and so must its steps"

CONSTRAINT_LAWS: tuple[Law[ConstraintCase], ...] = (
    Law(_SOUND[0], _is_a_constraint, BUILT.format(_SUPPLIED)),
    Law(_SOUND[1], _form, _CALLING, _SOUND[:1]),
    Law(_SOUND[2], _numbers, _CALLING, _SOUND[:2]),
    Law("what it is given is left as it is", _left_alone, _CALLING, _SOUND),
    Law("what is forbidden stays forbidden", _stays_forbidden, _CALLING, _SOUND),
    Law(_STABLE[3], _same_twice, _CALLING, _SOUND),
    Law(_STABLE[4], _memory_in_the_state, _CALLING, (*_SOUND, _STABLE[3])),
    Law("it travels with its row", _travels, _CALLING, _STABLE),
    Law("a row alone is the row in a batch", _row_alone, _CALLING, _STABLE),
    Law("it says how many tokens it needs", _least, _CALLING, _STABLE),
    Law("a search keeps to it", _searched, _CALLING, _STABLE),
)

"""The laws of drafts, and `check_draft`, which tries them on a model of tables and its texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.data import Prompts
from seqgen.decoders import (
    Draft,
    Drafter,
    Limits,
    Multinomial,
    PathDecoder,
    Speculative,
    Start,
    constrain,
    drafts,
    proposal_fault,
)
from seqgen.state import State, batch_size_of, reorder
from seqgen.testing import require
from seqgen.testing.decoder import TableModel
from seqgen.testing.laws import BreachError, Law, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part

VOCAB = 7
END = 3
COUNTS = (1, 4, 0, 9)
TEXTS = ([1, 2, 4, 1, 2, 4, 1, 2], [5], [6, 6, 6, 5, 6, 6], [4, 1, 0, 2, 5, 6, 4, 1])
"""Prompts; the first token is the number of a source of the tables."""
GOES_ON = [[4, 5], [4], [1, 2, 4, 6], [6, 0], [1, 2, 4, 1, 2, 4]]
"""How each of them goes on, in parts as they may be accepted."""


class Tables(NamedTuple):
    """A model whose source is the first token of a prompt."""

    model: TableModel

    def start(self, batch: Prompts) -> Start:
        last = batch.tokens.gather(1, batch.lengths.unsqueeze(1) - 1).squeeze(1)
        return reorder(self.model.start(64), batch.tokens[:, 0])._replace(tokens=last)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        return self.model.step(tokens, state, context)


def batch_of(texts: Sequence[Sequence[int]]) -> Prompts:
    """The prompts as a model's start reads them."""
    longest = max(map(len, texts))
    rows = [[*each, *[0] * (longest - len(each))] for each in texts]
    return Prompts(torch.tensor(rows), torch.tensor([*map(len, texts)]), None)


def best(log_probs: Tensor, ahead: int) -> Tensor:
    """What a greedy decoder would choose."""
    return log_probs.argmax(-1)


@dataclass(frozen=True)
class DraftCase:
    """How to build the draft."""

    factory: Callable[..., Any]

    def make(self) -> Draft:
        """The draft; whatever run it loads is another model of tables."""
        made: Draft = self.factory(load=lambda run: Tables(TableModel(4, VOCAB)))
        return made

    def begin(self, made: Draft, row: int, of: Sequence[Sequence[int]] = TEXTS) -> Drafter:
        """The drafter of a row of a batch."""
        memory = made.start(batch_of(of))
        own = None if memory is None else reorder(memory, torch.tensor([row]))
        found = made.drafter([*of[row]], own)
        if not isinstance(found, Drafter):
            says = f"`drafter` must return a Drafter, but returned {require.named(found)}"
            raise BreachError(says)
        return found

    def proposals(self, drafter: Drafter) -> list[list[int]]:
        """What a drafter proposes at the end of its prompt and after each part of what follows."""
        found = []
        for part in ([], *GOES_ON):
            if part:
                drafter.accept([*part])
            found.append([*drafter.propose(5, best)])
        return found


def check_draft(draft: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a draft: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(drafts, draft, options)
    return try_laws(name, DRAFT_LAWS, DraftCase(factory), watch)


def _is_a_draft(case: DraftCase) -> None:
    require.contract(case.make(), Draft)


def _remembers_rows(case: DraftCase) -> None:
    memory = case.make().start(batch_of(TEXTS))
    says = f"what `start` remembers must have {len(TEXTS)} rows for so many prompts, in all tensors"
    require.that(memory is None or batch_size_of(memory) == len(TEXTS), says)


def _tokens(case: DraftCase) -> None:
    made = case.make()
    for row in range(len(TEXTS)):
        drafter = case.begin(made, row)
        for part in GOES_ON:
            for count in COUNTS:
                fault = proposal_fault(drafter.propose(count, best), count, VOCAB)
                require.that(not fault, fault)
            drafter.accept([*part])


def _leaves_as_it_is(case: DraftCase) -> None:
    prompt, part, made = [*TEXTS[0]], [*GOES_ON[0]], case.make()
    memory = made.start(batch_of([prompt]))
    drafter = made.drafter(prompt, memory)
    drafter.accept(part)
    drafter.propose(4, best)
    says = "it changes the tokens that it was given, which are the text itself: make a copy"
    require.that(prompt == TEXTS[0] and part == GOES_ON[0], says)


def _no_trace(case: DraftCase) -> None:
    made = case.make()
    for row in range(len(TEXTS)):
        asked, silent = case.begin(made, row), case.begin(made, row)
        for part in GOES_ON:
            once, again = asked.propose(5, best), asked.propose(5, best)
            says = "asked twice, it proposes something else: a proposal is not yet the text"
            require.that([*once] == [*again], says)
            asked.accept([*part])
            silent.accept([*part])
        says = "it goes on from what it proposed, not from what was accepted"
        require.that([*asked.propose(5, best)] == [*silent.propose(5, best)], says)


def _parts(case: DraftCase) -> None:
    made = case.make()
    for row in range(len(TEXTS)):
        whole, single = case.begin(made, row), case.begin(made, row)
        for part in GOES_ON:
            whole.accept([*part])
            for token in part:
                single.accept([token])
            says = "several tokens accepted at once count otherwise than one by one"
            require.that([*whole.propose(5, best)] == [*single.propose(5, best)], says)


def _row_alone(case: DraftCase) -> None:
    made = case.make()
    alone = [case.proposals(case.begin(case.make(), 0, [text])) for text in TEXTS]
    drafters = [case.begin(made, row) for row in range(len(TEXTS))]
    together: list[list[list[int]]] = [[] for _ in TEXTS]
    for part in ([], *GOES_ON):  # in turn, as the rows of a server would come
        for drafter, found in zip(drafters, together, strict=True):
            if part:
                drafter.accept([*part])
            found.append([*drafter.propose(5, best)])
    says = (
        "a text gets other proposals among others than alone; keep what belongs to a text in the "
    )
    require.that(alone == together, f"{says}Drafter, not in the Draft")


def _same_text(case: DraftCase) -> None:
    tables, ends = Tables(TableModel(1, VOCAB)), (END,)
    for temperature in (0.0, 0.7):
        sampler = Multinomial(5, temperature)
        drafted = Speculative(
            seed=5,
            draft=case.factory,
            sampler=partial(Multinomial, temperature=temperature),
            load=lambda run: Tables(TableModel(4, VOCAB)),
        )
        for text in TEXTS:
            batch, limits = batch_of([text]), Limits(40, ends)
            found = [_decoded(each, tables, batch, limits) for each in (drafted, sampler)]
            require.that(found[0] == found[1], "the text is not what it is without the draft")


def _decoded(decoder: PathDecoder, tables: Tables, batch: Prompts, limits: Limits) -> object:
    start = tables.start(batch)
    wrapped = constrain(decoder.constraints, tables, start, limits, batch)
    [[found]] = decoder.decode(*wrapped, limits)
    return found.tokens


_SOUND = (
    "is a draft",
    "what it remembers has a row for each prompt",
    "it proposes tokens, no more than asked for",
)
_STABLE = (*_SOUND, "a proposal leaves no trace")
_CALLING = "`drafter`, `propose` and `accept` must work for any text, one of a single token, too"

DRAFT_LAWS: tuple[Law[DraftCase], ...] = (
    Law(_SOUND[0], _is_a_draft, BUILT.format("`load=`, if asked,")),
    Law(_SOUND[1], _remembers_rows, "`start(batch)` must work for any batch", _SOUND[:1]),
    Law(_SOUND[2], _tokens, _CALLING, _SOUND[:2]),
    Law("what it is given is left as it is", _leaves_as_it_is, _CALLING, _SOUND),
    Law(_STABLE[3], _no_trace, _CALLING, _SOUND),
    Law("tokens at once are tokens one by one", _parts, _CALLING, _STABLE),
    Law("a row alone is the row in a batch", _row_alone, _CALLING, _STABLE),
    Law("the text is the one without it", _same_text, _CALLING, _SOUND),
)

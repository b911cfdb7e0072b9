"""Speculation: a draft proposes tokens, and the model reads several of them at once.

What comes out is what the model alone would have chosen: at each place the token is chosen from the
model's own scores and with the noise of that step, and a draft only says how far to read at a time.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, cast, final

import torch
from torch import Tensor

from seqgen.decoders import base
from seqgen.decoders.base import Constraint, Limits, Start, Stepper, Wrapped
from seqgen.decoders.ensemble import SecondaryModel
from seqgen.decoders.guards import DEAD_END, IMPOSSIBLE, check_scores, read_ahead
from seqgen.decoders.sampling import Extension, Multinomial, PathDecoder
from seqgen.options import Size
from seqgen.registry import Registry, check_fields, plugin_fault
from seqgen.state import State

Choose = Callable[[Tensor, int], Tensor]
"""The token `[1]` that the decoder would choose from scores `[1, vocab]`, so many steps ahead."""


class Drafter(ABC):
    """Proposes how one text goes on."""

    @abstractmethod
    def propose(self, count: int, choose: Choose) -> list[int]:
        """Up to `count` next tokens, which may be none."""

    @abstractmethod
    def accept(self, tokens: Sequence[int]) -> None:
        """The text goes on with `tokens`, whatever was proposed."""


class Draft(ABC):
    """How to guess the next tokens. It cannot change a text, only how fast that comes."""

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def drafter(self, tokens: Sequence[int], memory: State) -> Drafter:
        """For a text that begins with `tokens`, its prompt; `memory` is its row of `start`."""

    def start(self, batch: Any) -> State:
        """What to remember of a batch besides its prompts, a row each; no sooner than here, models
        of other runs may be loaded."""
        return None


def proposal_fault(proposed: Any, count: int, vocab_size: int) -> str:
    """What is wrong with what `propose` returned for `count`, if anything."""
    if not isinstance(proposed, list):
        return f"`propose` must return a list, but returned a {type(proposed).__name__}"
    if len(proposed) > count:
        return f"`propose` returned {len(proposed)} tokens where {count} are the most"
    wrong = [each for each in proposed if type(each) is not int or not 0 <= each < vocab_size]
    if wrong:
        return f"what is proposed must be of type int, 0 to {vocab_size - 1}, but has {wrong[0]!r}"
    return ""


drafts: Registry[Draft] = Registry("draft", supplied={"load"})

DraftFactory = Annotated[Callable[..., Draft], drafts]


@drafts.register("lookup")
@dataclass
class Lookup(Draft):
    """What came after the last tokens where they stood before, in the prompt or the text so far.

    Prompt look-up (Saxena 2023): of the last `longest` tokens, or fewer, down to `shortest`, the
    latest place counts. What came since then is repeated if it is too short.
    """

    longest: Size = 4
    shortest: Size = 1

    def drafter(self, tokens: Sequence[int], memory: State) -> Drafter:
        return _LookupDrafter(tokens, range(self.longest, self.shortest - 1, -1))


class _LookupDrafter(Drafter):
    def __init__(self, tokens: Sequence[int], sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.tokens: list[int] = []
        self.places: dict[tuple[int, ...], int] = {}
        self.accept(tokens)

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            here = len(self.tokens)
            for size in self.sizes:
                if size <= here:
                    self.places[tuple(self.tokens[-size:])] = here
            self.tokens.append(token)

    def propose(self, count: int, choose: Choose) -> list[int]:
        for size in self.sizes:
            place = self.places.get(tuple(self.tokens[-size:]))
            if place is not None:
                since = self.tokens[place : place + count]
                return [since[index % len(since)] for index in range(count)]
        return []


@drafts.register("ngram")
@dataclass
class Ngram(Draft):
    """The most frequent token after the last `order` - 1 tokens, or fewer where these are new, in
    the prompt and the text so far."""

    order: Size = 4

    def drafter(self, tokens: Sequence[int], memory: State) -> Drafter:
        return _NgramDrafter(tokens, range(self.order - 1, -1, -1))


class _NgramDrafter(Drafter):
    def __init__(self, tokens: Sequence[int], sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.last: list[int] = []
        self.counts: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self.accept(tokens)

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            for size in self.sizes:
                if size <= len(self.last):
                    self.counts[tuple(self.last[len(self.last) - size :])][token] += 1
            self.last = [*self.last, token][-max(1, len(self.sizes)) :]

    def propose(self, count: int, choose: Choose) -> list[int]:
        last, found = self.last, list[int]()
        for _ in range(count):
            keys = (tuple(last[len(last) - size :]) for size in self.sizes if size <= len(last))
            known = next((self.counts[key] for key in keys if key in self.counts), None)
            if known is None:
                break
            found.append(max(known, key=known.__getitem__))
            last = [*last, found[-1]][-max(1, len(self.sizes)) :]
        return found


@drafts.register("model")
@dataclass
class ModelDraft(Draft):
    """What the model of the run directory `run` would choose with the same noise.

    It must have the same tokens, and helps where it is much smaller (Leviathan et al. 2023, where
    draft and model draw apart).
    """

    run: str
    load: Callable[[str], SecondaryModel]

    def start(self, batch: Any) -> State:
        start = self.load(self.run).start(batch)
        return start.tokens, start.state, start.context

    def drafter(self, tokens: Sequence[int], memory: State) -> Drafter:
        token, state, context = cast(tuple[Tensor, State, State], memory)
        return _ModelDrafter(self.load(self.run), token, state, context)


class _ModelDrafter(Drafter):
    def __init__(self, model: SecondaryModel, token: Tensor, state: State, context: State) -> None:
        self.model, self.token, self.state, self.context = model, token, state, context
        self.proposed: list[tuple[int, State]] = []
        """Tokens, each with the state after all tokens before it."""

    def propose(self, count: int, choose: Choose) -> list[int]:
        token, state = self.token, self.state
        self.proposed = []
        for ahead in range(count):
            log_probs, state = self.model.step(token, state, self.context)
            token = choose(log_probs, ahead)
            self.proposed.append((int(token), state))
        return [each for each, _ in self.proposed]

    def accept(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if self.proposed:
                (guess, self.state), *self.proposed = self.proposed
                if guess != token:
                    self.proposed = []
            else:
                _, self.state = self.model.step(self.token, self.state, self.context)
            self.token = torch.full_like(self.token, token)


class _Drafted(NamedTuple):
    """A state, and what the draft remembers of the prompt: `tokens: [rows, time]` with `lengths:
    [rows]`, None where it is none of tokens; and its own memory."""

    state: State
    prompt: State
    memory: State


@dataclass(frozen=True)
class _DraftedStepper:
    stepper: Stepper

    def step(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, State]:
        log_probs, following = self.stepper.step(tokens, state.state, context)
        return log_probs, state._replace(state=following)

    def read_ahead(self, tokens: Tensor, state: Any, context: State) -> tuple[Tensor, list[State]]:
        log_probs, states = read_ahead(self.stepper, tokens, state.state, context)
        return log_probs, [state._replace(state=each) for each in states]


@dataclass
class _Drafting(Constraint):
    """Changes no score: lets a draft see the batch, and puts what it remembers into the state."""

    draft: Draft

    def wrap(self, stepper: Stepper, start: Start, limits: Limits, batch: Any) -> Wrapped:
        prompt = getattr(batch, "tokens", None), getattr(batch, "lengths", None)
        seen = prompt if all(isinstance(each, Tensor) for each in prompt) else None
        state = _Drafted(start.state, cast(State, seen), self.draft.start(batch))
        return _DraftedStepper(stepper), start._replace(state=state)


@base.decoders.register("speculative")
@final
@dataclass
class Speculative(PathDecoder):
    """As `sampler`, token by token the same text, but the model reads up to `ahead` tokens at once
    that the `draft` proposes.

    What was proposed and is not what the sampler chooses is dropped, with the states after it; then
    only as many are proposed as were right, and one, and twice as many after each proposal that was
    right. What is read at once differs in the last bits from what single steps would give. Several
    texts at once are decoded without a draft, and so is what is watched (traces and counts), or
    decoded without a batch.
    """

    seed: int = 0
    ahead: Size = 4
    draft: DraftFactory = Lookup
    sampler: base.DecoderFactory = Multinomial
    vocab_size: int | None = None
    load: Callable[[str], SecondaryModel] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._draft = drafts.build(self.draft, load=self.load)
        sampler = base.decoders.build(self.sampler, seed=self.seed, vocab_size=self.vocab_size)
        if sampler.constraints:
            raise ValueError("`sampler` must have no `constraints`; give them to the decoder")
        if getattr(sampler, "choose", None) is None:
            wanted = "one that chooses token by token, such as greedy, multinomial or top_p"
            raise ValueError(f"`sampler` must be {wanted}, but searches")
        self._sampler = cast(PathDecoder, sampler)
        self._drafting = _Drafting(self._draft)
        self.constraints = (self._drafting,)
        self.draws = sampler.draws
        self.proposed = self.accepted = self.read = 0
        """How many tokens were proposed, how many of these were chosen, and how often the model
        was asked."""

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        return self._sampler.choose(log_probs, sequence_ids, step)

    def _extensions(
        self, stepper: Stepper, start: Start, limits: Limits, *, compiled: bool = False
    ) -> Iterator[Extension]:
        drafted = isinstance(start.state, _Drafted) and self.constraints[-1:] == (self._drafting,)
        if len(start.tokens) != 1 or not drafted:
            yield from super()._extensions(stepper, start, limits, compiled=compiled)
            return
        [room], ids, size = limits.lengths(start).tolist(), start.ids, self.ahead
        tokens, state, context = start[:3]
        source = torch.zeros_like(tokens)
        drafter, step = self._drafter(tokens, cast(_Drafted, state)), 0
        row = torch.empty(1, 0)  # the scores of the last place: none yet

        def ahead(log_probs: Tensor, place: int) -> Tensor:
            likely = log_probs.where(row > IMPOSSIBLE, IMPOSSIBLE)  # that are possible at least now
            return self.choose(likely, ids, step + place).clamp(max=row.shape[1] - 1)

        while step < room:
            most = min(size, room - step - 1)
            guess = drafter.propose(most, ahead) if step else []
            if guess and (fault := proposal_fault(guess, most, row.shape[1])):
                raise plugin_fault(self._draft, fault)
            end = next((place for place, each in enumerate(guess) if each in limits.ends), None)
            guess = guess[:end]
            log_probs, states = read_ahead(
                stepper, torch.cat([tokens, tokens.new_tensor(guess)]), state, context
            )
            found, dead_end = self._agreed(log_probs, guess, ids, step)
            self.proposed, self.read = self.proposed + len(guess), self.read + 1
            if not found:
                return
            self.accepted += len(found) - 1
            size = min(self.ahead, 2 * size) if len(found) > len(guess) else len(found)
            chosen = torch.cat(found)
            given = log_probs[: len(found)].gather(1, chosen.unsqueeze(1)).squeeze(1)
            over = torch.isin(chosen, chosen.new_tensor(limits.ends))
            every = Extension(source.expand(len(found)), chosen, given, over)
            yield from [every] if compiled else map(Extension, *(torch.split(x, 1) for x in every))
            if dead_end or bool(over[-1]):
                return
            drafter.accept(chosen.tolist())
            row = log_probs[len(found) - 1 : len(found)]
            tokens, state, step = found[-1], states[len(found) - 1], step + len(found)

    def _agreed(
        self, log_probs: Tensor, guess: list[int], ids: Tensor, step: int
    ) -> tuple[list[Tensor], bool]:
        """The tokens that are chosen from the scores of each place, up to the first that is not the
        guess, and whether the text is at a dead end there."""
        found: list[Tensor] = []
        bests, rows = log_probs.amax(-1).tolist(), torch.split(log_probs, 1)
        for place, (row, best, wanted) in enumerate(zip(rows, bests, [*guess, -1], strict=False)):
            source = torch.zeros_like(ids)
            if not DEAD_END < best < math.inf and not check_scores(row, source, step + place):
                return found, True
            found.append(self.choose(row, ids, step + place))
            if int(found[-1]) != wanted:
                break
        return found, False

    def _drafter(self, tokens: Tensor, state: _Drafted) -> Drafter:
        """For one row, from what the draft has seen of its prompt, or its last token at least."""
        prompt = tokens.tolist()
        if state.prompt is not None:
            whole, lengths = cast(tuple[Tensor, Tensor], state.prompt)
            prompt = whole[0, : int(lengths[0])].tolist()
        return self._draft.drafter(prompt, state.memory)

"""Jobs and their rows: what a request asks of a run, and outputs that take steps together.

The noise of a row depends on its seed, its id and its own step alone, so other rows decide nothing
but the last bits of its scores.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from seqgen import decoders
from seqgen.decoders import Decoder, Limits, PathDecoder, Start, Stepper
from seqgen.errors import DecodeError
from seqgen.generate import SAMPLES_APART, Generated, Generator
from seqgen.registry import is_ours
from seqgen.state import concatenate, reorder
from seqgen.streaming import GrowingOutput
from seqgen.trained import TrainedRun

Candidates = list[list[tuple[int, float]]]
"""For each token of an output the most probable ones, each with its log-probability."""


class Piece(NamedTuple):
    """What an output has grown by. `place` is its number in the job, that of its prompt times the
    samples of the job, plus that of the sample."""

    place: int
    text: str
    tokens: Sequence[int]
    log_probs: Sequence[float]
    candidates: Candidates


class Ended(NamedTuple):
    """An output that is complete; a search may have several in one place."""

    place: int
    output: Generated
    candidates: Candidates


Event = Piece | Ended | Exception | None
"""What comes of a job: pieces, if it streams, and complete outputs; at its end None or an error."""


@dataclass(eq=False)
class Job:
    """What a request asks of a run.

    `spec` is the decoder as text, but for its seed. `notify` is called with each Event, in another
    thread. With `candidates` k each token has the k most probable ones with it, where the decoder
    goes token by token. A job that is `gone` is left where it is. It fails if it has not begun at
    `waits_until`, by `time.monotonic`.
    """

    run: TrainedRun
    prompts: Sequence[str]
    decoder: Decoder
    spec: str
    notify: Callable[[Event], None]
    samples: int = 1
    max_length: int | None = None
    candidates: int = 0
    streams: bool = False
    waits_until: float = float("inf")
    gone: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.left = len(self.prompts) * self.samples
        """How many of its rows have not ended."""

    @cached_property
    def generator(self) -> Generator:
        """That of the run."""
        return self.run.built.generator()

    @property
    def asked(self) -> Hashable:
        """What jobs that are searched together have in common."""
        seed = cast(Any, self.decoder).seed if self.decoder.draws else None
        model, options = id(self.run.built.model), self.run.built.recipe.generation
        return model, options, self.spec, seed, self.max_length, self.samples

    def rows(
        self, number: int, length: int, limits: Limits, *, satisfied: bool = True
    ) -> list[Row]:
        """The rows of one of its prompts, of up to `length` tokens; `limits` are those of the
        search, which may end without what its constraints want unless it is `satisfied`."""
        text, guided = self.prompts[number], bool(self.decoder.constraints)
        return [
            Row(
                self,
                number * self.samples + sample,
                text,
                self.generator.growing(text, length, limits, guided=guided, shows=self.streams),
                satisfied,
            )
            for sample in range(self.samples)
        ]

    def fail(self, error: Exception) -> None:
        """End it with an error, if it has not ended."""
        if not self.gone:
            self.gone = True
            self.notify(error)


@dataclass(eq=False)
class Row:
    """One output of a job."""

    job: Job
    place: int
    prompt: str
    growing: GrowingOutput
    satisfied: bool

    def __post_init__(self) -> None:
        self.candidates: Candidates = []
        self.told = 0
        self.stuck = False

    @property
    def id(self) -> int:
        return self.place % self.job.samples * SAMPLES_APART

    @property
    def draws_with(self) -> Hashable:
        """What rows have in common that choose together; a plugin sees one step at a time."""
        if is_ours(self.job.decoder):
            return self.job.spec
        return id(self.job.decoder), len(self.growing.tokens)

    def take(self, token: int, log_prob: float) -> None:
        """The next token."""
        text = self.growing.add(token, log_prob)
        if text and self.job.streams:
            self._tell(text)

    @property
    def over(self) -> bool:
        return self.stuck or self.job.gone or self.growing.over

    def end(self) -> None:
        """Make the output, which is over."""
        job = self.job
        if job.gone:
            return
        try:
            output = job.generator.grown(self.prompt, self.growing, satisfied=self.satisfied)
        except Exception as error:  # such as of a plugin's tokenizer: other jobs go on
            job.fail(error)
            return
        rest = output.text[self.growing.shown :]
        if job.streams and (rest or self.told < len(self.growing.tokens)):
            self._tell(rest)
        candidates = self.candidates[: len(output.hypothesis.tokens)]
        job.notify(Ended(self.place, output, candidates))
        job.left -= 1
        if not job.left:
            job.notify(None)

    def _tell(self, text: str) -> None:
        new = slice(self.told, None)
        growing, self.told = self.growing, len(self.growing.tokens)
        found = (growing.tokens[new], growing.log_probs[new], self.candidates[new])
        self.job.notify(Piece(self.place, text, *found))


class _Draw(NamedTuple):
    """Rows that choose together: the decoder of one of them, their `places: [rows]`, the ids by
    which it draws for them, and their steps, one number where it is the same for all."""

    decoder: PathDecoder
    places: Tensor
    ids: Tensor
    steps: Tensor | int


class Rows:
    """Outputs that take the steps of a model together, wherever each of them is."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper = stepper
        self.rows: list[Row] = []
        self.values: Any = None
        """Of each row the last token, the state and the context."""
        self._draws: list[_Draw] = []
        self._age = 0

    def join(self, rows: Sequence[Row], start: Start) -> None:
        """Take on `rows`, each with its row of `start`."""
        values = start[:3]
        self.values = concatenate(self.values, values) if self.rows else values
        self.rows += rows
        self._draws = []
        self.values = self._without_ended(self.values)

    def step(self) -> None:
        """One more token for each row."""
        tokens, state, context = self.values = self._without_ended(self.values)
        if not self.rows:
            return
        log_probs, state = self.stepper.step(tokens, state, context)
        if not decoders.can_go_on(log_probs):
            log_probs, state, context = self._possible(log_probs, state, context)
            if not self.rows:
                return
        chosen = self._chosen(log_probs)
        given = log_probs.gather(1, chosen.unsqueeze(1)).squeeze(1)
        self._note_candidates(log_probs)
        self.values = chosen, state, context
        for row, token, log_prob in zip(self.rows, chosen.tolist(), given.tolist(), strict=True):
            row.take(token, log_prob)
        self.values = self._without_ended(self.values)

    def _possible(self, log_probs: Tensor, *values: Any) -> Any:
        """The same without the rows that are at a dead end, or whose scores are no numbers."""
        for place, row in enumerate(self.rows):
            own, step = log_probs[place : place + 1], len(row.growing.tokens)
            try:
                row.stuck = not bool(decoders.check_scores(own, torch.tensor([place]), step))
            except DecodeError as error:
                row.job.fail(error)
        return self._without_ended((log_probs, *values))

    def _without_ended(self, values: Any) -> Any:
        keep = [place for place, row in enumerate(self.rows) if not row.over]
        if len(keep) == len(self.rows):
            return values
        for row in self.rows:
            if row.over:
                row.end()
        self.rows = [self.rows[place] for place in keep]
        self._draws = []
        return reorder(values, values[0].new_tensor(keep, dtype=torch.long))

    def _chosen(self, log_probs: Tensor) -> Tensor:
        if not self._draws:
            self._draws, self._age = [*self._grouped(log_probs.device)], 0
        age, self._age = self._age, self._age + 1
        if len(self._draws) == 1:
            [draw] = self._draws
            return draw.decoder.choose(log_probs, draw.ids, cast(int, draw.steps + age))
        chosen = torch.empty(len(log_probs), dtype=torch.long, device=log_probs.device)
        for decoder, places, ids, steps in self._draws:
            own = log_probs.index_select(0, places)
            chosen[places] = decoder.choose(own, ids, cast(int, steps + age))
        return chosen

    def _grouped(self, device: torch.device) -> Iterator[_Draw]:
        found = defaultdict(list)
        for place, row in enumerate(self.rows):
            found[row.draws_with].append(place)
        for places in found.values():
            rows = [self.rows[place] for place in places]
            own = [cast(PathDecoder, row.job.decoder) for row in rows]
            numbers = [[each.seed for each in own], [row.id for row in rows]]
            seeds, ids = torch.tensor(numbers, device=device)
            steps = [len(row.growing.tokens) for row in rows]
            together = len({*steps}) == 1
            yield _Draw(
                own[0],
                torch.tensor(places, device=device),
                decoders.ids_for(own[0].seed, seeds, ids),
                steps[0] if together else torch.tensor(steps, device=device),
            )

    def _note_candidates(self, log_probs: Tensor) -> None:
        most = max(row.job.candidates for row in self.rows)
        if not most:
            return
        values, tokens = log_probs.topk(min(most, log_probs.shape[1]))
        for row, own, given in zip(self.rows, tokens.tolist(), values.tolist(), strict=True):
            found = [*zip(own, given, strict=True)]
            row.candidates.append(found[: row.job.candidates])

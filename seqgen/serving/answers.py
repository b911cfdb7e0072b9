"""Answers: what comes of a job, as documents, whole or in chunks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from seqgen.decoders import StopStrings
from seqgen.errors import visible
from seqgen.serving.jobs import Candidates, Ended, Job, Piece
from seqgen.serving.requests import Completion
from seqgen.streaming import Generated, GrowingText

REASONS = {"end": "stop", "stop": "stop", "constraints": "stop", "length": "length"}
"""Why an output ended, as OpenAI's interface says it; all else, such as `time`, is `length`."""


class Answers(ABC):
    """Makes documents of the events of a job for `model`; counts the tokens in them."""

    def __init__(self, model: str, job: Job) -> None:
        self.model = model
        self.job = job
        self.generated = 0

    async def whole(self, events: AsyncIterator[Piece | Ended]) -> Any:
        """The whole answer."""
        return self.document([each async for each in self._ended(events)])

    async def _ended(self, events: AsyncIterator[Piece | Ended]) -> AsyncIterator[Ended]:
        async for each in events:
            if isinstance(each, Ended):
                self.generated += len(each.output.hypothesis.tokens)
                yield each

    @abstractmethod
    def document(self, ended: Sequence[Ended]) -> Any:
        """The answer, of all that has ended."""


class Generations(Answers):
    """The answers of `/generate`: the outputs of each prompt as `seqgen generate --json` has
    them."""

    def document(self, ended: Sequence[Ended]) -> Any:
        prompts, samples = self.job.prompts, self.job.samples
        outputs: list[list[Generated]] = [[] for _ in prompts]
        for each in sorted(ended, key=lambda one: one.place):
            outputs[each.place // samples].append(each.output)
        found = [
            {"prompt": prompt, "outputs": [each.plain() for each in own]}
            for prompt, own in zip(prompts, outputs, strict=True)
        ]
        flat = [each for own in outputs for each in own]
        return {
            "model": self.model,
            "found": found,
            "remarks": self.job.run.remarks(prompts, flat),
        }

    async def chunks(self, events: AsyncIterator[Piece | Ended]) -> AsyncIterator[Any]:
        """The pieces as they come, and at the end the whole answer."""
        ended = []
        async for each in events:
            if isinstance(each, Piece):
                if each.text:
                    yield {"place": each.place, "text": each.text}
            else:
                self.generated += len(each.output.hypothesis.tokens)
                ended.append(each)
        yield self.document(ended)


class Completions(Answers):
    """The answers of `/v1/completions`. `prompt_tokens` are those of all prompts together."""

    def __init__(
        self, number: str, model: str, asked: Completion, job: Job, prompt_tokens: int
    ) -> None:
        super().__init__(model, job)
        self.asked = asked
        self.prompt_tokens = prompt_tokens
        self.prompts: Sequence[Sequence[float]] = ()
        """The log-probabilities of the tokens of the prompts, where they are wanted."""
        self.shared = {"id": number, "object": "text_completion", "created": int(time.time())}

    def document(self, ended: Sequence[Ended]) -> Any:
        choices: list[dict[str, Any]] = []
        for number in range(len(self.job.prompts)):
            own = [each for each in ended if each.place // self.job.samples == number]
            own.sort(key=lambda each: each.place)
            if self.asked.best_of is not None:
                own.sort(key=_mean_log_prob, reverse=True)
            for each in own[: self.asked.n]:
                choices.append(self._choice(len(choices), number, each))
        return {**self.shared, "model": self.model, "choices": choices, "usage": self._usage()}

    async def chunks(self, events: AsyncIterator[Piece | Ended]) -> AsyncIterator[Any]:
        """The chunks of a stream, in which a search has one for each output."""
        written: dict[int, int] = {}  # characters of each output, for offsets
        searched: dict[int, int] = {}  # outputs of each prompt
        if self.asked.echo:
            for number, prompt in enumerate(self.job.prompts):
                logprobs = self._logprobs([*self._of_prompt(number)])
                for place in range(number * self.asked.n, (number + 1) * self.asked.n):
                    yield self._chunk(place, prompt, None, logprobs)
                    written[place] = len(prompt)
        async for each in events:
            if isinstance(each, Piece):
                if each.text or (each.tokens and self.asked.logprobs is not None):
                    offset = written.get(each.place, 0)
                    tokens = self._tokens(each.tokens, each.log_probs, each.candidates, offset)
                    yield self._chunk(each.place, each.text, None, self._logprobs(tokens))
                    written[each.place] = offset + len(each.text)
                continue
            self.generated += len(each.output.hypothesis.tokens)
            reason = REASONS.get(each.output.hypothesis.finish_reason, "length")
            if self.job.decoder.streams:
                yield self._chunk(each.place, "", reason, None)
                continue
            number = each.place // self.job.samples
            rank = searched[number] = searched.get(number, -1) + 1
            if rank < self.asked.n:
                place = number * self.asked.n + rank
                tokens = self._of_output(each, written.get(place, 0))
                yield self._chunk(place, each.output.text, reason, self._logprobs([*tokens]))
        if self.asked.stream_options.include_usage:
            yield {**self.shared, "model": self.model, "choices": [], "usage": self._usage()}

    def _chunk(self, index: int, text: str, reason: str | None, logprobs: Any) -> Any:
        choice = {"index": index, "text": text, "finish_reason": reason, "logprobs": logprobs}
        return {**self.shared, "model": self.model, "choices": [choice]}

    def _choice(self, index: int, number: int, ended: Ended) -> dict[str, Any]:
        prompt = self.job.prompts[number] if self.asked.echo else ""
        tokens = [*self._of_prompt(number), *self._of_output(ended, len(prompt))]
        reason = REASONS.get(ended.output.hypothesis.finish_reason, "length")
        return {
            "index": index,
            "text": prompt + ended.output.text,
            "finish_reason": reason,
            "logprobs": self._logprobs(tokens),
        }

    def _usage(self) -> dict[str, int]:
        found = {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.generated}
        return {**found, "total_tokens": sum(found.values())}

    def _of_prompt(self, number: int) -> Iterator[Any]:
        if self.prompts and self.asked.echo:
            prompt = self.job.prompts[number]
            tokens = self.job.run.built.tokenizer.encode(prompt).tolist()
            yield from self._tokens(tokens, self.prompts[number], [], 0)

    def _of_output(self, ended: Ended, offset: int) -> Iterator[Any]:
        found = ended.output.hypothesis
        yield from self._tokens(found.tokens, found.log_probs, ended.candidates, offset)

    def _tokens(
        self,
        tokens: Sequence[int],
        log_probs: Sequence[float],
        candidates: Candidates,
        offset: int,
    ) -> Iterator[tuple[str, float, Any, int]]:
        """Of each token its display text, its log-probability, the most probable ones, and where
        it begins in the text."""
        if self.asked.logprobs is None:
            return
        run = self.job.run
        tokenizer, data = run.built.tokenizer, run.built.data
        growing = GrowingText(
            lambda before, own: data.output_text(before, own, run.built.tokenizers),
            "",
            StopStrings(),
        )
        for place, (token, log_prob) in enumerate(zip(tokens, log_probs, strict=True)):
            best = {
                visible(tokenizer.shown(each)): given
                for each, given in (candidates[place] if place < len(candidates) else ())
            }
            yield tokenizer.shown(token), log_prob, best or None, offset
            offset += len(growing.add(token))

    def _logprobs(self, tokens: Any) -> Any:
        if self.asked.logprobs is None:
            return None
        names = ("tokens", "token_logprobs", "top_logprobs", "text_offset")
        columns = [*zip(*tokens, strict=True)] or [()] * len(names)
        return {name: [*column] for name, column in zip(names, columns, strict=True)}


def _mean_log_prob(ended: Ended) -> float:
    found = ended.output.hypothesis
    return found.score / max(1, len(found.tokens))

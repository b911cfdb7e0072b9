"""Generation: prompts in, texts out, by any model and any decoder."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Generator as Yielding
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import chain
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from seqgen import decoders
from seqgen.data import Data, PairBatch, padded, shift_right
from seqgen.data.base import with_pieces
from seqgen.machine import STEP_WORK_PER_THREAD, Threads, choose_threads, computing
from seqgen.models import Generative, evaluating
from seqgen.options import Count, OptionError, PositiveFloat, Temperature, check_value, shown
from seqgen.registry import plain
from seqgen.state import State
from seqgen.streaming import Generated, GrowingOutput, GrowingText, end_of
from seqgen.text_state import TextState, read_text
from seqgen.tokenizers import BOS, EOS, PAD, UNK, LongText, Tokenizer, Tokenizers

SAMPLES_APART = 1 << 32
"""Sample s of prompt p has the id p + s * 2**32: more samples or prompts change none of them."""


@dataclass(frozen=True)
class SampleOptions:
    """The samples of a run, the recipe's section `samples`.

    Each validation continues the first prompt at the recipe's own decoder; the report shows every
    prompt at each temperature (0 is greedy). `length` counts tokens. Where no `prompts` are given,
    they are a few sources of the validation part, or the empty text where the data has no sources.
    """

    prompts: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    length: Count = 300
    temperatures: tuple[Temperature, ...] = (0.0, 0.5, 0.8, 1.0)


NonEmpty = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class GenerationOptions:
    """Where an output ends, the recipe's section `generation`.

    `max_length` counts tokens, the end token included. With `max_length_ratio` r an output has at
    most `r * tokens of its source + max_length_extra` of them besides. The minimum length is a
    constraint of the decoder, `minimum_length`. `replace_unknown` lets a model generate <unk>, and
    replaces it by the piece of the source with the most attention (Luong et al. 2015a).

    An output also ends with the first of the strings `stop` in its text, which may span tokens, or
    with one of `stop_tokens`, each a text that is one token. These are cut off its text, or kept
    with `keep_stop`. `max_seconds` limits the time that outputs of one batch take together, looked
    at between two steps; what they are when it is over depends on the machine and the batch, as
    nothing else does.
    """

    max_length: Count = 300
    max_length_ratio: PositiveFloat | None = None
    max_length_extra: Count = 10
    replace_unknown: bool = False
    stop: tuple[NonEmpty, ...] = ()
    stop_tokens: tuple[NonEmpty, ...] = ()
    keep_stop: bool = False
    max_seconds: PositiveFloat | None = None

    def changed(self, tokenizer: Tokenizer, options: Mapping[str, Any]) -> GenerationOptions:
        """With other `options`, of which `stop` and `stop_tokens` may be a single string. Raises
        OptionError."""
        given: dict[str, Any] = {}
        for key, value in options.items():
            single = isinstance(value, str) and key.startswith("stop")
            given[key] = [value] if single else list(value) if isinstance(value, tuple) else value
        own: Any = plain(self)
        checked: GenerationOptions = check_value(GenerationOptions, {**own, **given}, ())
        checked.check_stops(tokenizer, warn="stop" in given)
        return checked

    def check_stops(self, tokenizer: Tokenizer, *, warn: bool = True) -> None:
        """Raises OptionError unless each stop token is one. Warns of stop strings that no output
        can contain."""
        try:
            stop_token_ids(self.stop_tokens, tokenizer)
        except ValueError as error:
            raise OptionError(("stop_tokens",), str(error)) from None
        contents = tokenizer.contents() if warn and self.stop else None
        if contents is None or self.replace_unknown:  # which puts in what no token is
            return
        if what := ", ".join(map(shown, decoders.StopStrings(self.stop).impossible(contents))):
            warnings.warn(f"stop: no output can contain {what}; no tokens make it", stacklevel=3)


def stop_token_ids(texts: Sequence[str], tokenizer: Tokenizer) -> dict[int, str]:
    """The tokens whose texts these are. Raises ValueError unless each is one known token."""
    found = {}
    for text in texts:
        tokens = tokenizer.encode(text).tolist()
        if len(tokens) != 1 or tokens[0] == UNK:
            count = "no token of the vocabulary" if UNK in tokens else f"{len(tokens)} tokens"
            raise ValueError(f"{text!r} must be one token, but is {count}; `stop` takes any string")
        found[tokens[0]] = text
    return found


class _Threaded(NamedTuple):
    """A stepper whose steps are taken by as many threads as `threads(rows)` says."""

    stepper: decoders.Stepper
    threads: Callable[[int], int]

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        self._take(tokens.shape[0])
        return self.stepper.step(tokens, state, context)

    def read_ahead(
        self, tokens: Tensor, state: State, context: State
    ) -> tuple[Tensor, list[State]]:
        self._take(1)
        return decoders.read_ahead(self.stepper, tokens, state, context)

    def _take(self, rows: int) -> None:
        threads = self.threads(rows)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)


@dataclass(frozen=True)
class Generator:
    """A model with the tokenizers and the kind of data that belong to it."""

    model: Generative
    tokenizers: Tokenizers
    data: Data[Any]
    device: torch.device
    options: GenerationOptions = GenerationOptions()
    threads: Threads = "auto"
    begun: TextState | None = None
    """The text that all prompts go on from, if they do not begin anew."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of outputs."""
        return self.tokenizers[self.data.output_field]

    def generate(
        self,
        texts: Sequence[str],
        decoder: decoders.Decoder,
        max_length: int | None = None,
        samples: int = 1,
        sequence_ids: Sequence[int] | None = None,
    ) -> list[list[Generated]]:
        """For each text its outputs: `samples` times what the decoder finds.

        `max_length` takes precedence over that of the options. Random decoders draw for each text
        by its id, by default its place: given ids of all texts, batches do not matter. Warns
        where `max_length` leaves no room for what a constraint needs. Raises DecodeError, or
        PluginError if a decoder from a plugin breaks its contract.
        """
        if not texts:
            return []
        with evaluating(self.model), computing():
            deadline = self._deadline()
            batch = self.batch(texts)
            limits = self.limits(batch, max_length)
            chosen, search_limits = self._stopping(decoder.constraints, limits, texts, deadline)
            stepper, start = self.start(batch, limits, chosen)
            ids = start.tokens.new_tensor([*(sequence_ids or range(len(texts)))])
            copies, which = start._replace(sequence_ids=ids).copies(samples)
            copies = copies._replace(sequence_ids=copies.ids + which * SAMPLES_APART)
            safe = decoders.checked(decoder, len(self.tokenizer))
            found = safe.decode(stepper, copies, search_limits.copies(samples))
            short = decoders.unmet(decoder.constraints, start, limits, batch).tolist()
        late = deadline is not None and time.monotonic() >= deadline
        generated = []
        for place, text in enumerate(texts):
            every = chain.from_iterable(found[place * samples : (place + 1) * samples])
            met = not short[place]
            generated.append([self._output(text, one, late=late, satisfied=met) for one in every])
        return self._without_unknown(generated) if self.options.replace_unknown else generated

    def stream(
        self,
        text: str,
        decoder: decoders.PathDecoder,
        max_length: int | None = None,
        sequence_id: int = 0,
    ) -> Yielding[str, None, Generated]:
        """Yield the text of one output as its tokens come, and return the output.

        The pieces together are the text that `generate` finds for that id. Nothing of a piece is
        taken back: no part of a character, no beginning of a stop string that is cut off. Where
        <unk> is to be replaced, what follows the first one comes at the end.
        """
        with evaluating(self.model), computing():
            batch = self.batch([text])
            limits = self.limits(batch, max_length)
            stepper, start, search_limits = self.begin([text], batch, limits, decoder.constraints)
            start = start._replace(sequence_ids=start.tokens.new_tensor([sequence_id]))
            short = bool(decoders.unmet(decoder.constraints, start, limits, batch).any())
        length = int(limits.lengths(start))
        growing = self.growing(text, length, search_limits, guided=bool(decoder.constraints))
        walk = decoder.walk(stepper, start, search_limits)
        while not growing.over:
            # Not around the yield: the caller's own code would run without gradients.
            with evaluating(self.model), computing():
                extension = next(walk, None)
            if extension is None:
                break
            piece = growing.add(int(extension.tokens[0]), float(extension.log_probs[0]))
            if piece:
                yield piece
        output = self.grown(text, growing, satisfied=not short)
        if rest := output.text[growing.shown :]:
            yield rest
        return output

    def begin(
        self,
        texts: Sequence[str],
        batch: Any,
        limits: decoders.Limits,
        constraints: Sequence[decoders.Constraint],
    ) -> tuple[decoders.Stepper, decoders.Start, decoders.Limits]:
        """As `start`, for outputs that are looked at token by token, and the limits of their
        search: where there are `constraints`, these have a say in where a text may stop."""
        found = constraints, limits
        if constraints:
            found = self._stopping(constraints, limits, texts, self._deadline())
        return *self.start(batch, limits, found[0]), found[1]

    def growing(
        self, text: str, length: int, limits: decoders.Limits, *, guided: bool, shows: bool = True
    ) -> GrowingOutput:
        """The output for `text`, of up to `length` tokens, none of which is there yet. `limits` are
        those of the search, which is `guided` if constraints may stop it."""
        kept = {*self.stop_tokens} if self.options.keep_stop else set[int]()
        looks = shows or (bool(self.options.stop) and not guided)
        shown = GrowingText(self._text_of, text, self.stops) if looks else None
        held = UNK if self.options.replace_unknown else None
        ends, deadline = {*limits.ends}, self._deadline()
        return GrowingOutput(
            shown, length, ends, ends - kept, deadline=deadline, guided=guided, held_from=held
        )

    def grown(self, text: str, growing: GrowingOutput, *, satisfied: bool = True) -> Generated:
        """What `growing` came to, when no further token comes."""
        found = growing.found()
        output = self._output(text, found, late=growing.is_late(), satisfied=satisfied)
        if growing.held:
            [[output]] = self._without_unknown([[output]])
        return output

    def first_tokens(self, text: str, temperature: float, top: int = 8) -> list[dict[str, Any]]:
        """The most probable tokens after `text` at `temperature`, with their probabilities."""
        with evaluating(self.model), computing():
            batch = self.batch([text])
            stepper, start = self.start(batch, self.limits(batch, 1))
            log_probs, _ = stepper.step(start.tokens, start.state, start.context)
        probabilities = decoders.at_temperature(log_probs, temperature).exp()[0]
        values, tokens = probabilities.topk(min(top, len(probabilities)))
        return [
            {"token": self.tokenizer.shown(token), "probability": value}
            for token, value in zip(tokens.tolist(), values.tolist(), strict=True)
        ]

    def batch(self, texts: Sequence[str]) -> Any:
        """The batch of the texts from which the model starts."""
        if self.begun is None:
            batch = self.data.prompts(texts, self.tokenizers)
        else:
            batch = self.begun.prompts(texts, self.data, self.tokenizers)
        return batch.to(self.device, self.model.floats)

    def read(self, text: LongText, run: str) -> tuple[TextState, Counter[str]]:
        """The state after a text, for the run that has the fingerprint `run`, and what of the text
        is unknown. Raises ValueError if outputs do not continue texts."""
        if not self.data.continues:
            raise ValueError("its outputs answer sources, and so there is no text to go on from")
        with evaluating(self.model), computing():
            torch.set_num_threads(self._threads()(1))
            return read_text(text, self.model, self.data, tokenizers=self.tokenizers, run=run)

    def start(
        self, batch: Any, limits: decoders.Limits, constraints: Sequence[decoders.Constraint] = ()
    ) -> tuple[decoders.Stepper, decoders.Start]:
        """The model's start for `batch` and what takes the steps from there: the model without the
        tokens that no text has, in the `constraints`.

        Each step sets torch's number of threads, for use in `machine.computing`.
        """
        torch.set_num_threads(self._threads()(len(batch.lengths)))
        begin = self.model.start(batch)
        stepper = self.stepper(int(limits.lengths(begin).sum()))
        return decoders.constrain(constraints, stepper, begin, limits, batch)

    def stepper(self, tokens: int) -> decoders.Stepper:
        """What takes the steps of outputs of about so many tokens together, from any start of the
        model, see `start`."""
        never = [PAD, BOS] if self.options.replace_unknown else [PAD, BOS, UNK]
        return decoders.WithoutTokens(
            _Threaded(self.model.stepper(tokens), self._threads()),
            never if self.data.ends else [*never, EOS],
        )

    def _threads(self) -> Callable[[int], int]:
        """How many threads a step of so many rows is worth."""
        parameters = sum(each.numel() for each in self.model.parameters())
        most = torch.get_num_threads()

        @cache
        def threads(rows: int) -> int:
            work = parameters * rows
            return choose_threads(self.threads, work, most, per_thread=STEP_WORK_PER_THREAD)

        return threads

    def limits(self, batch: Any, max_length: int | None = None) -> decoders.Limits:
        """How many tokens each row may have, the end token if the data has one, and stop tokens."""
        ends = ((EOS,) if self.data.ends else ()) + (*self.stop_tokens,)
        most = self.options.max_length if max_length is None else max_length
        exact, ratio = self.data.output_lengths(batch), self.options.max_length_ratio
        if exact is not None:  # what is as long as its source is not cut by what is usual
            exact = exact if max_length is None else exact.clamp(max=max_length)
            return decoders.Limits(exact.tolist(), ends)
        if ratio is None:
            return decoders.Limits(most, ends)
        # What is whole counts whole: 0.29 * 100 is 28.999999999999996 in floats.
        longest = [int(ratio * n + 1e-9) for n in batch.lengths.tolist()]
        return decoders.Limits(
            [min(most, n + self.options.max_length_extra) for n in longest], ends
        )

    @property
    def stops(self) -> decoders.StopStrings:
        """What ends a text besides its end token."""
        return decoders.StopStrings(self.options.stop, self.options.keep_stop)

    @cached_property
    def stop_tokens(self) -> dict[int, str]:
        """The stop tokens, each with its text. Raises ValueError if a text is not one token."""
        return stop_token_ids(self.options.stop_tokens, self.tokenizer)

    def attention(self, texts: Sequence[str], outputs: Sequence[Sequence[int]]) -> Tensor | None:
        """The attention of each token of an output to each one of its text's source, `[batch, time,
        source_time]`; None for models that have none."""
        if not texts:
            return None
        rows = [torch.tensor([*each], dtype=torch.long) for each in outputs]
        batch = PairBatch(
            self.batch(texts), shift_right(rows), *padded(rows), torch.arange(len(rows))
        )
        with evaluating(self.model):
            return self.model.attention_weights(batch.to(self.device))

    def _deadline(self) -> float | None:
        seconds = self.options.max_seconds
        return None if seconds is None else time.monotonic() + seconds

    def _stopping(
        self,
        constraints: Sequence[decoders.Constraint],
        limits: decoders.Limits,
        prompts: Sequence[str],
        deadline: float | None,
    ) -> tuple[Sequence[decoders.Constraint], decoders.Limits]:
        """The constraints, and the limits of the search, with what stops outputs in them."""
        stops = self.stops
        if not stops.strings and deadline is None:
            return constraints, limits
        window = stops.window + decoders.MARGIN if stops.strings else 0
        ends_of_prompts = [*map(end_of, prompts)]

        def stopped(source: int, recent: Sequence[int]) -> bool:
            # What is before the last `window` tokens is out of sight, the prompt, too.
            prompt = ends_of_prompts[source] if len(recent) < window else ""
            return stops.find(self._text_of(prompt, recent)) is not None

        stop = decoders.Stopping(EOS, self.data.ends, window, stopped, deadline)
        ends = limits.ends if EOS in limits.ends else (*limits.ends, EOS)
        return decoders.with_stop(constraints, stop), replace(limits, ends=ends)

    def _text_of(self, prompt: str, tokens: Sequence[int]) -> str:
        before = prompt if self.begun is None else self.begun.context + prompt
        return self.data.output_text(before, tokens, self.tokenizers)

    def _output(
        self, prompt: str, found: decoders.Hypothesis, *, late: bool, satisfied: bool
    ) -> Generated:
        """The output for what a search `found`: its text is cut where it stops, the end that
        `Stopping` forced is gone, and it says why it ended. `late` says that the time is over."""
        tokens, finished, stop = found.tokens, found.finished, ""
        reason = "end" if finished else "length" if found.satisfied else "constraints"
        named = self.stop_tokens.get(tokens[-1]) if finished else None
        content = tokens[:-1] if finished else tokens
        text = self._text_of(prompt, content if named and not self.options.keep_stop else tokens)
        stopping = self.stops.find(self._text_of(prompt, content)) if self.stops.strings else None
        if stopping is not None:
            tokens, finished, reason, stop = content, True, "stop", stopping.string
            text = self.stops.cut(text)
        elif named is not None:
            reason, stop = "stop", named
        elif finished and (not self.data.ends or (late and found.log_probs[-1] == 0)):
            # Only `Stopping` is certain of an end, and it alone ends what has no end of its own.
            tokens, finished, reason = content, False, "time"
        made = found._replace(
            tokens=tokens,
            log_probs=found.log_probs[: len(tokens)],
            finished=finished,
            satisfied=found.satisfied and satisfied,
            finish_reason=reason,
            stop=stop,
        )
        return Generated(prompt, text, made, tuple(map(self.tokenizer.shown, tokens)))

    def _without_unknown(self, found: list[list[Generated]]) -> list[list[Generated]]:
        """`found`, where each <unk> is the piece of the source with the most attention."""
        unknown = [each for own in found for each in own if UNK in each.hypothesis.tokens]
        tokens = [each.hypothesis.tokens for each in unknown]
        weights = self.attention([each.prompt for each in unknown], tokens)
        if weights is None:
            return found
        filled = map(self._filled, unknown, weights)
        return [
            [next(filled) if UNK in each.hypothesis.tokens else each for each in own]
            for own in found
        ]

    def _filled(self, found: Generated, weights: Tensor) -> Generated:
        """`weights: [time, source_time]`; if all are zero, <unk> stays."""
        tokens = found.hypothesis.tokens
        pieces = self.data.source_pieces(found.prompt, self.tokenizers)
        chosen = {
            place: pieces[int(looked.argmax())]
            for place, looked in enumerate(weights[: len(tokens), : len(pieces)])
            if tokens[place] == UNK and looked.any()
        }
        text_of = partial(self._text_of, found.prompt)
        return replace(found, text=self.stops.cut(with_pieces(text_of, tokens, chosen)))

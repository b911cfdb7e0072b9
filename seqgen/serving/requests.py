"""What clients ask for: the bodies of requests, checked and made into jobs.

A body is checked as a section of a recipe is, so an error names the field and what would be right.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field

from seqgen.config import Override
from seqgen.decoders import decoders
from seqgen.errors import DataError, RecipeError
from seqgen.options import (
    Count,
    OptionError,
    PositiveFloat,
    Seed,
    Size,
    Temperature,
    check_options,
    options_of,
)
from seqgen.serving.jobs import Event, Job
from seqgen.trained import TrainedRun

Penalty = Annotated[float, Field(ge=-2, le=2)]
Texts = str | list[str]
WIDTHS = ("n_best", "beam_size", "samples")
"""Options of decoders that say how many rows a search has."""
R = TypeVar("R")


@dataclass(frozen=True)
class ServerLimits:
    """What a server goes up to, so that no client keeps it from the others.

    `body` is in bytes, `prompt` in characters, `tokens` are those of an output. A request has up to
    `outputs` of them, its prompts times its samples. Up to `rows` outputs grow at once, up to
    `queue` requests wait, each for `seconds` at most; and so long its outputs may take, which then
    end where they are. At its end a server gives what runs `grace` seconds.
    """

    body: Size = 1_000_000
    prompt: Size = 50_000
    tokens: Size = 2048
    outputs: Size = 16
    rows: Size = 256
    queue: Size = 1000
    seconds: PositiveFloat = 60.0
    grace: Size = 10


class RequestError(Exception):
    """What is wrong with a request: the status of the answer, a line, and the field."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


@dataclass(frozen=True)
class StreamOptions:
    """How OpenAI's clients want streams: at their end with the numbers of tokens, or without."""

    include_usage: bool = False
    include_obfuscation: bool = False


@dataclass(frozen=True)
class Completion:
    """The body of `/v1/completions`, the fields of OpenAI's interface.

    Without `temperature` and `top_p` the run's own decoder is used. Without a `seed` each request
    has a new one.
    """

    prompt: Texts = ""
    model: str | None = None
    max_tokens: Count | None = None
    temperature: Temperature | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    n: Size = 1
    best_of: Size | None = None
    stop: Texts | None = None
    seed: Seed | None = None
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool = False
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: Mapping[str, float] | None = None
    user: str | None = None

    def spec(self, run: TrainedRun) -> dict[str, Any]:
        """The decoder that is meant."""
        spec = run.decoder_spec()
        if self.temperature is not None or self.top_p is not None:
            temperature = 1.0 if self.temperature is None else self.temperature
            cuts = [] if self.top_p in (None, 1) else [{"name": "top_p", "p": self.top_p}]
            spec = {"name": "multinomial", "temperature": temperature, "truncations": cuts}
        given = {"presence_penalty": self.presence_penalty}
        given["frequency_penalty"] = self.frequency_penalty
        constraints = [{"name": name, "penalty": each} for name, each in given.items() if each]
        if self.logit_bias:
            bias = {"name": "sequence_bias", "tokens": {**self.logit_bias}}
            constraints.append(cast(Any, bias))
        if constraints:
            spec["constraints"] = [*spec.get("constraints", ()), *constraints]
        return spec


@dataclass(frozen=True)
class Generation:
    """The body of `/generate`, what `seqgen generate` takes.

    `decoder` is a name, or a mapping with options; `options` change some, of the run's own decoder
    if none is named; `generation` changes options of that section of the recipe, such as `stop`.
    The `seed` is the recipe's if none is given.
    """

    prompt: Texts = ""
    model: str | None = None
    decoder: str | dict[str, Any] | None = None
    options: dict[str, Any] | None = None
    generation: dict[str, Any] | None = None
    n_best: Size | None = None
    samples: Size = 1
    max_length: Count | None = None
    seed: Seed | None = None
    stream: bool = False

    def spec(self, run: TrainedRun) -> dict[str, Any]:
        """The decoder that is meant. Raises RequestError, RecipeError."""
        own = {**(self.options or {})}
        if self.n_best is not None:
            own["n_best"] = self.n_best
        for field, value in (("decoder", self.decoder), ("options", own)):
            if reached := _reaches_out(value):
                what = f"{field}: `{reached}` names a file of the server, which no client may"
                raise RequestError(400, what, field)
        named: Any = {"name": None} if self.decoder is None else self.decoder
        mapping = {"name": named} if isinstance(named, str) else named
        if "name" not in mapping:
            raise RequestError(400, "decoder: must have a `name`", "decoder")
        changes = {**{key: each for key, each in mapping.items() if key != "name"}, **own}
        overrides = [Override(f"{k}={v}", (k,), v) for k, v in changes.items()]
        return run.decoder_spec(mapping["name"], overrides)


@dataclass(frozen=True)
class Scoring:
    """The body of `/score`: rows in the format of the run's data, such as SOURCE<tab>TARGET, or
    texts where the data is one long text."""

    rows: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    model: str | None = None


def _reaches_out(value: Any) -> str:
    """The first key in a part that names a file or another run, empty if there is none."""
    if isinstance(value, list):
        return next(filter(None, map(_reaches_out, value)), "")
    if not isinstance(value, dict):
        return ""
    own = (key for key in value if key in ("file", "path", "run", "runs"))
    return next(own, "") or _reaches_out([*value.values()])


_options_of = cache(options_of)


def read_body(kind: Callable[..., R], content: bytes, what: str) -> R:
    """A body, as a `kind` of request; fields that are null are as if they were not there. Raises
    RequestError."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    try:
        document = json.loads(content, parse_constant=refuse)
    except RecursionError:
        raise RequestError(400, "the body is nested too deeply") from None
    except ValueError as error:
        raise RequestError(400, f"the body must be JSON in UTF-8: {error}") from None
    if not isinstance(document, dict):
        raise RequestError(400, "the body must be a JSON object")
    given = {key: value for key, value in document.items() if value is not None}
    try:
        return kind(**check_options(_options_of(kind), given, (), what))
    except OptionError as error:
        raise refused(error) from None


def refused(error: OptionError | RecipeError, field: str = "") -> RequestError:
    """What to answer where an option is wrong, with the name of the `field` that it came from."""
    own = str(error.path[0]) if isinstance(error, OptionError) and error.path else None
    before = f"{field}: " if field and field != own else ""
    return RequestError(400, " ".join(f"{before}{error}".split()), field or own)


def prompts_of(
    given: Texts, run: TrainedRun, limits: ServerLimits, samples: int
) -> tuple[list[str], int]:
    """The prompts, and how many tokens they have together. Raises RequestError."""
    texts = [given] if isinstance(given, str) else given
    if not texts:
        raise RequestError(400, "prompt: must have at least one text", "prompt")
    if len(texts) * samples > limits.outputs:
        found = f"{len(texts)} prompts times {samples} outputs are more than {limits.outputs}"
        raise RequestError(400, f"prompt: {found} in one request", "prompt")
    longest = max(map(len, texts))
    if longest > limits.prompt:
        message = f"prompt: must have at most {limits.prompt} characters, but has {longest}"
        raise RequestError(400, message, "prompt")
    try:
        for text in texts:
            text.encode()  # no half of a surrogate pair
        lengths = run.built.data.prompts(texts, run.built.tokenizers).lengths
    except (ValueError, DataError) as error:
        raise RequestError(400, f"prompt: {' '.join(str(error).split())}", "prompt") from None
    return texts, int(lengths.sum())


def _length(wanted: int | None, usual: int, limits: ServerLimits, field: str) -> int:
    if wanted is not None and wanted > limits.tokens:
        message = f"{field}: must be at most {limits.tokens}, but is {wanted}"
        raise RequestError(400, message, field)
    return min(usual, limits.tokens) if wanted is None else wanted


def completion_job(
    asked: Completion, run: TrainedRun, limits: ServerLimits, notify: Callable[[Event], None]
) -> tuple[Job, int]:
    """The job of `/v1/completions`, and the number of tokens of its prompts. Raises
    RequestError."""
    drawn = asked.n if asked.best_of is None else asked.best_of
    if drawn < asked.n:
        message = f"best_of: must be at least `n`, which is {asked.n}, but is {drawn}"
        raise RequestError(400, message, "best_of")
    if asked.stream and drawn > asked.n:
        raise RequestError(400, "best_of: cannot be streamed unless it is `n`", "best_of")
    if asked.echo and not run.built.data.continues:
        message = "echo: this model answers its prompts, and does not go on from them"
        raise RequestError(400, message, "echo")
    texts, tokens = prompts_of(asked.prompt, run, limits, drawn)
    # Answers have a length of their own; OpenAI's number is for texts that go on and on.
    usual = 16 if run.built.data.continues else run.built.recipe.generation.max_length
    length = _length(asked.max_tokens, usual, limits, "max_tokens")
    changed = _generating(run, {} if asked.stop is None else {"stop": asked.stop}, limits)
    seed = secrets.randbits(48) if asked.seed is None else asked.seed
    field = "logit_bias" if asked.logit_bias else ""
    job = _job(changed, texts, asked.spec(run), seed, notify, field=field)
    searches = not job.decoder.streams and not job.decoder.draws
    job = replace(
        job,
        samples=1 if searches else drawn,
        max_length=length,
        candidates=asked.logprobs or 0,
        streams=asked.stream,
    )
    return job, tokens


def generation_job(
    asked: Generation, run: TrainedRun, limits: ServerLimits, notify: Callable[[Event], None]
) -> Job:
    """The job of `/generate`. Raises RequestError."""
    texts, _ = prompts_of(asked.prompt, run, limits, asked.samples)
    changed = _generating(run, asked.generation or {}, limits)
    usual = changed.built.recipe.generation.max_length
    length = _length(asked.max_length, usual, limits, "max_length")
    field = "decoder" if isinstance(asked.decoder, dict) else ""
    try:
        spec = asked.spec(run)
    except RecipeError as error:
        raise refused(error, "options") from None
    seed = run.built.recipe.seed if asked.seed is None else asked.seed
    job = _job(changed, texts, spec, seed, notify, field=field)
    for name in WIDTHS:
        if isinstance(size := spec.get(name), int) and size > limits.rows:
            raise RequestError(400, f"{name}: must be at most {limits.rows}, but is {size}", name)
    return replace(job, samples=asked.samples, max_length=length, streams=asked.stream)


def _generating(run: TrainedRun, options: Mapping[str, Any], limits: ServerLimits) -> TrainedRun:
    """The run with other options of generation, and no more time than the limit."""
    recipe = run.built.recipe
    generation = recipe.generation
    if options:
        try:
            generation = generation.changed(run.built.tokenizer, options)
        except OptionError as error:
            raise refused(error) from None
    seconds = min(generation.max_seconds or limits.seconds, limits.seconds)
    recipe = replace(recipe, generation=replace(generation, max_seconds=seconds))
    return replace(run, built=replace(run.built, recipe=recipe))


def _job(
    run: TrainedRun,
    texts: Sequence[str],
    spec: Mapping[str, Any],
    seed: int,
    notify: Callable[[Event], None],
    *,
    field: str,
) -> Job:
    """A job with this decoder; `field` is where an error came from, if the client did not name the
    option itself."""
    try:
        part = decoders.check(spec)
        decoder = run.decoder(part.plain(), seed)
    except OptionError as error:
        raise refused(error, field) from None
    except ValueError as error:
        raise RequestError(400, f"decoder: {error}", "decoder") from None
    return Job(run, texts, decoder, json.dumps(part.plain(), sort_keys=True, default=str), notify)

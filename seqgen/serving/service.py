"""The server: routes, answers and streams, figures for monitoring, and how it begins and ends."""

from __future__ import annotations

import asyncio
import errno
import json
import secrets
import signal
import socket
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition
from starlette.exceptions import HTTPException
from torch import as_tensor

from seqgen.data import as_text
from seqgen.errors import DataError, SeqgenError, SetupError
from seqgen.evaluate import score_texts
from seqgen.options import for_json, schema_of
from seqgen.serving import answers
from seqgen.serving.batching import Batcher, BusyError
from seqgen.serving.jobs import Ended, Event, Job, Piece
from seqgen.serving.requests import (
    Completion,
    Generation,
    RequestError,
    Scoring,
    ServerLimits,
    completion_job,
    generation_job,
    read_body,
)
from seqgen.trained import TrainedRun
from seqgen.version import __version__

B = TypeVar("B", Completion, Generation, Scoring)

SWITCHED_AFTER = 2e-4
"""Seconds until a thread that waits for Python gets it. Operations on tensors let go of it, and by
default would wait for 5 ms until they have it again while requests are read and answered."""

LOOKED_AFTER = 0.5
"""Seconds after which it is seen that a client who waits for a whole text has gone."""


class Figures:
    """What `/metrics` tells, in a registry of its own."""

    def __init__(self, batcher: Batcher) -> None:
        self.registry = CollectorRegistry()
        own: Any = {"namespace": "seqgen", "registry": self.registry}
        self.requests = Counter("requests", "Requests.", ["route", "status"], **own)
        self.seconds = Histogram("request_seconds", "Until the answer's end.", ["route"], **own)
        self.tokens = Counter("generated_tokens", "Tokens of outputs.", ["model"], **own)
        for name, what, value in (
            ("rows", "Outputs that grow.", lambda: batcher.running),
            ("waiting", "Requests that wait.", lambda: batcher.waiting),
        ):
            Gauge(name, what, **own).set_function(value)


@dataclass
class _Counted:
    """Counts requests, as ASGI middleware."""

    app: Any
    figures: Figures

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), "gone"

        async def noting(message: Any) -> None:
            nonlocal status
            status = str(message.get("status", status))
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.figures.requests.labels(route, status).inc()
            self.figures.seconds.labels(route).observe(time.perf_counter() - began)


@dataclass
class Service:
    """Runs by their names, and what answers requests for them."""

    runs: Mapping[str, TrainedRun]
    limits: ServerLimits

    def __post_init__(self) -> None:
        self.batcher = Batcher(self.limits.rows, self.limits.queue)
        self.figures = Figures(self.batcher)
        self.began = int(time.time())
        self.scoring = asyncio.Semaphore(1)
        self.to_score = 0

    def run_of(self, name: str | None) -> tuple[str, TrainedRun]:
        """A run by its name, which may be left away where there is one. Raises RequestError."""
        if name is None and len(self.runs) == 1:
            return next(iter(self.runs.items()))
        if name is not None and name in self.runs:
            return name, self.runs[name]
        known = ", ".join(self.runs)
        wrong = f"there is no model '{name}'" if name else "must name one"
        raise RequestError(404 if name else 400, f"model: {wrong}; these are: {known}", "model")

    async def body(self, request: Request, kind: type[B]) -> B:
        """The body of a request. Raises RequestError."""
        most, content = self.limits.body, bytearray()
        size = request.headers.get("content-length", "")
        too_large = RequestError(413, f"the body must have at most {most} bytes")
        if size.isdigit() and int(size) > most:
            raise too_large
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for part in request.stream():
                    content += part
                    if len(content) > most:
                        raise too_large
        except TimeoutError:
            raise RequestError(408, "the body did not come in time") from None
        return read_body(kind, bytes(content), f"{request.url.path}, which has")

    async def events(
        self, request: Request, prepare: Callable[[Callable[[Event], None]], tuple[Job, int]]
    ) -> tuple[Job, int, AsyncIterator[Piece | Ended]]:
        """The job that `prepare(notify)` makes, the tokens of its prompts, and what comes of it.
        Raises RequestError; so does what iterates."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def notify(event: Event) -> None:
            try:
                loop.call_soon_threadsafe(queue.put_nowait, event)
            except RuntimeError:  # the server has ended
                job.gone = True

        job, tokens = await asyncio.to_thread(prepare, notify)
        job.waits_until = time.monotonic() + self.limits.seconds
        try:
            self.batcher.submit(job)
        except BusyError:
            raise self.busy() from None
        return job, tokens, self._events(request, job, queue)

    async def _events(
        self, request: Request, job: Job, queue: asyncio.Queue[Event]
    ) -> AsyncIterator[Piece | Ended]:
        try:
            while True:
                try:
                    async with asyncio.timeout(LOOKED_AFTER):
                        event = await queue.get()
                except TimeoutError:
                    if await request.is_disconnected():
                        return
                    continue
                if event is None:
                    return
                if isinstance(event, Exception):
                    raise failed(event)
                yield event
        finally:
            job.gone = True

    async def complete(self, request: Request) -> Response:
        """Answer `/v1/completions`."""
        asked = await self.body(request, Completion)
        name, run = self.run_of(asked.model)

        def prepare(notify: Callable[[Event], None]) -> tuple[Job, int]:
            return completion_job(asked, run, self.limits, notify)

        job, tokens, events = await self.events(request, prepare)
        made = answers.Completions(f"cmpl-{secrets.token_hex(12)}", name, asked, job, tokens)
        if asked.echo and asked.logprobs is not None:
            made.prompts = await self.scored(run, job.prompts)
        if asked.stream:
            return self.streamed(made.chunks(events), made)
        found = await made.whole(events)
        self.figures.tokens.labels(name).inc(made.generated)
        return answer(found)

    async def generate(self, request: Request) -> Response:
        """Answer `/generate`."""
        asked = await self.body(request, Generation)
        name, run = self.run_of(asked.model)

        def prepare(notify: Callable[[Event], None]) -> tuple[Job, int]:
            return generation_job(asked, run, self.limits, notify), 0

        job, _, events = await self.events(request, prepare)
        made = answers.Generations(name, job)
        if asked.stream:
            return self.streamed(made.chunks(events), made)
        found = await made.whole(events)
        self.figures.tokens.labels(name).inc(made.generated)
        return answer(found)

    async def score(self, request: Request) -> Response:
        """Answer `/score`."""
        asked = await self.body(request, Scoring)
        name, run = self.run_of(asked.model)
        longest = max(map(len, asked.rows))
        if longest > self.limits.prompt:
            message = f"rows: must have at most {self.limits.prompt} characters, but has {longest}"
            raise RequestError(400, message, "rows")
        scores = await self.scored(run, asked.rows)
        rows = [{"score": sum(own), "tokens": len(own), "log_probs": [*own]} for own in scores]
        return answer({"model": name, "rows": rows})

    async def scored(self, run: TrainedRun, rows: Sequence[str]) -> Sequence[Sequence[float]]:
        """The log-probability of each token of each row, one request at a time."""
        if self.to_score >= self.limits.queue:
            raise self.busy()
        self.to_score += 1
        try:
            async with self.scoring:
                return await asyncio.to_thread(score_rows, run, rows)
        except (DataError, ValueError) as error:
            raise RequestError(400, f"rows: {' '.join(str(error).split())}", "rows") from None
        finally:
            self.to_score -= 1

    def busy(self) -> RequestError:
        """What to answer where too many wait."""
        return RequestError(429, f"{self.limits.queue} requests wait already; try again later")

    def streamed(self, chunks: AsyncIterator[Any], made: answers.Answers) -> Response:
        """Chunks as server-sent events."""

        async def lines() -> AsyncIterator[str]:
            try:
                async for each in chunks:
                    yield f"data: {as_json(each)}\n\n"
            except RequestError as error:  # too late for another status
                yield f"data: {as_json(error_document(error))}\n\n"
            finally:
                self.figures.tokens.labels(made.model).inc(made.generated)
            yield "data: [DONE]\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    def models(self) -> list[dict[str, Any]]:
        """The models as OpenAI's interface lists them."""
        shared = {"object": "model", "created": self.began, "owned_by": "seqgen"}
        return [{"id": name, **shared} for name in self.runs]


def score_rows(run: TrainedRun, rows: Sequence[str]) -> Sequence[Sequence[float]]:
    """The log-probability of each target of rows; where the data is one long text, of each token
    of texts, from their first one on. Raises DataError, ValueError."""
    built = run.built
    if built.data.ends:
        if any("\n" in row or "\r" in row for row in rows):
            raise ValueError("a row must be one line")
        file = as_text("".join(f"{row}\n" for row in rows).encode(), "rows")
        return [each.log_probs for each in run.score(file, "rows")]
    tokens = [as_tensor(built.tokenizer.encode(row)) for row in rows]
    size = built.recipe.evaluation.batch_size
    with built.computing():
        found = score_texts(built.model, tokens, built.device, size)
    return [each.log_probs for each in found]


def failed(error: Exception) -> RequestError:
    """What to answer where a job has failed."""
    if isinstance(error, TimeoutError):
        return RequestError(504, f"the request was not answered in time: {error}")
    line = " ".join(str(error).split())
    wrong = isinstance(error, ValueError) and not isinstance(error, SeqgenError)
    return RequestError(400 if wrong else 500, line or type(error).__name__)


def as_json(document: Any) -> str:
    """One line of JSON, in which numbers that are not finite are null."""
    return json.dumps(for_json(document), ensure_ascii=False, allow_nan=False)


def answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer as JSON, in UTF-8 whatever is in it."""
    content = as_json(document).encode(errors="backslashreplace")
    return Response(content, status, headers, "application/json")


def error_document(error: RequestError) -> dict[str, Any]:
    """An error as OpenAI's interface has it."""
    kinds = {429: "rate_limit_error", 404: "not_found_error"}
    kind = kinds.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    shown = {"message": str(error), "type": kind, "param": error.field, "code": None}
    return {"error": shown}


async def refuse(_: Request, error: Exception) -> Response:
    """The answer where something is wrong."""
    known = error if isinstance(error, RequestError) else None
    if isinstance(error, HTTPException):
        known = RequestError(error.status_code, str(error.detail))
    known = known or RequestError(500, f"a defect: {type(error).__name__}: {error}")
    headers = {"Retry-After": "1"} if known.status == 429 else None
    return answer(error_document(known), known.status, headers)


def application(runs: Mapping[str, TrainedRun], limits: ServerLimits) -> FastAPI:
    """The routes for runs by their names, as an ASGI application."""
    service = Service(runs, limits)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        service.batcher.start()
        yield
        await asyncio.to_thread(service.batcher.close)

    app = FastAPI(
        title="seqgen", version=__version__, lifespan=living, docs_url=None, redoc_url=None
    )
    app.add_middleware(partial(_Counted, figures=service.figures))
    for error in (RequestError, HTTPException, Exception):
        app.add_exception_handler(error, refuse)

    @app.get("/health")
    async def health() -> Any:
        return {"status": "ok", "models": [*runs]}

    @app.get("/metrics")
    async def metrics() -> Response:
        content = exposition.generate_latest(service.figures.registry)
        return Response(content, media_type=exposition.CONTENT_TYPE_PLAIN_0_0_4)

    @app.get("/v1/models")
    async def models() -> Any:
        return {"object": "list", "data": service.models()}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> Any:
        service.run_of(name)
        return next(each for each in service.models() if each["id"] == name)

    bodies = (
        ("/v1/completions", service.complete, Completion),
        ("/generate", service.generate, Generation),
        ("/score", service.score, Scoring),
    )
    for path, route, kind in bodies:
        content = {"application/json": {"schema": schema_of(kind)}}
        described: Any = {"requestBody": {"required": True, "content": content}}
        app.add_api_route(
            path, route, methods=["POST"], response_class=Response, openapi_extra=described
        )
    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; port 0 is any that is free. Raises SetupError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        other = "; --port N takes another one" if error.errno == errno.EADDRINUSE else ""
        raise SetupError(f"{host}:{port}: cannot be listened at: {reason}{other}") from None


def serve(listening: socket.socket, runs: Mapping[str, TrainedRun], limits: ServerLimits) -> None:
    """Answer requests until a signal comes, and then what runs.

    SIGTERM returns from here; SIGINT does then what it did before.
    """
    config = uvicorn.Config(
        application(runs, limits),
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws="none",
        timeout_keep_alive=75,  # seconds; a busy client may need a while for its next request
        timeout_graceful_shutdown=limits.grace,
    )
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again at its end
    sys.setswitchinterval(SWITCHED_AFTER)
    try:
        with warnings.catch_warnings(action="ignore"):  # of what clients ask, who have remarks
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)

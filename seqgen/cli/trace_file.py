"""The file of `seqgen generate --trace`: how each output was found, as JSON or as a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from seqgen.answers import Wanted
from seqgen.cli.line_formats import json_text
from seqgen.cli.output import Write, line_file
from seqgen.decoders import Decoder
from seqgen.errors import UsageError
from seqgen.explain import traces
from seqgen.generate import Generated
from seqgen.reports import MOST_TRACES, trace_page
from seqgen.trained import TrainedRun

Ask = Callable[..., list[list[Generated]]]
"""Called as `TrainedRun.continuations` is."""


@contextmanager
def traced_into(path: Path | None, trained: TrainedRun, spec: Mapping[str, Any]) -> Iterator[Ask]:
    """A context that gives what asks the run, and writes into `path` how each output was found.

    That is a list as JSON, a trace a line, or a page where the file is called `.html`. Outputs are
    the same as without. `spec` is the decoder as plain data. Errors: SetupError, UsageError.
    """
    if path is None:
        yield trained.continuations
        return
    if str(path) == "-":
        raise UsageError("--trace must be a file: standard output has the outputs")
    with line_file(path) as write:
        name = trained.directory.folder.resolve().name
        file = _Page(write, name) if path.suffix.lower() == ".html" else _List(write)
        yield _Tracing(trained, spec, file)
        file.end()


class _Traces(Protocol):
    """Takes traces as they come."""

    def add(self, trace: Mapping[str, Any]) -> None: ...

    def end(self) -> None: ...


class _Tracing:
    """A run that is asked as ever, and whose traces go into a file."""

    def __init__(self, trained: TrainedRun, spec: Mapping[str, Any], file: _Traces) -> None:
        self.generator = trained.built.generator()
        self.batch_size = trained.built.recipe.evaluation.batch_size
        self.spec = spec
        self.file = file

    def __call__(
        self,
        prompts: Sequence[str],
        decoder: Decoder,
        max_length: int | None = None,
        samples: int = 1,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Generated]]:
        """For each prompt (or source) what comes of it."""
        wanted = Wanted(self.batch_size, max_length, samples)
        found = traces(self.generator, decoder, self.spec, prompts, wanted, numbers)
        for each in found:
            self.file.add(each.trace)
        return [each.outputs for each in found]


class _List:
    """A JSON list, of which nothing is written before there is something."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.count = 0

    def add(self, trace: Mapping[str, Any]) -> None:
        self.write(f"{',' if self.count else '['}\n{json_text(trace).rstrip()}")
        self.count += 1

    def end(self) -> None:
        self.write("\n]\n" if self.count else "[]\n")


class _Page:
    """A page, which is written at the end, of the first traces."""

    def __init__(self, write: Write, name: str) -> None:
        self.write = write
        self.name = name
        self.count = 0
        self.traces: list[Mapping[str, Any]] = []

    def add(self, trace: Mapping[str, Any]) -> None:
        self.count += 1
        if len(self.traces) < MOST_TRACES:
            # As the file would have it: lists and no tuples.
            self.traces.append(json.loads(json.dumps(trace)))

    def end(self) -> None:
        self.write(trace_page(self.name, self.traces, self.count))

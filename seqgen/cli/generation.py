"""What the verbs that ask a run share: its decoder, outputs for lines and prompts, scores, traces.

Lines go through one pipeline: batches of sources, the outputs of the run for each, a format that
makes lines of them, and a function that writes these.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from seqgen.cli import source_lines
from seqgen.cli.output import echo, echo_exactly, line_file
from seqgen.cli.source_lines import Format, Source, SourceLines, json_text
from seqgen.config import Override, read_override
from seqgen.data import Reading, lines_of, read_long
from seqgen.decoders import Decoder, PathDecoder, decoders
from seqgen.errors import DataError, RecipeError, SetupError, UsageError, visible
from seqgen.evaluate import DecodingOptions, cut_short_remark, unsatisfied_remark
from seqgen.explain import traces
from seqgen.generate import Generated
from seqgen.machine import memory_for
from seqgen.metrics import Answer
from seqgen.options import OptionError
from seqgen.reports import MOST_TRACES, count, trace_page
from seqgen.streaming import TextStream
from seqgen.tokenizers import LongText
from seqgen.trained import TrainedRun

LINES_AT_ONCE = 1000
"""How many lines of a file are answered before they are written."""

Ask = Callable[..., list[list[Generated]]]
"""Called as `TrainedRun.continuations` is."""

T = TypeVar("T")


class DecoderOptions(NamedTuple):
    """What `--decoder` (None: the recipe's own), `--set`, `--seed` and `--n-best` say."""

    name: str | None = None
    settings: Sequence[str] = ()
    seed: int | None = None
    n_best: int | None = None

    def build(self, trained: TrainedRun) -> Decoder:
        """The decoder. Raises RecipeError that names the setting, and UsageError."""
        return self._made(trained, lambda wanted: trained.decoder(wanted, self.seed))

    def spec(self, trained: TrainedRun) -> dict[str, Any]:
        """The same as plain data, every option written out."""
        return self._made(trained, lambda wanted: decoders.check(wanted).plain())

    def _made(self, trained: TrainedRun, make: Callable[[dict[str, Any]], T]) -> T:
        overrides = [read_override(each, "--set") for each in self.settings]
        wanted = trained.decoder_spec(self.name, overrides)
        if self.n_best is not None:
            given = {each.path[0] for each in overrides}
            wanted.update(_options_for(self.n_best, wanted, given))
        try:
            return make(wanted)
        except OptionError as error:
            path, message = ".".join(str(step) for step in error.path), error.message
            if error.at_key and len(error.path) == 1:
                having = [each for each in decoders.names() if path in decoders.entry(each).options]
                message += f"; these have it: {', '.join(having)} (--decoder)" if having else ""
            about = f"--decoder {wanted['name']}"
            if self.n_best is not None and "n_best" in message:
                about = f"--n-best {self.n_best}"
            for override in overrides:
                if override.path[:1] == error.path[:1]:
                    about = f"{override.place(error.path, at_key=error.at_key)}: {path}"
                    break
            raise RecipeError(f"{about}: {message}") from None


def _options_for(n_best: int, wanted: dict[str, Any], given: set[str | int]) -> dict[str, Any]:
    """The options with which a decoder finds `n_best` sequences; those that were `given` stay."""
    name = wanted.get("name")
    if name not in decoders.names():  # which an error will say
        return {}
    options = decoders.entry(name).options
    chooses = "n_best" in options
    changes: dict[str, Any] = {"n_best": n_best} if chooses else {}
    if "beam_size" in options and "beam_size" not in given:
        size = wanted.get("beam_size", options["beam_size"].default)
        wide_enough = chooses and isinstance(size, int) and size >= n_best
        return changes if wide_enough else {**changes, "beam_size": n_best}
    if not chooses and "beam_size" not in options and n_best > 1:
        raise UsageError(
            f"--n-best {n_best}: the decoder '{name}' finds one sequence for a source; take "
            "another, such as --decoder beam (--samples draws several times)"
        )
    return changes


class Wanted(NamedTuple):
    """How outputs are wanted, as the options of `generate` say."""

    max_length: int | None = None
    samples: int = 1
    n_best: int | None = None
    trace: Path | None = None
    output: Path | None = None
    as_json: bool = False


def stop_overrides(
    stop: Sequence[str] | None, keep_stop: bool, max_seconds: float | None
) -> list[Override]:
    """What `--stop`, `--keep-stop` and `--max-seconds` change in the section `generation`."""
    given = {
        "stop": list(stop) if stop is not None else None,
        "keep_stop": keep_stop or None,
        "max_seconds": max_seconds,
    }
    return [
        Override(
            " ".join(map(repr, value)) if isinstance(value, list) else str(value),
            ("generation", key),
            value,
            f"--{key.replace('_', '-')}",
        )
        for key, value in given.items()
        if value is not None
    ]


def waiting_lines(input_file: Path | None, continues: bool) -> Iterator[str] | None:
    """The lines of standard input that are answered as they come; None if there are none, or all
    of a file is read first."""
    if input_file is None:
        return source_lines.piped_lines() if continues else source_lines.typed_lines()
    typed = str(input_file) == "-" and source_lines.is_terminal()
    return source_lines.typed_lines() if typed else None


@dataclass
class LineGenerator:
    """Answers lines by a decoder, `samples` times what it finds for each; `ask` asks the run."""

    trained: TrainedRun
    decoder: Decoder
    form: Format
    ask: Ask
    max_length: int | None = None
    samples: int = 1

    def __post_init__(self) -> None:
        self.outputs = self.cut_short = self.unsatisfied = 0

    def file(self, path: Path, output: Path | None) -> None:
        """Answer each line of a file, in their order. All are checked before one is answered."""
        file, name = source_lines.read_lines(path)
        sources = SourceLines(self.trained, name)
        every = [sources.check(*each) for each in enumerate(lines_of(file.text), 1)]
        batches = (
            every[first : first + LINES_AT_ONCE] for first in range(0, len(every), LINES_AT_ONCE)
        )
        with line_file(output) as write, _progress(len(every), output) as show:
            for batch in batches:
                write(self._lines(batch))
                show(batch[-1].number)
        self._warn(sources)

    def standard_input(self, lines: Iterable[str], output: Path | None) -> None:
        """Answer each line as it comes. At a terminal what is wrong with one is said there."""
        sources = SourceLines(self.trained, source_lines.STANDARD_INPUT)
        at_terminal = source_lines.is_terminal()
        numbered = enumerate(lines, 1)
        try:
            with line_file(output) as write:
                for source in _typed(numbered, sources) if at_terminal else numbered:
                    one = source if isinstance(source, Source) else sources.check(*source)
                    write(self._lines([one]))
        finally:
            if at_terminal:  # what comes next, the shell's prompt or why it ended, has its own line
                echo(err=True)
        self._warn(sources)

    def stream(self, lines: Iterable[str], form: Callable[[str], str]) -> None:
        """Answer each line of standard input as it comes, piece by piece, each as `form` has it."""
        sources, built = SourceLines(self.trained, source_lines.STANDARD_INPUT), self.trained.built
        for each in enumerate(lines, 1):
            one = sources.check(*each)
            echo_exactly(form(one.text) if built.data.continues else "")
            if one.asked:
                walking = cast(PathDecoder, self.decoder)
                place = one.number - 1
                pieces = built.generator().stream(one.text, walking, self.max_length, place)
                stream: TextStream[Generated] = TextStream("", pieces)
                for piece in stream:
                    echo_exactly(form(piece))
                self._count([stream.output] if stream.output else [])
            echo_exactly("\n")
        self._warn(sources)

    def _lines(self, sources: Sequence[Source]) -> str:
        found = iter(self._outputs([each for each in sources if each.asked]))
        return "".join(self.form(each, next(found) if each.asked else []) for each in sources)

    def _outputs(self, sources: Sequence[Source]) -> list[list[Generated]]:
        texts, ids = [each.text for each in sources], [each.number - 1 for each in sources]
        try:
            with memory_for("the outputs; a smaller evaluation.batch_size needs less"):
                found = self.ask(texts, self.decoder, self.max_length, self.samples, ids)
        except ValueError as error:  # the texts are good, so the decoder's options are not
            raise RecipeError(f"--decoder: {error}") from None
        self._count([each for own in found for each in own])
        return found

    def _count(self, found: Sequence[Generated]) -> None:
        self.outputs += len(found)
        self.cut_short += sum(not each.hypothesis.complete for each in found)
        self.unsatisfied += sum(not each.hypothesis.satisfied for each in found)

    def _warn(self, sources: SourceLines) -> None:
        cut_short = cut_short_remark(self.cut_short, self.outputs)
        unsatisfied = unsatisfied_remark(self.unsatisfied, self.outputs)
        for remark in (*sources.remarks(), cut_short, unsatisfied):
            if remark:
                warnings.warn(remark, stacklevel=1)


def _typed(lines: Iterator[tuple[int, str]], sources: SourceLines) -> Iterator[Source]:
    """Sources as a person types them: prompts for each, and shows what is wrong with one."""
    what = "prompt" if sources.data.continues else "source"
    echo(f"a {what} a line; Ctrl-D ends", err=True)
    while True:
        echo("> ", end="", err=True)
        line = next(lines, None)
        if line is None:
            return
        try:
            source = sources.check(*line)
        except DataError as error:
            echo(str(error), err=True)
        else:
            yield source


@contextmanager
def _progress(total: int, output: Path | None) -> Iterator[Callable[[int], None]]:
    """Yields a function that shows how many lines are done, on a terminal that shows no lines."""
    lines_to_stdout = output is None or str(output) == "-"
    if not total or not sys.stderr.isatty() or (lines_to_stdout and sys.stdout.isatty()):
        yield lambda done: None
        return

    def show(done: int) -> None:
        echo(end="\r", err=True)
        echo(f"{count(done)} of {count(total)} lines", end="", err=True)

    try:
        yield show
    finally:
        echo(err=True)


def answer_prompts(trained: TrainedRun, texts: Sequence[str], ask: Ask, as_json: bool) -> None:
    """Show what `ask()` gives for each prompt, with titles if it is more, or one JSON document."""
    try:
        found = ask()
        flat = [each for outputs in found for each in outputs]
        remarks = trained.remarks(texts, flat)
    except ValueError as error:
        raise RecipeError(f"--prompt: {error}") from None
    for remark in remarks:
        warnings.warn(remark, stacklevel=1)
    if as_json:
        document = [{"prompt": each.prompt, **each.plain()} for each in flat]
        echo_exactly(json_text(document, indent=2))
        return
    for outputs in found:
        for place, each in enumerate(outputs, 1):
            if len(flat) > 1:
                echo(f"=== {visible(each.prompt)!r} {place} ===")
            echo(trained.shown(each))


def keep_state(trained: TrainedRun, prompt_file: Path, out: Path) -> None:
    """Read a text, or standard input for `-`, and write the state after it to `out`."""
    if out.is_dir() or not out.parent.is_dir():  # before a long text is read
        wrong = f"{out}: this is a folder" if out.is_dir() else f"{out.parent}: no such folder"
        raise SetupError(f"{wrong}; --out must be a file")
    large = None if str(prompt_file) == "-" else read_long(prompt_file, Reading())
    text = large[0] if large else LongText.of(source_lines.read_lines(prompt_file)[0].text)
    try:
        found = trained.state(text)
    except ValueError as error:
        raise UsageError(f"{trained.directory.folder}: {error}") from None
    found.save(out)
    echo(f"{out}: the state after {text.chars:,} characters")


def score_lines(trained: TrainedRun, path: Path, output: Path | None, as_json: bool) -> None:
    """Write for each row of a file, in their order, its log-probability and number of tokens."""
    file, name = source_lines.read_lines(path)
    try:
        scores = trained.score(file, name)
    except ValueError as error:
        raise UsageError(f"--score: {error}; seqgen evaluate scores a text") from None
    lines = []
    for number, row in enumerate(scores, 1):
        tokens, log_probs = len(row.log_probs), list(row.log_probs)
        found = {"number": number, "score": row.score, "tokens": tokens, "log_probs": log_probs}
        lines.append(json_text(found) if as_json else f"{row.score:.6f}\t{tokens}\n")
    with line_file(output) as write:
        write("".join(lines))
    if unknown := sum(each.unknown for each in scores):
        what = f"{unknown} token{'s' if unknown > 1 else ''} of the targets"
        warnings.warn(f"{what} scored as <unk>", stacklevel=1)


@contextmanager
def tracing_to(path: Path | None, trained: TrainedRun, spec: Mapping[str, Any]) -> Iterator[Ask]:
    """Yields a function that asks the run and records into `path` how each output was found.

    The file is a list as JSON, a trace a line, or a page if it is called `.html`. Outputs are the
    same as without. `spec` is the decoder as plain data. Raises SetupError, UsageError.
    """
    if path is None:
        yield trained.continuations
        return
    if str(path) == "-":
        raise UsageError("--trace must be a file: standard output has the outputs")
    as_page = path.suffix.lower() == ".html"
    generator, batch_size = trained.built.generator(), trained.built.recipe.evaluation.batch_size
    kept: list[Any] = []
    written = 0
    with line_file(path) as write:

        def ask(
            prompts: Sequence[str],
            decoder: Decoder,
            max_length: int | None = None,
            samples: int = 1,
            ids: Sequence[int] | None = None,
        ) -> list[list[Generated]]:
            nonlocal written
            outputs, wanted = [], DecodingOptions(batch_size, max_length, samples)
            for each in traces(generator, decoder, spec, prompts, wanted, ids):
                if not as_page:
                    write(f"{',' if written else '['}\n{json_text(each.trace).rstrip()}")
                elif written < MOST_TRACES:  # as the JSON file would have it: lists and no tuples
                    kept.append(json.loads(json.dumps(each.trace)))
                written += 1
                outputs.append(each.outputs)
            return outputs

        yield ask
        if as_page:
            write(trace_page(trained.directory.folder.resolve().name, kept, written))
        else:
            write("\n]\n" if written else "[]\n")


@contextmanager
def answers_to(path: Path) -> Iterator[Callable[[Sequence[Answer]], None]]:
    """Yields a function that writes a line for each answer to `path`: JSON, or a table with a title
    if the file is called `.tsv`.

    Raises DataError if there are no answers, SetupError, UsageError.
    """
    if str(path) == "-":
        raise UsageError("--answers must be a file: standard output has the figures")
    with line_file(path) as write:

        def write_all(answers: Sequence[Answer]) -> None:
            if not answers:
                message = "this data has no sources to generate outputs for"
                raise DataError(f"--answers: {message}")
            as_table = path.suffix == ".tsv"
            lines = ["right\tscore\tsource\toutput\treferences\n"] if as_table else []
            for each in answers:
                right, references = each.output in each.references, list(each.references)
                if as_table:  # references stand at the end, in as many columns as there are
                    cells = map(source_lines.one_cell, (each.source, each.output, *references))
                    lines.append("\t".join([str(int(right)), f"{each.score:.6f}", *cells]) + "\n")
                else:
                    found = {"right": right, "score": each.score, "finished": each.finished}
                    texts = {"source": each.source, "output": each.output}
                    lines.append(json_text({**found, **texts, "references": references}))
            write("".join(lines))

        yield write_all
